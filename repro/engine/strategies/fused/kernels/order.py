"""What every kernel begins with: programmatic dependent launch, of GPUs of the Hopper generation and newer."""

from __future__ import annotations

import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait


@triton.jit
def begin(PDL: tl.constexpr):
    """Wait for the previous launch to end, then allow the next one to start: its programs fill the free
    multiprocessors and wait here in turn. Every program begins with it, also one with nothing to do: a launch that
    ended before its predecessor would let its successor read too early."""
    if PDL:
        gdc_wait()
        gdc_launch_dependents()
