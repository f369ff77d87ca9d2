"""Advisories in the OSV format, made in code."""

from __future__ import annotations

from typing import Any


def osv(
    name: str,
    package: str,
    *events: tuple[str, str],
    ecosystem: str = "PyPI",
    **more: Any,
) -> dict[str, Any]:
    """Return an advisory about one package with one range; ``events`` as (kind, version)."""
    ranges = [{"type": "ECOSYSTEM", "events": [{kind: version} for kind, version in events]}]
    affected = {
        "package": {"ecosystem": ecosystem, "name": package},
        "ranges": ranges if events else [],
        "versions": more.pop("versions", []),
    }
    return {"id": name, "summary": f"{package} is unsafe", "affected": [affected], **more}
