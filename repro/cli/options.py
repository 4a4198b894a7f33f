"""The options that commands share, each declared once and selected by name. Imports no torch."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from repro import artifacts, places
from repro.config import params, recipe
from repro.errors import MissingInput, ReproError
from repro.options import DEVICES, LAUNCHERS, STRATEGIES, Options


def offer(values: Callable[[], Iterable[str]] | Iterable[str]) -> Callable[[str], list[str]]:
    """Return a function for shell completion that lists the ``values`` (or those that a function returns) with a
    prefix. It runs at every TAB, so it imports neither torch nor numpy."""

    def complete(incomplete: str) -> list[str]:
        try:
            return [value for value in (values() if callable(values) else values) if value.startswith(incomplete)]
        except ReproError:  # from params.yaml or claims.yaml: the command itself reports it
            return []

    return complete


def profile_names() -> Iterable[str]:
    """Return the profiles of the params.yaml in use."""
    return params.load(places.params_file()).profiles


def _option(kind: object, text: str, *flags: str, of: Callable[[], Iterable[str]] | Iterable[str] = ()) -> Any:
    return Annotated[kind, typer.Option(*flags, help=text, autocompletion=offer(of) if of else None)]


SHARED: dict[str, Any] = {
    "profile": _option(
        str | None,
        "smoke, pilot, paper, paper-128 or your own (default: `profile:` in params.yaml)",
        of=profile_names,
    ),
    "arch": _option(str | None, "only this network: resnet20, resnet56, resnet18 or resnet50", of=recipe.ARCHS),
    "seeds": _option(int | None, "train seeds 0 to N-1 of everything, including dense networks"),
    "data_dir": _option(Path | None, "where CIFAR-10 and ImageNet are (default: $REPRO_DATA, then data/)"),
    "runs_dir": _option(Path | None, "folder of Runs (default: runs/)"),
    "out": _option(Path | None, "folder of results (default: results/)"),
    "device": _option(str, "auto, cpu or cuda", of=DEVICES),
    "precision": _option(
        str | None, "auto, float32, tf32 or bfloat16 (default: the profile's)", of=recipe.PRECISIONS
    ),
    "time_budget": _option(str | None, "stop cleanly after 90s, 9m or 1.5h"),
    "overrides": _option(list[str] | None, "key=value in the profile; may be repeated", "--set"),
    "ignore_shipped": _option(bool, "train again instead of reading shipped results", "--ignore-shipped"),
    "with_iterative": _option(
        bool, "Table 4: also prune ResNet50 iteratively, 8 whole schedules", "--with-iterative"
    ),
    "keep_final": _option(
        bool, "also keep the trained weights of tickets and networks (docs/api.md)", "--keep-final"
    ),
    "params_file": _option(
        Path | None, "another params.yaml (default: $REPRO_PARAMS, then the one here or above)", "--params"
    ),
    "strategy": _option(str, "training of small images (docs/performance.md)", of=STRATEGIES),
    "wave": _option(int, "Runs at a time on one device; 0: the fastest number"),
    "gpus": _option(int, "GPUs for each Run"),
    "workers": _option(int, "Runs at a time, each in its own process"),
    "launcher": _option(str, "what starts them: local, ray or slurm (docs/cluster.md)", of=LAUNCHERS),
    "slurm": _option(list[str] | None, "key=value for sbatch; may be repeated", "--slurm"),
}
"""Fields of `Options`, with their annotation on the command line."""

READING = ("profile", "data_dir", "runs_dir", "out", "overrides", "params_file")
"""Options of commands that train nothing."""

TRAINING = tuple(name for name in SHARED if name != "with_iterative")

POOL = ("gpus", "workers", "launcher", "slurm")
"""Options of training in many processes."""

DryRun = Annotated[bool, typer.Option("--dry-run", help="only show what would be trained")]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout")]
_named = offer(lambda: artifacts.IMPLEMENTED)  # with those of $REPRO_ARTIFACTS
Names = Annotated[
    list[str] | None,
    typer.Argument(help="artifacts, all by default", metavar="[ARTIFACT]...", autocompletion=_named),
]
Artifacts = Annotated[
    list[str] | None, typer.Option("--artifact", help="only these artifacts", autocompletion=_named)
]


def takes(*names: str, checked: bool = True) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the shared options ``names``, which it receives as one `Options`; if ``checked``, what they
    name must exist."""
    own = {item.name: item.default for item in dataclasses.fields(Options)}
    defaults = {name: None if own[name] == () else own[name] for name in SHARED}  # typer has no default of a list

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        def command(**given: Any) -> None:
            shared = {name: value for name in names if (value := given.pop(name)) is not None}
            options = Options(**shared)
            if checked:
                check(options)
            function(options=options, **given)

        parameters = inspect.signature(function, eval_str=True).parameters.values()
        kept = [p.replace(kind=p.KEYWORD_ONLY) for p in parameters if p.name != "options"]
        kept += [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults[name], annotation=annotation)
            for name, annotation in SHARED.items()
            if name in names
        ]
        # Typer reads a command's options from its signature.
        command.__signature__ = inspect.Signature(kept)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in kept}
        command.__name__, command.__doc__ = function.__name__, function.__doc__
        return command

    return decorate


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

        slurm.package()
    elif options.device == "cuda" or (options.gpus > 1 and options.device != "cpu"):  # this alone imports torch
        from repro.launch.local import LocalPool

        LocalPool(options.workers, options.gpus, options.device)
