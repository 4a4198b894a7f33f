"""The workspace of a command: params, data, store and results, made from the options that all commands share.

Imports no torch until something must be trained.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from repro import artifacts, data, places
from repro.artifacts import Artifact, Results
from repro.cells import Cell
from repro.config import params, recipe
from repro.config.fields import did_you_mean
from repro.errors import UsageError
from repro.experiments import Study
from repro.options import Options
from repro.plan import Plan, make_plan
from repro.record import Record
from repro.report import document
from repro.report.document import Document
from repro.run import Run, ancestors
from repro.store import Store


class Workspace:
    """Settings, study and store of one command on the artifacts ``names`` (empty means all)."""

    def __init__(self, options: Options, names: Sequence[str] = ()) -> None:
        """Raises `UsageError` or `MissingInput` for options that are not valid together."""
        self.options = options
        self.names = tuple(names)
        for name in options.without:
            if name not in (known := (*recipe.DATASETS, *recipe.PHOTO_SETS)):
                raise UsageError(f"$REPRO_WITHOUT: unknown data set '{name}'; there are {', '.join(known)}")
        self.root = places.find_root(options.params_file)
        self.artifacts = [artifacts.get(name) for name in names or artifacts.IMPLEMENTED]
        overrides = dict(params.parse_override(text) for text in options.overrides)
        if options.precision:
            overrides |= {"precision": options.precision, "precision_of": {}}
        self.params_file = places.params_file(options.params_file)
        if options.arch:
            plain = params.settings(self.params_file, options.profile).profile.blocks
            overrides |= _arch_overrides(plain, options.arch, names)
        self.settings = params.settings(self.params_file, options.profile, overrides)
        self.seeds = range(options.seeds or self.settings.profile.seeds)
        self.folders = data_folders(options.data_dir, self.root)
        small, large = self.settings.profile.data.name, self.settings.profile.imagenet.data.name
        runs_dir = options.runs_dir or self.root / "runs"
        images, photos = (data.fingerprint(name, self.folders, runs_dir) for name in (small, large))
        official = images == data.OFFICIAL[small], photos == data.OFFICIAL[large]
        self.study = Study(self.settings, images, official[0], photos, official[1])
        self._check_blocks()
        results = options.out or self.root / "results"
        # The shipped ledger is in the results folder itself, so ignoring it needs another folder.
        separate = "+anew" if options.ignore_shipped and options.out is None and not overrides else ""
        # A changed profile has a folder of its own, so that its results never replace the profile's.
        changes = json.dumps(dict(sorted(overrides.items())), default=str).encode()
        suffix = f"+{hashlib.sha256(changes).hexdigest()[:6]}" if overrides else ""
        self.out = results / (self.settings.name + suffix + separate)
        shipped = [results / self.settings.name, shipped_results(self.root) / self.settings.name]
        shipped_ledgers = [] if options.ignore_shipped else [folder / "runs.jsonl" for folder in shipped]
        self.store = Store(runs_dir, self.out / "runs.jsonl", shipped_ledgers)

    def runs(self, artifact: Artifact, seeds: Sequence[int] | None = None, guess: bool = True) -> list[Run]:
        """Return the artifact's Runs for ``seeds`` (default: those of the options), restricted to ``--arch``.

        Runs that depend on results are included once these exist; with ``guess`` always, by the best guess.
        """
        seeds = self.seeds if seeds is None else seeds
        runs = self.runs_of_cells(artifact, seeds, guess, self.options.with_iterative)
        return [run for run in runs if self.options.arch in (None, run.arch)]

    def runs_of_cells(
        self, artifact: Artifact, seeds: Sequence[int], guess: bool = True, optional: bool = True
    ) -> list[Run]:
        """Return all Runs that the artifact's cells of ``seeds`` are made from, whatever the options."""
        runs = artifact.runs(self.study, seeds)
        if artifact.second_stage and (guess or all(self.store.record(run) for run in runs)):
            runs = [*runs, *artifact.second_stage(self.study, self.results(), seeds)]
        if artifact.optional and optional:
            runs = [*runs, *artifact.optional(self.study, seeds)]
        return runs

    def results(self) -> Results:
        """Return all finished Runs."""
        return Results({record.key: record for record in self.store.records()})

    def asked(self) -> list[Run]:
        """Return the Runs of this command's artifacts, as far as results determine them, except those left out."""
        return self.without_left_out(self._needed(guess=False))

    def without_left_out(self, runs: Sequence[Run]) -> list[Run]:
        """Return ``runs`` without those that `left_out` has, or would have."""
        return [run for run in runs if not self._leaves_out(run)]

    def left_out(self) -> list[Run]:
        """Return the Runs that are not trained because of ``$REPRO_WITHOUT``."""
        return [run for run in ancestors(self._needed(guess=False)) if self._leaves_out(run)]

    def plan(self, asked: Sequence[Run] | None = None) -> Plan:
        """Plan the missing ones of ``asked`` (default: the Runs of this command's artifacts, guesses included,
        except those left out). Checkpoints are kept for all artifacts, and with ``--keep-final`` after the last
        epoch."""
        asked = self.without_left_out(self._needed(guess=True)) if asked is None else asked
        return make_plan(asked, self.store, self.every_run(), self.options.keep_final)

    def every_run(self) -> list[Run]:
        """Return the Runs of all artifacts, guesses and optional ones included."""
        every = [run for a in artifacts.IMPLEMENTED.values() for run in self.runs_of_cells(a, self.seeds)]
        return [run for run in every if self.options.arch in (None, run.arch)]

    def cells(self, artifact: Artifact) -> tuple[list[Cell], list[Record]]:
        """Return the artifact's cells, over all seeds that have results, and the Records behind them."""
        seeds = self.seeds_of(artifact)
        runs = self.runs_of_cells(artifact, seeds)
        known = {run.key: record for run in ancestors(runs) if (record := self.store.record(run))}
        done = [run for run in runs if run.key in known]
        behind = {run.key: known[run.key] for run in (*done, *ancestors(done)) if run.key in known}
        return artifact.cells(self.study, Results(known), seeds), list(behind.values())

    def render(self, artifact: Artifact, write: bool = True) -> Document:
        """Return the artifact's document; ``write`` it to the results folder, too."""
        cells, records = self.cells(artifact)
        made = document.make(artifact, self.study, cells, records)
        if write:
            self.store.add(records)  # so that this results folder is complete, whoever trained them
            document.write(made, self.out)
        return made

    @property
    def all_seeds(self) -> list[int]:
        """The seeds of the paper's artifacts, which its claims are judged by."""
        return self.seeds_of(*(artifacts.IMPLEMENTED[name] for name in artifacts.PAPER))

    def seeds_of(self, *among: Artifact) -> list[int]:
        """Return the seeds of the options, and all others for which a Run of ``among`` is finished.

        Not a range: a user's artifact may have trained seed 20240101, which others do not have."""
        known = {record.seed for record in self.store.records()}

        def has_results(seed: int) -> bool:
            return any(self.store.record(run) for artifact in among for run in artifact.runs(self.study, [seed]))

        return [*self.seeds, *filter(has_results, sorted(known - {*self.seeds}))]

    def changed(self, **options: Any) -> Workspace:
        """Return the workspace of the same command with other ``options``. Raises `UsageError` as the command."""
        return Workspace(dataclasses.replace(self.options, **options), self.names)

    def _check_blocks(self) -> None:
        """Raise `UsageError` if a block of the profile is no artifact's, if it names what cannot be (unknown keys,
        epochs beyond the schedule), or if an artifact of this command has no Run of ``--arch``."""
        overrides, every = self.settings.overrides, artifacts.IMPLEMENTED.values()
        where = f"--set {', '.join(overrides)}" if overrides else str(self.params_file)
        known = [artifact.name.replace("-", "_") for artifact in every if artifact.settings]
        for name in self.settings.profile.blocks:
            if name not in known:
                hint = did_you_mean(name, [*params.PROFILE_KEYS, *known])
                raise UsageError(
                    f"{where}: unknown key 'profiles.{self.settings.name}.{name}': no artifact of that name has "
                    f"settings (is its file in $REPRO_ARTIFACTS?){hint}"
                )
        for artifact in every:
            place = where
            try:
                self.study.block(artifact.name, artifact.settings or object)
                place = f"{where}: profiles.{self.settings.name}.{artifact.name.replace('-', '_')}"
                for runs in filter(None, (artifact.runs, artifact.optional)):
                    runs(self.study, self.seeds[:1])
            except ValueError as error:
                raise UsageError(f"{place}: {error}") from None
        for artifact in self.artifacts if self.names else ():
            has = dict.fromkeys(run.arch for run in artifact.runs(self.study, self.seeds[:1]))
            if self.options.arch not in (None, *has):
                raise UsageError(
                    f"--arch {self.options.arch}: profile {self.settings.name} has no {self.options.arch} in "
                    f"{artifact.name}; it has {', '.join(has) or 'none'}"
                )

    @property
    def hypotheses(self) -> list[str]:
        """The profiles of params.yaml that are compared with the published numbers."""
        return [name for name, profile in params.load(self.params_file).profiles.items() if profile.comparable]

    def _needed(self, guess: bool) -> list[Run]:
        """Return the Runs of this command's artifacts; all of a seed come before those of the next, so that a time
        budget completes one seed first."""
        found = [run for artifact in self.artifacts for run in self.runs(artifact, guess=guess)]
        return sorted(found, key=lambda run: run.seed)

    def _leaves_out(self, run: Run) -> bool:
        return run.data.name in self.options.without and self.store.record(run) is None


