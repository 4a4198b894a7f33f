"""Commands that only read: they leave nothing behind, and need no folder that can be written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "--profile", "smoke"],
        ["claims", "--profile", "smoke"],
        ["claims", "--profile", "smoke", "--json"],
        ["diff", "fig1", "--profile", "smoke"],
        ["diff", "fig3", "--profiles", "paper,paper-128"],
        ["plan", "fig1", "--profile", "smoke", "--no-calibrate"],
        ["fig1", "--profile", "smoke", "--dry-run"],
    ],
    ids=" ".join,
)
def test_a_command_that_only_reads_writes_nothing(command: Command, tmp_path: Path, arguments: list[str]) -> None:
    _, out, _ = command(*arguments)
    assert out
    assert list(tmp_path.iterdir()) == []
