"""This command line's own commands, based on typer's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperOption

from repro.errors import NobodyReads, UsageError

_PANELS = {
    "What": ("profile", "arch", "seeds", "overrides", "params_file", "ignore_shipped", "with_iterative"),
    "Where": ("data_dir", "runs_dir", "out", "folder"),
    "How": ("device", "precision", "strategy", "wave", "time_budget", "keep_final"),
    "Many at a time": ("gpus", "workers", "launcher", "slurm"),
}
"""Headings in the help, with the options under each."""


class Command(TyperCommand):
    """A command that refuses empty values (a script's unset variable) and shows no types in its help."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return options and arguments, options with the heading of their panel."""
        params = super().get_params(ctx)
        panel_of = {name: panel for panel, names in _PANELS.items() for name in names}
        for param in params:
            if isinstance(param, TyperOption):
                param.metavar = param.metavar or ""
                param.rich_help_panel = param.rich_help_panel or panel_of.get(param.name)
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

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Typer would exit with 1 for a closed pipe, which has another meaning here."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise NobodyReads from None


class App(typer.Typer):
    """A typer application whose commands are `Command`."""

    def command(self, name: str | None = None, **given: Any) -> Callable[[Any], Any]:
        """See `typer.Typer.command`."""
        return super().command(name, **{"cls": Command, **given})
