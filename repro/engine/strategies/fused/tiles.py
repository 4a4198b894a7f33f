"""The share of the work of one program, which decides the order of sums. It depends on the network and the batch
size, never on the number of lanes, so that a Run's bits do not depend on its wave."""

from __future__ import annotations

from dataclasses import dataclass


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
        """Columns of the input's operand."""
        return 4 * channels if self.pairs else channels

    def nw(self, channels: int) -> int:
        """Columns of the output's operand."""
        return self.p * channels

    def numbers(self, channels: int) -> int:
        """Size of a program's part of the weights' gradient."""
        return 3 * self.s * self.kw(channels) * self.nw(channels)

    def images(self, side: int) -> int:
        """Images of a program."""
        return self.rows * self.p // side * self.groups

    def strips(self, side: int) -> int:
        """Programs that share the same images."""
        return side // self.height

    def programs(self, batch: int, side: int) -> int:
        """Programs per lane."""
        return -(-batch // self.images(side)) * self.strips(side)


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
