"""Run the spec's checks, one sandbox each, and say what became of them."""

from __future__ import annotations

import re
import secrets
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from envlock.validate.inside import Inside, Inventory, shell_quoted
from envlock.validate.results import CheckKind, Result
from envlock.validate.sandbox import NOT_FOUND, Bind, Completed
from envlock.validate.text import last_lines

_NO_GPU = "no GPU here"
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_TRACEBACK_LINES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """What a command needs to see this machine's GPU: its devices and driver files."""

    binds: tuple[Bind, ...]
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs the spec's checks; inventory: None where no Python was asked."""

    inside: Inside
    python: str
    inventory: Inventory | Completed | None
    gpu: Gpu | None

    def check(self, check: Any, package: str | None) -> Result:
        """Run one check as the spec's ``checks`` lists write it."""
        if not isinstance(check, Mapping) or len(check) != 1:
            return _unusable(check, package)
        ((kind, value),) = check.items()
        if kind == "version" and package is not None:
            return self._version(str(value), package)
        if kind == "import" and isinstance(value, str) and _MODULE.fullmatch(value):
            return self._import(value, package)
        if kind in {"run", "gpu"} and isinstance(value, list) and value:
            argv = tuple(str(word) for word in value)
            return self._gpu(argv, package) if kind == "gpu" else self._run(argv, package)
        return _unusable(check, package)

    def _version(self, wanted: str, package: str) -> Result:
        if not isinstance(self.inventory, Inventory):
            return Result(
                kind="version",
                subject=f"version is {wanted}",
                status="not-run",
                detail=("the image's Python did not answer",),
                override=package,
            )
        name = canonicalize_name(package)
        found = next(
            (
                item.version
                for item in self.inventory.distributions
                if canonicalize_name(item.name) == name
            ),
            None,
        )
        passed = found is not None and _matches(found, wanted)
        seen = f"{package} is not installed" if found is None else f"{package} is {found}"
        return Result(
            kind="version",
            subject=f"version is {wanted}",
            status="passed" if passed else "failed",
            detail=() if passed else (seen,),
            override=package,
        )

    def _import(self, module: str, package: str | None) -> Result:
        # The import's own end is what counts: a module that exits by itself has failed.
        mark = secrets.token_hex(16)
        source = f"import {module}\nimport os\nos.write(1, b'{mark}')"
        done = self.inside.run((self.python, "-c", source))
        passed = done.returncode == 0 and not done.timed_out and mark.encode() in done.stdout
        return Result(
            kind="import",
            subject=f"import {module}",
            status="passed" if passed else "failed",
            detail=() if passed else explain(done, self.python),
            seconds=done.seconds,
            override=package,
        )

    def _run(self, argv: tuple[str, ...], package: str | None) -> Result:
        return _ran("run", self.inside.run(argv), argv, package)

    def _gpu(self, argv: tuple[str, ...], package: str | None) -> Result:
        if self.gpu is None:
            return Result(
                kind="gpu",
                subject=shell_quoted(argv),
                status="not-run",
                detail=(_NO_GPU,),
                override=package,
            )
        done = self.inside.with_env(self.gpu.env).run(argv, binds=self.gpu.binds)
        return _ran("gpu", done, argv, package)


def _ran(kind: CheckKind, done: Completed, argv: tuple[str, ...], package: str | None) -> Result:
    passed = done.returncode == 0 and not done.timed_out
    return Result(
        kind=kind,
        subject=shell_quoted(argv),
        status="passed" if passed else "failed",
        detail=() if passed else explain(done, argv[0]),
        seconds=done.seconds,
        override=package,
    )


def described(check: Any, package: str | None) -> str:
    """Name a check in one line."""
    kind, value = next(iter(check.items())) if isinstance(check, Mapping) and check else ("", check)
    words = tuple(map(str, value)) if isinstance(value, list) else (str(value),)
    what = f"{kind} {shell_quoted(words)}"
    return f"{what} ({package})" if package else what


def explain(done: Completed, program: str) -> tuple[str, ...]:
    """Say how a command ended, and what it said last."""
    said = last_lines(done.stderr, _TRACEBACK_LINES) or last_lines(done.stdout, _TRACEBACK_LINES)
    if done.timed_out:
        return (*said, f"not done after {done.seconds:.0f} s: everything was killed")
    if done.returncode == NOT_FOUND and not said[1:]:
        return (f"{program} is not in the image, or cannot be run",)
    if done.returncode > 128:
        try:
            name = signal.Signals(done.returncode - 128).name
        except ValueError:
            name = str(done.returncode - 128)
        return (*said, f"ended by signal {name}")
    if not done.returncode:
        return (*said, "it ended the process by itself (exit code 0)")
    if done.returncode == 1 and said:  # a traceback says more
        return said
    return (*said, f"exit code {done.returncode}")


def _unusable(check: Any, package: str | None) -> Result:
    detail = ("known are version (of an override's package), import, run and gpu",)
    return Result(
        kind="check",
        subject=f"not a check: {check!r}",
        status="failed",
        detail=detail,
        override=package,
    )


def _matches(found: str, wanted: str) -> bool:
    """Compare as PEP 440's ``==`` does: a local part counts only where ``wanted`` has one."""
    try:
        return SpecifierSet(f"=={wanted}").contains(found, prereleases=True)
    except (InvalidSpecifier, InvalidVersion):
        return found == wanted
