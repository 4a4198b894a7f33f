"""Judging: which seeds count, what is missing, verdicts, seeds needed, the document, the paper's own numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from test_claims_decisions import FALSE, QUIET, SETTING, World, of, seeds, tables, world

from repro import published
from repro.artifacts.base import Results
from repro.claims.decide import FAILS, HOLDS, NOT_RUN, UNDECIDED, UNPUBLISHED, VERDICTS, Judgement, decide, judge
from repro.claims.report import document
from repro.claims.tables import SeedTable, Setting, published_tables, tables_of
from repro.config import params
from repro.config.recipe import Recipe
from repro.experiments import Study
from repro.published import Claim
from repro.record import DIVERGED, Record

ROOT = Path(__file__).resolve().parent.parent
NOISE = {
    "resnet20": 0.23,
    "resnet56": 0.21,
    "resnet18": 0.14,
    "resnet50": 0.14,
    "hamming": 0.004,
    "memorization": 1.0,
}
PAPER = judge([published_tables()], NOISE)


def claim(id: str) -> Claim:
    return next(claim for claim in published.claims() if claim.id == id)


def verdict(id: str, found: list[Judgement]) -> Judgement:
    return of(found, claim(id))


def judged(id: str, found: list[SeedTable], noise: dict[str, float] = QUIET) -> Judgement:
    """One claim alone."""
    alone = [claim(id)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(published, "claims", lambda: alone)
        return judge(found, noise)[0]


# ---- the paper's own numbers -------------------------------------------------------------------------------


def test_the_papers_own_numbers_in_its_order() -> None:
    assert [j.claim for j in PAPER] == published.claims()
    assert {j.verdict for j in PAPER} <= {HOLDS, FAILS, UNDECIDED, UNPUBLISHED}
    for judgement in PAPER:
        assert (judgement.claim.published is None) == (judgement.value is None)
        assert judgement.verdict == UNPUBLISHED or judgement.value is not None


def test_a_sentence_does_not_support_itself() -> None:
    """Where the paper states a number in its text and prints nothing that it follows from, nothing is decided."""
    alone = {j.claim.id for j in PAPER if j.verdict == UNPUBLISHED and j.value is not None}
    assert {"layer-10-falls-as-printed", "ppr-small-rate-settles-near-100", "baseline-resnet20"} <= alone
    assert not alone & {"initial-weights-are-worse", "resnet50-in-22-percent-of-the-epochs"}


def test_the_fall_at_80_is_not_shown_by_the_papers_own_numbers() -> None:
    found = verdict("accuracy-has-fallen-at-80", PAPER)
    assert found.verdict == UNDECIDED and found.low is not None and found.high is not None
    assert found.low < 0 < found.high
    # Column 80 apart, six columns beside it: what a column shares does not average out over its rows.
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.23 * math.sqrt(1 + 1 / 6), rel=1e-4)


def test_a_contrast_with_the_dense_network_counts_both() -> None:
    found = verdict("tickets-keep-the-baseline", PAPER)
    assert found.value == pytest.approx(-0.5919, abs=1e-4) and found.verdict == UNDECIDED
    assert found.high is not None and found.high - found.value == pytest.approx(
        1.96 * 0.23 * math.sqrt(2), rel=1e-4
    )


def test_the_papers_clear_effects_hold() -> None:
    for id in ("initial-weights-are-worse", "not-arbitrarily-early", "one-shot-not-before-100"):
        assert verdict(id, PAPER).verdict == HOLDS


def test_what_is_counted_or_stated_has_no_width() -> None:
    assert verdict("resnet50-in-22-percent-of-the-epochs", PAPER).noise == "exact"
    stated = verdict("ppr-small-rate-settles-near-100", PAPER)
    assert stated.noise == "as the text states it" and stated.low == stated.high == 100


def test_a_claim_holds_strictly_within_its_bounds() -> None:
    between = replace(claim("early-tickets-match"), above=-0.5, below=0.5)
    inside, across = [(-0.4, 0.4)], [(-0.5, 0.4), (-0.4, 0.5), (-0.6, 0.6), (-math.inf, math.inf)]
    outside = [(-0.9, -0.5), (0.5, 0.5), (0.5, math.inf)]
    for ends, expected in ((inside, HOLDS), (across, UNDECIDED), (outside, FAILS)):
        assert [decide(between, *interval) for interval in ends] == [expected] * len(ends)
    assert decide(replace(between, above=None), -math.inf, 0.4) == HOLDS


# ---- seeds and cells ---------------------------------------------------------------------------------------


def without(values: World, count: int, artifact: str = "fig1", series: str = "tickets") -> SeedTable:
    """One seed of which ``count`` cells have no value yet."""
    gone = [cell for cell in values if cell[:2] == (artifact, series)][:count]
    found = tables({cell: value for cell, value in values.items() if cell not in gone}, seed=7)
    return replace(found, cells={**found.cells, **dict.fromkeys(gone)}, diverged=frozenset(gone[:1]))


def test_missing_cells_are_counted_and_nothing_is_said() -> None:
    found = judged("structure-outweighs-initialization", [without(world(), 13)], QUIET)
    assert found.verdict == NOT_RUN and found.value is None and found.low is None
    assert found.missing == "12 of 132 cells have no value"  # the first column, row v = 0 is not needed
    first = judged("initial-weights-are-worse-everywhere", [without(world(), 5 * 13 + 1)], QUIET)
    assert first.missing == "1 of 78 cells has no value"


def test_an_incomplete_seed_is_left_out_where_its_cells_are_needed() -> None:
    found = [*seeds(world(), 2), without(world(), 13)]
    short, whole = (judged(id, found) for id in ("structure-outweighs-initialization", "gradual-from-75"))
    assert (short.n, whole.n) == (2, 3)
    assert short.missing == "seed 7 left out: 12 of 132 cells have no value" and whole.missing == ""
    assert short.noise == "replicate noise, n = 2" and whole.noise == "Student's t over 3 seeds"


def test_a_diverged_training_is_named() -> None:
    found = judged("gradual-from-75", [without(world(), 6, "table2", "gradual")], QUIET)
    assert found.missing == "4 of 4 cells have no value"
    found = judged("gradual-not-before-75", [without(world(), 6, "table2", "gradual")], QUIET)
    assert found.missing == "6 of 6 cells have no value (1 diverged)"


def test_what_a_profile_does_not_have_is_named() -> None:
    small = {
        cell: value for cell, value in world().items() if cell[0] == "fig1" and cell[3] in ("20", "100", "200")
    }
    found = judge([tables(small)], QUIET)
    assert verdict("accuracy-falls-up-to-80", found).verdict == HOLDS
    assert verdict("accuracy-falls-up-to-80", found).cells == 3 * 12
    assert "s = 80" in verdict("accuracy-has-fallen-at-80", found).missing
    assert verdict("gradual-from-75", found).missing == "there is no table2"
    assert judge([], QUIET)[0].verdict == NOT_RUN


def test_of_an_extreme_a_part_can_be_enough_to_fail() -> None:
    """ImageNet is not run: a largest value over all networks can be refuted without it, not confirmed."""
    cifar = {cell: v for cell, v in world().items() if "resnet18" not in cell and "resnet50" not in cell}
    found = judged("heuristic-is-robust", [tables(cifar)], QUIET)
    assert found.verdict == NOT_RUN and found.value is None and "resnet18" in found.missing
    FALSE["heuristic-is-robust"](cifar)
    found = judged("heuristic-is-robust", [tables(cifar)], QUIET)
    assert found.verdict == FAILS and found.high == math.inf
    assert "resnet18" in found.missing and found.missing.endswith("what there is decides it")


def test_unknown_noise_decides_nothing_before_three_seeds() -> None:
    known = {kind: sd for kind, sd in QUIET.items() if kind != "ppr_small"}
    found = judged("ppr-small-rate-is-higher-late", seeds(world(), 2), known)
    assert (found.verdict, found.low, found.needed) == (UNDECIDED, None, None)
    assert found.missing == "no replicate noise is known for ppr_small" and found.value is not None
    assert judged("ppr-small-rate-is-higher-late", seeds(world(), 3), known).verdict == HOLDS


def test_layers_are_the_sample_below_three_seeds() -> None:
    assert judged("slope-follows-eq-5", seeds(world(), 1), {}).noise == "over 18 layers"
    assert judged("slope-follows-eq-5", seeds(world(), 3), {}).noise == "Student's t over 3 seeds"


def test_what_has_no_finite_value_in_any_seed_is_undecided() -> None:
    """Layers whose W_std never falls have no relative spread of it; a number may also be none itself."""
    flat = {c: v if c[:2] != ("fig2", "w_std") or int(c[3]) <= 120 else 0.2 for c, v in world().items()}
    flat |= {c: 0.2 for c in flat if c[:2] == ("fig2", "w_std") and c[3] == "120"}
    for id, values in (("weights-fall-in-parallel", flat), ("gradual-from-75", dict.fromkeys(world(), math.nan))):
        found = judged(id, [tables(values, seed) for seed in range(3)])
        assert found.verdict == UNDECIDED and found.needed is None
        assert found.value is not None and not math.isfinite(found.value)


# ---- seeds needed ------------------------------------------------------------------------------------------


def test_needed_is_the_first_number_of_seeds_that_decides() -> None:
    found = verdict("gradual-near-baseline-resnet50", PAPER)
    half = 1.96 * 0.14 * math.sqrt(2)
    assert -0.68 - half < -1 < -0.68 - half / math.sqrt(2)
    assert (found.verdict, found.needed) == (UNDECIDED, 2)
    assert all(j.needed is None for j in PAPER if j.verdict != UNDECIDED)
    assert verdict("accuracy-has-fallen-at-80", PAPER).needed is None  # not within 64


# ---- the document ------------------------------------------------------------------------------------------


def test_document_is_plain_json() -> None:
    changed = [*PAPER[:-1], replace(PAPER[-1], low=-math.inf, high=math.inf)]
    made = document(changed, profile="paper", comparable=True, source="published", seeds=[])
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert tuple(made["counts"]) == VERDICTS and sum(made["counts"].values()) == len(made["claims"])
    last = made["claims"][-1]
    assert (last["low"], last["high"], last["unbounded"]) == (None, None, ["low", "high"])
    assert made["claims"][0]["unbounded"] == [] and made["claims"][0]["artifact"] == ["fig1"]
    assert {entry["id"] for entry in made["contradictions"]} == {
        e.id for e in published.sentences().contradictions
    }
    assert ["table4", "GP + EWT", "resnet18", "accuracy delta", -0.56] in [
        cell for entry in made["contradictions"] for cell in entry["cells"]
    ]
    assert len(made["untested"]) == len(published.sentences().untested)


# ---- tables from Runs --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pilot() -> Study:
    return Study(params.settings(ROOT / "params.yaml", "pilot"), "0123456789abcdef")


def test_epochs_become_the_papers(pilot: Study, record_of: Callable[..., Record]) -> None:
    runs = [pilot.ticket("resnet20", 0, 10, 2), pilot.gradual("resnet20", 0, 5, 10), pilot.dense("resnet20", 0)]
    records = {run.key: record_of(run, top1=60.0 + i, probe=probe()) for i, run in enumerate(runs)}
    found = tables_of(pilot, Results(records), [0, 1])[0]
    assert found.cells["fig1", "tickets", "20", "100"] == 60
    assert found.cells["table2", "gradual", "resnet20", "50-100"] == 61
    assert found.cells["text", "accuracy", "resnet20", "baseline"] == 62
    assert found.cells["fig2", "w_std", "blocks.0.conv1.weight", "100"] == 0.5
    assert found.cells["fig1", "tickets", "200", "200"] is None
    assert found.setting is not None and found.setting.images == 5000 and found.setting.own_epoch(120) == 12


def probe() -> dict[str, object]:
    layers = {"blocks.0.conv1.weight": [0.5] * 2}
    return {"epoch": [10, 20], "w_std": layers, "w_mean": layers, "layer_rates": layers}


def test_nothing_run_and_diverged(pilot: Study, record_of: Callable[..., Record]) -> None:
    ended = pilot.ticket("resnet20", 0, 10, 2)
    found = tables_of(pilot, Results({ended.key: record_of(ended, status=DIVERGED, top1=None)}), [0])
    assert found[0].diverged == {("fig1", "tickets", "20", "100")}
    every = judge(found, NOISE)
    assert {judgement.verdict for judgement in every} == {NOT_RUN}
    assert verdict("slope-follows-eq-5", every).missing == "fig2 not run yet"
    assert "diverged" in verdict("early-tickets-match", every).missing


def test_an_epoch_that_the_paper_does_not_have_is_left_out() -> None:
    def tables_with(epochs: int) -> SeedTable:
        changes = {"recipe.epochs": epochs, "table1.further_milestones": [30]}  # they lie beyond the schedule
        odd = Study(params.settings(ROOT / "params.yaml", "pilot", changes), "0123456789abcdef")
        return tables_of(odd, Results({}), [0])[0]

    columns = {cell[3] for cell in tables_with(25).cells if cell[0] == "fig1"}  # 8 of the paper's epochs each
    assert columns == {str(8 * s) for s in (1, 2, 6, 10, 20)}
    assert "fig1" not in {cell[0] for cell in tables_with(21).cells}


def test_noise_before_the_first_fall_is_declared_apart() -> None:
    known = {kind: sd for kind, sd in QUIET.items() if kind != "dense_early"}
    values = [tables(world())]
    assert "dense_early" in judged("ppr-large-rate-matches-while-rates-agree", values, known).missing
    assert judged("tickets-keep-the-baseline", values, known).verdict == HOLDS  # at epoch 200
    early: Setting = replace(SETTING, recipe=replace(SETTING.recipe, milestones=()))
    assert isinstance(early.recipe, Recipe)
    found = judged("weight-change-follows-learning-rate", [tables(world(), setting=early)])
    assert "never changes" in found.missing
