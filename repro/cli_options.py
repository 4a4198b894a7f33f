"""The options of the command line: each declared once, and given to commands by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from repro.options import Options

Profile = Annotated[str | None, typer.Option(help="smoke, pilot or paper (default: `profile:` in params.yaml)")]
Arch = Annotated[str | None, typer.Option(help="only this network: resnet20 or resnet56")]
Seeds = Annotated[int | None, typer.Option(help="seeds 0 to N-1 of everything, dense networks included")]
DataDir = Annotated[Path | None, typer.Option(help="where CIFAR-10 is (default: $REPRO_DATA, then data/)")]
RunsDir = Annotated[Path | None, typer.Option(help="the store of Runs (default: runs/)")]
Out = Annotated[Path | None, typer.Option(help="results (default: results/)")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda")]
Precision = Annotated[str | None, typer.Option(help="auto, float32 or bfloat16 (default: the profile's)")]
Budget = Annotated[str | None, typer.Option(help="stop cleanly in time: 90s, 9m, 1.5h")]
Set = Annotated[list[str] | None, typer.Option("--set", help="key=value in the profile; may be repeated")]
Params = Annotated[Path | None, typer.Option("--params", help="another params.yaml")]
Shipped = Annotated[bool, typer.Option("--ignore-shipped", help="train anew rather than read shipped results")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="say what would be trained, and stop")]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout")]
Names = Annotated[list[str] | None, typer.Argument(help="artifacts, all by default", metavar="[ARTIFACT]...")]

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
    "params_file": (Params, None),
}
"""Fields of `Options`: annotation and default on the command line."""

READING = ("profile", "data_dir", "runs_dir", "out", "overrides")
"""What a command needs that trains nothing."""

TRAINING = tuple(SHARED)


def takes(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command takes the shared options ``names`` and receives them as its ``options``, one `Options`."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        def command(**given: Any) -> None:
            shared = {name: given.pop(name) for name in names}
            if "overrides" in shared:
                shared["overrides"] = shared["overrides"] or ()
            function(options=Options(**shared), **given)

        asked = inspect.signature(function, eval_str=True).parameters.values()
        kept = [p.replace(kind=p.KEYWORD_ONLY) for p in asked if p.name != "options"]
        kept += [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for name, (annotation, default) in SHARED.items()
            if name in names
        ]
        # Typer reads a command's options off its signature.
        command.__signature__ = inspect.Signature(kept)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in kept}
        command.__name__, command.__doc__ = function.__name__, function.__doc__
        return command

    return decorate
