"""The options of the command line, each declared once and selected by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from repro.cli import inputs
from repro.cli.completion import artifact_names, offer, profile_names
from repro.config import recipe
from repro.options import DEVICES, LAUNCHERS, STRATEGIES, Options

Profile = Annotated[
    str | None,
    typer.Option(
        help="smoke, pilot, paper, paper-128 or your own (default: `profile:` in params.yaml)",
        autocompletion=offer(profile_names),
    ),
]
Arch = Annotated[
    str | None,
    typer.Option(
        help="only this network: resnet20, resnet56, resnet18 or resnet50", autocompletion=offer(recipe.ARCHS)
    ),
]
Seeds = Annotated[int | None, typer.Option(help="train seeds 0 to N-1 of everything, including dense networks")]
DataDir = Annotated[
    Path | None, typer.Option(help="where CIFAR-10 and ImageNet are (default: $REPRO_DATA, then data/)")
]
RunsDir = Annotated[Path | None, typer.Option(help="folder of Runs (default: runs/)")]
Out = Annotated[Path | None, typer.Option(help="folder of results (default: results/)")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda", autocompletion=offer(DEVICES))]
Precision = Annotated[
    str | None,
    typer.Option(
        help="auto, float32, tf32 or bfloat16 (default: the profile's)", autocompletion=offer(recipe.PRECISIONS)
    ),
]
Budget = Annotated[str | None, typer.Option(help="stop cleanly after 90s, 9m or 1.5h")]
Set = Annotated[list[str] | None, typer.Option("--set", help="key=value in the profile; may be repeated")]
Params = Annotated[
    Path | None,
    typer.Option("--params", help="another params.yaml (default: $REPRO_PARAMS, then the one here or above)"),
]
Shipped = Annotated[bool, typer.Option("--ignore-shipped", help="train again instead of reading shipped results")]
Strategy = Annotated[
    str,
    typer.Option(help="training of small images (docs/performance.md)", autocompletion=offer(STRATEGIES)),
]
Wave = Annotated[int, typer.Option(help="Runs at a time on one device; 0: the fastest number")]
Gpus = Annotated[int, typer.Option(help="GPUs for each Run")]
Workers = Annotated[int, typer.Option(help="Runs at a time, each in its own process")]
Launcher = Annotated[
    str,
    typer.Option(help="what starts them: local, ray or slurm (docs/cluster.md)", autocompletion=offer(LAUNCHERS)),
]
Slurm = Annotated[list[str] | None, typer.Option("--slurm", help="key=value for sbatch; may be repeated")]
Iterative = Annotated[
    bool, typer.Option("--with-iterative", help="Table 4: also prune ResNet50 iteratively, 8 whole schedules")
]
Final = Annotated[
    bool,
    typer.Option("--keep-final", help="also keep the trained weights of tickets and networks (docs/api.md)"),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="only show what would be trained")]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout")]
Names = Annotated[
    list[str] | None,
    typer.Argument(
        help="artifacts, all by default", metavar="[ARTIFACT]...", autocompletion=offer(artifact_names)
    ),
]
Artifacts = Annotated[
    list[str] | None,
    typer.Option("--artifact", help="only these artifacts", autocompletion=offer(artifact_names)),
]

SHARED: dict[str, tuple[Any, Any]] = {
    "profile": (Profile, None),
    "arch": (Arch, None),
    "seeds": (Seeds, None),
    "data_dir": (DataDir, None),
    "runs_dir": (RunsDir, None),
    "out": (Out, None),
    "device": (Device, "auto"),
    "precision": (Precision, None),
    "time_budget": (Budget, None),
    "overrides": (Set, None),
    "ignore_shipped": (Shipped, False),
    "with_iterative": (Iterative, False),
    "keep_final": (Final, False),
    "params_file": (Params, None),
    "strategy": (Strategy, "auto"),
    "wave": (Wave, 0),
    "gpus": (Gpus, 1),
    "workers": (Workers, 1),
    "launcher": (Launcher, "local"),
    "slurm": (Slurm, None),
}
"""Fields of `Options`: annotation and default on the command line."""

READING = ("profile", "data_dir", "runs_dir", "out", "overrides", "params_file")
"""Options of commands that train nothing."""

TRAINING = tuple(name for name in SHARED if name != "with_iterative")

WORKING = tuple(name for name in SHARED if name not in ("workers", "launcher", "slurm"))
"""Options of the worker that trains a single Run."""


def takes(*names: str, checked: bool = True) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the shared options ``names``, which it receives as one `Options`; if ``checked``, what they
    name must exist."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        def command(**given: Any) -> None:
            shared = {name: given.pop(name) for name in names}
            for repeated in {"overrides", "slurm"} & set(shared):
                shared[repeated] = shared[repeated] or ()
            options = Options(**shared)
            if checked:
                inputs.check(options)
            function(options=options, **given)

        parameters = inspect.signature(function, eval_str=True).parameters.values()
        kept = [p.replace(kind=p.KEYWORD_ONLY) for p in parameters if p.name != "options"]
        kept += [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for name, (annotation, default) in SHARED.items()
            if name in names
        ]
        # Typer reads a command's options from its signature.
        command.__signature__ = inspect.Signature(kept)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in kept}
        command.__name__, command.__doc__ = function.__name__, function.__doc__
        return command

    return decorate
