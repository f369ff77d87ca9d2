"""What has to be settled before a lock may be written, as one error with YAML to paste."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from envlock.audit.words import additions, lines
from envlock.errors import EnvlockError
from envlock.review.codec import review_to_data
from envlock.review.paste import dependency_lines, override_block, patterns, spec_block
from envlock.sizes import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.audit import Finding
    from envlock.review.model import Covered, OverrideReview, Review
    from envlock.spec.model import Override, Spec

_SHOWN = 40
"""How many statements with findings are told one by one; --json has all."""


class ReviewError(EnvlockError):
    """The locked code breaks in a way that the spec does not accept; the lock is not written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Problem:
    """One thing that is wrong; advice: what to do besides pasting YAML."""

    where: str
    message: str
    details: tuple[str, ...] = ()
    advice: str = ""


def problem_of(spec: Spec, review: Review, *, strict: bool = False) -> ReviewError | None:
    """Return what has to be settled, or None.

    strict: also what keeps distributions from being imported that the spec does not ask for.
    """
    natural = (*review.required, *(review.elsewhere if strict else ()))
    problems = [
        *(_of_override(item, review) for item in review.overrides if review.open_of(item)),
        *_joint(spec, review),
        *_natural(spec, review, natural),
        *(_of_unused(line) for line in review.unused),
    ]
    if not problems:
        return None
    first, *rest = problems
    details = [*first.details]
    for problem in rest:
        details += [f"{problem.where}: {problem.message}", *problem.details]
    if any(finding.add and finding.roots for finding in (*review.open, *natural)):
        details.append("what lies behind an import that fails is judged once it works")
    hint = _hint(problems, _blocks(spec, review, natural))
    error = ReviewError(first.message, where=first.where, details=details, hint=hint)
    error.data = {"review": review_to_data(review)}
    return error


def warning_of(spec: Spec, review: Review) -> str | None:
    """Return a warning of imports that fail for distributions that the spec does not ask for."""
    if not review.elsewhere:
        return None
    number = counted(len(review.elsewhere), "import")
    text = [f"{number} of what {spec.file} does not name cannot work"]
    text += _told(review.elsewhere)
    for place, block in _blocks(spec, review, review.elsewhere):
        text += [f"  {place} write", *block]
    return "\n".join(text)


def _hint(problems: Sequence[_Problem], blocks: Sequence[tuple[str, list[str]]]) -> str:
    head = "; ".join(dict.fromkeys(problem.advice for problem in problems if problem.advice))
    if not blocks:
        return head
    text = [f"{head}; or write, {blocks[0][0]}" if head else f"write {blocks[0][0]}"]
    text += blocks[0][1]
    for place, block in blocks[1:]:
        text += [f"and {place}", *block]
    return "\n".join(text)


def _blocks(spec: Spec, review: Review, natural: Sequence[Finding]) -> list[tuple[str, list[str]]]:
    """Return the YAML that settles everything, each place once.

    natural: what is broken without an override's doing and has to be settled.
    """
    blocks = []
    owner = _owner_of_joint(review)
    broken = {item.override.package: review.open_of(item) for item in review.overrides}
    brought = {item.override.package: item.distributions for item in review.overrides}
    missing = [f for found in broken.values() for f in found if f.add]
    missing += [finding for finding in natural if finding.add]
    settled: set[str] = set()
    for override in spec.overrides:
        found = broken[override.package]
        found += review.open_joint if override.package == owner else ()
        plain = [finding for finding in found if not finding.add]
        accepts = _with_kept(review, override, plain) if plain else []
        adds = [str(asked.requirement) for asked in override.adds]
        more: list[str] = []
        if override.kind == "pypi":  # one of conda's adds packages, whose names nobody knows
            settled |= brought[override.package]
            more = additions(f for f in missing if _distribution(f) == override.package)
        if accepts or more:
            blocks.append(override_block(override, accepts, [*adds, *more] if more else []))
    free = additions(finding for finding in missing if _distribution(finding) not in settled)
    if free:
        blocks.append(dependency_lines(spec, free))
    rest = [finding for finding in natural if not finding.add]
    if rest:
        blocks.append(spec_block(spec, _with_kept(review, spec, rest)))
    return blocks


def _with_kept(review: Review, place: Override | Spec, findings: Sequence[Finding]) -> list[str]:
    """Return the lines that stand there and are not idle, and those for ``findings``."""
    covering = {line.accepts for line in review.accepted}
    kept = {one.pattern for one in place.accepts if one.is_failure or one in covering}
    return sorted({*kept, *patterns(findings)})


def _of_override(item: OverrideReview, review: Review) -> _Problem:
    override = item.override
    found = review.open_of(item)
    details = _told(found)
    if not item.natural.solved:
        details.append(
            f"  (nothing can be solved without this override, so all that {override.package} "
            "takes part in counts)"
        )
    return _Problem(
        where=str(override.location),
        message=f"the override of {override.package} breaks {counted(len(found), 'thing')} "
        "that nobody has accepted",
        details=tuple(details),
        advice="" if all(finding.add for finding in found) else "force another version",
    )


def _joint(spec: Spec, review: Review) -> list[_Problem]:
    found = review.open_joint
    if not found:
        return []
    return [
        _Problem(
            where=spec.file,
            message=f"the overrides together break {counted(len(found), 'thing')} that nobody has "
            "accepted",
            details=tuple(_told(found)),
            advice="force other versions",
        )
    ]


def _owner_of_joint(review: Review) -> str:
    """Return the package under whose override the breaks of all together are accepted."""
    for finding in review.open_joint:
        parts = {_distribution(finding), canonicalize_name(finding.needs.provider)}
        for item in review.overrides:
            if item.distributions & parts:
                return item.override.package
    return review.overrides[0].override.package if review.overrides else ""


def _natural(spec: Spec, review: Review, found: Sequence[Finding]) -> list[_Problem]:
    """What is broken without any override's doing."""
    if not found:
        return []
    number = counted(len(found), "import")
    message = f"{number} of what it does not name cannot work"
    if review.required:
        message = f"what it asks for cannot be imported: {number} cannot work"
    choose = "choose other versions, or force one and say why"
    return [
        _Problem(
            where=spec.file,
            message=message,
            details=tuple(_told(found)),
            advice="" if all(finding.add for finding in found) else choose,
        )
    ]


def _of_unused(line: Covered) -> _Problem:
    scope = (
        f"that the override of {line.override} breaks"
        if line.override
        else "that is broken without an override"
    )
    return _Problem(
        where=str(line.accepts.location),
        message=f"accepts: {line.accepts.pattern!r} covers nothing {scope}",
        details=line.accepts.location.quoted(),
        advice=f"remove {line.accepts.pattern!r} from accepts:",
    )


def _told(findings: Sequence[Finding]) -> list[str]:
    """Return findings as lines; what one statement needs of one module is told together."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        key = (finding.severity, finding.kind, finding.who, finding.needs.module, finding.add)
        groups.setdefault(key, []).append(finding)
    told: list[str] = []
    for group in list(groups.values())[:_SHOWN]:
        first, *rest = lines(group[0])
        told.append(f"  {first}")
        if len(group) > 1:
            told.append(f"      and {', '.join(finding.needs.name for finding in group[1:])}")
        told += [f"  {line}" for line in rest]
    more = sum(map(len, list(groups.values())[_SHOWN:]))
    return [*told, f"  and {more} more; --json has all"] if more > 0 else told


def _distribution(finding: Finding) -> str:
    return canonicalize_name(finding.who.distribution)
