"""Read results from Python: finished Runs as rows of a table, kept checkpoints as networks (docs/api.md).

Imports no torch until a checkpoint is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro import artifacts, files, places
from repro.config.recipe import ARCHS
from repro.errors import MissingInput, UsageError
from repro.options import Options
from repro.run import ancestors
from repro.store import CHECKPOINT, HASH, Kept, Store
from repro.workspace import Workspace

if TYPE_CHECKING:
    from torch import nn

    from repro.pruning import Masks

Spec = Mapping[str, Any]
SHOWN = 5  # Runs that a message names
DETAILS = ("curve", "start", "probe", "checkpoints", "provenance")


def runs(artifact: str | None = None, profile: str = "paper", details: bool = False) -> list[dict[str, Any]]:
    """List the finished Runs of a profile, one flat dictionary each: `pandas.DataFrame(repro.runs())` is a table.

    Each has the Run's ``key``, ``label`` and ``status`` (``done`` or ``diverged``), its `coordinates`, its results
    and its ``spec``. ``top1``, ``best_top1`` and ``train_top1`` are accuracies in per cent, None if the Run
    diverged; ``mask_distance`` is a share of positions.

    Args:
        artifact: the name of a figure or table, whose Runs alone are listed ("fig1"); None lists all.
        profile: a profile of params.yaml, which is also the name of the folder in results/.
        details: add ``curve`` (values by epoch), ``start``, ``probe``, ``checkpoints`` and ``provenance``.

    Raises:
        UsageError: there is no such artifact or profile, or a ledger is damaged.
    """
    work = Workspace(Options(profile=profile), [artifact] if artifact else [])
    records = work.store.records()
    specs = {record.key: record.spec for record in records}
    if artifact:
        (own,) = work.artifacts
        keys = {run.key for run in work.runs(own, work.seeds_of(own))}
        records = [record for record in records if record.key in keys]
    fields = ("key", "label", "status", "top1", "best_top1", "best_epoch", "train_top1", "spec")
    return [
        {
            **coordinates(record.spec, specs),
            **{name: getattr(record, name) for name in (*fields, *(DETAILS if details else ()))},
            "mask_distance": record.start.get("mask_distance"),
        }
        for record in records
    ]


def checkpoint(
    artifact: str, *, profile: str = "paper", seed: int = 0, epoch: int | None = None, **where: Any
) -> tuple[nn.Module, Masks | None]:
    """Load a kept checkpoint of one Run of a figure or table: `repro.checkpoint("fig1", s=100, v=20)`.

    Args:
        artifact: the figure or table, "fig1" for instance.
        profile: a profile of params.yaml.
        seed: the Run's seed.
        epoch: the number of epochs trained; None takes the last checkpoint that is kept.
        where: `coordinates` that single out one Run: ``s=100, v=20``, ``arch="resnet56"``, ``window="100-150"``.
            A Run from which the artifact's own Runs start is found as well (``experiment="dense"``).

    Returns:
        The network, float32 on the CPU, and its masks as `load_checkpoint` returns them.

    Raises:
        UsageError: no Run, or more than one, has these coordinates.
        MissingInput: the Run has no kept checkpoint at ``epoch``, or its file is damaged.
    """
    work = Workspace(Options(profile=profile), [artifact])
    own = work.runs(artifacts.get(artifact), [seed])
    every = ancestors(own)
    specs = {run.key: run.spec() for run in every}
    known = [coordinates(spec, specs) for spec in specs.values()]
    if unknown := [name for name in where if known and name not in known[0]]:
        raise UsageError(f"'{unknown[0]}' is no coordinate of a Run; there are {', '.join(known[0])}")
    fits = [run for run, at in zip(every, known, strict=True) if all(at[name] == where[name] for name in where)]
    found = [run for run in fits if run in own] or fits
    if len(found) == 1:
        return load_checkpoint(found[0].key, epoch)
    asked = ", ".join(f"{name}={value!r}" for name, value in where.items()) or "no coordinates"
    what = f"{artifact} of profile {profile}, seed {seed}, {asked}"
    if not found:
        ranges = []
        for name in where:
            values = dict.fromkeys(at[name] for at in known if at[name] is not None)
            ranges.append(f"{name} is one of {', '.join(map(str, values)) or 'none'}")
        raise UsageError(f"{what}: no such Run; {'; '.join(ranges)}")
    some = ", ".join(run.label for run in found[:SHOWN]) + (", ..." if found[SHOWN:] else "")
    raise UsageError(f"{what}: {len(found)} Runs match: {some}")


def load_checkpoint(place: str | Path, epoch: int | None = None) -> tuple[nn.Module, Masks | None]:
    """Load a trained network from a checkpoint's file, or by the key of its Run.

    Args:
        place: a file, or a Run's key or how it begins; its checkpoint is searched in runs/ and in results/.
        epoch: the number of epochs trained; None takes the last checkpoint that is kept.

    Returns:
        The network, float32 on the CPU, and its masks by the names of its weights, bool, True where a weight
        stays. The masks of a dense network are None.

    Raises:
        MissingInput: there is no such checkpoint, or its file is damaged.
        UsageError: the key begins the keys of several Runs, or the file holds another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    from repro import nets
    from repro.engine.network import masks_of

    file = Path(place)
    name, path = Kept(file.name, file) if file.is_file() else _find(str(place), epoch)
    content, named = path.read_bytes(), CHECKPOINT.fullmatch(name)
    if named and files.sha256(content)[:HASH] != named[2]:
        raise MissingInput(f"{path} is damaged: its content does not match the hash in its name")
    try:
        tensors = load(content)
    except SafetensorError as error:
        raise UsageError(f"{path}: not a safetensors file ({error})") from None
    arch = nets.arch_of(tensors)
    if arch is None:
        raise UsageError(f"{place}: not a checkpoint of {', '.join(ARCHS)}")
    model = nets.build(arch, seed=0)
    model.load_state_dict(tensors)
    return model, masks_of(tensors)


