"""A change as a spec, and as the YAML that makes it."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import TYPE_CHECKING

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envlock.errors import Location
from envlock.review.paste import is_unsaid, patterns
from envlock.spec.model import Asked, Check, Override

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from envlock.advise.model import Change, Problem
    from envlock.audit import Finding
    from envlock.lock.model import Artifact
    from envlock.spec.model import Spec


_PLAIN = re.compile(r"[A-Za-z_][\w.-]*(?:[<=~!]=?=?[\w.*+!-]+)?|[A-Za-z][\w .,/()-]* [\w.()-]+")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"})


def pins_against(artifacts: Iterable[Artifact], package: str, version: str) -> dict[str, str]:
    """Return the requirements on ``package`` that ``version`` does not meet, by dependent.

    They are written as upstream wrote them, without markers.
    """
    found = {}
    for artifact in artifacts:
        for text in artifact.depends:
            requirement = Requirement(text)
            if canonicalize_name(requirement.name) == package and not (
                requirement.specifier.contains(version, prereleases=True)
            ):
                requirement.marker = None
                found[artifact.name] = str(requirement)
    return found


def changed(spec: Spec, change: Change, because: str = "") -> Spec:
    """Return the spec after a change; ``because`` is for an override that is new."""
    if change.kind == "keep":
        return spec
    if change.kind == "force":
        return _forced(spec, change, because)
    owner = next((o for o in spec.overrides if o.package == change.package), None)
    if change.kind == "add" and owner is not None and owner.kind == "pypi":
        more = dataclasses.replace(owner, adds=(*owner.adds, *_added(spec, change, owner.adds)))
        overrides = tuple(more if o is owner else o for o in spec.overrides)
        return dataclasses.replace(spec, overrides=overrides)
    return _required(spec, change)


def _required(spec: Spec, change: Change) -> Spec:
    """Return the spec that asks for another version, or only for more, without an override."""
    dependencies, constraints = list(spec.pypi.dependencies), list(spec.pypi.constraints)
    if change.kind == "require":
        dependencies = [
            _at(asked, change.version) if _name(asked) == change.package else asked
            for asked in dependencies
        ]
        constraints = [asked for asked in constraints if _name(asked) != change.package]
        if change.package not in {_name(asked) for asked in dependencies}:
            constraints.append(_asked(spec, f"{change.package}=={change.version}"))
    dependencies += _added(spec, change, dependencies)
    return dataclasses.replace(
        spec,
        pypi=dataclasses.replace(
            spec.pypi, dependencies=tuple(dependencies), constraints=tuple(constraints)
        ),
        overrides=tuple(o for o in spec.overrides if o.package != change.drops),
    )


def _forced(spec: Spec, change: Change, because: str) -> Spec:
    others = [o for o in spec.overrides if o.package not in {change.drops, change.package}]
    pypi = dataclasses.replace(
        spec.pypi,
        dependencies=tuple(_loosened(asked, change) for asked in spec.pypi.dependencies),
        constraints=tuple(a for a in spec.pypi.constraints if not _excludes(a, change)),
    )
    overrides = (*others, _override(spec, change, because))
    return dataclasses.replace(spec, pypi=pypi, overrides=overrides)


def replaced(spec: Spec, after: Spec) -> tuple[str, ...]:
    """Return the lines of a spec's pypi section that a change replaces or leaves out."""
    return (
        *_new(spec.pypi.dependencies, after.pypi.dependencies),
        *_new(spec.pypi.constraints, after.pypi.constraints),
    )


def yaml_of(spec: Spec, after: Spec, problem: Problem, breaks: Sequence[Finding]) -> str:
    """Return the lines that make ``spec`` into ``after``, to paste over those that are there."""
    lines: list[str] = []
    asked = _new(after.pypi.dependencies, spec.pypi.dependencies)
    constraints = _new(after.pypi.constraints, spec.pypi.constraints)
    if asked or constraints:
        lines.append("pypi:")
    for key, items in (("dependencies", asked), ("constraints", constraints)):
        if items:
            lines.append(f"  {key}:")
            lines += [f"    - {_quoted(item)}" for item in items]
    braces = any(override.location.in_flow for override in spec.overrides)
    for override in after.overrides:
        if override not in spec.overrides:
            written = _override_lines(override, problem, breaks)
            lines += _in_braces(written) if braces else written
    return "\n".join(lines)


def _new(after: Iterable[Asked], before: Iterable[Asked]) -> list[str]:
    known = {str(asked.requirement) for asked in before}
    return [text for asked in after if (text := str(asked.requirement)) not in known]


