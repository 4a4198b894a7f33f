"""What ImageNet's Runs are, and what Table 3, Fig. 6b, Table 4 and the claims make of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import PHOTOS

from repro import artifacts, published
from repro.artifacts import Results, pruning_table, table4
from repro.cells import Cell
from repro.claims.decide import FAILS, HOLDS, NOT_RUN, Judgement, judge
from repro.claims.tables import tables_of
from repro.config import params, recipe
from repro.config.recipe import MicroBatchRecipe
from repro.experiments import Study
from repro.record import Record
from repro.report import document
from repro.run import Checkpoint, Mask, Photos, Run, ancestors

pytestmark = pytest.mark.usefixtures("quickly_drawn")

ROOT = Path(__file__).resolve().parent.parent
Command = Callable[..., tuple[int, str, str]]
Study_of = Callable[..., Study]
Record_of = Callable[..., Record]
NO_PROBE: dict[str, object] = {"epoch": [], "w_std": {}, "w_mean": {}, "layer_rates": {}}
NOISE = {"resnet20": 0.05, "resnet18": 0.05, "resnet50": 0.05, "ppr_small": 0.05}


def finished(record_of: Record_of, runs: Sequence[Run], top1: Callable[[Run], float]) -> Results:
    def made(run: Run) -> Record:
        return record_of(run, top1=top1(run), best_top1=top1(run), probe=NO_PROBE)

    return Results({run.key: made(run) for run in ancestors(list(runs))})


def at(cells: Sequence[Cell], series: str, row: str, col: str) -> Cell:
    (found,) = [cell for cell in cells if (cell.series, cell.row, cell.col) == (series, row, col)]
    return found


def window_of(run: Run) -> tuple[int, int] | None:
    """The gradual window behind a retraining."""
    return (run.mask.of.run.first_epoch, run.mask.of.epoch) if run.mask and run.mask.sparsity is None else None


# ---- Runs --------------------------------------------------------------------------------------------------


def test_the_paper_profile_trains_as_appendix_a2_says(study: Study_of) -> None:
    for arch in ("resnet18", "resnet50"):
        run = study("paper").dense(arch, 0)
        recipe = run.recipe
        assert isinstance(recipe, MicroBatchRecipe) and isinstance(run.data, Photos)
        assert (recipe.epochs, recipe.lr, recipe.milestones, recipe.gamma) == (90, 0.1, (30, 60), 0.1)
        assert (recipe.batch_size, recipe.momentum, recipe.weight_decay) == (256, 0.9, 1e-4)
        assert (run.data.name, run.data.train, run.data.test) == ("imagenet", 1_281_167, 50_000)
        assert (run.data.crop, run.data.resize) == (224, 256)
        assert run.probe is None


def test_one_shot_is_the_ticket_at_its_own_epoch_and_trains_the_whole_schedule(study: Study_of) -> None:
    paper = study("paper")
    dense = paper.dense("resnet18", 0)
    tickets = [run for run in artifacts.get("table3").runs(paper, [0]) if run.experiment == "tickets-resnet18"]
    assert [run.weights for run in tickets] == [Checkpoint(dense, s) for s in (0, 15, 30, 45, 60, 75, 90)]
    assert all(run.weights and run.mask == Mask(run.weights, 0.8) and run.epochs == 90 for run in tickets)


def test_a_window_follows_the_dense_schedule_and_retrains_for_a_whole_one(study: Study_of) -> None:
    retrained = study("paper").gradual("resnet50", 0, 40, 70)
    assert retrained.mask and retrained.mask.sparsity is None and retrained.epochs == 90
    window = retrained.mask.of.run
    assert (window.first_epoch, window.last_epoch) == (40, 70)
    assert [epoch for epoch, _ in window.prune_at] == list(range(41, 71))
    assert window.prune_at[-1] == (70, 0.8)


def test_table_3_asks_for_both_networks_windows_and_for_nothing_twice(study: Study_of) -> None:
    runs = artifacts.get("table3").runs(study("paper"), [0])
    assert len({run.key for run in runs}) == len(runs) == 7 + 7 + 7
    windows = [(run.arch, window_of(run)) for run in runs if window_of(run)]
    assert windows == [(arch, (a, a + 30)) for arch in ("resnet18", "resnet50") for a in range(0, 61, 10)]


def test_fig6_checks_every_fifth_epoch_on_imagenet_along_its_own_schedule(study: Study_of) -> None:
    runs = artifacts.get("fig6").runs(study("paper"), [0])
    checks = [run for run in runs if run.experiment == "ppr-resnet18"]
    assert [run.weights.epoch for run in checks if run.weights] == list(range(5, 91, 5))
    assert {(run.epochs, run.recipe.lr, run.recipe.milestones) for run in checks} == {(1, 0.01, ())}
    assert all(isinstance(run.recipe, MicroBatchRecipe) and isinstance(run.data, Photos) for run in checks)


def test_every_setting_of_imagenet_is_in_the_key(study: Study_of) -> None:
    paper = study("paper")
    changes = {"data": {"crop": 192, "resize": 300, "stored": 256}, "recipe": {"micro_batches": 4}}
    keys = {paper.dense("resnet18", 0).key, replace(paper, photos="other").dense("resnet18", 0).key}
    for part, values in changes.items():
        for name, value in values.items():
            settings = params.settings(ROOT / "params.yaml", "paper", {f"imagenet.{part}.{name}": value})
            keys.add(replace(paper, settings=settings).dense("resnet18", 0).key)
    assert len(keys) == 6


def test_imagenet_changes_no_key_of_the_shipped_pilot() -> None:
    """Every Run of CIFAR-10 that the pilot asks for is found among those measured before there was ImageNet."""
    shipped = {json.loads(line)["key"] for line in (ROOT / "results/pilot/runs.jsonl").read_text().splitlines()}
    from repro.data.cifar10 import OFFICIAL_FINGERPRINT

    pilot = Study(params.settings(ROOT / "params.yaml", "pilot"), OFFICIAL_FINGERPRINT)
    asked = [run for artifact in artifacts.IMPLEMENTED.values() for run in artifact.runs(pilot, [0])]
    assert len(asked) > 100
    assert {run.key for run in ancestors(asked)} <= shipped


# ---- SeedTable ------------------------------------------------------------------------------------------------


def test_table_3_against_the_printed_numbers(study: Study_of, record_of: Record_of) -> None:
    """Given the paper's own accuracies every cell is within its band; ten points off, none is."""
    paper, table = study("paper"), published.lookup("table3")

    def printed(run: Run) -> float:
        if window := window_of(run):
            return table["gradual", run.arch, f"{window[0]}-{window[1]}"]
        at_once = run.weights is not None and run.mask is not None
        return table["one-shot", run.arch, str(run.weights.epoch)] if at_once and run.weights else 0.0

    artifact = artifacts.get("table3")
    runs = artifact.runs(paper, [0])
    for shift, verdict in ((0.0, "within"), (10.0, "outside")):
        cells = artifact.cells(
            paper, finished(record_of, runs, lambda run, shift=shift: printed(run) + shift), [0]
        )  # type: ignore[misc]
        assert len(cells) == len(table) == 21
        assert {cell.verdict for cell in cells} == {verdict}
        assert all(cell.reproduced == (cell.published or 0) + shift for cell in cells)


