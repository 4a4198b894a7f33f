"""Where a command works: params, data, store and results, from the options that all commands share.

Imports no torch until something has to be trained.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from repro import artifacts, data, files, places
from repro.artifacts import Artifact, Results
from repro.cells import Cell
from repro.config import params, recipe
from repro.errors import UsageError
from repro.experiments import Study
from repro.options import Options
from repro.plan import Plan, keeping_final, make_plan
from repro.record import Record
from repro.report import document
from repro.report.document import Document
from repro.run import Run, ancestors
from repro.store import Store

MOST_SEEDS = 64


class Workspace:
    """Settings, study and store for one command on ``names`` (artifacts; empty means all)."""

    def __init__(self, options: Options, names: Sequence[str] = ()) -> None:
        """Raises `UsageError` or `MissingInput` for options that do not fit."""
        self.options = options
        self.names = tuple(names)
        _ = options.deadline  # a duration that is none is refused before any work
        for name in options.without:
            if name not in (known := (*recipe.DATASETS, *recipe.PHOTO_SETS)):
                raise UsageError(f"$REPRO_WITHOUT: unknown data set '{name}'; there are {', '.join(known)}")
        self.root = places.find_root(options.params_file)
        self.artifacts = [artifacts.get(name) for name in names or artifacts.IMPLEMENTED]
        overrides = dict(params.parse_override(text) for text in options.overrides)
        if options.precision:
            overrides |= {"precision": options.precision, "precision_of": {}}
        self.params_file = places.params_file(options.params_file)
        plain = params.settings(self.params_file, options.profile)
        if options.arch:
            overrides |= _arch_overrides(plain, options.arch, names)
        self.settings = params.settings(self.params_file, options.profile, overrides)
        self._check_blocks()
        if options.seeds is not None and not 1 <= options.seeds <= MOST_SEEDS:
            raise UsageError(f"--seeds {options.seeds}: choose 1 to {MOST_SEEDS}")
        self.seeds = range(options.seeds or self.settings.profile.seeds)
        self.folders = data_folders(options.data_dir, self.root)
        self.study = self._study()
        results = options.out or self.root / "results"
        # The shipped ledger stands in the results folder itself: what is to ignore it needs another folder.
        anew = "+anew" if options.ignore_shipped and options.out is None and not overrides else ""
        self.out = results / (self.settings.name + _suffix(overrides) + anew)
        shipped = [results / self.settings.name, shipped_results(self.root) / self.settings.name]
        shipped_ledgers = [] if options.ignore_shipped else [folder / "runs.jsonl" for folder in shipped]
        runs_dir = options.runs_dir or self.root / "runs"
        self.store = Store(runs_dir, self.out / "runs.jsonl", shipped_ledgers)

    def _check_blocks(self) -> None:
        """Raise `UsageError` for a block in params.yaml that no artifact declares, or that is not as declared."""
        for name in self.settings.profile.artifacts:
            artifact = artifacts.IMPLEMENTED.get(name)
            if artifact is None or artifact.params is None:
                raise UsageError(
                    f"{self.params_file.name}: artifacts.{name}: no artifact of that name declares parameters (is "
                    "its file in $REPRO_ARTIFACTS?)"
                )
            self.settings.profile.block(name, artifact.params)

    def runs(self, artifact: Artifact, seeds: Sequence[int] | None = None, guess: bool = True) -> list[Run]:
        """The artifact's Runs for ``seeds`` (default: those asked for), of ``--arch`` alone where given.

        Those that only results can name are among them as far as these are known; with ``guess`` in any case,
        at the best guess.
        """
        seeds = self.seeds if seeds is None else seeds
        found = artifact.runs(self.study, seeds)
        if artifact.follow and (guess or all(self.store.record(run) for run in found)):
            found = [*found, *artifact.follow(self.study, self.results(), seeds)]
        if artifact.optional and self.options.with_iterative:
            found = [*found, *artifact.optional(self.study, seeds)]
        arch = self.options.arch
        return [run for run in found if arch is None or run.arch == arch]

    def results(self) -> Results:
        """All finished Runs."""
        return Results({record.key: record for record in self.store.records()})

    def asked(self) -> list[Run]:
        """The Runs that the artifacts of this command need, as far as results can name them by now, without those
        that are left out."""
        return [run for run in self._needed() if not self._leaves_out(run)]

    def left_out(self) -> list[Run]:
        """The Runs that ``$REPRO_WITHOUT`` keeps from being trained."""
        return [run for run in ancestors(self._needed()) if self._leaves_out(run)]

    def plan(self) -> Plan:
        """What is missing for the artifacts of this command, guesses included."""
        return self.plan_for([run for artifact in self.artifacts for run in self.runs(artifact)])

    def plan_for(self, asked: Sequence[Run]) -> Plan:
        """What is missing for the Runs ``asked``; checkpoints are kept for every artifact there is, and of the
        last epoch where ``--keep-final`` asks for it."""
        plan = make_plan(asked, self.store, self.every_run())
        return keeping_final(plan) if self.options.keep_final else plan

    def every_run(self) -> list[Run]:
        """The Runs of all artifacts that there are, guesses and options included."""
        every = artifacts.IMPLEMENTED.values()
        optional = [run for a in every if a.optional for run in a.optional(self.study, self.seeds)]
        return [*(run for artifact in every for run in self.runs(artifact)), *optional]

    def cells(self, artifact: Artifact) -> tuple[list[Cell], list[Record]]:
        """The artifact from what is finished, with every seed of it that there is, and the Records behind it."""
        seeds = self.seeds_of(artifact)
        needed = artifact.runs(self.study, seeds)
        if artifact.follow:
            needed += artifact.follow(self.study, self.results(), seeds)
        if artifact.optional:
            needed += artifact.optional(self.study, seeds)
        found = {run.key: record for run in needed if (record := self.store.record(run))}
        parents = [run for run in ancestors([run for run in needed if run.key in found]) if run.key not in found]
        grown_from = [record for run in parents if (record := self.store.record(run))]
        return artifact.cells(self.study, Results(found), seeds), [*found.values(), *grown_from]

    def render(self, artifact: Artifact, write: bool = True) -> Document:
        """The artifact's document, written to the results folder as well."""
        cells, records = self.cells(artifact)
        made = document.make(artifact, self.study, cells, records)
        if write:
            self.store.add(records)  # so that this results folder renders by itself, whoever trained them
            document.write(made, self.out)
        return made

    def check_results_folder(self) -> None:
        """Raise `MissingInput` before hours of training if the results could not be written."""
        files.check_lockable(self.out)

    @property
    def all_seeds(self) -> list[int]:
        """The seeds of the paper's artifacts, which its claims rest on."""
        return self.seeds_of(*(artifacts.IMPLEMENTED[name] for name in artifacts.PAPER))

    def seeds_of(self, *among: Artifact) -> list[int]:
        """The seeds asked for, and each other one of which a Run of ``among`` is finished. A set, no range: an
        artifact of one's own may have trained seed 20240101, which is nothing to the others."""
        known = {record.seed for record in self.store.records()}

        def touched(seed: int) -> bool:
            runs = (run for artifact in among for run in artifact.runs(self.study, [seed]))
            return any(self.store.record(run) for run in runs)

        return [*self.seeds, *filter(touched, sorted(known - {*self.seeds}))]

    def instead(self, changes: Mapping[str, Any] | None = None, **options: Any) -> Workspace:
        """This workspace with other settings and options, to plan with: nothing is trained or written through it.

        ``changes`` are dotted keys of the profile. Raises `UsageError` where one of them cannot be."""
        other = copy.copy(self)
        other.options = dataclasses.replace(self.options, **options)
        overrides = {**self.settings.overrides, **(changes or {})}
        other.settings = params.settings(self.params_file, self.settings.name, overrides)
        other.study = dataclasses.replace(self.study, settings=other.settings)
        return other

    def beside(self, profile: str) -> Workspace:
        """The same command in another profile. Raises `UsageError` where params.yaml has none of that name."""
        return Workspace(dataclasses.replace(self.options, profile=profile), self.names)

    @property
    def hypotheses(self) -> list[str]:
        """The profiles of params.yaml that are held against the published numbers."""
        return [name for name, its in params.load(self.params_file).profiles.items() if its.comparable]

    def _study(self) -> Study:
        profile = self.settings.profile
        names = (profile.data.name, profile.imagenet.data.name)
        images, photos = (data.fingerprint(name, self.folders) for name in names)
        official = [data.official(*pair) for pair in zip(names, (images, photos), strict=True)]
        return Study(self.settings, images, official[0], photos, official[1])

    def _needed(self) -> list[Run]:
        return [run for artifact in self.artifacts for run in self.runs(artifact, guess=False)]

    def _leaves_out(self, run: Run) -> bool:
        return run.data.name in self.options.without and self.store.record(run) is None


