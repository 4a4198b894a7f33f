"""The tensors that the kernels work on: those of K networks, stage by stage; they never move."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from repro import nets
from repro.engine.strategies.fused.tiles import StageTiles, Tile

SHAPES = ((16, 32), (32, 16), (64, 8))
"""Channels and image side of the stages."""
SCALARS = 7
"""BatchNorm's numbers per channel: scale, shift, mean, 1 / std; c1, c2, c3 (`kernels.norm`)."""
STRIDED_WEIGHTS = 8
"""Images per program of the gradient of a strided convolution's weights."""


@dataclass
class Norm:
    """BatchNorm behind a convolution: offsets in a row of gamma and beta (``at``) and of mean and variance
    (``moved``), and ``scalars`` float32 [K, 7, C]."""

    at: int
    moved: int
    scalars: Tensor


@dataclass
class Stage:
    """``y[0]`` is the output of the stage's entry, the stem or the strided convolution; layers 1 to L, of
    `kernels.convolution`, follow. Blocks start at odd layers in the first stage and at even ones in the others,
    whose first block starts with the strided convolution. All activations are [K, N, side, side, channels]."""

    channels: int
    side: int
    tiles: StageTiles
    before: Stage | None
    entry: int
    """Offset of the entry's weights in a row."""
    first: int
    """Offset of layer 1's weights."""
    y: list[Tensor] = field(default_factory=list)
    """Raw outputs of the convolutions."""
    gz: list[Tensor] = field(default_factory=list)
    """The gradient behind each BatchNorm."""
    norms: list[Norm] = field(default_factory=list)
    inputs: dict[int, Tensor] = field(default_factory=dict)
    """Activations in memory, by the layer at which their block starts; the last is the stage's output."""
    operands: tuple[Tensor, Tensor] = field(default=(torch.empty(0),) * 2)
    """The layers' weights for forward and backward, [L, K, 3, S, KW, NW]."""
    dw: Tensor = field(default_factory=lambda: torch.empty(0))
    """The gradient of the layers' weights, one part per program, float32 [L, K, programs, numbers]."""
    entry_operands: tuple[Tensor, Tensor] = field(default=(torch.empty(0),) * 2)
    """The strided convolution's weights, [K, 3, 3, C / 2, C] and [K, 3, 2, C, C], half of whose second matrices is
    zero."""
    entry_dw: Tensor = field(default_factory=lambda: torch.empty(0))
    """Their gradient, one part per program, float32 [K, programs, C, 9, C / 2]."""

    @property
    def layers(self) -> int:
        """L."""
        return len(self.y) - 1

    @property
    def step(self) -> int:
        """Distance in a row between the weights of consecutive layers, with gamma and beta between them."""
        return 9 * self.channels**2 + 2 * self.channels

    @property
    def begins(self) -> int:
        """The first layer, counted from 1, at which a block starts."""
        return 2 if self.before else 1

    def block_begins(self, layer: int) -> bool:
        """Whether a block starts at ``layer``."""
        return layer % 2 == self.begins % 2

    @property
    def output(self) -> Tensor:
        """The input of the next stage."""
        return self.inputs[self.layers + 1]

    @property
    def weights_tile(self) -> Tile:
        """Tile of the kernel that computes the gradient of the layers' weights."""
        return self.tiles.weights or self.tiles.backward


@dataclass(frozen=True)
class Layout:
    """All stages, the offset of the linear layer in a row, and the size of a row."""

    stages: list[Stage]
    linear: int
    size: int


def layout_of(
    arch: str, lanes: int, batch: int, tiles: Mapping[int, StageTiles], dtype: torch.dtype, device: torch.device
) -> Layout:
    """Tensors for ``lanes`` networks ``arch`` on ``batch`` images each; activations and operands in ``dtype``."""
    model = nets.shapes(arch)
    at, moved = (dict(_offsets(named)) for named in (model.named_parameters(), model.named_buffers()))
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
        stage.entry_operands = (room(lanes, pair), room(lanes, 6 * channels**2))
        stage.entry_dw = parts(lanes, -(-batch // STRIDED_WEIGHTS), pair)
        stages.append(stage)
    return Layout(stages, at["linear.weight"], sum(tensor.numel() for tensor in model.parameters()))


def _offsets(tensors: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, int]]:
    """Offsets of the tensors in a row, by name."""
    start = 0
    for name, tensor in tensors:
        yield name, start
        start += tensor.numel()
