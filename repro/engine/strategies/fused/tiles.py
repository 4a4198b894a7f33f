"""How large a part of the work a program takes. What it is decides in which order sums are taken: it follows from
the network and the batch size alone, never from the number of lanes, so that a Run's bits do not depend on its
wave."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tile:
    """A program of `convolution`: ``rows`` of GEMM (pairs of pixels where ``pairs``, else pixels), ``height``
    image rows a strip, ``groups`` of images one after another; ``registers`` a thread at most (0: as the compiler
    likes)."""

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
        """How often a pixel is loaded, shifted."""
        return 1 if self.pairs else 3

    def kw(self, channels: int) -> int:
        """Columns of the input's operand."""
        return 4 * channels if self.pairs else channels

    def nw(self, channels: int) -> int:
        """Columns of the output's operand."""
        return self.p * channels

    def numbers(self, channels: int) -> int:
        """Of a program's part of the weights' gradient."""
        return 3 * self.s * self.kw(channels) * self.nw(channels)

    def images(self, side: int) -> int:
        """Images of a program."""
        return self.rows * self.p // side * self.groups

    def strips(self, side: int) -> int:
        """Programs that share the same images."""
        return side // self.height

    def programs(self, batch: int, side: int) -> int:
        """Of a lane."""
        return -(-batch // self.images(side)) * self.strips(side)


@dataclass(frozen=True)
class StageTiles:
    """Tiles of a stage: forward, backward (with the weights' gradient, where ``weights`` is None), that
    gradient."""

    forward: Tile
    backward: Tile
    weights: Tile | None = None


# Compared on an H200 in 11 and in 32 lanes at a batch of 64 (docs/performance.md): the best of both together.
TILES = {
    16: StageTiles(Tile(True, 64, 16), Tile(True, 64, 32)),
    32: StageTiles(Tile(False, 64, 8), Tile(False, 64, 16), Tile(True, 64, 16, warps=8)),
    64: StageTiles(Tile(False, 64, 8), Tile(False, 64, 8), Tile(False, 64, 8, groups=2)),
}
"""By channels."""
