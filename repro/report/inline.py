"""Turn a matplotlib figure into SVG that is part of an HTML page: it scales, and follows dark mode."""

from __future__ import annotations

import io
import re

import matplotlib
from markupsafe import Markup, escape

from repro.report.figures import Sheet, styled

THEME = {
    "#000000": "currentColor", "#202124": "currentColor", "#5f6368": "var(--soft)", "#9aa0a6": "var(--faint)",
    "#dadce0": "var(--line)", "#e8eaed": "var(--band)", "#f4f5f6": "var(--blank)", "#fafafa": "var(--blank)",
    "#ffffff": "var(--bg)", "#b84a00": "var(--c0)", "#0072b2": "var(--c1)", "#00795c": "var(--c2)",
    "#8a3f7b": "var(--c3)", "#6b5500": "var(--c4)",
}  # fmt: skip
"""The pictures' greys and the colours of their curves, and what they are on the page (page.css)."""
DROPPED = re.compile(r"<metadata>.*?</metadata>|<style .*?</style>|<defs>\s*</defs>", re.DOTALL)


def inline_svg(figure: Sheet, name: str) -> Markup:
    """Return the figure as one ``<svg>`` element. The same figure gives the same bytes.

    Text stays text, the background is transparent, greys and curves have the page's colours. Each group whose id
    is in ``figure.titles`` gets that text as its ``<title>``. ``name`` is its label; figures of different names
    share no id, so that they may stand in one page.
    """
    buffer = io.StringIO()
    with styled():
        matplotlib.rc("svg", hashsalt=name)
        figure.savefig(buffer, format="svg", transparent=True, bbox_inches="tight", pad_inches=0.04)
    svg = DROPPED.sub("", buffer.getvalue().partition("<svg")[2])
    used = set(re.findall(r'(?:url\(|href=")#([^)"]+)', svg))

    def adapted(found: re.Match[str]) -> str:
        """Adapt a tag: colours, the font, two decimals, no id without use, a title."""
        tag = " ".join(found[0].split()).replace("xlink:href", "href").replace("base64, ", "base64,")
        tag = tag.replace("'DejaVu Sans'", "var(--sans)")
        tag = re.sub(r'(?<=[: "])#[0-9a-f]{6}\b', lambda colour: THEME.get(colour[0], colour[0]), tag)
        tag = re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", tag)
        if (own := re.search(r' id="(.*?)"', tag)) and own[1] not in used:
            tag = tag.replace(own[0], "")
            if own[1] in figure.titles and not tag.endswith("/>"):
                return f'{tag[:-1]} class="mark"><title>{escape(figure.titles[own[1]])}</title>'
        return tag

    head, _, body = svg.partition(">")
    shape = re.findall(r'viewBox="(.*?)"', head)[0]
    body = re.sub(r">\s*\n\s*<", "><", re.sub(r"<[^>]+>", adapted, body)).strip()
    return Markup(
        f'<svg class="plot marks figure" viewBox="{shape}" role="group" aria-label="{escape(name)}" '
        f'style="--w:{float(shape.split()[2]):.0f}px">{body}'
    )
