"""The kinds of things in the cache, by where they lie and what they are called.

Only what has such a name is envlock's, and only that is ever removed: whoever names a folder
with other things in it as the cache loses none of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.audit.index.model import FORMAT
from envlock.lock.model import PACKER

if TYPE_CHECKING:
    from collections.abc import Callable

_SHA256 = "[0-9a-f]{64}"
_SHORT = "[0-9a-f]{32}"
_OTHERS = "[A-Za-z0-9._+-]+"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Entries of one kind that lie in one folder.

    folder: a pattern of folders below the cache, as of ``glob``.
    name: what their names match; names with the same first group are one entry.
    mark: the file in an entry that is a folder whose date says when it was used.
    useless: tells by its name whether no run of this envlock can use an entry.
    """

    kind: str
    folder: str
    name: re.Pattern[str]
    mark: str | None = None
    useless: Callable[[str], bool] | None = None


def _of_another_packer(name: str) -> bool:
    return name.partition("-")[0] != str(PACKER)


def _of_another_format(name: str) -> bool:
    return name.split(".")[-2] != FORMAT


def _place(
    kind: str,
    folder: str,
    name: str,
    *,
    mark: str | None = None,
    useless: Callable[[str], bool] | None = None,
) -> Place:
    return Place(kind=kind, folder=folder, name=re.compile(name), mark=mark, useless=useless)


KINDS = {
    "downloads": "wheels and packages as they were fetched",
    "packed": "packages in the form in which layers are joined from them",
    "unpacked": "images as validate and run use them",
    "indexes": "what indexes, channels and registries said",
    "audit": "what was found out about the code in packages",
    "notes": "digests of layers, where images lie, proofs that passed",
}
"""What is told apart, with what it is."""

PLACES = (
    _place("downloads", "artifacts/[0-9a-f][0-9a-f]", f"({_SHA256})"),
    _place("downloads", "partial", rf"({_SHA256})\.part"),
    _place(
        "packed",
        "segments",
        rf"([^-]+-{_SHA256})\.(?:gz|json|pyc)",
        useless=_of_another_packer,
    ),
    _place("unpacked", "rootfs", f"(sha256-{_SHA256})", mark="last-used"),
    _place("unpacked", "unpacked", f"(sha256-{_SHA256})", mark="last-used"),
    _place("unpacked", "linking", "(?!)()"),  # nothing but what killed runs left
    _place("indexes", "", "(uv)"),
    _place("indexes", "folders", f"({_SHORT})"),
    _place("indexes", "conda", "(repodata)"),
    _place("indexes", "conda/packages", rf"({_SHA256})\.[a-z]+\.json"),
    _place("indexes", "metadata", rf"({_SHA256})\.(?:metadata|size|files)"),
    _place("indexes", "registries", rf"({_SHORT})\.json"),
    _place("audit", "audit/index", rf"({_OTHERS}\.(?:index|latest))", useless=_of_another_format),
    _place("audit", "audit/index-of-parts", rf"({_OTHERS}\.index)", useless=_of_another_format),
    _place("audit", "audit/audit", rf"({_SHA256}\.audit)"),
    _place("audit", "audit/reviewed", rf"({_SHA256}\.audit)"),
    _place("audit", "audit/traces", rf"({_OTHERS}\.trace)"),
    _place("audit", "audit/stubs", rf"({_OTHERS}\.names)"),
    _place("audit", "audit/natural", rf"({_SHA256}\.json)"),
    _place("audit", "audit", "(?!)()"),  # nothing but what killed runs left
    _place("notes", "layers", rf"({_SHA256}(?:\.told)?\.json)"),
    _place("notes", "layouts", rf"({_SHORT}\.json)"),
    _place("notes", "proofs", rf"({_SHA256}\.json)"),
)

_MADE = re.compile(
    r"\.segment-[a-z0-9_]{8}|\.compiling-[a-z0-9_]{8}|\.nix-seed-[a-z0-9_]{8}"
    r"|\.linking-[a-z0-9_]{8}|\.trash-.+"
)
_RENAMED = re.compile(r"\.partial-(.+)|\.(.+)\.[a-z0-9_]{8}")
_AUDITING = re.compile(r"(?:parts|packages)-[a-z0-9_]{8}")

WITHOUT_CONTENT = frozenset({"leases", "validate-locks"})
"""Folders of empty files that are locked and never pruned."""


def is_left_over(place: Place, name: str) -> bool:
    """Tell whether a file or folder in ``place`` is what a run that was killed was writing."""
    if _MADE.fullmatch(name):
        return True
    if place.folder == "audit" and _AUDITING.fullmatch(name):
        return True
    renamed = _RENAMED.fullmatch(name)
    return renamed is not None and bool(place.name.fullmatch(renamed[1] or renamed[2]))
