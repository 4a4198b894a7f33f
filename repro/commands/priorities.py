"""Divide the missing Runs into parts, in the order of what they decide, and find which claims each part completes.

Pure, except for reading the store: no torch, nothing is trained.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Sequence

from repro.artifacts import IMPLEMENTED, PAPER, Results
from repro.artifacts.fig1 import Grid
from repro.claims.decide import wanted
from repro.claims.tables import SeedTable, made_anew, tables_of
from repro.experiments import Study
from repro.record import DONE, Record
from repro.run import Photos, Run, ancestors
from repro.store import Store
from repro.workspace import Workspace

# Columns of Fig. 1 that most claims about tickets rest on: too early, the first that wins, the conventional one.
COLUMNS = ("100", "20", "200")
DIAGONAL = ("200", "100", "20", "120", "60", "160", "80", "140", "180", "40", "10")
"""Order within the diagonal, by the paper's epochs: Table 2's cells first, starting with the contrasts."""


UNDER_WAY = "under way"
DENSE, DISTANCES = "dense networks", "distances between structures"
EVERY_SEED = (DENSE, DISTANCES)
IMAGENET = "ImageNet, given its images"
FURTHER = ", further seeds"
LAST = "where a checkpoint is not here"


def parts(work: Workspace, *, anywhere: bool = False) -> dict[str, list[Run]]:
    """Return the missing Runs of ``work``'s artifacts, including ancestors, by the name of the part that each is
    in: parts that are trained together, and within a part Runs, the most urgent first.

    The order of parts: unfinished Runs; then, for the network of Fig. 1 and all seeds, dense networks, since
    everything starts from them, and distances, which cost almost nothing. Then, for the profile's own seeds before
    further ones: PPR curves, while the 200 checkpoints that they start from exist; tickets on the diagonal of Fig.
    1, which Table 2 shares; gradual pruning; the columns that claims rest on; the rest; other networks; ImageNet.
    Runs that start from a missing checkpoint, so that a dense network must be trained again, come last, unless
    ``anywhere`` assumes that all checkpoints exist and no Run has begun.
    """
    store, study = work.store, work.study
    found: dict[str, list[Run]] = {}
    kinds = _kinds(study, study.block("fig1", Grid).arch)
    for run in ancestors(work.asked()):
        if store.record(run) or run.data.name in work.options.without:
            continue
        if not anywhere and store.newest_state(run):
            name = UNDER_WAY
        elif not anywhere and any(
            store.record(p.run) and not store.checkpoint(p.run, p.epoch) for p in run.parents
        ):
            name = LAST
        else:
            name = next(kind for kind, belongs in kinds.items() if belongs(run))
            if name not in EVERY_SEED and run.seed >= study.settings.profile.seeds:
                name += FURTHER
        found.setdefault(name, []).append(run)
    order = [UNDER_WAY, *kinds, *(name + FURTHER for name in kinds), LAST]
    found = {name: found[name] for name in order if name in found}
    return {name: sorted(runs, key=lambda run: (run.seed, *_urgency(study, run))) for name, runs in found.items()}


def decided(
    work: Workspace,
    ordered: Iterable[Sequence[Run]],
    now: Sequence[SeedTable] | None = None,
    among: Collection[str] | None = None,
) -> list[list[str]]:
    """Return for each of the parts ``ordered`` the ids of the claims whose cells it completes after those before.

    Their verdicts are not known. ``now``: the tables of all seeds, if they exist already; ``among``: only these
    claims.
    """
    records, study = {record.key: record for record in work.store.records()}, work.study
    seeds = work.all_seeds
    stages = [list(now or tables_of(study, Results(records), seeds))]
    keys = [
        {name: {run.key for run in work.runs_of_cells(IMPLEMENTED[name], [seed])} for name in PAPER}
        for seed in seeds
    ]
    for part in ordered:
        records |= {run.key: imagined(run, work.store) for run in part}
        results, trained = Results(records), {run.key for run in part}
        stages.append(
            [  # Fig. 2 alone has 13,000 cells, so only artifacts that this part affects are computed again
                made_anew(tables, study, results, [name for name in PAPER if own[name] & trained])
                for tables, own in zip(stages[-1], keys, strict=True)
            ]
        )
    cells = wanted(stages[-1], among)
    complete = [
        {name for name in cells if any(all(t.cells.get(c) is not None for c in cells[name]) for t in tables)}
        for tables in stages
    ]
    return [[n for n in cells if n in now - before] for before, now in itertools.pairwise(complete)]


def imagined(run: Run, store: Store) -> Record:
    """Make a Record that has a value wherever that of a finished ``run`` has one; the values mean nothing."""
    epochs = list(range(run.first_epoch + 1, run.last_epoch + 1))
    tested = [epoch for epoch in epochs if run.evaluates_after(epoch)]
    curve = {
        "epoch": [float(epoch) for epoch in epochs],
        "train_loss": [1.0] * len(epochs),
        "train_top1": [50.0] * len(epochs),
        "test_epoch": [float(epoch) for epoch in tested],
        "test_top1": [50.0] * len(tested),
    }
    probe: dict[str, object] = {}
    if run.probe is not None:
        other = next((r for r in store.records() if r.probe and r.spec["arch"] == run.arch), None)
        unnamed = [f"conv{number}" for number in range(1, int(run.arch.removeprefix("resnet")))]
        values = dict.fromkeys(other.probe["w_std"] if other else unnamed, [0.5] * (len(epochs) + 1))
        probe = dict.fromkeys(("w_std", "w_mean", "layer_rates"), values)
        probe["epoch"] = [run.first_epoch, *epochs]
    start = {"mask_distance": 0.5, "sparsity": 0.5, "layer_rates": {}} if run.mask else {}
    return Record.ended(run, DONE, curve, start=start, probe=probe)


def _kinds(study: Study, arch: str) -> dict[str, Callable[[Run], bool]]:
    """Return predicates by name, in the order of urgency; a Run belongs to the first that is true."""

    def of(family: str) -> Callable[[Run], bool]:
        return lambda run: run.experiment == f"{family}-{arch}"

    def diagonal(run: Run) -> bool:
        return of("tickets")(run) and _ticket(run)[0] == _ticket(run)[1]

    def column(run: Run) -> bool:
        return of("tickets")(run) and study.published_epochs(_ticket(run)[0], arch) in COLUMNS

    return {
        DENSE: lambda run: of("dense")(run) and run.weights is None,
        DISTANCES: of("structures"),
        "PPR curves": of("ppr"),
        "tickets, diagonal of Fig. 1": diagonal,
        "gradual pruning": lambda run: of("gradual")(run) and run.recipe.epochs == study.schedule_of(arch),
        f"tickets, columns {', '.join(sorted(COLUMNS, key=int))}": column,
        "probe of batch sizes": of("batch-probe"),
        "other tickets": of("tickets"),
        f"the rest of {arch}": lambda run: run.arch == arch,
        "other networks": lambda run: not isinstance(run.data, Photos),
        IMAGENET: lambda run: True,
    }


def _ticket(run: Run) -> tuple[int, int]:
    """Return a ticket's (s, v)."""
    assert run.mask and run.weights
    return run.mask.of.epoch, run.weights.epoch


def _urgency(study: Study, run: Run) -> tuple[float, ...]:
    """Sort key within a part and seed: tickets by the epoch of their structure; PPR by rate, then coarse grids of
    epochs before fine ones, so that half the Runs already give a curve."""
    if run.experiment.startswith("tickets"):
        s, v = (study.published_epochs(epoch, run.arch) or "" for epoch in _ticket(run))
        order = DIAGONAL if s == v else COLUMNS
        return (order.index(s) if s in order else len(order), _ticket(run)[1])
    if run.experiment.startswith("ppr") and run.weights:
        epoch = run.weights.epoch
        return (run.recipe.lr, 0 if epoch % 10 == 0 else 1 if epoch % 5 == 0 else 2, epoch)
    return ()
