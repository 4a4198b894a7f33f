"""Seed generators from names, and restore the caller's random state.

Dropout and random transforms draw from generators. These are seeded for every epoch and for every example that is
read, so that a resumed search draws the same numbers as an uninterrupted one, and no state has to be saved.
"""

from __future__ import annotations

import contextlib
import gc
import random
import types
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from repro.data.batches import seed_of

Seed = Callable[[int], object]
"""Seed one generator."""

GLOBAL: tuple[Seed, ...] = (
    random.seed,
    lambda seed: np.random.seed(seed % 2**32),
    torch.default_generator.manual_seed,
)
WIDE, MOST = 200, 2000  # the most references of one object, and objects in all, that are searched for generators


def seed_all(cuda: bool, *words: object) -> None:
    """Seed the global generators of Python, NumPy and torch from words; with ``cuda``, those of CUDA as well."""
    for seed in (*GLOBAL, torch.cuda.manual_seed) if cuda else GLOBAL:
        seed(seed_of(*words))


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """Restore the state of the global generators, but CUDA's, at the end."""
    python, numpy, torch_state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(torch_state)


@contextlib.contextmanager
def untouched() -> Iterator[None]:
    """Restore the caller's generators and torch's global settings at the end. Enable gradients inside."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    threads, cudnn, matmul = torch.get_num_threads(), torch.backends.cudnn, torch.backends.cuda.matmul
    flags = cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32
    try:
        with torch.inference_mode(False), torch.enable_grad(), restored():
            yield
    finally:
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
        torch.set_num_threads(threads)
        cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = flags


def generators_in(thing: object) -> list[Seed]:
    """Find the generators in the attributes, lists, dicts and closures of ``thing``, and in theirs."""
    found: list[Seed] = []
    waiting, seen = deque([thing]), dict[int, object]()  # kept alive, so that no two objects share an address
    while waiting and len(seen) < MOST:
        node = waiting.popleft()  # breadth first
        if id(node) in seen or isinstance(node, str | bytes | int | float | None):
            continue
        seen[id(node)] = node
        if seed := _generator(node):
            found.append(seed)
        elif isinstance(node, types.FunctionType):  # not its module's globals
            waiting += (node.__defaults__, node.__closure__)
        elif not isinstance(node, types.ModuleType | type | torch.Tensor):
            waiting += gc.get_referents(node)[:WIDE]
    return found


def _generator(thing: Any) -> Seed | None:
    if isinstance(thing, np.random.Generator):
        bits: Any = thing.bit_generator
        return lambda seed: setattr(bits, "state", type(bits)(seed).state)
    if isinstance(thing, np.random.RandomState):
        return lambda seed: thing.seed(seed % 2**32)
    if isinstance(thing, torch.Generator):
        return thing.manual_seed
    if isinstance(thing, random.Random) and not isinstance(thing, random.SystemRandom):
        return thing.seed
    return None
