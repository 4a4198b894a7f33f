"""The first call of every kernel: programmatic dependent launch, on GPUs of the Hopper generation and newer."""

from __future__ import annotations

import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait


@triton.jit
def begin(PDL: tl.constexpr):
    """Wait for the previous launch to end, then allow the next one to start: its programs fill free
    multiprocessors and wait here in turn. Programs without work call it too: a launch that ended before the
    previous one would let the next one read too early."""
    if PDL:
        gdc_wait()
        gdc_launch_dependents()
