"""What the artifacts ask for and make of results: calibration, windows, deltas, random labels."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from repro import artifacts, published
from repro.artifacts import Results, fig3, fig5, table1, table4
from repro.cells import Cell
from repro.experiments import Study
from repro.record import DIVERGED, Record
from repro.run import Run, ancestors

Study_of = Callable[..., Study]
Record_of = Callable[..., Record]


def finished(record_of: Record_of, runs: Sequence[Run], top1: Callable[[Run], float]) -> Results:
    """Every Run done, with the accuracy that ``top1`` gives it."""
    return Results({run.key: record_of(run, top1=top1(run), best_top1=top1(run)) for run in ancestors(list(runs))})


def at(cells: Sequence[Cell], series: str, row: str, col: str) -> Cell:
    (found,) = [cell for cell in cells if (cell.series, cell.row, cell.col) == (series, row, col)]
    return found


# ---- Fig. 3 ------------------------------------------------------------------------------------------------


def distances(record_of: Record_of, runs: Sequence[Run]) -> Results:
    """Every Run done; a structure of epoch x on weights of epoch y is (y - x) / 1000 away, and 0.1 more a seed."""

    def record(run: Run) -> Record:
        if run.mask is None or run.weights is None:
            return record_of(run)
        distance = (run.weights.epoch - run.mask.of.epoch) / 1000 + run.seed / 10
        return record_of(run, start={"mask_distance": distance})

    return Results({run.key: record(run) for run in ancestors(list(runs))})


def test_fig3_asks_for_the_dense_network_and_what_lies_above_the_diagonal(study: Study_of) -> None:
    paper, artifact = study("paper"), artifacts.get("fig3")
    runs = artifact.runs(paper, [0, 1])
    assert [run for run in runs if not run.mask] == [paper.dense("resnet20", seed) for seed in (0, 1)]
    apart = {(r.mask.of.epoch, r.weights.epoch) for r in runs if r.mask and r.weights}
    epochs = paper.block("fig3", fig3.Distances).s
    assert apart == {(x, y) for x in epochs for y in epochs if x < y}
    assert len(runs) == 2 + 2 * 15


@pytest.mark.parametrize("seeds", [[0], [0, 1], [0, 1, 2]])
def test_fig3_is_zero_on_the_diagonal_for_every_dense_network(
    study: Study_of, record_of: Record_of, seeds: list[int]
) -> None:
    paper, artifact = study("paper"), artifacts.get("fig3")
    cells = artifact.cells(paper, distances(record_of, artifact.runs(paper, seeds)), seeds)
    assert len(cells) == 21
    for found in cells:
        x, y = int(found.row), int(found.col)
        mean = sum((y - x) / 1000 + seed / 10 for seed in seeds) / len(seeds)
        assert found.reproduced == pytest.approx(0.0 if x == y else mean)
        assert found.n == len(seeds)
        if x == y:
            assert (found.published, found.verdict) == (0.0, "within")


def test_fig3s_diagonal_waits_for_the_dense_network_alone(study: Study_of, record_of: Record_of) -> None:
    paper, artifact = study("paper"), artifacts.get("fig3")
    dense = [paper.dense("resnet20", seed) for seed in (0, 1)]
    gone = record_of(dense[0], status=DIVERGED, top1=None)
    some = artifact.cells(paper, Results({run.key: record_of(run) for run in dense[:1]}), [0, 1])
    assert {(c.n, c.verdict) for c in some if c.row == c.col} == {(1, "within")}
    assert {(c.n, c.verdict) for c in some if c.row != c.col} == {(0, "not run")}
    other = artifact.cells(paper, Results({dense[0].key: gone, dense[1].key: record_of(dense[1])}), [0, 1])
    assert {(c.n, c.verdict) for c in other if c.row == c.col} == {(1, "diverged")}
    assert {(c.n, c.verdict) for c in other if c.row != c.col} == {(0, "diverged")}
    none = artifact.cells(paper, Results({dense[0].key: gone}), [0, 1])
    assert {(c.n, c.verdict) for c in none} == {(0, "diverged")}


# ---- Fig. 4 and 6 ------------------------------------------------------------------------------------------


def test_fig4_checks_every_epoch_at_two_rates(study: Study_of) -> None:
    runs = artifacts.get("fig4").runs(study("paper"), [0])
    checks = [run for run in runs if run.mask]
    assert len(checks) == 2 * 200
    assert {(run.epochs, run.recipe.lr, run.recipe.milestones) for run in checks} == {(1, 0.1, ()), (1, 0.01, ())}
    assert {run.weights.epoch for run in checks if run.weights} == set(range(1, 201))
    assert all(run.mask and run.mask.of == run.weights and run.mask.sparsity == 0.8 for run in checks)


def test_fig6_has_both_networks_and_their_baselines(study: Study_of, record_of: Record_of) -> None:
    artifact, smoke = artifacts.get("fig6"), study()
    results = finished(record_of, artifact.runs(smoke, [0]), lambda run: 50.0 + run.recipe.lr)
    cells = artifact.cells(smoke, results, [0])
    assert {cell.series for cell in cells} == {"ppr 0.01", "baseline"}
    assert {cell.row for cell in cells} == {"resnet56", "resnet18"}
    for arch, last in (("resnet56", "4"), ("resnet18", "3")):  # each along its own schedule
        assert at(cells, "ppr 0.01", arch, last).reproduced == pytest.approx(50.01)
        assert at(cells, "baseline", arch, "1").reproduced == 41.5  # record_of's accuracy after epoch 1
        assert {cell.col for cell in cells if cell.row == arch} == {str(e) for e in range(1, int(last) + 1)}


# ---- Fig. 5 and Table 1 ------------------------------------------------------------------------------------


def test_fig5_trains_on_random_labels_of_its_own_seed(study: Study_of) -> None:
    paper = study("paper")
    runs = fig5.ARTIFACT.runs(paper, [0, 1])
    assert {run.data.labels for run in runs} == {"random-0", "random-1"}
    assert all(run.data.train == run.data.test for run in runs)
    assert not any(run.recipe.augment for run in runs)
    assert len(runs) == 2 * 3 * len(paper.block("fig5", fig5.Capacity).sizes)
    assert len({run.key for run in runs}) == len(runs)


def test_the_number_of_examples_comes_nearest_to_the_first_printed_cell(
    study: Study_of, record_of: Record_of
) -> None:
    paper = study("paper")
    target = published.lookup("table1")[table1.FIRST_CELL]
    runs, draw = table1.runs(paper, [0]), random.Random(0)
    for _ in range(20):
        tops = {size: draw.uniform(20, 100) for size in paper.block("table1", table1.Stepwise).sizes}
        results = finished(record_of, runs, lambda run, tops=tops: tops.get(run.data.train, 0.0))  # type: ignore[misc]
        assert table1.calibrated(paper, results) == min(tops, key=lambda size: abs(tops[size] - target))


def test_the_number_is_not_chosen_before_all_candidates_ran(study: Study_of, record_of: Record_of) -> None:
    paper = study("paper")
    runs = table1.runs(paper, [0])
    results = finished(record_of, runs, lambda run: 79.72)
    ladder = [run for run in runs if run.data.labels != "true"]
    assert table1.calibrated(paper, results) is not None
    del results.records[ladder[3].key]
    assert table1.calibrated(paper, results) is None
    assert all(cell.reproduced is None for cell in table1.cells(paper, results, [0]) if cell.series == "1-shot")


def test_a_diverged_candidate_is_not_chosen(study: Study_of, record_of: Record_of) -> None:
    paper = study("paper")
    runs = table1.runs(paper, [0])
    results = finished(record_of, runs, lambda run: 79.72 - run.data.train / 1000)
    first = next(run for run in runs if run.data.labels != "true")
    assert table1.calibrated(paper, results) == first.data.train
    results.records[first.key] = record_of(first, status=DIVERGED, top1=None)
    assert table1.calibrated(paper, results) != first.data.train


def test_table_1_compares_all_but_the_column_that_calibrates(study: Study_of, record_of: Record_of) -> None:
    paper = study("paper")
    runs = table1.runs(paper, [0])
    results = finished(record_of, runs, lambda run: 80.0)
    assert artifacts.get("table1").second_stage is not None
    more = table1.second_stage(paper, results, [0])
    results = finished(record_of, [*runs, *more], lambda run: 80.0 if run.mask and run.mask.sparsity else 81.0)
    cells = table1.cells(paper, results, [0])
    for series in ("1-shot", "4-shot gradual"):
        assert at(cells, series, "resnet20", "120").verdict == "not comparable"
    for series, value in (("1-shot", 80.0), ("4-shot gradual", 81.0)):
        for col in ("160", "200", "240"):
            assert at(cells, series, "resnet20", col).reproduced == value
    assert at(cells, "4-shot gradual", "resnet20", "120").reproduced == 80.0  # one and the same network
    assert len(more) == 1 + 3 + 3
    assert {run.data.train for run in more} == {table1.calibrated(paper, results)}


def test_one_shot_and_stepwise_are_pruned_to_the_same_rates(study: Study_of) -> None:
    paper = study("paper")
    more = table1.second_stage(paper, Results({}), [0])
    stepwise = {run.mask.of.epoch for run in more if run.mask and run.mask.sparsity is None}
    one_shot = {(run.mask.of.epoch, run.mask.sparsity) for run in more if run.mask and run.mask.sparsity}
    assert one_shot == {(120, 0.4), (160, 0.6), (200, 0.7), (240, 0.8)}
    assert stepwise == {160, 200, 240}


# ---- Table 4 -----------------------------------------------------------------------------------------------


def test_table_4_against_a_hand_count(study: Study_of, record_of: Record_of) -> None:
    """The best window over both seeds, deltas against each seed's own dense network."""
    paper = study("paper")
    tops = {(75, 125): (92.0, 91.0), (100, 150): (91.8, 91.6)}  # 100-150 wins on average

    def top1(run: Run) -> float:
        if run.experiment.startswith("dense"):
            return 92.3 if run.seed == 0 else 92.1
        if run.experiment.startswith("iterative"):
            return 92.4 if run.seed == 0 else 92.0
        if run.arch == "resnet20" and run.mask and run.mask.sparsity is None:
            window = (run.mask.of.run.first_epoch, run.mask.of.epoch)
            return tops.get(window, (90.0, 90.0))[run.seed]
        return 0.0

    results = finished(record_of, table4.runs(paper, [0, 1]), top1)
    assert table4.best_window(paper, results, [0, 1], "resnet20") == (100, 150)
    cells = table4.cells(paper, results, [0, 1])
    assert at(cells, "GP + EWT", "resnet20", "accuracy delta").reproduced == pytest.approx(-0.5)
    assert at(cells, "IP + WT", "resnet20", "accuracy delta").reproduced == pytest.approx(0.0)
    assert at(cells, "GP + EWT", "resnet20", "pruning epochs").reproduced == 150
    assert at(cells, "GP + EWT", "resnet20", "pruning epochs").verdict == "within"
    assert at(cells, "GP + EWT", "resnet20", "retraining epochs").reproduced == 200
    assert at(cells, "IP + WT", "resnet20", "epochs").reproduced == 1600
    assert at(cells, "IP + WT", "resnet20", "pruning rate").reproduced == 79.0  # 79.03, to a tenth as printed
    assert at(cells, "IP + WT", "resnet20", "pruning rate").verdict == "outside"  # 82.2 follows from no count


