"""Attestations of package indexes (PEP 740): who published a wheel, by Sigstore's word.

``pypi_attestations`` verifies: the signature, the certificate up to Sigstore's root, the entry in
its transparency log, that the statement is about this file name and sha256, and that the
certificate is the publisher's whom the index names.  The root is the one that comes with
the installed ``sigstore``; nothing but the index is asked.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from envlock.errors import EnvlockError, UsageError
from envlock.lock.attested import mismatch, required
from envlock.lock.model import Attested

if TYPE_CHECKING:
    from collections.abc import Mapping

    from envlock.fetch.http import Http
    from envlock.fetch.indexes import SimpleIndex
    from envlock.lock.model import Artifact, Lock
    from envlock.progress import Reporter

_LIMIT = 4 * 1024 * 1024
"""Bytes of a file's provenance; a usual one has some ten thousand."""


class AttestationError(EnvlockError):
    """A wheel was not published by whom the spec requires, or nothing proves that it was."""


class _RefusedError(Exception):
    """Why one wheel is not attested as required."""


def attest(
    lock: Lock,
    index: SimpleIndex,
    http: Http,
    reporter: Reporter,
    *,
    known: Mapping[str, Attested] | None = None,
) -> Lock:
    """Return the lock with the publisher of each wheel whose attestations the spec requires.

    known: publishers by sha256 that were verified before; they count where nothing may be asked.
    Raises AttestationError for all wheels that are not as required, UsageError where the
    libraries are missing, FetchError.
    """
    asked = dict(required(lock))
    if not asked:
        return lock
    found: dict[str, Attested] = {}
    problems = []
    with reporter.task("verifying attestations", len(asked)) as task:
        for wheel, identity in asked.items():
            try:
                if http.offline:
                    found[wheel.sha256] = _remembered(wheel, identity, known or {})
                else:
                    found[wheel.sha256] = _attested(wheel, identity, index, http)
            except _RefusedError as error:
                problems.append(f"  {wheel.file}: {error}")
            task.advance(1)
    if problems:
        raise AttestationError(
            f"{lock.name}: {len(problems)} of {len(asked)} wheels are not attested as required",
            details=problems,
            hint="if it is right that somebody else publishes it now, say so under "
            "require-attestations; else take a version, or an index, that has attestations",
        )
    return replace(
        lock,
        artifacts=tuple(
            replace(one, attested=found.get(one.sha256) if one in asked else None)
            for one in lock.artifacts
        ),
    )


def _remembered(
    wheel: Artifact, identity: Mapping[str, str], known: Mapping[str, Attested]
) -> Attested:
    attested = known.get(wheel.sha256)
    if attested is None:
        raise _RefusedError("its index cannot be asked for attestations offline")
    problem = mismatch(identity, attested)
    if problem:
        raise _RefusedError(problem)
    return attested


def _attested(
    wheel: Artifact, identity: Mapping[str, str], index: SimpleIndex, http: Http
) -> Attested:
    """Return the first publisher that is the required one and whose attestation holds."""
    files = index.files(wheel.source, wheel.name)
    url = next((file.provenance_url for file in files if file.filename == wheel.file), None)
    if url is None:
        raise _RefusedError(f"{wheel.source} has no attestations of it")
    problems = []
    for bundle in _bundles(http.read(url, limit=_LIMIT)):
        attested = _publisher(bundle.publisher)
        problem = mismatch(identity, attested) or _problem(bundle, wheel)
        if not problem:
            return attested
        problems.append(problem)
    raise _RefusedError("; ".join(problems) or "its provenance has no attestation")


def _bundles(document: bytes) -> list[Any]:
    provenance = _library().Provenance
    try:
        return list(provenance.model_validate_json(document).attestation_bundles)
    except ValueError as error:
        first = str(error).partition("\n")[0]
        raise _RefusedError(f"its provenance is not understood: {first}") from None


def _problem(bundle: Any, wheel: Artifact) -> str:
    """Return why no attestation of a bundle is about this wheel; empty where one is."""
    library = _library()
    distribution = library.Distribution(name=wheel.file, digest=wheel.sha256)
    problem = "there is no attestation of its publication"
    for attestation in bundle.attestations:
        try:
            kind, _ = attestation.verify(bundle.publisher, distribution, offline=True)
        except (library.AttestationError, ValueError) as error:
            problem = f"its attestation does not hold: {error}"
            continue
        if kind == library.AttestationType.PYPI_PUBLISH_V1:
            return ""
    return problem


def _publisher(publisher: Any) -> Attested:
    """Return what the certificate vouches for of a publisher, once an attestation holds."""
    kind = publisher.kind
    if kind == "Google":
        return Attested(publisher=kind, email=publisher.email)
    if kind == "CircleCI":
        return Attested(
            publisher=kind,
            repository=publisher.vcs_origin,
            workflow=publisher.pipeline_definition_id,
        )
    workflow = publisher.workflow_filepath if kind == "GitLab" else publisher.workflow
    return Attested(publisher=kind, repository=publisher.repository, workflow=workflow)


def _library() -> Any:
    try:
        import pypi_attestations
    except ImportError as error:
        raise UsageError(
            f"attestations cannot be verified: {error}",
            hint="install envlock with its extra: uv tool install 'envlock[attestations]'",
        ) from None
    return pypi_attestations
