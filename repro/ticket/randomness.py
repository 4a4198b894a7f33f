"""Random numbers from names, and the caller's own state given back.

Dropout, random transforms and the like draw from global generators. These are seeded anew for every epoch, so
that a resumed search draws what an undisturbed one draws and no generator's state has to be kept.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch

from repro.data.batches import seed_of


def seed_all(cuda: bool, *words: object) -> None:
    """Seed Python's, NumPy's and torch's generators from words; CUDA's only where it is in use."""
    seed = seed_of(*words)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)
    if cuda:
        torch.cuda.manual_seed(seed)


@contextlib.contextmanager
def untouched() -> Iterator[None]:
    """Whatever happens inside, the caller finds its generators and torch's global settings as they were."""
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    threads, cudnn = torch.get_num_threads(), torch.backends.cudnn
    flags = cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
        torch.set_num_threads(threads)
        cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32 = flags
