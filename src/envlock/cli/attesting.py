"""Attestations in the solve: who published what, told where it is new or another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envlock.cli.context import Context
    from envlock.lock.model import Lock
    from envlock.spec.model import Spec


def with_attestations(state: Context, spec: Spec, lock: Lock, previous: Lock | None) -> Lock:
    """Return the lock with verified publishers; raises AttestationError, UsageError, FetchError."""
    if not spec.attestations:
        return lock
    from envlock.attestations import attest
    from envlock.fetch.indexes import SimpleIndex
    from envlock.lock.attested import absent, said

    before = {one.sha256: one.attested for one in (previous.artifacts if previous else ())}
    known = {sha256: attested for sha256, attested in before.items() if attested is not None}
    index = SimpleIndex(state.index_urls(spec), state.http)
    lock = attest(lock, index, state.http, state.output, known=known)
    for name in absent(lock):
        state.output.warn(f"require-attestations names {name}, which is no wheel of the lock")
    for one in lock.artifacts:
        if one.attested is not None and known.get(one.sha256) != one.attested:
            state.output.message(f"  {one.name} {one.version}: published by {said(one.attested)}")
    return lock
