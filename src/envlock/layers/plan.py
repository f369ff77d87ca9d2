"""Which artifacts share a layer, decided from the lock alone.

A change to one package should change one layer, images should share layers, and overlayfs
and containerd stop near 127 layers.  So: one layer for the OS, one for each large conda package,
one for all small ones, one for what their post-link scripts write where these are run, one for each
large distribution, and one for all small ones with the environment's own files.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from envlock.errors import ArtifactError, UsageError
from envlock.layers.parts import limit_of, parts_of
from envlock.layers.scheme import Scheme, usual_site
from envlock.layers.split import pieces_of
from envlock.lock.linking import scripts_to_run
from envlock.lock.model import PACKER, Artifact
from envlock.lock.plain import plain_inputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.layers.split import Piece
    from envlock.lock.model import Lock

LARGE = 8 * 1024 * 1024
"""Distributions and conda packages from this many bytes on have a layer of their own."""

DEFAULT_BUDGET = 40
MOST_LAYERS = 120
"""Layers that an image can have together with its base's."""

PREFIX = "opt/env"
"""Where the environment lies in the image, relative to its root."""

COMPILED = "compiled modules (unchecked hash-based .pyc)"
"""What the image's own Python makes of all layers below, where the spec asks for it."""

LayerKind = Literal["os", "conda", "linked", "distribution", "rest", "compiled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPlan:
    """One layer to be: its kind, its artifacts in lock order, and its line in the history."""

    kind: LayerKind
    artifacts: tuple[Artifact, ...]
    title: str
    settings: tuple[tuple[str, str], ...] = ()
    """What else decides the layer's bytes, by name."""

    @property
    def scheme(self) -> Scheme:
        """Where the layer's artifacts are installed."""
        settings = dict(self.settings)
        return Scheme(
            prefix=settings["prefix"], python=settings["python"], site=settings.get("site", "")
        )

    @property
    def part(self) -> str:
        """Which part of its one wheel the layer is, as ``2 of 4``; empty where it is all of it."""
        return dict(self.settings).get("part", "")

    @property
    def counted(self) -> tuple[Artifact, ...]:
        """The artifacts of the layer, but for those that a lower one is the first part of."""
        return () if self.part and not self.part.startswith("1 ") else self.artifacts

    @property
    def key(self) -> str:
        """A digest of all that the layer's bytes are a function of."""
        inputs: dict[str, Any] = {
            "packer": PACKER,
            "kind": self.kind,
            "artifacts": [[a.kind, a.name, a.version, a.sha256] for a in self.artifacts],
            "settings": list(self.settings),
        }
        if self.kind == "conda":  # all that conda-meta tells
            inputs["records"] = [plain_inputs(artifact) for artifact in self.artifacts]
        gone = {a.name: [path for path, _ in a.clobbered] for a in self.artifacts if a.clobbered}
        if gone:
            inputs["clobbered"] = gone
        text = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def conda_python(lock: Lock) -> Artifact | None:
    """Return the conda package that is the environment's interpreter, if it has one."""
    return next((item for item in lock.of_kind("conda") if item.name == "python"), None)


def scheme_of(lock: Lock, prefix: str = PREFIX) -> Scheme:
    """Return where the environment of a lock keeps things.

    Raises ArtifactError for an interpreter of another version than the lock says.
    """
    python = conda_python(lock)
    site = ""
    if python is not None:
        if not f"{python.version}.".startswith(f"{lock.python}."):
            raise ArtifactError(
                f"the environment is for Python {lock.python}, and conda's is {python.version}",
                hint="say the same in python: and in conda.dependencies, then solve again",
            )
        assert python.conda is not None
        site = python.conda.python_site_packages_path or ""
    other = site if site != usual_site(lock.python) else ""
    return Scheme(prefix=prefix, python=lock.python, site=other)


def replaced_copies(lock: Lock) -> dict[str, str]:
    """Return which conda packages' copy of a distribution a forced wheel replaces."""
    return {item.replaces: item.package for item in lock.overrides if item.replaces is not None}


def plan_layers(lock: Lock) -> tuple[LayerPlan, ...]:
    """Return the layers of a lock's image, lowest first.

    Raises UsageError if the budget leaves no room for the layers that must be.
    """
    image = lock.spec.get("image", {})
    budget = image.get("layers", {}).get("budget", DEFAULT_BUDGET)
    if lock.base is not None:
        budget = min(budget, MOST_LAYERS - len(lock.base.layers))
    debs, packages, wheels = (lock.of_kind(kind) for kind in ("debian", "conda", "pypi"))
    limit = limit_of(lock)
    linked = _linked_layers(lock)
    above = compiles(lock)
    room = budget - bool(debs) - bool(packages) - len(linked) - above - 1
    if room < 0:
        raise UsageError(
            f"image.layers.budget: {budget} is too small",
            hint="this image needs a layer for the OS and one for the environment: at least "
            f"{2 + bool(packages) + len(linked) + above}",
        )
    split = tuple(wheel for wheel in wheels if limit is not None and wheel.size > limit)
    room = max(0, room - sum(len(pieces_of(wheel, limit)) for wheel in split))
    large = _largest(
        [item for item in (*packages, *wheels) if item.size >= LARGE and item not in split], room
    )
    small = tuple(wheel for wheel in wheels if wheel not in large and wheel not in split)
    environment = _environment(lock)
    layers = [_os_layer(lock, debs)] if debs else []
    layers += _conda_layers(lock, packages, large, environment, limit)
    layers += [replace(plan, settings=(*environment, *plan.settings)) for plan in linked]
    alone = sorted({*(item for item in large if item.kind == "pypi"), *split}, key=_by_name)
    pieces = [piece for wheel in alone for piece in pieces_of(wheel, limit)]
    layers += _wheel_layers(pieces, parts_of(small, limit), environment, _own(lock))
    if len(layers) + above > budget:
        raise UsageError(
            f"image.layers.budget: {budget} is too small for layers of image.layers.max-size",
            hint=f"this image needs {len(layers) + above} layers; allow more of them, or larger "
            "ones",
        )
    return tuple(layers)


def _environment(lock: Lock) -> tuple[tuple[str, str], ...]:
    """Return what decides where a layer's artifacts are installed (see ``LayerPlan.scheme``)."""
    scheme = scheme_of(lock)
    settings = [("prefix", scheme.prefix), ("python", scheme.python)]
    settings += [("site", scheme.site)] if scheme.site else []
    return tuple(settings)


def compiles(lock: Lock) -> bool:
    """Tell whether the image gets a layer of compiled modules, on top of those that are planned."""
    return bool(lock.spec.get("image", {}).get("precompile"))


def image_layers(lock: Lock) -> tuple[LayerPlan, ...]:
    """Return all layers of a lock's image but its base's: the plan, and what is compiled of it.

    Raises what :func:`plan_layers` does.
    """
    plans = plan_layers(lock)
    if not compiles(lock):
        return plans
    below = [layer.diff_id for layer in lock.base.layers] if lock.base is not None else []
    text = json.dumps([*below, *(plan.key for plan in plans)])
    settings = (("below", hashlib.sha256(text.encode()).hexdigest()),)
    return (*plans, LayerPlan(kind="compiled", artifacts=(), title=COMPILED, settings=settings))


def _own(lock: Lock) -> tuple[tuple[str, str], ...]:
    """Return what the environment's own layer has besides packages."""
    image, own = lock.spec.get("image", {}), []
    if lock.base is None:  # of which nothing outside the environment is changed
        own = [(key, str(image[key])) for key in ("user", "workdir") if image.get(key)]
    if conda_python(lock) is None and lock.of_kind("pypi"):
        own.append(("interpreter", _interpreter_folder(lock)))
    if lock.of_kind("conda"):
        own.append(("conda", "history"))
    return tuple(own)


def _interpreter_folder(lock: Lock) -> str:
    """Return where Python is that neither a wheel nor a conda package brings."""
    if lock.base is None:
        return "/usr/bin"
    if lock.base.python is None:
        raise ArtifactError(
            f"the base image has no Python {lock.python}, which the wheels are for",
            where=lock.base.reference,
            hint="solve again",
        )
    return posixpath.dirname(lock.base.python)


def _by_name(artifact: Artifact) -> tuple[str, str]:
    return artifact.name, artifact.kind


def _wheel_layers(
    alone: Sequence[Piece],
    parts: list[tuple[Artifact, ...]],
    environment: tuple[tuple[str, str], ...],
    own: tuple[tuple[str, str], ...],
) -> list[LayerPlan]:
    """Return the layers of wheels: those alone, parts of the small ones, the environment itself.

    Small ones that one layer holds are in the environment's.
    """
    together = parts[0] if len(parts) == 1 else ()
    layers = [
        LayerPlan(
            kind="distribution",
            artifacts=(piece.wheel,),
            title=piece.title,
            settings=(*environment, ("part", piece.part)) if piece.part else environment,
        )
        for piece in alone
    ]
    layers += [
        LayerPlan(
            kind="distribution",
            artifacts=part,
            title=f"{len(part)} small distributions",
            settings=environment,
        )
        for part in parts
        if not together and part
    ]
    title = f"{len(together)} small distributions and the environment at /{PREFIX}"
    last = LayerPlan(kind="rest", artifacts=together, title=title, settings=(*environment, *own))
    return [*layers, last]


def _conda_layers(
    lock: Lock,
    packages: tuple[Artifact, ...],
    large: tuple[Artifact, ...],
    environment: tuple[tuple[str, str], ...],
    limit: int | None,
) -> list[LayerPlan]:
    """Return the layers of conda packages: the small ones together, then each large one."""
    without = replaced_copies(lock)

    def plan(artifacts: tuple[Artifact, ...], title: str) -> LayerPlan:
        gone = [(f"without {item.name}", without[item.name]) for item in artifacts
                if item.name in without]  # fmt: skip
        return LayerPlan(
            kind="conda", artifacts=artifacts, title=title, settings=(*environment, *gone)
        )

    small = tuple(item for item in packages if item not in large)
    layers = [
        plan(part, f"conda: {len(part)} small packages") for part in parts_of(small, limit) if part
    ]
    return layers + [
        plan((item,), f"conda: {item.name} {item.version}") for item in packages if item in large
    ]


def _linked_layers(lock: Lock) -> list[LayerPlan]:
    """Return the layer of what post-link scripts write: a function of all that they can see."""
    scripts = scripts_to_run(lock)
    if not scripts:
        return []
    seen = [plain_inputs(one) for one in lock.artifacts if one.kind != "pypi"]
    debian = lock.spec.get("debian")
    base = lock.base.manifest if lock.base is not None else None
    text = json.dumps([seen, debian, sorted(replaced_copies(lock).items()), base], sort_keys=True)
    names = ", ".join(script.package for script in scripts)
    below = hashlib.sha256(text.encode()).hexdigest()
    return [
        LayerPlan(
            kind="linked",
            artifacts=(),
            title=f"conda: what post-link scripts write ({names})",
            settings=(("scripts", names), ("below", below)),
        )
    ]


def _largest(items: Sequence[Artifact], room: int) -> tuple[Artifact, ...]:
    chosen = sorted(items, key=lambda item: (-item.size, item.name, item.kind))[:room]
    return tuple(sorted(chosen, key=_by_name))


def _os_layer(lock: Lock, debs: tuple[Artifact, ...]) -> LayerPlan:
    debian = lock.spec.get("debian") or {}
    settings = [("platform", lock.platform), ("suite", str(debian.get("suite", "")))]
    for link, target in sorted((debian.get("alternatives") or {}).items()):
        settings.append((f"alternative {link}", str(target)))
    title = f"Debian {debian.get('suite', '')}: {len(debs)} packages"
    return LayerPlan(kind="os", artifacts=debs, title=title, settings=tuple(settings))
