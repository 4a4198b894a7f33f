"""The printed numbers, and the sentences as claims: counts, spot values, and what follows from them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean

import pytest

from repro import artifacts, published
from repro.artifacts import PAPER as ARTIFACTS
from repro.errors import UsageError
from repro.published import Claim, Published, claims, load, lookup, tables

ROOT = Path(__file__).resolve().parent.parent
PRINTED = ("fig1", "fig3", "table1", "table2", "table3", "table4", "text")
PAPER = ROOT.parent / "shared" / "paper" / "paper.md"

S = ("10", "20", "40", "60", "80", "100", "120", "140", "160", "180", "200")
EARLY = S[5:]
V = ("0", "5", *S)
REWOUND = V[1:]


def fig1(row: str, col: str) -> float:
    return lookup("fig1")["tickets", row, col]


def column(col: str) -> float:
    """Mean of a column of Fig. 1 over v >= 5."""
    return fmean(fig1(row, col) for row in REWOUND)


# ---- the cells ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("artifact", "count"),
    [
        ("fig1", 154),
        ("fig3", 21),
        ("table1", 12),
        ("table2", 18),
        ("table3", 21),
        ("table4", 18),
        ("text", 50),
    ],
)
def test_count(artifact: str, count: int) -> None:
    assert len(load(artifact)) == len(lookup(artifact)) == count


def test_all_cells_come_in_the_order_of_the_paper() -> None:
    cells = load()
    assert cells == [cell for artifact in PRINTED for cell in load(artifact)]
    assert len(cells) == 294
    assert len({(cell.artifact, *cell.key) for cell in cells}) == len(cells)
    assert cells[0] == Published("fig1", "baseline", "baseline", "10", "80.26")
    assert cells[11] == Published("fig1", "tickets", "0", "10", "89.81")


@pytest.mark.parametrize(
    ("artifact", "series", "row", "col", "value"),
    [
        ("fig1", "baseline", "baseline", "120", 87.55),
        ("fig1", "baseline", "baseline", "200", 92.05),
        ("fig1", "tickets", "0", "200", 89.37),
        ("fig1", "tickets", "5", "100", 91.65),
        ("fig1", "tickets", "140", "100", 91.77),
        ("fig1", "tickets", "140", "120", 91.14),
        ("fig1", "tickets", "180", "10", 90.73),
        ("fig1", "tickets", "200", "180", 91.15),
        ("fig3", "hamming", "100", "200", 0.159),
        ("fig3", "hamming", "160", "180", 0.008),
        ("fig3", "hamming", "180", "180", 0.0),
        ("table1", "pruning rate", "resnet20", "200", 70),
        ("table1", "1-shot", "resnet20", "240", 50.46),
        ("table1", "4-shot gradual", "resnet20", "160", 68.83),
        ("table2", "one-shot", "resnet56", "200", 94.00),
        ("table2", "gradual", "resnet20", "75-125", 92.15),
        ("table3", "one-shot", "resnet18", "0", 64.89),
        ("table3", "gradual", "resnet18", "60-90", 69.18),
        ("table3", "gradual", "resnet50", "40-70", 75.02),
        ("table4", "GP + EWT", "resnet18", "accuracy delta", -0.56),
        ("table4", "IP + WT", "resnet20", "pruning rate", 82.2),
        ("table4", "IP + WT", "resnet50", "epochs", 720),
        ("text", "accuracy", "resnet56", "baseline", 94.25),
        ("text", "weights", "layer 10", "drop of W_std", 0.0015),
        ("text", "setting", "cifar10", "weight decay", 0.0001),
    ],
)
def test_spot_values(artifact: str, series: str, row: str, col: str, value: float) -> None:
    assert lookup(artifact)[series, row, col] == value


def test_fig1_is_a_full_grid() -> None:
    assert {key for key in lookup("fig1") if key[0] == "tickets"} == {("tickets", v, s) for v in V for s in S}


def test_cells_that_the_paper_leaves_out_are_left_out() -> None:
    assert ("hamming", "120", "100") not in lookup("fig3")
    assert ("gradual", "resnet56", "75-125") not in lookup("table2")
    assert ("IP + WT", "resnet18", "epochs") not in lookup("table4")


def test_one_shot_resnet20_is_the_diagonal_of_fig1() -> None:
    one_shot = {key[2]: v for key, v in lookup("table2").items() if key[:2] == ("one-shot", "resnet20")}
    assert one_shot == {col: fig1(col, col) for col in ("20", "60", "100", "120", "160", "200")}


def test_column_means_of_fig1_are_those_of_the_reading_notes() -> None:
    means = {"10": 90.25, "20": 90.37, "40": 90.82, "60": 91.15, "80": 91.40}
    assert {col: round(column(col), 2) for col in means} == means
    assert round(fmean(column(col) for col in EARLY), 2) == 91.46


def test_hamming_distances_are_a_metric() -> None:
    half = {key[1:]: value for key, value in lookup("fig3").items()}
    distance = half | {(y, x): value for (x, y), value in half.items()}
    epochs = sorted({x for x, _ in half}, key=int)
    assert all(distance[x, x] == 0 for x in epochs)
    rounding = 1e-3
    for x in epochs:
        for y in epochs:
            assert all(distance[x, y] <= distance[x, z] + distance[z, y] + rounding for z in epochs)


def test_first_cell_of_table1_is_one_network() -> None:
    table = lookup("table1")
    assert table["1-shot", "resnet20", "120"] == table["4-shot gradual", "resnet20", "120"] == 79.72


def test_numbers_of_the_text_are_those_of_the_tables() -> None:
    text = lookup("text")
    assert text["accuracy", "resnet18", "gradual"] == lookup("table3")["gradual", "resnet18", "40-70"]
    assert text["accuracy", "resnet50", "gradual"] == lookup("table3")["gradual", "resnet50", "40-70"]
    distance = lookup("fig3")["hamming", "100", "200"]
    assert text["weights", "masks 200 and 100", "hamming distance"] == distance


def test_what_is_handed_out_is_a_copy() -> None:
    load("fig3").clear()
    lookup("fig3").clear()
    claims().clear()
    assert len(load("fig3")) == 21 and claims()


def test_every_table_is_of_an_artifact_or_of_the_text() -> None:
    assert tuple(tables()) == PRINTED
    assert {*PRINTED} - {*ARTIFACTS} == {"text"}
    numbers = {name: f"{'Fig.' if name.startswith('fig') else 'Table'} {name[-1]}, Section " for name in ARTIFACTS}
    assert all(artifacts.get(name).place.startswith(number) for name, number in numbers.items())


def test_curves_have_no_printed_cells() -> None:
    assert all(load(artifact) == [] and lookup(artifact) == {} for artifact in {*ARTIFACTS} - {*PRINTED})


# ---- the claims --------------------------------------------------------------------------------------------


def test_claims_are_in_order() -> None:
    every = claims()
    assert len(every) >= 50
    ids = [claim.id for claim in every] + [entry.id for entry in published.sentences().contradictions]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in ids)
    statistics = [claim.full_statistic for claim in every]
    assert len(set(statistics)) == len(statistics)
    assert all(re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) for name in statistics)


@pytest.mark.parametrize("claim", claims(), ids=lambda claim: claim.id)
def test_claim(claim: Claim) -> None:
    assert set(claim.artifact) <= {*PRINTED, *ARTIFACTS}
    assert claim.claim.endswith(".") and len(claim.claim) <= 130
    assert claim.definition.endswith(".")
    assert claim.above is None or claim.below is None or claim.above < claim.below


def test_every_artifact_has_a_claim() -> None:
    assert {name for claim in claims() for name in claim.artifact} == {*PRINTED, *ARTIFACTS}


def quotes() -> Iterator[tuple[str, str]]:
    for claim in claims():
        yield claim.section, claim.quote
        yield from ((again.section, again.quote) for again in claim.repeats)
    yield from ((entry.section, entry.quote) for entry in published.sentences().untested)


def plain(text: str) -> str:
    """Text without typesetting: no Markdown or LaTeX signs, no spaces, one case."""
    for sign, word in (("ge", ">="), ("le", "<="), ("sim", "~"), ("times", "x"), ("lambda", "lambda")):
        text = re.sub(rf"\\{sign}\b", word, text)
    return re.sub(r"[\s$*{}\\]", "", text).lower()


def test_quotes_are_sentences_or_parts_of_one() -> None:
    for section, quote in quotes():
        assert re.fullmatch(r"Abstract|[1-5](\.[1-4])?|A\.[12]|(Fig\.|Table) [1-6]", section), section
        assert quote == " ".join(quote.split())
        assert 20 <= len(quote) <= 240, quote
        assert not re.search(r"[$\\{}]", quote), quote


@pytest.mark.skipif(not PAPER.exists(), reason="the paper's text is not beside this checkout")
def test_quotes_stand_in_the_paper() -> None:
    paper = plain(PAPER.read_text(encoding="utf-8"))
    assert [quote for _, quote in quotes() if plain(quote) not in paper] == []


def test_only_one_claim_fails_on_the_papers_own_numbers() -> None:
    def holds(claim: Claim, value: float) -> bool:
        return (claim.above is None or claim.above < value) and (claim.below is None or value < claim.below)

    printed = [(claim, claim.published) for claim in claims() if claim.published is not None]
    assert [claim.id for claim, value in printed if not holds(claim, value)] == ["tickets-keep-the-baseline"]


# ---- the contradictions ------------------------------------------------------------------------------------

CONTRADICTIONS: dict[str, Callable[[list[float]], float]] = {
    "resnet20-has-three-baselines": lambda c: max(c[0], c[1], c[2] - c[3]) - min(c[0], c[1], c[2] - c[3]),
    "resnet18-delta-is-off-by-a-tenth": lambda c: c[0] - c[1] - c[2],
    "resnet50-delta-is-rounded": lambda c: c[0] - c[1] - c[2],
    "column-80-is-flat": lambda c: fmean(c[1:13]) - fmean(c[13:]),
    "iterative-rate-differs-at-the-same-count": lambda c: c[0] - c[1],
    "fig-1-tickets-are-below-the-baseline": lambda c: c[0] - c[1],
    "memorization-gap-halves": lambda c: (c[2] - c[3]) / (c[0] - c[1]),
    "resnet18-still-rises-after-45": lambda c: c[1] - c[2],
    "gradual-loses-at-the-same-last-epoch": lambda c: c[0] - c[1],
    "cost-ratio-is-exactly-as-said": lambda c: c[0] / (c[1] + c[2]),
    "layer-10-needs-a-large-w-std": lambda c: c[0] * (1 - c[5]) / (c[1] * c[2] * c[3] * c[4]),
}


def test_contradictions_follow_from_the_cells_that_they_name() -> None:
    found = {entry.id: entry for entry in published.sentences().contradictions}
    assert found.keys() == CONTRADICTIONS.keys()
    for name, entry in found.items():
        computed = CONTRADICTIONS[name]([cell.value for cell in entry.cells])
        assert entry.value == pytest.approx(computed, abs=6e-5)
        assert entry.says.endswith(".") and entry.computed.endswith(".")
        assert all(cell in load(cell.artifact) for cell in entry.cells)


# ---- refusals ----------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An own folder of tables, read instead of the paper's; the cache forgets it afterwards."""
    monkeypatch.setattr(published, "tables_dir", lambda: tmp_path)
    (tmp_path / "claims.yaml").touch()
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    published.tables.cache_clear()
    published.sentences.cache_clear()


