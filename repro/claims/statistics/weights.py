"""Section 3.2: weight magnitude and per-layer pruning rates (Fig. 2), distance of structures (Fig. 3).

A layer is prunable where Fig. 2 has its pruning rate. Changes of W_std are those of its logarithm.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Sequence

from repro.claims.expressions import Expression, Extreme, FirstEpochWithin, Linear, OverLayers, Quantity, Sum
from repro.claims.index import FALL, CellIndex, MissingCells, decile, required
from repro.claims.noise import NoiseSource
from repro.claims.statistics.fig1 import first_ticket
from repro.claims.tables import PAPER_EPOCHS, Cell, Setting
from repro.schedule import learning_rate, updates_per_epoch

W_STD, W_MEAN, RATES = "w_std", "w_mean", "layer pruning rate"
SECOND_FALL = 160
TENTH = 9  # the tenth convolution, counted from 0
UPDATES = 782
SETTLED = 0.02  # mean absolute difference of the layers' rates from their last ones

Compute = Callable[[Sequence[float]], float]


def _layers(index: CellIndex, series: str = RATES) -> list[str]:
    """Return the convolutions of a series in the network's order: the first, then block by block; of the pruning
    rates the prunable ones. The last linear layer is none."""
    found = [layer for layer in index.rows("fig2", series) if "conv" in layer]
    return sorted(found, key=lambda layer: [int(number) for number in re.findall(r"\d+", layer)][-2:])


def _setting(index: CellIndex) -> Setting:
    if index.setting is None:
        raise MissingCells("fig2 is drawn, without numbers")
    return index.setting


def predicted(setting: Setting, first: int, last: int) -> float:
    """Return Eq. 5's -n eta lambda / (1 - m), summed over the paper's epochs ``first`` to ``last``."""
    recipe = setting.recipe
    updates = updates_per_epoch(setting.images, recipe.batch_size)
    rates = [learning_rate(recipe, e) for e in range(setting.own_epoch(first), setting.own_epoch(last))]
    return -updates * sum(rates) * recipe.weight_decay / (1 - recipe.momentum)


# ---- statistics over layers --------------------------------------------------------------------------------


def _log_ratio(values: Sequence[float]) -> float:
    return math.log(values[1] / values[0])


def _changes(index: CellIndex, first: int, last: int, compute: Compute = _log_ratio) -> list[Quantity]:
    """Return log W_std(last) / W_std(first) of every prunable layer, or what ``compute`` makes of the two."""
    return [
        Quantity(tuple(index.cell("fig2", W_STD, layer, epoch) for epoch in (first, last)), compute)
        for layer in _layers(index)
    ]


def _over_predicted(index: CellIndex, first: int, last: int, of: Callable[[float], float]) -> OverLayers:
    """Return the median over layers ``of`` the measured change over Eq. 5's."""
    slope = predicted(_setting(index), first, last)
    if not slope:
        raise MissingCells("Eq. 5 predicts no change: the weight decay is 0")
    changes = _changes(index, first, last, lambda values: of(_log_ratio(values) / slope))
    return OverLayers([(change,) for change in changes], statistics.median, "median")


def _mean_over_std(index: CellIndex) -> OverLayers:
    layers = []
    for layer in _layers(index):
        epochs = required(index.epochs("fig2", W_MEAN, layer), f"{W_MEAN} of {layer} in fig2")
        pairs = [[index.cell("fig2", series, layer, e) for series in (W_MEAN, W_STD)] for e in epochs]
        layers.append([Quantity(tuple(pair), lambda values: abs(values[0]) / values[1]) for pair in pairs])
    return OverLayers(layers, statistics.median, "median")


def _correlation(index: CellIndex) -> OverLayers:
    """Return the mean over layers of Pearson's correlation of an epoch's rate with its |change of log W_std|.

    The epochs are the paper's of which the next one in the profile's own schedule is a column, too.
    """
    setting, layers = _setting(index), _layers(index)
    own = {setting.own_epoch(epoch): epoch for epoch in index.epochs("fig2", W_STD, layers[0])}
    steps = required([e for e in sorted(own) if e + 1 in own], "pair of epochs in fig2")
    rates = [learning_rate(setting.recipe, epoch) for epoch in steps]
    if len(set(rates)) < 2:
        raise MissingCells("the learning rate never changes")

    def correlation(values: Sequence[float]) -> float:
        changes = [abs(_log_ratio(pair)) for pair in zip(values[::2], values[1::2], strict=True)]
        return statistics.correlation(rates, changes) if len(set(changes)) > 1 else 0.0

    columns = [own[epoch] for step in steps for epoch in (step, step + 1)]
    cells = [tuple(index.cell("fig2", W_STD, layer, column) for column in columns) for layer in layers]
    return OverLayers([[Quantity(chosen, correlation)] for chosen in cells], statistics.fmean, "mean")


