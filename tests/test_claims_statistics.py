"""Every claim's statistic against a second, plain computation on random tables, and on the paper's own numbers."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from statistics import correlation, fmean, median, stdev

import numpy as np
import pytest
from test_claims_decisions import (
    LAYERS,
    SETTING,
    SIZES,
    WINDOWS,
    S,
    V,
    World,
    tables,
    world,
)

from repro import published
from repro.claims.decide import judge
from repro.claims.expressions import Sample
from repro.claims.index import CellIndex, MissingCells
from repro.claims.statistics import STATISTICS, expression_of, weights
from repro.claims.tables import SeedTable, published_tables
from repro.published import Claim


@functools.cache
def shaken(seed: int) -> World:
    """The world with noise large enough that nothing comes out by itself."""
    rng = random.Random(seed)
    small = {"fig2": 0.003, "fig3": 0.02}
    return {cell: abs(v + rng.gauss(0, small.get(cell[0], 0.4))) for cell, v in world().items()}


@functools.cache
def laid_out(seed: int) -> SeedTable:
    return tables(shaken(seed))


class Plain:
    """The statistics as one would write them down, without forms."""

    def __init__(self, values: World) -> None:
        self.values = values

    def __call__(self, artifact: str, series: str, row: str | int, col: str | int) -> float:
        return self.values[artifact, series, str(row), str(col)]

    def ticket(self, v: int, s: int) -> float:
        return self("fig1", "tickets", v, s)

    def column(self, s: int) -> float:
        return fmean(self.ticket(v, s) for v in V[1:])

    def early(self) -> float:
        return fmean(self.ticket(v, s) for v in V[1:] for s in S[5:])

    def log(self, layer: str, first: int, last: int) -> float:
        return float(np.log(self("fig2", "w_std", layer, last)) - np.log(self("fig2", "w_std", layer, first)))

    def logs(self, first: int, last: int) -> list[float]:
        return [self.log(layer, first, last) for layer in LAYERS]

    def correlation(self, layer: str) -> float:
        changes = [abs(self.log(layer, e, e + 1)) for e in range(200)]
        return correlation([0.1] * 120 + [0.01] * 40 + [0.001] * 40, changes)

    def settled_rates(self) -> float:
        name = "layer pruning rate"
        gap = [
            fmean(abs(self("fig2", name, x, e) - self("fig2", name, x, 200)) for x in LAYERS) for e in range(201)
        ]
        return next(e for e in range(201) if all(g < 0.02 for g in gap[e:]))

    def first_ticket(self) -> int:
        return next(
            s for i, s in enumerate(S) if all(self.column(later) >= self.column(200) - 0.1 for later in S[i:])
        )

    def window(self, series: str, epochs: Iterable[int]) -> float:
        return fmean(self("fig4", series, "resnet20", e) for e in epochs)

    def gap(self, epochs: Iterable[int]) -> float:
        chosen = list(epochs)
        return self.window("ppr 0.1", chosen) - self.window("baseline", chosen)

    def settled(self, figure: str, arch: str, margin: float, grid: list[int], width: int, last: int) -> float:
        points = {e: self(figure, "ppr 0.01", arch, e) for e in grid}
        end = fmean(points[e] for e in grid if e > 0.75 * last)
        starts = [e for e in grid if e + width - 1 <= last]
        inside = [abs(fmean(points[x] for x in grid if e <= x < e + width) - end) < margin for e in starts]
        return next((e for i, e in enumerate(starts) if all(inside[i:])), float("inf"))

    def settled20(self) -> float:
        return self.settled("fig4", "resnet20", 0.5, list(range(1, 201)), 20, 200)

    def settled56(self) -> float:
        return self.settled("fig6", "resnet56", 0.5, list(range(1, 201)), 20, 200)

    def settled18(self) -> float:
        return self.settled("fig6", "resnet18", 1, list(range(5, 91, 5)), 9, 90)

    def first_shot(self, table: str, arch: str, columns: list[int], margin: float) -> int:
        cells = [self(table, "one-shot", arch, s) for s in columns]
        near = [abs(cell - cells[-1]) < margin for cell in cells]
        return next(s for i, s in enumerate(columns) if all(near[i:]))

    def shots(self, arch: str, *columns: int) -> float:
        return fmean(self("table2", "one-shot", arch, s) for s in columns)

    def gradual(self, *windows: str) -> float:
        return fmean(self("table2", "gradual", "resnet20", w) for w in windows)

    def lag(self, size: int) -> float:
        rows = {row: self("fig5", "memorization", row, size) for row in (20, 120, 200)}
        return rows[20] - (rows[120] + rows[200]) / 2

    def t1(self, col: int) -> float:
        return self("table1", "4-shot gradual", "resnet20", col) - self("table1", "1-shot", "resnet20", col)

    def t3(self, series: str, arch: str, *columns: int | str) -> float:
        return fmean(self("table3", series, arch, c) for c in columns)

    def dense(self, arch: str) -> float:
        return self("text", "accuracy", arch, "baseline")

    def t4(self, arch: str, name: str, series: str = "GP + EWT") -> float:
        return self("table4", series, arch, name)

    def cost(self, arch: str) -> float:
        own = self.t4(arch, "pruning epochs") + self.t4(arch, "retraining epochs")
        return self.t4(arch, "epochs", "IP + WT") / own

    def delta20(self) -> float:
        return self.gradual("100-150") - self.dense("resnet20")

    def robust(self) -> float:
        columns = [20, 60, 100, 120, 160, 200]
        return max(
            abs(self.settled20() - self.first_shot("table2", "resnet20", columns, 0.5)) / 200,
            abs(self.settled56() - self.first_shot("table2", "resnet56", columns, 0.5)) / 200,
            abs(self.settled18() - self.first_shot("table3", "resnet18", list(range(0, 91, 15)), 1)) / 90,
        )

    def ranges(self) -> float:
        rows = [fmean(self.ticket(v, s) for s in S[5:]) for v in V[1:]]
        columns = [self.column(s) for s in S]
        return (max(rows) - min(rows)) - (max(columns) - min(columns))


LATE = (100, 120, 160, 200)
WINDOWS_18 = ("40-70", "50-80", "60-90")
TENTH = ("fig2", "w_std", "blocks.4.conv1.weight")  # `conv`, which is not prunable, is the first
EQ5 = 391 * 1e-4 / 0.1
PLAIN: dict[str, Callable[[Plain], float]] = {
    "early_minus_last_ticket": lambda p: fmean(map(p.column, S[5:10])) - p.ticket(200, 200),
    "worst_early_column_minus_last_column": lambda p: min(map(p.column, S[5:10])) - p.column(200),
    "early_tickets_minus_baseline": lambda p: p.early() - p("fig1", "baseline", "baseline", 200),
    "too_early_minus_early": lambda p: fmean(map(p.column, S[:5])) - p.early(),
    "smallest_step_up_to_80":
        lambda p: min(p.column(b) - p.column(a) for a, b in pairwise(S[:5])),
    "column_80_minus_early": lambda p: p.column(80) - p.early(),
    "very_early_minus_early": lambda p: fmean(map(p.column, S[:3])) - p.early(),
    "rewound_minus_initial_at_200": lambda p: p.column(200) - p.ticket(0, 200),
    "rewound_minus_initial": lambda p: fmean(p.column(s) - p.ticket(0, s) for s in S[5:]),
    "row_range_minus_column_range": Plain.ranges,
    "mean_over_std_of_weights":
        lambda p: median(abs(p("fig2", "w_mean", x, e)) / p("fig2", "w_std", x, e)
                         for x in LAYERS for e in range(201)),
    "correlation_of_rate_and_change": lambda p: fmean(map(p.correlation, LAYERS)),
    "spread_before_minus_after_120": lambda p: stdev(p.logs(80, 120)) - stdev(p.logs(120, 160)),
    "largest_change_after_120": lambda p: max(p.logs(120, 160)),
    "variation_of_fall_after_120": lambda p: stdev(p.logs(120, 160)) / abs(fmean(p.logs(120, 160))),
    "departure_from_decay_before_120": lambda p: median(abs(c / (-100 * 0.1 * EQ5) - 1) for c in p.logs(10, 110)),
    "measured_over_predicted_slope": lambda p: median(c / (-40 * 0.01 * EQ5) for c in p.logs(120, 160)),
    "drop_of_layer_10_in_782_updates": lambda p: p(*TENTH, 120) - p(*TENTH, 122),
    "epoch_where_pruning_rates_settle": Plain.settled_rates,
    "saturation_minus_ticket_epoch": lambda p: p.settled_rates() - p.first_ticket(),
    "distance_100_200": lambda p: p("fig3", "hamming", 100, 200),
    "ticket_200_minus_ticket_100": lambda p: p.ticket(100, 200) - p.ticket(100, 100),
    "worst_block_of_ppr_01_minus_baseline": lambda p: min(p.gap(range(b + 1, b + 21)) for b in range(0, 200, 20)),
    "ppr_01_minus_baseline_before_120": lambda p: p.gap(range(20, 120)),
    "late_minus_early_ppr_01": lambda p: p.window("ppr 0.1", range(100, 201)) - p.window("ppr 0.1", range(20, 61)),
    "late_minus_early_ppr_001":
        lambda p: p.window("ppr 0.01", range(100, 201)) - p.window("ppr 0.01", range(20, 61)),
    "epoch_where_ppr_settles_resnet20": Plain.settled20,
    "epoch_where_ppr_settles_resnet56": Plain.settled56,
    "epoch_where_ppr_settles_resnet18": Plain.settled18,
    "ppr_minus_ticket_epoch": lambda p: p.settled20() - p.first_ticket(),
    "largest_ppr_error_of_schedule": Plain.robust,
    "largest_minus_smallest_size":
        lambda p: fmean(p("fig5", "memorization", r, SIZES[-1]) - p("fig5", "memorization", r, SIZES[0])
                        for r in (20, 120, 200)),
    "epoch_20_minus_later": lambda p: fmean(map(p.lag, SIZES)),
    "gap_at_largest_minus_smallest_size": lambda p: p.lag(SIZES[-1]) - p.lag(SIZES[0]),
    "epoch_120_minus_200":
        lambda p: fmean(p("fig5", "memorization", 120, s) - p("fig5", "memorization", 200, s) for s in SIZES),
    "one_shot_at_60_minus_80":
        lambda p: p("table1", "1-shot", "resnet20", 160) - p("table1", "1-shot", "resnet20", 240),
    "gradual_minus_one_shot_memorization": lambda p: fmean(map(p.t1, (160, 200, 240))),
    "smallest_gradual_gap": lambda p: min(map(p.t1, (160, 200, 240))),
    "one_shot_early_minus_last_resnet20": lambda p: p.shots("resnet20", 100, 120, 160) - p.shots("resnet20", 200),
    "one_shot_early_minus_last_resnet56": lambda p: p.shots("resnet56", 100, 120, 160) - p.shots("resnet56", 200),
    "one_shot_too_early_minus_early":
        lambda p: fmean(p.shots(a, 20, 60) - p.shots(a, *LATE) for a in ("resnet20", "resnet56")),
    "gradual_75_minus_later": lambda p: p.gradual("75-125") - p.gradual(*WINDOWS[3:]),
    "gradual_too_early_minus_later": lambda p: p.gradual(*WINDOWS[:2]) - p.gradual(*WINDOWS[2:]),
    "gradual_minus_one_shot_resnet20": lambda p: p.gradual(*WINDOWS[2:]) - p.shots("resnet20", *LATE),
    "one_shot_45_minus_later":
        lambda p: p.t3("one-shot", "resnet18", 45) - p.t3("one-shot", "resnet18", 60, 75, 90),
    "gradual_minus_one_shot_resnet18":
        lambda p: p.t3("gradual", "resnet18", *WINDOWS_18) - p.t3("one-shot", "resnet18", 60, 75, 90),
    "gradual_minus_baseline_resnet18": lambda p: p.t3("gradual", "resnet18", "40-70") - p.dense("resnet18"),
    "gradual_minus_baseline_resnet50": lambda p: p.t3("gradual", "resnet50", "40-70") - p.dense("resnet50"),
    "gradual_resnet50": lambda p: p.t3("gradual", "resnet50", "40-70"),
    "share_of_epochs_resnet50": lambda p: 100 / p.cost("resnet50"),
    "smallest_cost_ratio": lambda p: min(p.cost("resnet20"), p.cost("resnet50")),
    "worst_gradual_minus_iterative":
        lambda p: min(p.delta20() - p.t4("resnet20", "accuracy delta", "IP + WT"),
                      p.t3("gradual", "resnet50", "40-70") - p.dense("resnet50")
                      - p.t4("resnet50", "accuracy delta", "IP + WT")),
    "largest_pruning_minus_retraining_epochs":
        lambda p: max(p.t4(a, "pruning epochs") - p.t4(a, "retraining epochs")
                      for a in ("resnet20", "resnet18", "resnet50")),
    "accuracy_delta_resnet20": Plain.delta20,
    "baseline_accuracy_resnet20": lambda p: p.dense("resnet20"),
    "baseline_accuracy_resnet56": lambda p: p.dense("resnet56"),
    "baseline_accuracy_resnet18": lambda p: p.dense("resnet18"),
    "baseline_accuracy_resnet50": lambda p: p.dense("resnet50"),
}  # fmt: skip


def measured(name: str, found: list[SeedTable]) -> float:
    """The statistic's value by its form."""
    claim = next(one for one in published.claims() if one.full_statistic == name)
    form = expression_of(claim, CellIndex.of(found))
    cells = form.cells()
    values = [{cell: v for cell, v in table.cells.items() if cell in cells and v is not None} for table in found]
    return form.value(Sample(values, {}))


