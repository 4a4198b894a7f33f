"""The page's section on an assumption that the paper leaves open: the profiles that answer it, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from repro.report.hypotheses_table import amount, cell_rows, notes, rests, rows, values
from repro.report.page_artifact import panel
from repro.report.page_html import Markup, details, join, tag
from repro.report.plots_page import label
from repro.report.svg_hypotheses import drawing, shape

Found = Mapping[str, Any]
HEADER = ("Profile", "within", "outside", "not run", "RMS", "of cells", "RMS on the common", "of cells", "other")


def heading(found: Found) -> str:
    """The question, by the first assumption in which the profiles differ."""
    first = next(iter(found["assumptions"]), None)
    return f"The open assumption: which {first.replace('_', ' ')}?" if first else "Profiles that follow the paper"


def section(found: Found | None) -> Markup | None:
    """The section; None where there is nothing to compare."""
    if not found:
        return None
    drawn = drawing(found)
    lead = (
        "The paper does not say. Each profile supposes something else, is trained alike otherwise, and stands "
        "against the same printed numbers."
    )
    return tag(
        "section",
        tag("h2", heading(found)),
        tag("p", lead, class_="lead small"),
        _supposed(found),
        tag("p", found["conclusion"], class_="lead"),
        tag("figure", panel(drawn), class_="panels of-1") if drawn else None,
        _scores(found),
        *(tag("p", line, class_="lead small") for line in notes(found)),
        _cells(found),
        _rests(found),
        id="hypotheses",
        class_="artifact",
    )


def _supposed(found: Found) -> Markup:
    parts = [
        tag("div", tag("dt", name.replace("_", " ")), tag("dd", *(
            tag("p", tag("b", profile), f" {'nothing' if text is None else text}") for profile, text in own.items()
        )))
        for name, own in found["assumptions"].items()
    ]  # fmt: skip
    if set_ := values(found):
        lines = (tag("p", tag("code", name), f" {told}") for name, told in set_)
        parts.append(tag("div", tag("dt", "set in params.yaml"), tag("dd", *lines)))
    return tag("dl", *parts, class_="supposed")


def _scores(found: Found) -> Markup:
    """Profiles x artifacts; each artifact a group of rows."""
    table: dict[str, list[Markup]] = {}
    order = {profile: index for index, profile in enumerate(found["profiles"])}
    for artifact, profile, *numbers in rows(found):
        sign = tag("svg", shape(order[profile], 11, 7), viewBox="0 0 22 14", class_="sample", aria_hidden="true")
        head = tag("th", sign, " ", profile, scope="row", class_="profile")
        table.setdefault(artifact, []).append(tag("tr", head, *(tag("td", number) for number in numbers)))
    head = tag("tr", *(tag("th", name, scope="col") for name in HEADER))
    groups = [
        tag("tbody", tag("tr", tag("th", _name(name), colspan=len(HEADER), scope="rowgroup")), *lines)
        for name, lines in table.items()
    ]
    caption = "Printed numbers that each profile explains"
    whole = tag("table", tag("caption", caption), tag("thead", head), *groups, class_="scores")
    return tag("div", whole, class_="wide", tabindex=0, role="region", aria_label=f"table: {caption}")


def _name(artifact: str) -> str:
    return "All artifacts" if artifact == "total" else label(artifact)


def _cells(found: Found) -> Markup | None:
    parts = []
    for one in found["artifacts"]:
        if not one["common"]:
            continue
        header, lines = cell_rows(found, one)
        head = tag("tr", *(tag("th", name, scope="col") for name in header))
        body = [tag("tr", tag("th", first, scope="row"), *map(_td, others)) for first, *others in lines]
        own = ", ".join(f"{name} {amount(side['common_rms'])}" for name, side in one["profiles"].items())
        caption = f"{label(one['artifact'])}: RMS {own}"
        table = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body))
        parts.append(tag("div", table, class_="wide", tabindex=0, role="region", aria_label=f"table: {caption}"))
    return details("The cells that all profiles have", *parts, class_="numbers") if parts else None


def _td(word: str) -> Markup:
    return tag("td", word)


def _rests(found: Found) -> Markup | None:
    lines = [tag("div", tag("dt", profile), tag("dd", told)) for profile, told in rests(found)]
    if not lines:
        return None
    return tag("div", details("What they rest on", tag("dl", join(lines))), class_="about")