def _arch_overrides(blocks: Mapping[str, Any], arch: str, names: Sequence[str]) -> dict[str, Any]:
    """Return the settings that make those of the artifacts ``names`` use ``arch`` that have one network each."""
    if arch not in recipe.ARCHS:
        raise UsageError(f"--arch {arch}: unknown; there are {', '.join(recipe.ARCHS)}")
    found = {}
    for block in (name.replace("-", "_") for name in names if arch in recipe.CIFAR_ARCHS):
        own = blocks.get(block)
        if isinstance(own, dict) and own.get("arch", arch) != arch:
            found[f"{block}.arch"] = arch
    return found


def reading(options: Options, names: Sequence[str] = ()) -> Workspace:
    """Return the workspace of a command that shows results; in a wheel without any, say where they are."""
    work = Workspace(options, names)
    if not places.in_checkout() and not work.store.records():
        line = f"no finished Run in {work.out}: the project's results are in its repository, not in a wheel"
        print(line, file=sys.stderr)
    return work


def shipped_results(root: Path) -> Path:
    """Return the folder of the results that the project ships."""
    return root / "results"


def data_folders(data_dir: Path | None, root: Path) -> list[Path]:
    """Return the folders to search for data: ``--data-dir`` if given, else ``$REPRO_DATA``, then ``data/``."""
    if data_dir:
        return [data_dir]
    named = os.environ.get("REPRO_DATA")
    return [*([Path(named)] if named else []), root / "data"]
