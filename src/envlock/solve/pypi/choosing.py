"""What uv's answer means for one target: a wheel of each distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.pylock import Pylock, PylockSelectError
from packaging.tags import compatible_tags, cpython_tags

from envlock.errors import UnsatisfiableError
from envlock.platforms import PLATFORMS

if TYPE_CHECKING:
    from packaging.pylock import PackageWheel
    from packaging.tags import Tag

    from envlock.solve.pypi.uv import Question
    from envlock.spec.model import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A wheel that uv chose; ``url`` is for this run only, never for the lock.

    size: bytes, 0 where its index does not tell it (only PEP 700 asks that of one);
    yanked: why its index has withdrawn it, in one line (PEP 592), None where it has not.
    """

    name: str
    version: str
    index: str
    url: str
    file: str
    sha256: str
    size: int
    yanked: str | None = None


def wheel_tags(python: str, target: Target) -> list[Tag]:
    """Return the tags that CPython ``python`` takes on the target, best first (PEP 425)."""
    version = tuple(int(part) for part in python.split("."))
    platforms = PLATFORMS[target.name].wheel_platforms(target.glibc)
    interpreter = "cp" + "".join(python.split("."))
    return [
        *cpython_tags(version, platforms=platforms, abis=[interpreter, "abi3", "none"]),
        *compatible_tags(version, interpreter=interpreter, platforms=platforms),
    ]


def selected(locked: dict[str, Any], question: Question) -> list[tuple[str, str, PackageWheel]]:
    """Return (name, version, wheel) for the target, as PEP 751 says to install.

    locked: a PEP 751 lock.  Raises UnsatisfiableError where no wheel is for the target.
    """
    platform = PLATFORMS[question.target.name]
    environment = platform.marker_environment(question.python)
    tags = wheel_tags(question.python, question.target)
    try:
        packages = Pylock.from_dict(locked).select(
            environment=environment,  # type: ignore[arg-type]
            tags=tags,
        )
        found = [(package, wheel) for package, wheel in packages]
    except PylockSelectError as error:
        raise UnsatisfiableError(f"{question.name}: {error}") from None
    return sorted(
        (str(package.name), str(package.version), wheel)  # type: ignore[misc]
        for package, wheel in found
    )


def as_chosen(name: str, version: str, wheel: PackageWheel, index: str) -> Chosen:
    """Return a selected wheel as what is locked; raises UnsatisfiableError without a sha256."""
    sha256 = wheel.hashes.get("sha256")
    if not sha256 or wheel.url is None:
        raise UnsatisfiableError(
            f"the index {index!r} does not tell the sha256 of {name} {version}",
            hint="envlock locks nothing that it cannot verify; the index must tell the sha256 of "
            "its files (PEP 503, PEP 691)",
        )
    return Chosen(
        name=name,
        version=version,
        index=index,
        url=wheel.url,
        file=wheel.name or wheel.url.rpartition("/")[2],
        sha256=sha256,
        size=wheel.size or 0,
    )
