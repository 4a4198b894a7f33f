"""`repro data ...` and `repro runs ...`: commands and their options. Imports no torch at start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repro.cli.command import App
from repro.cli.options import POOL, READING, SHARED, Artifacts, Json, offer, takes
from repro.options import RUN_STATES, Options

data_app = App(help="CIFAR-10 and ImageNet: check and prepare.", no_args_is_help=True)
runs_app = App(help="Single Runs: list, show, train, move between machines.", no_args_is_help=True)
DataSet = Annotated[str, typer.Argument(help="cifar10 or imagenet", autocompletion=offer(("cifar10", "imagenet")))]


@data_app.command("status")
@takes("data_dir", checked=False)
def data_status(options: Options, name: DataSet = "cifar10", as_json: Json = False) -> None:
    """Check whether a data set is present, complete and the official one."""
    from repro.commands.data import status

    status(name, options.data_dir, as_json)


@data_app.command("prepare")
@takes("data_dir", checked=False)
def data_prepare(
    options: Options,
    name: DataSet = "cifar10",
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

    prepare(name, options.data_dir, resize, cache_dir)


@runs_app.command("list")
@takes(*READING, "seeds", "arch")
def runs_list(
    options: Options,
    names: Artifacts = None,
    state: Annotated[
        str | None,
        typer.Option(help="only done, diverged, begun or missing", autocompletion=offer(RUN_STATES)),
    ] = None,
    as_json: Json = False,
) -> None:
    """List all Runs: key, label, state, accuracy."""
    from repro.commands.runs import list_runs

    list_runs(options, names or [], state, as_json)


@runs_app.command("show")
@takes(*READING, "seeds")
def runs_show(
    options: Options,
    key: Annotated[str, typer.Argument(help="the Run's key, or its beginning")],
    as_json: Json = False,
) -> None:
    """Show one Run: spec, result, files and checkpoints, and how to load them."""
    from repro.commands.runs import show_run

    show_run(options, key, as_json)


@runs_app.command("export")
@takes(*READING, "seeds")
def runs_export(
    options: Options,
    file: Annotated[Path, typer.Argument(help="the file to write, runs.zip for instance")],
    names: Artifacts = None,
    max_size: Annotated[str, typer.Option(help="largest file; further ones are numbered")] = "1GiB",
    left_only: Annotated[
        bool, typer.Option("--left-only", help="only checkpoints that missing Runs start from")
    ] = False,
    with_states: Annotated[
        bool,
        typer.Option("--with-states", help="also resume states of unfinished Runs"),
    ] = False,
    with_final: Annotated[
        bool, typer.Option("--with-final", help="also final weights kept by --keep-final")
    ] = False,
) -> None:
    """Write finished Runs, and the checkpoints that other Runs start from, to FILE."""
    from repro.commands.transfer import export_runs

    export_runs(options, names or [], file, max_size, left_only, with_states, with_final)


@runs_app.command("import")
@takes("runs_dir", "out")
def runs_import(
    options: Options,
    files: Annotated[list[Path], typer.Argument(help="files that `repro runs export` wrote")],
    ship: Annotated[bool, typer.Option("--ship", help="add checkpoints to the DVC remote in git")] = False,
) -> None:
    """Import Runs, each into the profile that contains it; a Run that is finished here is never replaced."""
    from repro.commands.transfer import import_runs

    import_runs(options, files, ship)


@runs_app.command("train")
@takes(*set(SHARED).difference(POOL[1:]), checked=False)  # it may run on another machine than its driver
def runs_train(
    options: Options,
    key: Annotated[str, typer.Argument(help="the Run's key, or its beginning; --dry-run lists keys")],
    names: Artifacts = None,
    given: Annotated[str | None, typer.Option("--options", hidden=True)] = None,  # JSON, instead of all others
) -> None:
    """Train one Run by its key, as each worker of --workers does. Does not write to the ledger."""
    from repro.launch import worker

    worker.train_run(Options.of_worker(given) if given else options, names or [], key)
