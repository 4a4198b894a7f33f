"""Section 3.2: weight magnitude and per-layer pruning rates (Fig. 2), distance of structures (Fig. 3).

A layer is prunable where Fig. 2 has its pruning rate. Changes of W_std are those of its logarithm.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence

from repro.claims.expressions import Expression, FirstEpochWithin, Linear, Max, OverLayers, Quantity, difference
from repro.claims.noise import NoiseSource
from repro.claims.statistics.fig1 import first_ticket
from repro.claims.statistics.registry import require_any, statistic
from repro.claims.tables import PAPER_EPOCHS, Cell, CellIndex, MissingCells, Setting
from repro.claims.terms import decile, distance, require_cell, stated
from repro.schedule import learning_rate, updates_per_epoch

W_STD, W_MEAN, RATES = "w_std", "w_mean", "layer pruning rate"
TENTH = 9  # the tenth convolution, counted from 0
UPDATES = 782
SETTLED = 0.02  # mean absolute difference of the layers' rates from their last ones
FALL, SECOND_FALL = 120, 160


@statistic
def mean_over_std_of_weights(index: CellIndex) -> Expression:
    layers = []
    for layer in prunable(index):
        epochs = require_any(index.columns("fig2", W_MEAN, layer), f"{W_MEAN} of {layer} in fig2")
        pairs = [
            (require_cell(index, "fig2", W_MEAN, layer, e), require_cell(index, "fig2", W_STD, layer, e))
            for e in epochs
        ]
        layers.append(tuple(Quantity(pair, _absolute_ratio) for pair in pairs))
    return OverLayers(tuple(layers), _median_of_all, "median")


@statistic
def correlation_of_rate_and_change(index: CellIndex) -> Expression:
    rates = _Correlation(_setting(index), _steps(index))
    layers = [Quantity(tuple(require_cell(index, "fig2", W_STD, layer, str(e)) for e in rates.epochs), rates)
              for layer in prunable(index)]  # fmt: skip
    return OverLayers(tuple((layer,) for layer in layers), _mean_of_all, "mean")


@statistic
def spread_before_minus_after_120(index: CellIndex) -> Expression:
    layers = [
        (change(index, layer, 80, FALL), change(index, layer, FALL, SECOND_FALL)) for layer in prunable(index)
    ]
    return OverLayers(tuple(layers), _spread_difference, "jackknife")


@statistic
def largest_change_after_120(index: CellIndex) -> Expression:
    found = []
    for layer in prunable(index):
        quantity = change(index, layer, FALL, SECOND_FALL)
        found.append(Linear({quantity: 1.0}, {_layer_unit("log_w_std", layer, quantity.cells): 1.0}))
    return Max(tuple(found))


@statistic
def variation_of_fall_after_120(index: CellIndex) -> Expression:
    layers = [(change(index, layer, FALL, SECOND_FALL),) for layer in prunable(index)]
    return OverLayers(tuple(layers), _variation, "ratio")


@statistic
def departure_from_decay_before_120(index: CellIndex) -> Expression:
    return OverLayers(_over_predicted(index, 10, 110, _Departure), _median_of_all, "median")


@statistic
def measured_over_predicted_slope(index: CellIndex) -> Expression:
    return OverLayers(_over_predicted(index, FALL, SECOND_FALL, _Ratio), _median_of_all, "median")


@statistic
def drop_of_layer_10_in_782_updates(index: CellIndex) -> Expression:
    if index.printed:
        return stated(index, "weights", "layer 10", "drop of W_std")
    layers = require_any(_in_order(index.rows("fig2", W_STD)), f"{W_STD} in fig2")
    if len(layers) <= TENTH:
        raise MissingCells("there is no layer 10 in fig2")
    layer, setting = layers[TENTH], _setting(index)
    updates = updates_per_epoch(setting.images, setting.recipe.batch_size)
    own, rest = divmod(UPDATES, updates)
    if rest:
        raise MissingCells(f"{UPDATES} updates are no whole number of epochs: an epoch has {updates}")
    later = FALL + own * PAPER_EPOCHS // setting.recipe.epochs
    if later > PAPER_EPOCHS:
        raise MissingCells(f"{UPDATES} updates after epoch {FALL} lie beyond the schedule")
    cells = tuple(require_cell(index, "fig2", W_STD, layer, str(e)) for e in (FALL, later))
    unit = _layer_unit("log_w_std", layer, cells, relative=cells[0])
    return Linear({Quantity((cells[0],)): 1.0, Quantity((cells[1],)): -1.0}, {unit: 1.0})


@statistic
def epoch_where_pruning_rates_settle(index: CellIndex) -> Expression:
    if index.printed:
        return stated(index, "epoch", "resnet20", "pruning rates settle")
    layers = prunable(index)
    epochs = require_any(index.epochs("fig2", RATES, layers[0]), f"{RATES} in fig2")
    return FirstEpochWithin(tuple(epochs), tuple((_from_last(index, layers, epoch),) for epoch in epochs), SETTLED)


@statistic
def saturation_minus_ticket_epoch(index: CellIndex) -> Expression:
    return difference(epoch_where_pruning_rates_settle(index), first_ticket(index))


@statistic
def distance_100_200(index: CellIndex) -> Expression:
    return distance(index, 100, 200)


# ---- layers and their numbers ------------------------------------------------------------------------------


def prunable(index: CellIndex) -> Sequence[str]:
    """Return the prunable layers, in the network's order."""
    return require_any(_in_order(index.rows("fig2", RATES)), f"{RATES} in fig2")


