"""Profiles side by side: counts, RMS and common cells against a slow reference; refusals; the page's section."""

from __future__ import annotations

import io
import json
import math
import random
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from page_documents import Tree, claim, claims, printed
from rich.console import Console

from repro import cells as compare
from repro import published, quantiles
from repro.commands import hypotheses
from repro.experiments import Study
from repro.options import Options
from repro.record import DIVERGED, Record
from repro.report import figures, hypotheses_table
from repro.report.document import Document
from repro.report.figures.hypotheses import draw
from repro.report.page import page, readme
from repro.run import Run
from repro.workspace import Workspace

pytestmark = pytest.mark.usefixtures("quickly_drawn")

Command = Callable[..., tuple[int, str, str]]
Record_of = Callable[..., Record]
PROFILES = ("paper", "paper-128")
ARTIFACTS = ("fig1", "fig3", "table2")
PLACES = [(name, p.series, p.row, p.col) for name in ARTIFACTS for p in published.load(name)]


def made_up(record_of: Record_of, run: Run, **values: Any) -> Record:
    about = {"device": "made up", "precision": "float32", "seed": run.seed, "wall_s": 1.0, "ended": "2026-01-01"}
    return record_of(run, provenance=about, **values)


def runs_of(study: Study, place: tuple[str, str, str, str], seeds: range) -> list[Run]:
    """The Runs of a printed cell, one a seed, written down from the paper."""
    artifact, series, row, col = place
    if artifact == "fig3":
        return [study.mask_distance("resnet20", seed, int(row), int(col)) for seed in seeds]
    if series == "tickets":
        return [study.ticket("resnet20", seed, int(col), int(row)) for seed in seeds]
    if series == "baseline":
        return [study.dense("resnet20", seed) for seed in seeds]
    if series == "one-shot":
        return [study.ticket(row, seed, int(col), int(col)) for seed in seeds]
    return [study.gradual(row, seed, *map(int, col.split("-"))) for seed in seeds]


def workspace(tmp_path: Path, profile: str, names: tuple[str, ...] = ARTIFACTS) -> Workspace:
    places = {"runs_dir": tmp_path / "runs", "out": tmp_path / "out", "data_dir": tmp_path / "none"}
    return Workspace(Options(profile=profile, **places), names)


def of_the_dense_network(place: tuple[str, str, str, str]) -> bool:
    """Fig. 1's baseline and Fig. 3's diagonal, of which nothing is finished here."""
    return place[1] == "baseline" or (place[0] == "fig3" and place[2] == place[3])


def fill(work: Workspace, record_of: Record_of, draw: random.Random, share: float) -> None:
    """A ledger of made-up Records: some cells have one to four seeds, one in thirty tickets diverges."""
    found: dict[str, Record] = {}
    for place in PLACES:
        if of_the_dense_network(place) or draw.random() > share:
            continue
        value = published.lookup(place[0])[place[1:]]
        seeds = range(4) if place[0] == "fig3" and draw.random() < 0.5 else range(draw.choice((1, 2, 3)))
        for run in runs_of(work.study, place, seeds):
            if place[0] == "fig3":
                far = {"mask_distance": value + draw.gauss(0, 0.0014)}
                found.setdefault(run.key, made_up(record_of, run, start=far))
            elif draw.random() < 1 / 30:
                found.setdefault(run.key, made_up(record_of, run, status=DIVERGED, top1=None, best_top1=None))
            else:
                found.setdefault(run.key, made_up(record_of, run, top1=value + draw.gauss(0, 0.6)))
    work.store.add(list(found.values()))


