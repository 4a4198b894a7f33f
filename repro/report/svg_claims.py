"""Draw a claim: its value and 95 % interval against the bounds between which it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from repro.report import statistic
from repro.report.numbers import brief
from repro.report.svg import Scale, canvas, circle, diamond, line, mark, rect, text

WIDTH, HEIGHT, MIDDLE, EDGE = 260.0, 48.0, 17.0, 12.0


def interval(claim: Mapping[str, Any], state: str) -> Markup:
    """Draw a claim on a scale of its own. ``state`` is its verdict as a class.

    The zone in which it holds is tinted, our value is solid, the published statistic hollow.
    """
    above, below, value, low, high, printed = (
        claim.get(name) for name in ("above", "below", "value", "low", "high", "published")
    )
    known = [v for v in (above, below, value, low, high, printed) if v is not None]
    x = scale(known)
    left, right = (EDGE if above is None else x(above)), (WIDTH - EDGE if below is None else x(below))
    parts: list[Markup | None] = [
        rect(min(left, right), 4, abs(right - left), 26, class_="zone"),
        line(EDGE, MIDDLE, WIDTH - EDGE, MIDDLE, "track"),
    ]
    labels = [(x(bound), brief(bound)) for bound in (above, below) if bound is not None]
    # Two labels that would touch stand on the outer sides of their lines.
    close = len(labels) == 2 and abs(labels[1][0] - labels[0][0]) < 52
    for index, (place, words) in enumerate(labels):
        anchor = ("end", "start")[index] if close else "middle"
        parts += [
            line(place, 4, place, 31, "bound"),
            text(min(max(place, 14), WIDTH - 14), 42, words, anchor, "tiny"),
        ]
    if printed is not None:
        parts.append(circle(x(printed), MIDDLE, 5.2, "paper-dot"))
    if low is not None and high is not None:
        parts += [line(x(low), MIDDLE, x(high), MIDDLE, "whisker")]
        parts += [line(x(end), MIDDLE - 4, x(end), MIDDLE + 4, "whisker") for end in (low, high)]
    if value is not None:
        fails = state == "fails"
        parts.append(
            diamond(x(value), MIDDLE, 4.2, "our-dot") if fails else circle(x(value), MIDDLE, 4.2, "our-dot")
        )
    about = told(claim)
    return canvas(WIDTH, HEIGHT, about, mark(about, *parts), kind=f"interval is-{state}")


def scale(known: list[float]) -> Scale:
    """Return a scale with room around all known values; a single value is in the middle."""
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    room = 0.22 * (high - low) or abs(low) * 0.5 or 1.0
    return Scale(low - room, high + room, EDGE, WIDTH - EDGE)


def told(claim: Mapping[str, Any]) -> str:
    """Describe the plot in words."""
    ours = f"ours {statistic.told(claim)}" if statistic.has_value(claim) else "no value of ours"
    paper = f"paper {found}" if (found := statistic.printed(claim)) else ""
    return "\n".join(filter(None, [ours, paper, f"bounds {statistic.bounds(claim)}"]))


RIM = Markup('<circle class="rim" cx="8" cy="8" r="6.2"/>')
SHAPES: Mapping[str, Markup] = {
    "holds": Markup('<circle cx="8" cy="8" r="7"/><path class="cut" d="M4.6 8.3L7 10.7L11.6 5.7"/>'),
    "fails": Markup(
        '<path d="M8 .4L15.6 8L8 15.6L.4 8z"/><path class="cut" d="M5.6 5.6L10.4 10.4M10.4 5.6L5.6 10.4"/>'
    ),
    "undecided": RIM + Markup('<path d="M8 1.8A6.2 6.2 0 0 1 8 14.2z"/>'),
    "not-run": Markup('<circle class="rim dashed" cx="8" cy="8" r="6"/>'),
    "unpublished": RIM + Markup('<path class="stroke" d="M5 8L11 8"/>'),
    "not-comparable": RIM + Markup('<path class="stroke" d="M5 6.3L11 6.3M5 9.7L11 9.7"/>'),
    "diverged": RIM + Markup('<path class="stroke" d="M5.6 5.6L10.4 10.4M10.4 5.6L5.6 10.4"/>'),
}
SAME = {"within": "holds", "outside": "fails"}  # cells and claims share their signs


def state(verdict: str) -> str:
    """Return a verdict's class: ``not run`` -> ``not-run``, ``within`` -> ``holds``."""
    name = SAME.get(verdict, verdict.replace(" ", "-"))
    return name if name in SHAPES else "unpublished"
