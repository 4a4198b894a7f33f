"""A polite end in the middle of an epoch: Ctrl-C, a kill, a node that is about to be taken away."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from repro.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class Request:
    """Whether one of `SIGNALS` came since `deferred` began."""

    def __init__(self) -> None:
        self.came = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The signal handler. A second signal does not wait any longer."""
        if self.came:
            raise Interrupted
        self.came = True


_noted = Request()


def raise_pending() -> None:
    """Raise `Interrupted` if a signal came during the last epoch of a Run, whose result is kept by now."""
    if _noted.came:
        _noted.came = False
        raise Interrupted


@contextlib.contextmanager
def deferred() -> Iterator[Request]:
    """While it lasts a signal is noted instead of ending the process, so that the work at hand can be kept."""
    request = Request()
    if threading.current_thread() is not threading.main_thread():  # Python lets the main thread alone set handlers
        yield request
        return
    before = {number: signal.signal(number, request) for number in SIGNALS}
    try:
        yield request
        _noted.came = request.came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
