"""What an audit is asked and what it answers."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["module-missing", "name-missing", "attribute-missing", "raises"]
Severity = Literal[
    "breaks-import",
    "may-break-import",
    "breaks-module",
    "breaks-call",
    "conditional",
    "degrades",
    "falls-back",
    "undeclared",
    "hidden",
]

SEVERITIES: tuple[Severity, ...] = (
    "breaks-import",
    "may-break-import",
    "breaks-module",
    "breaks-call",
    "conditional",
    "degrades",
    "falls-back",
    "undeclared",
    "hidden",
)
"""All severities, worst first."""

ERRORS = frozenset({"breaks-import"})
WARNINGS = frozenset({"may-break-import", "breaks-module", "breaks-call"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the code is to run.

    python: the feature version, ``"3.11"``; machine: what ``platform.machine()`` says;
    system and os_name: ``platform.system()`` and ``os.name``; platform: ``sys.platform``;
    extras: extras of distributions that were asked for, by normalized name.
    """

    python: str
    machine: str = "x86_64"
    platform: str = "linux"
    system: str = "Linux"
    os_name: str = "posix"

    @property
    def version(self) -> tuple[int, int]:
        major, minor = self.python.split(".")[:2]
        return int(major), int(minor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something is needed; function is empty at module level, line counts from 1."""

    distribution: str
    version: str
    module: str
    function: str
    file: str
    line: int

    @property
    def code(self) -> str:
        """The module and the function in it, as one dotted name."""
        return f"{self.module}.{self.function}" if self.function else self.module


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What is needed: a name of a module, or (name empty) the module itself.

    provider: the distribution that has the module, ``stdlib``, or empty where nobody has it.
    """

    module: str
    name: str = ""
    provider: str = ""

    @property
    def dotted(self) -> str:
        return f"{self.module}.{self.name}" if self.name else self.module


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that code asks for and the environment does not have.

    certainty: ``certain`` where names are bound once and for all, ``likely`` for attributes
    of modules; chain: the modules through which ``import chain[0]`` reaches the place; of a
    ``breaks-module``, those from another module that fails since it calls the function;
    reason: why a finding is hidden (optional, extra, other-platform, vendored, tests; or
    follows: another finding of the package names the same absent distribution);
    roots: the top-level packages that cannot be imported because of it;
    affects: how many modules cannot be imported because of it; add: the distribution that
    would provide a module that nobody declares.
    """

    kind: Kind
    severity: Severity
    who: Place
    needs: Need
    chain: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    reason: str = ""
    affects: int = 0
    add: str = ""
    certainty: Literal["certain", "likely"] = "certain"

    @property
    def key(self) -> str:
        """What makes two findings the same one; line numbers do not matter."""
        return f"{self.kind}|{self.who.distribution}|{self.who.code}|{self.needs.dotted}"

    @property
    def text(self) -> str:
        """The finding as ``accepts`` patterns see it: ``module.function needs module.name``."""
        return f"{self.who.code} needs {self.needs.dotted}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What the locked set's code asks for and does not get.

    importable: how many modules each distribution has and how many of them import, by name;
    roots: for each top-level package whether importing it works (``ok``, ``maybe``,
    ``broken``); mains: the distribution of each package that bears a distribution's name;
    notes: what was not looked at and why; unverified: distributions of which
    only parts were read.
    """

    findings: tuple[Finding, ...]
    importable: dict[str, tuple[int, int]] = field(default_factory=dict)
    roots: dict[str, str] = field(default_factory=dict)
    mains: dict[str, str] = field(default_factory=dict)
    broken_modules: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()

    def of(self, *severities: Severity) -> tuple[Finding, ...]:
        """Return the findings of some severities."""
        return tuple(finding for finding in self.findings if finding.severity in severities)

    def count(self, severity: Severity) -> int:
        """Return how many findings have a severity."""
        return len(self.of(severity))

    @property
    def undeclared(self) -> tuple[Finding, ...]:
        """Findings that name a distribution to add."""
        return tuple(
            finding for finding in self.findings if finding.add and finding.severity != "hidden"
        )


_NAME = re.compile(r"[-_.]+")


@functools.lru_cache(maxsize=4096)
def normalize(name: str) -> str:
    """Return a distribution's name as PEP 503 compares it."""
    return _NAME.sub("-", name).lower()
