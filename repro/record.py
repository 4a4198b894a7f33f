"""Record: the stored result of a finished Run, one line of the ledger. Pure: no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from repro import files
from repro.errors import UsageError
from repro.run import Run, key_of

DONE = "done"
DIVERGED = "diverged"
INF = math.inf
DIGITS = 7  # significant digits of a measured number
CURVE = (("epoch", "train_loss", "train_top1"), ("test_epoch", "test_top1"))
NEEDED = ("key", "label", "status", "spec", "top1", "best_top1", "best_epoch", "train_top1", "curve")
PROBED = ("w_std", "w_mean", "layer_rates")
PROVENANCE: dict[str, type | tuple[type, ...]] = {
    "seed": int, "wall_s": (int, float), "ended": str, "packages": dict, "parents": dict,
}  # fmt: skip


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no result of a Run")


def measured(value: float) -> float:
    """Round ``value`` to the digits that are stored."""
    return float(f"{value:.{DIGITS}g}")


def empty_curve() -> dict[str, list[float]]:
    """Return a Record's ``curve`` before the first epoch."""
    return {name: [] for together in CURVE for name in together}


@dataclass(frozen=True)
class Record:
    """The result of one Run and its origin. Accuracies are in per cent, losses in nats per image.

    ``top1`` is the test accuracy after the last epoch (the result), ``best_top1`` that of the best evaluated
    epoch. ``curve`` contains ``epoch``, ``train_loss`` and ``train_top1`` of each trained epoch, and
    ``test_epoch`` and ``test_top1`` of the evaluated ones. ``start`` describes the initial structure, ``probe``
    the weights after each epoch if the Run records them. ``status`` is ``done`` or ``diverged``.
    """

    key: str
    label: str
    status: str
    spec: dict[str, Any]
    top1: float | None
    best_top1: float | None
    best_epoch: int | None
    train_top1: float | None
    curve: dict[str, list[float]]
    start: dict[str, Any] = field(default_factory=dict)
    probe: dict[str, Any] = field(default_factory=dict)
    checkpoints: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def ended(cls, run: Run, status: str, curve: dict[str, list[float]], **kept: Any) -> Record:
        """Make the Record of a finished ``run``; ``kept`` are its other fields.

        If several epochs are equally good, ``best_epoch`` is the first. A diverged Run has no result."""
        tested = list(zip(curve["test_top1"], curve["test_epoch"], strict=True))
        best = max(tested, key=lambda pair: (pair[0], -pair[1]), default=(None, None))
        done = status == DONE
        return cls(
            key=run.key,
            label=run.label,
            status=status,
            spec=run.spec(),
            top1=tested[-1][0] if done and tested else None,
            best_top1=best[0],
            best_epoch=None if best[1] is None else int(best[1]),
            train_top1=curve["train_top1"][-1] if done and curve["train_top1"] else None,
            curve=curve,
            **kept,
        )

    def line(self) -> str:
        """Return the Record as one line of JSON, without the newline."""
        return json.dumps(vars(self), separators=(",", ":"), allow_nan=False)

    @classmethod
    def parse(cls, line: str) -> Record:
        """Parse a `line`. Raises ValueError for anything that is not a valid Record."""
        values = files.parse_json(line, _no_number)
        if not isinstance(values, dict):
            raise ValueError("not a JSON object")
        for name in (*NEEDED, *values):
            if name not in values or name not in cls.__dataclass_fields__:
                raise ValueError(f"{'unknown' if name in values else 'no'} field '{name}'")
        record = cls(**values)
        for name, kind in (("key", str), ("label", str), ("spec", dict)):
            _expect(name, values[name], kind)
        if record.status not in (DONE, DIVERGED):
            raise ValueError(f"status: {DONE} or {DIVERGED} expected, not {record.status!r}")
        _expect("spec.seed", record.spec.get("seed", 0), int)
        for name in ("top1", "best_top1", "best_epoch", "train_top1"):
            if values[name] is not None:
                _expect_numbers(name, [values[name]])
        check_history(vars(record))
        return record

    def matches(self, run: Run) -> bool:
        """Return whether its ``spec`` is that of ``run``, of which the key is a hash."""
        return key_of(self.spec) == run.key

    @property
    def seed(self) -> int:
        """The Run's seed, from its provenance or else its spec."""
        return int(self.provenance.get("seed", self.spec.get("seed", 0)))

    @property
    def mask_distance(self) -> float:
        """Distance between the Run's mask and that of its own starting weights. Raises `UsageError` if unknown."""
        if "mask_distance" not in self.start:
            raise self.faulty("has no mask_distance")
        return float(self.start["mask_distance"])

    def faulty(self, what: str) -> UsageError:
        """Return an error for a Record that lacks something that its Run records."""
        return UsageError(f"the Record of {self.label} ({self.key}) {what}: restore its ledger from git")

    def top1_at(self, epoch: int) -> float | None:
        """Return the test accuracy after ``epoch`` epochs, if it was evaluated."""
        tested = dict(zip(self.curve["test_epoch"], self.curve["test_top1"], strict=True))
        return tested.get(epoch)


def check_history(values: Mapping[str, Any]) -> None:
    """Check ``curve``, ``start``, ``probe``, ``checkpoints`` and ``provenance`` of a Record or state.

    Raises ValueError, with its place, for a value of another kind, or a number that is not finite."""
    for name in ("curve", "start", "probe", "checkpoints", "provenance"):
        _expect(name, values.get(name), dict)
    curve, start, probe, provenance = (values[name] for name in ("curve", "start", "probe", "provenance"))
    for together in CURVE:
        _expect_columns({f"curve.{name}": curve.get(name) for name in together})
    for name in ("sparsity", "mask_distance"):
        _expect_numbers(f"start.{name}", [start.get(name, 0.0)])
    _expect("start.layer_rates", rates := start.get("layer_rates", {}), dict)
    _expect_numbers("start.layer_rates", rates.values())
    for name in PROBED if probe else ():
        _expect(f"probe.{name}", layers := probe.get(name), dict)
        columns = {f"probe.{name}.{layer}": column for layer, column in layers.items()}
        _expect_columns({"probe.epoch": probe.get("epoch"), **columns})
    for name, kind in PROVENANCE.items():
        if name in provenance:
            _expect(f"provenance.{name}", provenance[name], kind)


def _expect(place: str, value: Any, kind: type | tuple[type, ...]) -> None:
    if not isinstance(value, kind):
        names = [item.__name__ for item in (kind if isinstance(kind, tuple) else (kind,))]
        raise ValueError(f"{place}: {' or '.join(names)} expected, not {value!r:.40}")


def _expect_numbers(place: str, values: Iterable[Any], what: str = "a number") -> None:
    odd = [value for value in values if not isinstance(value, (int, float)) or not -INF < value < INF]
    if odd:
        raise ValueError(f"{place}: {what} expected, not {odd[0]!r:.40}")


def _expect_columns(columns: Mapping[str, Any]) -> None:
    """Check that ``columns`` are lists of finite numbers, all of the same length."""
    for place, column in columns.items():
        if not isinstance(column, list):
            raise ValueError(f"{place}: numbers expected, not {column!r:.40}")
        _expect_numbers(place, column, "numbers")
    if len({len(column) for column in columns.values()}) > 1:
        raise ValueError(f"{', '.join(columns):.80}: of different lengths")
