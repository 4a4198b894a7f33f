"""Tables 2 and 3: one-shot and gradual pruning at 80 %, then retraining (section 4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from repro.artifacts.base import CIFAR10, IMAGENET, Artifact, Entry
from repro.artifacts.drawing import Dots
from repro.config.fields import Check
from repro.config.recipe import IMAGENET_ARCHS, CifarArch, Epochs, ImageNetArch
from repro.experiments import Study

Window = Annotated[tuple[int, int], Check(lambda w: 0 <= w[0] < w[1], "is no window: the first epoch is smaller")]


@dataclass(frozen=True)
class PruningRow:
    """One network: epochs of one-shot pruning, and (first, last) epochs of gradual windows."""

    one_shot: Epochs
    windows: tuple[Window, ...]


NETWORKS = {"table2": dict[CifarArch, PruningRow], "table3": dict[ImageNetArch, PruningRow]}


def windows_of(study: Study, arch: str) -> Sequence[tuple[int, int]]:
    """Return the gradual windows of a network; none where the profile does not have it."""
    name = "table3" if arch in IMAGENET_ARCHS else "table2"
    rows = study.block(name, NETWORKS[name])
    return rows[arch].windows if arch in rows else ()


def _artifact(name: str, place: str, title: str, assumptions: tuple[str, ...]) -> Artifact:
    """Return the artifact whose networks, epochs and windows are under ``name`` in the profile."""

    def table(study: Study, seeds: Sequence[int]) -> Iterator[Entry]:
        """Yield the series ``one-shot`` and ``gradual``, row = network, col = epoch or window.

        One-shot at s is the ticket (s, s): on ResNet20 Fig. 1's diagonal, trained once for both.
        """
        rows = study.block(name, NETWORKS[name])
        for arch, row in rows.items():
            for s in row.one_shot:
                runs = [study.ticket(arch, seed, s, s) for seed in seeds]
                yield Entry("one-shot", arch, str(s), runs)
        for arch, row in rows.items():
            for first, last in row.windows:
                runs = [study.gradual(arch, seed, first, last) for seed in seeds]
                yield Entry("gradual", arch, f"{first}-{last}", runs)

    return Artifact(
        name=name,
        title=title,
        place=place,
        table=table,
        settings=NETWORKS[name],
        assumptions=("ticket", "gradual_steps", "gradual_momentum", *assumptions, "result"),
        axes=("network", "pruned at"),
        columns="pruned at epoch",
        epochs=("column",),
        drawing=Dots(series={"gradual": "pruned over epochs"}),
    )


TABLE2 = _artifact(
    "table2",
    "Table 2, Section 4.1",
    "One-shot and gradual pruning for ResNet20 and ResNet56 on CIFAR-10",
    CIFAR10,
)
TABLE3 = _artifact(
    "table3",
    "Table 3, Section 4.2",
    "One-shot and gradual pruning for ResNet18 and ResNet50 on ImageNet",
    IMAGENET,
)
