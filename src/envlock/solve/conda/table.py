"""A table of which conda package stands for which PyPI distribution.

That of the distribution ``conda-pypi`` where it is installed beside envlock, or a file of the
user's own, in the same form or as a plain ``{"conda name": "pypi name"}``.
"""

from __future__ import annotations

import functools
import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from envlock.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FILE = "grayskull_pypi_mapping.json"
_HINT = (
    'it is JSON, as conda-pypi has it ({"PyYAML": {"pypi_name": "pyyaml", "conda_name": '
    '"pyyaml"}}) or plain ({"conda name": "pypi name"})'
)


@functools.cache
def name_table(own: Path | None) -> Mapping[str, str]:
    """Return distributions (normalized) by conda names.

    own: the user's file, which takes the place of conda-pypi's; without both it is empty.
    Of several distributions with one conda package the one of the same name is taken, else the
    first.  Raises UsageError for a file of the user's that cannot be read.
    """
    path = own or _installed()
    if path is None:
        return {}
    try:
        pairs = sorted(_pairs(json.loads(path.read_text("utf-8"))))
    except (OSError, ValueError, RecursionError) as error:
        if own is None:
            return {}
        raise UsageError(
            f"the table of conda's names of distributions cannot be read: {error}",
            where=str(own),
            hint=_HINT,
        ) from None
    found: dict[str, str] = {}
    for _, conda, pypi in pairs:
        if pypi == conda or conda not in found:
            found[conda] = pypi
    return found


def _pairs(table: Any) -> Iterator[tuple[str, str, str]]:
    """Yield (key, conda name, distribution); raises ValueError."""
    if not isinstance(table, dict):
        raise ValueError("it is no table")  # noqa: TRY004 - the file's fault, like broken JSON
    for key, entry in table.items():
        plain = {"conda_name": key, "pypi_name": entry}
        named: Any = entry if isinstance(entry, dict) else plain
        conda, pypi = named.get("conda_name"), named.get("pypi_name")
        if not (isinstance(conda, str) and isinstance(pypi, str) and conda and pypi):
            raise ValueError(f"{key!r} does not have two names")
        yield key, conda, str(canonicalize_name(pypi))


def _installed() -> Path | None:
    """Return conda-pypi's file.  None of its code is run: that would load conda itself."""
    found = importlib.util.find_spec("conda_pypi")
    for folder in (found.submodule_search_locations or ()) if found is not None else ():
        if (Path(folder) / _FILE).is_file():
            return Path(folder) / _FILE
    return None
