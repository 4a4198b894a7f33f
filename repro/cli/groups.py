"""`repro data ...` and `repro runs ...`: commands and their options, nothing else. Imports no torch at start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repro.cli.command import App
from repro.cli.completion import offer
from repro.cli.options import READING, WORKING, Artifacts, DataDir, Json, Out, RunsDir, takes
from repro.options import RUN_STATES, Options

data_app = App(help="CIFAR-10 and ImageNet: what is there, is it whole.", no_args_is_help=True)
runs_app = App(
    help="Runs one by one: list, show, train one, move finished ones between machines.", no_args_is_help=True
)
DataSet = Annotated[str, typer.Argument(help="cifar10 or imagenet", autocompletion=offer(("cifar10", "imagenet")))]


@data_app.command("status")
def data_status(name: DataSet = "cifar10", data_dir: DataDir = None, as_json: Json = False) -> None:
    """Whether a data set is there, whole and the official one."""
    from repro.commands.data import status

    status(name, data_dir, as_json)


@data_app.command("prepare")
def data_prepare(
    name: DataSet = "cifar10",
    data_dir: DataDir = None,
    resize: Annotated[
        int | None, typer.Option(help="ImageNet: also write a copy with a shorter side of 256 or 512 pixels")
    ] = None,
    cache_dir: Annotated[
        Path | None, typer.Option(help="ImageNet: where to write (default: beside the images)")
    ] = None,
) -> None:
    """CIFAR-10: download it with torchvision (md5-checked) if it is missing, and check it. ImageNet: count and
    decode every image, and report the bad ones; a second run decodes only what changed."""
    from repro.commands.data import prepare

    prepare(name, data_dir, resize, cache_dir)


@runs_app.command("list")
@takes(*READING, "seeds", "arch")
def runs_list(
    options: Options,
    names: Artifacts = None,
    state: Annotated[
        str | None,
        typer.Option(help="done, diverged, begun or missing alone", autocompletion=offer(RUN_STATES)),
    ] = None,
    as_json: Json = False,
) -> None:
    """Every Run: key, what it is, state, accuracy."""
    from repro.commands.runs import list_runs

    list_runs(options, names or [], state, as_json)


@runs_app.command("show")
@takes(*READING, "seeds")
def runs_show(
    options: Options,
    key: Annotated[str, typer.Argument(help="the Run's key, or how it begins")],
    as_json: Json = False,
) -> None:
    """One Run: what it is, what it came to, where its files and checkpoints are and how they are loaded."""
    from repro.commands.runs import show_run

    show_run(options, key, as_json)


@runs_app.command("export")
@takes(*READING, "seeds")
def runs_export(
    options: Options,
    file: Annotated[Path, typer.Argument(help="the file to write, runs.zip for instance")],
    names: Artifacts = None,
    max_size: Annotated[str, typer.Option(help="largest file; more go into numbered ones")] = "1GiB",
    left_only: Annotated[
        bool, typer.Option("--left-only", help="only the checkpoints that Runs still to be trained grow from")
    ] = False,
    with_states: Annotated[
        bool,
        typer.Option("--with-states", help="also where Runs stand that are under way, to go on with elsewhere"),
    ] = False,
    with_final: Annotated[
        bool, typer.Option("--with-final", help="also the final weights that --keep-final kept")
    ] = False,
) -> None:
    """Write finished Runs, and the checkpoints that others grow from, to FILE."""
    from repro.commands.transfer import export_runs

    export_runs(options, names or [], file, max_size, left_only, with_states, with_final)


@runs_app.command("import")
def runs_import(
    files: Annotated[list[Path], typer.Argument(help="files that `repro runs export` wrote")],
    runs_dir: RunsDir = None,
    out: Out = None,
    ship: Annotated[bool, typer.Option("--ship", help="checkpoints into the DVC remote that git keeps")] = False,
) -> None:
    """Take over Runs, each into the profile that asks for it; one that is finished here is never replaced."""
    from repro.commands.transfer import import_runs

    import_runs(Options(runs_dir=runs_dir, out=out), files, ship)


@runs_app.command("train")
@takes(*WORKING, checked=False)  # its machine may be another than the one that it was asked from
def runs_train(
    options: Options,
    key: Annotated[str, typer.Argument(help="the Run's key, or how it begins; --dry-run lists keys")],
    names: Artifacts = None,
    given: Annotated[str | None, typer.Option("--options", hidden=True)] = None,  # JSON, in place of all others
) -> None:
    """Train one Run by its key: what each worker of --workers does. Leaves the ledger to the command that asks."""
    from repro.launch import worker

    worker.train_run(Options.of_worker(given) if given else options, names or [], key)
