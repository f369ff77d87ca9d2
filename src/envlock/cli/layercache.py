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
    from envlock.layers.gzipstream import StreamDigests
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
    store = state.fetcher.store

    def is_at_hand(digests: StreamDigests) -> bool:
        here = any(held(state.cache, digests.digest, digests.size))
        return here or (elsewhere is not None and elsewhere(digests.digest, digests.size))

    def lacks_artifacts(plan: LayerPlan) -> bool:
        return any(store.get(a.sha256, a.size) is None for a in plan.artifacts)

    there = {
        plan.key for plan in plans if plan.key in known and is_at_hand(known[plan.key].digests)
    }
    wanted = {
        known[plan.key].digests.digest: known[plan.key].digests.size
        for plan in plans
        if plan.kind != "conda" and plan.key in known and plan.key not in there
        and (plan.kind == "os" or lacks_artifacts(plan))
    }  # fmt: skip
    top = recorded_on_top(lock)
    if top is not None and not is_at_hand(top):
        wanted[top.digest] = top.size
    layers = cache.bring(wanted) if wanted else {}
    told = {}
    if any(plan.kind == "linked" for plan in plans):  # what ran upon a word would be taken as ours
        trusting = False
    for plan in plans:
        if trusting and plan.kind == "os" and plan.key not in known:
            found = cache.told(plan.key)
            if found is not None:
                told[plan.key], layers[found[0].digest] = found
    ready = {p.key for p in plans if p.key in known and known[p.key].digests.digest in layers}
    return Taken(
        layers=layers, told=told, unneeded=_unneeded(lock, plans, ready | there | told.keys())
    )


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