def reference(work: Workspace, place: tuple[str, str, str, str]) -> tuple[str, float | None]:
    """A printed cell's count and z from the ledger alone, by the formula."""
    records = {record.key: record for record in work.store.records()}
    here = [records[run.key] for run in runs_of(work.study, place, range(4)) if run.key in records]
    if any(record.status == DIVERGED for record in here):
        return "other", None
    values = [r.start["mask_distance"] if place[0] == "fig3" else r.top1 for r in here]
    if of_the_dense_network(place) or not values:
        return "not_run", None
    n, expected = len(values), published.lookup(place[0])[place[1:]]
    unit = {"fig3": 0.0007, "resnet56": 0.21}.get(place[2] if place[0] == "table2" else place[0], 0.23)
    if place[0] == "fig3" and n >= 3:
        unit = statistics.stdev(values) * quantiles.student(n - 1, 0.025) / 1.96
    away = abs(statistics.fmean(values) - expected)
    if unit == 0:
        return ("within" if away == 0 else "outside"), None
    z = (statistics.fmean(values) - expected) / (unit * math.sqrt(1 + 1 / n))
    return ("within" if abs(z) <= 1.96 else "outside"), z


def root_mean_square(values: list[float]) -> Any:
    total = 0.0
    for value in values:
        total += value**2
    return pytest.approx((total / len(values)) ** 0.5) if values else None


@pytest.mark.parametrize("seed", range(4))
def test_counts_rms_and_common_cells_are_those_of_a_slow_reference(
    tmp_path: Path, record_of: Record_of, seed: int
) -> None:
    draw = random.Random(seed)
    works = [workspace(tmp_path, name) for name in PROFILES]
    for work, share in zip(works, (0.3, 0.7), strict=True):
        fill(work, record_of, draw, share)
    found = hypotheses.document([workspace(tmp_path, name) for name in PROFILES])
    assert [one["artifact"] for one in found["artifacts"]] == list(ARTIFACTS)
    slow = {work.settings.name: {place: reference(work, place) for place in PLACES} for work in works}
    for one in [*found["artifacts"], found["total"]]:
        here = [place for place in PLACES if place[0] == one.get("artifact", place[0])]
        common = [p for p in here if all(slow[name][p][1] is not None for name in PROFILES)]
        assert one["common"] == len(common)
        for name in PROFILES:
            own, scores = one["profiles"][name], [z for p in here if (z := slow[name][p][1]) is not None]
            for count in ("within", "outside", "not_run", "other"):
                assert own[count] == sum(slow[name][p][0] == count for p in here), (count, name)
            assert own["compared"] == len(scores)
            assert own["rms"] == root_mean_square(scores)
            shared = [z for p in common if (z := slow[name][p][1]) is not None]
            assert own["common_rms"] == root_mean_square(shared)
        assert one["apart"] == sum(len({slow[name][p][0] for name in PROFILES}) > 1 for p in common)
        if one is not found["total"]:
            assert [(one["artifact"], c["series"], c["row"], c["col"]) for c in one["cells"]] == common
            for cell, p in zip(one["cells"], common, strict=True):
                assert cell["z"] == {name: pytest.approx(slow[name][p][1]) for name in PROFILES}
    assert found["total"]["common"] > 10


def test_z_is_read_off_the_band_whichever_it_is() -> None:
    def z(values: list[float], **changes: Any) -> float | None:
        return compare.cell("", "", "", values, **{"published": 91.0, "replicate_sd": 0.23} | changes).z

    assert z([91.5]) == pytest.approx(0.5 / (0.23 * math.sqrt(2)))
    assert z([91.0, 92.0, 90.5]) == pytest.approx((91.5 / 3 + 182.0 / 3 - 91.0) / (0.23 * math.sqrt(4 / 3)))
    measured = compare.cell("", "", "", [91.0, 91.5, 92.0], published=91.0)
    assert measured.band is not None
    edge = compare.cell("", "", "", [91.0, 91.5, 92.0], published=91.5 - measured.band)
    assert edge.z == pytest.approx(1.96)
    assert z([91.0]) == 0
    assert z([80.0], replicate_sd=0.0) is None  # a count, Table 4's epochs: outside, without a unit
    for changes in ({"comparable": False}, {"published": None}, {"replicate_sd": None}, {"diverged": True}):
        assert z([91.5], **changes) is None
    assert z([]) is None


def document_of(numbers: dict[tuple[str, str, str], tuple[float, float]]) -> Document:
    """A document of cells with (reproduced, printed) numbers."""
    cells = [
        compare.cell(*place, [value], published=number, replicate_sd=0.1)
        for place, (value, number) in numbers.items()
    ]
    return Document("any", cells=cells)


