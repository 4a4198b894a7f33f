"""Triton kernels for the first convolution of a stage, 3x3 with stride 2 from C / 2 to C channels, in all lanes.

Input ``a`` bf16 [K, N, 2 SIDE, 2 SIDE, C / 2], output ``y`` bf16 [K, N, SIDE, SIDE, C]. Weights come packed, bf16
[K, 9, C / 2, C] for the way forward and [K, 9, C, C / 2] for the way back, tap ky * 3 + kx.
"""

from __future__ import annotations

import triton
import triton.language as tl

from repro.engine.strategies.fused.kernels.convolution import behind_norm
from repro.engine.strategies.fused.kernels.order import begin


@triton.jit
def gradient_of(gz_ptr, y_ptr, off, ok, c1, c2, c3):
    """That of the raw output at ``off`` [M, C], zero where not ok [M]."""
    ok = ok[:, None]
    gz = tl.load(gz_ptr + off, mask=ok, other=0.0)
    return behind_norm(gz, tl.load(y_ptr + off, mask=ok, other=0.0), c1, c2, c3, ok)


@triton.jit
def strided_forward_kernel(
    count_ptr, a_ptr, w_ptr, y_ptr, part_ptr,
    N: tl.constexpr, SIDE: tl.constexpr, C: tl.constexpr, IMG: tl.constexpr, M: tl.constexpr,
    PDL: tl.constexpr = False,
):  # fmt: skip
    """y and its sums. A program takes ``IMG`` images, ``M`` output pixels at a time."""
    begin(PDL)
    lane = tl.program_id(1)
    first = tl.program_id(0) * IMG
    count = tl.load(count_ptr + lane)
    if first >= count:
        return
    CI: tl.constexpr = C // 2
    PIXELS: tl.constexpr = SIDE * SIDE
    a_ptr += lane.to(tl.int64) * (N * 4 * PIXELS * CI)
    y_ptr += lane.to(tl.int64) * (N * PIXELS * C)
    w_ptr += lane * (9 * CI * C)
    ci = tl.arange(0, CI)
    c = tl.arange(0, C)
    s1 = tl.zeros([M, C], tl.float32)
    s2 = tl.zeros([M, C], tl.float32)
    for tile in range(IMG * PIXELS // M):
        pixel = first * PIXELS + tile * M + tl.arange(0, M)
        here = pixel < count * PIXELS
        n = pixel // PIXELS
        i = pixel // SIDE % SIDE
        j = pixel % SIDE
        acc = tl.zeros([M, C], tl.float32)
        for tap in tl.static_range(9):
            h = 2 * i + (tap // 3 - 1)
            w = 2 * j + (tap % 3 - 1)
            ok = here & (h >= 0) & (w >= 0)
            at = ((n * (2 * SIDE) + h) * (2 * SIDE) + w) * CI
            x = tl.load(a_ptr + (at[:, None] + ci[None, :]), mask=ok[:, None], other=0.0)
            own = tl.load(w_ptr + (tap * CI * C + ci[:, None] * C + c[None, :]))
            acc = tl.dot(x, own, acc)
        out = acc.to(y_ptr.dtype.element_ty)
        tl.store(y_ptr + (pixel[:, None] * C + c[None, :]), out, mask=here[:, None])
        o = out.to(tl.float32)
        s1 += o
        s2 += o * o
    part_ptr += (lane * tl.num_programs(0) + tl.program_id(0)) * (2 * C)
    tl.store(part_ptr + c, tl.sum(s1, axis=0))
    tl.store(part_ptr + C + c, tl.sum(s2, axis=0))


@triton.jit
def strided_backward_kernel(
    count_ptr, gz_ptr, y_ptr, bn_ptr, w_ptr, skip_ptr, a_ptr, yp_ptr, gx_ptr, part_ptr,
    N: tl.constexpr, SIDE: tl.constexpr, C: tl.constexpr, IMG: tl.constexpr, M: tl.constexpr,
    PDL: tl.constexpr = False,
):  # fmt: skip
    """Gradient behind the BatchNorm before ``a``, masked by its ReLU, with that BatchNorm's sums (yp: its
    input).

    Of the four input pixels at (2i, 2j) ... (2i + 1, 2j + 1) even rows and columns meet one tap, odd ones two, in
    the four output pixels at (i, j) ... (i + 1, j + 1): nine products, each of the nine taps once. The shortcut's
    gradient, ``skip`` [K, N, SIDE, SIDE, C], is added where it came from."""
    begin(PDL)
    lane = tl.program_id(1)
    first = tl.program_id(0) * IMG
    count = tl.load(count_ptr + lane)
    if first >= count:
        return
    CI: tl.constexpr = C // 2
    PIXELS: tl.constexpr = SIDE * SIDE
    small = lane.to(tl.int64) * (N * PIXELS * C)
    large = lane.to(tl.int64) * (N * 4 * PIXELS * CI)
    gz_ptr += small
    y_ptr += small
    skip_ptr += small
    a_ptr += large
    yp_ptr += large
    gx_ptr += large
    w_ptr += lane * (9 * CI * C)
    ci = tl.arange(0, CI)
    c = tl.arange(0, C)
    c1 = tl.load(bn_ptr + lane * (7 * C) + 4 * C + c)[None, :]
    c2 = tl.load(bn_ptr + lane * (7 * C) + 5 * C + c)[None, :]
    c3 = tl.load(bn_ptr + lane * (7 * C) + 6 * C + c)[None, :]
    w = w_ptr + (c[:, None] * CI + ci[None, :])  # of a tap; the next is C * CI on
    s1 = tl.zeros([M, CI], tl.float32)
    s2 = tl.zeros([M, CI], tl.float32)
    for tile in range(IMG * PIXELS // M):
        pixel = first * PIXELS + tile * M + tl.arange(0, M)
        here = pixel < count * PIXELS
        n = pixel // PIXELS
        right = here & (pixel % SIDE < SIDE - 1)
        below = here & (pixel // SIDE % SIDE < SIDE - 1)
        off = pixel[:, None] * C + c[None, :]
        dy = gradient_of(gz_ptr, y_ptr, off, here, c1, c2, c3)
        dy_right = gradient_of(gz_ptr, y_ptr, off + C, right, c1, c2, c3)
        dy_below = gradient_of(gz_ptr, y_ptr, off + SIDE * C, below, c1, c2, c3)
        dy_both = gradient_of(gz_ptr, y_ptr, off + (SIDE + 1) * C, right & below, c1, c2, c3)
        at = ((n * (2 * SIDE) + 2 * (pixel // SIDE % SIDE)) * (2 * SIDE) + 2 * (pixel % SIDE)) * CI
        at = at[:, None] + ci[None, :]
        here = here[:, None]
        for parity in tl.static_range(4):
            here_at = at + (parity // 2 * (2 * SIDE) + parity % 2) * CI
            positive = tl.load(a_ptr + here_at, mask=here, other=0.0).to(tl.float32) > 0
            yp = tl.load(yp_ptr + here_at, mask=here, other=0.0).to(tl.float32)
            # Input row 2 i + py is row 2 (i + di) + ky - 1 of output row i + di: ky = py + 1 - 2 di.
            if parity == 0:
                off = pixel[:, None] * C + (ci[None, :] + C // 4)
                acc = tl.load(skip_ptr + off, mask=here, other=0.0).to(tl.float32)
                acc = tl.dot(dy, tl.load(w + 4 * C * CI), acc)
            elif parity == 1:
                acc = tl.dot(dy, tl.load(w + 5 * C * CI))
                acc = tl.dot(dy_right, tl.load(w + 3 * C * CI), acc)
            elif parity == 2:
                acc = tl.dot(dy, tl.load(w + 7 * C * CI))
                acc = tl.dot(dy_below, tl.load(w + 1 * C * CI), acc)
            else:
                acc = tl.dot(dy, tl.load(w + 8 * C * CI))
                acc = tl.dot(dy_right, tl.load(w + 6 * C * CI), acc)
                acc = tl.dot(dy_below, tl.load(w + 2 * C * CI), acc)
                acc = tl.dot(dy_both, tl.load(w), acc)
            out = tl.where(positive & here, acc, 0.0).to(gx_ptr.dtype.element_ty)
            tl.store(gx_ptr + here_at, out, mask=here)
            o = out.to(tl.float32)
            s1 += o
            s2 += o * yp
    part_ptr += (lane * tl.num_programs(0) + tl.program_id(0)) * (2 * CI)
    tl.store(part_ptr + ci, tl.sum(s1, axis=0))
    tl.store(part_ptr + CI + ci, tl.sum(s2, axis=0))


@triton.jit
def strided_weights_kernel(
    count_ptr, gz_ptr, y_ptr, bn_ptr, a_ptr, dw_ptr,
    N: tl.constexpr, SIDE: tl.constexpr, C: tl.constexpr, IMG: tl.constexpr, M: tl.constexpr,
    PDL: tl.constexpr = False,
):  # fmt: skip
    """The weights' gradient, a kernel row (ky) a program: ``dw`` [K, programs, C, 9, C / 2] float32."""
    begin(PDL)
    lane = tl.program_id(1)
    first = tl.program_id(0) // 3 * IMG
    ky = tl.program_id(0) % 3
    count = tl.load(count_ptr + lane)
    if first >= count:
        return
    CI: tl.constexpr = C // 2
    PIXELS: tl.constexpr = SIDE * SIDE
    gz_ptr += lane.to(tl.int64) * (N * PIXELS * C)
    y_ptr += lane.to(tl.int64) * (N * PIXELS * C)
    a_ptr += lane.to(tl.int64) * (N * 4 * PIXELS * CI)
    ci = tl.arange(0, CI)
    c = tl.arange(0, C)
    c1 = tl.load(bn_ptr + lane * (7 * C) + 4 * C + c)[None, :]
    c2 = tl.load(bn_ptr + lane * (7 * C) + 5 * C + c)[None, :]
    c3 = tl.load(bn_ptr + lane * (7 * C) + 6 * C + c)[None, :]
    d0 = tl.zeros([C, CI], tl.float32)
    d1 = tl.zeros([C, CI], tl.float32)
    d2 = tl.zeros([C, CI], tl.float32)
    for tile in range(IMG * PIXELS // M):
        pixel = first * PIXELS + tile * M + tl.arange(0, M)
        here = pixel < count * PIXELS
        n = pixel // PIXELS
        h = 2 * (pixel // SIDE % SIDE) + (ky - 1)
        j = pixel % SIDE
        off = pixel[:, None] * C + c[None, :]
        dy = tl.trans(gradient_of(gz_ptr, y_ptr, off, here, c1, c2, c3))
        at = ((n * (2 * SIDE) + h) * (2 * SIDE) + 2 * j) * CI
        ok = here & (h >= 0)
        off = at[:, None] + ci[None, :]
        d0 = tl.dot(dy, tl.load(a_ptr + (off - CI), mask=(ok & (j > 0))[:, None], other=0.0), d0)
        d1 = tl.dot(dy, tl.load(a_ptr + off, mask=ok[:, None], other=0.0), d1)
        d2 = tl.dot(dy, tl.load(a_ptr + (off + CI), mask=ok[:, None], other=0.0), d2)
    progs = tl.num_programs(0) // 3
    dw_ptr += (lane * progs + tl.program_id(0) // 3).to(tl.int64) * (9 * CI * C) + ky * (3 * CI)
    off = c[:, None] * (9 * CI) + ci[None, :]
    tl.store(dw_ptr + off, d0)
    tl.store(dw_ptr + (CI + off), d1)
    tl.store(dw_ptr + (2 * CI + off), d2)
