"""All commands, in one table, and the application that typer makes of it. Imports no torch at start."""

from __future__ import annotations

import dataclasses
import inspect
import pkgutil
import platform
import sys
from importlib import metadata
from typing import Annotated, Any, NamedTuple, NoReturn

import typer
from typer.core import TyperCommand, TyperOption

from repro import __version__, artifacts, signals
from repro.cli import ending
from repro.cli.options import OPTIONS, POOL, READING, TRAINING, check
from repro.errors import UsageError
from repro.options import Options
from repro.run import SEMANTICS


class Command(NamedTuple):
    """A command: its name (in a group: ``runs list``), the function that it calls, the names of its `OPTIONS`, and
    its help.

    The function takes an `Options`, and all other options by name; it returns an exit code, or None for 0. If
    ``checked``, what the options name must exist."""

    name: str
    function: str
    takes: str
    help: str
    checked: bool = True


COMMANDS = (
    Command(
        "reproduce",
        "repro.commands.reproduce:reproduce",
        f"{TRAINING} {POOL} with-iterative",
        "The main command: render what the repository ships, then train and render everything that is missing; "
        "profile paper if CUDA and the data are available, else smoke.",
    ),
    Command(
        "sprint",
        "repro.commands.sprint:sprint",
        f"ARTIFACTS export max-size max-total dry-run {TRAINING} arch",
        "Use a device for a limited time: train what decides most claims within --time-budget, and export "
        "everything, including unfinished Runs; `repro runs import` reads it, and the next device resumes.",
    ),
    Command(
        "list",
        "repro.commands.results:list_artifacts",
        f"json {READING}",
        "List every artifact of the paper: place, state, cost.",
    ),
    Command(
        "plan",
        "repro.commands.plan:show_plan",
        f"ARTIFACTS calibrate json {READING} arch seeds ignore-shipped with-iterative device precision keep-final",
        "Show Runs needed, shared, done and left; epochs, images, time on this device, disk; the cost of one more "
        "seed, and cheaper alternatives for ImageNet.",
    ),
    Command(
        "diff",
        "repro.commands.results:diff",
        f"ARTIFACTS json all no-fail profiles {READING}",
        "Compare reproduced and published numbers, cell by cell; exit 1 if cells are outside their band, 6 if no "
        "printed number has a result yet. Trains nothing.",
    ),
    Command(
        "ticket",
        "repro.ticket.command:ticket",
        "cifar-arch network sparsity check-every patience tolerance baseline seed folder json "
        "profile set data-dir device precision time-budget",
        "The paper's strategy as a tool: find an early winning ticket of a network, including your own.",
        checked=False,
    ),
    Command(
        "claims",
        "repro.commands.report:show_claims",
        f"CLAIMS published json {READING} seeds",
        "Judge the paper's sentences, each by its statistic: holds, fails or undecided. Trains nothing.",
    ),
    Command(
        "report",
        "repro.commands.report:report",
        f"json {READING} seeds",
        "Write a self-contained page, index.html, and a README.md from the results: what holds, what does not.",
    ),
    Command(
        "published",
        "repro.commands.results:show_published",
        "PRINTED json",
        "Show the numbers that the paper prints.",
    ),
    Command(
        "doctor",
        "repro.commands.doctor:report",
        "json profile data-dir runs-dir out",
        "Check device, driver, versions, data and disk; exit 3 if there is a problem.",
        checked=False,
    ),
    Command(
        "data status",
        "repro.commands.data:status",
        "DATA_SET json data-dir",
        "Check whether a data set is present, complete and the official one.",
        checked=False,
    ),
    Command(
        "data prepare",
        "repro.commands.data:prepare",
        "DATA_SET resize cache-dir data-dir",
        "CIFAR-10: download it with torchvision (md5-checked) if it is missing, and check it. ImageNet: count and "
        "decode every image, and report the bad ones; a second run decodes only what changed.",
        checked=False,
    ),
    Command(
        "runs list",
        "repro.commands.runs:list_runs",
        f"artifact state json {READING} seeds arch",
        "List all Runs: key, label, state, accuracy.",
    ),
    Command(
        "runs show",
        "repro.commands.runs:show_run",
        f"KEY json {READING} seeds",
        "Show one Run: spec, result, files and checkpoints, and how to load them.",
    ),
    Command(
        "runs export",
        "repro.commands.runs:export_runs",
        f"FILE artifact max-size left-only with-states with-final {READING} seeds",
        "Write finished Runs, and the checkpoints that other Runs start from, to FILE.",
    ),
    Command(
        "runs import",
        "repro.commands.runs:import_runs",
        "FILES ship runs-dir out",
        "Import Runs, each into the profile that contains it; a Run that is finished here is never replaced.",
    ),
    Command(
        "runs train",
        "repro.launch.worker:train_run",
        f"KEY artifact options {TRAINING} arch gpus with-iterative",
        "Train one Run by its key (--dry-run of an artifact lists keys), as each worker of --workers does. Writes "
        "nothing to the ledger.",
        checked=False,  # it may run on another machine than its driver
    ),
)
GROUPS = {
    "data": "CIFAR-10 and ImageNet: check and prepare.",
    "runs": "Single Runs: list, show, train, move between machines.",
}