GOOD = """
title: a
unit: c
series:
  - name: hamming
    columns: [100, 120]
    rows:
      - [100, 0, 0.154]
      - [120, ~, 0]
"""


def test_a_small_table_is_read(folder: Path) -> None:
    (folder / "fig3.yaml").write_text(GOOD)
    assert lookup("fig3") == {
        ("hamming", "100", "100"): 0, ("hamming", "100", "120"): 0.154, ("hamming", "120", "120"): 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[100, 0, 0.154]", "[100, 0]", "1 values under 2 columns"),
        ("0.154", "15.4%", "yaml: series[0].rows[0]: '15.4%' is no number"),
        ("0.154", ".nan", "series[0].rows[0]: '.nan' is no number"),
        ("0.154", "9" * 400, "series[0].rows[0]: '999"),
        ("[100, 0, 0.154]", "100", "series[0].rows[0]: a list was expected, not '100'"),
        ("title: a", "titel: a", "yaml: unknown key 'titel'; did you mean 'title'?"),
        ("rows:", "rows: [", "line 8: not YAML"),
        ("0.154", "!!int abc", "'abc' is no number"),
        ("0.154", "2024-13-45", "'2024-13-45' is no number"),
        ("0.154", "1:30", "'1:30' is no number"),
        ("0.154", "[" * 100 + "1" + "]" * 100, "str expected, not [[["),
        ("0.154", "[" * 3000 + "]" * 3000, "nested too deeply"),
        ("title: a", "title: a\ntitle: b", "key 'title' occurs twice"),
        ("[100, 120]", "100", "series[0].columns: a list was expected, not '100'"),
    ],
)
def test_a_bad_table_is_refused_with_its_place(folder: Path, old: str, new: str, says: str) -> None:
    assert old in GOOD
    (folder / "fig3.yaml").write_text(GOOD.replace(old, new))
    with pytest.raises(UsageError, match=re.escape(says)) as refusal:
        load("fig3")
    assert "fig3.yaml" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_missing_table_is_refused(folder: Path) -> None:
    (folder / "claims.yaml").unlink()
    with pytest.raises(UsageError, match=r"cannot read .*claims\.yaml"):
        load("fig1")


