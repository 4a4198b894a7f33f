"""CUDA graphs acted out on a CPU.

What is captured is the list of operations with the very tensors they touched; a replay does them again on those.
So what Python decides at a capture is fixed, and what it would have to decide anew at a step goes wrong here as
there. Streams are acted out one after another.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Call = tuple[Any, tuple[Any, ...], dict[str, Any], Any]
# What makes the host wait for the device, which a capture refuses.
WAITING = ("_local_scalar_dense", "nonzero", "equal", "is_nonzero", "item", "masked_select")


class Stream:
    """`torch.cuda.Stream`, as far as it is used."""

    def __init__(self, device: object = None) -> None:
        pass

    def wait_stream(self, other: Stream) -> None:
        """One after another they are anyway."""


class Graph:
    """`torch.cuda.CUDAGraph`: ``calls`` are what it replays."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.replays = 0

    def replay(self) -> None:
        """The operations again, on the same tensors, their results where they were."""
        self.replays += 1
        with torch.no_grad():
            for function, args, kwargs, before in self.calls:
                after = function(*args, **kwargs)
                for old, new in zip(tree_leaves(before), tree_leaves(after), strict=True):
                    if isinstance(old, torch.Tensor) and _storage(old) != _storage(new):
                        old.copy_(new)


class _Tape(TorchDispatchMode):
    def __init__(self, calls: list[Call]) -> None:
        super().__init__()
        self._calls = calls

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in WAITING:
            raise RuntimeError(f"operation not permitted when stream is capturing: {func}")
        result = func(*args, **(kwargs or {}))
        self._calls.append((func, args, kwargs or {}, result))
        return result


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def act_out(monkeypatch: pytest.MonkeyPatch) -> list[Graph]:
    """From here on `torch.cuda` captures and replays on the CPU; returns the graphs as they are made."""
    made: list[Graph] = []

    @contextlib.contextmanager
    def capture(graph: Graph, pool: object = None, stream: object = None) -> Iterator[None]:
        made.append(graph)
        with _Tape(graph.calls):
            yield

    current = Stream()
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", object)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: current)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    return made
