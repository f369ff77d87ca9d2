"""Audits of sets of packages, whether these are in the store or only somewhere in the network.

A whole audit is kept by the packages it was made of and by which wheels were known in parts
only: once such a wheel is in the store, its audit is made anew from the verified file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zlib
from typing import TYPE_CHECKING

from envlock.audit.api import RESOLVE, audit_keyed
from envlock.audit.codec import audit_from_data, audit_to_data
from envlock.audit.index.cache import IndexCache
from envlock.audit.index.model import FORMAT
from envlock.audit.obtain import indexes_of
from envlock.audit.packages import key_of
from envlock.errors import FetchError
from envlock.files import write_atomically
from envlock.leases import used
from envlock.sizes import counted
from envlock.workers import usable_cpus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from envlock.audit import Audit, Target
    from envlock.audit.obtain import Means
    from envlock.lock.model import Artifact
    from envlock.progress import Reporter

_DAMAGED = (OSError, ValueError, KeyError, TypeError, zlib.error)


class Auditor:
    """Audits conda packages and wheels for one target."""

    def __init__(self, means: Means, target: Target, cache: Path, reporter: Reporter) -> None:
        self._means = means
        self._cache = cache
        self._target = target
        self._reporter = reporter
        self._known: dict[str, Audit] = {}

    def audit(self, artifacts: Sequence[Artifact]) -> Audit:
        """Return the audit of a set; raises FetchError where one cannot be read."""
        place = self._place(artifacts)
        found = self._known.get(place.name) or _load(place)
        if found is None:
            looked = indexes_of(artifacts, self._means, self._reporter)
            if looked.unread:
                raise FetchError(
                    "the code of some packages is needed, and --offline was given",
                    details=[f"  {name}" for name in looked.unread],
                    hint="run it once with the network, or leave the audit out: --no-audit",
                )
            with self._reporter.task(f"auditing {counted(len(artifacts), 'package')}"):
                keyed = {looked.keys[sha256]: index for sha256, index in looked.indexes.items()}
                found = audit_keyed(
                    keyed,
                    self._target,
                    cache=self._cache,
                    notes=looked.notes,
                    jobs=usable_cpus(),
                )
            place = self._place(artifacts)  # wholes that were fetched are verified by now
            text = json.dumps(audit_to_data(found), separators=(",", ":"))
            write_atomically(place, zlib.compress(text.encode("utf-8", "surrogatepass"), 6))
        self._known[place.name] = found
        return found

    def _place(self, artifacts: Sequence[Artifact]) -> Path:
        whole = IndexCache(self._cache / "index")
        store = self._means.fetcher.store
        keys = sorted(
            (
                key_of(a, a.sha256),
                a.kind == "conda" or whole.has(a.sha256) or store.get(a.sha256, a.size) is not None,
            )
            for a in artifacts
        )
        value = [RESOLVE, FORMAT, dataclasses.asdict(self._target), keys]
        digest = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
        return self._cache / "reviewed" / f"{digest}.audit"


def _load(place: Path) -> Audit | None:
    """Read what was kept; anything damaged counts as absent."""
    used(place)
    try:
        return audit_from_data(json.loads(zlib.decompress(place.read_bytes())))
    except _DAMAGED:
        return None
