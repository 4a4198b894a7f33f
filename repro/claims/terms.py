"""The paper's cells as linears of one cell each, with what carries their noise (see noise.py)."""

from __future__ import annotations

import math
from collections.abc import Hashable

from repro.claims.expressions import Linear, Quantity
from repro.claims.noise import NoiseSource
from repro.claims.tables import PAPER_EPOCHS, Cell, CellIndex, MissingCells, required
from repro.config.recipe import IMAGENET_ARCHS

DENSE = "dense_early"  # dense accuracy while the rate is still at its first value
LARGE_RATE = 0.1  # section 3.3: "the large retraining learning rate (= 0.1)"
TENTHS = 10


def exact(cell: Cell) -> Linear:
    """Return a number without noise: counted, or stated in the text."""
    return Linear({Quantity((cell,)): 1.0})


def measured(
    cell: Cell,
    kind: str,
    own: Hashable,
    parent: Hashable,
    *,
    structure: Hashable = None,
    decile: Hashable = None,
    weights: Hashable = None,
) -> Linear:
    """Return a cell with noise of this ``kind``, which is its ``own`` but for what it shares with others."""
    source = NoiseSource(kind, own, structure or own, decile or own, weights or own, parent)
    return Linear({Quantity((cell,)): 1.0}, {source: 1.0})


def stated(index: CellIndex, *key: str) -> Linear:
    """Return a number that the paper's text states."""
    return exact(index.cell("text", *key))


def ticket(index: CellIndex, v: int, s: int) -> Linear:
    """Return Fig. 1's ticket with structure from epoch ``s`` and weights from epoch ``v``."""
    return _ticket(index.cell("fig1", "tickets", v, s), index.arch, v, s, PAPER_EPOCHS)


def one_shot(index: CellIndex, artifact: str, arch: str, s: int, schedule: int = PAPER_EPOCHS) -> Linear:
    """Return one-shot pruning at ``s`` (Tables 2 and 3): it is the ticket (s, s)."""
    return _ticket(index.cell(artifact, "one-shot", arch, s), arch, s, s, schedule)


def _ticket(cell: Cell, arch: str, v: int, s: int, schedule: int) -> Linear:
    shared = {"structure": ("structure", arch, s), "decile": ("decile", arch, decile(s, schedule))}
    return measured(cell, arch, ("ticket", arch, v, s), ("children", arch), weights=("weights", arch, v), **shared)


def gradual(index: CellIndex, artifact: str, arch: str, window: str) -> Linear:
    """Return gradual pruning over ``window`` and retraining (Tables 2 and 3)."""
    cell = index.cell(artifact, "gradual", arch, window)
    return measured(cell, arch, ("gradual", arch, window), ("children", arch))


def iterative_delta(index: CellIndex, arch: str) -> Linear:
    """Return the accuracy of iterative pruning less the dense network's (Table 4, IP + WT)."""
    return _delta(index, "IP + WT", arch, ("iterative", arch))


def gradual_delta(index: CellIndex, arch: str) -> Linear:
    """Return the accuracy of gradual pruning less the dense network's (Table 4, GP + EWT).

    Our own Runs use the window that the paper chose (Table 2, 100-150; Table 3, 40-70): the best of several
    windows would look better by chance.
    """
    table, window = ("table3", "40-70") if arch in IMAGENET_ARCHS else ("table2", "100-150")
    if index.printed or not index.has(table, "gradual", arch, window):
        return _delta(index, "GP + EWT", arch, ("gradual", arch, window))
    return gradual(index, table, arch, window) - dense(index, arch)


def _delta(index: CellIndex, series: str, arch: str, own: Hashable) -> Linear:
    """Return a cell that is a difference to the dense network, with the noise of both."""
    cell = index.cell("table4", series, arch, "accuracy delta")
    child = measured(cell, arch, own, ("children", arch))
    return Linear(child.terms, (child - _dense(cell, arch, arch, PAPER_EPOCHS)).units)


def dense(index: CellIndex, arch: str) -> Linear:
    """Return the dense network's accuracy at the end of its schedule (the text's "baseline")."""
    if not index.has("text", "accuracy", arch, "baseline"):
        raise MissingCells(f"there is no dense {arch}")
    return _dense(index.cell("text", "accuracy", arch, "baseline"), arch, arch, PAPER_EPOCHS)


def dense_at(index: CellIndex, artifact: str, row: str, epoch: int, arch: str) -> Linear:
    """Return the dense network's accuracy at an epoch (Fig. 1's and Fig. 4's "baseline").

    Before the first fall of the rate it moves by points, so that noise is declared separately.
    """
    cell = index.cell(artifact, "baseline", row, epoch)
    return _dense(cell, DENSE if epoch < index.fall else arch, arch, epoch)


def _dense(cell: Cell, kind: str, arch: str, epoch: int) -> Linear:
    shared = ("dense", arch, decile(epoch, PAPER_EPOCHS))
    return measured(cell, kind, ("dense", arch, epoch), ("dense", arch), decile=shared)


def ppr(index: CellIndex, artifact: str, series: str, arch: str, epoch: int, schedule: int) -> Linear:
    """Return the PPR accuracy at ``epoch`` (Figs. 4 and 6).

    It scatters far more at the large rate than at the small one, so their noise is declared separately.
    """
    cell, structure = index.cell(artifact, series, arch, epoch), ("structure", arch, epoch)
    kind = "ppr" if float(series.removeprefix("ppr ")) >= LARGE_RATE else "ppr_small"
    shared = ("decile", arch, decile(epoch, schedule))
    return measured(cell, kind, cell, ("children", arch), structure=structure, decile=shared, weights=structure)


def distance(index: CellIndex, x: int, y: int) -> Linear:
    """Return the distance between the structures of epochs ``x`` and ``y`` (Fig. 3)."""
    cell = index.cell("fig3", "hamming", x, y)
    return measured(cell, "hamming", cell, "dense")


def capacity(index: CellIndex, s: int, size: int) -> Linear:
    """Return what the structure of epoch ``s`` memorizes of ``size`` random labels, which the rows share (Fig.
    5)."""
    cell = index.cell("fig5", "memorization", s, size)
    shared = {"structure": ("structure", s), "decile": ("decile", decile(s, PAPER_EPOCHS))}
    return measured(cell, "memorization", cell, "dense", weights=("labels", size), **shared)


def stepwise(index: CellIndex, series: str, epoch: int) -> Linear:
    """Return what is memorized after pruning at once, or in steps: there the columns are one training (Table
    1)."""
    cell = index.cell("table1", series, required(index.rows("table1", series), f"{series} in table1")[0], epoch)
    lineage = cell if series == "1-shot" else ("steps",)
    own = ("structure", series, epoch)
    return measured(cell, "memorization", cell, "dense", structure=own, decile=lineage, weights=own)


def decile(epoch: int, schedule: int) -> int:
    """Return the tenth of the schedule in which ``epoch`` lies; it ends with its last epoch."""
    return max(1, math.ceil(epoch * TENTHS / schedule))
