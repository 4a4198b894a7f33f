"""`repro claims` and `repro report`: what holds, decided from what is there, and the page about it."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import TINY

from repro import artifacts
from repro.claims import decide
from repro.claims.tables import tables_of
from repro.commands import priorities
from repro.commands import report as conclude
from repro.options import Options
from repro.plan import cost
from repro.record import Record
from repro.report import claims_table
from repro.report.page import claims_markdown
from repro.report.templates import markdown
from repro.run import Run
from repro.workspace import Workspace

pytestmark = pytest.mark.usefixtures("quickly_drawn")

ROOT = Path(__file__).resolve().parent.parent
Command = Callable[..., tuple[int, str, str]]
RecordOf = Callable[..., Record]


def finished(run: Run, record_of: RecordOf) -> Record:
    """``run`` with made-up numbers wherever training would have measured some."""
    epochs = [*range(run.first_epoch + 1, run.last_epoch + 1)]
    tested = [epoch for epoch in epochs if run.evaluates_after(epoch)]
    curve = {"epoch": epochs, "train_loss": [0.7 for _ in epochs], "train_top1": [40.0 + e for e in epochs]}
    curve |= {"test_epoch": tested, "test_top1": [41.0 + e for e in tested]}
    probe: dict[str, object] = {}
    if run.probe is not None:
        layers = ["conv.weight", *(f"blocks.{n // 2}.conv{1 + n % 2}.weight" for n in range(18)), "linear.weight"]
        for name in ("w_std", "w_mean", "layer_rates"):
            probe[name] = {layer: [0.1 + e / 100 for e in [run.first_epoch, *epochs]] for layer in layers}
        probe["epoch"] = [run.first_epoch, *epochs]
    about = {"device": "none", "seed": run.seed, "wall_s": 1.0, "ended": "2026-01-01"}
    return record_of(run, curve=curve, probe=probe, start={"mask_distance": 0.1}, provenance=about)


def workspace(folder: Path, *without: str, seeds: int | None = None) -> Workspace:
    places = {"runs_dir": folder / "runs", "out": folder / "out"}
    return Workspace(Options(profile="smoke", seeds=seeds, without=without, **places))  # type: ignore[arg-type]


def not_run(work: Workspace) -> set[str]:
    """By judging everything anew; what some of several networks refute has not all cells either."""
    tables = tables_of(work.study, work.results(), work.all_seeds)
    found = decide.judge(tables, work.settings.profile.replicate_sd)
    return {j.claim.id for j in found if j.verdict == decide.NOT_RUN or j.missing.endswith(decide.REFUTED)}


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


def test_claims_that_are_named_stand_alone_with_what_they_rest_on(command: Command) -> None:
    ids = ["initial-weights-are-worse", "accuracy-falls-up-to-80"]
    told = json.loads(command("claims", *ids, "--published", "--json")[1])
    assert {claim["id"] for claim in told["claims"]} == set(ids)
    assert told["counts"]["holds"] == sum(told["counts"].values()) == 2
    code, out, _ = command("claims", *ids, "--published")
    assert code == 0
    assert "own printed numbers: 2 hold" in out
    for claim in told["claims"]:
        assert f"“{claim['quote']}”\nholds. {claim['definition']} Value and 95 % interval: " in out
        assert claim["noise"] in out
    assert "far-structures-are-equally-good" not in out
    assert "disagree" not in out  # the paper with itself, elsewhere


def test_a_claim_that_there_is_not_is_refused_with_those_that_are_like_it(command: Command) -> None:
    code, out, err = command("claims", "early-ticket-matches")
    assert (code, out) == (2, "")
    assert "no claim 'early-ticket-matches'; did you mean early-tickets-match" in err
    assert command("claims", "qqq")[2].count("\n") == 1


def test_claims_are_printed_with_what_would_decide_them(command: Command) -> None:
    code, out, _ = command("claims", "--published")
    assert code == 0
    (line,) = [
        line for line in out.splitlines() if "far-structures-are-equally-good" in line and "to 0.638" in line
    ]
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
    assert not re.search(r"(src|href)=.http", html)
    for name in artifacts.IMPLEMENTED:
        assert f"{name}.png" in readme
        assert (folder / f"{name}.png").exists()
    for target in re.findall(r"\]\(([^)#]+)\)", readme):
        assert (folder / target).exists(), target
    claims = json.loads((folder / "claims.json").read_text())
    assert not claims["comparable"]
    for claim in claims["claims"]:
        assert markdown(claim["claim"]) in (folder / "claims.md").read_text()
    diff = json.loads((folder / "diff.json").read_text())
    assert set(diff["verdicts"]) == set(artifacts.IMPLEMENTED)
    assert "claims.json, diff.json" in out
    assert not (folder / "hypotheses.json").exists()  # pilot is none
    # What decides nothing has no verdicts, neither in files nor on the page.
    assert claims["counts"] == {"not comparable": 42, "not run": 16}
    assert {claim["verdict"] for claim in claims["claims"]} == {"not comparable", "not run"}
    assert "| ◌ not comparable | Dense ResNet20 reaches 92.5 % on CIFAR10." in readme
    assert 'data-verdict="not comparable"' in html
    assert not re.search(r'data-verdict="(holds|fails|undecided)"', html)
    for text in (readme.split("\n", 1)[1], (folder / "claims.md").read_text()):
        assert not re.search(r"\b(holds?|fails?|undecided)\b", text)


@pytest.mark.shipped
def test_the_pilots_claims_have_statistics_units_and_its_own_epochs_but_no_verdict(command: Command) -> None:
    code, out, _ = command("claims", "--profile", "pilot")
    assert code == 0
    assert not re.search(r"\b(holds?|fails?|undecided)\b", out.split("Where the paper's numbers disagree")[0])
    lines = {line.split()[-1]: line for line in out.splitlines() if line.startswith("not comparable ")}
    assert len(lines) == 42
    assert " −1.52 (−6.78 to 3.75) points " in lines["early-tickets-match"]
    assert " Tickets pruned at epoch 100 or later " in lines["early-tickets-match"]
    assert " epochs of 200 (here −20 of 20) " in lines["tickets-emerge-at-saturation"]
    assert " (up to −2.07) " in lines["iterative-is-similarly-accurate"]
    # What the document says of Eq. 5 is what the statistic says.
    assert " 0.566 (0.482 to 0.650), ratio " in lines["slope-follows-eq-5"]
    assert "0.57 (0.48 to 0.65)" in " ".join((ROOT / "docs" / "pilot.md").read_text().split())
    assert (
        "Epochs in the claims are the paper's: epoch 100 of its 200 on CIFAR-10 is 10 of this profile's 20." in out
    )
    _, told, _ = command("claims", "--profile", "paper", "--set", "seeds=2", "--json")
    assert "holds" not in json.loads(told)["counts"]  # nor under a profile that was changed


def test_a_profile_without_tickets_has_claims_and_a_sprint(command: Command) -> None:
    for words in (["claims"], ["sprint", "--dry-run"]):
        code, out, err = command(*words, "--profile", "smoke", *TINY, "--set", "fig1.s=[]")
        assert code == 0 and "baseline-resnet20" in out, err


def test_a_second_report_says_the_same_and_as_json_what_it_wrote(command: Command, tmp_path: Path) -> None:
    assert command("fig2", "--profile", "smoke", *TINY)[0] == 0
    assert command("report", "--profile", "smoke", *TINY)[0] == 0
    (folder,) = (tmp_path / "out").iterdir()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (folder / "fig2.png").unlink()  # is drawn again, though its numbers are there
    code, out, err = command("report", "--profile", "smoke", "--json", *TINY)
    assert code == 0, err
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    told = json.loads(out)
    assert {Path(path).name for path in told["written"]} >= {"index.html", "README.md", "claims.json", "diff.json"}
    assert all(Path(path).is_file() for path in (*told["written"], *told["artifacts"].values()))


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


# ---- what a claim waits for


@pytest.mark.parametrize(("seeds", "known"), [(1, ()), (2, ()), (None, ("dense", "structures"))])
def test_a_claim_waits_for_the_first_part_after_which_it_is_judged(
    tmp_path: Path, record_of: RecordOf, seeds: int | None, known: tuple[str, ...]
) -> None:
    """Against the obvious way: each part finished in turn, with made-up numbers, and all claims judged anew."""
    work = workspace(tmp_path, seeds=seeds)
    work.store.add(
        [finished(run, record_of) for run in work.every_run() if run.experiment.startswith(known or "-")]
    )
    told = {claim["id"]: claim["next"] for claim in conclude.decided(work)["claims"]}
    parts = priorities.parts(work, anywhere=True)
    expected: dict[str, object] = dict.fromkeys(told)
    runs = images = 0
    for part, of_part in parts.items():
        before = not_run(work)
        work.store.add([finished(run, record_of) for run in of_part])
        runs, images = runs + len(of_part), images + cost(of_part).images
        now = {"part": part, "runs": runs, "images": images}
        expected |= dict.fromkeys(before - not_run(work), now)
    assert told == expected
    assert len({entry["part"] for entry in told.values() if entry}) > 2
    while parts := priorities.parts(work):  # what the results of Table 1 ask for
        work.store.add([finished(run, record_of) for part in parts.values() for run in part])
    assert not any(claim["next"] for claim in conclude.decided(work)["claims"])


def test_what_claims_wait_for_does_not_depend_on_the_images_that_are_here(tmp_path: Path) -> None:
    assert conclude.decided(workspace(tmp_path, "imagenet", "cifar10")) == conclude.decided(workspace(tmp_path))


def test_what_claims_wait_for_does_not_depend_on_the_checkpoints_that_are_here(
    tmp_path: Path, record_of: RecordOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results rendered where nothing but the ledger is say what they say where the dense networks lie."""
    work = workspace(tmp_path)
    work.store.add([finished(run, record_of) for run in work.every_run() if run.experiment.startswith("dense")])
    said = conclude.decided(work)
    assert priorities.LAST in priorities.parts(work)
    assert priorities.LAST not in [claim["next"]["part"] for claim in said["claims"] if claim["next"]]
    monkeypatch.setattr(type(work.store), "checkpoint", lambda *_: True)
    monkeypatch.setattr(type(work.store), "progress", lambda _, run: min(1, run.epochs))
    assert conclude.decided(work) == said


