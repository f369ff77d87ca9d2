"""A base image as a lock has it: resolved, pulled, unpacked and looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from envlock.base.look import look
from envlock.base.resolve import resolve
from envlock.errors import DiskError, UnsatisfiableError
from envlock.image.base import Foundation
from envlock.layers.plan import PREFIX
from envlock.lock.base import BaseImage
from envlock.registry.memory import Whereabouts
from envlock.registry.protocol import Descriptor
from envlock.registry.pull import pull_blobs
from envlock.registry.reference import parse_reference
from envlock.validate.layout import Config, Image, Layer
from envlock.validate.layout import Descriptor as LayoutBlob
from envlock.validate.rootfs import prepare_rootfs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from envlock.base.look import Facts
    from envlock.base.resolve import Found
    from envlock.fetch.store import Store
    from envlock.lock.base import BaseBlob
    from envlock.platforms import Platform
    from envlock.progress import Reporter
    from envlock.registry.open import Access
    from envlock.registry.reference import Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """This machine's way to base images: registries, the mirrors in their place, the store.

    mirrors: by :func:`mirror_key` of a registry, ``host[:port][/path]`` that is asked instead.
    """

    access: Access
    store: Store
    cache: Path
    mirrors: Mapping[str, str]
    reporter: Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class Obtained:
    """A base image for the lock, what its files say, and what its configuration does."""

    base: BaseImage
    facts: Facts
    foundation: Foundation


def base_reference(text: str) -> Reference:
    """Return the image that a spec names; without a registry it is Docker's, as in ``FROM``.

    Raises UsageError.
    """
    first, slash, _ = text.partition("@")[0].partition("/")
    named = slash and (first == "localhost" or "." in first or ":" in first)
    found = parse_reference(text if named else f"docker.io/{text}", what="image.base")
    if found.tag is None and found.digest is None:
        return parse_reference(f"{found}:latest", what="image.base")
    return found


def mirror_key(registry: str) -> str:
    """Return what configuration calls a registry: ``docker-io``, ``localhost-5000``."""
    return "".join(letter if letter.isalnum() else "-" for letter in registry.lower())


def reached(reference: Reference, mirrors: Mapping[str, str]) -> Reference:
    """Return where a base image is asked for on this machine; raises UsageError."""
    mirror = mirrors.get(mirror_key(reference.registry))
    if mirror is None:
        return reference
    return parse_reference(f"{mirror.rstrip('/')}/{reference.local}", what="the registry's mirror")


def obtain(reference: Reference, platform: Platform, python: str, means: Means) -> Obtained:
    """Return the image that ``reference`` names now, for one platform.

    Its layers come into the store and are unpacked in the cache, where the proof of an image
    finds them again.  Raises UnsatisfiableError where it cannot be a base, RegistryError,
    IntegrityError, ArtifactError, UsageError, DiskError.
    """
    place = reached(reference, means.mirrors)
    repository = means.access.repository(place)

    def fetch(blob: Descriptor) -> Path:
        return _pull([blob], place, means)[blob.digest]

    found = resolve(place, platform, repository, fetch)
    pull_base(found.layers, reference, means)
    root = prepare_rootfs(_image(found, means.store), cache=means.cache, reporter=means.reporter)
    foundation = Foundation(settings=found.settings)
    try:
        facts = look(root, foundation.env, platform, python, PREFIX)
    except OSError as error:
        raise DiskError(f"cannot read the base image: {error}", where=str(root)) from error
    base = BaseImage(
        reference=str(reference),
        index=found.index,
        manifest=found.manifest,
        config=found.config,
        layers=found.layers,
        os=facts.os,
        glibc=_glibc(facts, reference),
        cuda=facts.cuda,
        python=facts.python,
    )
    if facts.taken is not None:
        raise UnsatisfiableError(
            f"the base image has /{PREFIX} already, or something in its place: {facts.taken}",
            where=str(reference),
            hint="the environment lies there; an image of envlock cannot be the base of another",
        )
    return Obtained(base=base, facts=facts, foundation=foundation)


def pull_base(blobs: Sequence[BaseBlob], reference: Reference, means: Means) -> dict[str, Path]:
    """Return the verified local files of a base image's blobs by sha256, fetched where needed.

    Raises RegistryError, IntegrityError, UsageError, DiskError.
    """
    place = reached(reference, means.mirrors)
    wanted = {
        blob.digest: Descriptor(media_type="", digest=blob.digest, size=blob.size) for blob in blobs
    }
    paths = _pull(list(wanted.values()), place, means)
    return {digest.removeprefix("sha256:"): path for digest, path in paths.items()}


def _pull(blobs: Sequence[Descriptor], place: Reference, means: Means) -> dict[str, Path]:
    have = {
        blob.digest: path
        for blob in blobs
        if (path := means.store.get(blob.digest.removeprefix("sha256:"), blob.size)) is not None
    }
    missing = [blob for blob in blobs if blob.digest not in have]
    if not missing:
        return have
    have |= pull_blobs(
        missing,
        means.access.repository(place),
        means.store,
        reporter=means.reporter,
        stop=means.access.stop,
        pause=means.access.pause,
    )
    # what is pushed to the same registry later can be mounted from there
    Whereabouts(means.cache, place.registry, place.path).remember(b.digest for b in missing)
    return have


def _glibc(facts: Facts, reference: Reference) -> str:
    if facts.glibc is not None:
        return facts.glibc
    why = "musl's libc, for which there are other wheels" if facts.musl else "no glibc"
    raise UnsatisfiableError(
        f"the base image has {why}",
        where=str(reference),
        hint="name one with glibc: of Debian, Ubuntu, Fedora, or another one like these",
    )


@dataclass(frozen=True, slots=True)
class _StoredBlobs:
    """The store as the blobs of a layout."""

    store: Store

    def open(self, name: str) -> BinaryIO:
        return self.store.path(name.rpartition("/")[2]).open("rb")


def _image(found: Found, store: Store) -> Image:
    """Return the image as what unpacks one knows it."""
    return Image(
        blobs=_StoredBlobs(store),
        manifest=found.manifest,
        config=Config(architecture="", env={}, user="", workdir="", entrypoint=(), command=()),
        layers=tuple(
            Layer(
                blob=LayoutBlob(media_type=layer.media_type, digest=layer.digest, size=layer.size),
                diff_id=layer.diff_id,
            )
            for layer in found.layers
        ),
    )
