"""How far apart seeds are, by kind of number: for `replicate_sd` in params.yaml where nobody published it.

    python benchmarks/replicates.py --profile pilot

Reads finished Runs only. A kind's value is the root mean square, over cells, of the standard deviation over seeds.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from repro.artifacts import IMPLEMENTED, fig2
from repro.cells import Cell
from repro.options import Options
from repro.record import Record
from repro.workspace import Workspace

LEAST = 2  # seeds: one cell's tell next to nothing, many cells' together do


def pooled(cells: Iterable[Cell]) -> tuple[float | None, int]:
    """Root mean square of the cells' standard deviations, and how many cells have one over enough seeds."""
    found = [cell.sd for cell in cells if cell.sd is not None and cell.n >= LEAST]
    return (math.sqrt(statistics.fmean(sd**2 for sd in found)) if found else None), len(found)


def log_changes(records: Sequence[Record], first: int) -> list[Cell]:
    """A cell a layer: sd over seeds of log W_std(last epoch) / W_std(first fall of the rate)."""
    found = []
    for layer in records[0].probe["w_std"] if len(records) >= LEAST else ():
        starts = [r.probe["w_std"][layer][r.probe["epoch"].index(first)] for r in records]
        ends = [r.probe["w_std"][layer][-1] for r in records]
        changes = [math.log(end / start) for end, start in zip(ends, starts, strict=True)]
        sd, n = statistics.stdev(changes), len(changes)
        found.append(Cell("log change", layer, "", None, statistics.fmean(changes), n, sd, None, None, ""))
    return found


def main() -> None:
    """Print a line a kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", default="pilot")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--runs-dir", type=Path)
    given = parser.parse_args()
    work = Workspace(Options(profile=given.profile, out=given.out, runs_dir=given.runs_dir))
    recipe = work.settings.profile.recipe
    fall = min(recipe.milestones, default=recipe.epochs)
    cells = {name: work.cells(artifact)[0] for name, artifact in IMPLEMENTED.items()}
    dense = work.results().done(fig2.runs(work.study, work.seeds_of(fig2.ARTIFACT)))
    kinds = {
        "ppr": [c for c in cells["fig4"] if c.series == "ppr 0.1"],
        "ppr_small": [c for c in cells["fig4"] if c.series == "ppr 0.01"],
        "dense_early": [c for c in cells["fig4"] if c.series == "baseline" and int(c.col) < fall],
        "dense, after the fall": [c for c in cells["fig4"] if c.series == "baseline" and int(c.col) >= fall],
        "memorization": cells["fig5"],
        "hamming": [c for c in cells["fig3"] if c.row != c.col],
        "log_w_std": log_changes(dense, fall),
        "layer_rate": [c for c in cells["fig2"] if c.series == "layer pruning rate"],
    }
    for kind, group in kinds.items():
        value, count = pooled(group)
        print(f"{kind:24s}" + ("no two seeds" if value is None else f"{value:.3g}   ({count} cells)"))


if __name__ == "__main__":
    main()
