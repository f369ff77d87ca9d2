"""The lock file's text: canonical JSON that people read in diffs and machines verify.

Sorted keys, one artifact a block in order of kind and name, no times, hosts, paths of this
machine or users.  Each artifact carries a ``seal`` and the whole file one more: a hand edit
breaks the seal of its block, a merge that joined blocks of two locks only the file's.
Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from envlock.errors import LockError, StaleLockError
from envlock.lock.model import FORMAT, Lock
from envlock.lock.plain import ordered, plain_lock, seal
from envlock.lock.sections import lock_of
from envlock.sizes import counted

if TYPE_CHECKING:
    from pathlib import Path

_CONFLICT = re.compile(r"^(<{7}|={7}|>{7}|\|{7})( |$)", re.MULTILINE)


def dump_lock(lock: Lock) -> str:
    """Return the lock file's text; the same lock gives the same text."""
    value = plain_lock(lock)
    value["seal"] = seal(value)
    if lock.built is not None:
        value["built"] = {key: item for key, item in asdict(lock.built).items() if item}
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def lock_digest(lock: Lock) -> str:
    """Return the ``sha256:`` digest of the lock file's text without what a build recorded in it.

    It is that of the file as long as nothing is recorded, and does not change when it is.
    """
    text = dump_lock(replace(lock, built=None))
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def load_lock(path: Path, shown: str | None = None) -> Lock:
    """Read a lock file; ``shown`` is its name in errors, the path without one.

    Raises LockError, or StaleLockError if its seals are broken.
    """
    shown = shown or str(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would wait for ever
            raise LockError("the lock cannot be read: it is no regular file", where=shown)
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise LockError(
            "there is no lock", where=shown, hint="run envlock solve to make it"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise LockError(f"the lock cannot be read: {why}", where=shown) from None
    return parse_lock(text, shown)


def parse_lock(text: str, shown: str) -> Lock:
    """Parse and verify a lock's text; ``shown`` is its name in errors."""
    conflict = _CONFLICT.search(text)
    if conflict:
        line = text.count("\n", 0, conflict.start()) + 1
        raise StaleLockError(
            "a merge left its conflict markers", where=f"{shown}:{line}", hint=_AGAIN
        )
    try:
        value = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise LockError(f"not a lock file: {error}", where=shown, hint=_AGAIN) from None
    if not isinstance(value, dict) or "format" not in value:
        raise LockError("not a lock file of envlock", where=shown)
    if type(value["format"]) is not int or value["format"] != FORMAT:
        raise _another_format(value["format"], shown)
    try:
        lock = lock_of(value)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise StaleLockError(
            f"the lock was changed by hand: {reason}", where=shown, hint=_AGAIN
        ) from None
    _verify_seals(value, lock, shown)
    return lock


def _another_format(found: object, shown: str) -> LockError:
    newer = isinstance(found, int) and found > FORMAT
    who = "a newer envlock wrote it: update" if newer else "use the envlock that wrote it"
    return LockError(
        f"this lock has format {found!r}; this envlock reads format {FORMAT}",
        where=shown,
        hint=f"{who} (envlock --version tells the format that one reads), or solve again",
    )


_AGAIN = "git checkout the lock of one side, then run envlock solve"


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice in one block")
    return value


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _verify_seals(value: dict[str, Any], lock: Lock, shown: str) -> None:
    """Raise StaleLockError naming each block that is not as envlock wrote it."""
    edited = [
        f"  {item['kind']} {item['name']} {item['version']}"
        for item in value["artifacts"]
        if item.get("seal") != seal(item)
    ]
    if edited:
        raise StaleLockError(
            f"{counted(len(edited), 'artifact was', 'artifacts were')} changed by hand",
            where=shown,
            details=edited,
            hint="change the spec, not the lock; " + _AGAIN,
        )
    if value.get("seal") == seal(value) and ordered(lock.artifacts) == list(lock.artifacts):
        return
    raise StaleLockError(
        "the lock is not what envlock wrote: every artifact is intact, but not this set of "
        "them with this spec (a merge joined two locks, or other lines were edited)",
        where=shown,
        details=_splice_details(lock),
        hint=_AGAIN,
    )


def _splice_details(lock: Lock) -> list[str]:
    seen: dict[tuple[str, str], str] = {}
    details = []
    for artifact in lock.artifacts:
        key = (artifact.kind, artifact.name)
        if key in seen:
            details.append(f"  {artifact.name} is there twice: {seen[key]} and {artifact.version}")
        seen[key] = artifact.version
    return details
