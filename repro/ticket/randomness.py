"""Seed generators from names, and restore the caller's random state.

Dropout and random transforms draw from generators. These are seeded for every epoch and for every example that is
read, so that a resumed search draws the same numbers as an uninterrupted one, and no state has to be saved.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import random
import types
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from repro.data.batches import seed_of

Handle = tuple[Callable[[], Any], Callable[[Any], object], Callable[[int], object]]
"""A generator as three functions: get its state, set its state, seed it."""

GLOBAL: tuple[Handle, ...] = (
    (random.getstate, random.setstate, random.seed),
    (np.random.get_state, np.random.set_state, lambda seed: np.random.seed(seed % 2**32)),
    (torch.default_generator.get_state, torch.default_generator.set_state, torch.default_generator.manual_seed),
)
WIDE, MOST = 200, 2000  # the most references of one object, and objects in all, that are searched for generators


def seed_all(cuda: bool, *words: object) -> None:
    """Seed the global generators of Python, NumPy and torch from words; with ``cuda``, those of CUDA as well."""
    for _, _, seed in GLOBAL:
        seed(seed_of(*words))
    if cuda:
        torch.cuda.manual_seed(seed_of(*words))


@contextlib.contextmanager
def restored(generators: Sequence[Handle] = GLOBAL) -> Iterator[None]:
    """Restore the states of ``generators`` at the end."""
    before = [get() for get, _, _ in generators]
    try:
        yield
    finally:
        for (_, restore, _), state in zip(generators, before, strict=True):
            restore(state)


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


def generators_in(thing: object) -> list[Handle]:
    """Find the generators in the attributes, lists, dicts and closures of ``thing``, and in theirs."""
    found: list[Handle] = []
    waiting, seen = deque([thing]), dict[int, object]()  # kept alive, so that no two objects share an address
    while waiting and len(seen) < MOST:
        node = waiting.popleft()  # breadth first
        if id(node) in seen or isinstance(node, str | bytes | int | float | None):
            continue
        seen[id(node)] = node
        if handle := _handle(node):
            found.append(handle)
        elif isinstance(node, types.FunctionType):  # not its module's globals
            waiting += (node.__defaults__, node.__closure__)
        elif not isinstance(node, types.ModuleType | type | torch.Tensor):
            waiting += gc.get_referents(node)[:WIDE]
    return found


def _handle(thing: Any) -> Handle | None:
    if isinstance(thing, np.random.Generator):
        bits: Any = thing.bit_generator
        put = functools.partial(setattr, bits, "state")
        return lambda: bits.state, put, lambda seed: put(type(bits)(seed).state)
    if isinstance(thing, np.random.RandomState):
        return thing.get_state, thing.set_state, lambda seed: thing.seed(seed % 2**32)
    if isinstance(thing, torch.Generator):
        return thing.get_state, thing.set_state, thing.manual_seed
    if isinstance(thing, random.Random) and not isinstance(thing, random.SystemRandom):
        return thing.getstate, thing.setstate, thing.seed
    return None
