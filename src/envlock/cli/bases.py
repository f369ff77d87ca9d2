"""The base image of an environment, for the commands: found, kept, pulled."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from envlock.errors import (
    ArtifactError,
    EnvlockError,
    FetchError,
    SpecError,
    UnsatisfiableError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from envlock.base.obtain import Means, Obtained
    from envlock.cli.context import Context
    from envlock.lock.base import BaseImage
    from envlock.lock.model import Lock
    from envlock.registry.reference import Reference
    from envlock.spec.model import Spec, Target


def means_of(state: Context) -> Means:
    """Return this machine's way to base images."""
    from envlock.base.obtain import Means

    return Means(
        access=state.registries.for_one_work(),
        store=state.fetcher.store,
        cache=state.cache,
        mirrors=state.config.registries,
        reporter=state.output,
    )


def base_for(
    state: Context, spec: Spec, target: Target, previous: Lock | None, *, upgrade: bool
) -> tuple[BaseImage | None, Obtained | None]:
    """Return the base image to lock, and what was found out about it where it was looked at.

    The locked one stays unless it is to move on, and needs no network where nothing asks
    anything else of it.  Raises SpecError, UnsatisfiableError, RegistryError, DiskError.
    """
    if spec.image.base is None:
        return None, None
    reference = _reference(spec)
    old = previous.base if previous is not None and not upgrade else None
    if old is not None and old.reference != str(reference):
        old = None
    if old is not None and previous is not None and _asks_the_same(spec, previous):
        return old, None
    pinned = dataclasses.replace(reference, digest=old.index) if old else reference
    try:
        found = _obtained(state, spec, target, pinned, str(reference))
    except (ArtifactError, FetchError, UnsatisfiableError) as error:
        raise _at_its_place(error, spec, reference) from None
    return found.base, found


def _obtained(
    state: Context, spec: Spec, target: Target, pinned: Reference, shown: str
) -> Obtained:
    from envlock.base.judge import check_user
    from envlock.base.obtain import obtain
    from envlock.platforms import PLATFORMS

    found = obtain(pinned, PLATFORMS[target.name], spec.python, means_of(state))
    found = dataclasses.replace(found, base=dataclasses.replace(found.base, reference=shown))
    check_user(spec, found)
    return found


def _at_its_place(error: EnvlockError, spec: Spec, reference: Reference) -> EnvlockError:
    """Return an error about a base image with the line of the spec that names it."""
    from envlock.registry.errors import MissingError

    assert spec.image.base is not None
    if isinstance(error, MissingError):
        error.message = f"the registry has no image {reference}: {error.message}"
        error.hint = "look at its name and tag; a lock that has it needs the image to be kept"
    seen = (f"  {error.where}",) if error.where else ()
    error.details, error.where = (*seen, *error.details), str(spec.image.base.location)
    return error


def tell_base(state: Context, lock: Lock, found: Obtained | None) -> None:
    """Say what a person should know of a base image that was looked at."""
    if found is None:
        return
    from envlock.base.judge import remarks

    for remark in remarks(found, lock):
        state.output.warn(remark)


def pulled(state: Context, lock: Lock, mapped: Mapping[str, Path]) -> dict[str, Path]:
    """Return the blobs of a lock's base image by sha256: mapped ones, else stored or fetched."""
    if lock.base is None:
        return {}
    from envlock.base.obtain import base_reference, pull_base

    paths = {b.sha256: mapped[b.sha256] for b in lock.base.blobs if b.sha256 in mapped}
    rest = [blob for blob in lock.base.blobs if blob.sha256 not in paths]
    return paths | pull_base(rest, base_reference(lock.base.reference), means_of(state))


def moved(state: Context, base: BaseImage) -> str | None:
    """Return the digest that a base image's name has now; None where it has none any more.

    A name with a digest of its own is asked for by its tag, and never moves without one.
    """
    from envlock.base.obtain import base_reference, reached

    reference = reached(base_reference(base.reference), state.config.registries)
    if reference.tag is None:
        return base.index
    return state.registries.repository(reference).resolve(reference.tag)


def _asks_the_same(spec: Spec, previous: Lock) -> bool:
    user = previous.spec.get("image", {}).get("user")
    return (spec.python, spec.image.user) == (previous.python, user)


def _reference(spec: Spec) -> Reference:
    from envlock.base.obtain import base_reference

    assert spec.image.base is not None
    try:
        return base_reference(spec.image.base.reference)
    except UsageError as error:
        raise SpecError(error.message, location=spec.image.base.location, hint=error.hint) from None
