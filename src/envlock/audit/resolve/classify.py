"""From failures and where they went to findings with a severity."""

from __future__ import annotations

import dataclasses
import functools
import operator
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement

from envlock.audit.model import ERRORS, WARNINGS, Finding, Need, Severity, normalize
from envlock.audit.resolve.escapes import Escape, Tally, bits
from envlock.audit.resolve.providers import distribution_for
from envlock.audit.resolve.tops import main_roots
from envlock.requirements import parse_requirement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from envlock.audit.index.model import WheelIndex
    from envlock.audit.resolve.audit import Trace
    from envlock.audit.resolve.escapes import Escapes, Key
    from envlock.audit.resolve.state import Failure

_TESTS = frozenset({"tests", "test", "testing", "_testing", "conftest", "examples", "_examples",
                    "benchmarks", "_tests", "testsuite", "doctests", "docs"})  # fmt: skip
_VENDORED = frozenset({"_vendor", "vendor", "_vendored", "vendored", "extern", "externals",
                       "_extern", "third_party", "_externals", "_libs"})  # fmt: skip
_PLATFORMS = ("win32", "windows", "darwin", "macos", "osx", "cygwin", "_nt", "java", "jython",
              "pypy", "pyodide", "emscripten", "wasm", "android", ".ios_")  # fmt: skip

_NO_METADATA = "PackageNotFoundError"
_SEVERAL = 3
"""Of fewer modules most say nothing."""


