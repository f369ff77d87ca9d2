"""Where the files of a wheel go, and which scripts its entry points become.

Follows "Binary distribution format" and "Entry points specification" of the PyPA
specifications, from names and one text alone: whoever has a wheel's directory knows its paths.
"""

from __future__ import annotations

import configparser
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from envlock.errors import ArtifactError

if TYPE_CHECKING:
    from envlock.layers.scheme import Scheme

SIGNATURES = ("RECORD.jws", "RECORD.p7s")
_ENTRY_POINT = re.compile(r"^([\w.]+)\s*:\s*([\w.]+)\s*(?:\[[^\]]*\])?$")
_SCRIPT_NAME = re.compile(r"^[A-Za-z0-9_.][A-Za-z0-9_.+-]*$")


@dataclass(frozen=True, slots=True)
class Script:
    """A program that is made of an entry point: it calls ``attribute`` of ``module``."""

    name: str
    module: str
    attribute: str


@dataclass(slots=True)
class Places:
    """Where a wheel's files go; dist_info: the name of its ``.dist-info`` folder."""

    dist_info: str
    scheme: Scheme
    data: str = field(init=False)
    _folders: dict[str, str] = field(init=False)
    _made: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.data = self.dist_info.removesuffix(".dist-info") + ".data"
        self._folders = self.scheme.data(self.dist_info.split("-")[0])
        self._made = frozenset(f"{self.dist_info}/{name}" for name in ("RECORD", *SIGNATURES))

    def of(self, name: str) -> str | None:
        """Return where a file goes, relative to the image's root, or None for what is made anew.

        Raises ArtifactError for one that no scheme has.
        """
        if name.startswith(f"{self.data}/"):
            key, _, rest = name.removeprefix(f"{self.data}/").partition("/")
            folder = self._folders.get(key)
            if folder is None or not rest:
                raise ArtifactError(f"{name!r} belongs to no known scheme")
            return f"{folder}/{rest}"
        return None if name in self._made else f"{self.scheme.site_packages}/{name}"


def scripts_of(entry_points: str) -> list[Script]:
    """Return the console and GUI scripts of an ``entry_points.txt``, by name.

    Raises ArtifactError.
    """
    parser = configparser.ConfigParser(
        delimiters=("=",), interpolation=None, strict=False, default_section=""
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(entry_points)
    except configparser.Error as error:
        raise ArtifactError("entry_points.txt is malformed") from error
    scripts = {}
    for group in ("console_scripts", "gui_scripts"):
        if parser.has_section(group):
            scripts.update(dict(parser.items(group)))
    return [_script(name, value) for name, value in sorted(scripts.items())]


def _script(name: str, value: str) -> Script:
    match = _ENTRY_POINT.match(value.strip())
    if match is None or not _SCRIPT_NAME.match(name):
        raise ArtifactError(f"the entry point {name!r} = {value!r} is malformed")
    return Script(name, match[1], match[2])
