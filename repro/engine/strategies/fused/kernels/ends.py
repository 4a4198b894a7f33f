"""Triton kernels for both ends of a network, for all lanes: from images as bytes to the first convolution, and
from the last activation to loss, correct answers and gradient.

Images are uint8 [P, 40, 40, 3], padded. ``order`` int64 [4, K, places] has the index, the top and left of the crop
and whether it is mirrored, for each image of an epoch; the batch starts at ``position`` [K]. In evaluation
``order`` is [K, places], and crops are centred. Pixels are normalised when they are loaded and rounded to bf16, as
autocast does.
"""

from __future__ import annotations

import triton
import triton.language as tl

from repro.engine.strategies.fused.kernels.convolution import behind_norm, by_eights, columns
from repro.engine.strategies.fused.kernels.order import begin

PAD = tl.constexpr(4)
SIDE = tl.constexpr(32)
PIXELS = tl.constexpr(32 * 32)
WIDE = tl.constexpr(40)
C = tl.constexpr(16)
TAPS = tl.constexpr(27)  # (ky * 3 + kx) * 3 + colour, of 32


@triton.jit
def place(order_ptr, position, lane, n, lanes, places, EVAL: tl.constexpr):
    """Index, top, left and flip of image ``n`` of the batch."""
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
def normalisation(mean_ptr, scale_ptr):
    """Factor and shift that normalise a byte of each tap's colour, float32 [1, 32]."""
    colour = tl.arange(0, 32) % 3
    scale = tl.load(scale_ptr + colour)[None, :]
    return scale, -tl.load(mean_ptr + colour)[None, :] * scale


@triton.jit
def taps_of(images_ptr, scale, shift, index, top, left, flip, pixel, DTYPE: tl.constexpr):
    """The 3x3 pixels around each ``pixel`` [M] of one image, bf16 [M, 32], zero outside it."""
    k = tl.arange(0, 32)
    tap = k // 3
    h = pixel[:, None] // SIDE + (tap // 3 - 1)[None, :]
    w = pixel[:, None] % SIDE + (tap % 3 - 1)[None, :]
    ok = (h >= 0) & (h < SIDE) & (w >= 0) & (w < SIDE) & (k < TAPS)[None, :]
    column = left + tl.where(flip == 1, SIDE - 1 - w, w)
    off = ((index * WIDE + top + h) * WIDE + column) * 3 + (k % 3)[None, :]
    # 2^23 + byte, by its bits: a GPU converts integers at a quarter of the speed of additions.
    byte = tl.load(images_ptr + off, mask=ok, other=0).to(tl.int32) | 0x4B000000
    byte = byte.to(tl.float32, bitcast=True) - 8388608.0
    return (byte * scale + tl.where(ok, shift, 0.0)).to(DTYPE)


@triton.jit(do_not_specialize=["lanes", "places", "at", "stride"], do_not_specialize_on_alignment=["position_ptr"])
def stem_forward_kernel(
    count_ptr, images_ptr, mean_ptr, scale_ptr, order_ptr, position_ptr, lanes, places,
    weights_ptr, at, stride, y_ptr, part_ptr, N: tl.constexpr, M: tl.constexpr, EVAL: tl.constexpr,
    PDL: tl.constexpr = False,
):  # fmt: skip
    """Compute y bf16 [K, N, 32, 32, 16] and its sums, an image a program. ``weights`` float32 [K, stride] has [16,
    27] at ``at``."""
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
    scale, shift = normalisation(mean_ptr, scale_ptr)
    s1 = tl.zeros([M // 16, 8, C], tl.float32)
    s2 = tl.zeros([M // 16, 8, C], tl.float32)
    for tile in range(PIXELS // M):
        pixel = tile * M + tl.arange(0, M)
        x = taps_of(images_ptr, scale, shift, index, top, left, flip, pixel, y_ptr.dtype.element_ty)
        out = tl.dot(x, own)
        tl.store(y_ptr + pixel[:, None] * C + c[None, :], out.to(y_ptr.dtype.element_ty))
        s1 += by_eights(out, M, C)
        s2 += by_eights(out * out, M, C)
    part_ptr += (lane * tl.num_programs(0) + n) * (2 * C)
    tl.store(part_ptr + c, columns(s1))
    tl.store(part_ptr + C + c, columns(s2))


@triton.jit(do_not_specialize=["lanes", "places"], do_not_specialize_on_alignment=["position_ptr"])
def stem_weights_kernel(
    count_ptr, images_ptr, mean_ptr, scale_ptr, order_ptr, position_ptr, lanes, places,
    gz_ptr, y_ptr, bn_ptr, dw_ptr, N: tl.constexpr, M: tl.constexpr, IMG: tl.constexpr, PDL: tl.constexpr = False,
):  # fmt: skip
    """Compute the gradient of the weights, ``dw`` float32 [K, programs, 32, 16], ``IMG`` images a program."""
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
    scale, shift = normalisation(mean_ptr, scale_ptr)
    dw = tl.zeros([32, C], tl.float32)
    for n in range(first, tl.minimum(first + IMG, count)):
        index, top, left, flip = place(order_ptr, position, lane, n, lanes, places, False)
        for tile in range(PIXELS // M):
            pixel = tile * M + tl.arange(0, M)
            x = taps_of(images_ptr, scale, shift, index, top, left, flip, pixel, gz_ptr.dtype.element_ty)
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
    """Compute the mean over pixels, the linear layer and cross entropy in float32, and in training their
    gradients.

    Reads y and the shortcut ``res`` bf16 [K, N, HW, D]. Writes ``tally`` [K, programs, 2] (loss, correct answers),
    the gradient ``gz`` behind the last BatchNorm and its sums, and ``dw`` [K, programs, CLASSES (D + 1)], the
    gradient of the linear layer's weight, then of its bias."""
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
    """Add the batch's loss (float64) and correct answers to each lane's, and advance its position."""
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