def test_what_a_claim_waits_for_is_shown(command: Command, tmp_path: Path) -> None:
    code, out, err = command("claims", "--profile", "smoke", *TINY)
    assert code == 0, err
    assert "\n`repro sprint --profile smoke --set data.train=64 --set " in out
    told = json.loads(command("claims", "--profile", "smoke", *TINY, "--json")[1])
    found = {c["id"]: c for c in told["claims"]}
    waiting = found["baseline-resnet20"]["next"]
    assert re.search(rf"^not run .* {waiting['part']}  .* baseline-resnet20$", out, re.MULTILINE)
    assert f"waits for: {waiting['part']} ({waiting['runs']} Run)" in claims_markdown(told)
    assert f"{waiting['part']} ({waiting['runs']} Run up to there, for " in " ".join(out.split())


@pytest.mark.shipped
def test_where_nothing_is_left_to_train_no_sprint_is_proposed(command: Command) -> None:
    code, out, _ = command("claims", "--profile", "pilot")
    assert code == 0
    assert "sprint" not in out
    assert "sprint" not in command("claims", "--published")[1]


def test_the_parts_that_are_proposed_are_the_first_ones(tmp_path: Path) -> None:
    found = conclude.decided(workspace(tmp_path))
    line = claims_table.lines(found)[-1]
    named = [name for name in priorities.parts(workspace(tmp_path)) if name in line]
    assert named[:2] == ["dense networks", "distances between structures"]
    assert "other networks" not in named
    assert "dense networks (1 Run" in line


