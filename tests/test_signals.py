"""Signals are deferred until the work is saved, then take their usual effect."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from repro import signals
from repro.errors import Interrupted

NUMBER = signal.SIGUSR1


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """As the command line sets them, and as they were afterwards."""
    before = {number: signal.getsignal(number) for number in signals.DEFERRED}
    signals.raise_interrupted()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_without_deferral_a_signal_is_raised_at_once() -> None:
    with pytest.raises(Interrupted):
        signal.raise_signal(NUMBER)


def test_a_deferred_signal_is_raised_when_the_outermost_block_ends() -> None:
    done = []
    with pytest.raises(Interrupted), signals.deferred() as outer:
        with signals.deferred() as inner:
            signal.raise_signal(NUMBER)
            done.append(bool(inner))
        done.append(bool(outer))
    assert done == [True, True]


def test_a_block_without_a_signal_restores_the_handlers() -> None:
    before = signal.getsignal(NUMBER)
    with signals.deferred() as pending:
        assert not pending and signal.getsignal(NUMBER) != before
    assert signal.getsignal(NUMBER) == before


@pytest.mark.parametrize("patient", [False, True])
def test_a_second_signal_waits_only_where_it_has_to(patient: bool) -> None:
    saved = []
    with pytest.raises(Interrupted), signals.deferred(patient):
        signal.raise_signal(NUMBER)
        signal.raise_signal(NUMBER)
        saved.append(True)
    assert saved == [True] * patient


def test_an_error_in_the_block_counts_for_more_than_a_signal() -> None:
    with pytest.raises(ValueError, match="lost"), signals.deferred():
        signal.raise_signal(NUMBER)
        raise ValueError("lost")


def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    with signals.deferred() as pending:
        signal.raise_signal(signal.SIGHUP)
        assert not pending
