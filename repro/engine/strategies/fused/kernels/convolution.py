"""Triton kernels for 3x3 convolutions of stride 1 that keep the number of channels, for all lanes at once.

A row of the matrix product is one pixel or two adjacent pixels; a program multiplies `tiles.Tile.rows` of them,
the same image row of a few images. It walks down a strip of image rows. It loads and transforms each row of pixels
once and multiplies it by the weights of ky = 2, 1 and 0 into accumulators of three output rows, which move up by
one with every row, so that each row read completes one row of the output.

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
def load_weights(w_ptr, KW: tl.constexpr, NW: tl.constexpr, S: tl.constexpr):
    """A lane's operands [KW, NW]: the ``S`` shifts of ky = 0, of 1 and of 2."""
    at = w_ptr + (tl.arange(0, KW)[:, None] * NW + tl.arange(0, NW)[None, :])
    a, b, c = tl.load(at), tl.load(at + S * KW * NW), tl.load(at + 2 * S * KW * NW)
    if S == 1:
        return a, b, c
    else:  # Triton compiles what follows a return
        return (
            a, tl.load(at + KW * NW), tl.load(at + 2 * KW * NW),
            b, tl.load(at + 4 * KW * NW), tl.load(at + 5 * KW * NW),
            c, tl.load(at + 7 * KW * NW), tl.load(at + 8 * KW * NW),
        )  # fmt: skip


@triton.jit
def multiply(x, w, shift: tl.constexpr, S: tl.constexpr, acc):
    """Add x [M, KW] times the weights of a shift to the accumulators of the rows above, at and below x."""
    return (
        tl.dot(x, w[2 * S + shift], acc[0]),
        tl.dot(x, w[S + shift], acc[1]),
        tl.dot(x, w[shift], acc[2]),
    )


@triton.jit
def weigh(dy, above, at, below, d):
    """Add to the gradient of the weights: dy [M, KW] with the input rows [M, NW] above, at and below it."""
    dy = tl.trans(dy)
    return tl.dot(dy, above, d[0]), tl.dot(dy, at, d[1]), tl.dot(dy, below, d[2])


@triton.jit
def store_weights(dw_ptr, d, shift, KW: tl.constexpr, NW: tl.constexpr, S: tl.constexpr):
    """Write a shift's gradients of the weights, as `load_weights` reads them."""
    at = dw_ptr + (shift * KW * NW + tl.arange(0, KW)[:, None] * NW + tl.arange(0, NW)[None, :])
    for ky in tl.static_range(3):
        tl.store(at + ky * S * KW * NW, d[ky])


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
    START: tl.constexpr = 1 if STRIPS == 1 else 0  # step t reads row h0 - 1 + t; there is none above the image
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
    w = load_weights(w_ptr + lane * (3 * S * KW * NW), KW, NW, S)
    col0 = w0[:, None] + px[None, :] - 1
    in0 = (col0 >= 0) & (col0 < W)
    in2 = col0 + 2 < W
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
        none = tl.zeros([M, NW], tl.float32)
        acc = (none, none, none)
        first = (h0 - 1 + START) * ROW
        ok = h0 + START > 0
        if S == 1:
            raw = tl.load(x_ptr + (xo + first), mask=in0 & ok, other=0.0)
            res = shortcut(raw, res_ptr, ro + STEP * first, in0 & ok & old, MODE)
        else:
            raw = tl.load(x_ptr + (xo + (first + C)), mask=ok, other=0.0)
            res = shortcut(raw, res_ptr, ro + (STEP * first + C), ok & old, MODE)
        for t in range(START, HS + 2):
            r = h0 - 1 + t
            centre = (t >= 1) & (t <= HS)
            nxt = (r + 1) * ROW
            ok = (r >= 0) & (r < H)
            more = (r + 1 < H) & (t < HS + 1)
            if S == 1:
                x0 = activate(raw, res, sc, sh, in0 & ok, FORM)
                raw = tl.load(x_ptr + (xo + nxt), mask=in0 & more, other=0.0)
                res = shortcut(raw, res_ptr, ro + STEP * nxt, in0 & more & old, MODE)
                if MODE > 1:
                    own = (px >= 1) & (px <= P)
                    tl.store(act_ptr + (xo + r * ROW), x0, mask=own[None, :] & in0 & (here & centre))
                acc = multiply(x0, w, 0, S, acc)
            else:
                # Only the middle of the next row is loaded ahead; left and right are then in the L1 cache.
                x1 = activate(raw, res, sc, sh, ok, FORM)
                raw0 = tl.load(x_ptr + (xo + r * ROW), mask=in0 & ok, other=0.0)
                res0 = shortcut(raw0, res_ptr, ro + STEP * r * ROW, in0 & ok & old, MODE)
                raw = tl.load(x_ptr + (xo + (nxt + C)), mask=more, other=0.0)
                res = shortcut(raw, res_ptr, ro + (STEP * nxt + C), more & old, MODE)
                if MODE > 1:
                    tl.store(act_ptr + (xo + (r * ROW + C)), x1, mask=here & centre)
                acc = multiply(x1, w, 1, S, acc)
                raw2 = tl.load(x_ptr + (xo + (r * ROW + 2 * C)), mask=in2 & ok, other=0.0)
                res2 = shortcut(raw2, res_ptr, ro + (STEP * r * ROW + 2 * C), in2 & ok & old, MODE)
                x0 = activate(raw0, res0, sc, sh, in0 & ok, FORM)
                acc = multiply(x0, w, 0, S, acc)
                x2 = activate(raw2, res2, sc, sh, in2 & ok, FORM)
                acc = multiply(x2, w, 2, S, acc)
            done = here & (t >= 2)
            tl.store(y_ptr + (yo + (r - 1) * ROW), acc[0].to(y_ptr.dtype.element_ty), mask=done)
            o = tl.where(done, acc[0], 0.0)
            s1 += by_eights(o, M, NW)
            s2 += by_eights(o * o, M, NW)
            # A plain copy would be moved to where tensor cores still write, and ptxas would serialise them.
            acc = (acc[1] * one, acc[2] * one, none)
    part_ptr += (lane * progs + pid) * (2 * NW)
    tl.store(part_ptr + nn, columns(s1))
    tl.store(part_ptr + NW + nn, columns(s2))


