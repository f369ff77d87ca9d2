"""Does a lock still answer its spec?  Offline, from the two files alone."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from envlock.lock.accepts import is_failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.lock.model import Lock


def differences(projection: dict[str, Any], lock: Lock) -> list[str]:
    """Return what the spec asks now (+) and asked when the lock was made (-), line by line."""
    return list(_compare("", lock.spec, projection))


def unanswered(lock: Lock) -> list[str]:
    """Return where the accepted findings and the spec's ``accepts`` do not belong together.

    A lock that was not audited has nothing to answer.
    """
    if lock.audit is None:
        return []
    asked = {(None, line) for line in lock.spec.get("accepts") or ()}
    for override in lock.spec.get("overrides") or ():
        asked |= {(override["package"], line) for line in override.get("accepts") or ()}
    asked = {(scope, line) for scope, line in asked if not is_failure(line)}
    kept = {(line.override, line.pattern) for line in lock.audit.accepted if line.findings}
    return [
        *(f"+ {_scope(*line)}" for line in sorted(asked - kept, key=_scoped)),
        *(f"- {_scope(*line)}" for line in sorted(kept - asked, key=_scoped)),
    ]


def _scope(override: str | None, pattern: str) -> str:
    return f"overrides.{override}.accepts: {pattern}" if override else f"accepts: {pattern}"


def _scoped(line: tuple[str | None, str]) -> str:
    return _scope(*line)


def _compare(place: str, old: Any, new: Any) -> Iterator[str]:
    if _same(old, new):
        return
    if all(value is None or _keyed(value) for value in (old, new)):
        before, after = _by_key(old), _by_key(new)
        told = False
        for key in sorted({*before, *after}):
            inner = f"{place}.{key}" if place else key
            for line in _compare(inner, before.get(key), after.get(key)):
                told = True
                yield line
        if isinstance(old, list) and isinstance(new, list) and not told:
            yield from _moved(place, old, new)
    elif isinstance(old, list | None) and isinstance(new, list | None):
        yield from _moved(place, old or [], new or [])
    elif _keyed(old) or _keyed(new):
        yield from _compare(place, old, None)
        yield from _compare(place, None, new)
    else:
        yield from (f"- {place}: {old}" for _ in [0] if old is not None)
        yield from (f"+ {place}: {new}" for _ in [0] if new is not None)


def _moved(place: str, old: list[Any], new: list[Any]) -> Iterator[str]:
    before = Counter(_line(item) for item in old)
    after = Counter(_line(item) for item in new)
    yield from (f"- {place}: {item}" for item in (before - after).elements())
    yield from (f"+ {place}: {item}" for item in (after - before).elements())
    if before == after:
        yield f"~ {place}: the order changed"


def _same(old: Any, new: Any) -> bool:
    """Tell whether both are the same JSON; to Python 1 and true are equal."""
    return old == new and json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)


def _line(item: Any) -> str:
    """Return a list's item in one line: ``import: torch``, ``run: [python3, -V]``."""
    if isinstance(item, dict):
        return ", ".join(f"{key}: {_line(value)}" for key, value in item.items())
    if isinstance(item, list):
        return f"[{', '.join(_line(value) for value in item)}]"
    return str(item)


def _keyed(value: Any) -> bool:
    """Tell whether a value is a mapping, or a list of mappings that name a ``package``."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(i, dict) and "package" in i for i in value)
    return isinstance(value, dict)


def _by_key(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {_key(item): item for item in value}
    return value or {}


def _key(item: dict[str, Any]) -> str:
    """Return what names an override; a distribution and a conda package may share a name."""
    kind = item.get("from")
    return f"{item['package']} (from {kind})" if kind else str(item["package"])