def change(index: CellIndex, layer: str, first: int, last: int) -> Quantity:
    """Return log W_std(last) / W_std(first) of a layer."""
    return Quantity(
        (
            require_cell(index, "fig2", W_STD, layer, str(first)),
            require_cell(index, "fig2", W_STD, layer, str(last)),
        ),
        _log_ratio,
    )


def predicted(setting: Setting, first: int, last: int) -> float:
    """Return Eq. 5's -n eta lambda / (1 - m), summed over the paper's epochs ``first`` to ``last``."""
    recipe = setting.recipe
    updates = updates_per_epoch(setting.images, recipe.batch_size)
    rates = [learning_rate(recipe, e) for e in range(setting.own_epoch(first), setting.own_epoch(last))]
    return -updates * sum(rates) * recipe.weight_decay / (1 - recipe.momentum)


def _over_predicted(
    index: CellIndex, first: int, last: int, compare: type[_Ratio]
) -> tuple[tuple[Quantity, ...], ...]:
    changes = [change(index, layer, first, last) for layer in prunable(index)]
    slope = predicted(_setting(index), first, last)
    if not slope:
        raise MissingCells("Eq. 5 predicts no change: the weight decay is 0")
    return tuple((Quantity(quantity.cells, compare(slope)),) for quantity in changes)


def _from_last(index: CellIndex, layers: Sequence[str], epoch: int) -> Linear:
    """Return the mean over layers of |rate at epoch - rate at 200|.

    An absolute value moves no more than its argument, so the noise of the differences bounds its own.
    """
    cells: list[Cell] = []
    units: dict[NoiseSource, float] = {}
    for layer in layers:
        pair = [require_cell(index, "fig2", RATES, layer, str(e)) for e in (epoch, PAPER_EPOCHS)]
        cells += pair
        if epoch != PAPER_EPOCHS:
            units |= {_rate_unit(pair[0]): 1 / len(layers), _rate_unit(pair[1]): -1 / len(layers)}
    return Linear({Quantity(tuple(cells), _mean_gap): 1.0}, units)


def _rate_unit(cell: Cell) -> NoiseSource:
    _, _, layer, epoch = cell
    shared = ("decile", decile(int(epoch), PAPER_EPOCHS))
    return NoiseSource("layer_rate", own=cell, structure=epoch, decile=shared, weights=layer, parent="dense")


def _layer_unit(kind: str, layer: str, own: tuple[Cell, ...], relative: Cell | None = None) -> NoiseSource:
    return NoiseSource(kind, own=own, structure=own, decile=own, weights=layer, parent="dense", relative=relative)


def _steps(index: CellIndex) -> list[tuple[int, int]]:
    """Return pairs of the paper's epochs that are neighbours in the profile's own schedule."""
    setting, first = _setting(index), prunable(index)[0]
    epochs = index.epochs("fig2", W_STD, first)
    own = {setting.own_epoch(epoch): epoch for epoch in epochs}
    return list(require_any([(own[e], own[e + 1]) for e in sorted(own) if e + 1 in own], "pair of epochs in fig2"))


def _setting(index: CellIndex) -> Setting:
    if index.setting is None:
        raise MissingCells("fig2 is drawn, without numbers")
    return index.setting


def _in_order(layers: Sequence[str]) -> list[str]:
    """Return the convolutions in the network's order: the first, then block by block. The last linear layer is
    none."""
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
            raise MissingCells("the learning rate never changes")

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
