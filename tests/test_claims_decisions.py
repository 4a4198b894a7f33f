"""Each of the paper's claims on tables where everything that it says is true, and on tables where it is not."""

from __future__ import annotations

import functools
import itertools
import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from repro import published
from repro.claims.decide import FAILS, HOLDS, UNDECIDED, Judgement, judge
from repro.claims.tables import Cell, SeedTable, Setting
from repro.config.recipe import Recipe
from repro.published import Claim

World = dict[Cell, float]
RECIPE = Recipe(200, 128, 0.1, (120, 160), 0.1, 0.9, 1e-4, True, 1)
SETTING = Setting(RECIPE, 50_000)
QUIET = {"resnet20": 5e-3, "resnet56": 5e-3, "resnet18": 5e-3, "resnet50": 5e-3, "hamming": 1e-4, "ppr": 5e-3,
         "ppr_small": 5e-3, "dense_early": 5e-3, "memorization": 5e-3, "log_w_std": 1e-4,
         "layer_rate": 1e-4}  # fmt: skip

S = (10, 20, 40, 60, 80, 100, 120, 140, 160, 180, 200)
V = (0, 5, 10, 20, 40, 60, 80, 100, 120, 140, 160, 180, 200)
LAYERS = [f"blocks.{block}.conv{conv}.weight" for block in range(9) for conv in (1, 2)]
SIZES = (5000, 10000, 20000, 50000)
WINDOWS = ("25-75", "50-100", "75-125", "100-150", "125-175", "150-200")
IMAGENET_WINDOWS = ("0-30", "10-40", "20-50", "30-60", "40-70", "50-80", "60-90")
ACCURACY = {"resnet20": 92.5, "resnet56": 94.25, "resnet18": 69.7, "resnet50": 75.7}


def column(s: int) -> float:
    """How far tickets from epoch s lie below later ones."""
    return -0.6 * max(0, (5 - S.index(s)) if s in S else 0)


def world() -> World:
    """What the paper says, as it would look without noise."""
    return dict(_world())


@functools.cache
def _world() -> World:
    found: World = {}
    for s in S:
        found["fig1", "baseline", "baseline", str(s)] = 85.0 if s < 120 else 91.9
        for v in V:
            found["fig1", "tickets", str(v), str(s)] = 91.5 + column(s) - (1.6 if v == 0 else 0)
    for (number, layer), e in itertools.product(enumerate(["conv.weight", *LAYERS, "linear.weight"]), range(201)):
        growth = 0.015 + 0.001 * (number % 7)
        fall = -391 * 1e-3 * (1 + 0.01 * (number % 5 - 2)) * (0.01 * min(e - 120, 40) + 0.001 * max(e - 160, 0))
        w_std = 0.192 * math.exp(growth * (e - 120) if e <= 120 else fall)
        found["fig2", "w_std", layer, str(e)] = w_std
        found["fig2", "w_mean", layer, str(e)] = 0.01 * w_std * (-1) ** number
        if layer in LAYERS:
            found["fig2", "layer pruning rate", layer, str(e)] = 0.7 + 0.22 * (-1) ** number * max(0, 1 - e / 110)
    for x, y in itertools.combinations_with_replacement(range(100, 201, 20), 2):
        found["fig3", "hamming", str(x), str(y)] = 0.159 if x == 100 != y else 0.01 * (y > x)
    for e in range(1, 201):
        for figure, arch in (("fig4", "resnet20"), ("fig6", "resnet56")):
            found[figure, "ppr 0.1", arch, str(e)] = found[figure, "baseline", arch, str(e)] = 90.0
            found[figure, "ppr 0.01", arch, str(e)] = 85 + 5 * min(1, e / 103.7)
    for e in range(5, 91, 5):
        found["fig6", "ppr 0.01", "resnet18", str(e)] = 60 + 6 * min(1, e / 50)
    for row, (index, size) in itertools.product((20, 120, 200), enumerate(SIZES)):
        found["fig5", "memorization", str(row), str(size)] = 100 - (20 + 3 * (row == 20)) * (index + 1)
    found |= table1() | table2() | table3() | table4()
    return found | {("text", "accuracy", arch, "baseline"): value for arch, value in ACCURACY.items()}


