"""Fig. 3: Hamming distance between the structures that two epochs of the dense training give."""

from __future__ import annotations

from collections.abc import Sequence

from repro import published
from repro.artifacts.base import Artifact, Results
from repro.compare import Cell, cell
from repro.experiments import Study
from repro.run import Run


def runs(study: Study, seeds: Sequence[int]) -> list[Run]:
    """A Run without epochs for every pair x <= y: it observes how far apart the two masks are."""
    return [run for x, y in pairs(study) for run in _pair(study, seeds, x, y)]


def cells(study: Study, results: Results, seeds: Sequence[int]) -> list[Cell]:
    """The upper triangle, x in rows and y in columns."""
    arch = study.settings.profile.fig3.arch
    table = published.lookup("fig3") if arch == "resnet20" else {}
    found = []
    for x, y in pairs(study):
        records = results.done(_pair(study, seeds, x, y))
        place = ("hamming", study.published_epoch(x, arch) or "", study.published_epoch(y, arch) or "")
        found.append(
            cell(
                "hamming",
                str(x),
                str(y),
                [record.start["mask_distance"] for record in records],
                published=table.get(place),
                # The declared noise, until three seeds measure it.
                replicate_sd=study.settings.replicate_sd.get("hamming") if len(records) < 3 else None,
                comparable=study.comparable_for(arch),
            )
        )
    return found


def pairs(study: Study) -> list[tuple[int, int]]:
    """Epochs (x, y) with x <= y."""
    epochs = sorted(study.settings.profile.fig3.s)
    return [(x, y) for i, x in enumerate(epochs) for y in epochs[i:]]


def _pair(study: Study, seeds: Sequence[int], x: int, y: int) -> list[Run]:
    return [study.structure(study.settings.profile.fig3.arch, seed, x, y) for seed in seeds]


ARTIFACT = Artifact(
    name="fig3",
    title="Hamming distance between the structures of two epochs",
    runs=runs,
    cells=cells,
    assumptions=("prunable", "shortcut", "batch_size", "augmentation", "initialisation", "weight_decay"),
    unit="share of prunable weights on which two masks differ",
    digits=4,
)