CLAIM = """
claims:
- {id: a, section: "1", artifact: [fig3], quote: q, claim: c, statistic: s, unit: points, definition: d, above: 0}
untested:
- {section: "1", quote: q, why: w}
contradictions:
- {id: b, says: s, value: 1, computed: c, cells: [[fig3, hamming, 100, 120]]}
"""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (", above: 0", "", "claims[0].above: a claim needs `above`, `below` or both"),
        ("above: 0", "above: much", "claims[0].above: 'much' is no number"),
        ("above: 0", "above: 0, repeats: [{quote: q}]", "key 'claims[0].repeats[0].section' is missing"),
        (", unit: points", "", "yaml: key 'claims[0].unit' is missing"),
        ("100, 120]", "120, 100]", "yaml: contradictions[0].cells[0]: the paper prints no cell"),
        ("why: w", "because: w", "unknown key 'untested[0].because'; it has section, quote, why"),
    ],
)
def test_bad_claims_are_refused(folder: Path, old: str, new: str, says: str) -> None:
    (folder / "fig3.yaml").write_text(GOOD)
    (folder / "claims.yaml").write_text(CLAIM)
    assert [(claim.above, claim.below) for claim in claims()] == [(0, None)]
    forget()
    assert old in CLAIM
    (folder / "claims.yaml").write_text(CLAIM.replace(old, new))
    with pytest.raises(UsageError, match=re.escape(says)):
        claims()


def test_every_statistic_has_the_unit_that_its_definition_names() -> None:
    units = {claim.id: claim.unit for claim in claims()}
    for claim in claims():
        named = {"in points.": "points", "in points,": "points", "in percent": "%"}
        said = {unit for words, unit in named.items() if words in claim.definition}
        assert said <= {claim.unit}, claim.id
    assert units["tickets-emerge-at-saturation"] == "epochs of 200"
    assert units["ppr-indicates-45-resnet18"] == "epoch of 90"
    assert units["slope-follows-eq-5"] == "ratio"