# ---- seeds


def test_a_seed_of_an_artifact_of_ones_own_is_none_of_the_papers(tmp_path: Path, record_of: RecordOf) -> None:
    """Its Runs are nobody else's; neither they nor the twenty million seeds below them enter the claims."""
    work, own = workspace(tmp_path), 20240101
    recipe = dataclasses.replace(work.study.settings.profile.recipe, lr=0.05)
    work.store.add([finished(run, record_of) for run in artifacts.get("fig2").runs(work.study, [0])])
    before = conclude.decided(work)
    trained = dataclasses.replace(work.study.dense("resnet20", own), recipe=recipe)
    work.store.add([finished(trained, record_of)])
    assert conclude.decided(work) == before
    assert before["seeds"] == [0]
    assert work.cells(artifacts.get("fig2"))[0][0].n == 1


def test_seeds_count_for_the_artifacts_that_ran_them(tmp_path: Path, record_of: RecordOf) -> None:
    work, own = workspace(tmp_path), 20240101
    fig2, fig5 = artifacts.get("fig2"), artifacts.get("fig5")
    work.store.add([finished(run, record_of) for run in fig2.runs(work.study, [0, 3, own])])
    assert work.seeds_of(fig2) == work.all_seeds == [0, 3, own]
    assert work.cells(fig2)[0][0].n == 3
    alone = workspace(tmp_path / "alone")
    alone.store.add([finished(run, record_of) for run in fig5.runs(alone.study, [own])[-1:]])
    assert alone.seeds_of(fig2) == [0]
    assert alone.seeds_of(fig5) == alone.all_seeds == [0, own]
