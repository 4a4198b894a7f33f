"""What the kernels work on: tensors of K networks, stage by stage, that stay where they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from repro import nets
from repro.engine.strategies.fused.tiles import StageTiles, Tile

SHAPES = ((16, 32), (32, 16), (64, 8))
"""Channels and side of the stages."""
SCALARS = 7
"""Numbers of BatchNorm a channel: scale, shift, mean, 1 / std; c1, c2, c3 (`kernels.norm`)."""
STRIDED_WEIGHTS = 8
"""Images of a program that takes the gradient of a strided convolution's weights."""


@dataclass
class Norm:
    """BatchNorm behind a convolution: where gamma and beta, and mean and variance, begin in a row, and ``scalars``
    float32 [K, 7, C]."""

    at: int
    moved: int
    scalars: Tensor


@dataclass
class Stage:
    """``y[0]`` is the output of the stage's entry, the stem or the strided convolution; layers 1 to L follow, of
    `kernels.convolution`. In the first stage odd layers begin a block, in the others even ones: there the strided
    convolution has begun the first. All activations [K, N, side, side, channels]."""

    channels: int
    side: int
    tiles: StageTiles
    before: Stage | None
    entry: int
    """Where the entry's weights begin in a row."""
    first: int
    """Where layer 1's do."""
    y: list[Tensor] = field(default_factory=list)
    """Outputs as they left the convolutions."""
    gz: list[Tensor] = field(default_factory=list)
    """The gradient behind each BatchNorm."""
    norms: list[Norm] = field(default_factory=list)
    inputs: dict[int, Tensor] = field(default_factory=dict)
    """Activations in memory, by the layer whose block they are the input of; the last is the stage's output."""
    operands: tuple[Tensor, Tensor] = field(default=(torch.empty(0),) * 2)
    """The layers' weights for the way forward and the way back, [L, K, 3, S, KW, NW]."""
    dw: Tensor = field(default_factory=lambda: torch.empty(0))
    """The programs' parts of the gradient of the layers' weights, float32 [L, K, programs, numbers]."""
    entry_operands: tuple[Tensor, Tensor] = field(default=(torch.empty(0),) * 2)
    """The strided convolution's weights, [K, 9, C / 2, C] and [K, 9, C, C / 2]."""
    entry_dw: Tensor = field(default_factory=lambda: torch.empty(0))
    """And its gradient's parts, float32 [K, programs, C, 9, C / 2]."""

    @property
    def layers(self) -> int:
        """L."""
        return len(self.y) - 1

    @property
    def step(self) -> int:
        """From one layer's weights in a row to the next's: over them, gamma and beta."""
        return 9 * self.channels**2 + 2 * self.channels

    @property
    def begins(self) -> int:
        """The first layer, counted from 1, that begins a block."""
        return 2 if self.before else 1

    def block_begins(self, layer: int) -> bool:
        """Whether ``layer`` reads the input of a block."""
        return layer % 2 == self.begins % 2

    @property
    def output(self) -> Tensor:
        """What the next stage reads."""
        return self.inputs[self.layers + 1]

    @property
    def weights_tile(self) -> Tile:
        """Of the kernel that takes the gradient of the layers' weights."""
        return self.tiles.weights or self.tiles.backward


@dataclass(frozen=True)
class Layout:
    """All stages, where the linear layer begins in a row, and how many numbers a row has."""

    stages: list[Stage]
    linear: int
    size: int


def layout_of(
    arch: str, lanes: int, batch: int, tiles: Mapping[int, StageTiles], dtype: torch.dtype, device: torch.device
) -> Layout:
    """Room for ``lanes`` networks ``arch`` on ``batch`` images each, activations and operands in ``dtype``."""
    model = nets.shapes(arch)
    at, moved = (dict(_beginnings(named)) for named in (model.named_parameters(), model.named_buffers()))
    blocks, stages = nets.BLOCKS[arch], list[Stage]()
    for number, (channels, side) in enumerate(SHAPES):
        names = [f"blocks.{number * blocks + block}.conv{conv}" for block in range(blocks) for conv in (1, 2)]
        names = names if stages else ["conv", *names]
        before = stages[-1] if stages else None
        entry, first = (at[f"{name}.weight"] for name in names[:2])
        stage = Stage(channels, side, tiles[channels], before, entry, first)
        room: Callable[..., Tensor] = partial(torch.zeros, dtype=dtype, device=device)
        parts: Callable[..., Tensor] = partial(torch.zeros, dtype=torch.float32, device=device)
        shape = (lanes, batch, side, side, channels)
        for name in (name.replace("conv", "bn") for name in names):
            scalars = parts(lanes, SCALARS, channels)
            stage.norms.append(Norm(at[f"{name}.weight"], moved[f"{name}.running_mean"], scalars))
            stage.y.append(room(shape))
            stage.gz.append(room(shape))
        stage.inputs = {layer: room(shape) for layer in range(stage.begins, stage.layers + 2, 2)}
        forward, backward = (
            room(stage.layers, lanes, 3, tile.s, tile.kw(channels), tile.nw(channels))
            for tile in (stage.tiles.forward, stage.tiles.backward)
        )
        stage.operands = (forward, backward)
        stage.dw = parts(
            stage.layers, lanes, stage.weights_tile.programs(batch, side), stage.weights_tile.numbers(channels)
        )
        pair = 9 * channels * (channels // 2)
        stage.entry_operands = (room(lanes, pair), room(lanes, pair))
        stage.entry_dw = parts(lanes, -(-batch // STRIDED_WEIGHTS), pair)
        stages.append(stage)
    return Layout(stages, at["linear.weight"], sum(tensor.numel() for tensor in model.parameters()))


def _beginnings(tensors: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, int]]:
    """Where each tensor begins in a row of all."""
    start = 0
    for name, tensor in tensors:
        yield name, start
        start += tensor.numel()
