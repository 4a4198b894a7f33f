"""Section 3.2: weight magnitude and per-layer pruning rates (Fig. 2), distance of structures (Fig. 3).

A layer is prunable where Fig. 2 has its pruning rate. Changes of W_std are those of its logarithm.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence

from repro.claims.forms import First, Form, Largest, Linear, OverLayers, Quantity, difference
from repro.claims.noise import Unit
from repro.claims.sources import distance, era, need, stated
from repro.claims.statistics.fig1 import first_ticket
from repro.claims.statistics.registry import Statistic, some
from repro.claims.tables import PAPER_EPOCHS, Absent, Cell, Grid, Setting
from repro.schedule import learning_rate, updates_per_epoch

W_STD, W_MEAN, RATES = "w_std", "w_mean", "layer pruning rate"
TENTH = 9  # the tenth convolution, counted from 0
UPDATES = 782
SETTLED = 0.02  # mean absolute difference of the layers' rates from their last ones
FALL, SECOND_FALL = 120, 160


def mean_over_std_of_weights(grid: Grid) -> Form:
    """Median over prunable layers and epochs of |mean weight| / W_std."""
    layers = []
    for layer in prunable(grid):
        epochs = some(grid.columns("fig2", W_MEAN, layer), f"{W_MEAN} of {layer} in fig2")
        pairs = [(need(grid, "fig2", W_MEAN, layer, e), need(grid, "fig2", W_STD, layer, e)) for e in epochs]
        layers.append(tuple(Quantity(pair, _absolute_ratio) for pair in pairs))
    return OverLayers(tuple(layers), _median_of_all, "median")


def correlation_of_rate_and_change(grid: Grid) -> Form:
    """Mean over layers of the correlation, over epochs, of the learning rate with |change of log W_std|."""
    rates = _Correlation(_setting(grid), _steps(grid))
    layers = [Quantity(tuple(need(grid, "fig2", W_STD, layer, str(e)) for e in rates.epochs), rates)
              for layer in prunable(grid)]  # fmt: skip
    return OverLayers(tuple((layer,) for layer in layers), _mean_of_all, "mean")


def spread_before_minus_after_120(grid: Grid) -> Form:
    """Standard deviation over layers of the change over epochs 80 to 120 minus that over 120 to 160."""
    layers = [(change(grid, layer, 80, FALL), change(grid, layer, FALL, SECOND_FALL)) for layer in prunable(grid)]
    return OverLayers(tuple(layers), _spread_difference, "jackknife")


def largest_change_after_120(grid: Grid) -> Form:
    """Largest over layers of the change over epochs 120 to 160."""
    found = []
    for layer in prunable(grid):
        quantity = change(grid, layer, FALL, SECOND_FALL)
        found.append(Linear({quantity: 1.0}, {_layer_unit("log_w_std", layer, quantity.cells): 1.0}))
    return Largest(tuple(found))


def variation_of_fall_after_120(grid: Grid) -> Form:
    """Standard deviation over layers of the change over epochs 120 to 160, over the absolute value of its mean."""
    layers = [(change(grid, layer, FALL, SECOND_FALL),) for layer in prunable(grid)]
    return OverLayers(tuple(layers), _variation, "ratio")


def departure_from_decay_before_120(grid: Grid) -> Form:
    """Median over layers of |r - 1|, r the change over epochs 10 to 110 over Eq. 5's."""
    return OverLayers(_over_predicted(grid, 10, 110, _Departure), _median_of_all, "median")


def measured_over_predicted_slope(grid: Grid) -> Form:
    """Median over layers of the change over epochs 120 to 160 over Eq. 5's."""
    return OverLayers(_over_predicted(grid, FALL, SECOND_FALL, _Ratio), _median_of_all, "median")


