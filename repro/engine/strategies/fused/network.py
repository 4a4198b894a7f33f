"""A step and an evaluation of all lanes, as launches of kernels in order."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
import triton
from torch import Tensor

from repro.engine.lanes import Lanes
from repro.engine.strategies.fused.kernels import convolution, convolution_weights, ends, norm, strided, update
from repro.engine.strategies.fused.layout import STRIDED_WEIGHTS, Stage, layout_of
from repro.engine.strategies.fused.tiles import TILES, StageTiles, Tile

Launch = Callable[..., None]
STEM_PIXELS, STRIDED_PIXELS = 128, 64
"""Pixels per matrix product."""
STEM_IMAGES = STRIDED_IMAGES = HEAD_IMAGES = 2
"""Images per program."""
STRIDED_REGISTERS = {32: 128}
"""Limit of a thread in the backward kernel, by channels: four programs then share a multiprocessor."""
CLASSES, CLASS_ROWS = 10, 16
HEAD_NUMBERS = CLASSES * 65
"""Weights and biases of the linear layer."""
ELEMENTS, SUMMED = 1024, 256
"""Numbers per program of Eq. 1, and of the sum of parts of the weights' gradient."""


def launch(
    kernel: Any, grid: tuple[int, ...], *args: Any, warps: int = 4, registers: int = 0, **sizes: int
) -> None:
    """Start ``kernel`` on the current stream; with ``PDL`` as soon as the launch before allows (`order.begin`)."""
    kernel[grid](*args, **sizes, num_stages=1, **options(warps, registers, sizes))


def options(warps: int, registers: int, sizes: Mapping[str, int]) -> dict[str, Any]:
    """Triton's options of a launch."""
    limit = {"maxnreg": registers} if registers else {}
    early = {"launch_pdl": True} if sizes.get("PDL") else {}
    return {"num_warps": warps, **limit, **early}


