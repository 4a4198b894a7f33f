"""`make env`: what is there is kept, and built anew where it cannot work any more."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements-uv.lock", "requirements.lock", "pyproject.toml")

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="there is no make")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose environment is up to date, in a folder with a space in its name."""
    folder = tmp_path / "my checkout"
    (folder / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", folder)
    for number, name in enumerate((*LOCKS, ".venv/bin/uv", ".venv/.complete")):
        (folder / name).touch()
        os.utime(folder / name, (number, number))
    built_in(folder, folder)
    return folder


def built_in(folder: Path, place: Path) -> None:
    """The environment of ``folder`` says that it was built when its checkout was ``place``."""
    (folder / ".venv/bin/activate").write_text(f'VIRTUAL_ENV="{place}/.venv"\nexport VIRTUAL_ENV\n')


def would_do(folder: Path, target: str = "env") -> str:
    """What make would run for ``target``."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "VENV_READY")}
    command = ["make", "--dry-run", target, "PYTHON=python3"]
    answer = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, check=True)
    return answer.stdout


def test_an_environment_that_is_up_to_date_is_kept(checkout: Path) -> None:
    assert "venv --clear" not in would_do(checkout)


def test_a_checkout_that_was_moved_gets_its_environment_anew(checkout: Path) -> None:
    moved = checkout.rename(checkout.with_name("renamed"))
    for target in ("env", "test", "lint"):
        commands = would_do(moved, target)
        assert "built in another place" in commands
        assert commands.index("-m venv --clear .venv") < commands.index("pip sync")


def test_a_copy_does_not_use_the_environment_of_the_checkout_that_it_was_copied_from(checkout: Path) -> None:
    copy = checkout.with_name("copy")
    shutil.copytree(checkout, copy, copy_function=shutil.copy2)
    assert "venv --clear" in would_do(copy)
    assert "venv --clear" not in would_do(checkout)


def test_an_environment_behind_a_link_is_where_it_was_built(checkout: Path) -> None:
    place = checkout.parent / "elsewhere"
    (checkout / ".venv").rename(place)
    (checkout / ".venv").symlink_to(place)
    assert "venv --clear" not in would_do(checkout)  # made in the link's place
    (place / "bin/activate").write_text(f"VIRTUAL_ENV={place}\n")
    assert "venv --clear" not in would_do(checkout)  # made in the folder itself