def table1() -> World:
    rows = {"1-shot": (79.7, 67.0, 60.0, 50.5), "4-shot gradual": (79.7, 69.0, 62.0, 52.0)}
    return {
        ("table1", series, "resnet20", str(e)): value
        for series, values in rows.items()
        for e, value in zip((120, 160, 200, 240), values, strict=True)
    }


def table2() -> World:
    found: World = {}
    for arch, better in (("resnet20", 0.0), ("resnet56", 2.5)):
        for s in (20, 60, 100, 120, 160, 200):
            found["table2", "one-shot", arch, str(s)] = 91.5 + better + column(s)
    for window, value in zip(WINDOWS, (91.0, 91.5, 92.1, 92.1, 92.1, 92.1), strict=True):
        found["table2", "gradual", "resnet20", window] = value
    return found


def table3() -> World:
    found: World = {}
    for s, value in zip(range(0, 91, 15), (64, 66, 67, 68.6, 69, 69, 69), strict=True):
        found["table3", "one-shot", "resnet18", str(s)] = value
    for index, window in enumerate(IMAGENET_WINDOWS):
        found["table3", "gradual", "resnet18", window] = 69.3 - 0.5 * max(0, 4 - index)
        found["table3", "gradual", "resnet50", window] = 75.02 - 0.5 * max(0, 4 - index)
    return found


def table4() -> World:
    rows = {"resnet20": (-0.4, 150, 200, 0.0, 1600), "resnet18": (-0.4, 70, 90, 0, 0),
            "resnet50": (-0.68, 70, 90, 0.0, 720)}  # fmt: skip
    found: World = {}
    for arch, (delta, pruning, retraining, other, epochs) in rows.items():
        found["table4", "GP + EWT", arch, "accuracy delta"] = delta
        found["table4", "GP + EWT", arch, "pruning epochs"] = pruning
        found["table4", "GP + EWT", arch, "retraining epochs"] = retraining
        if epochs:
            found["table4", "IP + WT", arch, "accuracy delta"] = other
            found["table4", "IP + WT", arch, "epochs"] = epochs
    return found


def tables(values: World, seed: int = 0, setting: Setting | None = SETTING) -> SeedTable:
    """The world as one seed's tables."""
    return SeedTable(values, setting, seed)


def seeds(values: World, n: int) -> list[SeedTable]:
    """``n`` seeds that differ by next to nothing."""
    rng = random.Random(1)
    return [tables({c: v * (1 + 1e-6 * rng.gauss(0, 1)) for c, v in values.items()}, seed) for seed in range(n)]


# ---- what makes each claim untrue --------------------------------------------------------------------------

Change = Callable[[World], None]


def edit(artifact: str, series: str, pick: Callable[[str, str], bool], change: Callable[[float], float]) -> Change:
    """Changes the cells of a series that ``pick(row, column)`` names."""

    def apply(values: World) -> None:
        cells = [c for c in values if c[:2] == (artifact, series) and pick(c[2], c[3])]
        assert cells
        for cell in cells:
            values[cell] = change(values[cell])

    return apply


def add(artifact: str, series: str, pick: Callable[[str, str], bool], by: float) -> Change:
    return edit(artifact, series, pick, lambda value: value + by)


def everywhere(row: str, col: str) -> bool:
    return True


def tickets(pick: Callable[[int, int], bool], by: float) -> Change:
    """Shifts Fig. 1's tickets (v, s)."""
    return add("fig1", "tickets", lambda row, col: pick(int(row), int(col)), by)


def weights(rate: Callable[[int], float], first: int = 120) -> Change:
    """After epoch ``first`` the logarithm of a layer's W_std changes by ``rate(layer number)`` more an epoch."""

    def apply(values: World) -> None:
        names = ["conv.weight", *LAYERS, "linear.weight"]
        for cell in [c for c in values if c[:2] == ("fig2", "w_std") and int(c[3]) > first]:
            values[cell] *= math.exp(rate(names.index(cell[2])) * (int(cell[3]) - first))

    return apply