def test_a_seed_without_all_windows_does_not_choose(study: Study_of, record_of: Record_of) -> None:
    paper = study("paper")
    results = finished(record_of, table4.runs(paper, [0]), lambda run: 90.0)
    assert table4.best_window(paper, results, [0, 1, 2], "resnet20") is not None
    (run,) = [paper.gradual("resnet20", 0, 25, 75)]
    del results.records[run.key]
    assert table4.best_window(paper, results, [0], "resnet20") is None
    assert all(
        cell.verdict == "not run"
        for cell in table4.cells(paper, results, [0])
        if cell.series == "GP + EWT" and cell.row == "resnet20"
    )


# ---- all ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(artifacts.IMPLEMENTED))
@pytest.mark.parametrize("profile", ["smoke", "pilot", "paper"])
def test_without_results_every_cell_is_not_run(study: Study_of, name: str, profile: str) -> None:
    cells = artifacts.get(name).cells(study(profile), Results({}), [0])
    if profile == "pilot" and name in ("table3", "batch-probe"):  # it asks for nothing of these
        assert cells == []
        return
    assert cells
    assert {cell.verdict for cell in cells} == {"not run"}


@pytest.mark.parametrize("name", artifacts.PAPER)
def test_every_printed_cell_of_the_artifact_is_compared(study: Study_of, name: str) -> None:
    """In the paper profile no printed number is left without a cell beside it."""
    cells = artifacts.get(name).cells(study("paper"), Results({}), [0])
    beside = sorted(cell.published for cell in cells if cell.published is not None)
    printed = [cell.value for cell in published.load(name) if cell.series != "pruning rate"]
    assert beside == sorted(printed)
