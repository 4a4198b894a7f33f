"""An option that names what is not there is refused, also where nothing is left to do with it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.cli.options import check
from repro.config.recipe import PRECISIONS
from repro.errors import UsageError
from repro.options import DEVICES, LAUNCHERS, STRATEGIES, Options

Command = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).resolve().parent.parent
FINISHED = ("fig1", "--profile", "smoke", "--no-train")


@pytest.mark.parametrize("name", ["missing", "empty", "a file"])
@pytest.mark.parametrize("words", [FINISHED, ("list",), ("report",)])
def test_a_data_folder_without_data(command: Command, tmp_path: Path, name: str, words: tuple[str, ...]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a file").touch()
    code, out, err = command(*words, "--data-dir", str(tmp_path / name))
    said = "neither CIFAR-10 nor ImageNet is there" if name == "empty" else "there is no such folder"
    assert (code, out) == (3, "")
    assert err.startswith(f"repro: --data-dir {tmp_path / name}: {said}") and err.count("\n") == 1


def test_a_data_folder_with_either_data_set_is_taken(tmp_path: Path) -> None:
    for place in ("a/cifar-10-batches-py", "b/imagenet/train/n01440764", "b/imagenet/val"):
        (tmp_path / place).mkdir(parents=True)
    for name in ("a", "b"):
        check(Options(data_dir=tmp_path / name))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--device", "cuda"], 3, "--device cuda: PyTorch sees no CUDA device here"),
        (["--gpus", "2"], 2, "--gpus 2: there is no CUDA device here"),
        (["--launcher", "ray"], 3, "--launcher ray needs the package ray"),
        (["--launcher", "slurm"], 3, "--launcher slurm: no sbatch here"),
    ],
)
def test_a_device_or_a_launcher_that_is_not_here(
    command: Command, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, said: str
) -> None:
    monkeypatch.setattr("repro.launch.local.cuda_devices", list)
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setenv("PATH", os.devnull)
    found, out, err = command(*FINISHED, *words)
    assert (found, out) == (code, "")
    assert said in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "known"),
    [("device", DEVICES), ("strategy", STRATEGIES), ("launcher", LAUNCHERS), ("precision", PRECISIONS)],
)  # fmt: skip
def test_a_name_that_there_is_not_is_refused_with_its_option(option: str, known: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        Options(**{option: "fp16"})  # type: ignore[arg-type]
    assert str(caught.value).startswith(f"--{option} fp16: choose {known[0]}, ")
    assert [name for name in known if name not in str(caught.value)] == []
    for name in known:
        assert getattr(Options(**{option: name}), option) == name  # type: ignore[arg-type]


def test_names_with_commas_are_quoted() -> None:
    with pytest.raises(UsageError, match=r'compiled, streams, "streams, compiled" or fused$'):
        Options(strategy="streams,compiled")


def test_options_that_name_nothing_import_no_torch() -> None:
    code = "import sys; from repro.cli.options import check; from repro.options import Options; check(Options()); "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
