"""The table of commands: each names a function that takes what the command line gives it."""

from __future__ import annotations

import importlib
import inspect

import pytest

from repro import options
from repro.cli.app import COMMANDS, Command, application
from repro.cli.options import OPTIONS

SHARED = set(inspect.signature(options.Options).parameters)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_a_command_calls_a_function_with_the_parameters_that_it_has(command: Command) -> None:
    module, _, name = command.function.partition(":")
    parameters = inspect.signature(getattr(importlib.import_module(module), name)).parameters
    given = {OPTIONS[word].parameter(word) for word in command.takes.split()}
    own = {parameter.name: parameter for parameter in given if parameter.name not in SHARED}
    assert {"options", *own} <= set(parameters)
    always = {name for name, parameter in own.items() if parameter.default is not None}
    needed = {name for name, parameter in parameters.items() if parameter.default is inspect.Parameter.empty}
    assert needed - {"options"} <= always, "what is not given is not passed"


def test_every_option_belongs_to_a_command() -> None:
    taken = {word for command in COMMANDS for word in command.takes.split()} | {"no-train"}  # of artifacts
    assert taken == set(OPTIONS)


def test_artifacts_come_first_in_the_help() -> None:
    names = [command.name for command in application().registered_commands]
    assert names[0] == "fig1" and names.index("table4") < names.index("reproduce")
