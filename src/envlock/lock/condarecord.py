"""A conda package's own part of its block in the lock.  Standard library only."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, fields
from typing import Any

from envlock.lock.model import CondaRecord
from envlock.lock.values import (
    CONDA_NAME,
    NAME,
    PATH,
    kept_path,
    mapping,
    matching,
    text,
    texts,
    whole,
)

_MD5 = re.compile(r"[0-9a-f]{32}")


def plain_record(record: CondaRecord) -> dict[str, Any]:
    """Return what is known of a conda package; what it does not have is left out."""
    value = {key: item for key, item in asdict(record).items() if item not in (None, ())}
    return json.loads(json.dumps(value))  # type: ignore[no-any-return]  # seals are of JSON


def parse_record(artifact: dict[str, Any], path: str) -> CondaRecord:
    """Return what the block of an artifact says of its conda package.

    Raises KeyError, TypeError or ValueError for what cannot be true of the file ``path``.
    """
    value = mapping(artifact["conda"])
    known = {field.name for field in fields(CondaRecord)}
    if value.keys() - known:
        raise ValueError(f"{artifact['name']}: {min(value.keys() - known)!r} is not known")
    build, subdir = text(value["build"]), text(value["subdir"])
    stem = f"{subdir}/{artifact['name']}-{artifact['version']}-{build}"
    if path not in (f"{stem}.conda", f"{stem}.tar.bz2"):
        raise ValueError(f"{artifact['name']}: {path!r} is not the file of this package")
    noarch = value.get("noarch")
    if noarch not in (None, "python", "generic"):
        raise ValueError(f"{artifact['name']}: noarch {noarch!r} is not known")
    folder = value.get("python_site_packages_path")
    if folder is not None and {"", ".", ".."} & {*matching(PATH, folder).split("/")}:
        raise ValueError(f"{artifact['name']}: {folder!r} is no folder of the prefix")
    return CondaRecord(
        build=build,
        build_number=whole(value["build_number"]),
        subdir=subdir,
        md5=matching(_MD5, value["md5"]) if "md5" in value else None,
        constrains=texts(value.get("constrains", [])),
        noarch=noarch,
        provides=tuple(_pair(item) for item in value.get("provides", [])),
        stands_for=tuple(_pair(item) for item in value.get("stands_for", [])),
        link_scripts=tuple(matching(PATH, item) for item in texts(value.get("link_scripts", []))),
        link_handled=texts(value.get("link_handled", [])),
        link_unhandled=texts(value.get("link_unhandled", [])),
        track_features=texts(value.get("track_features", [])),
        license=text(value["license"]) if "license" in value else None,
        python_site_packages_path=folder,
        clobbered=tuple(kept_path(CONDA_NAME, item) for item in value.get("clobbered", [])),
    )


def _pair(value: object) -> tuple[str, str]:
    name, version = texts(value)
    return matching(NAME, name), version
