"""Other ways to run artifacts on ImageNet, and what each would cost: cost before commitment. Pure: no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repro.config.profile import Profile
from repro.config.recipe import IMAGENET_ARCHS
from repro.experiments import PAPER_EPOCHS
from repro.plan import Cost, cost, disk_bytes
from repro.workspace import Workspace

CHOSEN = (40, 70)  # the window that the paper's Table 4 takes


@dataclass(frozen=True)
class Alternative:
    """``what`` it is, the command line's ``options`` for it, its cost, and the bytes of its checkpoints."""

    what: str
    options: tuple[str, ...]
    cost: Cost
    disk: int


def alternatives(work: Workspace) -> list[Alternative]:
    """The plan as asked for, then what could be asked for instead; empty where nothing of ImageNet is left."""
    archs = list(dict.fromkeys(run.arch for run in work.plan().missing))
    if not set(archs) & set(IMAGENET_ARCHS):
        return []
    found = [_priced("as asked", (), work)]
    if len(archs) > 1:
        found += [_priced(f"--arch {arch}", ("--arch", arch), work.with_settings(arch=arch)) for arch in archs]
    for what, changes in _smaller(work.settings.profile, [arch for arch in archs if arch in IMAGENET_ARCHS]):
        options = [word for key, value in changes.items() for word in ("--set", f"{key}={_yaml(value)}")]
        other = _priced(what, tuple(options), work.with_settings(changes))
        if other.cost != found[0].cost:
            found.append(other)
    if any(artifact.optional for artifact in work.artifacts) and not work.options.with_iterative:
        more = work.with_settings(with_iterative=True)
        found.append(_priced("--with-iterative", ("--with-iterative",), more))
    return found


def halved(profile: Profile) -> dict[str, Any]:
    """The changes that halve ImageNet's schedule, with every epoch that is asked for on it."""
    recipe = profile.imagenet.recipe
    milestones = [milestone // 2 for milestone in recipe.milestones if milestone > 1]
    changes: dict[str, Any] = {
        "imagenet.recipe.epochs": recipe.epochs // 2,
        "imagenet.recipe.milestones": sorted(set(milestones)),
    }
    for arch, row in profile.table3.items():
        windows = [(first // 2, last // 2) for first, last in row.windows]
        changes[f"table3.{arch}"] = {
            "one_shot": sorted({epoch // 2 for epoch in row.one_shot}),
            "windows": [list(window) for window in dict.fromkeys(windows) if window[0] < window[1]],
        }
    return changes


def _smaller(profile: Profile, archs: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(what it is, its changes to the profile)."""
    windows: Mapping[str, Sequence[tuple[int, int]]] = {
        arch: profile.table3[arch].windows for arch in archs if arch in profile.table3
    }
    if any(windows.values()):
        epochs = profile.imagenet.recipe.epochs
        nearest = {arch: list(_nearest(found, epochs)) for arch, found in windows.items() if found}
        rows = {f"table3.{arch}": {"one_shot": [], "windows": [window]} for arch, window in nearest.items()}
        yield "one window only", rows
    if profile.imagenet.recipe.epochs // 2 >= max(1, profile.table4.rewind):
        yield "half the schedule", halved(profile)


def _nearest(windows: Sequence[tuple[int, int]], epochs: int) -> tuple[int, int]:
    """The window nearest to the one that the paper chose."""
    first, last = (epoch * epochs / PAPER_EPOCHS["imagenet"] for epoch in CHOSEN)
    return min(windows, key=lambda window: abs(window[0] - first) + abs(window[1] - last))


def _priced(what: str, options: tuple[str, ...], work: Workspace) -> Alternative:
    plan = work.plan()
    return Alternative(what, options, cost(plan.missing, work.store), disk_bytes(plan.missing, plan.keep))


def _yaml(value: Any) -> str:
    """A value as YAML in one line."""
    return json.dumps(value).replace('"', "")
