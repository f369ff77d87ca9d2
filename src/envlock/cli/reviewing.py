"""A review on this machine, and in words."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from envlock.audit import Audit, Finding
    from envlock.cli.context import Context
    from envlock.fetch.indexes import Locator
    from envlock.lock.model import Lock
    from envlock.review import OverrideReview, Review
    from envlock.spec.model import AcceptedVulnerability, Clobber, Override, Spec, Target

_SERIOUS = frozenset({"breaks-import", "may-break-import", "breaks-module", "breaks-call"})
_SHOWN = 12
"""How many lines are said of one override; --json has all."""
_FEW = 4


def review_lock(
    state: Context,
    spec: Spec,
    target: Target,
    lock: Lock,
    *,
    fresh: bool = False,
    lenient: bool = False,
) -> Review | None:
    """Review a lock's conda packages and wheels; None where there are none.

    fresh: solve anew what the overrides are compared with; lenient: where that cannot be
    read, go on without it.  Raises FetchError.
    """
    from envlock.audit import target_of
    from envlock.audit.obtain import Means
    from envlock.review import Auditor, NaturalSolver, review

    artifacts = (*lock.of_kind("conda"), *lock.of_kind("pypi"))
    if not artifacts:
        return None
    locators = _locators(state, spec, lock)
    cache = state.cache / "audit"
    means = Means(
        fetcher=state.fetcher,
        http=state.http,
        locate=lambda artifact: locators[artifact.kind].urls(artifact),
        cache=cache,
        jobs=state.config.jobs,
    )
    auditor = Auditor(means, target_of(lock.python, lock.platform), cache, state.output)
    solver = NaturalSolver(
        state.python_solvers(spec), cache / "natural", fresh=fresh, reporter=state.output
    )
    return review(spec, target, artifacts, auditor, solver, lenient=lenient)


def _locators(state: Context, spec: Spec, lock: Lock) -> dict[str, Locator]:
    """Return how wheels and conda packages are found, those without an override included."""
    from envlock.fetch.indexes import CondaChannels, SimpleIndex

    sources = [artifact.source for artifact in lock.of_kind("conda")]
    sources += [channel.name for channel in spec.conda.channels] if spec.conda else []
    return {
        "conda": CondaChannels(state.channels(sources, spec) if sources else {}),
        "pypi": SimpleIndex(state.index_urls(spec), state.http),
    }


def lines_of(review: Review, item: OverrideReview) -> list[str]:
    """Return in a few lines what an override fixes, breaks and leaves as it is."""
    judgement = item.judgement
    accepted = set(review.keys_of(item.override.package))
    fixes, breaks = _serious(judgement.fixes), list(judgement.serious)
    done = sum(finding.key in accepted for finding in breaks)
    if item.natural.missing:
        return [f"not judged: {line}" for line in item.natural.missing.splitlines()[:1]]
    if not item.natural.solved:
        text = "nothing can be solved without it; "
        text += f"of what {item.override.package} takes part in, {len(breaks)} break"
    else:
        text = f"instead of {item.version}: " if item.version else "not there without it: "
        text += f"fixes {len(fixes)}, breaks {len(breaks)}"
    text += f" ({done} accepted)" if done else ""
    if item.natural.solved:
        text += f", leaves {len(_serious(judgement.unchanged))} as they are"
    lines = [text, *_grouped("fixes ", fixes, frozenset())]
    lines += _grouped("breaks", breaks, accepted)
    if len(lines) > _SHOWN:
        more = len(lines) - _SHOWN
        lines = [*lines[:_SHOWN], f"  and {more} lines more; --json has all"]
    return lines


def unseen_line(spec: Spec, audit: Audit) -> str:
    """Say what no static look can, where no check runs the code that got another version."""
    from envlock.audit.resolve.providers import module_of

    if any(check.kind != "version" for check in spec.checks):
        return ""
    unproven = [o for o in spec.overrides if all(check.kind == "version" for check in o.checks)]
    who = sorted({dependent for override in unproven for dependent in override.against})
    if not who:
        return ""
    more = f" and {len(who) - _FEW} more" if len(who) > _FEW else ""
    text = "compiled code and changed behaviour are not looked at, and no check runs any: add "
    imports = ", ".join(f"- import: {module_of(name, audit.roots)}" for name in who[:_FEW])
    return f"{text}{imports}{more} to its checks"


def unchecked_line(spec: Spec, audit: Audit) -> str:
    """Say what to write where no check shows that an image of the spec works at all."""
    from packaging.utils import canonicalize_name

    from envlock.audit.resolve.providers import module_of

    if spec.checks or any(override.checks for override in spec.overrides):
        return ""
    asked = dict.fromkeys(canonicalize_name(one.requirement.name) for one in spec.pypi.dependencies)
    by_name: dict[str, str] = {
        canonicalize_name(root.replace(".", "-")): root for root in audit.roots
    }
    modules = [by_name.get(name) or module_of(name, audit.roots) for name in asked]
    found = [module for module in modules if module in audit.roots]
    if not found:
        return ""
    written = ", ".join(f"{{import: {module}}}" for module in found[:_FEW])
    return (
        f"no check says what must work in the image; at the top level of {spec.file}, for "
        f"instance: checks: [{written}]"
    )


def unsaid_lines(spec: Spec) -> list[str]:
    """Say what was pasted into a spec without a reason of one's own, as ``<what needs it>``."""
    from envlock.review.paste import is_unsaid

    entries: list[Override | Clobber | AcceptedVulnerability]
    clobbers = (*spec.pypi.clobbers, *(spec.conda.clobbers if spec.conda else ()))
    entries = [*spec.overrides, *clobbers, *spec.vulnerabilities]
    return [
        f"{entry.location}: because is still {entry.because}: write why, others will ask"
        for entry in entries
        if is_unsaid(entry.because)
    ]