def test_every_claim_has_one_statistic_and_every_statistic_a_claim() -> None:
    assert STATISTICS.keys() == {claim.statistic for claim in published.claims()}
    assert {claim.full_statistic for claim in published.claims()} == PLAIN.keys()


@pytest.mark.parametrize("name", PLAIN)
def test_statistic_on_random_tables(name: str) -> None:
    for seed in range(3):
        found = shaken(seed)
        assert measured(name, [laid_out(seed)]) == pytest.approx(PLAIN[name](Plain(found)), rel=1e-9, abs=1e-9)


PRINTED = [claim for claim in published.claims() if claim.published is not None]


@pytest.mark.parametrize("claim", PRINTED, ids=lambda claim: claim.id)
def test_statistic_on_the_papers_own_numbers(claim: Claim) -> None:
    assert measured(claim.full_statistic, [published_tables()]) == pytest.approx(claim.published, abs=6e-5)


STATED = {  # by the text alone, or by Table 4, which our own Runs do not make
    "drop_of_layer_10_in_782_updates", "epoch_where_pruning_rates_settle", "saturation_minus_ticket_epoch",
    "epoch_where_ppr_settles_resnet20", "epoch_where_ppr_settles_resnet56", "epoch_where_ppr_settles_resnet18",
    "ppr_minus_ticket_epoch", "largest_ppr_error_of_schedule", "accuracy_delta_resnet20",
    "worst_gradual_minus_iterative",
}  # fmt: skip


