"""The lock as data.  Standard library only: the builder reads it inside Nix, too."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.lock.base import BaseImage

FORMAT = 1
"""Version of the lock file's own format."""

PACKER = 1
"""Version of everything that decides an image's bytes: tar and gzip rules, system files, config."""

Kind = Literal["conda", "debian", "pypi"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaRecord:
    """What only a conda package has, as its channel's repodata states it (CEP 14, CEP 34).

    subdir: the platform's, or ``noarch``; noarch: how a package without a platform is
    installed; md5: hex, where the channel tells it; constrains: match specs that hold if
    the named package is there at all; provides: (name, version) of the PyPI distributions
    whose ``*.dist-info`` it brings, names normalized; stands_for: of those that it is without
    such a folder; link_scripts: paths of what conda would run when it links or unlinks it;
    link_handled and link_unhandled: effects of the post-link script that need nobody, and
    commands whose effects the image lacks; both empty where nobody read it;
    python_site_packages_path: where a Python says that its site-packages are, relative to
    the prefix (CEP 17); clobbered: (path below the prefix, package) of its files that are not
    installed, since that package's file of the same path is kept.
    """

    build: str
    build_number: int
    subdir: str
    md5: str | None = None
    constrains: tuple[str, ...] = ()
    noarch: Literal["python", "generic"] | None = None
    provides: tuple[tuple[str, str], ...] = ()
    stands_for: tuple[tuple[str, str], ...] = ()
    link_scripts: tuple[str, ...] = ()
    link_handled: tuple[str, ...] = ()
    link_unhandled: tuple[str, ...] = ()
    track_features: tuple[str, ...] = ()
    license: str | None = None
    python_site_packages_path: str | None = None
    clobbered: tuple[tuple[str, str], ...] = ()

    @property
    def post_links(self) -> tuple[str, ...]:
        """Those of its link scripts that conda runs when the package is in place."""
        return tuple(path for path in self.link_scripts if path.endswith("-post-link.sh"))

    @property
    def lacks(self) -> tuple[str, ...]:
        """What its post-link script would do that nobody does."""
        if self.link_handled or not self.post_links:
            return ()
        return self.link_unhandled or ("nobody has read it",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """Who published a file, as a verified attestation of its index says (PEP 740).

    publisher: ``GitHub``, ``GitLab``, ``Google`` or ``CircleCI``; what the others mean is up to it.
    """

    publisher: str
    repository: str | None = None
    workflow: str | None = None
    email: str | None = None


_PROOF = frozenset({"accepts", "checks", "require-attestations"})
"""Keys of a spec, and of an override, that ask for proof and not for content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One file that goes into the image.

    source: name of the index (pypi), archive (debian) or channel (conda) it comes from,
    never a URL; path: where the file lies below that source's file base; size in bytes;
    depends: its run-time requirements as its own metadata states them (PEP 508, conda's match
    specs, or Debian policy 7.1 for ``Pre-Depends`` and ``Depends``), those that apply to the
    target; conda: set for the kind ``conda`` and for no other; yanked: why the index had
    withdrawn the file when it was locked (PEP 592), empty where it gave no reason; attested:
    who published it, where the spec requires that somebody proves it; clobbered: of a wheel,
    what :attr:`gives_way` returns.
    """

    kind: Kind
    name: str
    version: str
    source: str
    file: str
    path: str
    sha256: str
    size: int
    depends: tuple[str, ...] = ()
    conda: CondaRecord | None = None
    yanked: str | None = None
    attested: Attested | None = None
    clobbered: tuple[tuple[str, str], ...] = ()

    @property
    def gives_way(self) -> tuple[tuple[str, str], ...]:
        """(path below the prefix, package) of its files that are not installed.

        That package's file of the same path is kept.
        """
        return self.conda.clobbered if self.conda else self.clobbered

    @property
    def distributions(self) -> tuple[tuple[str, str], ...]:
        """(name, version) of the PyPI distributions that a conda package is, told or not."""
        return (*self.conda.provides, *self.conda.stands_for) if self.conda else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidedRequirement:
    """A requirement of ``dependent`` that an override sets aside.

    kind: ``pypi`` where a distribution's METADATA states it (PEP 508), ``conda`` where it is
    an entry of a conda package's ``depends`` or ``constrains``.
    """

    dependent: str
    version: str
    requirement: str
    kind: Kind = "pypi"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedOverride:
    """What an override did in this solve.

    kind: that of the artifact that is forced; replaces: the conda package whose copy of the
    distribution gives way to a forced wheel; the image has no file of that copy.
    """

    package: str
    version: str
    voids: tuple[VoidedRequirement, ...]
    kind: Kind = "pypi"
    replaces: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedExclude:
    """A distribution that is left out although others require it."""

    package: str
    voids: tuple[VoidedRequirement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianIndex:
    """The index a Debian solve saw.

    archive: ``debian`` or ``debian-security`` (the names a snapshot archive uses, too);
    suite: the codename asked for; date: the Release file's ``Date`` as ``YYYYMMDDTHHMMSSZ``;
    sha256: of the signed InRelease.
    """

    archive: str
    suite: str
    date: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintainerScript:
    """A maintainer script that envlock did not run, and what became of its effects.

    script: ``preinst``, ``postinst``, ...; handled: effects that the builder writes itself;
    unhandled: commands whose effects the image lacks.
    """

    package: str
    script: str
    handled: tuple[str, ...] = ()
    unhandled: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianSection:
    """What the OS layer was solved against."""

    suite: str
    architecture: str
    indexes: tuple[DebianIndex, ...]
    scripts: tuple[MaintainerScript, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedBreakage:
    """What one ``accepts`` line of the spec covers in the locked packages.

    override: the package whose override it stands under, None for the spec's own list;
    findings: ``severity who needs what``, sorted and without line numbers.
    """

    override: str | None
    pattern: str
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSection:
    """What the import audit of the locked packages left to be accepted."""

    accepted: tuple[AcceptedBreakage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltLayer:
    """A layer as it was built: its ``sha256:`` digests and sizes in bytes, packed and plain."""

    diff_id: str
    digest: str
    size: int
    plain_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltImage:
    """Digests that ``envlock build --record`` saw (OCI image-spec descriptors).

    layers: those above a base image, lowest first; empty where an earlier envlock recorded.
    """

    manifest: str
    config: str
    layers: tuple[BuiltLayer, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """One environment on one platform, exactly.

    spec: the canonical projection of what the spec asks of this platform; it carries the
    image's settings and the checks, so that a build needs nothing but the lock.
    audit: None where the packages were not audited; merged: locks of two branches were joined
    in this one, and no solve has looked at it since; base: the image that lies below, if any.
    """

    name: str
    platform: str
    spec: dict[str, Any]
    artifacts: tuple[Artifact, ...]
    debian: DebianSection | None = None
    base: BaseImage | None = None
    overrides: tuple[LockedOverride, ...] = ()
    excludes: tuple[LockedExclude, ...] = ()
    audit: AuditSection | None = None
    built: BuiltImage | None = None
    packer: int = PACKER
    merged: bool = False
    format: int = field(default=FORMAT)

    @property
    def input(self) -> str:
        """The ``sha256:`` hash of the projection that this lock answers."""
        text = json.dumps(self.spec, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"

    @property
    def image_inputs(self) -> Lock:
        """The lock without what cannot change the image: checks, the audit, what the spec
        accepts, whether it was merged, what indexes say of files, and the digests of a build.
        """
        spec = _without(self.spec, _PROOF)
        if "overrides" in spec:
            spec["overrides"] = [_without(override, _PROOF) for override in spec["overrides"]]
        artifacts = tuple(replace(one, yanked=None, attested=None) for one in self.artifacts)
        return replace(self, spec=spec, artifacts=artifacts, audit=None, built=None, merged=False)

    @property
    def python(self) -> str:
        """``"3.11"``: the CPython feature version that the environment is for."""
        return str(self.spec["python"])

    @property
    def roots(self) -> tuple[str, ...]:
        """What the environment itself asks of package indexes, overrides' additions included."""
        pypi = self.spec.get("pypi") or {}
        ours = (o for o in self.spec.get("overrides") or () if o.get("from") != "conda")
        adds = (item for override in ours for item in override.get("adds") or ())
        return (*pypi.get("dependencies", ()), *adds)

    @property
    def voided(self) -> tuple[VoidedRequirement, ...]:
        """Requirements of distributions that are set aside, by overrides and by exclusions."""
        return tuple(void for void in self._voids() if void.kind == "pypi")

    @property
    def voided_conda(self) -> tuple[VoidedRequirement, ...]:
        """Entries of conda packages' ``depends`` and ``constrains`` that are set aside."""
        return tuple(void for void in self._voids() if void.kind == "conda")

    def _voids(self) -> Iterator[VoidedRequirement]:
        yield from (void for override in self.overrides for void in override.voids)
        yield from (void for exclude in self.excludes for void in exclude.voids)

    def of_kind(self, kind: Kind) -> tuple[Artifact, ...]:
        """Return the artifacts of one kind, in lock order."""
        return tuple(artifact for artifact in self.artifacts if artifact.kind == kind)


def _without(table: dict[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in keys}
