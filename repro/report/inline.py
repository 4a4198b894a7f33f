"""Turn a matplotlib figure into SVG that is part of an HTML page: it scales, and follows dark mode."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

THEME = {
    "#000000": "currentColor", "#202124": "currentColor", "#5f6368": "var(--soft)", "#9aa0a6": "var(--faint)",
    "#dadce0": "var(--line)", "#e8eaed": "var(--band)", "#f4f5f6": "var(--blank)", "#fafafa": "var(--blank)",
    "#ffffff": "var(--bg)", "#b84a00": "var(--c0)", "#0072b2": "var(--c1)", "#00795c": "var(--c2)",
    "#8a3f7b": "var(--c3)", "#6b5500": "var(--c4)",
}  # fmt: skip
"""The pictures' greys and the colours of their curves, and what they are on the page (page.css)."""
KEPT = 0.999  # opacity of texts whose colour was chosen for the ground on which they stand
DROPPED = re.compile(r"<metadata>.*?</metadata>|<style .*?</style>|<defs>\s*</defs>", re.DOTALL)


def inline_svg(figure: Figure, name: str = "figure") -> Markup:
    """Return the figure as one ``<svg>`` element. The same figure gives the same bytes.

    Text stays text, the background is transparent, greys and curves have the page's colours, but for texts on a
    coloured ground. Artists in ``figure.aside``, which repeat what the page says beside the figure, are left
    out. Each group whose id is in ``figure.titles`` gets that text as its ``<title>``.

    Args:
        figure: the figure, which is not changed.
        name: starts every id, so that several figures may stand in one page.
    """
    import matplotlib

    buffer = io.StringIO()
    style: Any = {"svg.fonttype": "none", "svg.hashsalt": "repro"}
    with matplotlib.rc_context(style), _prepared(figure):
        figure.savefig(
            buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None},
            bbox_inches="tight", pad_inches=0.04,
        )  # fmt: skip
    return Markup(_adapted(buffer.getvalue(), name, getattr(figure, "titles", {})))


@contextmanager
def _prepared(figure: Figure) -> Iterator[None]:
    """Hide what is aside, and tell texts on a coloured ground, whose colour stays, from all others."""
    aside = [artist for artist in getattr(figure, "aside", ()) if artist.get_visible()]
    kept = [(text, text.get_alpha()) for axes in figure.axes for text in _on_colour(axes)]
    for artist in aside:
        artist.set_visible(False)
    for text, _ in kept:
        text.set_alpha(KEPT)
    yield
    for artist in aside:
        artist.set_visible(True)
    for text, alpha in kept:
        text.set_alpha(alpha)


def _on_colour(axes: Axes) -> list[Text]:
    """Return the texts that stand on an image, a mesh or a patch in a colour of its own."""
    from matplotlib.collections import QuadMesh
    from matplotlib.colors import to_hex

    grounds: list[Any] = [*axes.images, *(found for found in axes.collections if isinstance(found, QuadMesh))]
    grounds += [patch for patch in axes.patches if patch.get_fill() and to_hex(patch.get_facecolor()) not in THEME]
    boxes = [ground.get_window_extent() for ground in grounds if ground.get_visible()]
    places = [(text, text.get_transform().transform(text.get_position())) for text in axes.texts]
    return [text for text, place in places if any(box.contains(*place) for box in boxes)]


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
    if f"opacity: {KEPT}" not in tag:
        tag = re.sub(r'(?<=[: "])#[0-9a-f]{6}\b', lambda match: THEME.get(match[0], match[0]), tag)
    tag = re.sub(r"-?\d+\.\d{3,}", lambda match: f"{float(match[0]):.2f}", tag)
    tag = re.sub(r'(url\(|href=")#', rf"\1#{name}-", tag)
    if not (found := re.search(r' id="(.*?)"', tag)):
        return tag
    tag = tag.replace(found[0], f' id="{name}-{found[1]}"' if found[1] in used else "")
    told = titles.get(found[1])
    return tag if told is None or tag.endswith("/>") else f'{tag[:-1]} class="mark"><title>{escape(told)}</title>'
