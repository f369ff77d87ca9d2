"""Do the conda packages of a lock fit together?  Offline, from the lock alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.platforms import PLATFORMS
from envlock.solve.conda.records import match_spec, package_record, unmet, virtual_packages
from envlock.spec.matchspec import placed

if TYPE_CHECKING:
    from envlock.lock.model import Lock


def unmet_entries(lock: Lock) -> list[str]:
    """Return one line for each entry of ``depends`` or ``constrains`` that does not hold.

    Those that an override voids are left out; what the spec itself asks for is looked at, too.
    """
    artifacts = lock.of_kind("conda")
    platform = lock.spec["platform"]
    virtual = virtual_packages(
        machine=PLATFORMS[lock.platform].machine,
        glibc=str(platform["glibc"]),
        cuda=platform.get("cuda"),
        linux=platform.get("linux"),
        archspec=platform.get("archspec"),
    )
    voided = {(void.dependent, void.requirement) for void in lock.voided_conda}
    lines = [
        f"{one.name} {one.version} requires {entry}, "
        + ("it is not there" if found is None else f"has {found}")
        for one, entry, found in unmet(artifacts, virtual)
        if (one.name, entry) not in voided
    ]
    return [*_unmet_roots(lock), *lines]


def _unmet_roots(lock: Lock) -> list[str]:
    records = {one.name: package_record(one) for one in lock.of_kind("conda")}
    lines = []
    for text in lock.spec.get("conda", {}).get("dependencies", ()):
        spec = match_spec(placed(text).bare)
        name = spec.name.as_package_name()
        record = records.get(name.normalized) if name else None
        if record is None or not spec.matches(record):
            has = "it is not there" if record is None else f"has {record.version}"
            lines.append(f"the spec requires {text}, {has}")
    return lines