def test_a_shorter_schedule_stands_beside_the_same_share_of_the_papers(study: Study_of) -> None:
    """smoke has 3 epochs for the paper's 90, and 4 for its 200: each counts along its own."""
    cells = artifacts.get("table3").cells(study("smoke"), Results({}), [0])
    assert at(cells, "one-shot", "resnet18", "1").published == 67.30  # epoch 30
    assert at(cells, "gradual", "resnet50", "2-3").published == 74.76  # 60-90
    cells = artifacts.get("table2").cells(study("smoke"), Results({}), [0])
    assert at(cells, "one-shot", "resnet20", "2").published == 91.54  # epoch 100


def test_unofficial_photographs_are_compared_with_nothing_and_leave_cifar10_alone(
    study: Study_of, record_of: Record_of
) -> None:
    subset = replace(study("paper"), photos="0" * 16, photos_official=False)
    for name, expected in (("table3", False), ("table2", True), ("table4", False)):
        artifact = artifacts.get(name)
        results = finished(record_of, artifact.runs(subset, [0]), lambda run: 90.0)
        cells = artifact.cells(subset, results, [0])
        judged = {cell.verdict for cell in cells if cell.row in recipe.IMAGENET_ARCHS}
        assert not judged & {"within", "outside"}
        assert document.make(artifact, subset, cells, []).comparable is expected


