"""What a spec needs and other files leave open: the Python, the OS layer, the channels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.errors import UsageError
from envlock.intake.draft import Draft, Item

if TYPE_CHECKING:
    from collections.abc import Sequence

SUITES = {"3.11": ("bookworm", "2.36"), "3.13": ("trixie", "2.41")}
"""Debian's suites by their Python, with their glibc."""

_CONDA_FIRST = ("3.12", "3.13", "3.11", "3.10", "3.14", "3.9", "3.8", "3.7", "3.6")
_DEBIAN_FIRST = ("3.11", "3.13", "3.12", "3.10", "3.14", "3.9")
_MICROS = range(41)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What was decided; packages: Debian's."""

    python: str
    suite: str
    glibc: str
    packages: tuple[str, ...]


def settle(draft: Draft, python: str | None = None) -> Settled:
    """Decide what the draft leaves open, and note in it what others might decide otherwise.

    Raises UsageError where no Python fits.
    """
    conda = bool(draft.conda or draft.conda_constraints)
    chosen = _python(draft, python, _CONDA_FIRST if conda else _DEBIAN_FIRST)
    if not conda and chosen not in SUITES:
        draft.channels.setdefault("conda-forge", None)
        draft.conda.append(Item(text=f"python={chosen}", name="python", where="envlock init"))
        draft.note("python", f"no Debian suite has {chosen}: it comes from conda-forge")
        conda = True
    elif conda and all(item.name != "python" for item in draft.conda) and draft.pypi:
        draft.conda.insert(0, Item(text=f"python={chosen}", name="python", where="envlock init"))
    if conda:
        suite, glibc = SUITES["3.11"]
        packages = tuple(dict.fromkeys(("ca-certificates", *draft.debian)))
        return Settled(python=chosen, suite=suite, glibc=glibc, packages=packages)
    suite, glibc = SUITES[chosen]
    packages = (
        f"python{chosen}-minimal",
        f"libpython{chosen}-stdlib",
        "libstdc++6",
        "ca-certificates",
        *draft.debian,
    )
    return Settled(python=chosen, suite=suite, glibc=glibc, packages=tuple(dict.fromkeys(packages)))


def _python(draft: Draft, asked: str | None, order: Sequence[str]) -> str:
    if asked is not None and not re.fullmatch(r"3\.[0-9]{1,2}", asked):
        raise UsageError(f"{asked!r} is no Python version", hint="write --python 3.12")
    candidates = (asked,) if asked else order
    fitting = [one for one in candidates if all(_fits(one, *rule[::2]) for rule in draft.pythons)]
    if not fitting:
        rules = [f"  {where}: {text}" for text, where, _ in draft.pythons]
        raise UsageError(
            f"Python {asked} is not what the file asks for" if asked
            else f"no Python from {min(order, key=_minor)} to {max(order, key=_minor)} fits",
            details=rules,
        )  # fmt: skip
    if len(fitting) > 1:
        draft.note("python", f"{fitting[0]} is chosen; --python chooses another")
    return fitting[0]


def _minor(version: str) -> int:
    return int(version.split(".")[1])


def _fits(version: str, rule: str, conda: bool) -> bool:
    """Tell whether some release of a Python (``"3.12"``) meets a rule."""
    releases = [f"{version}.{micro}" for micro in _MICROS]
    if not conda:
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        try:
            specifier = SpecifierSet(rule)
        except InvalidSpecifier:
            raise UsageError(f"requires-python: {rule!r} is not understood") from None
        return any(specifier.contains(release) for release in releases)
    from rattler import MatchSpec, Version

    wanted = MatchSpec(rule).version
    if wanted is None:
        return True
    from rattler import VersionSpec

    spec = VersionSpec(wanted)
    return any(spec.matches(Version(release)) for release in releases)
