"""Which top-level packages a distribution is imported by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.audit.model import normalize

if TYPE_CHECKING:
    from envlock.audit.index.model import WheelIndex

SIDE = frozenset({"tests", "test", "testing", "docs", "examples", "benchmarks", "scripts", "bin",
                   "setup", "conftest"})  # fmt: skip

"""Not tried: what does not belong to what a distribution is for."""


def roots(index: WheelIndex) -> list[str]:
    """Return the packages that ``import`` is tried on.

    Those with an underscore before their names are the distribution's own affair (PEP 8); they
    count by what imports them, unless it has no others.
    """
    tops = [
        top
        for top in index.tops
        if SIDE.isdisjoint((top.partition(".")[0], top.rpartition(".")[2]))
    ]
    return [top for top in tops if not _private(top)] or tops


def main_roots(index: WheelIndex) -> set[str]:
    """Return the roots that bear the distribution's name; all where none does."""
    every = roots(index)
    name = _plain(index.name)
    named = {top for top in every if _plain(top) == name}
    if not named:
        named = {top for top in every if _plain(top) in name or name in _plain(top)}
    return named or set(every)


def _private(top: str) -> bool:
    return any(part.startswith("_") for part in top.split("."))


def _plain(name: str) -> str:
    plain = normalize(name).replace("-", "").replace(".", "")
    for affix in ("python", "py"):
        plain = plain.removeprefix(affix).removesuffix(affix) or plain
    return plain
