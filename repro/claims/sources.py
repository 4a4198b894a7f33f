"""The paper's cells as linears of one cell each, with what carries their noise (see noise.py)."""

from __future__ import annotations

import math

from repro.claims.forms import Linear, Quantity
from repro.claims.noise import Unit
from repro.claims.tables import PAPER_EPOCHS, Absent, Cell, Grid
from repro.config.params import IMAGENET_ARCHS

DENSE = "dense_early"  # dense accuracy while the rate is still at its first value
LARGE_RATE = 0.1  # section 3.3: "the large retraining learning rate (= 0.1)"
TENTHS = 10


def exact(cell: Cell) -> Linear:
    """A number without noise: counted, or stated in the text."""
    return Linear({Quantity((cell,)): 1.0})


def stated(grid: Grid, *key: str) -> Linear:
    """What the paper's text states."""
    return exact(need(grid, "text", *key))


def need(grid: Grid, *cell: str) -> Cell:
    """The cell, if the grid has it; raises `Absent`."""
    artifact, series, row, col = cell
    if artifact not in grid.keys:
        raise Absent(f"there is no {artifact}")
    if not grid.has(*cell):
        raise Absent(f"{artifact} has no cell {series}, {row}, {col}")
    return artifact, series, row, col


def ticket(grid: Grid, v: int, s: int) -> Linear:
    """Fig. 1: the ticket with structure from epoch ``s`` and weights from epoch ``v``."""
    arch = grid.setting.arch if grid.setting else "resnet20"
    return _ticket(need(grid, "fig1", "tickets", str(v), str(s)), arch, v, s, PAPER_EPOCHS)


def one_shot(grid: Grid, artifact: str, arch: str, s: int, schedule: int = PAPER_EPOCHS) -> Linear:
    """Tables 2 and 3: one-shot pruning at ``s`` is the ticket (s, s)."""
    return _ticket(need(grid, artifact, "one-shot", arch, str(s)), arch, s, s, schedule)


def _ticket(cell: Cell, arch: str, v: int, s: int, schedule: int) -> Linear:
    unit = Unit(
        kind=arch,
        own=("ticket", arch, v, s),
        structure=("structure", arch, s),
        era=("era", arch, era(s, schedule)),
        weights=("weights", arch, v),
        parent=("children", arch),
    )
    return Linear({Quantity((cell,)): 1.0}, {unit: 1.0})


def gradual(grid: Grid, artifact: str, arch: str, window: str) -> Linear:
    """Tables 2 and 3: gradual pruning over ``window``, then retraining."""
    return _child(need(grid, artifact, "gradual", arch, window), arch, ("gradual", arch, window))


def iterative_delta(grid: Grid, arch: str) -> Linear:
    """Table 4, IP + WT: the accuracy of iterative pruning less the dense network's."""
    return _delta(grid, "IP + WT", arch)


def gradual_delta(grid: Grid, arch: str) -> Linear:
    """Table 4, GP + EWT: the accuracy of gradual pruning less the dense network's. Of our own Runs always the
    window that the paper chose (Table 2, 100-150; Table 3, 40-70): the best of several windows would look better
    by chance."""
    table, window = _chosen(arch)
    if grid.printed or not grid.has(table, "gradual", arch, window):
        return _delta(grid, "GP + EWT", arch)
    return gradual(grid, table, arch, window) - dense(grid, arch)


def _chosen(arch: str) -> tuple[str, str]:
    """The table and the window that Table 4 takes its gradual pruning from."""
    return ("table3", "40-70") if arch in IMAGENET_ARCHS else ("table2", "100-150")


def _delta(grid: Grid, series: str, arch: str) -> Linear:
    cell = need(grid, "table4", series, arch, "accuracy delta")
    own = ("gradual", arch, _chosen(arch)[1]) if series == "GP + EWT" else ("iterative", arch)
    child = _child(cell, arch, own)
    return Linear(child.terms, {**child.units, _dense_unit(arch, PAPER_EPOCHS, arch): -1.0})