class Classifier:
    """Gives each failure its worst fate."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._world = trace.run.world
        mains = [main_roots(index) for index in self._world.indexes]
        self._mains = {top for tops in mains for top in tops}
        self._several = {top for tops in mains if len(tops) > 1 for top in tops}
        self._locked = {normalize(index.name): index for index in reversed(self._world.indexes)}
        self._provider = functools.cache(
            functools.partial(distribution_for, indexes=self._world.indexes)
        )
        self._numbers = trace.run.numbers
        self._failures: dict[Key, Failure] = dict(trace.run.failures)
        self._alone = self._surely = 0
        self._affected = Tally()
        for escapes in trace.alone.values():
            self._alone |= escapes.certain | escapes.all & ~escapes.conditional
            self._surely |= escapes.certain
            self._affected.add(escapes.certain)
        self._reached = {root: self._reach(root, one) for root, one in trace.roots.items()}
        self._roots = self._best()

    def findings(self) -> list[Finding]:
        """Return all findings, worst first."""
        found = {}
        for key, failure in sorted(self._failures.items()):
            finding = self._finding(key, failure)
            if finding is not None:
                found[key] = finding
        self._join(found)
        return list(found.values())

    def _join(self, found: dict[Key, Finding]) -> None:
        """Hide but the first of the places where a package misses the same distribution."""
        groups: dict[tuple[str, str], list[Key]] = {}
        for key, finding in found.items():
            if finding.severity == "breaks-import" and finding.add:
                groups.setdefault((finding.who.distribution, finding.add), []).append(key)
        orders = self._orders(key for keys in groups.values() for key in keys)
        affected = self._grouped(list(groups.values()))
        for place, keys in enumerate(groups.values()):
            first, *others = sorted(keys, key=lambda key: (orders[key], key))
            found[first] = dataclasses.replace(
                found[first],
                roots=tuple(sorted({root for key in keys for root in found[key].roots})),
                affects=affected.count(1 << place),
            )
            for key in others:
                found[key] = dataclasses.replace(
                    found[key], severity="hidden", reason="follows", roots=()
                )

    def _reach(self, root: str, escapes: Escapes) -> int:
        """Return the bits of the failures by which importing a root counts as failing."""
        optional = self._numbers.optional
        found = escapes.all & ~escapes.conditional
        if root not in self._mains:
            return found & ~optional
        if root in self._several:
            for place in bits(found & optional):
                failure = self._failures.get(self._numbers.keys[place])
                if failure is not None and self._is_part(root, failure):
                    found &= ~(1 << place)
        return found

    def _best(self) -> dict[Key, tuple[str, bool]]:
        """Return for each failure the root to show, and whether it surely breaks that."""
        found: dict[Key, tuple[str, bool]] = {}
        roots = sorted(self._reached, key=lambda root: (root not in self._mains, len(root)))
        seen = 0
        for sure in (True, False):
            for root in roots:
                reached = self._reached[root]
                new = (reached & self._trace.roots[root].certain if sure else reached) & ~seen
                found.update((self._numbers.keys[place], (root, sure)) for place in bits(new))
                seen |= new
        return found

    def _grouped(self, groups: list[list[Key]]) -> Tally:
        """Count for each group of failures the modules that any of them surely breaks."""
        known = self._numbers.known
        own = {known(key): 1 << place for place, keys in enumerate(groups) for key in keys}
        found: dict[Escapes, int] = {}

        def broken(escapes: Escapes) -> int:
            mask = found.get(escapes)
            if mask is None:
                mask = 0
                for bit, arrival in escapes.arrivals:
                    if isinstance(arrival, Escape):
                        mask |= own.get(bit, 0) if arrival.certain else 0
                    elif arrival.sure:
                        mask |= broken(arrival.source)
                found[escapes] = mask
            return mask

        tally = Tally()
        for escapes in self._trace.alone.values():
            tally.add(broken(escapes))
        return tally

    def _orders(self, wanted: Iterable[Key]) -> dict[Key, int]:
        """Return when an import of the first root that misses a thing comes to it."""
        found: dict[Key, int] = {}
        left = functools.reduce(operator.or_, map(self._numbers.known, wanted), 0)
        for escapes in self._trace.roots.values():
            if escapes.all & left:
                for order, place in enumerate(escapes.places()):
                    found.setdefault(self._numbers.keys[place], order)
                left &= ~escapes.all
        return found

    def _is_part(self, root: str, failure: Failure) -> bool:
        """Tell whether a root is the part of a distribution without a main one for an extra."""
        index = self._world.owner[failure.place.module]
        mains = main_roots(index)
        if root not in mains or len(mains) == 1:
            return False
        return self._in_extra(index, failure) and not self._declared(index, failure)

    def _finding(self, key: Key, failure: Failure) -> Finding | None:
        bit = self._numbers.known(key)
        severity, chain = self._severity(key, bit)
        asks = failure.kind == "raises" or failure.error == _NO_METADATA
        if asks and severity in {"conditional", "degrades", "falls-back"}:
            return None
        if failure.kind == "raises" and failure.place.function:
            severity = "hidden"
        reason = ""
        if severity != "breaks-import":
            reason = self._hidden(failure, severity)
        needs, add = self._whose(failure) if severity in ERRORS | WARNINGS else (failure.need, "")
        return Finding(
            kind=failure.kind,
            severity="hidden" if reason else severity,
            who=failure.place,
            needs=needs,
            chain=chain,
            roots=self._broken(bit) if chain else (),
            reason=reason,
            affects=self._affected.count(bit),
            add=add if severity in ERRORS else "",
            certainty="likely" if failure.kind == "attribute-missing" else "certain",
        )

    def _broken(self, bit: int) -> tuple[str, ...]:
        """Return the roots that a failure surely breaks."""
        roots = self._trace.roots
        return tuple(sorted(r for r, one in self._reached.items() if one & bit & roots[r].certain))

    def _severity(self, key: Key, bit: int) -> tuple[Severity, tuple[str, ...]]:
        if key in self._roots:
            root, certain = self._roots[key]
            chain = self._chain(root, bit)
            return ("breaks-import" if certain else "may-break-import"), chain
        if self._surely & bit:
            return "breaks-module", self._elsewhere(key, bit)
        if self._trace.surely & bit:
            return "breaks-call", ()
        handled = self._trace.run.handled.get(key)
        if handled and not (self._alone | self._trace.called) & bit:
            return ("falls-back" if handled == "falls-back" else "degrades"), ()
        return "conditional", ()

    def _chain(self, root: str, bit: int) -> tuple[str, ...]:
        """Follow a failure from the root to the module where it began."""
        chain, seen = [root], {root}
        while True:
            module = self._trace.run.modules.get(chain[-1])
            via = module.escapes.via(bit) if module is not None else ""
            if not via or via in seen:
                return tuple(chain)
            chain.append(via)
            seen.add(via)

    def _elsewhere(self, key: Key, bit: int) -> tuple[str, ...]:
        """Return the way from a module that fails to another one, whose function it calls."""
        broken = [name for name, one in self._trace.alone.items() if one.certain & bit]
        own = self._failures[key].place.module
        if own in broken:
            return ()
        chain = self._chain(min(broken, key=len), bit)
        return chain if chain[-1] == own else (*chain, own)

    def _hidden(self, failure: Failure, severity: Severity) -> str:
        parts = failure.place.module.split(".")
        if not _TESTS.isdisjoint(parts) or any(part.startswith("test_") for part in parts):
            return "tests"
        if not _VENDORED.isdisjoint(parts):
            return "vendored"
        low = failure.place.code.lower()
        if any(word in low for word in _PLATFORMS):
            return "other-platform"
        if self._world.stdlib.elsewhere(failure.need.module):
            return "other-platform"
        if failure.need.provider == failure.place.distribution and severity != "may-break-import":
            return "own"
        handled = severity in {"degrades", "falls-back"}
        if handled and failure.kind == "module-missing" and failure.need.provider == "stdlib":
            return "optional"
        if not failure.optional:
            return "own" if failure.kind == "raises" and severity != "breaks-module" else ""
        index = self._world.owner[failure.place.module]
        if self._declared(index, failure) and severity in {"breaks-module", "breaks-call"}:
            return ""
        if self._in_extra(index, failure):
            return "extra"
        most = severity == "breaks-module" and self._breaks_most(index, failure)
        return "" if most else "optional"

    def _breaks_most(self, index: WheelIndex, failure: Failure) -> bool:
        """Tell whether most modules of a distribution fail for want of another one."""
        mask = self._missed[index.name, failure.need.module.partition(".")[0]]
        own = [name for name, entry in index.modules.items() if _counts(name, entry)]
        alone = self._trace.alone
        broken = [name for name in own if name in alone and alone[name].certain & mask]
        return len(own) >= _SEVERAL and 2 * len(broken) > len(own)

    @functools.cached_property
    def _missed(self) -> dict[tuple[str, str], int]:
        """The bits of failures by who misses a distribution, and which package of it."""
        found: dict[tuple[str, str], int] = {}
        for key, failure in self._failures.items():
            if failure.optional:
                who = self._world.owner[failure.place.module].name
                pair = who, failure.need.module.partition(".")[0]
                found[pair] = found.get(pair, 0) | self._numbers.known(key)
        return found

    def _wanted(self, failure: Failure) -> str:
        """Return the distribution that is missed; who asks for a version names it himself."""
        if failure.error == _NO_METADATA:
            return normalize(failure.need.module)
        return self._provider(failure.need.module)

    def _declared(self, index: WheelIndex, failure: Failure) -> bool:
        """A requirement that applies and is not locked was left out on purpose."""
        wanted = self._wanted(failure)
        return wanted in index.declares or any(
            normalize(requirement.name) == wanted and self._applies(requirement)
            for requirement in _requirements(index)
        )

    def declared(self, index: WheelIndex) -> set[str]:
        """Return the distributions that an index requires, extras and conda's depends included."""
        bare = {**environment(self._trace)}
        found = set(index.declares)
        for requirement in _requirements(index):
            extras = ("", *index.extras)
            if requirement.marker is None or any(
                requirement.marker.evaluate({**bare, "extra": extra}) for extra in extras
            ):
                found.add(normalize(requirement.name))
        return found

    def _in_extra(self, index: WheelIndex, failure: Failure) -> bool:
        wanted = self._wanted(failure)
        return any(normalize(requirement.name) == wanted for requirement in _requirements(index))

    def _applies(self, requirement: Requirement) -> bool:
        if requirement.marker is None:
            return True
        return requirement.marker.evaluate({**environment(self._trace), "extra": ""})

    def _whose(self, failure: Failure) -> tuple[Need, str]:
        """Return what is needed, and the distribution to add for it.

        One that is locked already is not to be added: this version of it has no such module.
        """
        if not failure.optional:
            return failure.need, ""
        add = self._wanted(failure)
        locked = self._locked.get(add)
        if locked is None:
            return failure.need, add
        if failure.need.module.partition(".")[0] in locked.modules:  # a namespace of many
            return failure.need, ""
        return dataclasses.replace(failure.need, provider=locked.name), ""


def _counts(module: str, entry: Mapping[str, Any]) -> bool:
    """Tell whether a module is code that a package is there for."""
    return entry["kind"] in {"py", "pkg"} and _TESTS.isdisjoint(module.split("."))


def environment(trace: Trace) -> dict[str, str]:
    """Return the variables of PEP 508 for the target."""
    target = trace.run.world.target
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{target.python}.0",
        "os_name": target.os_name,
        "platform_machine": target.machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": target.system,
        "platform_version": "",
        "python_full_version": f"{target.python}.0",
        "python_version": target.python,
        "sys_platform": target.platform,
    }


def _requirements(index: WheelIndex) -> tuple[Requirement, ...]:
    return _parsed(index.requires)


@functools.lru_cache(maxsize=1024)
def _parsed(lines: tuple[str, ...]) -> tuple[Requirement, ...]:
    found = []
    for line in lines:
        try:
            found.append(parse_requirement(line))
        except InvalidRequirement:
            continue
    return tuple(found)