def test_documents_say_what_they_rest_on(study: Study_of) -> None:
    paper, pilot = study("paper"), study("pilot")

    def made(name: str, of: Study) -> document.Document:
        artifact = artifacts.get(name)
        return document.make(artifact, of, artifact.cells(of, Results({}), [0]), [])

    both = made("fig6", paper).provenance
    assert "cifar10: 50,000" in both["data"] and "imagenet: 1,281,167" in both["data"]
    assert both["schedule"] == "200 epochs, batch 64; 90 epochs, batch 256"
    told = {name: str(made(name, paper).assumptions) for name in ("table2", "table3", "table4", "fig6")}
    assert "8 parts of 32" not in told["table2"] and "ResNet20" not in told["table3"]
    assert all("8 parts of 32" in told[name] for name in ("table3", "table4", "fig6"))
    assert "8 parts of 32" not in str(made("fig6", pilot).assumptions)  # it has ResNet56 alone


def test_table_4_on_imagenet_against_a_hand_count(study: Study_of, record_of: Record_of) -> None:
    """The best window on each network, deltas to its own dense one; iterative pruning once it was trained."""
    paper = study("paper")

    def top1(run: Run) -> float:
        if run.experiment.startswith("dense"):
            return {"resnet18": 69.7, "resnet50": 75.7}.get(run.arch, 92.0)
        if window := window_of(run):
            return 70.0 - abs(window[0] - (40 if run.arch == "resnet18" else 50)) / 100
        return 75.6

    results = finished(record_of, table4.runs(paper, [0]), top1)
    assert table4.best_window(paper, results, [0], "resnet18") == (40, 70)
    assert table4.best_window(paper, results, [0], "resnet50") == (50, 80)
    cells = table4.cells(paper, results, [0])
    for arch, delta, epochs in (("resnet18", 0.3, 70), ("resnet50", -5.7, 80)):
        assert at(cells, "GP + EWT", arch, "accuracy delta").reproduced == pytest.approx(delta)
        assert at(cells, "GP + EWT", arch, "pruning epochs").reproduced == epochs
        assert at(cells, "GP + EWT", arch, "retraining epochs").reproduced == 90
        assert {at(cells, "IP + WT", arch, col).verdict for col in (table4.RATE, table4.DELTA, "epochs")} == {
            "not run"
        }
    optional = table4.optional(paper, [0])
    results = finished(record_of, [*table4.runs(paper, [0]), *optional], top1)
    cells = table4.cells(paper, results, [0])
    assert at(cells, "IP + WT", "resnet50", "accuracy delta").reproduced == pytest.approx(-0.1)
    assert at(cells, "IP + WT", "resnet50", "epochs").reproduced == 720
    assert at(cells, "IP + WT", "resnet50", "epochs").verdict == "within"
    assert at(cells, "IP + WT", "resnet50", "pruning rate").reproduced == 79.0
    assert at(cells, "IP + WT", "resnet50", "pruning rate").verdict == "within"
    assert at(cells, "IP + WT", "resnet18", "epochs").verdict == "not run"


def test_iterative_pruning_of_resnet50_is_eight_schedules_that_only_the_option_asks_for(study: Study_of) -> None:
    paper = study("paper")
    plain, optional = ancestors(table4.runs(paper, [0])), ancestors(table4.optional(paper, [0]))
    assert not [run for run in plain if run.experiment == "iterative-resnet50"]
    assert sum(run.epochs for run in optional) == 8 * 90
    assert {run.weights.epoch for run in optional if run.weights} == {5}
    assert {run.arch for run in optional} == {"resnet50"}
    assert table4.optional(study("pilot"), [0]) == []  # it has no window to hold them against


# ---- claims ------------------------------------------------------------------------------------------------


def judged(study: Study, results: Results) -> dict[str, Judgement]:
    return {j.claim.id: j for j in judge(tables_of(study, results, [0]), NOISE)}