@triton.jit
def normalised(raw, prev_ptr, ok, C: tl.constexpr, NW: tl.constexpr, MODE: tl.constexpr):
    """`activate` by the previous BatchNorm."""
    c = tl.arange(0, NW) % C
    return activate(raw, raw, tl.load(prev_ptr + c)[None, :], tl.load(prev_ptr + C + c)[None, :], ok, MODE)


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
    START: tl.constexpr = 1 if STRIPS == 1 else 0  # step t reads row h0 - 1 + t; there is none above the image
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
    prev_ptr += lane * (7 * C)
    if MODE == 0:
        a_ptr += base
        skip_ptr += base

    m = tl.arange(0, M)
    image = m // WP
    w0 = (m % WP) * P
    kk = tl.arange(0, KW)
    px = kk // C
    nn = tl.arange(0, NW)
    w = load_weights(w_ptr + lane * (3 * S * KW * NW), KW, NW, S)
    col0 = w0[:, None] + px[None, :] - 1
    in0 = (col0 >= 0) & (col0 < W)
    in2 = col0 + 2 < W
    if DW:
        zero = tl.zeros([KW, NW], tl.float32)
        d0 = (zero, zero, zero)
        d1 = (zero, zero, zero)
        d2 = (zero, zero, zero)
    s1 = tl.zeros([M // 16, 8, NW], tl.float32)
    s2 = tl.zeros([M // 16, 8, NW], tl.float32)
    for g in range(G):
        n = (grp * G + g) * IMG + image
        here = (n < count)[:, None]
        n = tl.minimum(n, count - 1)
        pixel = (n * (H * W) + w0) * C
        xo = pixel[:, None] + kk[None, :] - C
        yo = pixel[:, None] + nn[None, :]
        none = tl.zeros([M, NW], tl.float32)
        acc = (none, none, none)
        if DW:  # the input's row at dy's, and those above and below it
            source = a_ptr if MODE == 0 else yp_ptr
            a_p = tl.zeros([M, NW], gz_ptr.dtype.element_ty)
            a_c = a_p
            if START:
                raw = tl.load(source + yo, mask=here, other=0.0)
                a_c = normalised(raw, prev_ptr, here, C, NW, MODE)
        first = (h0 - 1 + START) * ROW
        ok = h0 + START > 0
        if S == 1:
            gz = tl.load(gz_ptr + (xo + first), mask=in0 & ok, other=0.0)
            y = tl.load(y_ptr + (xo + first), mask=in0 & ok, other=0.0)
        else:
            gz = tl.load(gz_ptr + (xo + (first + C)), mask=ok, other=0.0)
            y = tl.load(y_ptr + (xo + (first + C)), mask=ok, other=0.0)
        for t in range(START, HS + 2):
            r = h0 - 1 + t
            done = t >= 2
            nxt = (r + 1) * ROW
            ok = (r >= 0) & (r < H)
            more = (r + 1 < H) & (t < HS + 1)
            # Loaded again for every row, from the L1 cache: kept over the loop they would cost registers.
            c1 = tl.load(bn_ptr + lane * (7 * C) + 4 * C + kk % C)[None, :]
            c2 = tl.load(bn_ptr + lane * (7 * C) + 5 * C + kk % C)[None, :]
            c3 = tl.load(bn_ptr + lane * (7 * C) + 6 * C + kk % C)[None, :]
            if S == 1:
                x0 = behind_norm(gz, y, c1, c2, c3, in0 & ok)
                gz = tl.load(gz_ptr + (xo + nxt), mask=in0 & more, other=0.0)
                y = tl.load(y_ptr + (xo + nxt), mask=in0 & more, other=0.0)
            else:
                # Only the middle of the next row is loaded ahead; left and right are then in the L1 cache.
                x1 = behind_norm(gz, y, c1, c2, c3, ok)
                gz0 = tl.load(gz_ptr + (xo + r * ROW), mask=in0 & ok, other=0.0)
                y0 = tl.load(y_ptr + (xo + r * ROW), mask=in0 & ok, other=0.0)
                gz2 = tl.load(gz_ptr + (xo + (r * ROW + 2 * C)), mask=in2 & ok, other=0.0)
                y2 = tl.load(y_ptr + (xo + (r * ROW + 2 * C)), mask=in2 & ok, other=0.0)
                gz = tl.load(gz_ptr + (xo + (nxt + C)), mask=more, other=0.0)
                y = tl.load(y_ptr + (xo + (nxt + C)), mask=more, other=0.0)
            spot = yo + (r - 1) * ROW
            yp = tl.load(yp_ptr + spot, mask=done, other=0.0)
            if MODE == 0:
                a = tl.load(a_ptr + spot, mask=done, other=0.0)
                skip = tl.load(skip_ptr + spot, mask=done, other=0.0)
            if DW:
                fresh = here & (t < HS)
                raw = tl.load(source + (yo + nxt), mask=fresh, other=0.0)
            if S == 1:
                acc = multiply(x0, w, 0, S, acc)
            else:
                acc = multiply(x1, w, 1, S, acc)
                x0 = behind_norm(gz0, y0, c1, c2, c3, in0 & ok)
                acc = multiply(x0, w, 0, S, acc)
                x2 = behind_norm(gz2, y2, c1, c2, c3, in2 & ok)
                acc = multiply(x2, w, 2, S, acc)
            if DW:
                a_n = normalised(raw, prev_ptr, fresh, C, NW, MODE)
                d0 = weigh(x0, a_p, a_c, a_n, d0)
                if S == 3:
                    d1 = weigh(x1, a_p, a_c, a_n, d1)
                    d2 = weigh(x2, a_p, a_c, a_n, d2)
                a_p = a_c
                a_c = a_n
            yp = yp.to(tl.float32)
            gradient = acc[0]
            if MODE == 0:
                act = a.to(tl.float32)
                gradient += skip.to(tl.float32)
            else:
                act = yp * tl.load(prev_ptr + nn % C)[None, :] + tl.load(prev_ptr + C + nn % C)[None, :]
            o = tl.where(act > tl.where(here & done, 0.0, float("inf")), gradient, 0.0)
            tl.store(gx_ptr + spot, o.to(gx_ptr.dtype.element_ty), mask=here & done)
            s1 += by_eights(o, M, NW)
            s2 += by_eights(o * yp, M, NW)
            # A plain copy would be moved to where tensor cores still write, and ptxas would serialise them.
            acc = (acc[1] * one, acc[2] * one, none)
    part_ptr += (lane * progs + pid) * (2 * NW)
    tl.store(part_ptr + nn, columns(s1))
    tl.store(part_ptr + NW + nn, columns(s2))
    if DW:
        dw_ptr += (lane * progs + pid) * (3 * S * KW * NW)
        store_weights(dw_ptr, d0, 0, KW, NW, S)
        if S == 3:
            store_weights(dw_ptr, d1, 1, KW, NW, S)
            store_weights(dw_ptr, d2, 2, KW, NW, S)