def application() -> typer.Typer:
    """Make the application: the artifacts, those of $REPRO_ARTIFACTS included, then all other commands.

    Raises `UsageError` if a user's file cannot be read."""
    app = typer.Typer(
        name="repro",
        help="Regenerates 'The Sooner the Better: Investigating Structure of Early Winning Lottery Tickets' and "
        "compares each number with the published one.",
        no_args_is_help=True,
        pretty_exceptions_show_locals=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    groups = {name: typer.Typer(help=help, no_args_is_help=True) for name, help in GROUPS.items()}
    for name, group in groups.items():
        app.add_typer(group, name=name)
    artifacts.load_others()
    for name, artifact in artifacts.IMPLEMENTED.items():
        text = f"{artifact.place or 'Not in the paper'}. {artifact.title}."
        takes = f"dry-run no-train json {TRAINING} {POOL} arch {'with-iterative' if artifact.optional else ''}"
        _add(app, Command(name, "repro.commands.train:produce", takes, text), names=[name])
    for command in COMMANDS:
        group_name, _, name = command.name.rpartition(" ")
        _add(groups.get(group_name, app), command._replace(name=name))
    return app


def _add(app: typer.Typer, command: Command, **always: Any) -> None:
    """Add ``command`` to ``app``; its module is imported when it is called. It is ``always`` given these."""
    shared = {field.name for field in dataclasses.fields(Options)}

    def call(**values: Any) -> int | None:
        given = {name: value for name, value in values.items() if value is not None}
        options = Options(**{name: given.pop(name) for name in shared & given.keys()})
        if command.checked:
            check(options)
        code: int | None = pkgutil.resolve_name(command.function)(options, **given, **always)
        return code

    takes = command.takes.split()
    parameters = [option.parameter(name) for name, option in OPTIONS.items() if name in takes]
    # Typer reads a command's options from its signature.
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    app.command(command.name, cls=_Command, help=command.help)(call)


class _Command(TyperCommand):
    """A command that refuses empty values (a script's unset variable) and shows no types in its help."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return options and arguments."""
        params = super().get_params(ctx)
        for param in params:
            if isinstance(param, TyperOption):
                param.metavar = ""
        return params

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line. Raises `UsageError` for an option or argument with an empty value."""
        given, _, _ = self.make_parser(ctx).parse_args(list(args))
        options = {flag for param in self.params for flag in param.opts if flag in args}
        for param in self.params:
            value = given.get(param.name)
            for text in value if isinstance(value, list | tuple) else [value]:
                if isinstance(text, str) and (not text.strip() or text in options):
                    name, omit = (param.metavar or param.name.upper()).strip("[]."), ""
                    if isinstance(param, TyperOption):
                        name, omit = param.opts[0], ", or omit it"
                    raise UsageError(f"{name} is empty (an unset variable?): give a value{omit}")
        return super().parse_args(ctx, args)


def _print_version(asked: bool) -> None:
    if asked:
        torch = metadata.version("torch").partition("+")[0]
        python = platform.python_version()
        print(f"repro {__version__}; torch {torch}; Python {python}; keys of semantics {SEMANTICS}")
        raise typer.Exit


def _root(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print versions and exit")
    ] = False,
) -> None:
    signals.raise_interrupted()


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line; an error that a user can act on is one line on stderr and an exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    ending.run(lambda: application()(args=words, prog_name="repro", standalone_mode=False), words)
