"""Triton kernels for a 3x3 convolution of stride 1 with as many channels out as in, in all lanes at once.

A GEMM row is a pixel or two of an image row, `tiles.Tile.rows` of them from a few images. A program walks down a
strip of image rows: each row of pixels is loaded and transformed ONCE, and multiplied by the weights of ky = 0, 1,
2 into three accumulators that roll along, so that with every row read one row of the output is finished.

Horizontally there are two forms:

- pairs (``P`` = 2, ``S`` = 1): a GEMM row is two adjacent output pixels (``NW`` = 2C columns). Its input is the 4
  pixels around, contiguous in memory (``KW`` = 4C), the weights a banded [4C, 2C] matrix, a third of it zeros.
- taps (``P`` = 1, ``S`` = 3): a GEMM row is one pixel (``NW`` = ``KW`` = C), loaded three times, shifted by kx.

``count`` [K] says how many images a lane has in this step; programs beyond it end at once, and what lies there in
memory is never looked at, NaN of another Run's would spread: a place without an image reads the lane's last one's,
and is left out of what is summed and written.
"""

from __future__ import annotations

import triton
import triton.language as tl

from repro.engine.strategies.fused.kernels.order import begin


@triton.jit
def activate(raw, res, sc, sh, ok, MODE: tl.constexpr):
    """[M, KW] as raw: relu(bn(raw) + res), zero where not ok; there raw and res are zero already. MODE 0: raw as it
    is, 1: without res, 2: with."""
    if MODE == 0:
        out = raw
    else:
        # Selecting among shifts, of which a thread has few, is cheaper than among results.
        v = raw.to(tl.float32) * sc + tl.where(ok, sh, 0.0)
        if MODE == 2:
            v = v + res.to(tl.float32)
        out = tl.maximum(v, 0.0, propagate_nan=tl.PropagateNan.ALL).to(raw.dtype)  # a Run that diverges is to be seen
    return out


@triton.jit
def behind_norm(gz, y, c1, c2, c3, ok):
    """BatchNorm's backward: gradient of a raw output from the gradient behind BatchNorm, zero where not ok; there gz
    and y are zero already."""
    return (gz.to(tl.float32) * c1 + (y.to(tl.float32) * c2 + tl.where(ok, c3, 0.0))).to(gz.dtype)