def drop_of_layer_10_in_782_updates(grid: Grid) -> Form:
    """W_std of the tenth convolution at epoch 120 minus that 782 updates later."""
    if grid.printed:
        return stated(grid, "weights", "layer 10", "drop of W_std")
    layers = some(_in_order(grid.rows("fig2", W_STD)), f"{W_STD} in fig2")
    if len(layers) <= TENTH:
        raise Absent("there is no layer 10 in fig2")
    layer, setting = layers[TENTH], _setting(grid)
    updates = updates_per_epoch(setting.images, setting.recipe.batch_size)
    own, rest = divmod(UPDATES, updates)
    if rest:
        raise Absent(f"{UPDATES} updates are no whole number of epochs: an epoch has {updates}")
    later = FALL + own * PAPER_EPOCHS // setting.recipe.epochs
    if later > PAPER_EPOCHS:
        raise Absent(f"{UPDATES} updates after epoch {FALL} lie beyond the schedule")
    cells = tuple(need(grid, "fig2", W_STD, layer, str(e)) for e in (FALL, later))
    unit = _layer_unit("log_w_std", layer, cells, relative=cells[0])
    return Linear({Quantity((cells[0],)): 1.0, Quantity((cells[1],)): -1.0}, {unit: 1.0})


def epoch_where_pruning_rates_settle(grid: Grid) -> Form:
    """First epoch from which the mean over layers of |rate - rate at epoch 200| stays below 0.02."""
    if grid.printed:
        return stated(grid, "epoch", "resnet20", "pruning rates settle")
    layers = prunable(grid)
    epochs = some(grid.epochs("fig2", RATES, layers[0]), f"{RATES} in fig2")
    return First(tuple(epochs), tuple((_from_last(grid, layers, epoch),) for epoch in epochs), SETTLED)


def saturation_minus_ticket_epoch(grid: Grid) -> Form:
    """The epoch at which the pruning rates settle minus the first s from which tickets match."""
    return difference(epoch_where_pruning_rates_settle(grid), first_ticket(grid))


def distance_100_200(grid: Grid) -> Form:
    """Fig. 3: the distance between the structures of epochs 100 and 200."""
    return distance(grid, 100, 200)


# ---- layers and their numbers ------------------------------------------------------------------------------


def prunable(grid: Grid) -> Sequence[str]:
    """The prunable layers, in the network's order."""
    return some(_in_order(grid.rows("fig2", RATES)), f"{RATES} in fig2")


def change(grid: Grid, layer: str, first: int, last: int) -> Quantity:
    """log W_std(last) / W_std(first) of a layer."""
    return Quantity(
        (need(grid, "fig2", W_STD, layer, str(first)), need(grid, "fig2", W_STD, layer, str(last))), _log_ratio
    )


def predicted(setting: Setting, first: int, last: int) -> float:
    """Eq. 5's -n eta lambda / (1 - m), summed over the paper's epochs ``first`` to ``last``."""
    recipe = setting.recipe
    updates = updates_per_epoch(setting.images, recipe.batch_size)
    rates = [learning_rate(recipe, e) for e in range(setting.own_epoch(first), setting.own_epoch(last))]
    return -updates * sum(rates) * recipe.weight_decay / (1 - recipe.momentum)


def _over_predicted(grid: Grid, first: int, last: int, compare: type[_Ratio]) -> tuple[tuple[Quantity, ...], ...]:
    changes = [change(grid, layer, first, last) for layer in prunable(grid)]
    slope = predicted(_setting(grid), first, last)
    if not slope:
        raise Absent("Eq. 5 predicts no change: the weight decay is 0")
    return tuple((Quantity(quantity.cells, compare(slope)),) for quantity in changes)


def _from_last(grid: Grid, layers: Sequence[str], epoch: int) -> Linear:
    """The mean over layers of |rate at epoch - rate at 200|. An absolute value moves no more than what is in it,
    so that the noise of the differences bounds its own."""
    cells: list[Cell] = []
    units: dict[Unit, float] = {}
    for layer in layers:
        pair = [need(grid, "fig2", RATES, layer, str(e)) for e in (epoch, PAPER_EPOCHS)]
        cells += pair
        if epoch != PAPER_EPOCHS:
            units |= {_rate_unit(pair[0]): 1 / len(layers), _rate_unit(pair[1]): -1 / len(layers)}
    return Linear({Quantity(tuple(cells), _mean_gap): 1.0}, units)


