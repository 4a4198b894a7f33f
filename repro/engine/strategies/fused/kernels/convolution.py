"""Triton kernels for 3x3 convolutions of stride 1 that keep the number of channels, for all lanes at once.

A row of the matrix product is one pixel or two adjacent pixels; a program multiplies `tiles.Tile.rows` of them,
the same image row of a few images. It walks down a strip of image rows. It loads and transforms each row of pixels
once and multiplies it by the weights of ky = 0, 1 and 2 into three accumulators, which move up by one with every
row, so that each row read completes one row of the output.

There are two forms:

- pairs (``P`` = 2, ``S`` = 1): a row of the product is two adjacent output pixels (``NW`` = 2C columns). Its input
  is the 4 pixels around them, contiguous in memory (``KW`` = 4C); the weights are a banded [4C, 2C] matrix, a
  third of it zeros.
- taps (``P`` = 1, ``S`` = 3): a row is one pixel (``NW`` = ``KW`` = C), loaded three times, shifted by kx.

``count`` [K] is the number of images that a lane has in this step; programs without an image end at once. Memory
behind the last image is never read, because a NaN there would spread: a row without an image reads the lane's last
image, and its result is neither added up nor written.

A load that nothing before the products needs is used behind them, so that they hide its latency; a conversion
before them would wait for it.
"""

from __future__ import annotations

import triton
import triton.language as tl

from repro.engine.strategies.fused.kernels.order import begin


@triton.jit
def activate(raw, res, sc, sh, ok, MODE: tl.constexpr):
    """relu(bn(raw) + res), [M, KW] as raw. Where not ok, raw and res are zero, and so is the result. MODE 0: raw
    itself, 1: without res, 2: with res."""
    if MODE == 0:
        out = raw
    else:
        # A thread has fewer shifts than results to select from.
        v = raw.to(tl.float32) * sc + tl.where(ok, sh, 0.0)
        if MODE == 2:
            v = v + res.to(tl.float32)
        # NaN stays NaN, so that a Run that diverges is noticed.
        out = tl.maximum(v, 0.0, propagate_nan=tl.PropagateNan.ALL).to(raw.dtype)
    return out


@triton.jit
def behind_norm(gz, y, c1, c2, c3, ok):
    """The gradient of a raw output from gz, the gradient behind its BatchNorm. Where not ok, gz and y are zero,
    and so is the result."""
    return (gz.to(tl.float32) * c1 + (y.to(tl.float32) * c2 + tl.where(ok, c3, 0.0))).to(gz.dtype)


