"""Draw the small hand-made plots of the page: a scale, marks that tell their value, legends.

The style sheet (page.css) sets colours and fonts, so that a plot follows dark mode and print. Each mark has a
``<title>``, which a browser shows without any script.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from repro.report.numbers import brief

Child = str | Markup | None


@dataclass(frozen=True)
class Panel:
    """A plot with its headings; ``keys`` are the entries of its legend."""

    title: str
    subtitle: str
    drawing: Markup
    keys: tuple[Markup, ...] = ()


@dataclass(frozen=True)
class Scale:
    """Map values to pixels: ``low`` to ``start``, ``high`` to ``end``."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low) if self.high != self.low else 0.5
        return self.start + share * (self.end - self.start)


def round_values(low: float, high: float, most: int) -> list[float]:
    """Return about ``most`` multiples of 1, 2, 2.5 or 5 times a power of ten between two limits."""
    if not high > low:
        return [low]
    rough = (high - low) / max(most, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    return [round(n * step, 12) for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def padded(values: Sequence[float], share: float = 0.06) -> tuple[float, float]:
    """Return limits around ``values`` with some room."""
    if not values:
        return 0.0, 1.0
    room = share * (max(values) - min(values)) or abs(values[0]) * 0.05 or 0.5
    return min(values) - room, max(values) + room


# ---- elements ------------------------------------------------------------------------------------------------


def tag(name: str, /, *children: Child, **attributes: object) -> Markup:
    """Return an element with everything escaped that is not `Markup`.

    ``class_`` stands for class and ``aria_label`` for aria-label. What is None is left out.
    """
    head = name + "".join(_attribute(key, value) for key, value in attributes.items() if value is not None)
    return Markup(f"<{head}>{join(*children)}</{name}>")


def join(*children: Child) -> Markup:
    """Concatenate children as markup."""
    return Markup("").join(child for child in children if child is not None)


def _attribute(key: str, value: object) -> str:
    name = key.rstrip("_")
    name = name if name == "viewBox" else name.replace("_", "-")
    return f' {name}="{escape(plain(value) if isinstance(value, float) else value)}"'


def plain(value: float) -> str:
    """Format a coordinate: at most one decimal, no trailing zero."""
    text = f"{value:.1f}"
    return "0" if text in ("-0.0", "0.0") else text.removesuffix(".0")


def canvas(width: float, height: float, name: str, *children: Child, kind: str = "") -> Markup:
    """Return an ``<svg>`` of a natural size; a screen reader calls it ``name``."""
    return tag("svg", *children, viewBox=f"0 0 {width:.0f} {height:.0f}", class_=f"plot {kind}".strip(),
               role="group", aria_label=name, style=f"--w:{width:.0f}px")  # fmt: skip


def text(x: float, y: float, words: str, anchor: str = "middle", class_: str | None = None) -> Markup:
    """Return text at its baseline."""
    return tag("text", words, x=float(x), y=float(y), text_anchor=anchor, class_=class_)


def rect(x: float, y: float, width: float, height: float, **attributes: object) -> Markup:
    """Return a rectangle."""
    return tag("rect", x=float(x), y=float(y), width=float(width), height=float(height), **attributes)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Return a straight line."""
    return tag("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=class_)


def circle(x: float, y: float, radius: float, class_: str) -> Markup:
    """Return a dot."""
    return tag("circle", cx=float(x), cy=float(y), r=float(radius), class_=class_)


def diamond(x: float, y: float, radius: float, class_: str) -> Markup:
    """Return the mark of what is outside its bounds: another shape, not only another colour."""
    r = radius * 1.25
    return tag(
        "path", d=f"M{x:.1f} {y - r:.1f}l{r:.1f} {r:.1f}l{-r:.1f} {r:.1f}l{-r:.1f} {-r:.1f}z", class_=class_
    )


def mark(about: str, *children: Child, class_: str = "") -> Markup:
    """Group what shows one value; pointing at it shows ``about``."""
    return tag("g", tag("title", about), *children, class_=f"mark {class_}".strip())


def key(sample: Markup, words: str) -> Markup:
    """Return an entry of a legend."""
    return tag("span", tag("svg", sample, viewBox="0 0 22 14", class_="sample", aria_hidden="true"), words,
               class_="key")  # fmt: skip


def x_axis(scale: Scale, y: float, top: float, most: int) -> Markup:
    """Return ticks and grid lines of a horizontal scale, the labels below ``y``."""
    ticks = round_values(scale.low, scale.high, most)
    return join(*(join(line(scale(v), top, scale(v), y, "grid"), text(scale(v), y + 15, brief(v))) for v in ticks))
