"""The keys of shipped Runs are made again from params.yaml: a key that moves would orphan days of training."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
UNASKED = {"pilot": 18}
"""Shipped Runs that a profile asked for once: distances of structures."""
PROGRAM = """
import json, sys
from repro.options import Options
from repro.run import ancestors
from repro.workspace import Workspace

made = {}
for profile in sys.argv[1:]:
    work = Workspace(Options(profile=profile, seeds=3))
    staged = [a for a in work.artifacts if a.second_stage]
    second = [a.second_stage(work.study, work.results(), work.seeds_of(a)) for a in staged]
    made[profile] = [run.key for run in ancestors([*work.every_run(), *(run for runs in second for run in runs)])]
assert "torch" not in sys.modules
print(json.dumps(made))
"""


@pytest.mark.shipped
def test_every_shipped_run_has_the_key_that_params_yaml_gives_it() -> None:
    home = Path(os.environ["REPRO_HOME"])  # the ledgers of the last commit
    shipped = {path.parent.name: path for path in (home / "results").glob("*/runs.jsonl")}
    command = [sys.executable, "-c", PROGRAM, *shipped]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    for profile, path in shipped.items():
        keys = {json.loads(line)["key"] for line in path.read_text().splitlines()}
        assert keys, profile
        assert len(keys - set(made[profile])) == UNASKED.get(profile, 0), profile