def coordinates(spec: Spec, specs: Mapping[str, Spec]) -> dict[str, Any]:
    """Return what tells a Run from its neighbours in figures and tables; None where it does not apply.

    ``s`` and ``v`` are the epochs that mask and weights come from, ``window`` is gradual pruning's ("100-150"),
    ``rounds`` counts the prunings of iterative pruning, ``sparsity`` is the share pruned at the end, ``rate`` the
    learning rate at the start, ``examples`` the number of random labels. ``specs`` has the parents' by key.
    """
    mask, weights, recipe, data = (spec[name] for name in ("mask", "weights", "recipe", "data"))
    inherits = mask is not None and mask["sparsity"] is None
    pruned = specs.get(mask["run"]) if inherits else spec  # the Run that pruned step by step
    steps = pruned["prune_at"] if pruned else ()
    rounds, chain = 0, spec
    while chain and chain["mask"]:
        rounds, chain = rounds + 1, specs.get(chain["mask"]["run"], {})
    ranked = mask is not None and not inherits and not steps
    return {
        "experiment": spec["experiment"].removesuffix(f"-{spec['arch']}"),
        "arch": spec["arch"],
        "seed": spec["seed"],
        "s": mask["epoch"] if ranked else None,
        "v": weights["epoch"] if ranked and weights else None,
        "window": f"{pruned['first_epoch']}-{pruned['last_epoch']}" if pruned and steps else None,
        "rounds": rounds if rounds > 1 and not inherits else None,
        "sparsity": steps[-1][1] if steps else mask["sparsity"] if mask else 0.0,
        "rate": recipe["lr"],
        "batch_size": recipe["batch_size"],
        "examples": None if data["labels"] == "true" else data["train"],
        "first_epoch": spec["first_epoch"],
        "last_epoch": spec["last_epoch"],
    }


def _find(key: str, epoch: int | None) -> Kept:
    """Return the file of a Run's kept checkpoint, by default the last one's."""
    root = places.find_root()
    if not re.fullmatch(r"[0-9a-f]+", key):
        raise MissingInput(f"no file {key}, and no Run has such a key")
    ledgers = [folder / "runs.jsonl" for folder in sorted(root.glob("results/*/"))]
    by_key = Store(root / "runs", root / "results" / "runs.jsonl", ledgers).checkpoints("*", f"{key}*")
    if len(by_key) > 1:
        raise UsageError(f"'{key}' begins the keys of {len(by_key)} Runs: {', '.join(sorted(by_key)[:SHOWN])}")
    kept: dict[int, Kept] = next(iter(by_key.values()), {})
    wanted = max(kept, default=None) if epoch is None else epoch
    if wanted not in kept:
        at = "" if epoch is None else f" at epoch {epoch}"
        has = f"it has epochs {', '.join(map(str, sorted(kept)))}" if kept else "no checkpoint of it is kept"
        raise MissingInput(f"no checkpoint of Run {key}{at} in {root / 'runs'} and {root / 'results'}: {has}")
    return kept[wanted]
