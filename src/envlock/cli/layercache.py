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
    keys; unneeded: sha256 of artifacts that need not be fetched; config: the configuration that
    the lock records, where conda packages are among these.
    """

    layers: Mapping[str, Path] = field(default_factory=dict)
    told: Mapping[str, StreamDigests] = field(default_factory=dict)
    unneeded: frozenset[str] = frozenset()
    config: bytes | None = None


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
    here = {plan.key for plan in plans if _can_be_made(state, plan)}
    wanted = {
        plan.key: known[plan.key].digests
        for plan in plans
        if plan.key in known.keys() - there and (plan.kind == "os" or plan.key not in here)
    }
    found = cache.find(one.digest for one in wanted.values())
    ready = there | here | {key for key, one in wanted.items() if one.digest in found}
    config = _config(state, cache, lock, plans, ready)
    if config is None:  # then conda packages must tell what they have, as they are packed
        conda = {plan.key for plan in plans if plan.kind in {"conda", "linked"}}
        wanted = {key: one for key, one in wanted.items() if key not in conda}
    sizes = {one.digest: one.size for one in wanted.values() if one.digest in found}
    top = recorded_on_top(lock)
    if top is not None and not is_at_hand(top):
        sizes |= dict.fromkeys(cache.find([top.digest]), top.size)
    layers = cache.bring(sizes) if sizes else {}
    told, files = _told(cache, plans, known) if trusting else ({}, {})
    layers |= files
    done = there | told.keys() | {key for key, one in wanted.items() if one.digest in layers}
    on_top = top is not None and (top.digest in layers or is_at_hand(top))
    _say(state, cache, lock, layers, len(done) + on_top)
    unneeded = _unneeded(lock, plans, done, here, config)
    return Taken(layers=layers, told=told, unneeded=unneeded, config=config)


def _say(
    state: Context, cache: LayerCache, lock: Lock, layers: Mapping[str, Path], done: int
) -> None:
    """Tell what became of an image's layers, of which ``done`` need not be made."""
    from envlock.cli.output import megabytes
    from envlock.image.known import recorded_layers
    from envlock.layers.plan import image_layers
    from envlock.sizes import counted

    size = sum(path.stat().st_size for path in layers.values())
    made = len(image_layers(lock)) - done
    more = ""
    if made and not recorded_layers(lock):
        more = f"; with layers in the lock (envlock build {lock.name} --record) more can be taken"
    state.output.message(
        f"cache {cache.reference}: {counted(len(layers), 'layer')} taken ({megabytes(size)}), "
        f"{done - len(layers)} there already, {made} to be made{more}"
    )


def _can_be_made(state: Context, plan: LayerPlan) -> bool:
    """Tell whether a layer can be made of artifacts that are here, and nothing else."""
    store = state.fetcher.store
    return plan.kind != "linked" and all(
        store.get(one.sha256, one.size) is not None for one in plan.artifacts
    )


def _config(
    state: Context, cache: LayerCache, lock: Lock, plans: tuple[LayerPlan, ...], ready: set[str]
) -> bytes | None:
    """Return the configuration that a lock records, if it saves fetching conda packages.

    It does where all layers are recorded, and ``ready``: what these packages tell besides is in
    the configuration.
    """
    from envlock.image.base import LARGEST_CONFIG
    from envlock.image.known import recorded_layers
    from envlock.image.places import held_document

    whole = len(recorded_layers(lock)) == len(plans) and all(plan.key in ready for plan in plans)
    if lock.built is None or not whole or not lock.of_kind("conda"):
        return None
    here = held_document(state.cache, lock.built.config, LARGEST_CONFIG)
    return here if here is not None else cache.config(lock.built.config)


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


def _unneeded(
    lock: Lock,
    plans: tuple[LayerPlan, ...],
    ready: set[str],
    here: set[str],
    config: bytes | None,
) -> frozenset[str]:
    """Return the artifacts that no layer has to be made of.

    Wheels are all looked at for paths that two of them have, and conda packages for what they
    tell, unless the image can only be the one that the lock records: then that was done when it
    was recorded.  ready: layers that are there; here: those that artifacts are there for.
    """
    from envlock.image.known import recorded_layers

    recorded = len(recorded_layers(lock)) == len(plans)
    whole = recorded and all(plan.key in ready or plan.key in here for plan in plans)
    if config is None and lock.of_kind("conda"):
        whole = False
    gone = [plan for plan in plans if plan.key in ready and (whole or plan.kind == "os")]
    needed = {one.sha256 for plan in plans if plan not in gone for one in plan.artifacts}
    found = {one.sha256 for plan in gone for one in plan.artifacts}
    return frozenset(found - needed)


def keeper(
    state: Context, cache: LayerCache, lock: Lock, taken: Taken
) -> Callable[[Staging, ImageDigests], None]:
    """Return what puts the layers of a proven image into a cache.

    What came by a cache's word alone is not passed on, nor what was compiled upon it; a cache that
    cannot be written is a warning, since the image is whole.
    """
    from envlock.layers.plan import image_layers
    from envlock.sizes import counted

    def keep(place: Staging, digests: ImageDigests) -> None:
        layers = [
            (plan.key, layer)
            for plan, layer in zip(image_layers(lock), digests.layers, strict=True)
            if plan.key not in taken.told and not (plan.kind == "compiled" and taken.told)
        ]
        try:
            kept = cache.keep(layers, place.blobs)
            if lock.of_kind("conda") and not taken.told:
                cache.keep_config(digests.config, place.blobs)
        except EnvlockError as error:
            state.output.warn(f"the layers were not put into the cache {cache.reference}: {error}")
            return
        state.output.message(
            f"cache {cache.reference}: {counted(kept.sent, 'layer')} sent, {kept.there} there "
            "already"
        )

    return keep
