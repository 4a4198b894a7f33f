"""What every inline drawing is made of: scales, axes, marks that tell their value, legends.

Colours and fonts are the style sheet's (page.css), so that a drawing follows dark mode and print. Each mark has a
``<title>``, which a browser shows without any script; page.js makes a better tooltip of it, for keys and touch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from repro.report.page_html import Markup, escape, join, tag
from repro.report.plots_page import Cell, Document, comparable, number, verdict

MINUS = "\N{MINUS SIGN}"
FONT = 6.1  # width of a digit at the drawings' usual 11 px, generously


@dataclass(frozen=True)
class Panel:
    """One drawing with its headings; ``keys`` are the entries of its legend."""

    title: str
    subtitle: str
    drawing: Markup
    keys: tuple[Markup, ...] = ()
    narrow: bool = False  # three of its kind may stand in a row


@dataclass(frozen=True)
class Scale:
    """Values to pixels: ``low`` at ``start``, ``high`` at ``end``."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high = self._of(self.low), self._of(self.high)
        share = (self._of(value) - low) / (high - low) if high != low else 0.5
        return self.start + share * (self.end - self.start)

    def _of(self, value: float) -> float:
        return math.log(value) if self.log else value

    def ticks(self, most: int = 6) -> list[float]:
        """Round values inside the limits, at most about ``most``."""
        if not self.log:
            return round_values(self.low, self.high, most)
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for steps in ((1, 1.5, 2, 3, 4, 6, 8), (1, 2, 5), (1, 3), (1,)):
            found = [v for d in decades for m in steps if self.low <= (v := m * 10.0**d) <= self.high]
            if len(found) <= most:
                break
        return found if len(found) > 1 else [self.low, self.high]


def round_values(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2, 2.5 or 5 times a power of ten between two limits."""
    if not high > low:
        return [low]
    rough = (high - low) / max(most, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    return [round(n * step, 12) for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def padded(values: Sequence[float], share: float = 0.06) -> tuple[float, float]:
    """Limits around values with some room."""
    if not values:
        return 0.0, 1.0
    room = share * (max(values) - min(values)) or abs(values[0]) * 0.05 or 0.5
    return min(values) - room, max(values) + room


# ---- numbers as text -----------------------------------------------------------------------------------------


def shown(value: float, document: Document | None = None, *, sign: bool = False) -> str:
    """A value in the digits that its unit asks for, with a true minus sign."""
    return fixed(value, digits(value, document), sign=sign)


def digits(value: float, document: Document | None = None) -> int:
    """Decimals: those that the document asks for; else two for percent, four below one, fewer above."""
    if document is not None and isinstance(asked := document.get("digits"), int):
        return asked
    if document is not None and "%" in str(document.get("unit", "")):
        return 2
    return 4 if abs(value) < 1 else 2 if abs(value) < 100 else 0


def fixed(value: float, decimals: int, *, sign: bool = False) -> str:
    """So many decimals; nothing is called minus zero."""
    text = f"{value:+.{decimals}f}" if sign else f"{value:.{decimals}f}"
    if not text.strip("+-0."):
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def brief(value: float) -> str:
    """A tick label: no more digits than it needs."""
    return f"{value:,.6g}".replace("-", MINUS)


def tip(cell: Cell, document: Document, where: str) -> str:
    """What a mark says of its cell, a line each: ours, the paper's, the difference, the verdict."""
    value, printed = number(cell, "reproduced"), number(cell, "published")
    lines = [where]
    if value is not None:
        spread, n = number(cell, "sd"), number(cell, "n") or 1
        about = f" ± {shown(spread, document)} sd" if spread is not None else ""
        lines.append(f"ours {shown(value, document)}{about}" + (f" ({n:.0f} seeds)" if n > 1 else ""))
    if printed is not None:
        lines.append(f"paper {shown(printed, document)}" + ("" if comparable(document) else " (orientation only)"))
    if value is not None and printed is not None and comparable(document):
        lines.append(f"difference {shown(value - printed, document, sign=True)}")
        if (band := number(cell, "band")) is not None:
            lines.append(f"band ± {shown(band, document)}")
    return "\n".join([*lines, verdict(cell)])


# ---- elements ------------------------------------------------------------------------------------------------


def canvas(width: float, height: float, name: str, *children: Markup | None, kind: str = "") -> Markup:
    """An ``<svg>`` of a natural size that its place may scale; ``name`` is what a screen reader calls it."""
    return tag("svg", *children, viewBox=f"0 0 {width:.0f} {height:.0f}", class_=f"plot {kind}".strip(),
               role="group", aria_label=name, style=f"--w:{width:.0f}px")  # fmt: skip


def text(x: float, y: float, words: str, anchor: str = "middle", class_: str | None = None) -> Markup:
    """Text at its baseline."""
    return tag("text", words, x=float(x), y=float(y), text_anchor=anchor, class_=class_)


def rect(x: float, y: float, width: float, height: float, **attributes: object) -> Markup:
    """A rectangle."""
    return tag("rect", x=float(x), y=float(y), width=float(width), height=float(height), **attributes)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return tag("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=class_)


def circle(x: float, y: float, radius: float, class_: str, **attributes: object) -> Markup:
    """A dot."""
    return tag("circle", cx=float(x), cy=float(y), r=float(radius), class_=class_, **attributes)


def diamond(x: float, y: float, radius: float, class_: str) -> Markup:
    """The mark of what is outside its band: another shape, not only another colour."""
    r = radius * 1.25
    return tag(
        "path", d=f"M{x:.1f} {y - r:.1f}l{r:.1f} {r:.1f}l{-r:.1f} {r:.1f}l{-r:.1f} {-r:.1f}z", class_=class_
    )


def mark(about: str, *children: Markup | None, class_: str = "", **attributes: object) -> Markup:
    """Something with a value: pointing at it, or coming to it by keys, tells ``about``."""
    return tag("g", tag("title", about), *children, class_=f"mark {class_}".strip(), **attributes)


def key(sample: Markup, words: str) -> Markup:
    """An entry of a legend."""
    return tag("span", tag("svg", sample, viewBox="0 0 22 14", class_="sample", aria_hidden="true"), words,
               class_="key")  # fmt: skip


def rotated(x: float, y: float, words: str) -> Markup:
    """Text that runs upwards: the name of a vertical axis."""
    return Markup(f'<text class="axis" text-anchor="middle" transform="translate({x:.1f} {y:.1f}) rotate(-90)">'
                  f"{escape(words)}</text>")  # fmt: skip


def x_axis(scale: Scale, y: float, top: float, name: str, most: int = 7) -> Markup:
    """Ticks and grid lines of a horizontal scale, the labels below ``y``."""
    parts = [
        join([line(scale(v), top, scale(v), y, "grid"), text(scale(v), y + 15, brief(v))])
        for v in scale.ticks(most)
    ]
    middle = (scale.start + scale.end) / 2
    return join([*parts, text(middle, y + 33, name, class_="axis") if name else None])


def y_axis(scale: Scale, left: float, right: float, most: int = 6) -> Markup:
    """Ticks and grid lines of a vertical scale, the labels left of ``left``."""
    return join(
        join([line(left, scale(v), right, scale(v), "grid"), text(left - 6, scale(v) + 4, brief(v), "end")])
        for v in scale.ticks(most)
    )