def test_published_statistics_follow_from_the_printed_cells() -> None:
    p = Plain({(cell.artifact, *cell.key): cell.value for cell in published.load()})
    numbers = {claim.full_statistic: claim.published for claim in PRINTED}
    computed = {name: PLAIN[name](p) for name in numbers.keys() - STATED}
    stated = {name: numbers[name] for name in STATED}
    assert numbers == pytest.approx(computed | stated, abs=6e-5)
    text = dict(published.lookup("text"))
    settled = {arch: text["epoch", arch, "PPR settles"] for arch in ("resnet20", "resnet56", "resnet18")}
    assert {arch: stated[f"epoch_where_ppr_settles_{arch}"] for arch in settled} == settled
    assert stated["epoch_where_pruning_rates_settle"] == text["epoch", "resnet20", "pruning rates settle"]
    assert stated["saturation_minus_ticket_epoch"] == 100 - p.first_ticket() == stated["ppr_minus_ticket_epoch"]
    assert stated["drop_of_layer_10_in_782_updates"] == text["weights", "layer 10", "drop of W_std"]
    misses = [
        abs(settled[arch] - p.first_shot(table, arch, columns, margin)) / epochs
        for arch, table, columns, margin, epochs in (
            ("resnet20", "table2", [20, 60, 100, 120, 160, 200], 0.5, 200),
            ("resnet56", "table2", [20, 60, 100, 120, 160, 200], 0.5, 200),
            ("resnet18", "table3", list(range(0, 91, 15)), 1, 90),
        )
    ]
    assert stated["largest_ppr_error_of_schedule"] == pytest.approx(max(misses), abs=6e-5)
    delta = {arch: p.t4(arch, "accuracy delta") for arch in ("resnet20", "resnet50")}
    assert stated["accuracy_delta_resnet20"] == delta["resnet20"]
    less = [own - p.t4(arch, "accuracy delta", "IP + WT") for arch, own in delta.items()]
    assert stated["worst_gradual_minus_iterative"] == pytest.approx(min(less))