def reason_for(problem: Problem) -> str:
    """Return why a version is forced: the spec's words, or what was found."""
    override = problem.override
    if override is not None and not is_unsaid(override.because):
        return override.because
    for finding in problem.fixes:
        who = f"{finding.who.distribution} {finding.who.version}"
        lacks = f"{problem.package} {problem.natural}".strip()
        return f"{who} needs {finding.needs.dotted}, which {lacks} does not have"
    if override is not None:
        return override.because
    return f"<what needs another {problem.package}>"


def _override(spec: Spec, change: Change, because: str) -> Override:
    old = next((o for o in spec.overrides if o.package == change.package), None)
    against = {name: Requirement(text) for name, text in sorted(change.against.items())}
    checks = [c for c in old.checks if c.kind != "version"] if old else []
    version = Check(kind="version", value=(change.version,))
    return Override(
        package=change.package,
        version=change.version,
        against=against,
        claims=dict(change.against),
        because=because,
        adds=tuple(_asked(spec, text) for text in change.adds),
        until=old.until if old else None,
        checks=(version, *checks),
        location=old.location if old else _nowhere(spec),
    )


def _override_lines(override: Override, problem: Problem, breaks: Sequence[Finding]) -> list[str]:
    against = ", ".join(
        f"{_quoted(name)}: {_text(str(pin))}" for name, pin in override.against.items()
    )
    lines = [
        "overrides:",
        f"  - package: {_quoted(override.package)}",
        f'    version: "=={override.version}"',
        f"    against: {{{against}}}",
        f"    because: {_quoted(override.because)}",
    ]
    if override.adds:
        lines.append("    adds:")
        lines += [f"      - {_quoted(str(item.requirement))}" for item in override.adds]
    accepts = [*(line.pattern for line in override.accepts), *patterns(breaks)]
    if accepts:
        lines.append("    accepts:")
        lines += [f"      - {_quoted(line)}" for line in accepts]
    if override.until is not None:
        lines.append(f"    until: {_quoted(str(override.until))}")
    lines.append("    checks:")
    for check in override.checks:
        lines.append(f"      - {json.dumps(check.plain())}")
    if problem.override is None:
        lines += [
            f"      - {json.dumps({'import': name})}"
            for name in sorted({finding.chain[0] for finding in problem.fixes if finding.chain})
        ]
    return lines


def _in_braces(lines: Sequence[str]) -> list[str]:
    """Return an override's lines in flow style, for a spec that has it there."""
    table = yaml.safe_load("\n".join(lines))["overrides"][0]
    keys = [f"   {key}: {json.dumps(value, ensure_ascii=False)}," for key, value in table.items()]
    return ["overrides: [", f"  {{{keys[0].strip()}", *keys[1:], "  },", "]"]


def _at(asked: Asked, version: str) -> Asked:
    """Return what is asked for, at one version, with its extras and marker."""
    requirement = Requirement(str(asked.requirement))
    requirement.specifier = type(requirement.specifier)(f"=={version}")
    return dataclasses.replace(asked, requirement=requirement)


def _loosened(asked: Asked, change: Change) -> Asked:
    """Return what is asked for without a version where it excludes the forced one."""
    if not _excludes(asked, change):
        return asked
    requirement = Requirement(str(asked.requirement))
    requirement.specifier = type(requirement.specifier)("")
    return dataclasses.replace(asked, requirement=requirement)


def _added(spec: Spec, change: Change, there: Iterable[Asked]) -> list[Asked]:
    """Return what a change adds and is not asked for yet."""
    names = {_name(asked) for asked in there}
    added = [_asked(spec, text) for text in change.adds]
    return [asked for asked in added if _name(asked) not in names]


def _excludes(asked: Asked, change: Change) -> bool:
    if not change.version:
        return False
    return _name(asked) == change.package and not asked.requirement.specifier.contains(
        change.version, prereleases=True
    )


def _name(asked: Asked) -> str:
    return canonicalize_name(asked.requirement.name)


def _asked(spec: Spec, text: str) -> Asked:
    return Asked(requirement=Requirement(text), location=_nowhere(spec))


def _nowhere(spec: Spec) -> Location:
    return Location(file=spec.file, line=1, column=1)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _quoted(value: str) -> str:
    """Return a YAML scalar: plain where nothing else can be read, else in double quotes."""
    return value if _PLAIN.fullmatch(value) and value.lower() not in _WORDS else _text(value)
