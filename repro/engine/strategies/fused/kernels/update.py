"""Triton kernels before and after the passes: operands of matrix products from float32 weights, the weights'
gradient from the programs' parts, and Eq. 1 of the paper with the mask.

``weights`` and ``gradients`` float32 [K, stride] are those of `network.FlatParameters`, where a convolution is [C
out, 3, 3, C in]. The layers of a stage, except its strided one, start at ``at`` and are ``step`` numbers apart.
"""

from __future__ import annotations

import triton
import triton.language as tl

from repro.engine.strategies.fused.kernels.order import begin


@triton.jit(do_not_specialize=["at", "stride", "step"])
def pack_kernel(
    weights_ptr, at, stride, step, f_ptr, b_ptr,
    C: tl.constexpr, PF: tl.constexpr, PB: tl.constexpr, SF: tl.constexpr, SB: tl.constexpr,
    PDL: tl.constexpr = False,
):  # fmt: skip
    """Write the operands of `convolution`, bf16 [layers, K, 3, S, KW, NW]. The grid is (lane, ky and layer,
    forward or backward)."""
    begin(PDL)
    lane = tl.program_id(0)
    lanes = tl.num_programs(0)
    ky = tl.program_id(1) % 3
    layer = tl.program_id(1) // 3
    weights_ptr += lane.to(tl.int64) * stride + at + layer * step
    KWF: tl.constexpr = C if SF == 3 else 4 * C
    NWF: tl.constexpr = PF * C
    KWB: tl.constexpr = C if SB == 3 else 4 * C
    NWB: tl.constexpr = PB * C
    row = tl.arange(0, C)
    to = ((layer * lanes + lane) * 3 + ky).to(tl.int64)
    if tl.program_id(2) == 0:
        for s in tl.static_range(SF):
            for px in tl.static_range(1 if SF == 3 else 4):
                for q in tl.static_range(PF):
                    kx = px + s - q  # input pixel w0 + px + s - 1, output pixel w0 + q
                    # rows: input channel, columns: output channel
                    src = row[None, :] * (9 * C) + ky * (3 * C) + kx * C + row[:, None]
                    band = (src >= 0) & ((kx >= 0) & (kx <= 2))
                    v = tl.load(weights_ptr + src, mask=band, other=0.0)
                    dst = (to * SF + s) * (KWF * NWF)
                    tl.store(
                        f_ptr + dst + (px * C + row[:, None]) * NWF + q * C + row[None, :],
                        v.to(f_ptr.dtype.element_ty),
                    )
    else:
        to += 2 - 2 * ky  # a gradient's rows meet the weights' rows in reverse
        for s in tl.static_range(SB):
            for px in tl.static_range(1 if SB == 3 else 4):
                for q in tl.static_range(PB):
                    kx = q - px - s + 2  # dy pixel w0 + px + s - 1, input pixel w0 + q
                    # rows: output channel, columns: input channel
                    src = row[:, None] * (9 * C) + ky * (3 * C) + kx * C + row[None, :]
                    band = (src >= 0) & ((kx >= 0) & (kx <= 2))
                    v = tl.load(weights_ptr + src, mask=band, other=0.0)
                    dst = (to * SB + s) * (KWB * NWB)
                    tl.store(
                        b_ptr + dst + (px * C + row[:, None]) * NWB + q * C + row[None, :],
                        v.to(f_ptr.dtype.element_ty),
                    )


@triton.jit(do_not_specialize=["at", "stride"])
def pack_strided_kernel(
    weights_ptr, at, stride, f_ptr, b_ptr, C: tl.constexpr, PDL: tl.constexpr = False
):  # fmt: skip
    """Write the operands of `strided`, bf16 [K, 3, 3, C / 2, C] and [K, 3, 2, C, C]. The grid is (lane, tap)."""
    begin(PDL)
    lane = tl.program_id(0)
    tap = tl.program_id(1)
    ky = tap // 3
    kx = tap % 3
    CI: tl.constexpr = C // 2
    ci = tl.arange(0, CI)[None, :]
    c = tl.arange(0, C)[:, None]
    v = tl.load(weights_ptr + lane.to(tl.int64) * stride + at + (c * 9 + tap) * CI + ci).to(f_ptr.dtype.element_ty)
    tl.store(f_ptr + (lane * 9 + tap) * (C * CI) + ci * C + c, v)
    # kx = 1 and 2 lie side by side; 0 is the right half of the next matrix, whose left half stays zero.
    half = tl.where(kx == 0, C * C + CI, (kx - 1) * CI)
    tl.store(b_ptr + (lane * 3 + ky) * (2 * C * C) + half + c * C + ci, v)


