"""A small index of the distributions that are there already: one version each, METADATA only.

It stands before the other indexes, and uv takes a distribution from the first index that has
it.  So what conda owns is never chosen a second time, and a requirement that conda's version
does not meet is an error and not a silent choice.
"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement
from packaging.version import InvalidVersion, Version

from envlock.requirements import parse_requirement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from envlock.solve.provided import Provided

NAME = "envlock-conda"
"""The index's name; uv's words about it are put in ours."""

UPLOADED = "1980-01-01T00:00:00Z"
"""When the stubs were published: before any ``exclude-newer``."""


def usable(provided: Provided) -> bool:
    """Tell whether a distribution's version is one that PEP 440 knows."""
    try:
        Version(provided.version)
    except InvalidVersion:
        return False
    return True


def write_stub_index(folder: Path, stubs: Sequence[Provided]) -> str:
    """Write the index (PEP 503) and return its URL."""
    root = folder / "simple"
    for stub in stubs:
        place = root / stub.name
        place.mkdir(parents=True)
        file = _stub(place, stub)
        page = f'<a href="{file}" data-upload-time="{UPLOADED}">{file}</a>'
        (place / "index.html").write_text(f"<!DOCTYPE html><html><body>{page}</body></html>\n")
    return root.as_uri()


def _stub(place: Path, stub: Provided) -> str:
    """Write a wheel without content; what it requires are only its extras' requirements.

    Its other requirements are conda's, and were met there or set aside.
    """
    plain = stub.name.replace("-", "_")
    version = str(Version(stub.version))
    info = f"{plain}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {stub.name}", f"Version: {version}"]
    lines += [f"Provides-Extra: {extra}" for extra in sorted(stub.extras)]
    lines += [f"Requires-Dist: {text}" for text in extra_requirements(stub)]
    file = f"{plain}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(place / file, "w") as archive:
        for name, text in (
            ("METADATA", "\n".join(lines)),
            ("WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any"),
            ("RECORD", ""),
        ):
            archive.writestr(zipfile.ZipInfo(f"{info}/{name}"), f"{text}\n")
    return file


def extra_requirements(stub: Provided) -> list[str]:
    """Return what only the extras of a distribution require."""
    found = []
    for text in stub.requires or ():
        try:
            marker = parse_requirement(text).marker
        except InvalidRequirement:
            continue
        if marker is not None and "extra" in str(marker):
            found.append(text)
    return found
