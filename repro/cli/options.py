"""All options and arguments of all commands, each declared once and selected by name. Imports no torch."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from repro import artifacts, places, published
from repro.config import params, recipe
from repro.errors import MissingInput, ReproError
from repro.options import DEVICES, LAUNCHERS, RUN_STATES, STRATEGIES, Options

Values = Iterable[str] | Callable[[], Iterable[str]]
REQUIRED = inspect.Parameter.empty
_DEFAULTS = {field.name: field.default for field in dataclasses.fields(Options)}


class Option(NamedTuple):
    """An option, or with a ``metavar`` an argument.

    ``to`` is the field of `Options` or the parameter of the command's function that it sets (default: its name),
    ``of`` are the values that a shell offers for it."""

    kind: object
    help: str
    to: str = ""
    of: Values = ()
    default: object = None
    flags: tuple[str, ...] = ()
    metavar: str = ""
    hidden: bool = False

    def parameter(self, name: str) -> inspect.Parameter:
        """Return it as a parameter of a function, from whose signature typer reads a command's options."""
        to = self.to or name.replace("-", "_")
        complete = offer(self.of) if self.of else None
        if self.metavar:
            info = typer.Argument(help=self.help, metavar=self.metavar, autocompletion=complete)
        else:
            info = typer.Option(
                *(self.flags or (f"--{name}",)),
                help=self.help,
                autocompletion=complete,
                hidden=self.hidden,
                rich_help_panel=next((panel for panel, among in _PANELS.items() if name in among), None),
            )
        default = False if self.kind is bool else _DEFAULTS.get(to, self.default)
        if default == ():  # typer has no default of a list
            default = None
        annotation = Annotated[self.kind, info]  # type: ignore[name-defined]
        return inspect.Parameter(to, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def offer(values: Values) -> Callable[[str], list[str]]:
    """Return a function for shell completion that lists the ``values`` (or those that a function returns) with a
    prefix. It runs at every TAB, so it imports neither torch nor numpy."""

    def complete(incomplete: str) -> list[str]:
        try:
            return [value for value in (values() if callable(values) else values) if value.startswith(incomplete)]
        except ReproError:  # from params.yaml or claims.yaml: the command itself reports it
            return []

    return complete


def _profiles() -> Iterable[str]:
    return params.load(places.params_file()).profiles


_PANELS: dict[str, dict[str, Option]] = {
    "What": {
        "profile": Option(
            str | None,
            "smoke, pilot, paper, paper-128 or your own (default: `profile:` in params.yaml)",
            of=_profiles,
        ),
        "arch": Option(str | None, "only this network: resnet20, resnet56, resnet18 or resnet50", of=recipe.ARCHS),
        "seeds": Option(int | None, "train seeds 0 to N-1 of everything, including dense networks"),
        "set": Option(list[str] | None, "key=value in the profile; may be repeated", "overrides"),
        "ignore-shipped": Option(bool, "train again instead of reading shipped results"),
        "with-iterative": Option(bool, "Table 4: also prune ResNet50 iteratively, 8 whole schedules"),
        "params": Option(
            Path | None,
            "another params.yaml (default: $REPRO_PARAMS, then the one here or above)",
            "params_file",
        ),
    },
    "Where": {
        "data-dir": Option(Path | None, "where CIFAR-10 and ImageNet are (default: $REPRO_DATA, then data/)"),
        "runs-dir": Option(Path | None, "folder of Runs (default: runs/)"),
        "out": Option(Path | None, "folder of results (default: results/)"),
        "folder": Option(
            Path | None,
            "where the search is kept (default: runs/search/<network>-<profile>-...)",
            flags=("--folder", "--out"),
        ),
    },
    "How": {
        "device": Option(str, "auto, cpu or cuda", of=DEVICES),
        "precision": Option(
            str | None, "auto, float32, tf32 or bfloat16 (default: the profile's)", of=recipe.PRECISIONS
        ),
        "time-budget": Option(str | None, "stop cleanly after 90s, 9m or 1.5h"),
        "keep-final": Option(bool, "also keep the trained weights of tickets and networks (docs/api.md)"),
        "strategy": Option(str, "training of small images (docs/performance.md)", of=STRATEGIES),
        "wave": Option(int, "Runs at a time on one device; 0: the fastest number"),
    },
    "Many at a time": {
        "gpus": Option(int, "GPUs for each Run"),
        "workers": Option(int, "Runs at a time, each in its own process"),
        "launcher": Option(str, "what starts them: local, ray or slurm (docs/cluster.md)", of=LAUNCHERS),
        "slurm": Option(list[str] | None, "key=value for sbatch; may be repeated"),
    },
}
"""Options that several commands share, under the headings of the help."""

_OWN: dict[str, Option] = {
    "ARTIFACTS": Option(
        list[str] | None, "artifacts, all by default", "names", artifacts.IMPLEMENTED, metavar="ARTIFACT"
    ),
    "artifact": Option(list[str] | None, "only these artifacts", "names", artifacts.IMPLEMENTED),
    "json": Option(bool, "JSON on stdout", "as_json"),
    "dry-run": Option(bool, "only show what would be trained"),
    "no-train": Option(bool, "only render finished Runs"),
    # sprint, runs export
    "export": Option(Path, "the file to write; further ones are numbered", default=Path("home.zip")),
    "max-size": Option(str, "largest file; further ones are numbered", default="1GiB"),
    "max-total": Option(str | None, "all files together; the most valuable come first"),
    "left-only": Option(bool, "only checkpoints that missing Runs start from"),
    "with-states": Option(bool, "also resume states of unfinished Runs"),
    "with-final": Option(bool, "also final weights kept by --keep-final"),
    # plan, diff, claims, published
    "calibrate": Option(
        bool | None,
        "measure this device again, for some seconds, or not at all (default: only if unknown)",
        flags=("--calibrate/--no-calibrate",),
    ),
    "all": Option(bool, "every printed number, including those not run", "every"),
    "no-fail": Option(bool, "exit 0 for all verdicts"),
    "profiles": Option(
        str | None, "compare hypotheses, for instance paper,paper-128; no verdict: exit 0", of=_profiles
    ),
    "CLAIMS": Option(
        list[str] | None, "ids of claims to explain in detail; all claims by default", "ids",
        lambda: [claim.id for claim in published.claims()],
        metavar="CLAIM",
    ),
    "published": Option(bool, "judge the paper's printed numbers alone", "of_published"),
    "PRINTED": Option(
        str | None, "an artifact, all by default", "name", lambda: {*published.tables(), *artifacts.PAPER},
        metavar="ARTIFACT",
    ),
    # data
    "DATA_SET": Option(
        str, "cifar10 or imagenet", "name", ("cifar10", "imagenet"), default="cifar10", metavar="NAME"
    ),
    "resize": Option(int | None, "ImageNet: also write a copy with a shorter side of 256 or 512 pixels"),
    "cache-dir": Option(Path | None, "ImageNet: where to write (default: beside the images)"),
    # runs
    "state": Option(str | None, "only done, diverged, begun or missing", of=RUN_STATES),
    "KEY": Option(str, "the Run's key, or its beginning", "key", default=REQUIRED, metavar="KEY"),
    "FILE": Option(Path, "the file to write, runs.zip for instance", "file", default=REQUIRED, metavar="FILE"),
    "FILES": Option(
        list[Path], "files that `repro runs export` wrote", "paths", default=REQUIRED, metavar="FILES"
    ),
    "ship": Option(bool, "add checkpoints to the DVC remote in git"),
    "options": Option(str | None, "all other options as JSON (`Options.for_worker`)", "given", hidden=True),
    # ticket
    "cifar-arch": Option(
        str | None, "a network of this project: resnet20 or resnet56", "arch", recipe.CIFAR_ARCHS,
        flags=("--arch",),
    ),
    "network": Option(str | None, "your own network: package.module:function"),
    "sparsity": Option(float | None, "share of weights to prune (default: the profile's)"),
    "check-every": Option(int | None, "epochs between PPR checks (default: a fortieth of the schedule)"),
    "patience": Option(
        int | None,
        "checks without a gain until PPR is settled (default: those in 15 % of the schedule, at least 2)",
    ),
    "tolerance": Option(
        float | None,
        "accuracy points that do not count as a gain (default: 25 / sqrt(test images), 0.25 for 10,000)",
    ),
    "baseline": Option(
        list[str] | None,
        "also train one-shot or iterative; may be repeated (default: none; smoke: one-shot)",
        "baselines",
        ("one-shot", "iterative", "none"),
        flags=("--baseline", "--beside"),
    ),
    "seed": Option(int, "seed of initialisation and data order", default=0),
}  # fmt: skip
"""Options of single commands; arguments in capitals."""

OPTIONS = {**_OWN, **{name: option for panel in _PANELS.values() for name, option in panel.items()}}
READING = "profile data-dir runs-dir out set params"
"""Options of commands that train nothing."""
TRAINING = f"{READING} seeds device precision time-budget ignore-shipped keep-final strategy wave"
"""Options of training in this process."""
POOL = "gpus workers launcher slurm"
"""Options of training in many processes."""


def check(options: Options) -> None:
    """Raise `UsageError` or `MissingInput` for a data folder, device, GPUs or launcher that is not available, even
    if nothing needs it. Starts nothing."""
    if options.data_dir:
        from repro.data import cifar10
        from repro.data.imagenet import index, layout

        if not options.data_dir.is_dir():
            raise MissingInput(f"--data-dir {options.data_dir}: there is no such folder")
        if not any(find([options.data_dir]) for find in (cifar10.find, index.find, layout.find)):
            raise MissingInput(
                f"--data-dir {options.data_dir}: neither CIFAR-10 nor ImageNet is there (`repro data status`)"
            )
    if options.launcher == "ray":
        from repro.launch import ray_pool

        ray_pool.package()
    elif options.launcher == "slurm":
        from repro.launch import slurm

        slurm.check_installed()
    elif options.device == "cuda" or (options.gpus > 1 and options.device != "cpu"):  # this alone imports torch
        from repro.launch.local import LocalPool

        LocalPool(options)
