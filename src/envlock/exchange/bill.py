"""What a bill of materials says of a lock, whatever its format.

A bill names no host, has no time of its own and depends on the lock and the METADATA of its
wheels only, so that the same lock gives the same bytes on every machine.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.errors import UsageError
from envlock.exchange.licences import Licence, of_conda, of_wheel
from envlock.graph import Graph
from envlock.lock.codec import lock_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from envlock.graph import Node
    from envlock.lock.model import Artifact, Lock

    Metadata = Callable[[Artifact], bytes]
    """Returns the METADATA of a wheel."""

_NAMESPACE = uuid.UUID("b3c1f1f4-6a2e-5d0c-9d3b-0a4c7f1e2d55")
"""Of the serial numbers, which are made of locks' digests (RFC 9562, version 5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One locked package.

    purl: its package URL, also its name in the bill; needs: the purls of what it requires;
    notes: what an override or an exclusion did to it or for it, by a short key.
    """

    artifact: Artifact
    purl: str
    licence: Licence
    needs: tuple[str, ...]
    notes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """One lock's parts; roots: purls of what the spec itself asks for; digest: of the lock."""

    lock: Lock
    digest: str
    serial: uuid.UUID
    parts: tuple[Part, ...]
    roots: tuple[str, ...]


def bill_of(lock: Lock, metadata: Metadata) -> Bill:
    """Return the bill of a lock; raises what ``metadata`` raises."""
    digest = lock_digest(lock)
    graph = Graph(lock)
    names = {node: purl(lock, artifact) for node, artifact in graph.artifacts.items()}
    needs: dict[Node | None, set[str]] = {}
    for node, name in names.items():
        for edge in graph.into(node):
            if not edge.voided:
                needs.setdefault(edge.dependent, set()).add(name)
    return Bill(
        lock=lock,
        digest=digest,
        serial=uuid.uuid5(_NAMESPACE, digest),
        parts=tuple(
            Part(
                artifact=artifact,
                purl=names[node],
                licence=_licence(artifact, metadata),
                needs=tuple(sorted(needs.get(node, set()) - {names[node]})),
                notes=_notes(lock, artifact, graph.forced),
            )
            for node, artifact in sorted(graph.artifacts.items())
        ),
        roots=tuple(sorted(needs.get(None, set()))),
    )


def base_of(lock: Lock) -> tuple[str, ...]:
    """Return the base image, whose packages no bill of ours lists, by its name and digest."""
    return (f"{lock.base.reference} {lock.base.manifest}",) if lock.base else ()


def purl(lock: Lock, artifact: Artifact) -> str:
    """Return the package URL (the purl specification's types pypi, deb and conda)."""
    from packageurl import PackageURL

    if artifact.kind == "pypi":
        return PackageURL("pypi", None, artifact.name, artifact.version).to_string()
    if artifact.kind == "debian":
        arch = re.search(r"_([a-z0-9]+)\.deb$", artifact.file)
        found = {
            "arch": arch[1] if arch else "",
            "distro": lock.debian.suite if lock.debian else "",
        }
        qualifiers = {key: value for key, value in found.items() if value}
        return PackageURL("deb", "debian", artifact.name, artifact.version, qualifiers).to_string()
    record = artifact.conda
    conda = {"channel": artifact.source}
    if record is not None:
        form = "conda" if artifact.file.endswith(".conda") else "tar.bz2"
        conda |= {"build": record.build, "subdir": record.subdir, "type": form}
    return PackageURL("conda", None, artifact.name, artifact.version, conda).to_string()


def _licence(artifact: Artifact, metadata: Metadata) -> Licence:
    if artifact.kind == "pypi":
        return of_wheel(metadata(artifact))
    return of_conda(artifact.conda.license) if artifact.conda else Licence()


def _notes(
    lock: Lock, artifact: Artifact, forced: Mapping[Node, str]
) -> tuple[tuple[str, str], ...]:
    notes: list[tuple[str, str]] = []
    because = forced.get((artifact.kind, artifact.name))
    if because is not None:
        notes.append(("override:because", because))
    for override in lock.overrides:
        for void in override.voids:
            said = f"{void.dependent} {void.version} requires {void.requirement}"
            if (override.kind, override.package) == (artifact.kind, artifact.name):
                notes.append(("override:voids", said))
            elif (void.kind, void.dependent) == (artifact.kind, artifact.name):
                notes.append(("override:voided", f"{void.requirement} by {override.package}"))
    for exclude in lock.excludes:
        notes += [
            ("exclude:voided", f"{void.requirement} is left out")
            for void in exclude.voids
            if (void.kind, void.dependent) == (artifact.kind, artifact.name)
        ]
    return tuple(notes)


def missing_library(error: ImportError) -> UsageError:
    """Return the error for a bill's library that is not installed."""
    return UsageError(
        f"bills of materials need the library {error.name}, which is not installed",
        hint="install envlock with its extra: uv tool install 'envlock[sbom]'",
    )
