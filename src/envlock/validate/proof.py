"""From a report to the proof that is kept beside the lock.  Standard library only."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from envlock import __version__
from envlock.errors import UsageError
from envlock.files import write_atomically
from envlock.lock.proof import Proof, ProofGpu, ProvenCheck, dump_proof
from envlock.validate.text import clean

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.lock.model import Lock
    from envlock.validate.results import Report, Result


def proof_of(report: Report, lock: Lock, *, today: datetime | None = None) -> Proof:
    """Return what of a report is worth keeping: no times, no output, nothing of this machine.

    today: by default now.  Raises UsageError for a report that is about no image.
    """
    if not report.image:
        raise UsageError(
            "a proof names an image by its digest, and an unpacked one has none",
            hint="give the image itself: the OCI layout, or a tar of it",
        )
    gpu = None
    if report.gpu is not None:
        seen = report.gpu
        gpu = ProofGpu(names=seen.names, driver=seen.driver, cuda=seen.cuda)
    return Proof(
        name=lock.name,
        platform=lock.platform,
        image=report.image,
        input=lock.input,
        date=(today or datetime.now(UTC)).strftime("%Y-%m-%d"),
        envlock=__version__,
        gpu=gpu,
        checks=tuple(_check(result) for result in report.results if result.status != "noted"),
    )


def write_proof(path: Path, proof: Proof) -> None:
    """Write the proof; raises DiskError."""
    write_atomically(path, dump_proof(proof).encode())


def _check(result: Result) -> ProvenCheck:
    not_run = result.status == "not-run" and result.detail
    return ProvenCheck(
        kind=result.kind,
        subject=clean(result.subject),
        status=result.status,
        override=result.override,
        reason=clean(result.detail[0]) if not_run else None,
    )
