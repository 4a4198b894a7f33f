"""The paper's cells as linears of one cell each, with what carries their noise (see noise.py)."""

from __future__ import annotations

import math

from repro.claims.expressions import Linear, Quantity
from repro.claims.noise import NoiseSource
from repro.claims.tables import PAPER_EPOCHS, Cell, CellIndex, MissingCells
from repro.config.recipe import IMAGENET_ARCHS

DENSE = "dense_early"  # dense accuracy while the rate is still at its first value
LARGE_RATE = 0.1  # section 3.3: "the large retraining learning rate (= 0.1)"
TENTHS = 10


def exact(cell: Cell) -> Linear:
    """Return a number without noise: counted, or stated in the text."""
    return Linear({Quantity((cell,)): 1.0})


def stated(index: CellIndex, *key: str) -> Linear:
    """Return a number that the paper's text states."""
    return exact(require_cell(index, "text", *key))


def require_cell(index: CellIndex, *cell: str) -> Cell:
    """Return the cell. Raises `MissingCells` if it is not in the index."""
    artifact, series, row, col = cell
    if artifact not in index.keys:
        raise MissingCells(f"there is no {artifact}")
    if not index.has(*cell):
        raise MissingCells(f"{artifact} has no cell {series}, {row}, {col}")
    return artifact, series, row, col


def ticket(index: CellIndex, v: int, s: int) -> Linear:
    """Return Fig. 1's ticket with structure from epoch ``s`` and weights from epoch ``v``."""
    arch = index.setting.arch if index.setting else "resnet20"
    return _ticket(require_cell(index, "fig1", "tickets", str(v), str(s)), arch, v, s, PAPER_EPOCHS)


def one_shot(index: CellIndex, artifact: str, arch: str, s: int, schedule: int = PAPER_EPOCHS) -> Linear:
    """Return one-shot pruning at ``s`` (Tables 2 and 3): it is the ticket (s, s)."""
    return _ticket(require_cell(index, artifact, "one-shot", arch, str(s)), arch, s, s, schedule)


def _ticket(cell: Cell, arch: str, v: int, s: int, schedule: int) -> Linear:
    unit = NoiseSource(
        kind=arch,
        own=("ticket", arch, v, s),
        structure=("structure", arch, s),
        decile=("decile", arch, decile(s, schedule)),
        weights=("weights", arch, v),
        parent=("children", arch),
    )
    return Linear({Quantity((cell,)): 1.0}, {unit: 1.0})


def gradual(index: CellIndex, artifact: str, arch: str, window: str) -> Linear:
    """Return gradual pruning over ``window`` and retraining (Tables 2 and 3)."""
    return _child(require_cell(index, artifact, "gradual", arch, window), arch, ("gradual", arch, window))


def iterative_delta(index: CellIndex, arch: str) -> Linear:
    """Return the accuracy of iterative pruning less the dense network's (Table 4, IP + WT)."""
    return _delta(index, "IP + WT", arch)


def gradual_delta(index: CellIndex, arch: str) -> Linear:
    """Return the accuracy of gradual pruning less the dense network's (Table 4, GP + EWT).

    Our own Runs use the window that the paper chose (Table 2, 100-150; Table 3, 40-70): the best of several
    windows would look better by chance.
    """
    table, window = _chosen(arch)
    if index.printed or not index.has(table, "gradual", arch, window):
        return _delta(index, "GP + EWT", arch)
    return gradual(index, table, arch, window) - dense(index, arch)


def _chosen(arch: str) -> tuple[str, str]:
    """Return the table and the window from which Table 4 takes its gradual pruning."""
    return ("table3", "40-70") if arch in IMAGENET_ARCHS else ("table2", "100-150")


def _delta(index: CellIndex, series: str, arch: str) -> Linear:
    cell = require_cell(index, "table4", series, arch, "accuracy delta")
    own = ("gradual", arch, _chosen(arch)[1]) if series == "GP + EWT" else ("iterative", arch)
    child = _child(cell, arch, own)
    return Linear(child.terms, {**child.units, _dense_unit(arch, PAPER_EPOCHS, arch): -1.0})