def absent_lines(spec: Spec, lock: Lock, audit: Audit) -> list[str]:
    """Say which checks import what no locked package has; the build would say so much later.

    Nothing where code may come from what is not audited: conda, a base image, Debian's own
    Python packages, wheels that could not be read.
    """
    unseen = any(one.kind == "conda" or one.name.startswith("python3-") for one in lock.artifacts)
    if unseen or lock.base is not None or audit.notes:
        return []
    from difflib import get_close_matches

    from envlock.audit.api import target_of
    from envlock.audit.resolve.stdlib import StandardLibrary
    from envlock.audit.resolve.tops import SIDE

    there = SIDE | {root.partition(".")[0] for root in audit.roots}
    checks = [*spec.checks, *(check for override in spec.overrides for check in override.checks)]
    asked = [check.value[0] for check in checks if check.kind == "import"]
    absent = [name for name in dict.fromkeys(asked) if name.partition(".")[0] not in there]
    library = StandardLibrary(target_of(lock.python, lock.platform)) if absent else None
    lines = []
    for name in absent:
        top = name.partition(".")[0]
        if library is None or library.has(top) is not False:
            continue
        close = get_close_matches(top, sorted(there), n=1)
        meant = f"; did you mean {close[0]}?" if close else ""
        lines.append(f"no locked package has {top}, which the check import {name} needs{meant}")
    return lines


def undeclared_line(spec: Spec, review: Review) -> str:
    """Say who uses what nobody asks for and only others bring along; empty where nobody does."""
    from packaging.utils import canonicalize_name

    adds = (asked for override in spec.overrides for asked in override.adds)
    asked = review.requested | {canonicalize_name(one.requirement.name) for one in adds}
    uses = sorted(
        {
            f"{finding.who.distribution} uses {finding.add}"
            for finding in review.audit.of("undeclared")
            if finding.add not in asked
        }
    )
    if not uses:
        return ""
    more = f" and {len(uses) - _FEW} more" if len(uses) > _FEW else ""
    return f"not declared: {', '.join(uses[:_FEW])}{more}; only others bring it along"


def unread_line(review: Review) -> str:
    """Say what could not be looked into; empty where all could."""
    notes = review.audit.notes
    lines = [f"  {note}" for note in notes[:_FEW]]
    if len(notes) > _FEW:
        lines.append(f"  and {len(notes) - _FEW} more; envlock audit -v has all")
    return "\n".join(["not looked into, and so not judged:", *lines]) if lines else ""


def tell(state: Context, lock: Lock, found: Review | None) -> None:
    """Say what each override voids, fixes and breaks."""
    reviews = {item.override.package: item for item in found.overrides} if found else {}
    for override in lock.overrides:
        for void in override.voids:
            state.output.message(
                f"  override {override.package} {override.version}: "
                f"voids {void.dependent} {void.version} -> {void.requirement}"
            )
        if override.replaces:
            state.output.message(
                f"  override {override.package} {override.version}: in place of the conda "
                f"package {override.replaces}'s"
            )
        if found is not None and override.package in reviews:
            for line in lines_of(found, reviews[override.package]):
                state.output.message(f"    {line}")


def tell_more(state: Context, spec: Spec, lock: Lock, found: Review) -> None:
    """Say what nobody declares or has, and what no static look sees."""
    absent = absent_lines(spec, lock, found.audit)
    unsaid = unsaid_lines(spec)
    unproven = unseen_line(spec, found.audit) or unchecked_line(spec, found.audit)
    for line in (*unsaid, *absent, undeclared_line(spec, found), unproven):
        if line:
            state.output.message(f"  {line}")


def _serious(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity in _SERIOUS]


def _grouped(verb: str, findings: Sequence[Finding], accepted: Iterable[str]) -> list[str]:
    """Return one line for each package and need."""
    from envlock.audit import pattern_of

    known = set(accepted)
    groups = Counter(
        (pattern_of(finding), _effect(finding), finding.key in known) for finding in findings
    )
    lines = []
    for (text, effect, fine), count in sorted(groups.items()):
        places = f"{count} places, " if count > 1 else ""
        lines.append(f"  {verb} {text} ({places}{effect}{', accepted' if fine else ''})")
    return lines


def _effect(finding: Finding) -> str:
    """Return what a finding does: ``import X fails``, or its severity."""
    if finding.severity != "breaks-import":
        return finding.severity
    roots = finding.roots or finding.chain[:1]
    more = f" and {len(roots) - 2} more" if len(roots) > 2 else ""
    return f"import {', '.join(roots[:2])}{more} fails"
