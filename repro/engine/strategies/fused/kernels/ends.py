"""Triton kernels for both ends of a network, in all lanes: from images as bytes to the first convolution, and
from the last activation to loss, right answers and gradient.

Images are uint8 [P, 40, 40, 3], padded; ``order`` int64 [4, K, places] says which, where they are cropped (top,
left) and whether they are mirrored, from ``position`` [K] on; in evaluation ``order`` is [K, places] and all are
cropped in the middle. A pixel is normalised as it is loaded and rounded to bf16, as autocast does.
"""

from __future__ import annotations

import triton
import triton.language as tl

from repro.engine.strategies.fused.kernels.convolution import behind_norm
from repro.engine.strategies.fused.kernels.order import begin

PAD = tl.constexpr(4)
SIDE = tl.constexpr(32)
PIXELS = tl.constexpr(32 * 32)
WIDE = tl.constexpr(40)
C = tl.constexpr(16)
TAPS = tl.constexpr(27)  # (ky * 3 + kx) * 3 + colour, of 32


@triton.jit
def place(order_ptr, position, lane, n, lanes, places, EVAL: tl.constexpr):
    """Of image ``n`` of this step: place in the pool, top, left, flip."""
    at = lane.to(tl.int64) * places + position + n
    index = tl.load(order_ptr + at)
    if EVAL:
        top = tl.zeros_like(index) + PAD
        left = tl.zeros_like(index) + PAD
        flip = tl.zeros_like(index)
    else:
        whole = lanes.to(tl.int64) * places
        top = tl.load(order_ptr + whole + at)
        left = tl.load(order_ptr + 2 * whole + at)
        flip = tl.load(order_ptr + 3 * whole + at)
    return index, top, left, flip


@triton.jit
def taps_of(images_ptr, mean_ptr, scale_ptr, index, top, left, flip, pixel, DTYPE: tl.constexpr):
    """The 3x3 pixels around each ``pixel`` [M] of one image, bf16 [M, 32], zero outside it."""
    k = tl.arange(0, 32)
    colour = k % 3
    tap = k // 3
    h = pixel[:, None] // SIDE + (tap // 3 - 1)[None, :]
    w = pixel[:, None] % SIDE + (tap % 3 - 1)[None, :]
    ok = (h >= 0) & (h < SIDE) & (w >= 0) & (w < SIDE) & (k < TAPS)[None, :]
    column = left + tl.where(flip == 1, SIDE - 1 - w, w)
    off = ((index * WIDE + top + h) * WIDE + column) * 3 + colour[None, :]
    value = tl.load(images_ptr + off, mask=ok, other=0).to(tl.float32)
    value = (value - tl.load(mean_ptr + colour)[None, :]) * tl.load(scale_ptr + colour)[None, :]
    return tl.where(ok, value, 0.0).to(DTYPE)