def halved(paper: Study) -> dict[str, object]:
    """Changes that halve ImageNet's schedule and all epochs of Table 3."""
    rows = {
        f"table3.{arch}": {
            "one_shot": sorted({epoch // 2 for epoch in row.one_shot}),
            "windows": [[first // 2, last // 2] for first, last in row.windows],
        }
        for arch, row in paper.block("table3", pruning_table.NETWORKS["table3"]).items()
    }
    return {"imagenet.recipe.epochs": 45, "imagenet.recipe.milestones": [15, 30], **rows}


@pytest.mark.parametrize("epochs", [90, 45, 3])
def test_table_3_decides_its_claims_whatever_the_schedules_length(record_of: Record_of, epochs: int) -> None:
    """90 as in the paper, 45 with every epoch halved, 3 in the smoke profile (which has few of the cells)."""
    settings = params.settings(ROOT / "params.yaml", "smoke" if epochs == 3 else "paper")
    if epochs == 45:
        settings = params.settings(ROOT / "params.yaml", "paper", halved(Study(settings, "")))
    made = Study(settings, "0123456789abcdef")
    assert made.schedule_of("resnet18") == epochs
    runs = artifacts.get("table3").runs(made, [0])

    def top1(run: Run, better: float) -> float:
        return 69.0 + better if window_of(run) else 69.5 if run.experiment.startswith("dense") else 69.0

    for better, verdict in ((0.4, HOLDS), (-2.0, FAILS)):
        results = finished(record_of, runs, lambda run, better=better: top1(run, better))  # type: ignore[misc]
        found = judged(made, results)
        assert found["gradual-beats-one-shot-imagenet"].verdict == verdict
        assert found["gradual-beats-one-shot-imagenet"].value == pytest.approx(better)
        if epochs > 3:  # the window 40-70 is not among smoke's
            assert found["gradual-near-baseline-resnet50"].verdict == verdict
        assert found["early-tickets-match"].verdict == NOT_RUN  # CIFAR-10's


@pytest.mark.parametrize(("settles", "verdict"), [(45, HOLDS), (15, FAILS)])
def test_fig6b_says_where_ppr_settles(study: Study_of, record_of: Record_of, settles: int, verdict: str) -> None:
    paper = study("paper")

    def top1(run: Run) -> float:
        epoch = run.weights.epoch if run.weights else 0
        return 30.0 + min(epoch, settles)

    results = finished(record_of, artifacts.get("fig6").runs(paper, [0]), top1)
    found = judged(paper, results)["ppr-indicates-45-resnet18"]
    assert found.verdict == verdict
    assert found.value is not None and abs(found.value - settles) <= 5


def test_gain_over_iterative_pruning_is_judged_at_the_window_that_the_paper_chose(
    study: Study_of, record_of: Record_of
) -> None:
    paper = study("paper")
    tops = {"resnet20": 92.0, "resnet18": 69.7, "resnet50": 75.7}
    runs = [*table4.runs(paper, [0]), *table4.optional(paper, [0])]

    def top1(run: Run) -> float:
        window = window_of(run)
        if run.arch == "resnet50" and window:
            return 75.0 if window == (40, 70) else 76.0
        return tops[run.arch]

    found = judged(paper, finished(record_of, runs, top1))["iterative-is-similarly-accurate"]
    assert found.value == pytest.approx(-0.7)


# ---- the command -------------------------------------------------------------------------------------------


def test_table_3_from_photographs_to_its_files(command: Command, tmp_path: Path) -> None:
    """A few synthetic ones; then `fig6` trains what it adds, and the table nothing more."""
    code, out, err = command("table3", "--profile", "smoke", *PHOTOS)
    assert code == 0, err
    (folder,) = (tmp_path / "out").iterdir()
    made = json.loads((folder / "table3.json").read_text())
    assert [(c["series"], c["col"], c["verdict"]) for c in made["cells"]] == [
        ("one-shot", "1", "not comparable"),
        ("gradual", "0-1", "unpublished"),
    ]
    assert made["provenance"]["runs"] == 4  # dense, ticket, window, retraining
    code, _, err = command("fig6", "--profile", "smoke", *PHOTOS)
    assert code == 0, err
    records = [json.loads(line) for line in (folder / "runs.jsonl").read_text().splitlines()]
    assert len(records) == 5
    assert all(record["spec"]["recipe"]["micro_batches"] == 2 for record in records)
    assert "table3" in out and (folder / "table3.png").exists()
    code, _, err = command("table3", "--profile", "smoke", *PHOTOS)
    assert (code, err) == (0, "")
