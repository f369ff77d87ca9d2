"""Locked files that their index has withdrawn (PEP 592): told, and refused where asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envlock.errors import StaleLockError

if TYPE_CHECKING:
    from envlock.cli.context import Context
    from envlock.lock.model import Artifact, Lock


def yanked_data(lock: Lock) -> list[dict[str, Any]]:
    """Return the yanked files as ``--json`` shows them."""
    return [
        {"name": one.name, "version": one.version, "index": one.source, "because": one.yanked}
        for one in _yanked(lock)
    ]


def tell_yanked(state: Context, lock: Lock, *, strict: bool) -> None:
    """Warn of each yanked file; with ``strict`` raise StaleLockError for all of them."""
    found = _yanked(lock)
    if found and strict:
        raise StaleLockError(
            f"{lock.name} {lock.platform}: {len(found)} of its files "
            f"{'was' if len(found) == 1 else 'were'} withdrawn",
            details=[f"  {_line(one)}" for one in found],
            hint=_hint(lock, found),
        )
    for one in found:
        state.output.warn(_line(one))
    if found:
        state.output.message(f"  {_hint(lock, found)}")


def _yanked(lock: Lock) -> list[Artifact]:
    return [one for one in lock.artifacts if one.yanked is not None]


def _line(one: Artifact) -> str:
    why = one.yanked or "no reason is given"
    return f"{one.name} {one.version} is yanked from {one.source}: {why}"


def _hint(lock: Lock, found: list[Artifact]) -> str:
    options = " ".join(f"-P {one.name}" for one in found)
    return (
        f"envlock solve {lock.name} {options} takes other versions, "
        "where the spec does not pin these"
    )
