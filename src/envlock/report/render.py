"""The page as HTML: one file, no scripts, nothing from anywhere else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from envlock.report.words import KINDS, change_text, size_text

if TYPE_CHECKING:
    from envlock.report.model import Page

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def render(page: Page) -> str:
    """Return the HTML; every text is escaped and has no control characters."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("envlock.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_visible,
    )
    environment.filters |= {
        "bytes": size_text,
        "change": change_text,
        "kind": KINDS.__getitem__,
        "number": lambda value: f"{value:.1f}".removesuffix(".0"),
        "percent": lambda share: f"{100 * share:.1f} %" if share >= 0.001 else "< 0.1 %",
    }
    return environment.get_template("report.html").render(page=page)


def _visible(value: Any) -> Any:
    """Drop what cannot be seen and could reorder or end what can."""
    if type(value) is str and _UNSEEN.search(value):
        return _UNSEEN.sub("", value)
    return value
