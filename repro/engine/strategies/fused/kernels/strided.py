"""Triton kernels for the first convolution of a stage, 3x3 with stride 2 from C / 2 to C channels, for all lanes.

Input ``a`` bf16 [K, N, 2 SIDE, 2 SIDE, C / 2], output ``y`` bf16 [K, N, SIDE, SIDE, C]. The two input pixels at
columns 2j and 2j + 1 are C contiguous numbers, which meet the weights of kx = 1 and 2 in output pixel j; the
weights of kx = 0 meet the input pixel at column 2j - 1.
"""

from __future__ import annotations

import triton
import triton.language as tl

from repro.engine.strategies.fused.kernels.convolution import behind_norm, by_eights, columns
from repro.engine.strategies.fused.kernels.order import begin


@triton.jit
def gradient_of(gz_ptr, y_ptr, off, ok, c1, c2, c3):
    """The gradient of the raw output at ``off`` [M, C], zero where not ok [M]."""
    ok = ok[:, None]
    gz = tl.load(gz_ptr + off, mask=ok, other=0.0)
    return behind_norm(gz, tl.load(y_ptr + off, mask=ok, other=0.0), c1, c2, c3, ok)


@triton.jit
def strided_forward_kernel(
    count_ptr, a_ptr, w_ptr, y_ptr, part_ptr,
    N: tl.constexpr, SIDE: tl.constexpr, C: tl.constexpr, IMG: tl.constexpr, M: tl.constexpr,
    PDL: tl.constexpr = False,
):  # fmt: skip
    """Compute y and its sums. Weights are bf16 [K, 3, 3, C / 2, C]. A program takes ``IMG`` images, ``M`` output
    pixels at a time."""
    begin(PDL)
    lane = tl.program_id(1)
    first = tl.program_id(0) * IMG
    count = tl.load(count_ptr + lane)
    if first >= count:
        return
    CI: tl.constexpr = C // 2
    PIXELS: tl.constexpr = SIDE * SIDE
    ROW: tl.constexpr = 2 * SIDE * CI
    a_ptr += lane.to(tl.int64) * (N * 4 * PIXELS * CI)
    y_ptr += lane.to(tl.int64) * (N * PIXELS * C)
    ci = tl.arange(0, CI)
    c = tl.arange(0, C)
    w_ptr += lane * (9 * CI * C)
    left = w_ptr + (ci[:, None] * C + c[None, :])  # kx = 0; a kernel row further: 3 * CI * C
    pair = w_ptr + (CI * C + c[:, None] * C + c[None, :])  # kx = 1, 2
    left0 = tl.load(left)
    left1 = tl.load(left + 3 * CI * C)
    left2 = tl.load(left + 6 * CI * C)
    pair0 = tl.load(pair)
    pair1 = tl.load(pair + 3 * CI * C)
    pair2 = tl.load(pair + 6 * CI * C)
    s1 = tl.zeros([M // 16, 8, C], tl.float32)
    s2 = tl.zeros([M // 16, 8, C], tl.float32)
    for tile in range(IMG * PIXELS // M):
        pixel = first * PIXELS + tile * M + tl.arange(0, M)
        here = pixel < count * PIXELS
        top = here & (pixel // SIDE % SIDE > 0)
        inner = pixel % SIDE > 0
        at = pixel // SIDE * (2 * ROW) + pixel % SIDE * C  # of (2i, 2j); pixel // SIDE: rows of all images
        at2 = a_ptr + (at[:, None] + c[None, :])
        at1 = a_ptr + (at[:, None] + (ci[None, :] - CI))
        x0 = tl.load(at2 - ROW, mask=top[:, None], other=0.0)
        x1 = tl.load(at2, mask=here[:, None], other=0.0)
        x2 = tl.load(at2 + ROW, mask=here[:, None], other=0.0)
        l0 = tl.load(at1 - ROW, mask=(top & inner)[:, None], other=0.0)
        l1 = tl.load(at1, mask=(here & inner)[:, None], other=0.0)
        l2 = tl.load(at1 + ROW, mask=(here & inner)[:, None], other=0.0)
        acc = tl.dot(x0, pair0)
        acc = tl.dot(x1, pair1, acc)
        acc = tl.dot(x2, pair2, acc)
        acc = tl.dot(l0, left0, acc)
        acc = tl.dot(l1, left1, acc)
        acc = tl.dot(l2, left2, acc)
        tl.store(y_ptr + (pixel[:, None] * C + c[None, :]), acc.to(y_ptr.dtype.element_ty), mask=here[:, None])
        s1 += by_eights(acc, M, C)
        s2 += by_eights(acc * acc, M, C)
    part_ptr += (lane * tl.num_programs(0) + tl.program_id(0)) * (2 * C)
    tl.store(part_ptr + c, columns(s1))
    tl.store(part_ptr + C + c, columns(s2))


@triton.jit
def strided_backward_kernel(
    count_ptr, gz_ptr, y_ptr, bn_ptr, w_ptr, skip_ptr, a_ptr, yp_ptr, gx_ptr, part_ptr,
    N: tl.constexpr, SIDE: tl.constexpr, C: tl.constexpr, IMG: tl.constexpr, M: tl.constexpr,
    PDL: tl.constexpr = False,
):  # fmt: skip
    """Compute the gradient behind the BatchNorm before ``a`` (its input is yp), masked by its ReLU, and its sums,
    [2, 2, C / 2] a program.

    The gradient of the input pixels at (2i, 2j) and (2i, 2j + 1) comes from the output pixel at (i, j) and, for
    the second one, from (i, j + 1); that of the pair below also from row i + 1. The weights are bf16 [K, 3, 2, C,
    C]: for each ky those from an output pixel to its own pair (kx = 1 | 2) and to the pair on its left (0 | kx =
    0). ``skip`` [K, N, SIDE, SIDE, C], the gradient of the shortcut, is added to the pixels that the shortcut
    took."""
    begin(PDL)
    lane = tl.program_id(1)
    first = tl.program_id(0) * IMG
    count = tl.load(count_ptr + lane)
    if first >= count:
        return
    PIXELS: tl.constexpr = SIDE * SIDE
    ROW: tl.constexpr = SIDE * C
    base = lane.to(tl.int64) * (N * PIXELS * C)
    gz_ptr += base
    y_ptr += base
    skip_ptr += base
    a_ptr += 2 * base
    yp_ptr += 2 * base
    gx_ptr += 2 * base
    c = tl.arange(0, C)
    c1 = tl.load(bn_ptr + lane * (7 * C) + 4 * C + c)[None, :]
    c2 = tl.load(bn_ptr + lane * (7 * C) + 5 * C + c)[None, :]
    c3 = tl.load(bn_ptr + lane * (7 * C) + 6 * C + c)[None, :]
    w = w_ptr + (lane * (6 * C * C) + c[:, None] * C + c[None, :])
    below0 = tl.load(w)
    both0 = tl.load(w + C * C)
    own1 = tl.load(w + 2 * C * C)
    right1 = tl.load(w + 3 * C * C)
    own2 = tl.load(w + 4 * C * C)
    right2 = tl.load(w + 5 * C * C)
    s1 = tl.zeros([M // 16, 8, C], tl.float32)
    s2 = tl.zeros([M // 16, 8, C], tl.float32)
    for tile in range(IMG * PIXELS // M):
        pixel = first * PIXELS + tile * M + tl.arange(0, M)
        here = pixel < count * PIXELS
        right = here & (pixel % SIDE < SIDE - 1)
        below = here & (pixel // SIDE % SIDE < SIDE - 1)
        off = pixel[:, None] * C + c[None, :]
        at = (pixel // SIDE * (2 * ROW) + pixel % SIDE * C)[:, None] + c[None, :]
        dy = gradient_of(gz_ptr, y_ptr, off, here, c1, c2, c3)
        dy_right = gradient_of(gz_ptr, y_ptr, off + C, right, c1, c2, c3)
        ok = here[:, None]
        a = tl.load(a_ptr + at, mask=ok, other=0.0)
        yp = tl.load(yp_ptr + at, mask=ok, other=0.0)
        a_next = tl.load(a_ptr + (at + ROW), mask=ok, other=0.0)
        yp_next = tl.load(yp_ptr + (at + ROW), mask=ok, other=0.0)
        # The middle half of the shortcut's channels comes from the pixel at (2i, 2j).
        acc = tl.load(skip_ptr + (off + C // 4), mask=ok & (c < C // 2)[None, :], other=0.0).to(tl.float32)
        acc = tl.dot(dy, own1, acc)
        acc = tl.dot(dy_right, right1, acc)
        o = tl.where(a.to(tl.float32) > 0, acc, 0.0)
        tl.store(gx_ptr + at, o.to(gx_ptr.dtype.element_ty), mask=ok)
        s1 += by_eights(o, M, C)
        s2 += by_eights(o * yp.to(tl.float32), M, C)
        dy_below = gradient_of(gz_ptr, y_ptr, off + ROW, below, c1, c2, c3)
        dy_both = gradient_of(gz_ptr, y_ptr, off + (ROW + C), right & below, c1, c2, c3)
        acc = tl.dot(dy, own2)
        acc = tl.dot(dy_right, right2, acc)
        acc = tl.dot(dy_below, below0, acc)
        acc = tl.dot(dy_both, both0, acc)
        o = tl.where(a_next.to(tl.float32) > 0, acc, 0.0)
        tl.store(gx_ptr + (at + ROW), o.to(gx_ptr.dtype.element_ty), mask=ok)
        s1 += by_eights(o, M, C)
        s2 += by_eights(o * yp_next.to(tl.float32), M, C)
    part_ptr += (lane * tl.num_programs(0) + tl.program_id(0)) * (2 * C)
    tl.store(part_ptr + c, columns(s1))
    tl.store(part_ptr + C + c, columns(s2))


@triton.jit
def strided_weights_kernel(
    count_ptr, gz_ptr, y_ptr, bn_ptr, a_ptr, dw_ptr,
    N: tl.constexpr, SIDE: tl.constexpr, C: tl.constexpr, IMG: tl.constexpr, M: tl.constexpr,
    PDL: tl.constexpr = False,
):  # fmt: skip
    """Compute the gradient of the weights, one kernel row (ky) a program: ``dw`` [K, programs, C, 9, C / 2]
    float32."""
    begin(PDL)
    lane = tl.program_id(1)
    first = tl.program_id(0) // 3 * IMG
    ky = tl.program_id(0) % 3
    count = tl.load(count_ptr + lane)
    if first >= count:
        return
    CI: tl.constexpr = C // 2
    PIXELS: tl.constexpr = SIDE * SIDE
    ROW: tl.constexpr = 2 * SIDE * CI
    gz_ptr += lane.to(tl.int64) * (N * PIXELS * C)
    y_ptr += lane.to(tl.int64) * (N * PIXELS * C)
    a_ptr += lane.to(tl.int64) * (N * 4 * PIXELS * CI) + (ky - 1) * ROW
    ci = tl.arange(0, CI)
    c = tl.arange(0, C)
    c1 = tl.load(bn_ptr + lane * (7 * C) + 4 * C + c)[None, :]
    c2 = tl.load(bn_ptr + lane * (7 * C) + 5 * C + c)[None, :]
    c3 = tl.load(bn_ptr + lane * (7 * C) + 6 * C + c)[None, :]
    left = tl.zeros([C, CI], tl.float32)
    pair = tl.zeros([C, C], tl.float32)
    for tile in range(IMG * PIXELS // M):
        pixel = first * PIXELS + tile * M + tl.arange(0, M)
        here = pixel < count * PIXELS
        ok = here & ((pixel // SIDE % SIDE > 0) | (ky > 0))
        at = pixel // SIDE * (2 * ROW) + pixel % SIDE * C
        inner = (ok & (pixel % SIDE > 0))[:, None]
        x1 = tl.load(a_ptr + (at[:, None] + (ci[None, :] - CI)), mask=inner, other=0.0)
        x2 = tl.load(a_ptr + (at[:, None] + c[None, :]), mask=ok[:, None], other=0.0)
        off = pixel[:, None] * C + c[None, :]
        dy = tl.trans(gradient_of(gz_ptr, y_ptr, off, here, c1, c2, c3))
        left = tl.dot(dy, x1, left)
        pair = tl.dot(dy, x2, pair)
    progs = tl.num_programs(0) // 3
    dw_ptr += (lane * progs + tl.program_id(0) // 3).to(tl.int64) * (9 * CI * C) + ky * (3 * CI)
    row = c[:, None] * (9 * CI)
    tl.store(dw_ptr + (row + ci[None, :]), left)
    tl.store(dw_ptr + (row + CI + c[None, :]), pair)
