"""The paper's cells as linears of one cell each, with what carries their noise (see noise.py)."""

from __future__ import annotations

import math
from collections.abc import Hashable

from repro.claims.expressions import Linear, Quantity, mean
from repro.claims.noise import NoiseSource
from repro.claims.tables import PAPER_EPOCHS, Cell, CellIndex, MissingCells, required
from repro.config.recipe import CIFAR_ARCHS, IMAGENET_ARCHS
from repro.experiments import paper_epochs

DENSE = "dense_early"  # dense accuracy while the rate is still at its first value
LARGE_RATE = 0.1  # section 3.3: "the large retraining learning rate (= 0.1)"
TENTHS = 10


def term(index: CellIndex, artifact: str, series: str, row: object, column: object) -> Linear:
    """Return a cell, with its noise: its own, and what it shares with other cells. Raises `MissingCells`."""
    cell = index.cell(artifact, series, row, column)
    _, _, arch, col = cell  # rows are networks, but in Figs. 1, 3 and 5
    own: Hashable
    match artifact, series:
        case "fig1", "tickets":
            return _ticket(cell, index.arch, int(arch), int(col))
        case "table2" | "table3", "one-shot":
            return _ticket(cell, arch, int(col), int(col))
        case "table2" | "table3", "gradual":
            return _linear(cell, NoiseSource(arch, ("gradual", arch, col), ("children", arch)))
        case "fig1", "baseline":
            return _dense(cell, index.arch, int(col), index.fall)
        case "fig4", "baseline":
            return _dense(cell, arch, int(col), index.fall)
        case "text", "accuracy":
            return _dense(cell, arch, PAPER_EPOCHS)
        case "fig4" | "fig6", _:
            # PPR scatters far more at the large rate than at the small one.
            kind = "ppr" if float(series.removeprefix("ppr ")) >= LARGE_RATE else "ppr_small"
            own, tenth = ("structure", arch, int(col)), decile(int(col), arch)
            return _linear(cell, NoiseSource(kind, cell, ("children", arch), own, tenth, weights=own))
        case "table4", _ if col == "accuracy delta":
            # The difference to the dense network has the noise of both.
            own = ("gradual", arch, _chosen(arch)[1]) if series == "GP + EWT" else ("iterative", arch)
            child = _linear(cell, NoiseSource(arch, own, ("children", arch)))
            return Linear(child.terms, (child - _dense(cell, arch, PAPER_EPOCHS)).units)
        case "fig3", _:
            return _linear(cell, NoiseSource("hamming", cell, "dense"))
        case "fig5", _:
            source = NoiseSource(
                "memorization", cell, "dense", ("structure", arch), decile(int(arch)), ("labels", col)
            )
            return _linear(cell, source)
        case "table1", _:
            # After pruning in steps the columns are one training.
            own, lineage = ("structure", series, col), cell if series == "1-shot" else ("steps",)
            return _linear(cell, NoiseSource("memorization", cell, "dense", own, lineage, weights=own))
        case _:  # counted, or stated in the text
            return _linear(cell)


def terms(
    index: CellIndex, artifact: str, series: str, row: str, first: int = 0, last: int = PAPER_EPOCHS
) -> list[tuple[int, Linear]]:
    """Return epoch and cell of a row's columns from ``first`` to ``last`` (of windows, those that start there).

    Raises `MissingCells` if there is none.
    """
    columns = index.columns(artifact, series, row)
    found = sorted((e, column) for column in columns if first <= (e := int(column.split("-")[0])) <= last)
    at = "that starts at" if series == "gradual" else "at"
    required(found, f"{series} {row} in {artifact} {at} epochs {first} to {last}")
    return [(epoch, term(index, artifact, series, row, column)) for epoch, column in found]


def average(
    index: CellIndex, artifact: str, series: str, row: str, first: int = 0, last: int = PAPER_EPOCHS
) -> Linear:
    """Return the mean of `terms`."""
    return mean(linear for _, linear in terms(index, artifact, series, row, first, last))


def dense(index: CellIndex, arch: str) -> Linear:
    """Return the dense network's accuracy at the end of its schedule (the text's "baseline")."""
    if not index.has("text", "accuracy", arch, "baseline"):
        raise MissingCells(f"there is no dense {arch}")
    return term(index, "text", "accuracy", arch, "baseline")


def gradual_delta(index: CellIndex, arch: str) -> Linear:
    """Return the accuracy of gradual pruning less the dense network's (Table 4, GP + EWT).

    Our own Runs use the window that the paper chose: the best of several would look better by chance.
    """
    table, window = _chosen(arch)
    if index.printed or not index.has(table, "gradual", arch, window):
        return term(index, "table4", "GP + EWT", arch, "accuracy delta")
    return term(index, table, "gradual", arch, window) - dense(index, arch)


def _chosen(arch: str) -> tuple[str, str]:
    """Return the table and the window from which Table 4 takes its gradual pruning."""
    return ("table3", "40-70") if arch in IMAGENET_ARCHS else ("table2", "100-150")


def _ticket(cell: Cell, arch: str, v: int, s: int) -> Linear:
    """Return the ticket with structure from epoch ``s`` and weights from epoch ``v``."""
    structure, weights = ("structure", arch, s), ("weights", arch, v)
    own, parent = ("ticket", arch, v, s), ("children", arch)
    return _linear(cell, NoiseSource(arch, own, parent, structure, decile(s, arch), weights))


def _dense(cell: Cell, arch: str, epoch: int, fall: float = 0.0) -> Linear:
    """Return the dense network's accuracy at ``epoch``. Before the ``fall`` of the rate it moves by points."""
    own, kind = ("dense", arch, epoch), DENSE if epoch < fall else arch
    return _linear(cell, NoiseSource(kind, own, ("dense", arch), decile=decile(epoch, CIFAR_ARCHS[0])))


def _linear(cell: Cell, *noise: NoiseSource) -> Linear:
    return Linear({Quantity((cell,)): 1.0}, dict.fromkeys(noise, 1.0))


def decile(epoch: int, arch: str = CIFAR_ARCHS[0]) -> Hashable:
    """Return the tenth of the network's schedule in which ``epoch`` lies; it ends with its last epoch."""
    return "decile", arch, max(1, math.ceil(epoch * TENTHS / paper_epochs(arch)))
