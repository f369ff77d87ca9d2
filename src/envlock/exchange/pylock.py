"""``pylock.toml`` (PEP 751), written through packaging's own model.

That format wants a URL or a path for every wheel; envlock's own lock names no host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envlock.exchange.formats import Export
from envlock.exchange.order import left_out
from envlock.exchange.wheels import distributions, wheels_only

if TYPE_CHECKING:
    from collections.abc import Callable

    from envlock.exchange.formats import Subject
    from envlock.lock.model import Artifact, Lock


def export(subject: Subject) -> Export:
    """Write one lock with URLs; see :class:`envlock.exchange.formats.Exporter`."""
    return written(subject, lambda artifact: {"url": subject.places.url(artifact)})


def written(subject: Subject, place: Callable[[Artifact], dict[str, str]]) -> Export:
    """Write one lock; ``place`` returns a wheel's ``url`` or ``path``."""
    import tomli_w
    from packaging.pylock import Pylock

    (lock,) = subject.locks
    wheels = wheels_only(lock)
    table: dict[str, Any] = {
        "lock-version": "1.0",
        "environments": [_environment(lock)],
        "requires-python": f"=={lock.python}.*",
        "created-by": "envlock",
        "packages": [_package(one, lock, place(one)) for one in wheels],
    }
    if lock.overrides or lock.excludes:
        table["tool"] = {"envlock": _voids(lock)}
    Pylock.from_dict(table)  # what it does not accept would be a mistake of ours
    head = (
        f"# Written by envlock from the lock of {lock.name} for {lock.platform}. Do not edit: "
        "change the spec and solve.\n"
    )
    if lock.voided:
        head += (
            "# pip knows no overrides, and wants --no-deps besides -r; uv installs it as it is.\n"
        )
    notes = list(left_out(lock))
    if lock.of_kind("conda"):
        notes.append(f"{len(lock.of_kind('conda'))} conda packages are left out")
    return Export(text=head + tomli_w.dumps(table), notes=tuple(notes))


def _environment(lock: Lock) -> str:
    from envlock.platforms import PLATFORMS

    machine = PLATFORMS[lock.platform].machine
    return f"sys_platform == 'linux' and platform_machine == '{machine}'"


def _package(one: Artifact, lock: Lock, place: dict[str, str]) -> dict[str, Any]:
    wheel = {"name": one.file, **place, "size": one.size, "hashes": {"sha256": one.sha256}}
    package: dict[str, Any] = {"name": one.name, "version": one.version, "wheels": [wheel]}
    needed = distributions(one, lock)
    if needed:
        package["dependencies"] = [{"name": name} for name in needed]
    return package


def _voids(lock: Lock) -> dict[str, Any]:
    """Return what a reader who wonders about a version may want to know."""
    return {
        key: {
            one.package: [f"{v.dependent} {v.version}: {v.requirement}" for v in one.voids]
            for one in ones
        }
        for key, ones in (("overrides", lock.overrides), ("excludes", lock.excludes))
        if ones
    }
