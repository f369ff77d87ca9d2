"""Run the spec's checks, one sandbox each, and say what became of them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from envlock.lock.accepts import check_words
from envlock.validate.inside import Inside, shell_quoted
from envlock.validate.inventory import Inventory
from envlock.validate.outcome import ran, told
from envlock.validate.results import Result

if TYPE_CHECKING:
    from envlock.validate.gpu.run import GpuRunner
    from envlock.validate.sandbox import Completed

NO_GPU = "no GPU here"
"""Why GPU checks did not run where none is to be seen."""

NOT_ASKED = "a GPU is here; --gpu runs it"
"""The same where one is, and was not asked for."""

_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs the spec's checks; inventory: None where no Python was asked.

    gpu: runs the ``gpu`` checks; else the sentence that says why they are not run.
    """

    inside: Inside
    python: str
    inventory: Inventory | Completed | None
    gpu: GpuRunner | str

    def check(self, check: Any, package: str | None) -> Result:
        """Run one check as the spec's ``checks`` lists write it."""
        result = self._check(check, package)
        words = check_words(check) if isinstance(check, Mapping) else ()
        return replace(result, check=words)

    def _check(self, check: Any, package: str | None) -> Result:
        if not isinstance(check, Mapping) or len(check) != 1:
            return _unusable(check, package)
        ((kind, value),) = check.items()
        if kind == "version" and package is not None:
            return self._version(str(value), package)
        if kind == "import" and isinstance(value, str) and _MODULE.fullmatch(value):
            return self._import(value, package)
        if kind == "gpu" and isinstance(value, (list, str)) and value:
            return self._gpu(dict(check), package)
        if kind == "run" and isinstance(value, list) and value:
            argv = tuple(str(word) for word in value)
            return ran("run", self.inside.run(argv), argv, package)
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
            detail=() if passed else told(done, self.python),
            seconds=done.seconds,
            override=package,
        )

    def _gpu(self, check: dict[str, Any], package: str | None) -> Result:
        if not isinstance(self.gpu, str):
            return self.gpu.check(check, package)
        value = check["gpu"]
        return Result(
            kind="gpu",
            subject=value if isinstance(value, str) else shell_quoted(tuple(map(str, value))),
            status="not-run",
            detail=(self.gpu,),
            override=package,
        )


def described(check: Any, package: str | None) -> str:
    """Name a check in one line."""
    kind, value = next(iter(check.items())) if isinstance(check, Mapping) and check else ("", check)
    words = tuple(map(str, value)) if isinstance(value, list) else (str(value),)
    what = f"{kind} {shell_quoted(words)}"
    return f"{what} ({package})" if package else what


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