class FusedNetwork:
    """K networks of 6n + 2 layers, n > 1, on batches of ``count`` (int32 [K]) images, at most
    ``lanes.recipe.batch_size`` each.

    ``start`` launches a kernel; `ahead` lists them by it. With ``pdl`` (Hopper and newer) each launch starts while
    the previous one ends. ``dtype`` is bfloat16 on a GPU; float32 is for tests in Triton's interpreter, without
    the rounding that would hide errors."""

    def __init__(
        self,
        lanes: Lanes,
        start: Launch = launch,
        dtype: torch.dtype = torch.bfloat16,
        tiles: Mapping[int, StageTiles] = TILES,
        pdl: bool = False,
    ) -> None:
        self.lanes, self.k, self.n = lanes, len(lanes), lanes.recipe.batch_size
        self.start = functools.partial(start, PDL=1) if pdl else start
        device = lanes.device
        self._side = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.layout = layout_of(lanes.arch, self.k, self.n, tiles, dtype, device)
        self.stages = self.layout.stages
        self.count = torch.zeros(self.k, dtype=torch.int32, device=device)

        def parts(images: int, numbers: int) -> Tensor:
            return torch.zeros(self.k, -(-self.n // images), numbers, device=device)

        self.tally, self.head_dw = parts(HEAD_IMAGES, 2), parts(HEAD_IMAGES, HEAD_NUMBERS)
        self.stem_dw = parts(STEM_IMAGES, 32 * 16)
        # A stage's largest: two sums of every program of its layers, of its entry or of the head.
        programs = [
            max(self.n, tile.programs(self.n, stage.side)) * tile.nw(stage.channels)
            for stage in self.stages
            for tile in (stage.tiles.forward, stage.tiles.backward)
        ]
        self.sums = torch.zeros(self.k, 2 * max(programs), device=device)

    def step(self) -> None:
        """Forward, backward and Eq. 1 for every lane with a count, on the next images of its epoch."""
        lanes = self.lanes
        self.pack()
        self.forward(lanes.order, lanes.position, evaluating=False)
        self.head(lanes.order, lanes.position, evaluating=False)
        self.backward()
        self.update()
        self._tally(lanes.position, lanes.correct, evaluating=False)

    def prepare_evaluation(self) -> None:
        """What `evaluate` needs of the weights and running statistics of every lane with a count."""
        self.pack()
        self._running()
        self._joined()

    def evaluate(self) -> None:
        """Count correct answers among the next test images of every lane with a count."""
        lanes = self.lanes
        self.forward(lanes.eval_indices, lanes.eval_position, evaluating=True)
        self.head(lanes.eval_indices, lanes.eval_position, evaluating=True)
        self._tally(lanes.eval_position, lanes.eval_correct, evaluating=True)

    def _beside(self) -> contextlib.AbstractContextManager[object]:
        """Kernels started within this block run after those before it, and may run at the same time as those
        behind it, until `_joined`."""
        if self._side is None:
            return contextlib.nullcontext()
        self._side.wait_stream(torch.cuda.current_stream(self._side.device))
        return torch.cuda.stream(self._side)

    def _joined(self) -> None:
        if self._side is not None:
            torch.cuda.current_stream(self._side.device).wait_stream(self._side)

    # ------------------------------------------------------------------------------------------------ forward
    def pack(self) -> None:
        """Convert the convolutions' weights to operands, the first stage's first."""
        self._pack(self.stages[0])
        with self._beside():
            for stage in self.stages[1:]:
                self._pack(stage)

    def _pack(self, stage: Stage) -> None:
        rows, forward, backward = self.lanes.rows.weights, stage.tiles.forward, stage.tiles.backward
        self.start(
            update.pack_kernel, (self.k, 3 * stage.layers, 2), rows, stage.first, rows.stride(0), stage.step,
            *stage.operands, C=stage.channels, PF=forward.p, PB=backward.p, SF=forward.s, SB=backward.s,
        )  # fmt: skip
        if stage.before:
            self.start(
                update.pack_strided_kernel, (self.k, 9), rows, stage.entry, rows.stride(0), *stage.entry_operands,
                C=stage.channels,
            )  # fmt: skip

    def forward(self, order: Tensor, position: Tensor, *, evaluating: bool) -> None:
        """Run all convolutions. If ``evaluating``, BatchNorm uses its running statistics."""
        for stage in self.stages:
            if stage.before:
                if not evaluating:
                    self._joined()  # operands are packed
                self._strided(stage, stage.before, evaluating)
            else:
                self._stem(stage, order, position, evaluating)
            for layer in range(1, stage.layers + 1):
                self._layer(stage, layer, evaluating)
            if stage is not self.stages[-1]:  # whose output the head computes
                self._activate(stage)

    def _stem(self, stage: Stage, order: Tensor, position: Tensor, evaluating: bool) -> None:
        rows = self.lanes.rows.weights
        self.start(
            ends.stem_forward_kernel, (self.n, self.k), self.count, *self._images(order, position), rows,
            stage.entry, rows.stride(0), stage.y[0], self.sums, N=self.n, M=STEM_PIXELS, EVAL=evaluating,
        )  # fmt: skip
        self._norm_forward(stage, 0, 1, 1, 1, evaluating)

    def _images(self, order: Tensor, position: Tensor) -> tuple[Any, ...]:
        """Arguments of `ends.place` and `ends.taps_of`."""
        images = self.lanes.images
        return images.images, images.mean, images.scale, order, position, self.k, order.shape[-1]

    def _strided(self, stage: Stage, before: Stage, evaluating: bool) -> None:
        self.start(
            strided.strided_forward_kernel, (-(-self.n // STRIDED_IMAGES), self.k), self.count, before.output,
            stage.entry_operands[0], stage.y[0], self.sums,
            N=self.n, SIDE=stage.side, C=stage.channels, IMG=STRIDED_IMAGES, M=STRIDED_PIXELS,
        )  # fmt: skip
        self._norm_forward(stage, 0, STRIDED_IMAGES, 1, 1, evaluating)

    def _layer(self, stage: Stage, layer: int, evaluating: bool) -> None:
        tile, y, bn = stage.tiles.forward, stage.y[layer - 1], stage.norms[layer - 1].scalars
        shortcut, act, mode = y, y, 1
        if stage.block_begins(layer):
            act = stage.inputs[layer]
            if layer > stage.begins:
                shortcut, mode = stage.inputs[layer - 2], 2
            elif stage.before:
                shortcut, mode = stage.before.output, 4
            else:  # behind the stem
                mode = 3
        self.start(
            convolution.forward_kernel, (tile.programs(self.n, stage.side), self.k), self.count, y, shortcut, act,
            bn, stage.operands[0][layer - 1], stage.y[layer], self.sums, 1.0, MODE=mode, **self._of(stage, tile),
        )  # fmt: skip
        self._norm_forward(stage, layer, tile.images(stage.side), tile.strips(stage.side), tile.p, evaluating)

    def _of(self, stage: Stage, tile: Tile) -> dict[str, int]:
        """Sizes of `convolution`'s kernels."""
        c = stage.channels
        return {
            "N": self.n, "H": stage.side, "W": stage.side, "C": c, "P": tile.p, "S": tile.s, "KW": tile.kw(c),
            "NW": tile.nw(c), "M": tile.rows, "HS": tile.height, "G": tile.groups, "warps": tile.warps,
            "registers": tile.registers,
        }  # fmt: skip

    def _activate(self, stage: Stage) -> None:
        """Compute a stage's output, the next one's input."""
        block, last = 4096 // stage.channels, stage.layers
        self.start(
            norm.activation_kernel, (-(-self.n * stage.side**2 // block), self.k), self.count, stage.y[last],
            stage.norms[last].scalars, stage.inputs[last - 1], stage.output,
            N=self.n, PIXELS=stage.side**2, C=stage.channels, BM=block,
        )  # fmt: skip

    def _norm_forward(self, stage: Stage, layer: int, images: int, strips: int, px: int, evaluating: bool) -> None:
        if evaluating:
            return
        own, rows, moved = stage.norms[layer], self.lanes.rows.weights, self.lanes.rows.statistics
        self.start(
            norm.forward_kernel, (self.k,), self.count, self.sums, rows, own.at, rows.stride(0), moved, own.moved,
            moved.stride(0), own.scalars, **self._summed(stage, images, strips, px),
        )  # fmt: skip

    def _summed(self, stage: Stage, images: int, strips: int, px: int) -> dict[str, int]:
        """Sizes for adding up the sums of programs, of which ``strips`` share the same ``images``."""
        return {
            "PIXELS": stage.side**2, "PROGS": -(-self.n // images) * strips, "IMAGES": images, "STRIPS": strips,
            "PX": px, "C": stage.channels, "BE": 64,
        }  # fmt: skip

    def _running(self) -> None:
        rows, moved = self.lanes.rows.weights, self.lanes.rows.statistics
        for stage in self.stages:
            for own in stage.norms:
                self.start(
                    norm.running_kernel, (self.k,), self.count, rows, own.at, rows.stride(0), moved, own.moved,
                    moved.stride(0), own.scalars, C=stage.channels,
                )  # fmt: skip

    def head(self, order: Tensor, position: Tensor, *, evaluating: bool) -> None:
        """Compute the loss from the last activation and, in training, gradients back to the last BatchNorm."""
        stage, rows, lanes = self.stages[-1], self.lanes.rows.weights, self.lanes
        last = stage.layers
        self.start(
            ends.head_kernel, (-(-self.n // HEAD_IMAGES), self.k), self.count, stage.y[last],
            stage.norms[last].scalars, stage.inputs[last - 1], rows, self.layout.linear, rows.stride(0), order,
            position, order.shape[-1], lanes.labels, stage.gz[last], self.sums, self.head_dw, self.tally,
            N=self.n, HW=stage.side**2, D=stage.channels, CLASSES=CLASSES, J=CLASS_ROWS, IMG=HEAD_IMAGES,
            EVAL=evaluating,
        )  # fmt: skip
        if not evaluating:
            self._norm_backward(stage, last, HEAD_IMAGES, 1, 1)

    def _tally(self, position: Tensor, correct: Tensor, *, evaluating: bool) -> None:
        programs = self.tally.shape[1]
        self.start(
            ends.tally_kernel, (self.k,), self.count, self.tally, position, self.lanes.loss_sum, correct,
            PROGS=programs, IMG=HEAD_IMAGES, BP=triton.next_power_of_2(programs), EVAL=evaluating,
        )  # fmt: skip

    # ----------------------------------------------------------------------------------------------- backward
    def backward(self) -> None:
        """Compute the gradients of all weights; what activations' gradients do not need, on a side stream."""
        with self._beside():
            self._sum(self.head_dw, self.layout.linear, HEAD_IMAGES, HEAD_NUMBERS, kind=2)
        for stage in self.stages[::-1]:
            for layer in range(stage.layers, 0, -1):
                self._layer_backward(stage, layer)
            if stage.before:
                self._strided_backward(stage, stage.before)
            with self._beside():
                tile, c = stage.weights_tile, stage.channels
                images, strips = tile.images(stage.side), tile.strips(stage.side)
                self._sum(stage.dw, stage.first, images, 9 * c * c, 0, strips, stage.step, C=c, P=tile.p, S=tile.s)
        self._stem_backward(self.stages[0])
        self._sum(self.stem_dw, self.stages[0].entry, STEM_IMAGES, 16 * 27, kind=1)
        self._joined()

    def _norm_backward(self, stage: Stage, layer: int, images: int, strips: int, px: int) -> None:
        own, rows = stage.norms[layer], self.lanes.rows.gradients
        self.start(
            norm.backward_kernel, (self.k,), self.count, self.sums, rows, own.at, rows.stride(0), own.scalars,
            **self._summed(stage, images, strips, px),
        )  # fmt: skip

    def _layer_backward(self, stage: Stage, layer: int) -> None:
        tile, weights = stage.tiles.backward, stage.tiles.weights
        gz, y, bn, dw = stage.gz[layer], stage.y[layer], stage.norms[layer].scalars, stage.dw[layer - 1]
        before, before_bn = stage.y[layer - 1], stage.norms[layer - 1].scalars
        a, skip, mode = before, before, 1
        if stage.block_begins(layer):
            a, skip, mode = stage.inputs[layer], stage.gz[layer + 1], 0
        if weights:
            with self._beside():
                self.start(
                    convolution_weights.weights_kernel, (weights.programs(self.n, stage.side) * weights.s, self.k),
                    self.count, gz, y, bn, a, before_bn, dw, MODE=mode, **self._of(stage, weights),
                )  # fmt: skip
        self.start(
            convolution.backward_kernel, (tile.programs(self.n, stage.side), self.k), self.count, gz, y, bn,
            stage.operands[1][layer - 1], a, before_bn, before, skip, stage.gz[layer - 1], self.sums, dw, 1.0,
            MODE=mode, DW=not weights, **self._of(stage, tile),
        )  # fmt: skip
        self._norm_backward(stage, layer - 1, tile.images(stage.side), tile.strips(stage.side), tile.p)

    def _strided_backward(self, stage: Stage, before: Stage) -> None:
        gz, y, bn, last = stage.gz[0], stage.y[0], stage.norms[0].scalars, before.layers
        sizes = {"N": self.n, "SIDE": stage.side, "C": stage.channels, "M": STRIDED_PIXELS}
        with self._beside():
            self.start(
                strided.strided_weights_kernel, (3 * stage.entry_dw.shape[1], self.k), self.count, gz, y, bn,
                before.output, stage.entry_dw, IMG=STRIDED_WEIGHTS, **sizes,
            )  # fmt: skip
            self._sum(stage.entry_dw, stage.entry, STRIDED_WEIGHTS, stage.entry_dw.shape[2], kind=2)
        self.start(
            strided.strided_backward_kernel, (-(-self.n // STRIDED_IMAGES), self.k), self.count, gz, y, bn,
            stage.entry_operands[1], stage.gz[1], before.output, before.y[last], before.gz[last], self.sums,
            IMG=STRIDED_IMAGES, registers=STRIDED_REGISTERS.get(stage.channels, 0), **sizes,
        )  # fmt: skip
        self._norm_backward(before, last, STRIDED_IMAGES, 1, 2)

    def _stem_backward(self, stage: Stage) -> None:
        lanes = self.lanes
        self.start(
            ends.stem_weights_kernel, (self.stem_dw.shape[1], self.k), self.count,
            *self._images(lanes.order, lanes.position), stage.gz[0], stage.y[0], stage.norms[0].scalars,
            self.stem_dw, N=self.n, M=STEM_PIXELS, IMG=STEM_IMAGES,
        )  # fmt: skip

    def _sum(
        self, dw: Tensor, at: int, images: int, numbers: int, kind: int, strips: int = 1, step: int = 0,
        C: int = 16, P: int = 1, S: int = 1,
    ) -> None:  # fmt: skip
        """Add up the parts ``dw`` [.., K, programs, SIZE] of all layers into ``numbers`` gradients at ``at``."""
        rows, (programs, size) = self.lanes.rows.gradients, dw.shape[-2:]
        layers = dw.numel() // (self.k * programs * size)
        self.start(
            update.sum_kernel, (self.k, -(-numbers // SUMMED), layers), self.count, dw, rows, at, rows.stride(0),
            step, PROGS=programs, IMAGES=images, STRIPS=strips, SIZE=size, OUT=numbers,
            KIND=kind, C=C, P=P, S=S, BP=8, BE=SUMMED,
        )  # fmt: skip

    def update(self) -> None:
        """Eq. 1 and the masks."""
        rows, recipe, size = self.lanes.rows, self.lanes.recipe, self.layout.size
        self.start(
            update.update_kernel, (-(-size // ELEMENTS), self.k), self.count, rows.weights, rows.momentum,
            rows.gradients, rows.mask, self.lanes.rate, rows.weights.stride(0), size, recipe.weight_decay,
            recipe.momentum, BE=ELEMENTS,
        )  # fmt: skip
