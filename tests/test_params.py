"""params.yaml and --set: what is wrong is refused, by name and place."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from repro.artifacts import IMPLEMENTED
from repro.artifacts.fig1 import Grid
from repro.config import params, recipe
from repro.errors import MissingInput, UsageError
from repro.experiments import Study
from repro.options import Options
from repro.workspace import Workspace


@pytest.fixture
def shipped(root: Path) -> Path:
    return root / "params.yaml"


GONE = object()


def changed(shipped: Path, folder: Path, dotted: str, value: Any) -> Path:
    """A copy of the shipped file with one value replaced, added or (GONE) taken out."""
    tree = yaml.safe_load(shipped.read_text())
    *way, last = dotted.split(".")
    node = tree
    for part in way:
        node = node[part]
    if value is GONE:
        del node[last]
    else:
        node[last] = value
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


@pytest.mark.parametrize("profile", ["smoke", "pilot", "paper", "paper-128"])
def test_the_shipped_file_loads(shipped: Path, profile: str) -> None:
    settings = params.settings(shipped, profile)
    assert settings.name == profile
    assert settings.comparable == profile.startswith("paper")


def test_a_profile_extends_another_and_differs_only_in_what_it_says(shipped: Path) -> None:
    own, base = (params.settings(shipped, name) for name in ("paper-128", "paper"))
    assert (own.profile.recipe.batch_size, base.profile.recipe.batch_size) == (128, 64)
    same = replace(own.profile, recipe=base.profile.recipe, memorization=base.profile.memorization, supposes={})
    assert same == replace(base.profile, supposes={})
    assert own.profile.replicate_sd == base.profile.replicate_sd
    differ = {name for name in own.assumptions if own.assumptions[name] != base.assumptions[name]}
    assert differ == {"batch_size", "last_batch"}


def test_extended_mappings_are_merged_and_everything_else_replaced(shipped: Path, tmp_path: Path) -> None:
    """``--set`` reaches what was taken over, and a chain of three ends at its first."""
    block = {"extends": "paper-128", "fig1": {"s": [100]}, "table3": {}, "recipe": {"lr": 0.2}}
    path = changed(shipped, tmp_path, "profiles.mine", block)
    found = params.settings(path, "mine", {"recipe.momentum": 0.8})
    fig1 = Study(found, "").block("fig1", Grid)
    assert (fig1.s, len(fig1.v)) == ((100,), 13)
    assert found.profile.blocks["table3"] == params.settings(shipped, "paper").profile.blocks["table3"]
    assert (found.profile.recipe.lr, found.profile.recipe.batch_size) == (0.2, 128)
    assert found.profile.recipe.momentum == 0.8
    assert found.profile.replicate_sd == params.settings(shipped, "paper").profile.replicate_sd


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"extends": "papr"}, ["profiles.mine.extends", "no 'papr'", "did you mean 'paper'"]),
        ({"extends": ["paper"]}, ["profiles.mine.extends", "no '['paper']'"]),
        ({"extends": "mine"}, ["profiles.mine.extends", "circle", "mine -> mine"]),
        ({"extends": "paper", "recipe": {"epoch": 3}}, ["profiles.mine.recipe.epoch", "did you mean 'epochs'"]),
        ({"extends": "paper", "supposes": {"batch": "x"}}, ["profiles.mine.supposes", "batch"]),
        ({"recipe": {"epochs": 3}}, ["profiles.mine", "missing"]),
    ],
)
def test_a_wrong_extension_is_refused_with_its_place(
    shipped: Path, tmp_path: Path, block: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        params.settings(changed(shipped, tmp_path, "profiles.mine", block), "paper")
    assert [word for word in words if word not in str(caught.value)] == []


def test_the_paper_profile_is_the_papers(shipped: Path) -> None:
    profile = params.settings(shipped, "paper").profile
    assert (profile.recipe.epochs, profile.recipe.milestones, profile.recipe.lr) == (200, (120, 160), 0.1)
    assert (profile.recipe.momentum, profile.recipe.weight_decay, profile.sparsity) == (0.9, 1e-4, 0.8)
    assert (profile.data.name, profile.data.train, profile.data.test) == ("cifar10", 50_000, 10_000)


def test_each_network_has_its_own_data_and_recipe(shipped: Path) -> None:
    profile = params.settings(shipped, "paper").profile
    for arch in recipe.CIFAR_ARCHS:
        assert (profile.recipe_of(arch), profile.data_of(arch)) == (profile.recipe, profile.data)
    for arch in recipe.IMAGENET_ARCHS:
        assert (profile.recipe_of(arch), profile.data_of(arch)) == (profile.imagenet.recipe, profile.imagenet.data)


def test_an_epoch_is_checked_along_the_schedule_of_its_network(shipped: Path) -> None:
    """90 epochs on ImageNet, 200 on CIFAR-10."""

    def work(change: str) -> Workspace:
        return Workspace(Options(profile="paper", params_file=shipped, overrides=[change]))

    assert work("table2.resnet20.one_shot=[200]")
    with pytest.raises(UsageError, match="dense resnet18 seed 0 has no epoch 91, only 0 to 90"):
        work("table3.resnet18.one_shot=[91]")
    with pytest.raises(UsageError, match=r"table4: dense resnet50 .* no epoch 91"):
        work("table4.rewind=91")


def test_every_assumption_that_an_artifact_names_is_declared(shipped: Path) -> None:
    named = {name for artifact in IMPLEMENTED.values() for name in artifact.assumptions}
    assert named <= set(params.load(shipped).assumptions)


def test_the_file_names_the_default_profile(shipped: Path) -> None:
    assert params.settings(shipped).name == params.load(shipped).profile


@pytest.mark.parametrize(
    ("dotted", "value", "words"),
    [
        ("profiles.smoke.recipe.epoch", 4, ["profiles.smoke.recipe.epoch", "did you mean 'epochs'"]),
        ("surprise", 1, ["surprise"]),
        ("profiles.smoke.recipe.lr", GONE, ["profiles.smoke.recipe.lr", "missing"]),
        ("profiles.pilot.recipe.epochs", "ten", ["profiles.pilot.recipe.epochs", "'ten'"]),
        ("profiles.pilot.recipe.epochs", 4.5, ["profiles.pilot.recipe.epochs", "4.5"]),
        ("profiles.pilot.recipe.epochs", True, ["profiles.pilot.recipe.epochs", "True"]),
        ("profiles.smoke.recipe.augment", 1, ["profiles.smoke.recipe.augment", "bool"]),
        ("profiles.smoke.recipe.weight_decay", "1e-4", ["profiles.smoke.recipe.weight_decay", "1.0e-4"]),
        ("profiles.smoke.recipe.milestones", 3, ["profiles.smoke.recipe.milestones", "list"]),
        ("profiles.smoke.recipe.milestones", [2, "x"], ["profiles.smoke.recipe.milestones[1]", "'x'"]),
        ("profiles.smoke.recipe.milestones", [3, 2], ["profiles.smoke.recipe.milestones", "increase"]),
        ("profiles.smoke.recipe", [1], ["profiles.smoke.recipe", "mapping"]),
        ("profiles.smoke.recipe.epochs", -4, ["profiles.smoke.recipe.epochs", "-4"]),
        ("profiles.smoke.recipe.epochs", 0, ["profiles.smoke.recipe.epochs", "below 1"]),
        ("profiles.smoke.recipe.batch_size", 1, ["profiles.smoke.recipe.batch_size"]),
        ("profiles.smoke.recipe.lr", 0.0, ["profiles.smoke.recipe.lr"]),
        ("profiles.smoke.recipe.lr", float("nan"), ["profiles.smoke.recipe.lr"]),
        ("profiles.smoke.recipe.momentum", 1.0, ["profiles.smoke.recipe.momentum"]),
        ("profiles.smoke.recipe.weight_decay", -1e-4, ["profiles.smoke.recipe.weight_decay"]),
        ("profiles.smoke.recipe.evaluate_every", 0, ["profiles.smoke.recipe.evaluate_every"]),
        ("profiles.smoke.data.name", "mnist", ["profiles.smoke.data.name", "mnist", "cifar10"]),
        ("profiles.smoke.data.train", 3, ["profiles.smoke.data.train", "below 10"]),
        ("profiles.smoke.precision", "half", ["profiles.smoke.precision", "half", "bfloat16"]),
        ("profiles.smoke.sparsity", 80, ["profiles.smoke.sparsity", "80"]),
        ("profiles.smoke.seeds", 0, ["profiles.smoke.seeds"]),
        ("profiles.paper.replicate_sd.resnet20", "small", ["paper.replicate_sd.resnet20", "small"]),
        ("profiles.paper.replicate_sd.resnet20", -0.2, ["paper.replicate_sd.resnet20", "above 0"]),
        ("profiles.smoke.precision_of", {"resnet20": "half"}, ["profiles.smoke.precision_of.resnet20", "half"]),
        ("profiles.smoke.memorization.milestones", [3, 2], ["smoke.memorization.milestones", "increase"]),
        ("profiles.smoke.imagenet.recipe.micro_batches", 3, ["imagenet.recipe.micro_batches", "16", "3 equal"]),
        ("profiles.smoke.imagenet.recipe.micro_batches", 16, ["imagenet.recipe.micro_batches", "two images"]),
        ("profiles.smoke.imagenet.recipe.micro_batches", 0, ["imagenet.recipe.micro_batches", "below 1"]),
        ("profiles.smoke.imagenet.data.name", "cifar10", ["imagenet.data.name", "cifar10", "imagenet, synth"]),
        ("profiles.smoke.imagenet.data.resize", 30, ["imagenet.data.resize", "30 is below 32"]),
        ("profiles.smoke.imagenet.data.stored", 300, ["imagenet.data.stored", "300", "0, 256, 512"]),
        ("profiles.smoke.data.name", "imagenet", ["profiles.smoke.data.name", "imagenet", "cifar10"]),
        ("profile", "fast", ["profile", "fast", "smoke"]),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_with_its_place(
    shipped: Path, tmp_path: Path, dotted: str, value: Any, words: list[str]
) -> None:
    path = changed(shipped, tmp_path, dotted, value)
    for read in (params.load, params.settings):
        with pytest.raises(UsageError) as caught:
            read(path)
        assert "\n" not in str(caught.value)
        assert [word for word in [str(path), *words] if word not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("comparable", "comparabel"), ("recipe", "recipee"), ("seeds", "seed"), ("replicate_sd", "replicate_s")],
)
def test_a_misspelled_key_of_a_profile_is_named(shipped: Path, tmp_path: Path, right: str, wrong: str) -> None:
    (tmp_path / "params.yaml").write_text(shipped.read_text().replace(f"\n    {right}:", f"\n    {wrong}:", 1))
    with pytest.raises(UsageError, match=f"profiles.smoke: unknown key '{wrong}'; did you mean '{right}'"):
        params.load(tmp_path / "params.yaml")


def test_profiles_that_contain_themselves_are_refused(shipped: Path, tmp_path: Path) -> None:
    """As an alias can make them, and `extends` would merge them for ever."""
    path, loops = (
        tmp_path / "params.yaml",
        ("a: {extends: smoke, fig1: &a {b: *a}}", "b: {extends: a, fig1: &b {b: *b}}"),
    )
    path.write_text(shipped.read_text().replace("\nprofiles:\n", "\n  ".join(["\nprofiles:", *loops]) + "\n", 1))
    with pytest.raises(UsageError, match=f"^{path}: nested too deeply$"):
        params.load(path)


@pytest.mark.parametrize(
    ("dotted", "value", "words"),
    [
        ("profiles.smoke.fig9", {}, ["profiles.smoke.fig9"]),
        ("profiles.smoke.recipee", {}, ["profiles.smoke.recipee", "did you mean 'recipe'"]),
        ("profiles.smoke.tabel1", {}, ["profiles.smoke.tabel1", "did you mean 'table1'"]),
        ("profiles.smoke.table2", [1], ["profiles.smoke.table2", "mapping"]),
        ("profiles.smoke.fig1.s", [1, -2], ["profiles.smoke.fig1.s", "-2"]),
        ("profiles.smoke.fig1.s", [1, 5], ["profiles.smoke.fig1: ", "no epoch 5, only 0 to 4"]),
        ("profiles.smoke.fig1.v", [5], ["profiles.smoke.fig1: ", "no epoch 5"]),
        ("profiles.smoke.fig3.s", [4, 5], ["profiles.smoke.fig3: ", "no epoch 5"]),
        ("profiles.smoke.table2.resnet56.one_shot", [5], ["smoke.table2: dense resnet56", "no epoch 5"]),
        ("profiles.smoke.table2.resnet20.windows", [[3, 5]], ["smoke.table2: epochs 3 to 5", "a schedule of 4"]),
        ("profiles.smoke.table2.resnet20.windows", [[3, 2]], ["smoke.table2.resnet20.windows", "[3, 2]"]),
        ("profiles.smoke.table2.resnet20.windows", [[1, 2, 3]], ["table2.resnet20.windows[0]", "2 values"]),
        ("profiles.smoke.fig1.arch", "resnet18", ["profiles.smoke.fig1.arch", "resnet18", "resnet20"]),
        ("profiles.smoke.table2.vgg", {"one_shot": [], "windows": []}, ["profiles.smoke.table2", "vgg"]),
        ("profiles.smoke.fig4.resnet20.rates", [0.1, 0.1], ["smoke.fig4.resnet20.rates", "twice"]),
        ("profiles.smoke.fig4.resnet20.every", 0, ["smoke.fig4.resnet20.every", "below 1"]),
        ("profiles.smoke.fig6", {"vgg": {"rates": [0.1], "every": 1}}, ["profiles.smoke.fig6", "vgg"]),
        ("profiles.smoke.fig5.sizes", [64, 1000], ["profiles.smoke.fig5: 1000", "data.train is 128"]),
        ("profiles.smoke.fig5.sizes", [64, 32], ["profiles.smoke.fig5.sizes", "increase"]),
        ("profiles.smoke.table1.steps", [[2, 0.6], [3, 0.4]], ["profiles.smoke.table1.steps", "increase"]),
        ("profiles.smoke.table1.further_milestones", [2], ["table1: further_milestones", "2", "schedule of 4"]),
        ("profiles.smoke.table4.trainings", 1, ["profiles.smoke.table4.trainings", "below 2"]),
        ("profiles.smoke.table4.share", 1.0, ["profiles.smoke.table4.share", "1.0"]),
        ("profiles.smoke.table4.rewind", 5, ["profiles.smoke.table4: dense", "no epoch 5"]),
        ("profiles.smoke.table4.imagenet", "resnet20", ["smoke.table4.imagenet", "resnet20", "resnet50"]),
        ("profiles.smoke.batch_probe.resnet20.epochs", [4, 3], ["batch_probe.resnet20.epochs", "increase"]),
        ("profiles.smoke.batch_probe.resnet20.epochs", [2, 3], ["batch_probe.resnet20.epochs", "start at 2"]),
        ("profiles.smoke.batch_probe.resnet20.epochs", [], ["batch_probe.resnet20.epochs", "increase"]),
        ("profiles.smoke.batch_probe.resnet20.epochs", [3, 5], ["batch_probe: epochs 2 to 5", "schedule of 4"]),
        ("profiles.smoke.batch_probe.resnet20.start", -1, ["batch_probe.resnet20.start", "below 0"]),
        ("profiles.smoke.batch_probe.resnet20.batch_sizes", [64, 32], ["batch_sizes", "increase"]),
        ("profiles.smoke.batch_probe.resnet20.batch_sizes", [1, 32], ["batch_sizes", "1 is below 2"]),
        ("profiles.smoke.batch_probe.resnet18", {"start": 0, "epochs": [1], "batch_sizes": [2]},
         ["smoke.batch_probe", "resnet18", "resnet56"]),
        ("profiles.smoke.fig5.arch", "resnet50", ["profiles.smoke.fig5.arch", "resnet50", "resnet56"]),
        ("profiles.smoke.table2.resnet18", {"one_shot": [], "windows": []}, ["smoke.table2", "resnet18"]),
        ("profiles.smoke.table3.resnet20", {"one_shot": [], "windows": []}, ["smoke.table3", "resnet20"]),
        ("profiles.smoke.table3.resnet18.one_shot", [4], ["table3: dense resnet18", "no epoch 4, only 0 to 3"]),
        ("profiles.smoke.table3.resnet50.windows", [[2, 4]], ["smoke.table3: epochs 2 to 4", "a schedule of 3"]),
        ("profiles.smoke.imagenet.recipe.epochs", 2, ["smoke.table3: dense resnet18", "no epoch 3, only 0 to 2"]),
    ],
)  # fmt: skip
def test_a_wrong_block_of_an_artifact_is_refused_with_its_place(
    shipped: Path, tmp_path: Path, dotted: str, value: Any, words: list[str]
) -> None:
    """In the file, and with --set."""
    path = changed(shipped, tmp_path, dotted, value)
    with pytest.raises(UsageError) as caught:
        Workspace(Options(profile="smoke", params_file=path))
    assert "\n" not in str(caught.value)
    assert [word for word in [str(path), *words] if word not in str(caught.value)] == []


def test_a_whole_number_stands_for_a_decimal(shipped: Path, tmp_path: Path) -> None:
    path = changed(shipped, tmp_path, "profiles.smoke.recipe.lr", 1)
    lr = params.settings(path, "smoke").profile.recipe.lr
    assert (lr, type(lr)) == (1.0, float)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match=r"nowhere\.yaml.*--params"):
        params.settings(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"a: 1\nb: [1,\nc: 2\n", "line"),
        (b"- 1\n", "mapping"),
        (b"", "mapping"),
        (b"a: \xff\n", "params.yaml"),
    ],
)
def test_a_file_that_is_no_mapping_in_yaml(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    for read in (params.load, params.settings):
        with pytest.raises(UsageError, match=word) as caught:
            read(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("recipe.epochs=4", ("recipe.epochs", 4)),
        ("recipe.weight_decay=1.0e-4", ("recipe.weight_decay", 1e-4)),
        ("recipe.augment=false", ("recipe.augment", False)),
        ("fig1.s=[1, 2]", ("fig1.s", [1, 2])),
        ("data.name=synthetic", ("data.name", "synthetic")),
        ("a=b=c", ("a", "b=c")),
    ],
)
def test_set_reads_its_value_as_yaml(text: str, expected: tuple[str, Any]) -> None:
    assert params.parse_override(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("recipe.epochs=2024-13-45", ["recipe.epochs", "int expected", "'2024-13-45'"]),
        ("recipe.epochs=0000-00-00", ["recipe.epochs", "int expected", "'0000-00-00'"]),
        ("recipe.epochs=!!int abc", ["!!int abc", "not YAML"]),
        ("recipe.epochs=!!int", ["not YAML"]),
        ("recipe.epochs=!!timestamp x", ["not YAML"]),
        ("recipe.epochs=!!python/name:os.x", ["not YAML", "tag"]),
        ("recipe.epochs=" + 100 * "[" + 100 * "]", ["recipe.epochs", "int expected"]),
        ("recipe.epochs=" + 999 * "[", ["recipe.epochs=[[[", "nested too deeply"]),
        ("recipe.milestones=&a [*a]", ["recipe.milestones[0]", "int expected"]),
        ("recipe.milestones=*a", ["undefined alias"]),
        ("recipe.epochs=" + 9999 * "9", ["recipe.epochs=999", "not YAML"]),
        ("recipe.lr=" + 999 * "9", ["recipe.lr", "float expected"]),
        ("recipe.epochs=010", ["010 is 8 in YAML: write 8, or 10"]),
        ("recipe.epochs=-010", ["-010 is -8 in YAML: write -8, or -10"]),
        ("recipe.milestones=[2, 03]", ["03 is 3 in YAML"]),
        ("recipe.epochs=1:30", ['1:30 is 90 in YAML: write 90, or "1:30" for text']),
        ("recipe.lr=1:30.5", ["1:30.5 is 90.5 in YAML"]),
        ("recipe={lr: 1.0, lr: 2.0}", ["'lr' occurs twice"]),
        ("data.name=\0", ["data.name", "not YAML"]),
    ],
)
def test_what_yaml_trips_over_or_reads_as_something_else_is_one_line(
    shipped: Path, tmp_path: Path, text: str, words: list[str]
) -> None:
    """The same in --set and in the file, which has the line as well."""
    with pytest.raises(UsageError) as caught:
        params.settings(shipped, "smoke", dict([params.parse_override(text)]))
    key, _, value = text.partition("=")
    path = tmp_path / "params.yaml"
    path.write_text(f"profiles:\n  smoke:\n    {key}: {value}\n")
    with pytest.raises(UsageError, match=re.escape(str(path))) as in_file:
        params.load(path)
    for said in (str(caught.value), str(in_file.value)):
        assert "\n" not in said and len(said) < 1500
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("-0.5", -0.5), ("1_000", 1000), ("0x10", 16), ("00.5", 0.5)]
)
def test_a_number_that_reads_one_way_is_that_number(text: str, value: float) -> None:
    assert params.parse_override(f"a={text}") == ("a", value)


def test_set_changes_nothing_that_shares_an_alias_with_it(shipped: Path, tmp_path: Path) -> None:
    tree = yaml.safe_load(shipped.read_text())
    rows = tree["profiles"]["smoke"]["table2"]
    rows["resnet56"] = rows["resnet20"]  # dumped as an alias
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(tree))
    plain: Any = params.settings(path, "smoke").profile.blocks["table2"]
    changed: Any = params.settings(path, "smoke", {"table2.resnet20.one_shot": [1]}).profile.blocks["table2"]
    assert changed["resnet20"]["one_shot"] == [1] != plain["resnet20"]["one_shot"]
    assert changed["resnet56"] == plain["resnet56"]


def test_a_folder_for_a_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match=r"cannot be read \(Is a directory\): name a params.yaml"):
        params.load(tmp_path)


@pytest.mark.parametrize("text", ["recipe.epochs", "=4", "", "fig1.s=[1,"])
def test_set_that_is_not_key_and_value_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--set"):
        params.parse_override(text)


def test_set_changes_that_value_alone_and_is_remembered(shipped: Path) -> None:
    plain = params.settings(shipped, "paper")
    found = params.settings(shipped, "paper", {"recipe.evaluate_every": 10, "fig1.s": [10, 20]})
    assert found.profile.recipe.evaluate_every == 10
    grids = [Study(settings, "").block("fig1", Grid) for settings in (found, plain)]
    assert grids == [Grid("resnet20", (10, 20), grids[1].v), grids[1]] and grids[1].s != (10, 20)
    assert dict(found.overrides) == {"recipe.evaluate_every": 10, "fig1.s": [10, 20]}


def test_the_paper_profile_with_something_set_is_not_comparable(shipped: Path) -> None:
    assert not params.settings(shipped, "paper", {"recipe.evaluate_every": 10}).comparable


@pytest.mark.parametrize(
    ("dotted", "value", "words"),
    [
        ("recipe.epoch", 4, ["recipe.epoch", "did you mean 'epochs'"]),
        ("recip.epochs", 4, ["recip", "did you mean 'recipe'"]),
        ("recipe.epochs.x", 4, ["recipe.epochs.x"]),
        ("recipe.epochs", "ten", ["recipe.epochs", "'ten'"]),
        ("recipe.epochs", "1e2", ["recipe.epochs", "YAML reads 1e2 as text: write 100"]),
        ("extends", "nosuch", ["extends", "only params.yaml can set it", "--profile"]),
        ("recipe.epochs", -1, ["recipe.epochs", "-1"]),
        ("recipe.epochs", 3, ["smoke.fig1: ", "no epoch 4, only 0 to 3"]),
        ("fig1.s", 3, ["fig1.s", "list"]),
        ("fig1.arch", "vgg", ["fig1.arch", "vgg"]),
        ("recipe", {"epochs": 4}, ["'profiles.smoke.recipe.", "missing"]),
        ("supposes", {"batch_sise": "96"}, ["profiles.smoke.supposes: unknown 'batch_sise'", "batch_size"]),
    ],
)
def test_a_wrong_set_is_refused_with_its_place(shipped: Path, dotted: str, value: Any, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        Workspace(Options(profile="smoke", params_file=shipped, overrides=[f"{dotted}={json.dumps(value)}"]))
    assert [word for word in ["--set", *words] if word not in str(caught.value)] == []


def test_an_unknown_profile_is_refused_by_name(shipped: Path) -> None:
    with pytest.raises(UsageError, match=r"'fast'.*smoke"):
        params.settings(shipped, "fast")
