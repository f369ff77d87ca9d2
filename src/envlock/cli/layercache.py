"""``--cache-from`` and ``--cache-to``: layers that a team's registry has, or is to have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from envlock.errors import EnvlockError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from envlock.cli.context import Context
    from envlock.delivery.layercache import LayerCache
    from envlock.image.layout import ImageDigests, Staging
    from envlock.layers.gzipstream import Known, StreamDigests
    from envlock.layers.plan import LayerPlan
    from envlock.lock.model import Lock

CacheFromOption = Annotated[
    str | None,
    typer.Option("--cache-from", metavar="REPOSITORY", help="Take layers from a team's registry."),
]
CacheToOption = Annotated[
    str | None,
    typer.Option("--cache-to", metavar="REPOSITORY", help="Put layers into a team's registry."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a cache saves a build.

    layers: verified files by digest; told: what layers are by its word alone, by their plans'
    keys; unneeded: sha256 of artifacts that need not be fetched.
    """

    layers: Mapping[str, Path] = field(default_factory=dict)
    told: Mapping[str, StreamDigests] = field(default_factory=dict)
    unneeded: frozenset[str] = frozenset()


NOTHING = Taken()


def open_cache(state: Context, text: str, option: str) -> LayerCache:
    """Return the cache that an option names; raises UsageError, and FetchError when offline."""
    from envlock.delivery.layercache import LayerCache
    from envlock.registry.reference import parse_reference

    reference = parse_reference(text, what=option)
    if reference.tag or reference.digest:
        raise UsageError(
            f"{option}: a cache is a repository, and this names one image of it",
            hint=f"write {option} {reference.registry}/{reference.path}",
        )
    return LayerCache(reference, state.registries, state.fetcher.store, state.output)


def take(
    state: Context,
    cache: LayerCache,
    lock: Lock,
    *,
    trusting: bool,
    elsewhere: Callable[[str, int], bool] | None,
) -> Taken:
    """Return what ``cache`` has of the layers that would have to be made here.

    trusting: whether its word counts for the OS layer of a lock that records no layers;
    elsewhere: tells whether a layer is where the image goes already.
    """
    from envlock.image.known import known_layers, recorded_on_top
    from envlock.image.places import held
    from envlock.layers.plan import plan_layers

    plans = plan_layers(lock)
    known = known_layers(state.cache, lock, plans)

    def is_at_hand(digests: StreamDigests) -> bool:
        here = any(held(state.cache, digests.digest, digests.size))
        return here or (elsewhere is not None and elsewhere(digests.digest, digests.size))

    there = {
        plan.key for plan in plans if plan.key in known and is_at_hand(known[plan.key].digests)
    }
    wanted = {
        known[plan.key].digests.digest: known[plan.key].digests.size
        for plan in plans
        if plan.key in known and plan.key not in there and _is_fetched(state, plan)
    }
    top = recorded_on_top(lock)
    if top is not None and not is_at_hand(top):
        wanted[top.digest] = top.size
    layers = cache.bring(wanted) if wanted else {}
    told, files = _told(cache, plans, known) if trusting else ({}, {})
    layers |= files
    ready = {p.key for p in plans if p.key in known and known[p.key].digests.digest in layers}
    return Taken(
        layers=layers, told=told, unneeded=_unneeded(lock, plans, ready | there | told.keys())
    )


def _is_fetched(state: Context, plan: LayerPlan) -> bool:
    """Tell whether a known layer is rather fetched than made of artifacts that are here."""
    store = state.fetcher.store
    if plan.kind == "conda":
        return False
    lacks = any(store.get(one.sha256, one.size) is None for one in plan.artifacts)
    return lacks or plan.kind == "os"


def _told(
    cache: LayerCache, plans: tuple[LayerPlan, ...], known: Mapping[str, Known]
) -> tuple[dict[str, StreamDigests], dict[str, Path]]:
    """Return what the OS layer is by the word of a cache, and its file by its digest.

    Where scripts run upon that layer there is no such thing: it would be taken as ours.
    """
    told: dict[str, StreamDigests] = {}
    files: dict[str, Path] = {}
    if any(plan.kind == "linked" for plan in plans):
        return told, files
    for plan in plans:
        found = cache.told(plan.key) if plan.kind == "os" and plan.key not in known else None
        if found is not None:
            told[plan.key], files[found[0].digest] = found
    return told, files


def _unneeded(lock: Lock, plans: tuple[LayerPlan, ...], ready: set[str]) -> frozenset[str]:
    """Return the artifacts that no layer has to be made of.

    Wheels are all looked at for paths that two of them have, unless every layer is one that the
    lock records: then that was done when it was recorded.
    """
    from envlock.image.known import recorded_layers

    recorded = len(recorded_layers(lock)) == len(plans)
    whole = recorded and all(plan.key in ready for plan in plans) and not lock.of_kind("conda")
    return frozenset(
        artifact.sha256
        for plan in plans
        if plan.key in ready and (whole or plan.kind == "os")
        for artifact in plan.artifacts
    )


def keeper(
    state: Context, cache: LayerCache, lock: Lock, taken: Taken
) -> Callable[[Staging, ImageDigests], None]:
    """Return what puts the layers of a proven image into a cache.

    What came by a cache's word alone is not passed on, nor what was compiled upon it; a cache that
    cannot be written is a warning, since the image is whole.
    """
    from envlock.layers.plan import image_layers

    def keep(place: Staging, digests: ImageDigests) -> None:
        layers = [
            (plan.key, layer)
            for plan, layer in zip(image_layers(lock), digests.layers, strict=True)
            if plan.key not in taken.told and not (plan.kind == "compiled" and taken.told)
        ]
        try:
            kept = cache.keep(layers, place.blobs)
        except EnvlockError as error:
            state.output.warn(f"the layers were not put into the cache {cache.reference}: {error}")
            return
        state.output.message(
            f"cache {cache.reference}: {kept.sent} layers sent, {kept.there} there already"
        )

    return keep
