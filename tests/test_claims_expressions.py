"""The algebra, the noise of a weighted sum, the quantiles, and the interval of each form on small examples."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace
from statistics import fmean, median, stdev

import pytest

from repro import quantiles
from repro.claims.expressions import (
    Extreme,
    FirstEpochWithin,
    Linear,
    OverLayers,
    Quantity,
    Sample,
    Sum,
    mean,
    total,
)
from repro.claims.noise import ALLOCATIONS, NoiseSource, UnknownNoise, standard_deviation
from repro.claims.statistics.fig1 import span
from repro.claims.tables import Cell

SD = {"a": 2.0, "b": 1.0}


def cell(name: str) -> Cell:
    return "x", "y", "z", name


def source(name: str, kind: str = "a", **shared: str) -> Linear:
    """One cell; what it does not share is its own."""
    parts = {part: shared.get(part, name) for part in ("structure", "decile", "weights")}
    unit = NoiseSource(kind, own=name, parent=shared.get("parent", "p"), **parts)
    return Linear({Quantity((cell(name),)): 1.0}, {unit: 1.0})


def sample(*seeds: dict[str, float]) -> Sample:
    return Sample([{cell(name): value for name, value in seed.items()} for seed in seeds], SD)


def half(linear: Linear) -> float:
    """Half the interval of one seed, in standard deviations of kind a."""
    found = sample({key.cells[0][3]: 1.0 for key in linear.terms})
    return linear.half(found, 0.025) / 1.959964 / SD["a"]


# ---- quantiles ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("freedom", "tail", "expected"),
    [(1, 0.025, 12.7062), (2, 0.025, 4.30265), (3, 0.025, 3.18245), (4, 0.025, 2.77645), (5, 0.005, 4.03214),
     (9, 0.025, 2.26216), (17, 0.025, 2.10982), (30, 0.001, 3.38518), (63, 0.025, 1.99834), (2, 0.0005, 31.5991),
     (10, 0.0005, 4.58689), (120, 0.025, 1.97993)],
)  # fmt: skip
def test_student(freedom: int, tail: float, expected: float) -> None:
    assert quantiles.student(freedom, tail) == pytest.approx(expected, rel=5e-6)  # tables give six digits


def test_student_far_out_and_refused() -> None:
    assert quantiles.student(2, 1e-6) == pytest.approx(707.1057, rel=1e-5)  # sqrt(2 / (4 p (1 - p))) (1 - 2 p)
    for freedom, tail in ((0, 0.1), (3, 0.0), (3, 0.5)):
        with pytest.raises(ValueError, match="no t quantile"):
            quantiles.student(freedom, tail)


def test_normal() -> None:
    assert quantiles.normal(0.025) == pytest.approx(1.959964)


def test_median_rank_is_exact() -> None:
    for n in range(1, 30):
        k = quantiles.median_rank(n, 0.025)
        below = [sum(math.comb(n, i) for i in range(j)) / 2**n for j in range(n + 1)]
        assert below[k] <= 0.025 < below[k + 1]
    assert quantiles.median_rank(18, 0.025) == 5


# ---- algebra and noise -------------------------------------------------------------------------------------


def test_algebra() -> None:
    a, b, c = (source(name) for name in "abc")
    values = {cell("a"): 2.0, cell("b"): 3.0, cell("c"): 7.0}
    assert total([(1, a), (1, b), (-0.5, c)]).of(values) == pytest.approx(1.5)
    assert (-a).of(values) == -2 and mean([a, b, c]).of(values) == pytest.approx(4)
    assert not (a - a).terms and not (a - a).units
    assert Sum({a - b: 1.0, Extreme(max, (c, -c)): -1.0}).cells() == set(values)
    assert not Linear({Quantity((cell("a"),)): 1.0}).noisy() and Extreme(max, (a, b)).noisy()


def test_noise_is_allocated_at_worst() -> None:
    """Two columns of four: what a column shares does not average out; what all share cancels in a contrast."""
    columns = [[source(f"{s}{v}", structure=s, weights=str(v)) for v in range(4)] for s in "st"]
    assert half(mean(columns[0])) == pytest.approx(1)
    assert half(mean(columns[0]) - mean(columns[1])) == pytest.approx(math.sqrt(2))
    assert half(columns[0][0] - columns[0][1]) == pytest.approx(math.sqrt(2))
    assert half(mean(columns[0][:1] + columns[1][:1]) - mean(columns[0][1:2] + columns[1][1:2])) == pytest.approx(
        math.sqrt(2)
    )


def test_a_dense_network_is_a_source_of_its_own() -> None:
    tickets = mean([source(name, parent="children") for name in "abcd"])
    assert half(tickets - source("dense", parent="dense")) == pytest.approx(math.sqrt(2))


def test_kinds_are_independent_and_unknown_ones_named() -> None:
    assert half(source("x") - source("y", kind="b")) == pytest.approx(math.sqrt(1.25))
    with pytest.raises(UnknownNoise, match="c"):
        half(source("x", kind="c"))


def test_relative_noise_is_times_the_cell() -> None:
    unit = NoiseSource("b", 1, 1, relative=cell("w"))
    assert standard_deviation({unit: -2.0}, SD, [{cell("w"): 0.3}]) == pytest.approx(0.6)


def test_the_worst_allocation_covers_every_mixture() -> None:
    rng = random.Random(0)
    linears = [source(f"{i}", structure=f"s{i % 3}", weights=f"v{i % 4}", decile=f"e{i % 2}") for i in range(12)]
    for _ in range(200):
        units = {unit: rng.uniform(-1, 1) for linear in linears for unit in linear.units}
        shares = [rng.random() for _ in ALLOCATIONS]
        variance = 0.0
        for allocation, share in zip(ALLOCATIONS, shares, strict=True):
            groups: dict[object, float] = {}
            for unit, weight in units.items():
                groups[unit.owner(allocation)] = groups.get(unit.owner(allocation), 0) + weight
            variance += share / sum(shares) * 4 * sum(total**2 for total in groups.values())
        assert math.sqrt(variance) <= standard_deviation(units, SD, []) + 1e-12


# ---- intervals ---------------------------------------------------------------------------------------------


def test_linear_by_number_of_seeds() -> None:
    a = source("a")
    for seeds, expected in (([5.0], 1.959964 * 2), ([4.0, 6.0], 1.959964 * 2 / math.sqrt(2)),
                            ([4.0, 5.0, 6.0], 4.30265 / math.sqrt(3))):  # fmt: skip
        found = sample(*({"a": value} for value in seeds))
        low, high = a.interval(found)
        assert (low + high) / 2 == pytest.approx(5) and (high - low) / 2 == pytest.approx(expected, rel=1e-6)


def test_as_if_with_more_seeds() -> None:
    a = source("a")
    found = sample({"a": 5.0})
    assert a.half(replace(found, assumed=2), 0.025) == pytest.approx(1.959964 * 2 / math.sqrt(2))
    assert a.half(replace(found, assumed=9), 0.025) == pytest.approx(2.306004 * 2 / 3)
    measured = sample(*({"a": value} for value in (4.0, 5.0, 6.0)))
    assert a.half(replace(measured, assumed=9), 0.025) == pytest.approx(2.306004 / 3)


def test_extremes() -> None:
    parts = tuple(source(name) for name in "abc")
    values = {"a": 0.0, "b": 1.0, "c": 9.0}
    plain, corrected = 1.959964 * 2, quantiles.normal(0.025 / 3) * 2
    low, high = Extreme(min, parts).interval(sample(values))
    assert (low, high) == pytest.approx((0 - plain, 0 + corrected))
    low, high = Extreme(max, parts).interval(sample(values))
    assert (low, high) == pytest.approx((9 - corrected, 9 + plain))


def test_a_range_is_the_largest_difference_and_never_negative() -> None:
    parts = [source(name) for name in "abc"]
    form = span(parts)
    found = sample({"a": 0.0, "b": 1.0, "c": 4.0})
    assert form.value(found) == 4
    assert form.interval(found)[0] == 0


def test_sums_split_the_error_among_what_has_noise() -> None:
    exact = Linear({Quantity((cell("e"),)): 1.0})
    form = Sum({exact: 1.0, Extreme(max, (source("a"),)): -1.0})
    low, high = form.interval(sample({"e": 3.0, "a": 1.0}))
    assert (low, high) == pytest.approx((2 - 1.959964 * 2, 2 + 1.959964 * 2))
    both = Sum({Extreme(max, (source("b"),)): 1.0, Extreme(max, (source("a"),)): -1.0})
    low, high = both.interval(sample({"b": 3.0, "a": 1.0}))
    assert high - 2 == pytest.approx(2 - low) == pytest.approx(2 * quantiles.normal(0.0125) * 2)


@pytest.mark.parametrize(
    ("curve", "first", "low", "high"),
    [
        ([9, 9, 0, 0], 3, 3, 3),  # clear
        ([9, 4, 0, 0], 2, 2, 3),  # 4 is inside the margin of 5, but not surely
        ([9, 6, 0, 0], 3, 2, 3),  # 6 is outside, but not surely
        ([9, 0, 9, 0], 4, 2, 4),  # it must stay inside
        ([9, 9, 9, 9], math.inf, math.inf, math.inf),  # never settles
        ([0, 0, 0, 4], 1, 1, math.inf),  # the end is not surely inside
    ],
)
def test_first_epoch(curve: list[float], first: float, low: float, high: float) -> None:
    points = [source(str(i), kind="b") for i in range(4)]
    form = FirstEpochWithin({epoch: (point,) for epoch, point in enumerate(points, 1)}, 5.0)
    found = sample({str(i): value for i, value in enumerate(curve)})
    assert form.value(found) == first
    assert form.interval(found) == (low, high)


def test_first_epoch_of_random_curves_holds_its_estimate() -> None:
    rng = random.Random(2)
    points = [source(str(i), kind="b") for i in range(6)]
    form = FirstEpochWithin({epoch: (point, -point) for epoch, point in enumerate(points)}, 1.0)
    for _ in range(300):
        found = sample({str(i): rng.gauss(0, 2 - i / 3) for i in range(6)})
        low, high = form.interval(found)
        assert low <= form.value(found) <= high


def layers(values: list[float], method: str) -> tuple[OverLayers, Sample]:
    names = [str(i) for i in range(len(values))]
    summary = {"mean": fmean, "median": median, "jackknife": stdev, "ratio": stdev}[method]
    form = OverLayers(tuple((Quantity((cell(name),)),) for name in names), summary, method)
    return form, sample(dict(zip(names, values, strict=True)))


def test_over_layers() -> None:
    values = [float(i * i) for i in range(18)]

    def interval(values: list[float], method: str) -> tuple[float, float]:
        form, found = layers(values, method)
        return form.interval(found)

    low, high = interval(values, "mean")
    error = stdev(values) / math.sqrt(18)
    assert (low, high) == pytest.approx((fmean(values) - 2.1098156 * error, fmean(values) + 2.1098156 * error))
    assert interval(values, "median") == (16.0, 169.0)  # the fifth from either end
    assert interval(values[:5], "median") == (-math.inf, math.inf)
    low, high = interval(values, "ratio")
    assert 0 < low < stdev(values) < high and high - stdev(values) > stdev(values) - low
    # The jackknife's standard error of a mean is the usual one.
    form, found = layers(values, "jackknife")
    form = OverLayers(form.layers, fmean, "jackknife")
    assert form.interval(found) == pytest.approx((fmean(values) - 2.1098156 * error,
                                                            fmean(values) + 2.1098156 * error))  # fmt: skip


def test_over_layers_from_three_seeds_on() -> None:
    form, _ = layers([0.0, 1.0], "mean")
    found = sample({"0": 0.0, "1": 2.0}, {"0": 1.0, "1": 3.0}, {"0": 2.0, "1": 4.0})
    assert form.value(found) == 2
    assert form.interval(found) == pytest.approx((2 - 4.3026527 / math.sqrt(3), 2 + 4.3026527 / math.sqrt(3)))


def test_the_order_of_terms_does_not_matter() -> None:
    values = {name: float(i) for i, name in enumerate("abcd")}
    found = set()
    for order in itertools.permutations("abcd"):
        form = Sum({Extreme(min, tuple(source(name) for name in order)): 1.0, source("a"): 0.5})
        found.add(tuple(round(end, 9) for end in form.interval(sample(values))))
    assert len(found) == 1
