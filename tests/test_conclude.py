"""`repro claims` and `repro report`: what holds, decided from what is there, and the page about it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from tiny import TINY

from repro import artifacts

ROOT = Path(__file__).resolve().parent.parent
Command = Callable[..., tuple[int, str, str]]


def test_the_papers_own_numbers_support_some_of_its_claims(command: Command) -> None:
    code, out, err = command("claims", "--published", "--json")
    assert code == 0, err
    found = json.loads(out)
    verdicts = {claim["id"]: claim["verdict"] for claim in found["claims"]}
    assert len(verdicts) == sum(found["counts"].values()) == 58
    assert verdicts["accuracy-falls-up-to-80"] == "holds"
    assert verdicts["initial-weights-are-worse"] == "holds"
    assert verdicts["accuracy-has-fallen-at-80"] in ("undecided", "fails")  # what the paper says of s = 80
    assert verdicts["weights-fall-in-parallel"] == "unpublished"  # a curve, printed without numbers
    flagged = {entry["id"]: entry["value"] for entry in found["contradictions"]}
    assert "column-80-is-flat" in flagged
    assert flagged["resnet18-delta-is-off-by-a-tenth"] == 0.1  # printed as -0.56


def test_claims_are_printed_with_what_would_decide_them(command: Command) -> None:
    code, out, _ = command("claims", "--published")
    assert code == 0
    (line,) = [line for line in out.splitlines() if "far-structures-are-equally-good" in line and "0.6375" in line]
    assert "undecided" in line
    assert re.search(r"\d+ seeds", line)
    assert "0.56" in out


def test_without_results_no_claim_is_decided(command: Command) -> None:
    code, out, _ = command("claims", "--profile", "smoke", *TINY, "--json")
    assert code == 0
    found = json.loads(out)
    assert {claim["verdict"] for claim in found["claims"]} == {"not run"}
    assert all(claim["missing"] for claim in found["claims"])


def test_the_report_of_shipped_results_needs_no_data(command: Command, tmp_path: Path) -> None:
    """What a clone ships renders there: page and README, with no address in it and every link resolving."""
    (tmp_path / "out" / "pilot").mkdir(parents=True)
    shutil.copy(ROOT / "results" / "pilot" / "runs.jsonl", tmp_path / "out" / "pilot")
    code, out, err = command("report", "--profile", "pilot")
    assert code == 0, err
    assert "index.html" in out
    folder = tmp_path / "out" / "pilot"
    html, readme = (folder / "index.html").read_text(), (folder / "README.md").read_text()
    assert "http://" not in html
    assert "https://" not in html
    for name in artifacts.IMPLEMENTED:
        assert f"{name}.png" in readme
        assert (folder / f"{name}.png").exists()
    for target in re.findall(r"\]\(([^)#]+)\)", readme):
        assert (folder / target).exists(), target
    claims = json.loads((folder / "claims.json").read_text())
    assert not claims["comparable"]
    for claim in claims["claims"]:
        assert claim["claim"] in (folder / "claims.md").read_text()


def test_a_second_report_says_the_same(command: Command, tmp_path: Path) -> None:
    assert command("fig2", "--profile", "smoke", *TINY)[0] == 0
    assert command("report", "--profile", "smoke", *TINY)[0] == 0
    (folder,) = (tmp_path / "out").iterdir()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert command("report", "--profile", "smoke", *TINY)[0] == 0
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_plan_prices_a_further_seed(command: Command) -> None:
    arguments = ["plan", "fig1", "--profile", "paper", "--no-calibrate"]
    code, out, _ = command(*arguments, "--json")
    assert code == 0
    further = json.loads(out)["further_seed"]
    assert (further["runs"], further["epochs"]) == (144, 144 * 200)
    _, out, _ = command("plan", "table1", "--profile", "paper", "--no-calibrate", "--json")
    # dense and beyond, the stepwise window, and seven networks on random labels: no second calibration
    assert json.loads(out)["further_seed"]["runs"] == 2 + 1 + 7
    assert "each further seed: 144 Runs, 28,800 epochs" in command(*arguments)[1]
