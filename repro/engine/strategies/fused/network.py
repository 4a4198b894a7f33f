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
from repro.engine.strategies.fused.layout import STRIDED_WEIGHTS, TILES, Stage, StageTiles, Tile, stages_of

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


def launch(kernel: Any, grid: tuple[int, ...], *args: Any, **sizes: int) -> None:
    """Start ``kernel`` on the current stream; with ``PDL`` as soon as the launch before allows (`order.begin`)."""
    kernel[grid](*args, **options(sizes))


def options(sizes: Mapping[str, int]) -> dict[str, Any]:
    """Return the ``sizes`` of a launch as Triton takes them, ``warps`` and ``registers`` by its own names."""
    rest: dict[str, Any] = dict(sizes)
    named = {"num_stages": 1, "num_warps": rest.pop("warps", 4)}
    if registers := rest.pop("registers", 0):
        named["maxnreg"] = registers
    if rest.get("PDL"):
        named["launch_pdl"] = True
    return rest | named


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
        self.lanes, self.k, self.n, self.rows = lanes, len(lanes), lanes.recipe.batch_size, lanes.rows
        self.stride, self.size = lanes.rows.weights.stride(0), lanes.rows.weights.shape[1]
        self.linear = self.size - HEAD_NUMBERS  # the linear layer is the last in a row
        self.start = functools.partial(start, PDL=1) if pdl else start
        device = lanes.device
        self._side = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.stages = stages_of(lanes.arch, self.k, self.n, tiles, dtype, device)
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
        """Compute forward, backward and Eq. 1 for every lane with a count, on the next images of its epoch."""
        self.pack()
        self.forward()
        self.backward()
        self.update()
        self.add_up()

    def prepare_evaluation(self) -> None:
        """Compute what `evaluate` needs of the weights and running statistics of every lane with a count."""
        self.pack()
        rows, moved = self.rows.weights, self.rows.statistics
        for stage in self.stages:
            for own in stage.norms:
                self.start(
                    norm.running_kernel, (self.k,), self.count, rows, own.at, self.stride, moved, own.moved,
                    moved.stride(0), own.scalars, C=stage.channels,
                )  # fmt: skip
        self._joined()

    def evaluate(self) -> None:
        """Count correct answers among the next test images of every lane with a count."""
        self.forward(evaluating=True)
        self.add_up(evaluating=True)

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
                self.start(
                    update.pack_strided_kernel, (self.k, 9), self.rows.weights, stage.entry, self.stride,
                    *stage.entry_operands, C=stage.channels,
                )  # fmt: skip

    def _pack(self, stage: Stage) -> None:
        ahead, back = stage.tiles.forward, stage.tiles.backward
        self.start(
            update.pack_kernel, (self.k, 3 * stage.layers, 2), self.rows.weights, stage.first, self.stride,
            stage.step, *stage.operands, C=stage.channels, PF=ahead.p, PB=back.p, SF=ahead.s, SB=back.s,
        )  # fmt: skip

    def forward(self, *, evaluating: bool = False) -> None:
        """Run all layers and compute the loss and, in training, its gradient behind the last BatchNorm. If
        ``evaluating``, BatchNorm uses its running statistics."""
        lanes, rows, first, last = self.lanes, self.rows.weights, self.stages[0], self.stages[-1]
        order, position = (
            (lanes.eval_indices, lanes.eval_position) if evaluating else (lanes.order, lanes.position)
        )
        self.start(
            ends.stem_forward_kernel, (self.n, self.k), self.count, *self._images(order, position), rows,
            first.entry, self.stride, first.y[0], self.sums, N=self.n, M=STEM_PIXELS, EVAL=evaluating,
        )  # fmt: skip
        if not evaluating:
            self._norm(first, 0, 1)
        for stage in self.stages:
            if stage.before:
                self._strided(stage, stage.before, evaluating)
            for layer in range(1, stage.layers + 1):
                self._layer(stage, layer, evaluating)
        end = last.layers
        self.start(
            ends.head_kernel, (-(-self.n // HEAD_IMAGES), self.k), self.count, last.y[end],
            last.norms[end].scalars, last.inputs[end - 1], rows, self.linear, self.stride, order, position,
            order.shape[-1], lanes.labels, last.gz[end], self.sums, self.head_dw, self.tally,
            N=self.n, HW=last.side**2, D=last.channels, CLASSES=CLASSES, J=CLASS_ROWS, IMG=HEAD_IMAGES,
            EVAL=evaluating,
        )  # fmt: skip
        if not evaluating:
            self._norm(last, end, HEAD_IMAGES, backward=True)

    def _images(self, order: Tensor, position: Tensor) -> tuple[Any, ...]:
        """Return the arguments of `ends.place` and `ends.taps_of`."""
        images = self.lanes.images
        return images.images, images.mean, images.scale, order, position, self.k, order.shape[-1]

    def _strided(self, stage: Stage, before: Stage, evaluating: bool) -> None:
        """Compute the output of ``before``, and the first convolution of ``stage``."""
        block, last = 4096 // before.channels, before.layers
        self.start(
            norm.activation_kernel, (-(-self.n * before.side**2 // block), self.k), self.count, before.y[last],
            before.norms[last].scalars, before.inputs[last - 1], before.output,
            N=self.n, PIXELS=before.side**2, C=before.channels, BM=block,
        )  # fmt: skip
        if not evaluating:
            self._joined()  # operands are packed
        self.start(
            strided.strided_forward_kernel, (-(-self.n // STRIDED_IMAGES), self.k), self.count, before.output,
            stage.entry_operands[0], stage.y[0], self.sums,
            N=self.n, SIDE=stage.side, C=stage.channels, IMG=STRIDED_IMAGES, M=STRIDED_PIXELS,
        )  # fmt: skip
        if not evaluating:
            self._norm(stage, 0, STRIDED_IMAGES)

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
        if not evaluating:
            self._norm(stage, layer, *tile.shared(stage.side))

    def _of(self, stage: Stage, tile: Tile) -> dict[str, int]:
        """Return the sizes of `convolution`'s kernels."""
        c = stage.channels
        return {
            "N": self.n, "H": stage.side, "W": stage.side, "C": c, "P": tile.p, "S": tile.s, "KW": tile.kw(c),
            "NW": tile.nw(c), "M": tile.rows, "HS": tile.height, "G": tile.groups, "warps": tile.warps,
            "registers": tile.registers,
        }  # fmt: skip

    def _norm(
        self, stage: Stage, layer: int, images: int, strips: int = 1, px: int = 1, *, backward: bool = False
    ) -> None:
        """Add up the sums of programs, of which ``strips`` share the same ``images``, to BatchNorm's numbers."""
        own, rows, moved = stage.norms[layer], self.rows, self.rows.statistics
        kernel, row, also = norm.backward_kernel, rows.gradients, list[Any]()
        if not backward:
            kernel, row, also = norm.forward_kernel, rows.weights, [moved, own.moved, moved.stride(0)]
        self.start(
            kernel, (self.k,), self.count, self.sums, row, own.at, self.stride, *also, own.scalars,
            PIXELS=stage.side**2, PROGS=-(-self.n // images) * strips, IMAGES=images, STRIPS=strips, PX=px,
            C=stage.channels, BE=64,
        )  # fmt: skip

    def add_up(self, *, evaluating: bool = False) -> None:
        """Move positions on, and add up losses and correct answers."""
        lanes, programs = self.lanes, self.tally.shape[1]
        position, correct = (
            (lanes.eval_position, lanes.eval_correct) if evaluating else (lanes.position, lanes.correct)
        )
        self.start(
            ends.tally_kernel, (self.k,), self.count, self.tally, position, lanes.loss_sum, correct,
            PROGS=programs, IMG=HEAD_IMAGES, BP=triton.next_power_of_2(programs), EVAL=evaluating,
        )  # fmt: skip

    # ----------------------------------------------------------------------------------------------- backward
    def backward(self) -> None:
        """Compute the gradients of all weights; what activations' gradients do not need, on a side stream."""
        lanes, first = self.lanes, self.stages[0]
        with self._beside():
            self._sum(self.head_dw, self.linear, HEAD_IMAGES, HEAD_NUMBERS, kind=2)
        for stage in self.stages[::-1]:
            for layer in range(stage.layers, 0, -1):
                self._layer_backward(stage, layer)
            if stage.before:
                self._strided_backward(stage, stage.before)
            with self._beside():
                tile, c = stage.weights_tile, stage.channels
                images, strips, px = tile.shared(stage.side)
                self._sum(stage.dw, stage.first, images, 9 * c * c, 0, strips, stage.step, C=c, P=px, S=tile.s)
        self.start(
            ends.stem_weights_kernel, (self.stem_dw.shape[1], self.k), self.count,
            *self._images(lanes.order, lanes.position), first.gz[0], first.y[0], first.norms[0].scalars,
            self.stem_dw, N=self.n, M=STEM_PIXELS, IMG=STEM_IMAGES,
        )  # fmt: skip
        self._sum(self.stem_dw, first.entry, STEM_IMAGES, 16 * 27, kind=1)
        self._joined()

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
        self._norm(stage, layer - 1, *tile.shared(stage.side), backward=True)

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
        self._norm(before, last, STRIDED_IMAGES, px=2, backward=True)

    def _sum(
        self, dw: Tensor, at: int, images: int, numbers: int, kind: int, strips: int = 1, step: int = 0,
        C: int = 16, P: int = 1, S: int = 1,
    ) -> None:  # fmt: skip
        """Add up the parts ``dw`` [.., K, programs, SIZE] of all layers into ``numbers`` gradients at ``at``."""
        programs, size = dw.shape[-2:]
        layers = dw.numel() // (self.k * programs * size)
        self.start(
            update.sum_kernel, (self.k, -(-numbers // SUMMED), layers), self.count, dw, self.rows.gradients, at,
            self.stride, step, PROGS=programs, IMAGES=images, STRIPS=strips, SIZE=size, OUT=numbers,
            KIND=kind, C=C, P=P, S=S, BP=8, BE=SUMMED,
        )  # fmt: skip

    def update(self) -> None:
        """Apply Eq. 1 and the masks."""
        rows, recipe = self.rows, self.lanes.recipe
        self.start(
            update.update_kernel, (-(-self.size // ELEMENTS), self.k), self.count, rows.weights, rows.momentum,
            rows.gradients, rows.mask, self.lanes.rate, self.stride, self.size, recipe.weight_decay,
            recipe.momentum, BE=ELEMENTS,
        )  # fmt: skip
