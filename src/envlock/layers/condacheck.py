"""Is a conda package what the lock says of it?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from envlock.errors import ArtifactError
from envlock.layers.condapaths import link_scripts, provided

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.layers.condaarchive import CondaArchive
    from envlock.lock.model import Artifact


def check_identity(archive: CondaArchive, artifact: Artifact) -> None:
    """Compare the package's own name, version and build with the lock's; raises ArtifactError."""
    assert artifact.conda is not None
    text = archive.text("index.json")
    try:
        index = json.loads(text or "")
        found = (index["name"], index["version"], index["build"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ArtifactError("info/index.json does not tell which package this is") from None
    wanted = (artifact.name, artifact.version, artifact.conda.build)
    if found != wanted:
        raise ArtifactError(f"it holds {' '.join(map(str, found))}, not {' '.join(wanted)}")


def check_contents(artifact: Artifact, paths: Sequence[str]) -> None:
    """Compare what the solve took from a list of paths with ``paths``, the package's own list.

    The solve may have read it by HTTP range, out of a file that nobody had verified yet.
    Raises ArtifactError.
    """
    assert artifact.conda is not None
    for what, told, found in (
        ("distributions", artifact.conda.provides, provided(paths)),
        ("link scripts", artifact.conda.link_scripts, link_scripts(artifact.name, paths)),
    ):
        if told != found:
            raise ArtifactError(
                f"its {what} are not those that the lock was solved with",
                details=(f"  told:  {_listed(told)}", f"  found: {_listed(found)}"),
                hint="solve again; if nothing changes, the channel's server answers requests for "
                "parts of the package with something else",
            )


def _listed(items: Sequence[str] | Sequence[tuple[str, str]]) -> str:
    texts = (item if isinstance(item, str) else " ".join(item) for item in items)
    return ", ".join(texts) or "none"
