"""From locks and proofs to what the page shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock import __version__
from envlock.graph import Graph
from envlock.layers.plan import image_layers
from envlock.lock.proof import staleness
from envlock.report.changes import compared
from envlock.report.drawing import drawing
from envlock.report.model import Layer, Package, Page, Seen
from envlock.report.overrides import cards, checked, environment_accepts
from envlock.report.picture import NARROW, WIDE, picture
from envlock.report.settled import settled
from envlock.report.words import anchor, size_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from envlock.graph import Edge
    from envlock.layers.plan import LayerPlan
    from envlock.lock.model import Artifact, Lock
    from envlock.lock.proof import Proof

_PYTHON = frozenset({"pypi", "conda"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a report is about.

    others: locks of other environments, which may have files and layers in common; proof: what
    was seen of the image; against: a name for another lock, and that lock.
    """

    lock: Lock
    others: Sequence[Lock] = ()
    proof: Proof | None = None
    against: tuple[str, Lock] | None = None


def gather(subject: Subject) -> Page:
    """Return the page; raises UsageError and ArtifactError as the layers' plan does."""
    lock = subject.lock
    graph = Graph(lock)
    layers = _layers(lock, subject.others, graph)
    packages = tuple(package for layer in layers for package in layer.packages)
    return Page(
        name=lock.name,
        platform=lock.platform,
        description=str(lock.spec.get("description", "")),
        facts=tuple(_facts(lock, layers)),
        size=sum(layer.size for layer in layers),
        layers=layers,
        packages=tuple(sorted(packages, key=lambda p: (p.kind != "pypi", p.kind, p.name))),
        pictures=tuple(picture(layers, form) for form in (WIDE, NARROW)),
        drawing=drawing(graph, _PYTHON),
        cards=cards(lock, subject.proof),
        settled=settled(lock),
        checks=checked(lock.spec.get("checks") or (), subject.proof, None),
        accepts=environment_accepts(lock),
        seen=_seen(subject.proof, lock),
        others=tuple(sorted({other.name for other in subject.others})),
        against=compared(*subject.against, lock) if subject.against else None,
        envlock=__version__,
    )


def _facts(lock: Lock, layers: Sequence[Layer]) -> Iterator[tuple[str, str]]:
    counts = {kind: len(lock.of_kind(kind)) for kind in ("pypi", "conda", "debian")}
    words = {"pypi": "wheels", "conda": "conda packages", "debian": "Debian packages"}
    yield "Packages", ", ".join(f"{counts[k]} {words[k]}" for k in words if counts[k])
    yield "To fetch", size_text(sum(layer.size for layer in layers))
    yield "Layers", str(len(layers))
    yield "Python", lock.python
    target = lock.spec.get("platform") or {}
    promised = [f"{k} {target[k]}" for k in ("glibc", "cuda", "linux", "archspec") if k in target]
    if promised:
        yield "Built for", ", ".join(promised)
    if lock.debian is not None:
        yield "Debian", lock.debian.suite
    if lock.base is not None:
        yield "Base image", f"{lock.base.reference} ({lock.base.os}, {lock.base.manifest})"
    if lock.spec.get("exclude-newer"):
        yield "Nothing newer than", str(lock.spec["exclude-newer"])[:10]
    yield "Image", lock.built.manifest if lock.built else "not recorded (envlock build --record)"


def _layers(lock: Lock, others: Sequence[Lock], graph: Graph) -> tuple[Layer, ...]:
    files: dict[str, set[str]] = {}
    keys: dict[str, set[str]] = {}
    for other in others:
        for artifact in other.artifacts:
            files.setdefault(artifact.sha256, set()).add(other.name)
        for plan in image_layers(other):
            keys.setdefault(plan.key, set()).add(other.name)
    total = sum(artifact.size for artifact in lock.artifacts) or 1
    return tuple(
        _layer(number, plan, graph, files, keys.get(plan.key, set()), total)
        for number, plan in enumerate(image_layers(lock), start=1)
    )


def _layer(
    number: int,
    plan: LayerPlan,
    graph: Graph,
    files: Mapping[str, set[str]],
    same: set[str],
    total: int,
) -> Layer:
    packages = [
        _package(one, graph, number, files.get(one.sha256, set()), total) for one in plan.counted
    ]
    return Layer(
        number=number,
        kind=plan.kind,
        title=plan.title,
        size=sum(one.size for one in plan.counted),
        packages=tuple(sorted(packages, key=lambda package: (-package.size, package.name))),
        shared=tuple(sorted(same)),
    )


def _package(one: Artifact, graph: Graph, layer: int, shared: set[str], total: int) -> Package:
    node = (one.kind, one.name)
    return Package(
        kind=one.kind,
        name=one.name,
        version=one.version,
        source=one.source,
        size=one.size,
        share=one.size / total,
        ref=anchor(one.kind, one.name),
        layer=layer,
        forced=node in graph.forced,
        asked=tuple((_asked(edge), edge.voided) for edge in graph.into(node)),
        shared=tuple(sorted(shared)),
    )


def _asked(edge: Edge) -> str:
    if edge.dependent is None:
        return "the spec" if not edge.via.endswith("adds") else edge.via.removesuffix(" adds")
    return edge.dependent[1]


def _seen(proof: Proof | None, lock: Lock) -> Seen | None:
    if proof is None:
        return None
    gpu = ""
    if proof.gpu is not None:
        parts = (", ".join(proof.gpu.names), proof.gpu.driver and f"driver {proof.gpu.driver}")
        gpu = ", ".join(part for part in parts if part)
    return Seen(
        date=proof.date,
        envlock=proof.envlock,
        gpu=gpu,
        stale=next(staleness(proof, lock), ""),
    )
