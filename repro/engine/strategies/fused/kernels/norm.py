"""Triton kernels for BatchNorm, for all lanes: scale, shift and gradients from the sums of the convolutions'
programs, and the activations between stages.

Each program of a convolution writes two sums per channel (``part`` [K, programs, 2, P, C], float32). Only a lane's
first programs have images. All sums are added in a fixed order, without atomics.
"""

from __future__ import annotations

import triton
import triton.language as tl

from repro.engine.strategies.fused.kernels.order import begin

EPSILON = tl.constexpr(1e-5)
MOMENTUM = tl.constexpr(0.1)


@triton.jit
def two_sums(part_ptr, entries, PX: tl.constexpr, C: tl.constexpr, BE: tl.constexpr):
    """Both sums [C] over ``entries`` of [entries / PX, 2, PX, C]."""
    c = tl.arange(0, C)
    e = tl.arange(0, BE)
    t1 = tl.zeros([BE, C], tl.float32)
    t2 = tl.zeros([BE, C], tl.float32)
    for start in range(0, entries, BE):
        at = start + e
        off = (at // PX) * (2 * PX * C) + (at % PX) * C
        ok = (at < entries)[:, None]
        t1 += tl.load(part_ptr + (off[:, None] + c[None, :]), mask=ok, other=0.0)
        t2 += tl.load(part_ptr + (off[:, None] + c[None, :] + PX * C), mask=ok, other=0.0)
    return tl.sum(t1, axis=0), tl.sum(t2, axis=0)


@triton.jit
def filled(count, IMAGES: tl.constexpr, STRIPS: tl.constexpr):
    """Number of a lane's programs that have images: ``STRIPS`` for each ``IMAGES``."""
    return (count + IMAGES - 1) // IMAGES * STRIPS


@triton.jit(do_not_specialize=["at", "stride", "moved", "moved_stride"])
def forward_kernel(
    count_ptr, part_ptr, weights_ptr, at, stride, statistics_ptr, moved, moved_stride, bn_ptr,
    PIXELS: tl.constexpr, PROGS: tl.constexpr, IMAGES: tl.constexpr, STRIPS: tl.constexpr, PX: tl.constexpr,
    C: tl.constexpr, BE: tl.constexpr, PDL: tl.constexpr = False,
):  # fmt: skip
    """Compute BatchNorm as y * scale + shift from the batch's sums of y and y^2, and update the running
    statistics.

    ``weights`` [K, stride] has gamma and beta at ``at``, ``statistics`` [K, moved_stride] mean and variance at
    ``moved``. Scale, shift, mean and 1 / std go to rows 0 to 3 of ``bn`` [K, 7, C]."""
    begin(PDL)
    lane = tl.program_id(0)
    count = tl.load(count_ptr + lane)
    if count == 0:
        return
    c = tl.arange(0, C)
    entries = filled(count, IMAGES, STRIPS) * PX
    t1, t2 = two_sums(part_ptr + lane.to(tl.int64) * (PROGS * 2 * PX * C), entries, PX, C, BE)
    values = (count * PIXELS).to(tl.float32)
    mean = t1 / values
    variance = tl.maximum(t2 / values - mean * mean, 0.0, propagate_nan=tl.PropagateNan.ALL)
    inverse = 1.0 / tl.sqrt(variance + EPSILON)
    weights_ptr += lane.to(tl.int64) * stride + at
    scale = tl.load(weights_ptr + c) * inverse
    bn_ptr += lane * (7 * C)
    tl.store(bn_ptr + c, scale)
    tl.store(bn_ptr + C + c, tl.load(weights_ptr + C + c) - mean * scale)
    tl.store(bn_ptr + 2 * C + c, mean)
    tl.store(bn_ptr + 3 * C + c, inverse)
    statistics_ptr += lane.to(tl.int64) * moved_stride + moved
    unbiased = variance * (values / (values - 1.0))
    tl.store(statistics_ptr + c, (1.0 - MOMENTUM) * tl.load(statistics_ptr + c) + MOMENTUM * mean)
    tl.store(statistics_ptr + C + c, (1.0 - MOMENTUM) * tl.load(statistics_ptr + C + c) + MOMENTUM * unbiased)


@triton.jit(do_not_specialize=["at", "stride", "moved", "moved_stride"])
def running_kernel(
    count_ptr, weights_ptr, at, stride, statistics_ptr, moved, moved_stride, bn_ptr, C: tl.constexpr,
    PDL: tl.constexpr = False
):  # fmt: skip
    """Compute scale and shift from the running statistics, for evaluation."""
    begin(PDL)
    lane = tl.program_id(0)
    if tl.load(count_ptr + lane) == 0:
        return
    c = tl.arange(0, C)
    weights_ptr += lane.to(tl.int64) * stride + at
    statistics_ptr += lane.to(tl.int64) * moved_stride + moved
    scale = tl.load(weights_ptr + c) / tl.sqrt(tl.load(statistics_ptr + C + c) + EPSILON)
    bn_ptr += lane * (7 * C)
    tl.store(bn_ptr + c, scale)
    tl.store(bn_ptr + C + c, tl.load(weights_ptr + C + c) - tl.load(statistics_ptr + c) * scale)


@triton.jit(do_not_specialize=["at", "stride"])
def backward_kernel(
    count_ptr, part_ptr, gradients_ptr, at, stride, bn_ptr,
    PIXELS: tl.constexpr, PROGS: tl.constexpr, IMAGES: tl.constexpr, STRIPS: tl.constexpr, PX: tl.constexpr,
    C: tl.constexpr, BE: tl.constexpr, PDL: tl.constexpr = False,
):  # fmt: skip
    """Compute the gradients of gamma and beta from sums of gz and gz * y, gz being the gradient behind BatchNorm,
    and the factors (``bn`` rows 4 to 6) that give the gradient of y: c1 gz + c2 y + c3."""
    begin(PDL)
    lane = tl.program_id(0)
    count = tl.load(count_ptr + lane)
    if count == 0:
        return
    c = tl.arange(0, C)
    entries = filled(count, IMAGES, STRIPS) * PX
    t1, t2 = two_sums(part_ptr + lane.to(tl.int64) * (PROGS * 2 * PX * C), entries, PX, C, BE)
    values = (count * PIXELS).to(tl.float32)
    bn_ptr += lane * (7 * C)
    scale = tl.load(bn_ptr + c)
    mean = tl.load(bn_ptr + 2 * C + c)
    inverse = tl.load(bn_ptr + 3 * C + c)
    of_gamma = (t2 - mean * t1) * inverse
    slope = scale * inverse * of_gamma / values
    tl.store(bn_ptr + 4 * C + c, scale)
    tl.store(bn_ptr + 5 * C + c, -slope)
    tl.store(bn_ptr + 6 * C + c, slope * mean - scale * t1 / values)
    gradients_ptr += lane.to(tl.int64) * stride + at
    tl.store(gradients_ptr + c, of_gamma)
    tl.store(gradients_ptr + C + c, t1)


@triton.jit
def activation_kernel(
    count_ptr, y_ptr, bn_ptr, res_ptr, out_ptr, N: tl.constexpr, PIXELS: tl.constexpr, C: tl.constexpr,
    BM: tl.constexpr, PDL: tl.constexpr = False,
):  # fmt: skip
    """Compute relu(bn(y) + res), all [K, N, PIXELS, C], ``BM`` pixels a program."""
    begin(PDL)
    lane = tl.program_id(1)
    pixel = tl.program_id(0) * BM + tl.arange(0, BM)
    count = tl.load(count_ptr + lane)
    if tl.program_id(0) * BM >= count * PIXELS:
        return
    here = (pixel < count * PIXELS)[:, None]
    c = tl.arange(0, C)
    off = lane.to(tl.int64) * (N * PIXELS * C) + pixel[:, None] * C + c[None, :]
    scale = tl.load(bn_ptr + lane * (7 * C) + c)[None, :]
    shift = tl.load(bn_ptr + lane * (7 * C) + C + c)[None, :]
    v = tl.load(y_ptr + off, mask=here, other=0.0).to(tl.float32) * scale + shift
    v += tl.load(res_ptr + off, mask=here, other=0.0).to(tl.float32)
    v = tl.maximum(v, 0.0, propagate_nan=tl.PropagateNan.ALL)
    tl.store(out_ptr + off, v.to(out_ptr.dtype.element_ty), mask=here)
