"""One match spec as people write it: ``channel/subdir::name version build[key=value]``.

rattler reads it (CEP 29), and is loaded only where there is one.  What it would read in a way
that nobody means is refused here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from rattler import MatchSpec

FORM = 'write it as conda does: "numpy", "numpy>=1.26,<3", "pytorch=2.4.*=*cuda*"'

_CHANNEL = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._/+-]*)\s*::?\s*(?=[^:\s])(.*)", re.DOTALL)
_SUBDIR = re.compile(r"noarch|(?:emscripten|freebsd|linux|osx|wasi|win|zos)-[a-z0-9_]+")
_EXTRAS = re.compile(r"[A-Za-z0-9._-]+\s*\[[A-Za-z0-9._, -]+\].*", re.DOTALL)
"""pip's ``requests[socks]``; conda's brackets have ``key=value`` in them."""

_FILE = re.compile(r".+\.(?:conda|tar\.bz2)")
_OPERATOR = re.compile(r"[<>=!~]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A match spec without the place before it; subdir: the channel's folder that is named."""

    bare: str
    channel: str | None = None
    subdir: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a text is no match spec here, and what to write."""

    reason: str
    hint: str


def placed(text: str, channels: Collection[str] = ()) -> Placed:
    """Take ``channel::`` or ``channel/subdir::`` off a match spec.

    channels: known names, of which one may end like a folder.
    """
    match = _CHANNEL.fullmatch(text)
    if match is None:
        return Placed(bare=text)
    channel, bare = match[1], match[2]
    head, _, last = channel.rpartition("/")
    if head and channel not in channels and is_subdir(last):
        return Placed(bare=bare, channel=head, subdir=last)
    return Placed(bare=bare, channel=channel)


def match_name(text: str) -> str | None:
    """Return the package that a match spec is about, or None for a text that is none."""
    spec, _ = _read(text)
    return None if spec is None or _refused(spec) else _name(spec)


def is_subdir(text: str) -> bool:
    """Tell whether a text is the name of a folder that channels have (CEP 26)."""
    return _SUBDIR.fullmatch(text) is not None


def subdir_of(text: str) -> str | None:
    """Return the folder of a channel that ``[subdir=...]`` of a match spec names."""
    spec, _ = _read(text)
    return spec.subdir if spec is not None else None


def refusal(text: str) -> Refusal:
    """Return why :func:`match_name` has no name for a text."""
    spec, error = _read(text)
    if spec is not None:
        return _refused(spec) or Refusal(reason="it names no package", hint=FORM)
    if _EXTRAS.fullmatch(text):
        hint = "extras are pip's: ask for it under pypi.dependencies, or for what the extra needs"
        return Refusal(reason=error, hint=hint)
    return Refusal(reason=error, hint=FORM)


def _read(text: str) -> tuple[MatchSpec | None, str]:
    """Return what rattler makes of a text, or the first line of its complaint."""
    from rattler import MatchSpec
    from rattler.exceptions import InvalidMatchSpecError, InvalidPackageNameError

    try:
        return MatchSpec(text), ""
    except (InvalidMatchSpecError, InvalidPackageNameError) as error:
        return None, str(error).splitlines()[0]


def _name(spec: MatchSpec) -> str | None:
    name = spec.name.as_package_name()
    return name.normalized if name is not None else None


def _refused(spec: MatchSpec) -> Refusal | None:
    """Return why a match spec that rattler understands is none that a spec can have."""
    name, build = _name(spec) or "", spec.build or ""
    if spec.channel is not None or spec.file_name is not None or "url=" in str(spec):
        reason = "it must name a package, and a channel only as channel::package"
        return Refusal(reason=reason, hint=FORM)
    if _FILE.fullmatch(name):
        return Refusal(
            reason="it is a package's file",
            hint="name, version and build are written with equals signs: numpy=2.0.0=py312_0",
        )
    if _OPERATOR.match(build):
        return Refusal(
            reason=f"{build!r} stands where the build does",
            hint=f"versions are joined with commas: {name} >=1.26,<3",
        )
    if spec.condition is not None:
        return Refusal(
            reason="it holds on a condition",
            hint="a spec asks the same of all its platforms: leave [when=...] out, or write "
            "another spec",
        )
    return None