def _spread(changes: Sequence[float]) -> float:
    """Return the standard deviation of each layer's first change minus that of its second."""
    return statistics.stdev(changes[::2]) - statistics.stdev(changes[1::2])


def _variation(falls: Sequence[float]) -> float:
    centre = statistics.fmean(falls)
    return statistics.stdev(falls) / abs(centre) if centre else math.inf


# ---- statistics with noise of their own --------------------------------------------------------------------


def _noise(layer: str, own: tuple[Cell, ...], relative: Cell | None = None) -> NoiseSource:
    return NoiseSource("log_w_std", own, "dense", weights=layer, relative=relative)


def _largest_change(index: CellIndex) -> Extreme:
    changes = _changes(index, FALL, SECOND_FALL)
    units = [_noise(change.cells[0][2], change.cells) for change in changes]
    return Extreme(max, [Linear({change: 1.0}, {unit: 1.0}) for change, unit in zip(changes, units, strict=True)])


def _drop(index: CellIndex) -> Linear:
    """Return the fall of W_std of the tenth convolution in the 782 updates after epoch 120."""
    if index.printed:
        return index.term("text", "weights", "layer 10", "drop of W_std")
    layer = required(_layers(index, W_STD)[TENTH:], "layer 10 in fig2")[0]
    setting = _setting(index)
    updates = updates_per_epoch(setting.images, setting.recipe.batch_size)
    own, rest = divmod(UPDATES, updates)
    if rest:
        raise MissingCells(f"{UPDATES} updates are no whole number of epochs: an epoch has {updates}")
    later = FALL + own * PAPER_EPOCHS // setting.recipe.epochs
    cells = tuple(index.cell("fig2", W_STD, layer, epoch) for epoch in (FALL, later))
    unit = _noise(layer, cells, relative=cells[0])
    return Linear({Quantity((cells[0],)): 1.0, Quantity((cells[1],)): -1.0}, {unit: 1.0})


def _saturation(index: CellIndex) -> Expression:
    """Return the first epoch from which the layers' rates stay near their last ones."""
    if index.printed:
        return index.term("text", "epoch", "resnet20", "pruning rates settle")
    layers = _layers(index)
    epochs = index.epochs("fig2", RATES, layers[0])
    return FirstEpochWithin({epoch: (_from_last(index, layers, epoch),) for epoch in epochs}, SETTLED)


def _from_last(index: CellIndex, layers: Sequence[str], epoch: int) -> Linear:
    """Return the mean over layers of |rate at epoch - rate at 200|.

    An absolute value moves no more than its argument, so the noise of the differences bounds its own.
    """
    pairs = [[index.cell("fig2", RATES, layer, e) for e in (epoch, PAPER_EPOCHS)] for layer in layers]
    units: dict[NoiseSource, float] = {}
    for now, last in pairs if epoch != PAPER_EPOCHS else ():
        units |= {_rate_noise(now): 1 / len(layers), _rate_noise(last): -1 / len(layers)}
    return Linear({Quantity(tuple(cell for pair in pairs for cell in pair), _mean_gap): 1.0}, units)


def _rate_noise(cell: Cell) -> NoiseSource:
    _, _, layer, epoch = cell
    return NoiseSource("layer_rate", cell, "dense", structure=epoch, decile=decile(int(epoch)), weights=layer)


def _mean_gap(values: Sequence[float]) -> float:
    return statistics.fmean(abs(a - b) for a, b in zip(values[::2], values[1::2], strict=True))


STATISTICS: dict[str, Callable[..., Expression]] = {
    "mean_over_std_of_weights": _mean_over_std,
    "correlation_of_rate_and_change": _correlation,
    "spread_before_minus_after_120": lambda index: OverLayers(
        [*zip(_changes(index, 80, FALL), _changes(index, FALL, SECOND_FALL), strict=True)], _spread, "jackknife"
    ),
    "largest_change_after_120": _largest_change,
    "variation_of_fall_after_120": lambda index: OverLayers(
        [(change,) for change in _changes(index, FALL, SECOND_FALL)], _variation, "ratio"
    ),
    "departure_from_decay_before_120": lambda index: _over_predicted(index, 10, 110, lambda ratio: abs(ratio - 1)),
    "measured_over_predicted_slope": lambda index: _over_predicted(index, FALL, SECOND_FALL, lambda ratio: ratio),
    "drop_of_layer_10_in_782_updates": _drop,
    "epoch_where_pruning_rates_settle": _saturation,
    "saturation_minus_ticket_epoch": lambda index: Sum({_saturation(index): 1.0, first_ticket(index): -1.0}),
    "distance_100_200": lambda index: index.term("fig3", "hamming", 100, 200),
}
