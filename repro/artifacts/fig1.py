"""Fig. 1: accuracy of tickets whose structure comes from epoch s (columns) and whose weights from v (rows)."""

from __future__ import annotations

from collections.abc import Sequence

from repro import published
from repro.artifacts.base import CIFAR10, Artifact, Results, accuracy_cell
from repro.artifacts.drawing import Heat
from repro.cells import Cell, cell
from repro.experiments import Study
from repro.run import Run


def runs(study: Study, seeds: Sequence[int]) -> list[Run]:
    """Return the dense network and a ticket for every (s, v)."""
    grid = study.settings.profile.fig1
    tickets = [study.ticket(grid.arch, seed, s, v) for seed in seeds for v in grid.v for s in grid.s]
    return [*(study.dense(grid.arch, seed) for seed in seeds), *tickets]


def cells(study: Study, results: Results, seeds: Sequence[int]) -> list[Cell]:
    """Return the baseline row (the dense network's accuracy at epoch s), then the grid row by row."""
    grid, settings = study.settings.profile.fig1, study.settings
    # The paper's grid is ResNet20's: another network has nothing to stand beside.
    table = published.lookup("fig1") if grid.arch == "resnet20" else {}
    paper = {epoch: study.published_epoch(epoch, grid.arch) or "" for epoch in (*grid.s, *grid.v)}
    dense, found = [study.dense(grid.arch, seed) for seed in seeds], []
    for s in grid.s:
        # At a rate of 0.1 the dense accuracy moves by points from epoch to epoch: no replicate noise is known.
        late = s >= max(settings.profile.recipe.milestones, default=0)
        found.append(
            cell("baseline", "baseline", str(s), results.top1(dense, s),
                 published=table.get(("baseline", "baseline", paper[s])),
                 comparable=study.comparable_for(grid.arch),
                 replicate_sd=settings.replicate_sd.get(grid.arch) if late else None)
        )  # fmt: skip
    for v in grid.v:
        for s in grid.s:
            tickets = [study.ticket(grid.arch, seed, s, v) for seed in seeds]
            printed = table.get(("tickets", paper[v], paper[s]))
            found.append(accuracy_cell(study, results, tickets, ("tickets", str(v), str(s)), printed))
    return found


ARTIFACT = Artifact(
    name="fig1",
    title="Extended lottery ticket experiments: structure from epoch s, weights from epoch v",
    runs=runs,
    cells=cells,
    assumptions=("ticket", *CIFAR10, "result"),
    axes=("v", "s"),
    rows="weights from epoch v",
    columns="structure from epoch s",
    epochs=("row", "column"),
    drawing=Heat(apart="baseline", apart_name="dense\nbaseline", relative=True),
)
