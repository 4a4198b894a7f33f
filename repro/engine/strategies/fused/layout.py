"""The tensors that the kernels work on: those of K networks, stage by stage; they never move.

A tile is the share of the work of one program, which decides the order of sums. It depends on the network and the
batch size, never on the number of lanes, so that a Run's bits do not depend on its wave.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from repro import nets

SHAPES = ((16, 32), (32, 16), (64, 8))
"""Channels and image side of the stages."""
SCALARS = 7
"""BatchNorm's numbers per channel: scale, shift, mean, 1 / std; c1, c2, c3 (`kernels.norm`)."""
STRIDED_WEIGHTS = 8
"""Images per program of the gradient of a strided convolution's weights."""


@dataclass(frozen=True)
class Tile:
    """A program of `convolution`: ``rows`` of a matrix product, each one pixel or (``pairs``) two; ``height``
    image rows a strip; ``groups`` of images, one after another; at most ``registers`` a thread (0: no limit)."""

    pairs: bool
    rows: int
    height: int
    groups: int = 1
    warps: int = 4
    registers: int = 0

    @property
    def p(self) -> int:
        """Pixels in a GEMM row."""
        return 2 if self.pairs else 1

    @property
    def s(self) -> int:
        """How often a pixel is loaded, each time shifted."""
        return 1 if self.pairs else 3

    def kw(self, channels: int) -> int:
        """Return the columns of the input's operand."""
        return 4 * channels if self.pairs else channels

    def nw(self, channels: int) -> int:
        """Return the columns of the output's operand."""
        return self.p * channels

    def numbers(self, channels: int) -> int:
        """Return the size of a program's part of the weights' gradient."""
        return 3 * self.s * self.kw(channels) * self.nw(channels)

    def shared(self, side: int) -> tuple[int, int, int]:
        """Return images of a program, the number of programs (strips) that share them, pixels in a GEMM row."""
        return self.rows * self.p // side * self.groups, side // self.height, self.p

    def programs(self, batch: int, side: int) -> int:
        """Return the programs per lane."""
        images, strips, _ = self.shared(side)
        return -(-batch // images) * strips


@dataclass(frozen=True)
class StageTiles:
    """Tiles of a stage's kernels: forward, backward (with the weights' gradient if ``weights`` is None), and that
    gradient."""

    forward: Tile
    backward: Tile
    weights: Tile | None = None


# Compared on an H200 in 11 and in 32 lanes at a batch of 64 (docs/performance.md): the best of both together.
TILES = {
    16: StageTiles(Tile(True, 64, 16), Tile(True, 64, 32)),
    32: StageTiles(Tile(False, 64, 8), Tile(False, 64, 16, registers=168), Tile(True, 64, 16, warps=8)),
    64: StageTiles(Tile(False, 64, 8), Tile(False, 64, 8), Tile(False, 64, 8, groups=2)),
}
"""By channels."""


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
    norms: list[Norm]
    y: list[Tensor]
    """Raw outputs of the convolutions."""
    gz: list[Tensor]
    """The gradient behind each BatchNorm."""
    inputs: dict[int, Tensor]
    """Activations in memory, by the layer at which their block starts; the last is the stage's output."""
    operands: list[Tensor]
    """The layers' weights for forward and backward, [L, K, 3, S, KW, NW]."""
    dw: Tensor
    """The gradient of the layers' weights, one part per program, float32 [L, K, programs, numbers]."""
    entry_operands: tuple[Tensor, Tensor]
    """The strided convolution's weights, [K, 3, 3, C / 2, C] and [K, 3, 2, C, C], half of whose second matrices is
    zero."""
    entry_dw: Tensor
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
        """Return whether a block starts at ``layer``."""
        return layer % 2 == self.begins % 2

    @property
    def output(self) -> Tensor:
        """The input of the next stage."""
        return self.inputs[self.layers + 1]

    @property
    def weights_tile(self) -> Tile:
        """Tile of the kernel that computes the gradient of the layers' weights."""
        return self.tiles.weights or self.tiles.backward


def stages_of(
    arch: str, lanes: int, batch: int, tiles: Mapping[int, StageTiles], dtype: torch.dtype, device: torch.device
) -> list[Stage]:
    """Make the tensors for ``lanes`` networks ``arch`` on ``batch`` images each, activations in ``dtype``."""
    model = nets.shapes(arch)
    at, moved = offsets(model.named_parameters()), offsets(model.named_buffers())
    room, parts = (partial(torch.zeros, dtype=kind, device=device) for kind in (dtype, torch.float32))
    blocks, stages = nets.BLOCKS[arch], list[Stage]()
    for number, (c, side) in enumerate(SHAPES):
        names = [f"blocks.{number * blocks + block}.conv{conv}" for block in range(blocks) for conv in (1, 2)]
        names = names if number else ["conv", *names]
        layers, shape, begins = len(names) - 1, (lanes, batch, side, side, c), 2 if number else 1
        own, pair = tiles[c], 9 * c * (c // 2)
        weights = own.weights or own.backward
        norms = [name.replace("conv", "bn") for name in names]
        stages.append(
            Stage(
                c, side, own, stages[-1] if stages else None, at[f"{names[0]}.weight"], at[f"{names[1]}.weight"],
                norms=[
                    Norm(at[f"{name}.weight"], moved[f"{name}.running_mean"], parts(lanes, SCALARS, c))
                    for name in norms
                ],
                y=[room(shape) for _ in names],
                gz=[room(shape) for _ in names],
                inputs={layer: room(shape) for layer in range(begins, layers + 2, 2)},
                operands=[
                    room(layers, lanes, 3, tile.s, tile.kw(c), tile.nw(c)) for tile in (own.forward, own.backward)
                ],
                dw=parts(layers, lanes, weights.programs(batch, side), weights.numbers(c)),
                entry_operands=(room(lanes, pair), room(lanes, 6 * c**2)),
                entry_dw=parts(lanes, -(-batch // STRIDED_WEIGHTS), pair),
            )
        )  # fmt: skip
    return stages


def offsets(tensors: Iterable[tuple[str, Tensor]]) -> dict[str, int]:
    """Return the offsets of the tensors in a row, by name."""
    found, start = dict[str, int](), 0
    for name, tensor in tensors:
        found[name] = start
        start += tensor.numel()
    return found