@triton.jit
def by_eights(x, M: tl.constexpr, NW: tl.constexpr):
    """[M, NW] -> [M / 16, 8, NW], rows m and m + 8 of sixteen added: on Hopper one thread holds both."""
    return tl.sum(tl.reshape(x, [M // 16, 2, 8, NW]), axis=1)


@triton.jit
def columns(x):
    return tl.sum(tl.sum(x, axis=0), axis=0)


@triton.jit
def forward_kernel(
    count_ptr, x_ptr, res_ptr, act_ptr, bn_ptr, w_ptr, y_ptr, part_ptr, one,
    N: tl.constexpr, H: tl.constexpr, W: tl.constexpr, C: tl.constexpr, P: tl.constexpr, S: tl.constexpr,
    KW: tl.constexpr, NW: tl.constexpr, M: tl.constexpr, HS: tl.constexpr, G: tl.constexpr, MODE: tl.constexpr,
    PDL: tl.constexpr = False,
):  # fmt: skip
    pid = tl.program_id(0)
    begin(PDL)
    lane = tl.program_id(1)
    progs = tl.num_programs(0)
    STRIPS: tl.constexpr = H // HS
    WP: tl.constexpr = W // P
    IMG: tl.constexpr = M // WP
    ROW: tl.constexpr = W * C
    h0 = (pid % STRIPS) * HS
    grp = pid // STRIPS
    count = tl.load(count_ptr + lane)
    if grp * G * IMG >= count:
        return
    base = lane.to(tl.int64) * (N * H * W * C)
    x_ptr += base
    y_ptr += base
    if MODE == 2:
        res_ptr += base
        act_ptr += base
    w_ptr += lane * (3 * S * KW * NW)

    m = tl.arange(0, M)
    image = m // WP
    w0 = (m % WP) * P
    kk = tl.arange(0, KW)
    px = kk // C
    nn = tl.arange(0, NW)
    sc = tl.load(bn_ptr + lane * (7 * C) + kk % C)[None, :]
    sh = tl.load(bn_ptr + lane * (7 * C) + C + kk % C)[None, :]
    wo = kk[:, None] * NW + nn[None, :]
    w_a0 = tl.load(w_ptr + (0 * S + 0) * KW * NW + wo)
    w_b0 = tl.load(w_ptr + (1 * S + 0) * KW * NW + wo)
    w_c0 = tl.load(w_ptr + (2 * S + 0) * KW * NW + wo)
    col0 = w0[:, None] + px[None, :] - 1
    in0 = (col0 >= 0) & (col0 < W)
    if S == 3:
        w_a1 = tl.load(w_ptr + (0 * S + 1) * KW * NW + wo)
        w_b1 = tl.load(w_ptr + (1 * S + 1) * KW * NW + wo)
        w_c1 = tl.load(w_ptr + (2 * S + 1) * KW * NW + wo)
        w_a2 = tl.load(w_ptr + (0 * S + 2) * KW * NW + wo)
        w_b2 = tl.load(w_ptr + (1 * S + 2) * KW * NW + wo)
        w_c2 = tl.load(w_ptr + (2 * S + 2) * KW * NW + wo)
        in2 = (w0[:, None] + px[None, :] + 1) < W
    s1 = tl.zeros([M // 16, 8, NW], tl.float32)
    s2 = tl.zeros([M // 16, 8, NW], tl.float32)
    for g in range(G):
        n = (grp * G + g) * IMG + image
        here = (n < count)[:, None]
        n = tl.minimum(n, count - 1)
        pixel = (n * (H * W) + w0) * C  # [M], of row 0
        xo = pixel[:, None] + kk[None, :] - C  # shift 0
        yo = pixel[:, None] + nn[None, :]
        acc_a = tl.zeros([M, NW], tl.float32)
        acc_b = tl.zeros([M, NW], tl.float32)
        first = (h0 - 1) * ROW
        ok = h0 > 0
        if S == 1:
            raw = tl.load(x_ptr + (xo + first), mask=in0 & ok, other=0.0)
            res = raw
            if MODE == 2:
                res = tl.load(res_ptr + (xo + first), mask=in0 & ok, other=0.0)
        else:
            raw = tl.load(x_ptr + (xo + (first + C)), mask=ok, other=0.0)
            res = raw
            if MODE == 2:
                res = tl.load(res_ptr + (xo + (first + C)), mask=ok, other=0.0)
        for t in range(HS + 2):
            r = h0 - 1 + t
            ok = (r >= 0) & (r < H)
            centre = (t >= 1) & (t <= HS)
            nxt = (r + 1) * ROW
            nok = (r + 1 < H) & (t < HS + 1)
            if S == 1:
                x0 = activate(raw, res, sc, sh, in0 & ok, MODE)
                raw = tl.load(x_ptr + (xo + nxt), mask=in0 & nok, other=0.0)
                if MODE == 2:
                    res = tl.load(res_ptr + (xo + nxt), mask=in0 & nok, other=0.0)
                    own = (px >= 1) & (px <= P)
                    tl.store(act_ptr + (xo + r * ROW), x0, mask=own[None, :] & in0 & (here & centre))
                acc_a = tl.dot(x0, w_c0, acc_a)
                acc_b = tl.dot(x0, w_b0, acc_b)
                acc_c = tl.dot(x0, w_a0)
            else:
                # Of the next row only the middle is loaded ahead: left and right then come from L1.
                x1 = activate(raw, res, sc, sh, ok, MODE)
                raw0 = tl.load(x_ptr + (xo + r * ROW), mask=in0 & ok, other=0.0)
                res0 = raw0
                if MODE == 2:
                    res0 = tl.load(res_ptr + (xo + r * ROW), mask=in0 & ok, other=0.0)
                raw = tl.load(x_ptr + (xo + (nxt + C)), mask=nok, other=0.0)
                if MODE == 2:
                    res = tl.load(res_ptr + (xo + (nxt + C)), mask=nok, other=0.0)
                    tl.store(act_ptr + (xo + (r * ROW + C)), x1, mask=here & centre)
                acc_a = tl.dot(x1, w_c1, acc_a)
                acc_b = tl.dot(x1, w_b1, acc_b)
                acc_c = tl.dot(x1, w_a1)
                raw2 = tl.load(x_ptr + (xo + (r * ROW + 2 * C)), mask=in2 & ok, other=0.0)
                res2 = raw2
                if MODE == 2:
                    res2 = tl.load(res_ptr + (xo + (r * ROW + 2 * C)), mask=in2 & ok, other=0.0)
                x0 = activate(raw0, res0, sc, sh, in0 & ok, MODE)
                acc_a = tl.dot(x0, w_c0, acc_a)
                acc_b = tl.dot(x0, w_b0, acc_b)
                acc_c = tl.dot(x0, w_a0, acc_c)
                x2 = activate(raw2, res2, sc, sh, in2 & ok, MODE)
                acc_a = tl.dot(x2, w_c2, acc_a)
                acc_b = tl.dot(x2, w_b2, acc_b)
                acc_c = tl.dot(x2, w_a2, acc_c)
            done = t >= 2
            tl.store(y_ptr + (yo + (r - 1) * ROW), acc_a.to(y_ptr.dtype.element_ty), mask=here & done)
            o = tl.where(here & done, acc_a, 0.0)
            s1 += by_eights(o, M, NW)
            s2 += by_eights(o * o, M, NW)
            # Not a plain copy: that would be taken while tensor cores still write (ptxas then serialises them).
            acc_a = acc_b * one
            acc_b = acc_c * one
    part_ptr += (lane * progs + pid) * (2 * NW)
    tl.store(part_ptr + nn, columns(s1))
    tl.store(part_ptr + NW + nn, columns(s2))


@triton.jit
def backward_kernel(
    count_ptr, gz_ptr, y_ptr, bn_ptr, w_ptr, a_ptr, prev_ptr, yp_ptr, skip_ptr,
    gx_ptr, part_ptr, dw_ptr, one,
    N: tl.constexpr, H: tl.constexpr, W: tl.constexpr, C: tl.constexpr, P: tl.constexpr, S: tl.constexpr,
    KW: tl.constexpr, NW: tl.constexpr, M: tl.constexpr, HS: tl.constexpr, G: tl.constexpr, MODE: tl.constexpr,
    DW: tl.constexpr, PDL: tl.constexpr = False,
):  # fmt: skip
    """Gradient behind the previous BatchNorm (masked by its ReLU) with that BatchNorm's sums; with DW the weights'
    gradient too. MODE 1: the layer's input is relu(bn(yp)); MODE 0: it is a, and skip is added to its gradient."""
    begin(PDL)
    pid = tl.program_id(0)
    lane = tl.program_id(1)
    progs = tl.num_programs(0)
    STRIPS: tl.constexpr = H // HS
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
    yp_ptr += base
    gx_ptr += base
    if MODE == 0:
        a_ptr += base
        skip_ptr += base
    w_ptr += lane * (3 * S * KW * NW)

    m = tl.arange(0, M)
    image = m // WP
    w0 = (m % WP) * P
    kk = tl.arange(0, KW)
    px = kk // C
    nn = tl.arange(0, NW)
    wo = kk[:, None] * NW + nn[None, :]
    w_a0 = tl.load(w_ptr + (0 * S + 0) * KW * NW + wo)
    w_b0 = tl.load(w_ptr + (1 * S + 0) * KW * NW + wo)
    w_c0 = tl.load(w_ptr + (2 * S + 0) * KW * NW + wo)
    col0 = w0[:, None] + px[None, :] - 1
    in0 = (col0 >= 0) & (col0 < W)
    if S == 3:
        w_a1 = tl.load(w_ptr + (0 * S + 1) * KW * NW + wo)
        w_b1 = tl.load(w_ptr + (1 * S + 1) * KW * NW + wo)
        w_c1 = tl.load(w_ptr + (2 * S + 1) * KW * NW + wo)
        w_a2 = tl.load(w_ptr + (0 * S + 2) * KW * NW + wo)
        w_b2 = tl.load(w_ptr + (1 * S + 2) * KW * NW + wo)
        w_c2 = tl.load(w_ptr + (2 * S + 2) * KW * NW + wo)
        in2 = (w0[:, None] + px[None, :] + 1) < W
    if DW:
        d00 = tl.zeros([KW, NW], tl.float32)
        d10 = tl.zeros([KW, NW], tl.float32)
        d20 = tl.zeros([KW, NW], tl.float32)
        if S == 3:
            d01 = tl.zeros([KW, NW], tl.float32)
            d11 = tl.zeros([KW, NW], tl.float32)
            d21 = tl.zeros([KW, NW], tl.float32)
            d02 = tl.zeros([KW, NW], tl.float32)
            d12 = tl.zeros([KW, NW], tl.float32)
            d22 = tl.zeros([KW, NW], tl.float32)
    s1 = tl.zeros([M // 16, 8, NW], tl.float32)
    s2 = tl.zeros([M // 16, 8, NW], tl.float32)
    for g in range(G):
        n = (grp * G + g) * IMG + image
        here = (n < count)[:, None]
        n = tl.minimum(n, count - 1)
        pixel = (n * (H * W) + w0) * C
        xo = pixel[:, None] + kk[None, :] - C
        yo = pixel[:, None] + nn[None, :]
        acc_a = tl.zeros([M, NW], tl.float32)
        acc_b = tl.zeros([M, NW], tl.float32)
        if DW:
            a_p = tl.zeros([M, NW], gz_ptr.dtype.element_ty)
            a_c = tl.zeros([M, NW], gz_ptr.dtype.element_ty)
        first = (h0 - 1) * ROW
        ok = h0 > 0
        if S == 1:
            gz = tl.load(gz_ptr + (xo + first), mask=in0 & ok, other=0.0)
            y = tl.load(y_ptr + (xo + first), mask=in0 & ok, other=0.0)
        else:
            gz = tl.load(gz_ptr + (xo + (first + C)), mask=ok, other=0.0)
            y = tl.load(y_ptr + (xo + (first + C)), mask=ok, other=0.0)
        for t in range(HS + 2):
            r = h0 - 1 + t
            ok = (r >= 0) & (r < H)
            done = t >= 2
            nxt = (r + 1) * ROW
            nok = (r + 1 < H) & (t < HS + 1)
            # Loaded anew for every row (from L1): kept over the loop they would cost registers.
            c1 = tl.load(bn_ptr + lane * (7 * C) + 4 * C + kk % C)[None, :]
            c2 = tl.load(bn_ptr + lane * (7 * C) + 5 * C + kk % C)[None, :]
            c3 = tl.load(bn_ptr + lane * (7 * C) + 6 * C + kk % C)[None, :]
            if S == 1:
                x0 = behind_norm(gz, y, c1, c2, c3, in0 & ok)
                gz = tl.load(gz_ptr + (xo + nxt), mask=in0 & nok, other=0.0)
                y = tl.load(y_ptr + (xo + nxt), mask=in0 & nok, other=0.0)
            else:
                # Of the next row only the middle is loaded ahead: left and right then come from L1.
                x1 = behind_norm(gz, y, c1, c2, c3, ok)
                gz0 = tl.load(gz_ptr + (xo + r * ROW), mask=in0 & ok, other=0.0)
                y0 = tl.load(y_ptr + (xo + r * ROW), mask=in0 & ok, other=0.0)
                gz2 = tl.load(gz_ptr + (xo + (r * ROW + 2 * C)), mask=in2 & ok, other=0.0)
                y2 = tl.load(y_ptr + (xo + (r * ROW + 2 * C)), mask=in2 & ok, other=0.0)
                gz = tl.load(gz_ptr + (xo + (nxt + C)), mask=nok, other=0.0)
                y = tl.load(y_ptr + (xo + (nxt + C)), mask=nok, other=0.0)
            # Loaded here, used behind the products.
            spot = yo + (r - 1) * ROW
            yp = tl.load(yp_ptr + spot, mask=done, other=0.0)
            if MODE == 0:
                a = tl.load(a_ptr + spot, mask=done, other=0.0)
                skip = tl.load(skip_ptr + spot, mask=done, other=0.0)
            if DW:
                fresh = here & (t < HS)
                if MODE == 0:
                    raw = tl.load(a_ptr + (yo + nxt), mask=fresh, other=0.0)
                else:
                    raw = tl.load(yp_ptr + (yo + nxt), mask=fresh, other=0.0)
            if S == 1:
                acc_a = tl.dot(x0, w_a0, acc_a)
                acc_b = tl.dot(x0, w_b0, acc_b)
                acc_c = tl.dot(x0, w_c0)
            else:
                acc_a = tl.dot(x1, w_a1, acc_a)
                acc_b = tl.dot(x1, w_b1, acc_b)
                acc_c = tl.dot(x1, w_c1)
                x0 = behind_norm(gz0, y0, c1, c2, c3, in0 & ok)
                acc_a = tl.dot(x0, w_a0, acc_a)
                acc_b = tl.dot(x0, w_b0, acc_b)
                acc_c = tl.dot(x0, w_c0, acc_c)
                x2 = behind_norm(gz2, y2, c1, c2, c3, in2 & ok)
                acc_a = tl.dot(x2, w_a2, acc_a)
                acc_b = tl.dot(x2, w_b2, acc_b)
                acc_c = tl.dot(x2, w_c2, acc_c)
            if DW:
                sc = tl.load(prev_ptr + lane * (7 * C) + nn % C)[None, :]
                sh = tl.load(prev_ptr + lane * (7 * C) + C + nn % C)[None, :]
                a_n = activate(raw, raw, sc, sh, fresh, MODE)
                xt = tl.trans(x0)
                d00 = tl.dot(xt, a_p, d00)
                d10 = tl.dot(xt, a_c, d10)
                d20 = tl.dot(xt, a_n, d20)
                if S == 3:
                    xt1 = tl.trans(x1)
                    d01 = tl.dot(xt1, a_p, d01)
                    d11 = tl.dot(xt1, a_c, d11)
                    d21 = tl.dot(xt1, a_n, d21)
                    xt2 = tl.trans(x2)
                    d02 = tl.dot(xt2, a_p, d02)
                    d12 = tl.dot(xt2, a_c, d12)
                    d22 = tl.dot(xt2, a_n, d22)
                a_p = a_c
                a_c = a_n
            yp = yp.to(tl.float32)
            if MODE == 0:
                act = a.to(tl.float32)
                acc_a += skip.to(tl.float32)
            else:
                sc = tl.load(prev_ptr + lane * (7 * C) + nn % C)[None, :]
                sh = tl.load(prev_ptr + lane * (7 * C) + C + nn % C)[None, :]
                act = yp * sc + sh
            o = tl.where(act > tl.where(here & done, 0.0, float("inf")), acc_a, 0.0)
            tl.store(gx_ptr + spot, o.to(gx_ptr.dtype.element_ty), mask=here & done)
            s1 += by_eights(o, M, NW)
            s2 += by_eights(o * yp, M, NW)
            # Not a plain copy: that would be taken while tensor cores still write (ptxas then serialises them).
            acc_a = acc_b * one
            acc_b = acc_c * one
    part_ptr += (lane * progs + pid) * (2 * NW)
    tl.store(part_ptr + nn, columns(s1))
    tl.store(part_ptr + NW + nn, columns(s2))
    if DW:
        dw_ptr += (lane * progs + pid) * (3 * S * KW * NW)
        tl.store(dw_ptr + (0 * S + 0) * KW * NW + wo, d00)
        tl.store(dw_ptr + (1 * S + 0) * KW * NW + wo, d10)
        tl.store(dw_ptr + (2 * S + 0) * KW * NW + wo, d20)
        if S == 3:
            tl.store(dw_ptr + (0 * S + 1) * KW * NW + wo, d01)
            tl.store(dw_ptr + (1 * S + 1) * KW * NW + wo, d11)
            tl.store(dw_ptr + (2 * S + 1) * KW * NW + wo, d21)
            tl.store(dw_ptr + (0 * S + 2) * KW * NW + wo, d02)
            tl.store(dw_ptr + (1 * S + 2) * KW * NW + wo, d12)
            tl.store(dw_ptr + (2 * S + 2) * KW * NW + wo, d22)