@triton.jit(do_not_specialize=["lanes", "places", "at", "stride"], do_not_specialize_on_alignment=["position_ptr"])
def stem_forward_kernel(
    count_ptr, images_ptr, mean_ptr, scale_ptr, order_ptr, position_ptr, lanes, places,
    weights_ptr, at, stride, y_ptr, part_ptr, N: tl.constexpr, M: tl.constexpr, EVAL: tl.constexpr,
    PDL: tl.constexpr = False,
):  # fmt: skip
    """y bf16 [K, N, 32, 32, 16] and its sums; ``weights`` float32 [K, stride], [16, 27] at ``at``. An image a
    program."""
    begin(PDL)
    lane = tl.program_id(1)
    n = tl.program_id(0)
    if n >= tl.load(count_ptr + lane):
        return
    index, top, left, flip = place(order_ptr, tl.load(position_ptr + lane), lane, n, lanes, places, EVAL)
    k = tl.arange(0, 32)
    c = tl.arange(0, C)
    weights_ptr += lane.to(tl.int64) * stride + at
    own = tl.load(weights_ptr + c[None, :] * TAPS + k[:, None], mask=(k < TAPS)[:, None], other=0.0)
    own = own.to(y_ptr.dtype.element_ty)
    y_ptr += (lane.to(tl.int64) * N + n) * (PIXELS * C)
    s1 = tl.zeros([M, C], tl.float32)
    s2 = tl.zeros([M, C], tl.float32)
    for tile in range(PIXELS // M):
        pixel = tile * M + tl.arange(0, M)
        x = taps_of(images_ptr, mean_ptr, scale_ptr, index, top, left, flip, pixel, y_ptr.dtype.element_ty)
        out = tl.dot(x, own).to(y_ptr.dtype.element_ty)
        tl.store(y_ptr + pixel[:, None] * C + c[None, :], out)
        o = out.to(tl.float32)
        s1 += o
        s2 += o * o
    part_ptr += (lane * tl.num_programs(0) + n) * (2 * C)
    tl.store(part_ptr + c, tl.sum(s1, axis=0))
    tl.store(part_ptr + C + c, tl.sum(s2, axis=0))


@triton.jit(do_not_specialize=["lanes", "places"], do_not_specialize_on_alignment=["position_ptr"])
def stem_weights_kernel(
    count_ptr, images_ptr, mean_ptr, scale_ptr, order_ptr, position_ptr, lanes, places,
    gz_ptr, y_ptr, bn_ptr, dw_ptr, N: tl.constexpr, M: tl.constexpr, IMG: tl.constexpr, PDL: tl.constexpr = False,
):  # fmt: skip
    """The weights' gradient, ``dw`` [K, programs, 32, 16] float32; ``IMG`` images a program."""
    begin(PDL)
    lane = tl.program_id(1)
    first = tl.program_id(0) * IMG
    count = tl.load(count_ptr + lane)
    if first >= count:
        return
    position = tl.load(position_ptr + lane)
    c = tl.arange(0, C)
    k = tl.arange(0, 32)
    c1 = tl.load(bn_ptr + lane * (7 * C) + 4 * C + c)[None, :]
    c2 = tl.load(bn_ptr + lane * (7 * C) + 5 * C + c)[None, :]
    c3 = tl.load(bn_ptr + lane * (7 * C) + 6 * C + c)[None, :]
    gz_ptr += lane.to(tl.int64) * (N * PIXELS * C)
    y_ptr += lane.to(tl.int64) * (N * PIXELS * C)
    dw = tl.zeros([32, C], tl.float32)
    for n in range(first, tl.minimum(first + IMG, count)):
        index, top, left, flip = place(order_ptr, position, lane, n, lanes, places, False)
        for tile in range(PIXELS // M):
            pixel = tile * M + tl.arange(0, M)
            x = taps_of(images_ptr, mean_ptr, scale_ptr, index, top, left, flip, pixel, gz_ptr.dtype.element_ty)
            off = (pixel + n * PIXELS)[:, None] * C + c[None, :]
            dy = behind_norm(tl.load(gz_ptr + off), tl.load(y_ptr + off), c1, c2, c3, (pixel >= 0)[:, None])
            dw = tl.dot(tl.trans(x), dy, dw)
    dw_ptr += (lane * tl.num_programs(0) + tl.program_id(0)) * (32 * C)
    tl.store(dw_ptr + k[:, None] * C + c[None, :], dw)


@triton.jit(do_not_specialize=["places", "at", "stride"], do_not_specialize_on_alignment=["position_ptr"])
def head_kernel(
    count_ptr, y_ptr, bn_ptr, res_ptr, weights_ptr, at, stride, order_ptr, position_ptr, places, labels_ptr,
    gz_ptr, part_ptr, dw_ptr, tally_ptr,
    N: tl.constexpr, HW: tl.constexpr, D: tl.constexpr, CLASSES: tl.constexpr, J: tl.constexpr, IMG: tl.constexpr,
    EVAL: tl.constexpr, PDL: tl.constexpr = False,
):  # fmt: skip
    """Mean over pixels, linear layer and cross entropy in float32, and, in training, all of their way back.

    Reads y and the shortcut ``res`` bf16 [K, N, HW, D]; leaves ``tally`` [K, programs, 2] (losses, right answers),
    the gradient ``gz`` behind the last BatchNorm with its sums, and ``dw`` [K, programs, CLASSES (D + 1)], that of
    weight, then of bias."""
    begin(PDL)
    lane = tl.program_id(1)
    first = tl.program_id(0) * IMG
    count = tl.load(count_ptr + lane)
    if first >= count:
        return
    position = tl.load(position_ptr + lane)
    labels_ptr += lane.to(tl.int64) * places
    order_ptr += lane.to(tl.int64) * places
    base = lane.to(tl.int64) * (N * HW * D)
    pixel = tl.arange(0, HW)
    d = tl.arange(0, D)
    j = tl.arange(0, J)
    known = j < CLASSES
    scale = tl.load(bn_ptr + lane * (7 * D) + d)[None, :]
    shift = tl.load(bn_ptr + lane * (7 * D) + D + d)[None, :]
    weights_ptr += lane.to(tl.int64) * stride + at
    own = tl.load(weights_ptr + j[:, None] * D + d[None, :], mask=known[:, None], other=0.0)
    bias = tl.load(weights_ptr + CLASSES * D + j, mask=known, other=0.0)
    dw = tl.zeros([J, D], tl.float32)
    db = tl.zeros([J], tl.float32)
    s1 = tl.zeros([D], tl.float32)
    s2 = tl.zeros([D], tl.float32)
    losses = 0.0
    right = 0.0
    for n in range(first, tl.minimum(first + IMG, count)):
        off = base + n * (HW * D) + pixel[:, None] * D + d[None, :]
        y = tl.load(y_ptr + off).to(tl.float32)
        z = y * scale + shift + tl.load(res_ptr + off).to(tl.float32)
        act = tl.maximum(z, 0.0, propagate_nan=tl.PropagateNan.ALL)
        act = act.to(y_ptr.dtype.element_ty).to(tl.float32)
        features = tl.sum(act, axis=0) / HW
        logits = tl.where(known, tl.sum(own * features[None, :], axis=1) + bias, float("-inf"))
        label = tl.load(labels_ptr + tl.load(order_ptr + position + n))
        top = tl.max(logits, axis=0)
        right += tl.where(tl.argmax(logits, axis=0) == label, 1.0, 0.0)
        if not EVAL:
            e = tl.exp(logits - top)
            total = tl.sum(e, axis=0)
            losses += tl.log(total) + top - tl.sum(tl.where(j == label, logits, 0.0), axis=0)
            back = (e / total - tl.where(j == label, 1.0, 0.0)) / count.to(tl.float32)
            dw += back[:, None] * features[None, :]
            db += back
            of_pixel = tl.sum(back[:, None] * own, axis=0) / HW
            out = tl.where(z > 0, of_pixel[None, :], 0.0).to(gz_ptr.dtype.element_ty)
            tl.store(gz_ptr + off, out)
            o = out.to(tl.float32)
            s1 += tl.sum(o, axis=0)
            s2 += tl.sum(o * y, axis=0)
    at_program = lane * tl.num_programs(0) + tl.program_id(0)
    tl.store(tally_ptr + at_program * 2, losses)
    tl.store(tally_ptr + at_program * 2 + 1, right)
    if not EVAL:
        part_ptr += at_program * (2 * D)
        tl.store(part_ptr + d, s1)
        tl.store(part_ptr + D + d, s2)
        dw_ptr += at_program * (CLASSES * (D + 1))
        tl.store(dw_ptr + j[:, None] * D + d[None, :], dw, mask=known[:, None])
        tl.store(dw_ptr + CLASSES * D + j, db, mask=known)


@triton.jit(do_not_specialize_on_alignment=["position_ptr", "loss_ptr", "correct_ptr"])
def tally_kernel(
    count_ptr, tally_ptr, position_ptr, loss_ptr, correct_ptr,
    PROGS: tl.constexpr, IMG: tl.constexpr, BP: tl.constexpr, EVAL: tl.constexpr, PDL: tl.constexpr = False,
):  # fmt: skip
    """Adds a step's losses (float64) and right answers to each lane's, and moves its position on."""
    begin(PDL)
    lane = tl.program_id(0)
    count = tl.load(count_ptr + lane)
    if count == 0:
        return
    p = tl.arange(0, BP)
    ok = p < (count + IMG - 1) // IMG
    tally_ptr += lane * (PROGS * 2)
    right = tl.sum(tl.load(tally_ptr + 2 * p + 1, mask=ok, other=0.0), axis=0)
    tl.store(correct_ptr + lane, tl.load(correct_ptr + lane) + right.to(tl.int64))
    tl.store(position_ptr + lane, tl.load(position_ptr + lane) + count)
    if not EVAL:
        losses = tl.sum(tl.load(tally_ptr + 2 * p, mask=ok, other=0.0).to(tl.float64), axis=0)
        tl.store(loss_ptr + lane, tl.load(loss_ptr + lane) + losses)