def _child(cell: Cell, arch: str, own: tuple[str, ...]) -> Linear:
    unit = Unit(arch, own=own, structure=own, era=own, weights=own, parent=("children", arch))
    return Linear({Quantity((cell,)): 1.0}, {unit: 1.0})


def dense(grid: Grid, arch: str) -> Linear:
    """The dense network's accuracy at the end of its schedule (the text's "baseline")."""
    if not grid.has("text", "accuracy", arch, "baseline"):
        raise Absent(f"there is no dense {arch}")
    cell = need(grid, "text", "accuracy", arch, "baseline")
    return Linear({Quantity((cell,)): 1.0}, {_dense_unit(arch, PAPER_EPOCHS, arch): 1.0})


def dense_at(grid: Grid, cell: Cell, arch: str) -> Linear:
    """The dense network's accuracy on the way (Fig. 1's and Fig. 4's "baseline"), its column the epoch. Before
    the first fall of the rate it moves by points, so that noise is declared apart."""
    epoch = int(cell[3])
    unit = _dense_unit(DENSE if epoch < grid.fall else arch, epoch, arch)
    return Linear({Quantity((cell,)): 1.0}, {unit: 1.0})


def _dense_unit(kind: str, epoch: int, arch: str) -> Unit:
    own, shared = ("dense", arch, epoch), ("dense", arch, era(epoch, PAPER_EPOCHS))
    return Unit(kind, own=own, structure=own, era=shared, weights=own, parent=("dense", arch))


def ppr(grid: Grid, artifact: str, series: str, arch: str, epoch: int, schedule: int) -> Linear:
    """Figs. 4 and 6: PPR accuracy at ``epoch``. At the large rate it scatters far more than at the small one, so
    their noise is declared apart."""
    cell = need(grid, artifact, series, arch, str(epoch))
    structure = ("structure", arch, epoch)
    unit = Unit(
        kind="ppr" if float(series.removeprefix("ppr ")) >= LARGE_RATE else "ppr_small",
        own=cell,
        structure=structure,
        era=("era", arch, era(epoch, schedule)),
        weights=structure,
        parent=("children", arch),
    )
    return Linear({Quantity((cell,)): 1.0}, {unit: 1.0})


def distance(grid: Grid, x: int, y: int) -> Linear:
    """Fig. 3: the distance between the structures of epochs ``x`` and ``y``."""
    cell = need(grid, "fig3", "hamming", str(x), str(y))
    return Linear({Quantity((cell,)): 1.0}, {Unit("hamming", cell, cell, cell, cell, "dense"): 1.0})


def capacity(grid: Grid, s: int, size: int) -> Linear:
    """Fig. 5: what the structure of epoch ``s`` memorizes of ``size`` random labels, which the rows share."""
    cell = need(grid, "fig5", "memorization", str(s), str(size))
    unit = Unit(
        kind="memorization",
        own=cell,
        structure=("structure", s),
        era=("era", era(s, PAPER_EPOCHS)),
        weights=("labels", size),
        parent="dense",
    )
    return Linear({Quantity((cell,)): 1.0}, {unit: 1.0})


def stepwise(grid: Grid, series: str, epoch: int) -> Linear:
    """Table 1: what is memorized after pruning at once, or in steps: there the columns are one training."""
    rows = grid.rows("table1", series)
    if not rows:
        raise Absent(f"table1 has no {series}")
    cell = need(grid, "table1", series, rows[0], str(epoch))
    lineage = ("steps",) if series != "1-shot" else cell
    own = ("structure", series, epoch)
    unit = Unit("memorization", own=cell, structure=own, era=lineage, weights=own, parent="dense")
    return Linear({Quantity((cell,)): 1.0}, {unit: 1.0})


def era(epoch: int, schedule: int) -> int:
    """The tenth of the schedule in which ``epoch`` lies; it ends with its last epoch."""
    return max(1, math.ceil(epoch * TENTHS / schedule))