def test_only_cells_that_all_profiles_have_are_common() -> None:
    made = {
        name: [document_of({("s", "r", col): (value, 1.0) for col, value in own.items()})]
        for name, own in {"a": {"1": 1.0, "2": 1.1}, "b": {"2": 1.1, "3": 9.0}, "c": {"2": 5.0}}.items()
    }
    found = hypotheses.compare(made)
    assert [cell["col"] for cell in found["cells"]] == ["2"]
    assert (found["common"], found["alike"], found["apart"]) == (1, 0, 1)
    assert hypotheses.compare({name: made[name] for name in "ab"})["alike"] == 1
    assert hypotheses.compare({"a": [], "b": []})["profiles"]["a"]["rms"] is None


# ---- what it says --------------------------------------------------------------------------------------------


def found_of(numbers: dict[str, dict[str, list[float]]], count: int = 3) -> dict[str, Any]:
    """A document as `hypotheses.document` makes it, of artifacts whose i-th printed number is i."""
    profiles = list(next(iter(numbers.values())))
    artifacts = []
    for name, own in numbers.items():
        made = {
            profile: [document_of({("s", str(i), str(i + 1)): (v, float(i)) for i, v in enumerate(values)})]
            for profile, values in own.items()
        }
        about = {"artifact": name, "title": name, "unit": "points", "digits": 2, "differ": ["batch_size"]}
        artifacts.append(about | hypotheses.compare(made))
        for score in artifacts[-1]["profiles"].values():
            score |= {"runs": 2, "seeds": [0], "devices": ["d"], "precisions": ["p"]}
    total = {
        p: {k: sum(one["profiles"][p][k] for one in artifacts) for k in ("within", "outside", "not_run", "other",
            "compared")} | {"rms": 1.0, "common_rms": 1.0, "runs": 2, "runs_shared": 1}
        for p in profiles
    }  # fmt: skip
    supposed = {"batch_size": {p: f"{p} supposes <b>" for p in profiles}}
    found = {"profiles": profiles, "assumptions": supposed, "values": {"recipe.lr": dict.fromkeys(profiles, 0.1)},
            "artifacts": artifacts, "total": {"profiles": total, "common": 3, "alike": 1, "apart": 1}}  # fmt: skip
    return found | {"conclusion": hypotheses.conclusion(profiles, artifacts)}


def test_the_conclusion_follows_the_numbers() -> None:
    near, far = [0.0, 1.1, 2.1], [0.0, 1.4, 2.4]
    for profiles in (("one", "two"), ("two", "one")):
        text = found_of({"fig3": dict(zip(profiles, (near, far), strict=True))})["conclusion"]
        assert (
            f"On the 3 cells of Fig. 3 that all have (1 of them the same in all), profile {profiles[0]} has"
            in text
        )
        assert "0.58, against 2.31 for profile" in text and "verdicts differ on 2 of them" in text
        assert "not independent" in text and "no probability" in text
    same = found_of({"fig3": {"one": far, "two": far}, "table2": {"one": [0.1], "two": [-0.1]}})["conclusion"]
    assert (
        "all give the same numbers" in same and "have the same RMS" in same and "the verdict is the same" in same
    )
    three = found_of({"fig3": {"a": far, "b": near, "c": far}})["conclusion"]
    assert "profile b has the smallest RMS" in three and "for profile a, " in three
    assert "nothing can be said between them yet" in found_of({"fig3": {"one": near, "two": []}})["conclusion"]


def test_a_long_value_is_wrapped_and_not_cut() -> None:
    found = found_of({"fig3": {"one": [0.0], "two": [0.0]}})
    columns = list(range(5, 200, 5))
    found["values"] = {"grid.columns": {"one": columns, "two": None}}
    out = io.StringIO()
    hypotheses_table.show(found, Console(file=out, width=80, color_system=None, highlight=False))
    assert f"grid.columns {columns} in one, nothing in two" in " ".join(out.getvalue().split())
    assert max(map(len, out.getvalue().splitlines())) <= 80


