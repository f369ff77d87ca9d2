"""``requirements.txt`` with hashes: what ``pip install --require-hashes`` and uv read.

Host-free: the indexes are those of whoever installs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.exchange.formats import Export
from envlock.exchange.order import left_out
from envlock.exchange.wheels import wheels_only

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.exchange.formats import Subject
    from envlock.lock.model import Lock


def export(subject: Subject) -> Export:
    """Write one lock; see :class:`envlock.exchange.formats.Exporter`."""
    (lock,) = subject.locks
    wheels = wheels_only(lock)
    lines = [*_head(lock), "--only-binary :all:"]
    for one in wheels:
        lines += [f"{one.name}=={one.version} \\", f"    --hash=sha256:{one.sha256}"]
    notes = list(left_out(lock))
    if lock.of_kind("conda"):
        notes.append(f"{len(lock.of_kind('conda'))} conda packages are left out")
    others = sorted({one.source for one in wheels} - {"pypi"})
    if others:
        notes.append(f"the indexes {', '.join(others)} are needed: pip's --extra-index-url")
    return Export(text="".join(f"{line}\n" for line in lines), notes=tuple(notes))


def _head(lock: Lock) -> Iterator[str]:
    yield (
        f"# Written by envlock from the lock of {lock.name} for {lock.platform}, Python "
        f"{lock.python}."
    )
    voids = lock.voided
    plain = "pip install --require-hashes -r FILE"
    if not voids:
        yield f"# {plain}"
        return
    yield f"# {plain} --no-deps"
    yield "# --no-deps is needed, since pip knows no overrides; these requirements are set aside:"
    for void in voids:
        yield f"#   {void.dependent} {void.version}: {void.requirement}"
