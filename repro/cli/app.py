"""The commands and their options, and nothing else. Imports no torch at start."""

from __future__ import annotations

import functools
import platform
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from repro import __version__, artifacts, signals
from repro import published as paper
from repro.cli import ending
from repro.cli.command import App
from repro.cli.groups import data_app, runs_app
from repro.cli.options import POOL, READING, TRAINING, DryRun, Json, Names, offer, profile_names, takes
from repro.config import recipe
from repro.options import Options
from repro.run import SEMANTICS

app = App(
    name="repro",
    help="Regenerates 'The Sooner the Better: Investigating Structure of Early Winning Lottery Tickets' and "
    "compares each number with the published one.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data_app, name="data")
app.add_typer(runs_app, name="runs")


def _artifact_command(artifact: artifacts.Artifact) -> Callable[..., None]:
    optional = ("with_iterative",) if artifact.optional else ()

    @takes(*TRAINING, *optional)
    def command(
        options: Options,
        dry_run: DryRun = False,
        no_train: Annotated[bool, typer.Option("--no-train", help="only render finished Runs")] = False,
        as_json: Json = False,
    ) -> None:
        from repro.commands.train import produce

        produce(options, [artifact.name], dry_run=dry_run, as_json=as_json, no_train=no_train)

    return command


@functools.cache
def _add_artifacts() -> None:
    """Add the artifacts' commands, first in the help. Raises `UsageError` if paper_tables/ cannot be read."""
    others = [*app.registered_commands]
    app.registered_commands.clear()
    for name, artifact in artifacts.IMPLEMENTED.items():
        place = artifacts.place(name)
        app.command(name, help=f"{place[0].upper()}{place[1:]}. {artifact.title}.")(_artifact_command(artifact))
    app.registered_commands.extend(others)


@app.command()
@takes(*(name for name in TRAINING if name != "arch"), "with_iterative")
def reproduce(options: Options) -> None:
    """The main command: render what the repository ships, then train and render everything that is missing;
    profile paper if CUDA and the data are available, else smoke."""
    from repro.commands.reproduce import reproduce

    reproduce(options)


@app.command()
@takes(*(name for name in TRAINING if name not in POOL))
def sprint(
    options: Options,
    names: Names = None,
    export: Annotated[Path, typer.Option(help="the file to write; further ones are numbered")] = Path("home.zip"),
    max_size: Annotated[str, typer.Option(help="largest file")] = "1GiB",
    max_total: Annotated[str | None, typer.Option(help="all files together; the most valuable come first")] = None,
    dry_run: DryRun = False,
) -> None:
    """Use a device for a limited time: train what decides most claims within --time-budget, and export everything,
    including unfinished Runs; `repro runs import` reads it, and the next device resumes."""
    from repro.commands.sprint import show, sprint

    if dry_run:
        show(options, names or [])
    else:
        sprint(options, names or [], export, max_size, max_total)


@app.command("list")
@takes(*READING)
def list_(options: Options, as_json: Json = False) -> None:
    """List every artifact of the paper: place, state, cost."""
    from repro.commands.results import list_artifacts

    list_artifacts(options, as_json)


@app.command()
@takes(*READING, "arch", "seeds", "device", "precision", "ignore_shipped", "with_iterative", "keep_final")
def plan(
    options: Options,
    names: Names = None,
    calibrate: Annotated[
        bool | None,
        typer.Option(
            "--calibrate/--no-calibrate",
            help="measure this device again, for some seconds, or not at all (default: only if unknown)",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show Runs needed, shared, done and left; epochs, images, time on this device, disk; the cost of one more
    seed, and cheaper alternatives for ImageNet."""
    from repro.commands.plan import show_plan

    show_plan(options, names or [], calibrate, as_json)


@app.command()
@takes(*READING)
def diff(
    options: Options,
    names: Names = None,
    as_json: Json = False,
    every: Annotated[bool, typer.Option("--all", help="every printed number, including those not run")] = False,
    no_fail: Annotated[bool, typer.Option("--no-fail", help="exit 0 for all verdicts")] = False,
    profiles: Annotated[
        str | None,
        typer.Option(
            help="compare hypotheses, for instance paper,paper-128; no verdict: exit 0",
            autocompletion=offer(profile_names),
        ),
    ] = None,
) -> None:
    """Compare reproduced and published numbers, cell by cell; exit 1 if cells are outside their band, 6 if no
    printed number has a result yet. Trains nothing."""
    if profiles is not None:
        from repro.commands import hypotheses

        hypotheses.show(options, names or [], profiles, as_json=as_json)
        return
    from repro.commands.diff import show

    code = show(options, names or [], as_json=as_json, every=every)
    if code and not no_fail:
        raise typer.Exit(code)


@app.command()
@takes("profile", "data_dir", "device", "precision", "time_budget", "overrides", checked=False)
def ticket(
    options: Options,
    arch: Annotated[
        str | None,
        typer.Option(
            help="a network of this project: resnet20 or resnet56", autocompletion=offer(recipe.CIFAR_ARCHS)
        ),
    ] = None,
    network: Annotated[str | None, typer.Option(help="your own network: package.module:function")] = None,
    sparsity: Annotated[
        float | None, typer.Option(help="share of weights to prune (default: the profile's)")
    ] = None,
    check_every: Annotated[
        int | None, typer.Option(help="epochs between PPR checks (default: a fortieth of the schedule)")
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help="checks without a gain until PPR is settled (default: those in 15 % of the schedule, at least 2)"
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            help="accuracy points that do not count as a gain (default: 25 / sqrt(test images), 0.25 for 10,000)"
        ),
    ] = None,
    baselines: Annotated[
        list[str] | None,
        typer.Option(
            "--baseline",
            "--beside",
            help="also train one-shot or iterative; may be repeated (default: none; smoke: one-shot)",
            autocompletion=offer(("one-shot", "iterative", "none")),
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="seed of initialisation and data order")] = 0,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder", "--out", help="where the search is kept (default: runs/search/<network>-<profile>-...)"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """The paper's strategy as a tool: find an early winning ticket of a network, including your own."""
    from repro.ticket import command

    command.ticket(
        options, arch=arch, network=network, sparsity=sparsity, check_every=check_every, patience=patience,
        tolerance=tolerance, baselines=baselines, seed=seed, folder=folder, as_json=as_json,
    )  # fmt: skip


@app.command()
@takes(*READING, "seeds")
def claims(
    options: Options,
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            help="ids of claims to explain in detail; all claims by default",
            metavar="[CLAIM]...",
            autocompletion=offer(lambda: [claim.id for claim in paper.claims()]),
        ),
    ] = None,
    of_published: Annotated[
        bool, typer.Option("--published", help="judge the paper's printed numbers alone")
    ] = False,
    as_json: Json = False,
) -> None:
    """Judge the paper's sentences, each by its statistic: holds, fails or undecided. Trains nothing."""
    from repro.commands.report import show_claims

    show_claims(options, ids or (), of_published=of_published, as_json=as_json)


@app.command()
@takes(*READING, "seeds")
def report(options: Options, as_json: Json = False) -> None:
    """Write a self-contained page, index.html, and a README.md from the results: what holds, what does not."""
    from repro.commands.report import write_report
    from repro.workspace import reading

    write_report(reading(options), as_json)


@app.command()
def published(
    name: Annotated[
        str | None,
        typer.Argument(
            help="an artifact, all by default",
            metavar="[ARTIFACT]",
            autocompletion=offer(paper.PRINTED + paper.CURVES),
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the numbers that the paper prints."""
    from repro.commands.results import show_published

    show_published(name, as_json)


@app.command()
@takes("profile", "data_dir", "runs_dir", "out", checked=False)
def doctor(options: Options, as_json: Json = False) -> None:
    """Check device, driver, versions, data and disk; exit 3 if there is a problem."""
    from repro.commands.doctor import report

    if report(options, as_json):
        raise typer.Exit(3)


def _print_version(asked: bool) -> None:
    if asked:
        torch = metadata.version("torch").partition("+")[0]
        python = platform.python_version()
        print(f"repro {__version__}; torch {torch}; Python {python}; keys of semantics {SEMANTICS}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print versions and exit")
    ] = False,
) -> None:
    signals.raise_interrupted()


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line; an error that a user can act on is one line on stderr and an exit code."""
    words = sys.argv[1:] if arguments is None else arguments

    def command() -> int | None:
        _add_artifacts()
        for artifact in artifacts.load_others():
            app.command(artifact.name, help=f"{artifact.title}.")(_artifact_command(artifact))
        code: int | None = app(args=words, prog_name="repro", standalone_mode=False)
        return code

    ending.run(command, words)


if __name__ == "__main__":
    main()
