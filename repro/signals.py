"""Signals that ask this process to end: raised as `Interrupted` at once, or deferred until the work is saved."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence
from types import FrameType

from repro.errors import Interrupted

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # clusters announce a preemption by SIGUSR1
DEFERRED = (*ENDING, signal.SIGHUP)


Pending = Sequence[int]
"""The signals that have arrived in a `deferred` block."""


def raise_interrupted() -> None:
    """From now on, raise `Interrupted` in the main thread when a signal of `ENDING` arrives."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted

    for number in ENDING:
        signal.signal(number, interrupt)


@contextlib.contextmanager
def deferred(patient: bool = False) -> Iterator[Pending]:
    """Within this block a signal of `DEFERRED` is only added to the yielded `Pending`; when the block ends without
    an error, the first one takes its usual effect.

    A second signal raises `Interrupted` at once, unless ``patient``. An ignored signal (nohup) stays ignored.
    Outside the main thread, where Python allows no handlers, nothing is deferred.
    """
    pending: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield pending
        return

    def note(number: int, frame: FrameType | None) -> None:
        if pending and not patient:
            raise Interrupted
        pending.append(number)

    before = {number: signal.getsignal(number) for number in DEFERRED}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, note)
    try:
        yield pending
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if pending:
        signal.raise_signal(pending[0])
