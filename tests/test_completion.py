"""What a shell is offered at TAB."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.artifacts import IMPLEMENTED
from repro.cli.app import main
from repro.config import recipe
from repro.options import LAUNCHERS, STRATEGIES


@pytest.fixture
def offered(root: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment of bash's TAB, but for what is typed."""
    monkeypatch.chdir(root)
    monkeypatch.setenv("_REPRO_COMPLETE", "complete_bash")
    return monkeypatch


def at_tab(line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What bash offers at the end of ``line``, as the script of `repro --install-completion` asks for it."""
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(f"{line}|".split()) - 1))
    with pytest.raises(SystemExit):
        main([])
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    "line, values",
    [
        ("repro fig1 --profile ", ["smoke", "pilot", "paper", "paper-128"]),
        ("repro fig1 --profile pa", ["paper", "paper-128"]),
        ("repro table2 --arch ", recipe.ARCHS),
        ("repro ticket --arch ", recipe.CIFAR_ARCHS),
        ("repro table2 --strategy ", STRATEGIES),
        ("repro table2 --launcher ", LAUNCHERS),
        ("repro table2 --precision ", recipe.PRECISIONS),
        ("repro plan ", IMPLEMENTED),
        ("repro runs export all.zip --artifact table", ["table1", "table2", "table3", "table4"]),
        ("repro claims not-", ["not-arbitrarily-early"]),
        ("repro data status ", ["cifar10", "imagenet"]),
        ("repro tab", ["table1", "table2", "table3", "table4"]),
    ],
)
def test_a_shell_is_offered_the_values_that_there_are(
    line: str, values: list[str], offered: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert at_tab(line, offered, capsys) == list(values)


def test_profiles_of_ones_own_are_offered(
    offered: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    text = (root / "params.yaml").read_text()
    offered.setenv("REPRO_PARAMS", str(tmp_path / "own.yaml"))
    (tmp_path / "own.yaml").write_text(text.replace("\nprofiles:\n", "\nprofiles:\n  mine: {extends: pilot}\n"))
    assert "mine" in at_tab("repro list --profile ", offered, capsys)
    (tmp_path / "own.yaml").write_text("profiles: [")
    assert at_tab("repro list --profile ", offered, capsys) in ([], [""])
