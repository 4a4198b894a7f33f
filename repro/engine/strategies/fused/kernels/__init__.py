"""Triton kernels; `repro.engine.strategies.fused` says how they belong together."""