def test_the_terminal_needs_100_columns() -> None:
    found = found_of({"fig3": {"paper": [0.0, 1.1, 2.1], "paper-128": [0.0, 1.4, 2.4]}})
    out = io.StringIO()
    hypotheses_table.show(found, Console(file=out, width=100, color_system=None, highlight=False))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 100 and "…" not in out.getvalue()
    (row,) = [line.split() for line in lines if line.split()[:2] == ["fig3", "paper-128"]]
    assert row[2:] == ["1", "2", "0", "2.31", "3", "2.31", "3", "0"]
    assert [line.split() for line in lines if line.split()[1:3] == ["2", "3"]] == [
        ["s", "2", "3", "2", "2.10", "+0.7", "2.40", "+2.8"]
    ]


# ---- the command ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--profiles", "paper"], ["two or more", "paper,paper-128"]),
        (["--profiles", "paper,"], ["two or more"]),
        (["--profiles", ""], ["--profiles is empty"]),
        (["--profiles", "paper,paper"], ["each once"]),
        (["--profiles", "paper,pater"], ["'pater'", "paper-128"]),
        (["--profiles", "paper,pilot"], ["pilot is not compared with", "paper, paper-128"]),
        (["--profiles", "paper,paper-128", "--profile", "paper"], ["--profile:", "choose one"]),
        (["--profiles", "paper,paper-128", "--set", "recipe.lr=0.2"], ["--set:", "choose one"]),
    ],
)
def test_what_are_no_two_hypotheses_is_refused(
    command: Command, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    code, out, err = command("diff", *arguments)
    assert (code, out) == (2, "") and len(err.splitlines()) == 1
    assert [word for word in words if word not in err] == []
    assert not (tmp_path / "out").exists()


def test_the_command_says_it_all_and_is_no_verdict(command: Command, tmp_path: Path, record_of: Record_of) -> None:
    for name in PROFILES:
        fill(workspace(tmp_path, name), record_of, random.Random(name), 0.5)
    code, out, err = command("diff", *ARTIFACTS, "--profiles", ",".join(PROFILES), "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert not (tmp_path / "out" / "paper" / "hypotheses.json").exists()
    assert set(found) == {"profiles", "assumptions", "values", "artifacts", "total", "conclusion"}
    assert found["profiles"] == list(PROFILES)
    assert list(found["assumptions"]) == ["batch_size", "last_batch"]
    assert found["values"]["recipe.batch_size"] == {"paper": 64, "paper-128": 128}
    assert set(found["values"]) == {"recipe.batch_size", "memorization.batch_size"}
    own = found["artifacts"][1]["profiles"]["paper"]
    assert (own["devices"], own["precisions"]) == (["made up"], ["float32"])
    assert found["artifacts"][1]["differ"] == ["batch_size"]
    total = found["total"]["profiles"]["paper"]
    assert total["runs"] < sum(one["profiles"]["paper"]["runs"] for one in found["artifacts"])
    assert total["outside"] and total["runs_shared"]  # tickets of Fig. 1's diagonal are Table 2's

    code, out, _ = command("diff", *ARTIFACTS, "--profiles", ", ".join(reversed(PROFILES)))
    assert code == 0
    assert "He et al." in out and "Fig. 3: the cells that all have" in out and "no probability" in out


# ---- the page ------------------------------------------------------------------------------------------------


def test_only_hypotheses_of_which_something_ran_stand_beside_one(tmp_path: Path, record_of: Record_of) -> None:
    fill(workspace(tmp_path, "paper-128"), record_of, random.Random(0), 0.2)
    assert hypotheses.around(workspace(tmp_path, "paper-128")) is None  # paper has no Run
    found = hypotheses.around(workspace(tmp_path, "paper"))
    assert found is not None and found["profiles"] == list(PROFILES)  # in the file's order
    for profile in ("smoke", "pilot"):
        assert hypotheses.around(workspace(tmp_path, profile)) is None
    changed = Options(profile="paper", out=tmp_path / "out", data_dir=tmp_path, overrides=["recipe.lr=0.2"])
    assert hypotheses.around(Workspace(changed)) is None


def test_the_report_of_both_profiles_has_the_section(
    command: Command, tmp_path: Path, record_of: Record_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "write", lambda document, path: None)  # seconds, and nothing to see here
    monkeypatch.setattr("repro.report.page.picture", lambda document: "")
    for name in PROFILES:
        fill(workspace(tmp_path, name), record_of, random.Random(name), 0.5)
    for name in PROFILES:
        code, _, err = command("report", "--profile", name)
        assert code == 0, err
        html = (tmp_path / "out" / name / "index.html").read_text()
        tree = Tree(html)
        assert "hypotheses" in tree.ids and tree.untold == []
        assert json.loads((tmp_path / "out" / name / "hypotheses.json").read_text())["profiles"] == list(PROFILES)
        assert "The open assumption: which batch size?" in tree.text
        assert "## The open assumption: which batch size?" in (tmp_path / "out" / name / "README.md").read_text()
        assert not [value for _, a in tree.elements for value in a.values() if "://" in (value or "")]
    code, _, err = command("report", "--profile", "pilot")
    assert code == 0, err
    shown = [(tmp_path / "out" / "pilot" / name).read_text() for name in ("index.html", "README.md")]
    assert not [text for text in shown if "open assumption" in text or "hypotheses" in text]


def test_a_page_without_it_stays_as_it_was_and_one_with_it_is_whole() -> None:
    documents, ours = [printed("fig1")], claims(claim("a"))
    assert 'id="hypotheses"' not in page(documents, ours, ours)
    evil = '<script>x</script>"'
    found = found_of(
        {"fig3": {"a": [0.1, 1.4], evil: [0.0, 1.1], "c": [3.0, 2.0]}, "mine": {"a": [], evil: [], "c": []}}
    )
    text = page(documents, ours, ours, found)
    tree = Tree(text)
    assert "<script>x" not in text and tree.untold == [] and evil in tree.text
    assert {target[1:] for _, a in tree.elements if (target := a.get("href") or "").startswith("#")} <= tree.ids
    told = tree.text.split("The open assumption")[1].split("Figures and tables")[0]
    for words in (
        "which batch size?",
        "a supposes <b>",
        "recipe.lr",
        "0.50",
        "What they rest on",
        "no probability",
    ):
        assert words in told, words
    text = readme(documents, ours, found)
    assert "<script>" not in text and "## The open assumption: which batch size?" in text


def test_the_drawing_has_a_line_for_each_telling_cell() -> None:
    def drawn(cells: dict[str, dict[str, list[float]]]) -> tuple[str, list[str]]:
        figure = draw(found_of(cells))
        assert figure is not None
        return " · ".join(figure.notes), list(figure.titles.values())

    note, titles = drawn({"fig3": {"a": [0.0, 1.1, 2.1], "b": [0.0, 1.4, 2.4]}})
    assert note.startswith("Fig. 3, 2 cells that all have") and len(titles) == 6  # the first is as printed in both
    assert titles[3:] == [
        "2 / 3\nprinted 2.00",
        "2 / 3\na 2.10, printed 2.00: z +0.7, within",
        "2 / 3\nb 2.40, printed 2.00: z +2.8, outside",
    ]
    more = {"a": [i + 0.1 for i in range(40)], "b": [i + 0.1 + i / 1000 for i in range(40)]}
    assert drawn({"fig1": more, "fig3": {"a": [0.0], "b": [9.0]}})[0].startswith("Fig. 3")  # where verdicts differ
    note, titles = drawn({"fig1": more, "fig3": {"a": [0.1], "b": [0.2]}})
    assert note.startswith("Fig. 1, 40 cells") and "the 24 on which" in note
    names = {title.splitlines()[0] for title in titles}
    assert "39 / 40" in names and "15 / 16" not in names
    for none in ([0.0], []):
        assert draw(found_of({"fig3": {"a": none, "b": none}})) is None
    drawn({"fig3": {str(i): [0.0, 1.1 + i] for i in range(6)}})