def _arch_overrides(plain: params.Settings, arch: str, names: Sequence[str]) -> dict[str, object]:
    """What makes the artifacts ``names`` about ``arch``. Raises `UsageError` where one of them cannot be."""
    if arch not in recipe.ARCHS:
        raise UsageError(f"--arch {arch}: unknown; there are {', '.join(recipe.ARCHS)}")
    overrides: dict[str, object] = {}
    for name in names:
        field = name.replace("-", "_")
        own = getattr(plain.profile, field, None)
        if name == "table4" and arch in recipe.IMAGENET_ARCHS:
            own = plain.profile.table3  # its windows are what Table 4 needs
        if isinstance(own, Mapping):  # one row a network: only those that the profile has
            if arch not in own:
                has = ", ".join(own) or "none"
                raise UsageError(f"--arch {arch}: profile {plain.name} has no {arch} in {name}; it has {has}")
        elif own is not None and arch not in recipe.CIFAR_ARCHS:
            raise UsageError(f"--arch {arch}: {name} is about CIFAR-10; there are {', '.join(recipe.CIFAR_ARCHS)}")
        elif own is not None and own.arch != arch:
            overrides[f"{field}.arch"] = arch
    return overrides


def reading(options: Options, names: Sequence[str] = ()) -> Workspace:
    """The workspace of a command that shows what is finished; where a wheel is installed and nothing is, it says
    where the results are that the project ships."""
    work = Workspace(options, names)
    if not places.in_checkout() and not work.store.records():
        line = f"no finished Run in {work.out}: the results that the project ships lie in its repository, results/"
        print(f"{line}, not in the wheel", file=sys.stderr)
    return work


def shipped_results(root: Path) -> Path:
    """Where the results lie that the project ships."""
    return root / "results"


def data_folders(data_dir: Path | None, root: Path) -> list[Path]:
    """Where data is looked for: ``--data-dir`` alone if given, else ``$REPRO_DATA``, then ``data/``."""
    if data_dir:
        return [data_dir]
    named = os.environ.get("REPRO_DATA")
    return [*([Path(named)] if named else []), root / "data"]


def _suffix(overrides: dict[str, object]) -> str:
    """Results of a changed profile have a folder of their own, so that they never replace the profile's."""
    if not overrides:
        return ""
    text = json.dumps({k: overrides[k] for k in sorted(overrides)}, default=str)
    return "+" + hashlib.sha256(text.encode()).hexdigest()[:6]
