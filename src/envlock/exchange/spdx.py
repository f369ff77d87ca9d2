"""SPDX 2.3 as JSON, made and validated by the project's own Python library."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from envlock.exchange.bill import base_of, bill_of, missing_library
from envlock.exchange.formats import Export

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.exchange.bill import Bill, Metadata, Part
    from envlock.exchange.formats import Subject
    from envlock.lock.model import Lock

MEDIA_TYPE = "application/spdx+json"
_DOCUMENT = "SPDXRef-DOCUMENT"
_ROOT = "SPDXRef-environment"


def export(subject: Subject) -> Export:
    """Write one lock; see :class:`envlock.exchange.formats.Exporter`."""
    (lock,) = subject.locks
    return Export(text=write(lock, subject.metadata))


def write(lock: Lock, metadata: Metadata) -> str:
    """Return the bill's text; raises UsageError without the library, and what metadata raises."""
    try:
        from spdx_tools.spdx.writer.json.json_writer import write_document_to_stream
    except ImportError as error:
        raise missing_library(error) from None
    bill = bill_of(lock, metadata)
    stream = io.StringIO()
    write_document_to_stream(_document(bill), stream, validate=True)
    value = json.loads(stream.getvalue())
    # the library's order of keys is its own affair; this one stays
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _document(bill: Bill) -> Any:
    from spdx_tools.spdx.model import Actor, ActorType, CreationInfo, Document

    return Document(
        creation_info=CreationInfo(
            spdx_version="SPDX-2.3",
            spdx_id=_DOCUMENT,
            name=bill.lock.name,
            document_namespace=f"https://envlock.invalid/spdx/{quote(bill.lock.name)}/{bill.serial}",
            creators=[Actor(ActorType.TOOL, "envlock")],
            created=datetime.fromtimestamp(0, UTC).replace(tzinfo=None),
        ),
        packages=[_environment(bill), *map(_package, bill.parts)],
        relationships=list(_relationships(bill)),
    )


def _environment(bill: Bill) -> Any:
    from spdx_tools.spdx.model import Package, PackagePurpose, SpdxNoAssertion

    return Package(
        spdx_id=_ROOT,
        name=bill.lock.name,
        download_location=SpdxNoAssertion(),
        files_analyzed=False,
        license_concluded=SpdxNoAssertion(),
        license_declared=SpdxNoAssertion(),
        copyright_text=SpdxNoAssertion(),
        description=bill.lock.spec.get("description"),
        comment="\n".join(
            [
                f"envlock lock {bill.digest} for {bill.lock.platform}",
                *(f"upon the base image {text}" for text in base_of(bill.lock)),
            ]
        ),
        primary_package_purpose=PackagePurpose.CONTAINER,
    )


def _package(part: Part) -> Any:
    from license_expression import get_spdx_licensing
    from spdx_tools.spdx.model import (
        Checksum,
        ChecksumAlgorithm,
        ExternalPackageRef,
        ExternalPackageRefCategory,
        Package,
        SpdxNoAssertion,
    )

    artifact, licence = part.artifact, part.licence
    declared: Any = SpdxNoAssertion()
    if licence.expression is not None:
        declared = get_spdx_licensing().parse(licence.expression)
    return Package(
        spdx_id=_reference(part),
        name=artifact.name,
        version=artifact.version,
        file_name=artifact.file,
        download_location=SpdxNoAssertion(),
        files_analyzed=False,
        checksums=[Checksum(ChecksumAlgorithm.SHA256, artifact.sha256)],
        license_concluded=SpdxNoAssertion(),
        license_declared=declared,
        license_comment=f"declared as: {licence.text}" if licence.text else None,
        copyright_text=SpdxNoAssertion(),
        comment="\n".join(f"{key}: {value}" for key, value in part.notes) or None,
        external_references=[
            ExternalPackageRef(ExternalPackageRefCategory.PACKAGE_MANAGER, "purl", part.purl)
        ],
    )


def _reference(part: Part) -> str:
    """Return an identifier of letters, digits, dots and hyphens that no other part has."""
    name = re.sub(r"[^A-Za-z0-9.-]", "-", part.artifact.name)
    return f"SPDXRef-{part.artifact.kind}-{name}-{part.artifact.sha256[:8]}"


def _relationships(bill: Bill) -> Iterator[Any]:
    from spdx_tools.spdx.model import Relationship, RelationshipType

    names = {part.purl: _reference(part) for part in bill.parts}
    yield Relationship(_DOCUMENT, RelationshipType.DESCRIBES, _ROOT)
    for part in bill.parts:
        yield Relationship(_ROOT, RelationshipType.CONTAINS, names[part.purl])
    for name in bill.roots:
        yield Relationship(_ROOT, RelationshipType.DEPENDS_ON, names[name])
    for part in bill.parts:
        for name in part.needs:
            yield Relationship(names[part.purl], RelationshipType.DEPENDS_ON, names[name])
