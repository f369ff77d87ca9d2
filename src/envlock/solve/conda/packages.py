"""What conda packages say inside: which PyPI distributions they bring, and their METADATA.

The names come from the list of paths in the package's info part, which is small and read by
HTTP range, and so do link scripts; METADATA lies in the other part, and needs the whole
package.  What was read once is kept by the package's sha256.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from packaging.metadata import parse_email
from packaging.utils import canonicalize_name

from envlock.errors import FetchError
from envlock.files import write_atomically
from envlock.layers.condapaths import distributions, link_scripts, provided
from envlock.leases import used
from envlock.solve.conda.archive import Info, has_ranges, read_info, read_members
from envlock.solve.conda.records import entry_name
from envlock.solve.provided import Provided

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from envlock.channels import ChannelAccess
    from envlock.fetch.artifacts import Fetcher
    from envlock.fetch.http import Http
    from envlock.lock.model import Artifact
    from envlock.progress import Reporter

_Read = TypeVar("_Read")
_PYTHONS = {"python", "python_abi"}
_WORKERS = 8


class PackageReader:
    """Reads packages of the channels of one solve; safe to use from several threads."""

    def __init__(
        self, access: Mapping[str, ChannelAccess], http: Http, fetcher: Fetcher, cache: Path
    ) -> None:
        self._access = access
        self._http = http
        self._fetcher = fetcher
        self._cache = cache
        self._unhelpful: set[str] = set()  # places that gave no parts in this run

    def with_contents(
        self, artifacts: Sequence[Artifact], reporter: Reporter
    ) -> tuple[Artifact, ...]:
        """Return the packages, each with the distributions and the link scripts in it.

        Raises FetchError, ArtifactError.
        """
        with (
            reporter.task("looking into conda packages", len(artifacts)) as task,
            ThreadPoolExecutor(_WORKERS) as pool,
        ):

            def one(artifact: Artifact) -> Artifact:
                found = self._looked_into(artifact)
                task.advance(1)
                return found

            return tuple(pool.map(one, artifacts))

    def described(self, artifacts: Sequence[Artifact], reporter: Reporter) -> tuple[Provided, ...]:
        """Return the distributions that packages bring with what their METADATA says.

        Fetches the packages whole.  Raises FetchError, ArtifactError.
        """
        bringing = [one for one in artifacts if one.conda and one.conda.provides]
        with (
            reporter.task("reading conda packages", len(bringing)) as task,
            ThreadPoolExecutor(_WORKERS) as pool,
        ):

            def one(artifact: Artifact) -> list[Provided]:
                found = self._described(artifact)
                task.advance(1)
                return found

            return tuple(item for items in pool.map(one, bringing) for item in items)

    def files(self, artifacts: Sequence[Artifact], reporter: Reporter) -> list[Info]:
        """Return what packages say of their files; raises FetchError, ArtifactError."""
        with reporter.task("comparing conda packages"), ThreadPoolExecutor(_WORKERS) as pool:
            return list(pool.map(self._files, artifacts))

    def texts(self, artifact: Artifact, paths: Sequence[str]) -> dict[str, bytes]:
        """Return small files of a package, which is fetched whole for them.

        Raises FetchError, ArtifactError.
        """
        place = self._cache / f"{artifact.sha256}.scripts.json"
        known = _kept(place, _encoded)
        if known is not None:
            return known
        stored = self._fetcher.store.get(artifact.sha256, artifact.size)
        found = read_members(artifact, stored or self._fetch(artifact), paths)
        texts = {path: text.decode("latin-1") for path, text in sorted(found.items())}
        write_atomically(place, json.dumps(texts).encode())
        return found

    def _looked_into(self, artifact: Artifact) -> Artifact:
        place = self._cache / f"{artifact.sha256}.contents.json"
        stored = self._fetcher.store.get(artifact.sha256, artifact.size)
        contents = _kept(place, _contents)
        if contents is None or (stored is not None and not contents.verified):
            info, verified = self._info(artifact, stored)
            said = {
                "provides": provided(info.marks),
                "link_scripts": link_scripts(artifact.name, info.marks),
                "verified": verified,
            }
            self._keep_files(artifact, info)
            write_atomically(place, json.dumps(said).encode())
            contents = _contents(said)
        assert artifact.conda is not None
        record = dataclasses.replace(
            artifact.conda, provides=contents.provides, link_scripts=contents.link_scripts
        )
        return dataclasses.replace(artifact, conda=record)

    def _keep_files(self, artifact: Artifact, info: Info) -> None:
        said = {"marks": info.marks, "points": info.points}
        write_atomically(self._files_path(artifact), json.dumps(said).encode())

    def _files_path(self, artifact: Artifact) -> Path:
        return self._cache / f"{artifact.sha256}.files.json"

    def _files(self, artifact: Artifact) -> Info:
        known = _kept(self._files_path(artifact), _info_of)
        if known is None:
            stored = self._fetcher.store.get(artifact.sha256, artifact.size)
            known, _ = self._info(artifact, stored)
            self._keep_files(artifact, known)
        return known

    def _info(self, artifact: Artifact, stored: Path | None) -> tuple[Info, bool]:
        """Return the files of a package, and whether they are of bytes that were verified.

        A part that is read by HTTP range has no checksum of its own: what is decided by it is
        looked at again when the package is packed.
        """
        for base in self._access[artifact.source].urls if stored is None else ():
            if base in self._unhelpful or not has_ranges(artifact, base):
                continue
            try:
                url = f"{base}/{artifact.path}"
                return read_info(artifact, url, self._http.session()), False
            except FetchError:  # the next place, or at last the whole package
                self._unhelpful.add(base)
        return read_info(artifact, stored or self._fetch(artifact), None), True

    def _urls(self, artifact: Artifact) -> list[str]:
        return [f"{url}/{artifact.path}" for url in self._access[artifact.source].urls]

    def _fetch(self, artifact: Artifact) -> Path:
        return self._fetcher.one(
            self._urls(artifact), name=artifact.file, sha256=artifact.sha256, size=artifact.size
        )

    def _described(self, artifact: Artifact) -> list[Provided]:
        place = self._cache / f"{artifact.sha256}.described.json"
        read = functools.partial(_described, artifact)
        known = _kept(place, read)
        if known is not None:
            return known
        said = self._metadata(artifact)
        write_atomically(place, json.dumps(said).encode())
        return read(said)

    def _metadata(self, artifact: Artifact) -> dict[str, dict[str, Any]]:
        """Return what the METADATA of each distribution says, and whether a RECORD is beside."""
        stored = self._fetcher.store.get(artifact.sha256, artifact.size) or self._fetch(artifact)
        paths = read_info(artifact, stored, None).marks
        wanted = {path: name for name, _, path in distributions(paths)}
        records = {path.removesuffix("RECORD") for path in paths if path.endswith("/RECORD")}
        found = read_members(artifact, stored, wanted)
        return {
            wanted[path]: {**_parsed(text), "listed": path.removesuffix("METADATA") in records}
            for path, text in sorted(found.items())
        }


def _kept(place: Path, read: Callable[[Any], _Read]) -> _Read | None:
    """Return what was found out before, as ``read`` understands it; damaged counts as absent."""
    try:
        return read(json.loads(place.read_bytes())) if used(place) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Contents:
    """What is in a package; verified: found in bytes that were, and not in a part of them."""

    provides: tuple[tuple[str, str], ...]
    link_scripts: tuple[str, ...]
    verified: bool


def _contents(said: dict[str, Any]) -> _Contents:
    return _Contents(
        provides=tuple(sorted(dict(reversed(said["provides"])).items())),
        link_scripts=tuple(said["link_scripts"]),
        verified=bool(said.get("verified")),
    )


def _info_of(said: dict[str, Any]) -> Info:
    return Info(marks=dict(said["marks"]), points=tuple(said["points"]))


def _encoded(texts: dict[str, str]) -> dict[str, bytes]:
    return {path: text.encode("latin-1") for path, text in texts.items()}


def _described(artifact: Artifact, said: dict[str, Any]) -> list[Provided]:
    assert artifact.conda is not None
    said = dict(said)
    return [
        Provided(
            name=name,
            version=version,
            package=artifact.name,
            requires=tuple(said[name]["requires"]) if name in said else None,
            extras=frozenset(said[name]["extras"]) if name in said else frozenset(),
            listed=name in said and bool(said[name]["listed"]),
        )
        for name, version in artifact.conda.provides
    ]


def may_bring_distributions(artifact: Artifact) -> bool:
    """Tell whether a package may be a distribution: Python's packages depend on Python."""
    assert artifact.conda is not None
    if artifact.conda.noarch == "python":
        return True
    return any(entry_name(entry) in _PYTHONS for entry in artifact.depends)


def _parsed(text: bytes) -> dict[str, list[str]]:
    raw, _ = parse_email(text)
    extras = sorted({canonicalize_name(extra) for extra in raw.get("provides_extra", [])})
    return {"requires": raw.get("requires_dist", []), "extras": list(extras)}
