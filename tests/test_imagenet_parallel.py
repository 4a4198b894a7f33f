"""Processes that look at images: none is left behind, none goes in silence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from repro.data.imagenet import parallel
from repro.errors import MissingInput

ROOT = Path(__file__).resolve().parent.parent


def test_a_killed_worker_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "cores", lambda: 2)
    # As the kernel does for want of memory. `eval` of text: a worker would have to import a function from here.
    dies = "__import__('os').kill(__import__('os').getpid(), 9)"
    with pytest.raises(MissingInput, match="worker process was killed"):
        list(parallel.in_parallel(eval, [dies] * parallel.FEW, "dying", parallel.SILENT))


ORPHANED = """
import os
from repro.data.imagenet import parallel
parallel.cores = lambda: 2
if __name__ == "__main__":
    waits = ["__import__('time').sleep(.01)"] * parallel.FEW
    for _ in parallel.in_parallel(eval, waits, "waiting", parallel.SILENT):
        os.kill(os.getpid(), 9)
"""


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "orphaned.py"
    script.write_text(ORPHANED)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env=environment)
    # They hold the pipe open as long as they live.
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (-9, b"")
