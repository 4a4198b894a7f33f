"""Tables on terminals of any width: nothing is cut but what may wrap or go."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from repro.report import terminal
from repro.report.tables import Table

HEADER = ("name", "what", "where", "state", "epochs")
ROWS = [
    ["fig1", "Extended lottery ticket experiments, ResNet20 on CIFAR10", "Fig. 1", "1 of 144 Runs", "28,800"],
    ["batch-probe", "How far the mask moves", "not in the paper", "done", "240"],
]


def drawn(grid: Table, width: int, colour: bool = False) -> str:
    said = io.StringIO()
    Console(file=said, width=width, force_terminal=colour, color_system="standard" if colour else None).print(grid)
    return said.getvalue()


def words(text: str) -> list[str]:
    return text.split()


@pytest.mark.parametrize("width", [58, 60, 80, 120])
def test_key_columns_stay_whole_where_others_wrap_or_go(width: int) -> None:
    text = drawn(Table(HEADER, ROWS, folds=["what"], spare=["where"]), width)
    assert max(map(len, text.splitlines())) <= width and "…" not in text
    for row in ROWS:
        assert row[0] in text and row[3] in text and row[4] in text
        assert [word for word in words(row[1].replace("-", "- ")) if word not in text] == []
    assert ("not in the paper" in text) == (width >= 80)


def test_without_a_width_every_row_is_one_line() -> None:
    lines = drawn(Table(HEADER, ROWS, "a title", folds=["what"], spare=["where"]), terminal.UNBOUNDED).splitlines()
    assert lines[0] == "a title" and len(lines) == 2 + len(ROWS)
    assert all(cell in line for row, line in zip(ROWS, lines[2:], strict=True) for cell in row)
    assert max(map(len, lines)) < 120  # a title or a table is not filled up to the width


def test_a_wide_grid_is_stacked_and_each_block_has_the_row_labels() -> None:
    header = ["v \\ s", *map(str, range(10))]
    rows = [[f"row {row}", *(f"{row}{column}.25 ± 1.50" for column in range(10))] for row in range(3)]
    text = drawn(Table(header, rows), 60)
    assert max(map(len, text.splitlines())) <= 60
    assert [cell for row in rows for cell in row if cell not in text] == []
    blocks = text.split("\n\n")
    assert len(blocks) > 1 and all(f"row {row}" in block for block in blocks for row in range(3))
    assert all(block.splitlines()[0].startswith("v \\ s ") for block in blocks)


@given(
    st.integers(20, 140),
    st.lists(st.lists(st.text("ab-. 0123456789", max_size=9), min_size=5, max_size=5), min_size=1, max_size=3),
)
def test_every_word_of_a_column_that_must_stay_is_found_again(width: int, rows: list[list[str]]) -> None:
    rows = [[" ".join(cell.split()) for cell in row] for row in rows]
    text = drawn(Table(HEADER, rows, folds=["what"], spare=["where"]), width)
    assert max(map(len, text.splitlines())) <= width
    for row in rows:
        for cell in (row[0], row[3], row[4]):
            assert all(word in words(text) for word in words(cell))


def test_verdicts_have_colours_and_nothing_else_does() -> None:
    text = drawn(
        Table(["verdict", "claim"], [["holds", "fails to"], ["fails", "x"], ["undecided", "y"]]), 80, True
    )
    assert "\x1b[32mholds" in text and "\x1b[31mfails\x1b" in text and "\x1b[33mundecided" in text
    assert "mfails to" not in text


@pytest.mark.parametrize(("name", "wanted"), [("", True), ("1", False)])
def test_no_color_takes_bold_and_italics_as_well(monkeypatch: pytest.MonkeyPatch, name: str, wanted: bool) -> None:
    for variable, value in {"FORCE_COLOR": "1", "TERM": "xterm-256color", "NO_COLOR": name}.items():
        monkeypatch.setenv(variable, value)
    with (found := terminal.console()).capture() as said:
        found.print(Table(["verdict"], [["holds"]], "a title"))
        found.print("[bold]x[/bold]")
    assert ("\x1b[" in said.get()) == wanted


@pytest.mark.parametrize(("columns", "longest"), [(None, 600), ("60", 60), ("80", 80), ("none", 600), ("0", 600)])
def test_off_a_terminal_a_sentence_is_one_line_unless_columns_asks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: str | None, longest: int
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    terminal.console().print("word " * 120, markup=False)
    assert longest - 5 <= max(map(len, capsys.readouterr().out.splitlines())) <= longest


# ---- the commands, on what is shipped ------------------------------------------------------------------------

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shown(command: Command, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What a command prints on so many columns; no line is longer, and nothing is cut."""

    def run(width: int, *arguments: str) -> str:
        monkeypatch.setenv("COLUMNS", str(width))
        code, out, err = command(*arguments)
        assert code == 0, err
        told = [line for line in out.splitlines() if not line.startswith("written:")]
        assert max(map(len, told)) <= width and "…" not in out
        return "\n".join(told)

    return run


@pytest.mark.shipped
@pytest.mark.parametrize("width", [60, 80, 120])
def test_list_keeps_artifact_state_and_epochs(shown: Callable[..., str], width: int) -> None:
    lines = shown(width, "list", "--profile", "pilot").splitlines()
    (fig1,) = [words(line) for line in lines if line.startswith("fig1 ")]
    assert fig1[-2:] == ["done", "780"] or fig1[-1].replace(",", "").isdigit()
    assert words(lines[1])[-2:] == ["state", "epochs"]


@pytest.mark.shipped
@pytest.mark.parametrize("width", [60, 80, 120])
def test_claims_keep_verdict_sentence_and_statistic(shown: Callable[..., str], width: int) -> None:
    text = shown(width, "claims", "--profile", "paper")
    head, *rows = text.split("\nverdict ")[1].splitlines()
    verdicts = [line for line in rows if line.startswith(("holds ", "fails ", "undecided ", "not run "))]
    assert len(verdicts) == 58
    assert "claim" in head and "statistic" in head
    assert "bounds" in head


@pytest.mark.shipped
@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize(
    ("name", "row", "numbers"),
    [
        ("fig1", "baseline", ["17.88 ± 4.33 (80.26)", "60.81 ± 1.79 (92.05)"]),
        ("fig2", "blocks.8.conv2.weight", ["0.0587 ± 0.0001", "0.0592 ± 0.0001"]),
        ("fig3", "10", ["0.0304 ± 0.0021 (0.154)"]),
    ],
)
def test_grids_keep_row_labels_and_every_digit(
    shown: Callable[..., str], monkeypatch: pytest.MonkeyPatch, width: int, name: str, row: str, numbers: list[str]
) -> None:
    monkeypatch.setattr("repro.report.document.write", lambda document, folder: [])  # what is printed, not drawn
    text = shown(width, name, "--profile", "pilot", "--no-train")
    assert [number for number in numbers if number not in text] == []
    assert any(line.startswith(f"{row} ") for line in text.splitlines())


def test_published_numbers_have_the_digits_that_the_paper_prints(command: Command) -> None:
    for name, wanted in {"table2": "200  94.00", "table4": "pruning epochs    150", "fig3": "0.080"}.items():
        code, out, _ = command("published", name)
        assert code == 0 and wanted in out
        assert out.startswith(f"{name}: ") and out.splitlines()[1].startswith("series ")  # a title of one line