@triton.jit
def by_eights(x, M: tl.constexpr, NW: tl.constexpr):
    """Add rows m and m + 8 of each sixteen, which one thread of Hopper holds: [M, NW] -> [M / 16, 8, NW]."""
    return tl.sum(tl.reshape(x, [M // 16, 2, 8, NW]), axis=1)


@triton.jit
def columns(x):
    """Sums over all rows, from `by_eights`."""
    return tl.sum(tl.sum(x, axis=0), axis=0)


@triton.jit
def shortcut(raw, res_ptr, off, ok, MODE: tl.constexpr):
    """The shortcut's numbers at ``off``, as raw, where ok; raw itself where there is no shortcut."""
    out = raw
    if MODE == 2 or MODE == 4:
        out = tl.load(res_ptr + off, mask=ok, other=0.0)
    return out


@triton.jit
def forward_kernel(
    count_ptr, x_ptr, res_ptr, act_ptr, bn_ptr, w_ptr, y_ptr, part_ptr, one,
    N: tl.constexpr, H: tl.constexpr, W: tl.constexpr, C: tl.constexpr, P: tl.constexpr, S: tl.constexpr,
    KW: tl.constexpr, NW: tl.constexpr, M: tl.constexpr, HS: tl.constexpr, G: tl.constexpr, MODE: tl.constexpr,
    PDL: tl.constexpr = False,
):  # fmt: skip
    """Compute y and its sums from x, the raw output of the previous layer.

    MODE 1 convolves relu(bn(x)). Others start a block and write its input to ``act``: relu(bn(x) + res) (2),
    relu(bn(x)) (3), or relu(bn(x) + A(res)) (4), where option A of He et al. takes every second pixel of ``res``
    [K, N, 2 H, 2 W, C / 2] and zeros for the new channels."""
    begin(PDL)
    pid = tl.program_id(0)
    lane = tl.program_id(1)
    progs = tl.num_programs(0)
    STRIPS: tl.constexpr = H // HS
    WP: tl.constexpr = W // P
    IMG: tl.constexpr = M // WP
    ROW: tl.constexpr = W * C
    FORM: tl.constexpr = 2 if MODE == 2 or MODE == 4 else 1  # of `activate`
    h0 = (pid % STRIPS) * HS
    grp = pid // STRIPS
    count = tl.load(count_ptr + lane)
    if grp * G * IMG >= count:
        return
    base = lane.to(tl.int64) * (N * H * W * C)
    x_ptr += base
    y_ptr += base
    # Pixels of the shortcut are C numbers apart in any mode, its rows and images STEP times as far as those of x.
    STEP: tl.constexpr = 2 if MODE == 4 else 1
    res_ptr += STEP * base
    act_ptr += base
    w_ptr += lane * (3 * S * KW * NW)

    m = tl.arange(0, M)
    image = m // WP
    w0 = (m % WP) * P
    kk = tl.arange(0, KW)
    px = kk // C
    old = kk >= 0
    if MODE == 4:
        old = (kk % C >= C // 4) & (kk % C < 3 * C // 4)
    old = old[None, :]
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
        ro = xo
        if MODE == 4:
            ro = xo + (n * (H * W * C) - C // 4)[:, None]
        yo = pixel[:, None] + nn[None, :]
        acc_a = tl.zeros([M, NW], tl.float32)
        acc_b = tl.zeros([M, NW], tl.float32)
        first = (h0 - 1) * ROW
        ok = h0 > 0
        if S == 1:
            raw = tl.load(x_ptr + (xo + first), mask=in0 & ok, other=0.0)
            res = shortcut(raw, res_ptr, ro + STEP * first, in0 & ok & old, MODE)
        else:
            raw = tl.load(x_ptr + (xo + (first + C)), mask=ok, other=0.0)
            res = shortcut(raw, res_ptr, ro + (STEP * first + C), ok & old, MODE)
        for t in range(HS + 2):
            r = h0 - 1 + t
            ok = (r >= 0) & (r < H)
            centre = (t >= 1) & (t <= HS)
            nxt = (r + 1) * ROW
            nok = (r + 1 < H) & (t < HS + 1)
            if S == 1:
                x0 = activate(raw, res, sc, sh, in0 & ok, FORM)
                raw = tl.load(x_ptr + (xo + nxt), mask=in0 & nok, other=0.0)
                res = shortcut(raw, res_ptr, ro + STEP * nxt, in0 & nok & old, MODE)
                if MODE > 1:
                    own = (px >= 1) & (px <= P)
                    tl.store(act_ptr + (xo + r * ROW), x0, mask=own[None, :] & in0 & (here & centre))
                acc_a = tl.dot(x0, w_c0, acc_a)
                acc_b = tl.dot(x0, w_b0, acc_b)
                acc_c = tl.dot(x0, w_a0)
            else:
                # Only the middle of the next row is loaded ahead; left and right are then in the L1 cache.
                x1 = activate(raw, res, sc, sh, ok, FORM)
                raw0 = tl.load(x_ptr + (xo + r * ROW), mask=in0 & ok, other=0.0)
                res0 = shortcut(raw0, res_ptr, ro + STEP * r * ROW, in0 & ok & old, MODE)
                raw = tl.load(x_ptr + (xo + (nxt + C)), mask=nok, other=0.0)
                res = shortcut(raw, res_ptr, ro + (STEP * nxt + C), nok & old, MODE)
                if MODE > 1:
                    tl.store(act_ptr + (xo + (r * ROW + C)), x1, mask=here & centre)
                acc_a = tl.dot(x1, w_c1, acc_a)
                acc_b = tl.dot(x1, w_b1, acc_b)
                acc_c = tl.dot(x1, w_a1)
                raw2 = tl.load(x_ptr + (xo + (r * ROW + 2 * C)), mask=in2 & ok, other=0.0)
                res2 = shortcut(raw2, res_ptr, ro + (STEP * r * ROW + 2 * C), in2 & ok & old, MODE)
                x0 = activate(raw0, res0, sc, sh, in0 & ok, FORM)
                acc_a = tl.dot(x0, w_c0, acc_a)
                acc_b = tl.dot(x0, w_b0, acc_b)
                acc_c = tl.dot(x0, w_a0, acc_c)
                x2 = activate(raw2, res2, sc, sh, in2 & ok, FORM)
                acc_a = tl.dot(x2, w_c2, acc_a)
                acc_b = tl.dot(x2, w_b2, acc_b)
                acc_c = tl.dot(x2, w_a2, acc_c)
            done = t >= 2
            tl.store(y_ptr + (yo + (r - 1) * ROW), acc_a.to(y_ptr.dtype.element_ty), mask=here & done)
            o = tl.where(here & done, acc_a, 0.0)
            s1 += by_eights(o, M, NW)
            s2 += by_eights(o * o, M, NW)
            # A plain copy would be moved to where tensor cores still write, and ptxas would serialise them.
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
    """Compute the gradient behind the previous BatchNorm, masked by the ReLU between, and its sums; with DW the
    gradient of the weights too. MODE 1: the layer's input is relu(bn(yp)); MODE 0: it is a, and skip is added to
    its gradient."""
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
            # Loaded again for every row, from the L1 cache: kept over the loop they would cost registers.
            c1 = tl.load(bn_ptr + lane * (7 * C) + 4 * C + kk % C)[None, :]
            c2 = tl.load(bn_ptr + lane * (7 * C) + 5 * C + kk % C)[None, :]
            c3 = tl.load(bn_ptr + lane * (7 * C) + 6 * C + kk % C)[None, :]
            if S == 1:
                x0 = behind_norm(gz, y, c1, c2, c3, in0 & ok)
                gz = tl.load(gz_ptr + (xo + nxt), mask=in0 & nok, other=0.0)
                y = tl.load(y_ptr + (xo + nxt), mask=in0 & nok, other=0.0)
            else:
                # Only the middle of the next row is loaded ahead; left and right are then in the L1 cache.
                x1 = behind_norm(gz, y, c1, c2, c3, ok)
                gz0 = tl.load(gz_ptr + (xo + r * ROW), mask=in0 & ok, other=0.0)
                y0 = tl.load(y_ptr + (xo + r * ROW), mask=in0 & ok, other=0.0)
                gz2 = tl.load(gz_ptr + (xo + (r * ROW + 2 * C)), mask=in2 & ok, other=0.0)
                y2 = tl.load(y_ptr + (xo + (r * ROW + 2 * C)), mask=in2 & ok, other=0.0)
                gz = tl.load(gz_ptr + (xo + (nxt + C)), mask=nok, other=0.0)
                y = tl.load(y_ptr + (xo + (nxt + C)), mask=nok, other=0.0)
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
            # A plain copy would be moved to where tensor cores still write, and ptxas would serialise them.
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