def _child(cell: Cell, arch: str, own: tuple[str, ...]) -> Linear:
    unit = NoiseSource(arch, own=own, structure=own, decile=own, weights=own, parent=("children", arch))
    return Linear({Quantity((cell,)): 1.0}, {unit: 1.0})


def dense(index: CellIndex, arch: str) -> Linear:
    """Return the dense network's accuracy at the end of its schedule (the text's "baseline")."""
    if not index.has("text", "accuracy", arch, "baseline"):
        raise MissingCells(f"there is no dense {arch}")
    cell = require_cell(index, "text", "accuracy", arch, "baseline")
    return Linear({Quantity((cell,)): 1.0}, {_dense_unit(arch, PAPER_EPOCHS, arch): 1.0})


def dense_at(index: CellIndex, cell: Cell, arch: str) -> Linear:
    """Return the dense network's accuracy at the epoch of a column (Fig. 1's and Fig. 4's "baseline").

    Before the first fall of the rate it moves by points, so that noise is declared separately.
    """
    epoch = int(cell[3])
    unit = _dense_unit(DENSE if epoch < index.fall else arch, epoch, arch)
    return Linear({Quantity((cell,)): 1.0}, {unit: 1.0})


def _dense_unit(kind: str, epoch: int, arch: str) -> NoiseSource:
    own, shared = ("dense", arch, epoch), ("dense", arch, decile(epoch, PAPER_EPOCHS))
    return NoiseSource(kind, own=own, structure=own, decile=shared, weights=own, parent=("dense", arch))


def ppr(index: CellIndex, artifact: str, series: str, arch: str, epoch: int, schedule: int) -> Linear:
    """Return the PPR accuracy at ``epoch`` (Figs. 4 and 6).

    It scatters far more at the large rate than at the small one, so their noise is declared separately.
    """
    cell = require_cell(index, artifact, series, arch, str(epoch))
    structure = ("structure", arch, epoch)
    unit = NoiseSource(
        kind="ppr" if float(series.removeprefix("ppr ")) >= LARGE_RATE else "ppr_small",
        own=cell,
        structure=structure,
        decile=("decile", arch, decile(epoch, schedule)),
        weights=structure,
        parent=("children", arch),
    )
    return Linear({Quantity((cell,)): 1.0}, {unit: 1.0})


def distance(index: CellIndex, x: int, y: int) -> Linear:
    """Return the distance between the structures of epochs ``x`` and ``y`` (Fig. 3)."""
    cell = require_cell(index, "fig3", "hamming", str(x), str(y))
    return Linear({Quantity((cell,)): 1.0}, {NoiseSource("hamming", cell, cell, cell, cell, "dense"): 1.0})


def capacity(index: CellIndex, s: int, size: int) -> Linear:
    """Return what the structure of epoch ``s`` memorizes of ``size`` random labels, which the rows share (Fig.
    5)."""
    cell = require_cell(index, "fig5", "memorization", str(s), str(size))
    unit = NoiseSource(
        kind="memorization",
        own=cell,
        structure=("structure", s),
        decile=("decile", decile(s, PAPER_EPOCHS)),
        weights=("labels", size),
        parent="dense",
    )
    return Linear({Quantity((cell,)): 1.0}, {unit: 1.0})


def stepwise(index: CellIndex, series: str, epoch: int) -> Linear:
    """Return what is memorized after pruning at once, or in steps: there the columns are one training (Table
    1)."""
    rows = index.rows("table1", series)
    if not rows:
        raise MissingCells(f"table1 has no {series}")
    cell = require_cell(index, "table1", series, rows[0], str(epoch))
    lineage = ("steps",) if series != "1-shot" else cell
    own = ("structure", series, epoch)
    unit = NoiseSource("memorization", own=cell, structure=own, decile=lineage, weights=own, parent="dense")
    return Linear({Quantity((cell,)): 1.0}, {unit: 1.0})


def decile(epoch: int, schedule: int) -> int:
    """Return the tenth of the schedule in which ``epoch`` lies; it ends with its last epoch."""
    return max(1, math.ceil(epoch * TENTHS / schedule))