def up_to(epoch: int) -> Callable[[str, str], bool]:
    return lambda row, col: int(col) <= epoch


def one(row: str, col: str) -> Callable[[str, str], bool]:
    return lambda r, c: (r, c) == (row, col)


def baseline(arch: str) -> Change:
    return add("text", "accuracy", one(arch, "baseline"), -2)


def unsettled(values: World) -> None:
    """The layers' rates move on until epoch 150."""
    for cell in [c for c in values if c[1] == "layer pruning rate" and int(c[3]) < 150]:
        values[cell] += 0.1


FALSE: dict[str, Change] = {
    "early-tickets-match": tickets(lambda v, s: 100 <= s < 200, -1),
    "every-early-column-matches": tickets(lambda v, s: s == 140, -1),
    "tickets-keep-the-baseline": add("fig1", "baseline", one("baseline", "200"), 2),
    "accuracy-falls-up-to-80": tickets(lambda v, s: s <= 80, 4),
    "accuracy-falls-step-by-step": tickets(lambda v, s: s == 40, 2),
    "accuracy-has-fallen-at-80": tickets(lambda v, s: s == 80, 1),
    "not-arbitrarily-early": tickets(lambda v, s: s <= 40, 4),
    "initial-weights-are-worse": tickets(lambda v, s: v == 0, 4),
    "initial-weights-are-worse-everywhere": tickets(lambda v, s: v == 0, 4),
    "structure-outweighs-initialization": tickets(lambda v, s: v == 20, -6),
    "weight-means-near-zero": edit("fig2", "w_mean", everywhere, lambda value: 50 * value),
    "weight-change-follows-learning-rate": weights(lambda layer: 0.05),
    "layers-differ-at-the-first-rate": weights(lambda layer: -0.01 * (layer % 5)),
    "weights-fall-after-120": weights(lambda layer: 0.05 if layer == 7 else 0),
    "weights-fall-in-parallel": weights(lambda layer: -0.01 * (layer % 5)),
    "gradients-dominate-at-the-first-rate": weights(lambda layer: -0.0391 - 0.015 - 0.001 * (layer % 7), 0),
    "slope-follows-eq-5": weights(lambda layer: -0.01),
    "layer-10-falls-as-printed": weights(lambda layer: -0.01),
    "pruning-rates-settle-near-100": unsettled,
    "tickets-emerge-at-saturation": unsettled,
    "structures-of-100-and-200-are-far": add("fig3", "hamming", one("100", "200"), -0.1),
    "far-structures-are-equally-good": tickets(lambda v, s: (v, s) == (100, 200), -1),
    "ppr-large-rate-matches-from-every-epoch": add("fig4", "baseline", lambda r, c: 20 < int(c) <= 40, 5),
    "ppr-large-rate-matches-while-rates-agree": add("fig4", "baseline", everywhere, 5),
    "ppr-large-rate-is-flat": add("fig4", "ppr 0.1", up_to(60), -5),
    "ppr-small-rate-is-higher-late": add("fig4", "ppr 0.01", up_to(60), 10),
    "ppr-small-rate-settles-near-100": add("fig4", "ppr 0.01", up_to(145), -5),
    "ppr-coincides-with-tickets": add("fig4", "ppr 0.01", up_to(145), -5),
    "memorization-falls-with-size": edit("fig5", "memorization", everywhere, lambda value: 100 - value),
    "memorization-suffers-at-20": add("fig5", "memorization", lambda r, c: r == "20", 20),
    "memorization-gap-grows": add("fig5", "memorization", one("20", str(SIZES[0])), -20),
    "memorization-agrees-at-120-and-200": add("fig5", "memorization", lambda r, c: r == "120", 5),
    "low-rates-keep-memorization": add("table1", "1-shot", one("resnet20", "240"), 30),
    "gradual-memorizes-more": add("table1", "1-shot", everywhere, 5),
    "gradual-gap-is-maintained": add("table1", "1-shot", one("resnet20", "200"), 5),
    "one-shot-from-100-resnet20": add("table2", "one-shot", one("resnet20", "200"), 2),
    "one-shot-from-100-resnet56": add("table2", "one-shot", one("resnet56", "200"), 2),
    "one-shot-not-before-100": add("table2", "one-shot", up_to(60), 5),
    "gradual-from-75": add("table2", "gradual", one("resnet20", "75-125"), -2),
    "gradual-not-before-75": add("table2", "gradual", lambda r, c: c in WINDOWS[:2], 3),
    "gradual-beats-one-shot-cifar10": add("table2", "gradual", everywhere, -2),
    "ppr-indicates-100-resnet56": add("fig6", "ppr 0.01", lambda r, c: r == "resnet56" and int(c) < 150, -5),
    "heuristic-is-robust": add("fig6", "ppr 0.01", lambda r, c: r == "resnet56" and int(c) < 180, -5),
    "ppr-indicates-45-resnet18": add("fig6", "ppr 0.01", lambda r, c: r == "resnet18" and int(c) < 70, -5),
    "one-shot-from-45-resnet18": add("table3", "one-shot", one("resnet18", "45"), -3),
    "gradual-beats-one-shot-imagenet": add("table3", "one-shot", everywhere, 2),
    "gradual-near-baseline-resnet18": add("table3", "gradual", one("resnet18", "40-70"), -2),
    "gradual-near-baseline-resnet50": add("table3", "gradual", one("resnet50", "40-70"), -2),
    "resnet50-top-1-at-80-percent": add("table3", "gradual", one("resnet50", "40-70"), 2),
    "resnet50-in-22-percent-of-the-epochs": add("table4", "IP + WT", one("resnet50", "epochs"), 90),
    "iterative-costs-several-times": add("table4", "IP + WT", one("resnet20", "epochs"), -400),
    "iterative-is-similarly-accurate": add("table4", "IP + WT", one("resnet50", "accuracy delta"), 2),
    "pruning-costs-less-than-retraining": add("table4", "GP + EWT", one("resnet18", "pruning epochs"), 30),
    "gradual-near-baseline-resnet20": add("table2", "gradual", one("resnet20", "100-150"), -2),
    "baseline-resnet20": baseline("resnet20"),
    "baseline-resnet56": baseline("resnet56"),
    "baseline-resnet18": baseline("resnet18"),
    "baseline-resnet50": baseline("resnet50"),
}


