"""The band around a published value: its width, its verdicts, and how often it is right."""

from __future__ import annotations

import random
import statistics

import pytest

from repro.cells import (
    DIVERGED,
    NOT_COMPARABLE,
    NOT_RUN,
    OUTSIDE,
    UNPUBLISHED,
    WITHIN,
    Cell,
    band,
    cell,
    count,
)


@pytest.mark.parametrize(("n", "width"), [(1, 0.64), (3, 0.52)])
def test_the_band_of_resnet20(n: int, width: float) -> None:
    found = band(n, None, 0.23)
    assert found is not None
    assert round(found, 2) == width


def test_the_declared_noise_decides_where_there_is_one() -> None:
    assert band(3, 9.0, 0.23) == band(3, None, 0.23)


def test_without_noise_there_is_a_band_from_three_seeds_on() -> None:
    assert band(1, None, None) is None
    assert band(2, 0.2, None) is None


@pytest.mark.parametrize(("n", "quantile"), [(3, 4.3026527), (4, 3.1824463), (11, 2.2281389), (31, 2.0422725)])
def test_the_band_of_measured_noise_is_students(n: int, quantile: float) -> None:
    """The quantiles are those of ``scipy.stats.t.ppf(0.975, n - 1)``."""
    assert band(n, 0.2, None) == pytest.approx(quantile * 0.2 * (1 + 1 / n) ** 0.5, rel=1e-7)


TRIALS = 4000


@pytest.mark.parametrize(
    ("n", "declared"),
    [(1, True), (3, True), (12, True), (3, False), (5, False), (10, False), (12, False)],
)
def test_an_honest_repetition_falls_inside_95_times_in_100(n: int, declared: bool) -> None:
    """Paper and reproduction drawn from one distribution. Four standard errors are 1.4 points."""
    draw = random.Random(1000 * n + declared).gauss
    inside = 0
    for _ in range(TRIALS):
        values = [draw(91.5, 0.23) for _ in range(n)]
        found = cell("", "", "", values, published=draw(91.5, 0.23), replicate_sd=0.23 if declared else None)
        inside += found.verdict == WITHIN
    assert inside / TRIALS == pytest.approx(0.95, abs=0.014)


def test_just_inside_and_just_outside() -> None:
    def verdict(value: float) -> str:
        return cell("tickets", "5", "100", [value], published=91.40, replicate_sd=0.23).verdict

    assert [verdict(v) for v in (90.75, 92.05)] == [OUTSIDE, OUTSIDE]
    assert [verdict(v) for v in (90.77, 91.40, 92.03)] == [WITHIN, WITHIN, WITHIN]


def test_a_cell_keeps_mean_spread_and_best_epochs_apart() -> None:
    values, best = [90.0, 91.0, 93.0], [91.5, 92.5, 93.5]
    found = cell("s", "r", "c", values, best=best, published=91.0, replicate_sd=0.23)
    assert (found.series, found.row, found.col, found.n) == ("s", "r", "c", 3)
    assert found.reproduced == pytest.approx(statistics.fmean(values))
    assert found.sd == pytest.approx(statistics.stdev(values))
    assert found.best_epoch == pytest.approx(92.5)


def test_one_seed_has_no_spread() -> None:
    assert cell("", "", "", [90.0], published=91.0, replicate_sd=0.23).sd is None


def test_nothing_run() -> None:
    found = cell("", "", "", [], published=91.0, replicate_sd=0.23)
    assert (found.verdict, found.reproduced, found.n, found.band) == (NOT_RUN, None, 0, None)
    assert found.published == 91.0


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, WITHIN),
        ({"published": None}, UNPUBLISHED),
        ({"comparable": False}, NOT_COMPARABLE),
        ({"published": None, "comparable": False}, UNPUBLISHED),
    ],
)
def test_verdicts_that_are_no_comparison(changes: dict[str, object], verdict: str) -> None:
    settings: dict[str, object] = {"published": 91.4, "replicate_sd": 0.23} | changes
    assert cell("", "", "", [91.4], **settings).verdict == verdict  # type: ignore[arg-type]


def test_another_profiles_number_is_never_within() -> None:
    """Even where it agrees by chance, and where no noise is known."""
    for noise in (0.23, None):
        found = cell("", "", "", [91.4], published=91.4, replicate_sd=noise, comparable=False)
        assert found.verdict == NOT_COMPARABLE


def test_a_published_number_is_not_called_unpublished() -> None:
    """Where no noise is known there is no verdict, but the paper does print the number."""
    assert cell("", "", "", [91.4], published=91.4).verdict != UNPUBLISHED


def test_a_diverged_run_shows() -> None:
    assert cell("", "", "", [], published=91.4, replicate_sd=0.23, diverged=True).verdict == DIVERGED


def test_a_diverged_seed_shows_beside_one_that_ended_well() -> None:
    """A mean over the survivors is not marked `within` as if nothing had happened."""
    one = cell("", "", "", [91.4], published=91.4, replicate_sd=0.23)
    other = cell("", "", "", [91.4], published=91.4, replicate_sd=0.23, diverged=True)
    assert one != other


def test_counts_by_verdict() -> None:
    def make(verdict: str) -> Cell:
        return Cell("", "", "", None, None, 0, None, None, None, verdict)

    found = count([make(NOT_RUN), make(OUTSIDE), make(WITHIN), make(NOT_RUN)])
    assert list(found.items()) == [(WITHIN, 1), (OUTSIDE, 1), (NOT_RUN, 2)]
    assert count([]) == {}
