"""Folders of wheels as package indexes: they get the pages of the Simple API (PEP 503)."""

from __future__ import annotations

import hashlib
import html
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)

from envlock.errors import DiskError, UsageError
from envlock.files import write_atomically
from envlock.leases import used

if TYPE_CHECKING:
    from collections.abc import Iterator


def index_of(name: str, url: str, root: Path, pages: Path) -> str:
    """Return the URL of an index that has the files of ``url``, which may be a folder of wheels.

    url: of the index ``name``, or its path below ``root``, beginning with ``./``; what is no
    folder with wheels right in it is an index already, and returned as it is (a path as a URL).
    pages: a folder to write into.  Raises UsageError where a path is no folder, DiskError where
    one cannot be read or written.
    """
    relative = url.startswith("./")
    if not relative and not url.startswith("file://"):
        return url
    folder = root / url if relative else Path(unquote(urlsplit(url).path))
    folder = folder.absolute()
    if relative and not folder.is_dir():
        raise UsageError(
            f"the index {name!r} is the folder {url}, which is not there",
            where=str(folder),
            hint="make it and put the wheels into it, or name another place under indexes",
        )
    try:
        found = _by_name(folder)
        if not found:
            return folder.as_uri() if relative else url
        return _written(found, pages / hashlib.sha256(bytes(folder)).hexdigest()[:32]).as_uri()
    except OSError as error:
        raise DiskError(
            f"the folder of the index {name!r} cannot be read: {error.strerror}",
            where=str(folder),
        ) from None


def _by_name(folder: Path) -> dict[str, list[Path]]:
    """Return the wheels and source archives right in a folder, by normalized names."""
    found: dict[str, list[Path]] = {}
    for file, name in _named(folder):
        found.setdefault(name, []).append(file)
    return found if any(f.suffix == ".whl" for files in found.values() for f in files) else {}


def _named(folder: Path) -> Iterator[tuple[Path, str]]:
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        parse = parse_wheel_filename if file.suffix == ".whl" else parse_sdist_filename
        try:
            name = parse(file.name)[0]
        except (InvalidWheelFilename, InvalidSdistFilename):
            continue
        yield file, name


def _written(found: dict[str, list[Path]], pages: Path) -> Path:
    """Write a page for each distribution, and remove those of others; returns ``pages``."""
    used(pages)  # nothing prunes it while this command runs
    for name, files in found.items():
        links = [
            f'<a href="{html.escape(file.as_uri())}">{html.escape(file.name)}</a><br>\n'
            for file in files
        ]
        text = "<!DOCTYPE html>\n" + "".join(links)
        page = pages / name / "index.html"
        if not page.is_file() or page.read_text("utf-8") != text:
            write_atomically(page, text.encode())
    for other in pages.iterdir():
        if other.name not in found:
            shutil.rmtree(other, ignore_errors=True)
    return pages
