"""Entries of ``conda.clobbers`` and ``pypi.clobbers``: whose file is kept where packages differ."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from packaging.utils import canonicalize_name

from envlock.errors import Location, SpecError
from envlock.spec.model import Clobber

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from envlock.spec.document import Place

_CONDA_NAME = re.compile(r"[a-z0-9_][a-z0-9._+-]*")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_KINDS = {
    "conda": ("conda package", _CONDA_NAME, "lib/file, lib/folder/* or lib/**/*.h"),
    "pypi": ("distribution", _NAME, "lib/python3.11/site-packages/tests/*, **/LICENSE or bin/tool"),
}
"""Who has the files, how they are called, and what paths look like, by the section."""


def parse_clobbers(
    section: Literal["conda", "pypi"],
    items: Iterable[dict[str, str]] | None,
    at: Callable[[Place], Location],
) -> tuple[Clobber, ...]:
    """Return a section's entries; ``at`` tells where a value stands.  Raises SpecError."""
    who, names, examples = _KINDS[section]
    found: dict[tuple[str, str], Clobber] = {}
    for n, item in enumerate(items or ()):
        path, keep = item["path"].strip(), item["keep"].strip()
        if path.startswith("/") or {"", ".", ".."} & {*path.split("/")}:
            raise SpecError(
                f"{path!r} is no path below an environment's folder",
                location=at((section, "clobbers", n, "path")),
                hint=f"write it as {examples}",
            )
        if not names.fullmatch(keep):
            raise SpecError(
                f"{keep!r} is no name of a {who}", location=at((section, "clobbers", n, "keep"))
            )
        keep = keep if section == "conda" else canonicalize_name(keep)
        here = at((section, "clobbers", n))
        if (path, keep) in found:
            raise SpecError(
                f"{path} of {keep} stands twice",
                location=here,
                hint=f"the first is in line {found[path, keep].location.line}",
            )
        because = " ".join(item["because"].split())
        found[path, keep] = Clobber(path=path, keep=keep, because=because, location=here)
    return tuple(found.values())
