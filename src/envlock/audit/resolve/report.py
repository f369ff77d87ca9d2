"""An audit out of a trace: findings, what is undeclared, and how much imports."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING

from envlock.audit.model import SEVERITIES, Audit, Finding, Need, Place, normalize
from envlock.audit.resolve.classify import Classifier
from envlock.audit.resolve.scripts import broken_scripts
from envlock.audit.resolve.tops import main_roots

if TYPE_CHECKING:
    from collections.abc import Iterable

    from envlock.audit.index.model import WheelIndex
    from envlock.audit.resolve.audit import Trace
    from envlock.audit.resolve.escapes import Escapes


def report(trace: Trace) -> Audit:
    """Return what a trace found."""
    classifier = Classifier(trace)
    findings = [*classifier.findings(), *_undeclared(trace, classifier)]
    findings += broken_scripts(trace.run, _sure(trace.roots.values()))
    rank = {severity: place for place, severity in enumerate(SEVERITIES)}
    findings.sort(key=lambda finding: (rank[finding.severity], finding.key, finding.who.line))
    world = trace.run.world
    broken = {name for name, escapes in trace.alone.items() if escapes.certain}
    broken |= {name for name in world.modules if _below(name, broken)}
    importable = {}
    for index in world.indexes:
        own = [name for name in index.modules if world.owner.get(name) is index]
        importable[index.name] = (len(own), sum(name not in broken for name in own))
    return Audit(
        findings=tuple(findings),
        importable=importable,
        mains={top: index.name for index in world.indexes for top in sorted(main_roots(index))},
        roots={root: _state(trace, root) for root in sorted(trace.roots)},
        broken_modules=tuple(sorted(broken)),
        notes=tuple(f"{index.name}: {note}" for index in world.indexes for note in index.notes),
        unverified=tuple(index.name for index in world.indexes if not index.verified),
    )


def _sure(found: Iterable[Escapes]) -> int:
    """Return the bits of what surely leaves any of some bodies."""
    return functools.reduce(operator.or_, (escapes.certain for escapes in found), 0)


def _below(name: str, broken: set[str]) -> bool:
    """A module cannot be imported where one of its packages cannot."""
    parent = name.rpartition(".")[0]
    while parent:
        if parent in broken:
            return True
        parent = parent.rpartition(".")[0]
    return False


def _state(trace: Trace, root: str) -> str:
    escapes, numbers = trace.roots[root], trace.run.numbers
    if escapes.certain:
        return "broken"
    return "maybe" if escapes.all & ~(numbers.optional | numbers.raised) else "ok"


def _undeclared(trace: Trace, classifier: Classifier) -> list[Finding]:
    """Return locked distributions that are used when importing, and that nobody declares."""
    world = trace.run.world
    closure = _Closure(world.indexes, classifier)
    found: dict[str, Finding] = {}
    for module, name, line in sorted(trace.run.wanted):
        user = world.owner[module]
        provider = world.owner.get(name) or world.owner.get(name.partition(".")[0])
        if provider is None or provider is user or module not in trace.reached:
            continue
        if normalize(provider.name) in closure.of(user):
            continue
        finding = Finding(
            kind="module-missing",
            severity="undeclared",
            who=Place(
                distribution=user.name,
                version=user.version,
                module=module,
                function="",
                file=user.modules[module]["file"],
                line=line,
            ),
            needs=Need(module=name, provider=provider.name),
            add=normalize(provider.name),
        )
        found.setdefault(f"{user.name}|{provider.name}", finding)
    return list(found.values())


class _Closure:
    """What a distribution's own requirements bring along, extras included."""

    def __init__(self, indexes: list[WheelIndex], classifier: Classifier) -> None:
        self._direct = {normalize(index.name): classifier.declared(index) for index in indexes}
        self._known: dict[str, set[str]] = {}

    def of(self, index: WheelIndex) -> set[str]:
        name = normalize(index.name)
        if name not in self._known:
            seen, queue = {name}, [name]
            while queue:
                for wanted in self._direct.get(queue.pop(), ()):
                    if wanted not in seen:
                        seen.add(wanted)
                        queue.append(wanted)
            self._known[name] = seen
        return self._known[name]
