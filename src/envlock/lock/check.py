"""Does a lock still answer its spec?  Offline, from the two files alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.lock.model import Lock


def differences(projection: dict[str, Any], lock: Lock) -> list[str]:
    """Return what the spec asks now (+) and asked when the lock was made (-), line by line."""
    return list(_compare("", lock.spec, projection))


def _compare(place: str, old: Any, new: Any) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _compare(f"{place}.{key}" if place else key, old.get(key), new.get(key))
    elif isinstance(old, list | None) and isinstance(new, list | None) and _plain(old, new):
        before, after = old or [], new or []
        yield from (f"- {place}: {item}" for item in before if item not in after)
        yield from (f"+ {place}: {item}" for item in after if item not in before)
        if sorted(before) == sorted(after):
            yield f"~ {place}: the order changed"
    elif _named(old) and _named(new):
        yield from _compare(place, _by_package(old), _by_package(new))
    else:
        if old is not None:
            yield f"- {place}: {old}"
        if new is not None:
            yield f"+ {place}: {new}"


def _plain(*lists: list[Any] | None) -> bool:
    return all(isinstance(item, str) for items in lists for item in items or [])


def _named(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, dict) and "package" in item for item in value
    )


def _by_package(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {item["package"]: item for item in items}