def _rate_unit(cell: Cell) -> Unit:
    _, _, layer, epoch = cell
    shared = ("era", era(int(epoch), PAPER_EPOCHS))
    return Unit("layer_rate", own=cell, structure=epoch, era=shared, weights=layer, parent="dense")


def _layer_unit(kind: str, layer: str, own: tuple[Cell, ...], relative: Cell | None = None) -> Unit:
    return Unit(kind, own=own, structure=own, era=own, weights=layer, parent="dense", relative=relative)


def _steps(grid: Grid) -> list[tuple[int, int]]:
    """Pairs of the paper's epochs that are neighbours in the profile's own schedule."""
    setting, first = _setting(grid), prunable(grid)[0]
    epochs = grid.epochs("fig2", W_STD, first)
    own = {setting.own_epoch(epoch): epoch for epoch in epochs}
    return list(some([(own[e], own[e + 1]) for e in sorted(own) if e + 1 in own], "pair of epochs in fig2"))


def _setting(grid: Grid) -> Setting:
    if grid.setting is None:
        raise Absent("fig2 is drawn, without numbers")
    return grid.setting


def _in_order(layers: Sequence[str]) -> list[str]:
    """The convolutions in the network's order: the first, then block by block; the last linear is none."""
    found = [layer for layer in layers if "conv" in layer]
    return sorted(found, key=lambda layer: [int(number) for number in re.findall(r"\d+", layer)][-2:])


def _log_ratio(values: Sequence[float]) -> float:
    return math.log(values[1] / values[0])


def _absolute_ratio(values: Sequence[float]) -> float:
    return abs(values[0]) / values[1]


def _mean_gap(values: Sequence[float]) -> float:
    return statistics.fmean(abs(a - b) for a, b in zip(values[::2], values[1::2], strict=True))


class _Ratio:
    """Measured change over the predicted one."""

    def __init__(self, slope: float) -> None:
        self.slope = slope

    def __call__(self, values: Sequence[float]) -> float:
        return _log_ratio(values) / self.slope


class _Departure(_Ratio):
    """How far the ratio is from one."""

    def __call__(self, values: Sequence[float]) -> float:
        return abs(super().__call__(values) - 1)


class _Correlation:
    """Pearson's correlation of the rate in each epoch with |change of log W_std| in it, for one layer."""

    def __init__(self, setting: Setting, steps: Sequence[tuple[int, int]]) -> None:
        self.epochs = sorted({epoch for step in steps for epoch in step})
        place = {epoch: index for index, epoch in enumerate(self.epochs)}
        self.steps = [(place[before], place[after]) for before, after in steps]
        self.rates = [learning_rate(setting.recipe, setting.own_epoch(before)) for before, _ in steps]
        if len(set(self.rates)) < 2:
            raise Absent("the learning rate never changes")

    def __call__(self, values: Sequence[float]) -> float:
        changes = [abs(_log_ratio((values[before], values[after]))) for before, after in self.steps]
        return statistics.correlation(self.rates, changes) if len(set(changes)) > 1 else 0.0


def _mean_of_all(layers: Sequence[Sequence[float]]) -> float:
    return statistics.fmean(number for layer in layers for number in layer)


def _median_of_all(layers: Sequence[Sequence[float]]) -> float:
    return statistics.median(number for layer in layers for number in layer)


def _spread_difference(layers: Sequence[Sequence[float]]) -> float:
    before, after = ([layer[place] for layer in layers] for place in (0, 1))
    return statistics.stdev(before) - statistics.stdev(after)


def _variation(layers: Sequence[Sequence[float]]) -> float:
    falls = [layer[0] for layer in layers]
    centre = statistics.fmean(falls)
    return statistics.stdev(falls) / abs(centre) if centre else math.inf


ALL: tuple[Statistic, ...] = (
    mean_over_std_of_weights,
    correlation_of_rate_and_change,
    spread_before_minus_after_120,
    largest_change_after_120,
    variation_of_fall_after_120,
    departure_from_decay_before_120,
    measured_over_predicted_slope,
    drop_of_layer_10_in_782_updates,
    epoch_where_pruning_rates_settle,
    saturation_minus_ticket_epoch,
    distance_100_200,
)