@triton.jit(do_not_specialize=["at", "stride", "step"])
def sum_kernel(
    count_ptr, dw_ptr, gradients_ptr, at, stride, step,
    PROGS: tl.constexpr, IMAGES: tl.constexpr, STRIPS: tl.constexpr, SIZE: tl.constexpr, OUT: tl.constexpr,
    KIND: tl.constexpr, C: tl.constexpr, P: tl.constexpr, S: tl.constexpr, BP: tl.constexpr, BE: tl.constexpr,
    PDL: tl.constexpr = False,
):  # fmt: skip
    """Add up ``dw`` [layers, K, PROGS, SIZE] over the programs that have images, in their order, into the rows of
    gradients, ``OUT`` numbers a layer. The grid is (lane, ``BE`` numbers, layer).

    KIND 0: `convolution`'s [3, S, KW, NW] -> [C, 3, 3, C]; 1: the stem's [32, 16] -> [16, 27]; 2: in place."""
    begin(PDL)
    lane = tl.program_id(0)
    layer = tl.program_id(2)
    count = tl.load(count_ptr + lane)
    if count == 0:
        return
    dw_ptr += (layer * tl.num_programs(0) + lane).to(tl.int64) * (PROGS * SIZE)
    e = tl.program_id(1) * BE + tl.arange(0, BE)
    ok = e < OUT
    progs = (count + IMAGES - 1) // IMAGES * STRIPS
    KW: tl.constexpr = C if S == 3 else 4 * C
    NW: tl.constexpr = P * C
    p = tl.arange(0, BP)[:, None]
    acc = tl.zeros([BP, BE], tl.float32)
    for start in range(0, progs, BP):
        here = ok[None, :] & (start + p < progs)
        for q in tl.static_range(P):
            if KIND == 0:
                ci = e % C
                kx = (e // C) % 3
                ky = (e // (3 * C)) % 3
                co = e // (9 * C)
                if S == 3:
                    off = (ky * S + (2 - kx)) * (KW * NW) + co * NW + ci
                else:
                    off = ky * (KW * NW) + ((q - kx + 2) * C + co) * NW + q * C + ci
            elif KIND == 1:
                off = e % 27 * 16 + e // 27
            else:
                off = e
            acc += tl.load(dw_ptr + ((start + p) * SIZE + off[None, :]), mask=here, other=0.0)
    gradients_ptr += lane.to(tl.int64) * stride + at + layer * step
    tl.store(gradients_ptr + e, tl.sum(acc, axis=0), mask=ok)


@triton.jit(do_not_specialize=["stride", "size", "decay", "momentum"])
def update_kernel(
    count_ptr, weights_ptr, momentum_ptr, gradients_ptr, mask_ptr, rate_ptr, stride, size, decay, momentum,
    BE: tl.constexpr, PDL: tl.constexpr = False,
):  # fmt: skip
    """Apply Eq. 1, v <- m v + (lambda w + g), w <- w - eta v, and the mask; clear the gradients."""
    begin(PDL)
    lane = tl.program_id(1)
    if tl.load(count_ptr + lane) == 0:
        return
    e = tl.program_id(0) * BE + tl.arange(0, BE)
    ok = e < size
    off = lane.to(tl.int64) * stride + e
    w = tl.load(weights_ptr + off, mask=ok, other=0.0)
    mask = tl.load(mask_ptr + off, mask=ok, other=0.0)
    v = momentum * tl.load(momentum_ptr + off, mask=ok, other=0.0)
    v += tl.load(gradients_ptr + off, mask=ok, other=0.0) + decay * w
    tl.store(weights_ptr + off, (w - tl.load(rate_ptr + lane) * v) * mask, mask=ok)
    tl.store(momentum_ptr + off, v * mask, mask=ok)
    tl.store(gradients_ptr + off, tl.zeros([BE], tl.float32), mask=ok)
