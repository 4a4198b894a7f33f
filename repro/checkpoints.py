"""Kept checkpoints as networks, for who reads results from Python (docs/library.md)."""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor, nn

from repro import files, nets, places
from repro.engine.network import masks_of
from repro.errors import MissingInput, UsageError
from repro.pruning import Masks
from repro.store import CHECKPOINT, HASH, Kept, checkpoints_of


def load(place: str | Path, epoch: int | None = None) -> tuple[nn.Module, Masks | None]:
    """The network of a checkpoint, float32 on the CPU, and its masks by the name of their weight, True where it
    stays; None for a dense network.

    ``place`` is a checkpoint's file, or a Run's key (or how it begins), which is looked for in runs/ and in the
    checkpoints of results/; ``epoch`` is then the one wanted (default: the last that is kept). Raises
    `MissingInput` where it is not there or damaged, `UsageError` for a key of several Runs, or another network's
    file.
    """
    kept = Kept(Path(place).name, Path(place)) if Path(place).is_file() else find(str(place), epoch)
    tensors = _read(kept)
    arch = nets.arch_of(tensors)
    if arch is None:
        raise UsageError(f"{kept.path}: not a checkpoint of {', '.join(nets.BUILDERS)}")
    model = nets.build(arch, seed=0)
    model.load_state_dict(tensors)
    return model, masks_of(tensors)


def find(key: str, epoch: int | None = None) -> Kept:
    """The file of a Run's kept checkpoint, the last one's by default."""
    root = places.find_root()
    if not re.fullmatch(r"[0-9a-f]+", key):
        raise MissingInput(f"no file {key}, and no Run has such a key")
    found = checkpoints_of(key, root / "runs", sorted(root.glob("results/*/")))
    if len(found) > 1:
        raise UsageError(f"'{key}' begins the keys of {len(found)} Runs: {', '.join(sorted(found)[:5])}")
    there: dict[int, Kept] = next(iter(found.values()), {})
    wanted = max(there, default=None) if epoch is None else epoch
    if wanted not in there:
        at = "" if epoch is None else f" at epoch {epoch}"
        has = f"it has epochs {', '.join(map(str, sorted(there)))}" if there else "no checkpoint of it is kept"
        raise MissingInput(f"no checkpoint of Run {key}{at} in {root / 'runs'} and {root / 'results'}: {has}")
    return there[wanted]


def _read(kept: Kept) -> dict[str, Tensor]:
    """The tensors of a file, whose content is checked where its name tells the hash."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    content = kept.path.read_bytes()
    named = CHECKPOINT.fullmatch(kept.name)
    if named and files.sha256(content)[:HASH] != named[2]:
        raise MissingInput(f"{kept.path} is damaged: its content is not what its name says")
    try:
        found: dict[str, Tensor] = load(content)
    except SafetensorError as error:
        raise UsageError(f"{kept.path}: no safetensors file ({error})") from None
    return found
