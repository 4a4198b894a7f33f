"""`repro ticket`: the paper's strategy on a network of this project or of the user."""

from __future__ import annotations

import json
import math
import os
import pkgutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import nn

from repro import data, files, nets
from repro.config import params
from repro.config.recipe import CIFAR_ARCHS
from repro.data.batches import DeviceImages, seed_of
from repro.engine import device as devices
from repro.errors import BudgetSpent, UsageError, one_line
from repro.machine import stdout_to_stderr
from repro.options import Options
from repro.places import find_root, params_file
from repro.report import terminal
from repro.report.progress import Progress
from repro.report.tables import Table
from repro.ticket.result import COUNTED, Event, write
from repro.ticket.search import find_ticket
from repro.ticket.search_spec import ONE_SHOT, SearchOptions
from repro.words import counted
from repro.workspace import data_folders

# The smoke profile's four epochs are too few for a plateau.
SMOKE = {"recipe.epochs": 8, "recipe.milestones": [4, 6], "recipe.batch_size": 32}
SETTINGS = ("data", "recipe", "precision", "sparsity")
"""What a search takes from a profile."""
CHECKS = 40  # PPR checks over a whole schedule, about


def ticket(
    options: Options,
    *,
    network: str | None = None,
    sparsity: float | None = None,
    check_every: int | None = None,
    patience: int | None = None,
    tolerance: float | None = None,
    baselines: Sequence[str] | None = None,
    seed: int = 0,
    folder: Path | None = None,
    as_json: bool = False,
) -> None:
    """Find a ticket, write ticket.json, .md and .png into ``folder`` and print the table.

    ``baselines`` None means one-shot in the smoke profile and none elsewhere. The network's output goes to stderr.
    Raises `UsageError` for a wrong option, `MissingInput` without the data, `BudgetSpent` if the time budget
    ends before the search: the same call resumes.
    """
    log, data_dir, arch = terminal.console(stderr=True), options.data_dir, options.arch
    changes = dict(params.parse_override(text) for text in options.overrides)
    changes |= {"precision": options.precision} if options.precision else {}
    for dotted in changes:
        if (key := dotted.partition(".")[0]) not in SETTINGS:
            raise UsageError(f"--set {dotted}: a search has no key '{key}'; it has {', '.join(SETTINGS)}")
    profile = options.profile or params.load(params_file()).profile
    own = params.settings(params_file(), profile, {**(SMOKE if profile == "smoke" else {}), **changes}).profile
    recipe = own.recipe
    if arch is not None and network is not None:
        raise UsageError("--arch and --network: choose one")
    if arch not in (None, *CIFAR_ARCHS):
        known = ", ".join(CIFAR_ARCHS)
        raise UsageError(f"unknown arch '{arch}' for CIFAR-10; there are {known}; --network takes any other")
    if network is None:
        name = arch or CIFAR_ARCHS[0]
        model = nets.build(name, seed).to(memory_format=torch.channels_last)  # type: ignore[call-overload] # faster
    else:
        name, model = network, own_network(network, seed)
    # --data-dir asks for CIFAR-10, also if the profile is synthetic.
    source = "cifar10" if data_dir else own.data.name
    if source == "synthetic":
        log.print("synthetic images: the numbers show that it works, and nothing about real ones", markup=False)
    root, place = find_root(), devices.choose(options.device).torch
    found = data.load(source, data_folders(data_dir, root))
    train_set = DeviceImages(found.train.first(own.data.train), found.statistics, place)
    test_set = DeviceImages(found.test.first(own.data.test), found.statistics, place)
    given = {
        "sparsity": sparsity, "data_dir": data_dir,
        "check_every": check_every, "patience": patience, "tolerance": tolerance,
    }  # fmt: skip
    changed = changes | {key: value for key, value in given.items() if value is not None}
    where = folder or _folder(root, name, profile, seed, changed)
    if baselines is None:
        baselines = [ONE_SHOT] if profile == "smoke" else []
    search = SearchOptions(
        check_every=max(1, recipe.epochs // CHECKS) if check_every is None else check_every,
        patience=patience, tolerance=tolerance, seed=seed, device=options.device, precision=own.precision,
    )  # fmt: skip
    sparsity = own.sparsity if sparsity is None else sparsity
    with SearchProgress(log, options.deadline) as told, stdout_to_stderr():
        result = find_ticket(
            model, train_set, test_set, recipe, sparsity,
            baselines=[name for name in baselines if name != "none"], folder=where, on_event=told, options=search,
        )  # fmt: skip
    on = f"{source}, {len(train_set):,} training and {len(test_set):,} test images"
    title = f"{name} on {on}, {recipe.epochs} epochs, batch {recipe.batch_size}"
    paths = write(result, title, profile, {"overrides": changes})
    if as_json:
        print(paths[0].read_text(), end="")
        return
    out = terminal.console()
    out.print(Table(*result.rows(), title))
    for sentence in (*result.sentences(), COUNTED.replace("`", "")):
        out.print(sentence, markup=False)
    print(f"written: {where / 'ticket'}.json, .md, .png and .safetensors (the network); masks.safetensors")


def own_network(spec: str, seed: int) -> nn.Module:
    """Import ``package.module:function`` and return its network, initialised from ``seed``.

    The current folder is searched first. Raises `UsageError` if there is no such function, or if it does not
    return a network.
    """
    module, _, function = spec.partition(":")
    if not (module and function):
        raise UsageError(
            f"--network {spec}: write package.module:function, torchvision.models:resnet18 for instance"
        )
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        with torch.random.fork_rng(devices=[]), stdout_to_stderr():
            build_network = pkgutil.resolve_name(spec)
            torch.default_generator.manual_seed(seed_of("ticket network", spec, seed))
            model = build_network()
    except (Exception, SystemExit) as error:  # whatever the user's code does
        raise UsageError(f"--network {spec} fails: {one_line(error)}") from None
    if not isinstance(model, nn.Module):
        raise UsageError(f"--network {spec}: {function}() gives {type(model).__name__}, not a torch.nn.Module")
    return model


def _folder(root: Path, name: str, profile: str, seed: int, changes: dict[str, Any]) -> Path:
    """Return the folder of a search; changed settings have another one."""
    text = json.dumps(changes, sort_keys=True, default=str)
    suffix = f"+{files.sha256(text.encode())[:6]}" if changes else ""
    return root / "runs" / "search" / f"{name.replace(':', '.')}-{profile}-seed{seed}{suffix}"


class SearchProgress(Progress):
    """An observer for `find_ticket`, and a context manager that stops the bar at the end.

    Raises `BudgetSpent` once the next epoch would end after ``deadline`` (on `time.monotonic`'s clock) if it took
    as long as the last one.
    """

    LEFT = "left for everything at most"

    def __init__(self, console: Console, deadline: float = math.inf) -> None:
        super().__init__(console)
        self._deadline = deadline
        self._previous = time.monotonic()
        self._earlier: int | None = None  # epochs that earlier calls trained

    def __enter__(self) -> SearchProgress:
        self.open("dense: epoch 1 begins", None)
        return self

    def __exit__(self, *error: object) -> None:
        self.ended()

    def __call__(self, event: Event) -> None:
        if event.kind not in ("epoch", "check"):
            self.said(str(event))
            return
        now, previous = time.monotonic(), self._previous
        self._previous = now
        if self._earlier is None:
            self._earlier = event.spent - 1
        done = max(1, event.spent - self._earlier)
        self._total = done + event.left
        speed = "" if event.images_per_second is None else f"{event.images_per_second:,.0f} images/s"
        self.show(str(event), speed, self.left(done), done=event.spent, total=event.spent + event.left)
        if event.left and 2 * now - previous > self._deadline:
            left_over = f"at most {counted(event.left, 'epoch')} left"
            raise BudgetSpent(f"the time budget is spent with {left_over}; run the same command again to resume")
