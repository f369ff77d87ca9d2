"""CycloneDX 1.6 as JSON, made by the project's own Python library."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from envlock.exchange.bill import base_of, bill_of, missing_library
from envlock.exchange.formats import Export

if TYPE_CHECKING:
    from envlock.exchange.bill import Bill, Metadata, Part
    from envlock.exchange.formats import Subject
    from envlock.exchange.licences import Licence
    from envlock.lock.model import Lock

MEDIA_TYPE = "application/vnd.cyclonedx+json"


def export(subject: Subject) -> Export:
    """Write one lock; see :class:`envlock.exchange.formats.Exporter`."""
    (lock,) = subject.locks
    return Export(text=write(lock, subject.metadata))


def write(lock: Lock, metadata: Metadata) -> str:
    """Return the bill's text; raises UsageError without the library, and what metadata raises."""
    try:
        from cyclonedx.output.json import JsonV1Dot6
    except ImportError as error:
        raise missing_library(error) from None
    bill = bill_of(lock, metadata)
    value = json.loads(JsonV1Dot6(_bom(bill)).output_as_string())
    # the library's order of keys is its own affair; this one stays
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _bom(bill: Bill) -> Any:
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType

    lock = bill.lock
    root = Component(
        type=ComponentType.CONTAINER,
        name=lock.name,
        bom_ref="environment",
        description=lock.spec.get("description"),
        properties=[
            Property(name="envlock:lock", value=bill.digest),
            Property(name="envlock:platform", value=lock.platform),
            *(Property(name="envlock:base", value=text) for text in base_of(lock)),
        ],
    )
    components = {part.purl: _component(part) for part in bill.parts}
    bom = Bom(
        components=components.values(),
        serial_number=bill.serial,
        metadata=BomMetaData(
            component=root,
            tools=_tools(),
            timestamp=datetime.fromtimestamp(0, UTC),
        ),
    )
    bom.register_dependency(root, [components[name] for name in bill.roots])
    for part in bill.parts:
        bom.register_dependency(components[part.purl], [components[name] for name in part.needs])
    return bom


def _tools() -> Any:
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.tool import ToolRepository

    return ToolRepository(components=[Component(name="envlock", type=ComponentType.APPLICATION)])


def _component(part: Part) -> Any:
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    artifact = part.artifact
    more = [("artifact:file", artifact.file), ("artifact:source", artifact.source), *part.notes]
    return Component(
        type=ComponentType.LIBRARY,
        name=artifact.name,
        version=artifact.version,
        bom_ref=part.purl,
        purl=PackageURL.from_string(part.purl),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=artifact.sha256)],
        licenses=_licences(part.licence),
        properties=[Property(name=f"envlock:{key}", value=value) for key, value in more],
    )


def _licences(licence: Licence) -> list[Any]:
    from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression

    if licence.expression is not None:
        return [LicenseExpression(licence.expression)]
    return [DisjunctiveLicense(name=licence.text)] if licence.text else []
