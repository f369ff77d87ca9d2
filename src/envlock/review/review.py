"""A locked set under review: audit it, judge each override, see what was accepted."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from envlock.audit import Judgement, judge
from envlock.errors import FetchError
from envlock.review.accepting import cover
from envlock.review.model import Natural, OverrideReview, Review
from envlock.review.names import distributions_of, requested, version_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.audit import Audit, Finding
    from envlock.lock.model import Artifact
    from envlock.review.audits import Auditor
    from envlock.review.natural import NaturalSolver
    from envlock.spec.model import Spec, Target


_NOTHING = Judgement(fixes=(), breaks=(), unchanged=(), newly_broken=(), newly_importable=())


def review(
    spec: Spec,
    target: Target,
    artifacts: Sequence[Artifact],
    auditor: Auditor,
    solver: NaturalSolver,
    *,
    lenient: bool = False,
) -> Review:
    """Review the locked conda packages and wheels of ``spec`` for ``target``; raises FetchError.

    Each override is judged by leaving it out alone, and all of them together.  lenient: go on
    without a judgement where what it takes cannot be read.
    """
    found = auditor.audit(artifacts)
    brought = {one.package: distributions_of(one, artifacts) for one in spec.overrides}

    def without(packages: frozenset[str]) -> tuple[Natural, Judgement]:
        try:
            natural = solver.without(spec, target, packages, artifacts)
            if not natural.solved:
                return natural, alone(found, frozenset().union(*(brought[p] for p in packages)))
            return natural, judge(auditor.audit(_alike(natural.artifacts, artifacts)), found)
        except FetchError as error:
            if not lenient:
                raise
            return Natural(missing="\n".join((error.message, *error.details))), _NOTHING

    items = []
    for override in spec.overrides:
        natural, judgement = without(frozenset({override.package}))
        items.append(
            OverrideReview(
                override=override,
                natural=natural,
                version=version_of(override, natural.artifacts),
                judgement=judgement,
                distributions=brought[override.package],
            )
        )
    together: Judgement | None = None
    joint: dict[str, Finding] = {}
    if len(items) > 1:
        natural, together = without(frozenset(o.package for o in spec.overrides))
        own = {f.key for item in items for f in item.judgement.serious}
        joint = {f.key: f for f in together.serious if f.key not in own}
        together = together if natural.solved else None
    names = requested(spec, artifacts)
    return _sorted_out(spec, found, names, tuple(items), together, tuple(joint.values()))


def _alike(natural: Sequence[Artifact], locked: Sequence[Artifact]) -> tuple[Artifact, ...]:
    """Return what would be chosen naturally, with files that give way as the lock has them.

    Where the keeper is not the locked one, nobody has settled whose file is kept.
    """
    same = {one.sha256: one for one in locked}
    kept = {one.name for one in natural if one.sha256 in same}
    return tuple(
        known
        if (known := same.get(one.sha256)) and kept >= {keeper for _, keeper in known.gives_way}
        else one
        for one in natural
    )


def alone(audit: Audit, distributions: frozenset[str]) -> Judgement:
    """Judge overrides without which nothing can be solved, by what they force.

    Every serious finding that one of these distributions takes part in, as the one who needs or as
    the one who does not provide, counts as broken.
    """
    breaks = tuple(
        finding
        for finding in audit.of("breaks-import", "may-break-import", "breaks-module", "breaks-call")
        if not distributions.isdisjoint(
            map(canonicalize_name, (finding.who.distribution, finding.needs.provider))
        )
    )
    return dataclasses.replace(_NOTHING, breaks=breaks)


def _sorted_out(
    spec: Spec,
    audit: Audit,
    names: set[str],
    items: tuple[OverrideReview, ...],
    together: Judgement | None,
    joint: tuple[Finding, ...],
) -> Review:
    """Give each finding its cause, and each ``accepts`` line what it covers.

    names: the distributions that the spec asks for.
    """
    accepted, unused = cover(spec, audit, items, joint)
    caused = {f.key for item in items for f in item.judgement.serious} | {f.key for f in joint}
    covered = {finding.key for line in accepted for finding in line.findings}
    required: list[Finding] = []
    elsewhere: list[Finding] = []
    for finding in audit.of("breaks-import"):
        if finding.key in caused or finding.key in covered:
            continue
        owners = {canonicalize_name(audit.mains.get(root, "")) for root in finding.roots}
        (required if owners & names else elsewhere).append(finding)
    return Review(
        audit=audit,
        overrides=items,
        together=together,
        joint=joint,
        accepted=accepted,
        unused=unused,
        required=tuple(required),
        elsewhere=tuple(elsewhere),
        requested=frozenset(names),
    )