def test_the_paper_prints_nothing_for_the_other_claims() -> None:
    found = {j.claim.id for j in judge([published_tables()], {}) if j.value is None}
    assert found == {claim.id for claim in published.claims() if claim.published is None}


@pytest.mark.parametrize("name", ["too_early_minus_early", "variation_of_fall_after_120", "distance_100_200"])
def test_linear_and_over_layers_statistics_of_three_seeds_are_the_mean_of_theirs(name: str) -> None:
    expected = fmean(PLAIN[name](Plain(shaken(seed))) for seed in range(3))
    assert measured(name, [laid_out(seed) for seed in range(3)]) == pytest.approx(expected)


def test_a_smaller_grid_uses_the_columns_that_it_has() -> None:
    values = {cell: v for cell, v in world().items() if cell[0] != "fig1" or cell[3] in ("20", "60", "100", "200")}
    p = Plain(values)
    found = measured("too_early_minus_early", [tables(values)])
    assert found == pytest.approx((p.column(20) + p.column(60)) / 2 - (p.column(100) + p.column(200)) / 2)


def test_the_batch_size_decides_where_782_updates_end() -> None:
    name, values = "drop_of_layer_10_in_782_updates", world()
    for size, epochs in ((128, 2), (64, 1)):
        setting = replace(SETTING, recipe=replace(SETTING.recipe, batch_size=size))
        later = values["fig2", "w_std", "blocks.4.conv1.weight", str(120 + epochs)]
        expected = values["fig2", "w_std", "blocks.4.conv1.weight", "120"] - later
        assert measured(name, [tables(values, setting=setting)]) == pytest.approx(expected)
    with pytest.raises(MissingCells, match="no whole number of epochs"):
        measured(name, [tables(values, setting=replace(SETTING, images=5000))])


def test_eq_5_is_the_papers_number() -> None:
    assert weights.predicted(SETTING, 120, 160) == pytest.approx(-0.1564)
    assert weights.predicted(SETTING, 10, 110) == pytest.approx(-3.91)
