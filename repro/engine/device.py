"""Chooses device and precision, and describes them for Records."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import repro
from repro.errors import MissingInput, UsageError
from repro.machine import threads
from repro.options import placed

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from malloc.h
PACKAGES = ("torch", "torchvision", "numpy", "safetensors")


@dataclass(frozen=True)
class Device:
    """A torch device and its name for people."""

    torch: torch.device
    name: str

    @property
    def cuda(self) -> bool:
        """Whether it is a CUDA device."""
        return self.torch.type == "cuda"

    def synchronize(self) -> None:
        """Wait until the device has finished its work."""
        if self.cuda:
            torch.cuda.synchronize(self.torch)


def choose(name: str) -> Device:
    """Choose ``auto``, ``cpu`` or ``cuda``, and set PyTorch to deterministic kernels, on which resuming relies.

    Raises `MissingInput` for ``cuda`` if there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise MissingInput("--device cuda: PyTorch sees no CUDA device here; `repro doctor` says more")
    # cuBLAS is deterministic only with a fixed workspace, and reads this when it starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Not torch.use_deterministic_algorithms: it guards operations that are not used here, and fills every new
    # tensor with NaN, a quarter of a step's time on a CPU.
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    use_precision("float32")  # float32 means float32
    if name == "cpu" or not torch.cuda.is_available():
        count = threads()
        torch.set_num_threads(count)
        # Make glibc keep freed blocks of up to 32 MB. Returned to the kernel, they are fetched page by page at
        # every step, a tenth of its time. Has no effect without glibc.
        with contextlib.suppress(OSError, AttributeError):
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(M_MMAP_THRESHOLD, 32 << 20)
            mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        return Device(torch.device("cpu"), f"{cpu_name()}, {count} thread{'s' if count > 1 else ''}")
    index = placed().local_rank  # torchrun's: one process a GPU
    if index >= torch.cuda.device_count():
        raise MissingInput(
            f"{index + 1} processes on this node, but PyTorch sees {torch.cuda.device_count()} CUDA devices: ask "
            "for as many GPUs as there are"
        )
    torch.cuda.set_device(index)
    return Device(torch.device("cuda", index), torch.cuda.get_device_name(index))


def resolve_precision(name: str, device: Device) -> str:
    """Return ``float32``, ``tf32`` or ``bfloat16``; ``auto`` is bfloat16 if the device has hardware for it, else
    float32. Raises `UsageError` for tf32 on a device without it."""
    # CUDA multiplies TF32 from Ampere on.
    if name == "tf32" and not (device.cuda and torch.cuda.get_device_capability(device.torch)[0] >= 8):
        raise UsageError(f"precision tf32: {device.name} has none; choose float32 or bfloat16")
    if name != "auto":
        return name
    return "bfloat16" if fast_bfloat16(device) else "float32"


def use_precision(precision: str) -> torch.dtype:
    """Return the type of convolutions' inputs in a resolved ``precision``. From now on float32 is multiplied with
    10 bits of mantissa if that is tf32, else with all."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def fast_bfloat16(device: Device) -> bool:
    """Return whether the device multiplies bfloat16 in hardware (CUDA from Ampere on; AMX or AVX-512 on a CPU)."""
    if device.cuda:
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return not {"amx_bf16", "avx512_bf16"}.isdisjoint(_cpuinfo("flags").split())


def provenance(device: Device, precision: str) -> dict[str, Any]:
    """Return device, resolved precision and versions, for a Record."""
    record: dict[str, Any] = {
        "device": device.name,
        "precision": precision,
        "repro": repro.__version__,
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "platform": platform.platform(terse=True),
    }
    if device.cuda:
        record["cuda"] = torch.version.cuda
        record["cudnn"] = torch.backends.cudnn.version()
    else:
        record["threads"] = torch.get_num_threads()
    return record


def cpu_name() -> str:
    """Return the processor's name."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


@functools.cache
def _cpuinfo(field: str) -> str:
    """Return the first value of ``field`` that Linux reports; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")
