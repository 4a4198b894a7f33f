"""Turn a matplotlib figure into SVG that is part of an HTML page: it scales, and follows dark mode."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

THEME = {
    "#000000": "currentColor", "#202124": "currentColor", "#5f6368": "var(--soft)", "#9aa0a6": "var(--faint)",
    "#dadce0": "var(--line)", "#e8eaed": "var(--band)", "#f4f5f6": "var(--blank)", "#fafafa": "var(--blank)",
    "#ffffff": "var(--bg)", "#b84a00": "var(--c0)", "#0072b2": "var(--c1)", "#00795c": "var(--c2)",
    "#8a3f7b": "var(--c3)", "#6b5500": "var(--c4)",
}  # fmt: skip
"""The pictures' greys and the colours of their curves, and what they are on the page (page.css)."""
DROPPED = re.compile(r"<metadata>.*?</metadata>|<style .*?</style>|<defs>\s*</defs>", re.DOTALL)


def inline_svg(figure: Figure, name: str = "figure") -> Markup:
    """Return the figure as one ``<svg>`` element. The same figure gives the same bytes.

    Text stays text, the background is transparent, greys and curves have the page's colours. Artists in
    ``figure.aside``, which repeat what the page says beside the figure, are left out. Each group whose id is in
    ``figure.titles`` gets that text as its ``<title>``.

    Args:
        figure: the figure, which is not changed.
        name: starts every id, so that several figures may stand in one page.
    """
    buffer = io.StringIO()
    aside = [artist for artist in getattr(figure, "aside", ()) if artist.get_visible()]
    for artist in aside:
        artist.set_visible(False)
    figure.savefig(
        buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None},
        bbox_inches="tight", pad_inches=0.04,
    )  # fmt: skip
    for artist in aside:
        artist.set_visible(True)
    return Markup(_adapted(buffer.getvalue(), name, getattr(figure, "titles", {})))


def _adapted(svg: str, name: str, titles: Mapping[str, str]) -> str:
    """Rewrite what matplotlib saved for its place in the page."""
    svg = DROPPED.sub("", svg[svg.index("<svg") :])
    used = set(re.findall(r'(?:url\(|href=")#([^)"]+)', svg))
    svg = re.sub(r"<[^>]+>", lambda match: _tag(match[0], name, titles, used), svg)
    return re.sub(r">\s*\n\s*<", "><", svg).strip()


def _tag(tag: str, name: str, titles: Mapping[str, str], used: set[str]) -> str:
    """Rewrite one tag: ids, colours, the font, coordinates of two decimals, a title."""
    if tag.startswith("<svg"):
        box = re.search(r'viewBox="(.*?)"', tag)
        shape = box[1] if box else ""
        return (
            f'<svg class="plot marks figure" viewBox="{shape}" role="group" aria-label="{escape(name)}" '
            f'style="--w:{float(shape.split()[2]):.0f}px">'
        )
    tag = " ".join(tag.split()).replace("xlink:href", "href").replace("base64, ", "base64,")
    tag = tag.replace("'DejaVu Sans'", "var(--sans)")
    tag = re.sub(r'(?<=[: "])#[0-9a-f]{6}\b', lambda match: THEME.get(match[0], match[0]), tag)
    tag = re.sub(r"-?\d+\.\d{3,}", lambda match: f"{float(match[0]):.2f}", tag)
    tag = re.sub(r'(url\(|href=")#', rf"\1#{name}-", tag)
    if not (found := re.search(r' id="(.*?)"', tag)):
        return tag
    tag = tag.replace(found[0], f' id="{name}-{found[1]}"' if found[1] in used else "")
    told = titles.get(found[1])
    return tag if told is None or tag.endswith("/>") else f'{tag[:-1]} class="mark"><title>{escape(told)}</title>'
