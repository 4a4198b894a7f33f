"""Triton 3.6's interpreter, mended. It multiplies bfloat16 as if it were uint16 and truncates float32 to
bfloat16: here matrix products are float32 of the bfloat16 values, and rounding is to nearest even, as on the
GPU. And NumPy 2.4 takes an array of one number, which a scalar is there, for no index.

Has to be imported before a kernel runs; `conftest` has said by then that kernels are interpreted."""

from __future__ import annotations

from typing import Any

import numpy as np
import triton.language as tl
from triton.runtime import interpreter

_convert_float = interpreter._convert_float
_patch_tensor = interpreter._patch_lang_tensor


def _float32(handle: Any) -> Any:
    if handle.dtype.scalar == tl.bfloat16:
        return (handle.data.astype(np.uint32) << 16).view(np.float32)
    return handle.data


def _create_dot(self: Any, a: Any, b: Any, d: Any, input_precision: Any, max_num_imprecise_acc: Any) -> Any:
    product = np.matmul(_float32(a), _float32(b), dtype=np.float32)
    return interpreter.TensorHandle(product + d.data, d.dtype.scalar)


def _convert(value: Any, source: Any, target: Any, rounding: Any) -> Any:
    if source == tl.float32 and target == tl.bfloat16:
        bits = np.ascontiguousarray(value).view(np.uint32).astype(np.uint64)
        rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
        return np.where(np.isnan(value), np.uint16(0x7FC0), rounded).astype(np.uint16)
    if source == tl.bfloat16 and target == tl.float32:
        return (np.ascontiguousarray(value).view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return _convert_float(value, source, target, rounding)


def _patch(tensor: Any, scope: Any) -> None:
    _patch_tensor(tensor, scope)
    scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))


interpreter.InterpreterBuilder.create_dot = _create_dot
interpreter._convert_float = _convert
interpreter._patch_lang_tensor = _patch
