"""Triton kernel for the gradient of the weights of `convolution`, where it is not taken on the way back: the same
operands, tiles and forms."""

from __future__ import annotations

import triton
import triton.language as tl

from repro.engine.strategies.fused.kernels.convolution import activate, behind_norm, store_weights, weigh
from repro.engine.strategies.fused.kernels.order import begin


@triton.jit
def weights_kernel(
    count_ptr, gz_ptr, y_ptr, bn_ptr, a_ptr, prev_ptr, dw_ptr,
    N: tl.constexpr, H: tl.constexpr, W: tl.constexpr, C: tl.constexpr, P: tl.constexpr, S: tl.constexpr,
    KW: tl.constexpr, NW: tl.constexpr, M: tl.constexpr, HS: tl.constexpr, G: tl.constexpr, MODE: tl.constexpr,
    PDL: tl.constexpr = False,
):  # fmt: skip
    """The weights' gradient alone, one horizontal shift a program; those of the same pixels follow one another, so
    that they read from L2 what the first has read from memory."""
    begin(PDL)
    s = tl.program_id(0) % S
    pid = tl.program_id(0) // S
    lane = tl.program_id(1)
    progs = tl.num_programs(0) // S
    STRIPS: tl.constexpr = H // HS
    # Step t reads row h0 - 1 + t of dy; there are none above and below the image.
    START: tl.constexpr = 1 if STRIPS == 1 else 0
    STOP: tl.constexpr = HS + 1 if STRIPS == 1 else HS + 2
    WP: tl.constexpr = W // P
    IMG: tl.constexpr = M // WP
    ROW: tl.constexpr = W * C
    h0 = (pid % STRIPS) * HS
    grp = pid // STRIPS
    count = tl.load(count_ptr + lane)
    if grp * G * IMG >= count:
        return
    base = lane.to(tl.int64) * (N * H * W * C)
    gz_ptr += base
    y_ptr += base
    a_ptr += base
    m = tl.arange(0, M)
    image = m // WP
    w0 = (m % WP) * P
    kk = tl.arange(0, KW)
    px = kk // C
    nn = tl.arange(0, NW)
    c1 = tl.load(bn_ptr + lane * (7 * C) + 4 * C + kk % C)[None, :]
    c2 = tl.load(bn_ptr + lane * (7 * C) + 5 * C + kk % C)[None, :]
    c3 = tl.load(bn_ptr + lane * (7 * C) + 6 * C + kk % C)[None, :]
    sc = tl.load(prev_ptr + lane * (7 * C) + nn % C)[None, :]
    sh = tl.load(prev_ptr + lane * (7 * C) + C + nn % C)[None, :]
    col0 = w0[:, None] + px[None, :] + (s - 1)
    in0 = (col0 >= 0) & (col0 < W)
    zero = tl.zeros([KW, NW], tl.float32)
    d = (zero, zero, zero)
    for g in range(G):
        n = (grp * G + g) * IMG + image
        here = (n < count)[:, None]
        n = tl.minimum(n, count - 1)
        pixel = (n * (H * W) + w0) * C
        xo = pixel[:, None] + kk[None, :] + (s - 1) * C
        yo = pixel[:, None] + nn[None, :]
        a_p = tl.zeros([M, NW], gz_ptr.dtype.element_ty)
        a_c = a_p
        if START:
            raw = tl.load(a_ptr + yo, mask=here, other=0.0)
            a_c = activate(raw, raw, sc, sh, here, MODE)
        raw = tl.load(a_ptr + (yo + (h0 + START) * ROW), mask=here, other=0.0)
        first = (h0 - 1 + START) * ROW
        ok = h0 + START > 0
        gz0 = tl.load(gz_ptr + (xo + first), mask=in0 & ok, other=0.0)
        y0 = tl.load(y_ptr + (xo + first), mask=in0 & ok, other=0.0)
        for t in range(START, STOP):
            r = h0 - 1 + t
            ok = (r >= 0) & (r < H)
            nxt = (r + 1) * ROW
            more = (r + 1 < H) & (t + 1 < STOP)
            x0 = behind_norm(gz0, y0, c1, c2, c3, in0 & ok)
            gz0 = tl.load(gz_ptr + (xo + nxt), mask=in0 & more, other=0.0)
            y0 = tl.load(y_ptr + (xo + nxt), mask=in0 & more, other=0.0)
            a_n = activate(raw, raw, sc, sh, here & (t < HS), MODE)
            raw = tl.load(a_ptr + (yo + (nxt + ROW)), mask=here & (t + 1 < HS), other=0.0)
            d = weigh(x0, a_p, a_c, a_n, d)
            a_p = a_c
            a_c = a_n
    store_weights(dw_ptr + (lane * progs + pid) * (3 * S * KW * NW), d, s, KW, NW, S)
