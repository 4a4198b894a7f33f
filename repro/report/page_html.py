"""HTML and SVG as text: everything is escaped unless it is `Markup` already."""

from __future__ import annotations

import html
from collections.abc import Iterable

VOID = frozenset({"meta", "br", "link", "hr"})
SVG_EMPTY = frozenset({"rect", "circle", "line", "path", "use"})


class Markup(str):
    """Text that is markup and stays as it is."""

    __slots__ = ()


Child = str | Markup | None


def escape(text: object) -> Markup:
    """Text as markup. ``://`` is written with references: the page shows it and holds no address."""
    return Markup(html.escape(str(text)).replace("://", ":&#47;&#47;"))


def tag(name: str, /, *children: Child, **attributes: object) -> Markup:
    """An element. ``class_`` stands for class and ``aria_label`` for aria-label; an attribute that is None or
    False is left out, True stands without a value. A child that is None is left out."""
    head = name + "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return Markup(f"<{head}>")
    if name in SVG_EMPTY and not children:
        return Markup(f"<{head}/>")
    return Markup(f"<{head}>{join(children)}</{name}>")


def join(children: Iterable[Child], between: str = "") -> Markup:
    """Children one after another, those that are None left out."""
    parts = [child if isinstance(child, Markup) else escape(child) for child in children if child is not None]
    return Markup(between.join(parts))


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    return f' {name}="{escape(plain(value) if isinstance(value, float) else value)}"'


def plain(value: float) -> str:
    """A coordinate: at most one decimal, no trailing zero."""
    text = f"{value:.1f}"
    return "0" if text in ("-0.0", "0.0") else text.removesuffix(".0")


def link(target: str, *children: Child, **attributes: object) -> Markup:
    """A link inside the page."""
    return tag("a", *children, href=f"#{target}", **attributes)


def details(summary: Child, *children: Child, **attributes: object) -> Markup:
    """Something to be opened."""
    return tag("details", tag("summary", summary), *children, **attributes)
