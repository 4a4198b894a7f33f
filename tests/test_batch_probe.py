"""The batch probe: which Runs it asks for, what it makes of them, and the whole of it on tiny networks."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from figure_documents import texts
from tiny import TINY

from repro import artifacts
from repro.artifacts import Results, batch_probe
from repro.cells import Cell
from repro.config import params
from repro.experiments import Study
from repro.pruning import Masks
from repro.record import DIVERGED, Record
from repro.report import document, figures
from repro.run import Checkpoint, Mask, Run, ancestors

ROOT = Path(__file__).resolve().parent.parent
Study_of = Callable[..., Study]
Record_of = Callable[..., Record]
Command = Callable[..., tuple[int, str, str]]
PROBE = artifacts.get("batch-probe")
EPOCHS, SIZES = (122, 125, 130, 135, 140), (64, 128)


def distance(run: Run) -> float:
    """Made up: batch 64 goes twice as far as 128, and every seed a little further."""
    assert run.mask and run.weights
    return (run.weights.epoch - run.mask.of.epoch) * 0.0025 * 64 / run.recipe.batch_size + run.seed / 1000


def finished(record_of: Record_of, runs: Sequence[Run]) -> Results:
    def record(run: Run) -> Record:
        about = {"seed": run.seed, "wall_s": 1.0, "ended": "now"}
        start = {"mask_distance": distance(run)} if run.mask else {}
        return record_of(run, start=start, provenance=about)

    return Results({run.key: record(run) for run in ancestors(list(runs))})


def made(study: Study, record_of: Record_of, seeds: Sequence[int]) -> tuple[Results, list[Cell]]:
    results = finished(record_of, PROBE.runs(study, seeds))
    return results, PROBE.cells(study, results, seeds)


# ---- Runs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["paper", "paper-128"])
def test_the_dense_network_goes_on_at_each_batch_size(study: Study_of, profile: str) -> None:
    made = study(profile)
    dense = made.dense("resnet20", 0)
    branches = list({run.key: run for run in PROBE.runs(made, [0]) if run.epochs and run.weights}.values())
    assert [run.recipe.batch_size for run in branches] == list(SIZES)
    for run in branches:
        assert (run.weights, run.mask, run.prune_at) == (Checkpoint(dense, 120), None, ())
        assert (run.first_epoch, run.last_epoch) == (120, 140)
        others = {
            name: getattr(dense.recipe, name) for name in ("epochs", "lr", "milestones", "momentum", "augment")
        }
        assert others == {name: getattr(run.recipe, name) for name in others}
    assert len({run.stream for run in branches}) == len({run.label for run in branches}) == 2


def test_what_observes_trains_nothing_and_takes_the_mask_of_the_start(study: Study_of) -> None:
    paper = study("paper")
    dense = Checkpoint(paper.dense("resnet20", 0), 120)
    found = [run for run in PROBE.runs(paper, [0]) if run.mask]
    assert {run.epochs for run in found} == {0}
    assert {run.mask for run in found} == {Mask(dense, 0.8)}
    own = {
        (r.weights.run.recipe.batch_size, r.weights.epoch) for r in found if r.weights and r.weights.run.weights
    }
    assert own == {(size, epoch) for size in SIZES for epoch in EPOCHS}
    fig3 = {run.key for run in artifacts.get("fig3").runs(paper, [0])}
    shared = [run for run in found if run.key in fig3]
    assert [run.weights for run in shared] == [Checkpoint(dense.run, 140)]  # the one that Fig. 3 looks at
    assert len({run.key for run in found}) == 2 * 5 + 1


def test_the_pilot_asks_for_nothing(study: Study_of) -> None:
    assert PROBE.runs(study("pilot"), [0]) == PROBE.cells(study("pilot"), Results({}), [0]) == []
    assert "batch-probe" not in artifacts.PAPER
    assert not PROBE.place


# ---- cells -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seeds", [[0], [0, 1], [0, 1, 2]])
@pytest.mark.parametrize(("profile", "batch"), [("paper", 64), ("paper-128", 128)])
def test_cells_against_a_slow_count(
    study: Study_of, record_of: Record_of, profile: str, batch: int, seeds: list[int]
) -> None:
    _, cells = made(study(profile), record_of, seeds)
    expected = {(f"batch {size}", e): (e - 120) * 0.0025 * 64 / size for size in SIZES for e in EPOCHS}
    expected["dense", 140] = 20 * 0.0025 * 64 / batch
    assert [(cell.series, cell.row, int(cell.col)) for cell in cells] == [
        ("hamming", *place) for place in expected
    ]
    for cell in cells:
        values = [expected[cell.row, int(cell.col)] + seed / 1000 for seed in seeds]
        assert cell.reproduced == pytest.approx(statistics.fmean(values))
        assert cell.n == len(seeds)
        assert cell.published == (0.052 if cell.col == "140" else None)
        if cell.col != "140":
            assert cell.verdict == "unpublished"
        elif cell.row == f"batch {192 - batch}":  # another hypothesis: no verdict
            assert (cell.verdict, cell.band, cell.z) == ("not comparable", None, None)
        elif len(seeds) < 3:  # the declared noise of Fig. 3
            sd = study(profile).settings.profile.replicate_sd["hamming"]
            near = abs(statistics.fmean(values) - 0.052) <= 1.96 * sd * (1 + 1 / len(seeds)) ** 0.5
            assert cell.verdict == ("within" if near else "outside")


def test_its_number_is_fig3s_own(study: Study_of, record_of: Record_of) -> None:
    paper = study("paper")
    results, cells = made(paper, record_of, [0, 1])
    (here,) = [cell for cell in cells if cell.row == "dense"]
    (there,) = [c for c in artifacts.get("fig3").cells(paper, results, [0, 1]) if (c.row, c.col) == ("120", "140")]
    numbers = [(c.published, c.reproduced, c.n, c.sd, c.band, c.verdict) for c in (here, there)]
    assert numbers[0] == numbers[1]


def test_of_a_network_that_fig3_does_not_show_nothing_is_published(record_of: Record_of) -> None:
    row = {"start": 120, "epochs": [140], "batch_sizes": [64]}
    changes = {"batch_probe": {"resnet20": row, "resnet56": row}}
    both = Study(params.settings(ROOT / "params.yaml", "paper", changes), "0123456789abcdef")
    _, cells = made(both, record_of, [0])
    assert [(cell.row, cell.published) for cell in cells] == [
        ("resnet20, batch 64", 0.052), ("resnet20, dense", 0.052), ("resnet56, batch 64", None)
    ]  # fmt: skip


def test_a_network_that_diverged_is_said(study: Study_of, record_of: Record_of) -> None:
    paper = study("paper")
    gone = batch_probe.branched(paper, "resnet20", 0, 120, 140, 128)
    results = finished(record_of, [run for run in PROBE.runs(paper, [0]) if gone not in ancestors([run])])
    results.records[gone.key] = record_of(gone, status=DIVERGED, top1=None)
    verdicts = {cell.row: cell.verdict for cell in PROBE.cells(paper, results, [0]) if cell.col == "140"}
    assert verdicts == {"batch 64": "outside", "batch 128": "diverged", "dense": "outside"}


# ---- pictures ----------------------------------------------------------------------------------------------


def test_the_picture_has_a_curve_a_batch_size_and_the_printed_point(study: Study_of, record_of: Record_of) -> None:
    paper = study("paper-128")
    results, cells = made(paper, record_of, [0])
    doc = document.make(PROBE, paper, cells, list(results.records.values()))
    figure = figures.draw(doc)
    said = texts(figure)
    assert {"batch 64", "batch 128", "dense baseline", "Published, Fig. 3", "outside the band"} <= set(said)
    lines = figure.axes[0].get_lines()
    assert [0.052] in [list(line.get_ydata()) for line in lines]  # type: ignore[arg-type]
    assert [tuple(line.get_xdata()) for line in lines].count(tuple(map(float, EPOCHS))) == 2  # type: ignore[arg-type]
    assert [title for title in figure.titles.values() if title.startswith("batch 64, epoch 140: reproduced")]


def test_of_another_profile_the_printed_number_stands_apart(study: Study_of, record_of: Record_of) -> None:
    smoke = study("smoke")
    results, cells = made(smoke, record_of, [0])
    doc = document.make(PROBE, smoke, cells, list(results.records.values()))
    figure = figures.draw(doc)
    assert any("published 0.159" in title for title in figure.titles.values())
    assert "Published, Fig. 3" not in texts(figure)
    assert figure.axes[0].get_ylim()[1] < 0.1


# ---- the whole of it ---------------------------------------------------------------------------------------


def test_it_trains_and_measures_what_the_checkpoints_say(command: Command, tmp_path: Path) -> None:
    row = "batch_probe={resnet20: {start: 0, epochs: [1, 2], batch_sizes: [16, 48]}}"
    words = ["batch-probe", "--profile", "smoke", *TINY, "--set", row, "--set", "fig3.s=[0,2]"]
    code, out, err = command(*words, "--json")
    assert code == 0, err
    found = {(cell["row"], cell["col"]): cell["reproduced"] for cell in json.loads(out)["cells"]}
    assert list(found) == [(f"batch {size}", e) for size in (16, 48) for e in ("1", "2")] + [("dense", "2")]
    (dense,) = (tmp_path / "runs" / "dense-resnet20").glob("*/epoch-0000-*")
    before = slow_mask(dense)
    for folder in (tmp_path / "runs" / "batch-probe-resnet20").iterdir():
        about = json.loads((folder / "run.json").read_text())
        for epoch in ("1", "2") if about["last_epoch"] else ():
            (file,) = folder.glob(f"epoch-000{epoch}-*")
            after = slow_mask(file)
            moved = sum(a != b for a, b in zip(before, after, strict=True)) / len(before)
            assert found[f"batch {about['recipe']['batch_size']}", epoch] == pytest.approx(moved, abs=1e-6)
            assert moved > 0
    code, out, _ = command(*words, "--dry-run")
    assert code == 0 and ", 0 to train" in out


def slow_mask(file: Path) -> list[bool]:
    """Which weights of a checkpoint stay, counted by sorting: the largest fifth."""
    import torch
    from safetensors.torch import load_file

    from repro import nets
    from repro.pruning import prunable_names

    weights: Masks = load_file(file)
    names = sorted(prunable_names(nets.shapes("resnet20")))
    sizes = torch.cat([weights[name].abs().flatten() for name in names]).tolist()
    order = sorted(range(len(sizes)), key=lambda index: sizes[index])
    gone = set(order[: round(0.8 * len(sizes))])
    return [index not in gone for index in range(len(sizes))]
