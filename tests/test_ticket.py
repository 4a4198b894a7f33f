"""find_ticket on networks that this project does not have: what it finds, counts, keeps and leaves alone."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from repro.engine.device import Device
from repro.errors import UsageError
from repro.pruning import sparsity_of
from repro.record import Record
from repro.run import Run
from repro.schedule import gradual_sparsity
from repro.store import Store
from repro.ticket import Event, Recipe, Result, SearchOptions, find_ticket
from repro.ticket.network import Setup
from repro.ticket.trainer import Trainer

EPOCHS = 4
RECIPE = Recipe(
    epochs=EPOCHS, batch_size=8, lr=0.05, milestones=(3,), gamma=0.1, momentum=0.9, weight_decay=1e-3,
    augment=True, evaluate_every=1,
)  # fmt: skip
# One check without any gain settles this curve; a hundred never do.
SETTLES: dict[str, Any] = {"patience": 1, "tolerance": 0.0}
NEVER: dict[str, Any] = {"patience": 99}


def small(seed: int = 0) -> nn.Module:
    """Three convolutions with BatchNorm, dropout, and a view() that refuses channels_last."""

    class Flat(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.view(x.shape[0], -1)

    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 4), (4, 8), (8, 8)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), Flat(), nn.Dropout(0.2), nn.Linear(32, 4))


def images(count: int, seed: int = 1, classes: int = 4) -> tuple[Tensor, Tensor]:
    """Images [count, 3, 8, 8] with one bright quarter, and which quarter it is."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    found = torch.randn(count, 3, 8, 8, generator=generator)
    for index, label in enumerate(labels.tolist()):
        row, column = divmod(label % 4, 2)
        found[index, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 2
    return found, labels


TRAIN, TEST = images(97), images(40, seed=2)  # 97: the last batch would be a single image


def search(folder: Path, model: nn.Module | None = None, **changes: Any) -> Result:
    settings = {"recipe": RECIPE, "device": "cpu", **SETTLES, **changes}
    return find_ticket(model or small(), TRAIN, TEST, folder=folder, **arguments(**settings))


def arguments(**given: Any) -> dict[str, Any]:
    """Arguments of `find_ticket`, with the options among ``given`` as its ``options``."""
    names = {field.name for field in dataclasses.fields(SearchOptions)} & set(given)
    options = SearchOptions(**{name: given.pop(name) for name in names})
    return {**given, "options": options}


def bits(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


def outcome(result: Result) -> tuple[Any, ...]:
    document = result.document()
    del document["provenance"]
    return bits(result.model.state_dict()), bits(result.masks), json.dumps(document)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, list[Event]]:
    """A search that settles, with both baselines."""
    events: list[Event] = []
    folder = tmp_path_factory.mktemp("ticket")
    return search(folder, baselines=("one-shot", "iterative"), on_event=events.append), events


def test_a_torchvision_network_gets_its_ticket(tmp_path: Path) -> None:
    """SqueezeNet ends in a convolution, which is its classifier and stays whole, like the first one."""
    torch.manual_seed(0)
    model = torchvision.models.squeezenet1_1(num_classes=10)
    data = torch.randn(24, 3, 32, 32), torch.arange(24) % 10
    recipe = dataclasses.replace(RECIPE, epochs=2, milestones=(1,), batch_size=12)
    result = find_ticket(model, data, data, recipe, 0.7, folder=tmp_path)
    weights = dict(result.model.named_parameters())
    total = sum(mask.numel() for mask in result.masks.values())
    assert sum(int((~mask).sum()) for mask in result.masks.values()) == round(0.7 * total)
    assert result.ticket.sparsity == pytest.approx(0.7, abs=1 / total)
    assert all(bool((weights[name][~mask] == 0).all()) for name, mask in result.masks.items())
    assert not {"features.0.weight", "classifier.1.weight"} & set(result.masks)
    assert not result.model.training


def test_the_safe_epoch_branches_and_is_told(found: tuple[Result, list[Event]]) -> None:
    result, events = found
    assert result.safe_epoch is not None and result.known_at == result.safe_epoch + 1
    assert result.window == (result.safe_epoch, min(result.safe_epoch + 1, EPOCHS))
    assert list(result.checks) == list(range(1, result.known_at + 1))
    assert [event.epoch for event in events if event.kind == "safe"] == [result.safe_epoch]
    assert result.ticket.sparsity == pytest.approx(0.8, abs=1e-3)
    assert {o.sparsity for o in result.baselines.values()} == {result.ticket.sparsity}


def test_epochs_are_counted_by_hand(found: tuple[Result, list[Event]]) -> None:
    result, events = found
    known = result.known_at or 0
    ticket, baselines = result.ticket, result.baselines
    assert (ticket.dense, ticket.checks, ticket.window, ticket.retraining) == (known, known, 1, EPOCHS)
    assert ticket.epochs == known + known + 1 + EPOCHS
    assert baselines["one-shot"].epochs == 2 * EPOCHS
    assert baselines["iterative"].epochs == result.iterative_epochs == 8 * EPOCHS  # 7 prunings make 80 %
    # Together: dense once, the checks, window and ticket, one-shot, seven more trainings.
    together = EPOCHS + known + 1 + EPOCHS + EPOCHS + 7 * EPOCHS
    trained = sum(event.kind in ("epoch", "check") for event in events)
    assert result.epochs_trained == trained == together == events[-1].spent
    assert events[-1].left == 0
    pairs = itertools.pairwise(event.spent + event.left for event in events)
    assert all(later <= earlier for earlier, later in pairs)  # the estimate only falls


def test_the_report_tells_all_of_it(found: tuple[Result, list[Event]]) -> None:
    from matplotlib.text import Text

    from repro.ticket.result import figure, write

    result, _ = found
    footer = " ".join(text.get_text() for text in figure(result, "small", "own").findobj(Text))
    assert result.provenance["device"] in footer and "float32" in footer
    json_file, markdown, picture = write(result, "a small network on bright quarters")
    document = json.loads(json_file.read_text())
    assert document["safe_epoch"] == result.safe_epoch
    assert [s["epochs"] for s in document["strategies"]] == [result.ticket.epochs, 2 * EPOCHS, 8 * EPOCHS]
    assert f"| {result.ticket.epochs} |" in " ".join(markdown.read_text().split())
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert all(name in result.table() for name in ("dense", "ticket", "one-shot", "iterative"))


def test_the_same_call_goes_on_and_trains_nothing_twice(found: tuple[Result, list[Event]]) -> None:
    result, _ = found
    events: list[Event] = []
    again = search(result.folder, baselines=("one-shot", "iterative"), on_event=events.append)
    assert {event.kind for event in events} == {"safe"}
    assert outcome(again) == outcome(result)


def test_checks_leave_no_trace_in_the_dense_training(tmp_path: Path) -> None:
    """Bit for bit: with a check after every epoch, and with none before the last."""
    often = search(tmp_path / "often", **NEVER, tolerance=0.0)
    once = search(tmp_path / "once", **NEVER, tolerance=0.0, check_every=EPOCHS)
    assert (len(often.checks), len(once.checks)) == (EPOCHS, 1)
    assert often.dense == once.dense and often.checks[EPOCHS] == once.checks[EPOCHS]
    ends = [next((tmp_path / name).glob(f"runs/dense/*/epoch-{EPOCHS:04d}-*")).name for name in ("often", "once")]
    assert ends[0] == ends[1]  # the hash of the content is in the name


def test_a_curve_that_never_settles_is_said_and_pruned_at_the_end(tmp_path: Path) -> None:
    events: list[Event] = []
    result = search(tmp_path, **NEVER, tolerance=0.0, baselines=("one-shot",), on_event=events.append)
    assert result.safe_epoch is None and result.window is None
    assert [event.kind for event in events].count("unsettled") == 1
    assert "did not settle" in result.sentences()[0]
    assert result.ticket.epochs == EPOCHS + EPOCHS + EPOCHS  # dense, checks, retraining
    assert result.ticket.top1 == result.baselines["one-shot"].top1
    assert result.epochs_trained == 3 * EPOCHS  # and that retraining is shared


class Killed(Exception):
    pass


@pytest.mark.parametrize("options", [{**SETTLES, "baselines": ("one-shot",)}, {**NEVER, "tolerance": 0.0}])
def test_killed_at_every_event_ends_in_the_same_bits(tmp_path: Path, options: dict[str, Any]) -> None:
    whole = search(tmp_path / "whole", **options)
    heard: set[str] = set()

    def die(event: Event) -> None:
        if str(event) not in heard:
            heard.add(str(event))
            raise Killed

    kills = 0
    while True:
        try:
            pieces = search(tmp_path / "pieces", **options, on_event=die)
            break
        except Killed:
            kills += 1
    assert kills >= whole.epochs_trained
    assert outcome(pieces) == outcome(whole)


def test_damaged_files_are_trained_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = search(tmp_path, baselines=("one-shot",))
    before = outcome(whole)
    for path in (tmp_path / "runs").glob("*/*/epoch-*.safetensors"):
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    events: list[Event] = []
    again = search(tmp_path, baselines=("one-shot",), on_event=events.append)
    assert outcome(again)[:2] == before[:2]
    assert "damaged" in capsys.readouterr().err
    safe = max(index for index, event in enumerate(events) if event.kind == "safe")
    for earlier, later in itertools.pairwise(events[safe:]):  # what was lost does not count as trained
        assert later.spent - earlier.spent == (later.kind == "epoch")


def test_a_check_that_was_lost_is_made_again_in_its_place(tmp_path: Path) -> None:
    before = search(tmp_path, **SETTLES)
    assert len(before.checks) == 3
    ledger = tmp_path / "runs.jsonl"
    records = {line: Record.parse(line) for line in ledger.read_text().splitlines()}
    lost = [line for line, record in records.items() if record.label.startswith("ppr") and " s=2 " in record.label]
    ledger.write_text("".join(f"{line}\n" for line in records if line not in lost))
    (gone,) = [records[line].key for line in lost]
    shutil.rmtree(tmp_path / "runs" / "ppr" / gone)
    shutil.rmtree(tmp_path / "runs" / "dense")
    again = search(tmp_path, **SETTLES)
    assert [*again.checks.items()] == [*before.checks.items()]
    assert (again.safe_epoch, again.known_at) == (before.safe_epoch, before.known_at)


def test_an_event_looks_up_no_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is looked up when the search begins and when it is due: 200 of them take half a second."""
    looked: list[Run] = []
    record = Store.record

    def watched(self: Store, run: Run) -> Record | None:
        looked.append(run)
        return record(self, run)

    monkeypatch.setattr(Store, "record", watched)
    search(tmp_path, **{**SETTLES, **NEVER})
    assert sum(run.experiment == "ppr" for run in looked) == 2 * EPOCHS


def test_pruned_weights_stay_zero_at_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0
    zero_pruned = Trainer._zero_pruned

    def watched(self: Trainer) -> None:
        nonlocal steps
        zero_pruned(self)
        weights = dict(self.model.named_parameters())
        for name, mask in (self.masks or {}).items():
            steps += 1
            assert bool((weights[name][~mask] == 0).all())
            momentum = self.optimizer.state[weights[name]].get("momentum_buffer")
            assert momentum is None or bool((momentum[~mask] == 0).all())

    monkeypatch.setattr(Trainer, "_zero_pruned", watched)
    result = search(tmp_path)
    assert steps > 50
    kept = {name: w[result.masks[name]] for name, w in result.model.named_parameters() if name in result.masks}
    assert all(bool((weight != 0).all()) for weight in kept.values())


def test_gradual_pruning_follows_equation_6(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    prune = Trainer.prune

    def watched(self: Trainer, sparsity: float) -> None:
        before = self.masks
        prune(self, sparsity)
        assert self.masks is not None
        for name, mask in (before or {}).items():  # what is pruned stays so
            assert not bool((self.masks[name] & ~mask).any())
        seen.append(sparsity_of(self.masks))

    result = search(tmp_path / "first", window=1.0)
    assert result.window is not None and result.window[1] == EPOCHS  # never beyond the schedule
    monkeypatch.setattr(Trainer, "prune", watched)
    again = search(tmp_path / "again", window=1.0)
    first, last = again.window or (0, 0)
    expected = [gradual_sparsity(t, first, last - first, 0.8) for t in range(first + 1, last + 1)]
    assert seen == pytest.approx(expected, abs=2e-3)


def test_zeros_that_stay_rank_above_zeros_that_went() -> None:
    """Pruning further takes exactly the number asked for, also where a weight that stays happens to be zero."""
    model = nn.Sequential(nn.Linear(10, 10), nn.Linear(10, 2))
    cpu = torch.device("cpu")
    none: Any = None
    trainer = Trainer(Setup(model, RECIPE, Device(cpu, "cpu"), torch.float32, none, none), ["0.weight"])
    trainer.prune(0.2)
    weight = dict(trainer.model.named_parameters())["0.weight"]
    with torch.no_grad():
        weight[:8] = 0
    trainer.prune(0.5)
    assert trainer.masks is not None and sparsity_of(trainer.masks) == pytest.approx(0.5)


def test_another_search_in_the_folder_is_refused_by_name(found: tuple[Result, list[Event]]) -> None:
    folder = found[0].folder
    for changes, words in (
        ({"sparsity": 0.7}, "sparsity (0.8, not 0.7)"),
        ({"recipe": dataclasses.replace(RECIPE, lr=0.01)}, "recipe.lr (0.05, not 0.01)"),
        ({"model": small(seed=1)}, "network (Sequential-"),
        ({"seed": 1}, "seed (0, not 1)"),
    ):
        with pytest.raises(UsageError) as error:
            search(folder, **changes)
        assert words in str(error.value)


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    def inside(event: Event) -> None:
        search(tmp_path)

    with pytest.raises(UsageError, match="in use by process"):
        search(tmp_path, on_event=inside)
