"""What stands around every picture, in words: verdicts, seeds, origin, and what a mark says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from figure_documents import pilot, printed, texts, without

from repro import cells as compare
from repro.cells import cell
from repro.report import figures, reading
from repro.report.document import Document

pytestmark = pytest.mark.usefixtures("unplaced")


def test_another_profile_and_its_overrides_are_said() -> None:
    said = " ".join(texts(figures.draw(replace(pilot("fig1"), overrides={"recipe.epochs": 7}))))
    assert "pilot profile: not comparable with the published numbers" in said
    assert "recipe.epochs=7" in said
    assert reading.warning(printed("fig1")) == ""


def test_the_footer_names_data_device_once_and_seeds() -> None:
    doc = printed("fig1", seeds=3)
    devices = ["Xeon, 1 thread", "Xeon, 1 threads", "Xeon, 2 threads", "NVIDIA H200"]
    doc = replace(doc, provenance={**doc.provenance, "devices": devices})
    assert reading.footer(doc) == [
        "profile paper", doc.provenance["data"], "Xeon, 1 or 2 threads, NVIDIA H200", "bfloat16",
        "seeds 0, 1, 2", "144 Runs",
    ]  # fmt: skip
    assert reading.footer(Document("fig1", profile="smoke")) == ["profile smoke"]


def test_cells_and_seeds_are_counted() -> None:
    doc = printed("fig1", shift=0.7)
    within, outside = doc.verdicts[compare.WITHIN], doc.verdicts[compare.OUTSIDE]
    told = f"154 cells: {within} within the 95 % band, {outside} outside"
    assert reading.summary(doc) == told and outside > 1
    assert reading.summary(without(doc)) == "154 cells: 154 not run"
    several = [cell("s", "r", str(n), [1.0] * n) for n in (1, 3)]
    assert [reading.seeds(found) for found in ([], several[:1], several[1:], several)] == [
        "", "one seed", "mean of 3 seeds", "mean of up to 3 seeds",
    ]  # fmt: skip


def test_a_title_names_place_numbers_and_verdict() -> None:
    doc = printed("fig1", seeds=2, shift=0.0)
    (one,) = [c for c in doc.cells if (c.row, c.col) == ("100", "60")]
    assert reading.told(one, doc) == (
        "s = 60, v = 100: reproduced 91.39 % (2 seeds), published 91.39 %, within the 95 % band"
    )
    gone = replace(one, reproduced=None, n=0, verdict="diverged")
    assert reading.told(gone, doc) == "s = 60, v = 100: diverged, published 91.39 %"
    other = replace(doc, paper_epochs={"60": "600"}, comparable=False)
    assert reading.told(one, other).endswith("published 91.39 % (the paper's s = 600), within the 95 % band")