def of(judgements: list[Judgement], claim: Claim) -> Judgement:
    return next(judgement for judgement in judgements if judgement.claim.id == claim.id)


@pytest.fixture(scope="module", params=[1, 3])
def true(request: pytest.FixtureRequest) -> list[Judgement]:
    return judge(seeds(world(), request.param), QUIET)


@pytest.mark.parametrize("claim", published.claims(), ids=lambda claim: claim.id)
def test_holds_where_it_is_true(claim: Claim, true: list[Judgement]) -> None:
    found = of(true, claim)
    assert found.verdict == HOLDS, found
    assert found.low is not None and found.high is not None and found.value is not None
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("claim", published.claims(), ids=lambda claim: claim.id)
def test_fails_where_it_is_false(claim: Claim, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = world()
    FALSE[claim.id](values)
    monkeypatch.setattr(published, "claims", lambda: [claim])
    found = judge(seeds(values, n), QUIET)[0]
    assert found.verdict == FAILS, found


@pytest.mark.parametrize("n", [1, 3])
def test_undecided_where_the_bound_lies_inside_the_interval(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same numbers held against a bound that they straddle; what is exact has no inside."""
    straddled = []
    for found in judge(seeds(world(), n), QUIET):
        assert found.low is not None and found.high is not None
        if found.low < found.high:
            middle = (max(found.low, -1e6) + min(found.high, 1e6)) / 2
            straddled.append(replace(found.claim, above=middle, below=None))
    monkeypatch.setattr(published, "claims", lambda: straddled)
    assert {judgement.verdict for judgement in judge(seeds(world(), n), QUIET)} == {UNDECIDED}
    assert len(straddled) >= 45


def test_every_claim_is_tested_both_ways() -> None:
    assert FALSE.keys() == {claim.id for claim in published.claims()}
