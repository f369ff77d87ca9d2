"""What a solve tells of the lock that it made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.cli.clobbers import clobber_lines
from envlock.cli.output import megabytes
from envlock.lock.compare import given_way
from envlock.sizes import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.cli.context import Context
    from envlock.lock.model import Kind, Lock
    from envlock.review import Review
    from envlock.spec.model import Spec

_THINGS: tuple[tuple[Kind, str], ...] = (
    ("conda", "conda package"),
    ("pypi", "wheel"),
    ("debian", "Debian package"),
)
"""What a lock counts, in this order."""


def tell_lock(
    state: Context,
    spec: Spec,
    lock: Lock,
    previous: Lock | None,
    found: Review | None,
    *,
    changed: bool,
) -> None:
    """Tell people what a solve came to: what changed, what overrides do, what will be lacking."""
    from envlock.cli.reviewing import tell, tell_more
    from envlock.cli.stale import tell_waiting

    say = state.output.message
    for line in (*changed_packages(previous, lock), *clobber_lines(given_way(lock.artifacts))):
        say(f"  {line}")
    tell(state, lock, found)
    tell_waiting(state, spec, lock)
    if found is not None:
        tell_more(state, spec, lock, found)
    for line in _lacking(lock) if changed else ():
        state.output.warn(line)
    path = state.project.shown(state.project.lock(lock.name, lock.platform))
    done = "->" if changed else "unchanged in"
    say(f"{lock.name} {lock.platform}: {_counts(lock)} {done} {path}")
    if previous is None:
        say(f"check it in; next: envlock build {lock.name}")


def _lacking(lock: Lock) -> Iterator[str]:
    """Yield what packages' scripts would do, and nothing does in the image."""
    from envlock.lock.linking import undone

    scripts = lock.debian.scripts if lock.debian else ()
    packages = sorted({script.package for script in scripts if script.unhandled})
    if packages:
        several = counted(len(packages), "Debian package")
        yield (
            f"the image will lack what maintainer scripts of {several} do: "
            f"{', '.join(packages)} (see debian.scripts in the lock)"
        )
    for one in undone(lock):
        yield (
            f"the image will lack what the post-link script of {one.package} does: "
            f"{'; '.join(one.commands)} (conda.link-scripts: {{{one.package}: run}}, or skip)"
        )


def _counts(lock: Lock) -> str:
    """Return how much of what a lock has, and upon what."""
    shown = [
        counted(len(lock.of_kind(kind)), thing)
        for kind, thing in _THINGS
        if kind != "conda" or lock.of_kind(kind)
    ]
    base = lock.base
    upon = f" on {base.reference} ({base.os}, {megabytes(base.size)})" if base is not None else ""
    size = megabytes(sum(artifact.size for artifact in lock.artifacts))
    return f"{', '.join(shown)}{upon}, {size}"


def changed_packages(previous: Lock | None, lock: Lock) -> list[str]:
    """Return one line for each artifact that came, went or is another one, as ``diff`` has it."""
    if previous is None:
        return []
    old = {(a.kind, a.name): a for a in previous.artifacts}
    new = {(a.kind, a.name): a for a in lock.artifacts}
    lines = []
    below = previous.base.manifest if previous.base else None
    if lock.base is not None and below != lock.base.manifest:
        lines.append(f"~ base image {below or 'none'} -> {lock.base.manifest}")
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if before is None:
            assert after is not None
            lines.append(f"+ {after.name} {after.version}")
        elif after is None:
            lines.append(f"- {before.name} {before.version}")
        elif before.version != after.version:
            lines.append(f"~ {after.name} {before.version} -> {after.version}")
        elif before.sha256 != after.sha256:
            lines.append(f"~ {after.name} {after.version}, another file")
    return lines
