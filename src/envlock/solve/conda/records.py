"""Between rattler's records and the lock's artifacts; match specs compared and tried."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from envlock.errors import UnsatisfiableError
from envlock.lock.model import Artifact, CondaRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rattler import MatchSpec, PackageRecord, RepoDataRecord

LINUX = "5.10"
"""The kernel (``__linux``) where the spec names none: that of Debian 11, and older than any
that NVIDIA's drivers for CUDA 12 are supported on."""

_SUBDIR = re.compile(r"[a-z0-9]+(?:-[a-z0-9_]+)?")


def virtual_packages(
    *, machine: str, glibc: str, cuda: str | None, linux: str | None, archspec: str | None
) -> tuple[tuple[str, str, str], ...]:
    """Return (name, version, build) of the virtual packages of a target (CEP 30).

    They come from the spec alone: the machine at hand is never asked.
    """
    found = [
        ("__archspec", "1", archspec or machine),
        ("__glibc", glibc, "0"),
        ("__linux", linux or LINUX, "0"),
        ("__unix", "0", "0"),
    ]
    return tuple([*found, ("__cuda", cuda, "0")] if cuda else found)


def artifact(record: RepoDataRecord, channel: str) -> Artifact:
    """Return a record as an artifact of the lock; raises UnsatisfiableError.

    What a channel does not vouch for with a sha256 and a size is not locked.
    """
    name, version, build = record.name.normalized, str(record.version), str(record.build)
    if record.sha256 is None or record.size is None:
        raise UnsatisfiableError(
            f"the channel {channel!r} does not tell the sha256 and the size of {name} {version}",
            hint="envlock locks nothing that it cannot verify; index the channel anew",
        )
    file, subdir, noarch = record.file_name, record.subdir, record.noarch
    stem = f"{name}-{version}-{build}"
    named = file in (f"{stem}.conda", f"{stem}.tar.bz2")
    if not named or not _SUBDIR.fullmatch(subdir):
        raise UnsatisfiableError(
            f"the channel {channel!r} says of {name} {version} that it is {build} in {subdir!r} "
            f"and the file {file!r}, which cannot be",
            hint="its index is damaged or hostile; index the channel anew",
        )
    return Artifact(
        kind="conda",
        name=name,
        version=version,
        source=channel,
        file=file,
        path=f"{subdir}/{file}",
        sha256=record.sha256.hex(),
        size=record.size,
        depends=tuple(record.depends),
        conda=CondaRecord(
            build=build,
            build_number=record.build_number,
            subdir=subdir,
            md5=record.md5.hex() if record.md5 else None,
            constrains=tuple(record.constrains),
            noarch="python" if noarch.python else "generic" if noarch.generic else None,
            track_features=tuple(record.track_features),
            license=record.license or None,
            python_site_packages_path=record.python_site_packages_path or None,
        ),
    )


def repodata_record(artifact: Artifact, base: str) -> RepoDataRecord:
    """Return an artifact of a lock as a record of the channel at ``base``."""
    from rattler import RepoDataRecord

    base = base.rstrip("/")
    return RepoDataRecord(
        package_record(artifact), artifact.file, f"{base}/{artifact.path}", f"{base}/"
    )


def package_record(artifact: Artifact, version: str | None = None) -> PackageRecord:
    """Return an artifact as rattler's record, with another ``version`` if one is given.

    Raises UnsatisfiableError for a version that conda does not know.
    """
    from rattler import BuildString, PackageRecord, VersionWithSource
    from rattler.exceptions import InvalidVersionError

    record = artifact.conda
    assert record is not None
    try:
        VersionWithSource(version or artifact.version)
    except InvalidVersionError as error:
        raise UnsatisfiableError(
            f"{artifact.name} has the version {artifact.version!r}, which conda does not know",
            details=(f"  {str(error).splitlines()[0]}",),
        ) from None
    made = PackageRecord(
        name=artifact.name,
        version=version or artifact.version,
        build=BuildString(record.build),
        build_number=record.build_number,
        subdir=record.subdir,
        noarch=record.noarch,
        depends=list(artifact.depends),
        constrains=list(record.constrains),
        sha256=bytes.fromhex(artifact.sha256),
        md5=bytes.fromhex(record.md5) if record.md5 else None,
        size=artifact.size,
        license=record.license,
        python_site_packages_path=record.python_site_packages_path,
    )
    made.track_features = list(record.track_features)
    return made


@functools.lru_cache(maxsize=20_000)
def match_spec(text: str) -> MatchSpec:
    """Parse an entry of ``depends``; repodata is read as leniently as conda reads it.

    Raises UnsatisfiableError for a text that nothing can meet, as it is none.
    """
    from rattler import MatchSpec
    from rattler.exceptions import InvalidMatchSpecError

    try:
        return MatchSpec(text)
    except InvalidMatchSpecError as error:
        raise UnsatisfiableError(
            f"a conda package requires {text!r}, which is no match spec",
            details=(f"  {str(error).splitlines()[0]}",),
        ) from None


@functools.lru_cache(maxsize=20_000)
def entry_name(text: str) -> str:
    """Return the package that an entry of ``depends`` or ``constrains`` is about."""
    name = match_spec(text).name.as_package_name()
    return name.normalized if name is not None else ""


def same_spec(one: str, other: str) -> bool:
    """Tell whether two match specs say the same of the same package."""
    return _parts(one) == _parts(other)


def _parts(text: str) -> tuple[str, object, str | None, str | None]:
    spec = match_spec(text)
    version = spec.version or "*"
    split = frozenset(version.split(",")) if "|" not in version else version
    build = None if spec.build == "*" else spec.build
    return entry_name(text), split, build, spec.build_number


def entries_on(artifact: Artifact, package: str) -> list[str]:
    """Return what a conda package says of another one, in ``depends`` and ``constrains``."""
    record = artifact.conda
    assert record is not None
    return [e for e in (*artifact.depends, *record.constrains) if entry_name(e) == package]


def unmet(
    artifacts: Sequence[Artifact], virtual: Iterable[tuple[str, str, str]]
) -> list[tuple[Artifact, str, str | None]]:
    """Return (package, entry, version found) for each entry that does not hold.

    An entry of ``depends`` holds if the package is there and matches, one of ``constrains``
    also if the package is not there at all.
    """
    from rattler import BuildString, PackageRecord

    present = {one.name: package_record(one) for one in artifacts}
    for name, version, build in virtual:
        present[name] = PackageRecord(
            name=name,
            version=version,
            build=BuildString(build),
            build_number=0,
            subdir="noarch",
        )
    broken = []
    for one in artifacts:
        assert one.conda is not None
        for entries, optional in ((one.depends, False), (one.conda.constrains, True)):
            for entry in entries:
                spec = match_spec(entry)
                record = present.get(entry_name(entry))
                if (record is None and optional) or spec.condition is not None:
                    continue
                if record is None or not spec.matches(record):
                    found = str(record.version) if record is not None else None
                    broken.append((one, entry, found))
    return broken


def keys_of(artifact: Artifact) -> frozenset[str]:
    """Return the names under which an override may name a conda package as a dependent."""
    provided = (name for name, _ in artifact.distributions)
    return frozenset({artifact.name, canonicalize_name(artifact.name), *provided})
