"""Check an environment that lies in a folder of this machine, in the sandbox, too.

The machine's own root is what a command sees, read-only and without the user's home; it sees
the environment at its place, wherever it lies now, and no network.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from envlock.validate.checks import LIMITS, run_checks
from envlock.validate.inside import Inside
from envlock.validate.sandbox import DEFAULT_PATH, Bind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from envlock.limits import Limits
    from envlock.lock.model import Lock
    from envlock.progress import Reporter
    from envlock.validate.gpu.driver import Gpu
    from envlock.validate.results import Report
    from envlock.validate.sandbox import Sandbox


def validate_prefix(
    prefix: Path,
    lock: Lock,
    *,
    content: Path | None = None,
    python: str | None = None,
    env: Mapping[str, str],
    home: Path,
    sandbox: Sandbox,
    reporter: Reporter,
    limits: Limits = LIMITS,
    gpu: Gpu | None = None,
) -> Report:
    """Check the environment at ``prefix``, an existing absolute path, against its lock.

    content: where it lies now, if not there; python: prefix of an interpreter that it uses;
    env: variables that its packages want; home: the user's, which no check sees; limits:
    of each check; gpu: run the ``gpu`` checks with this.  Raises SandboxError.
    """
    started = time.monotonic()
    binds = [Bind(source=content or prefix, target=str(prefix))]
    if python is not None and _hidden(Path(python), home):
        binds.insert(0, Bind(source=Path(python), target=python))
    inside = Inside(
        sandbox=sandbox,
        rootfs=Path("/"),
        env={"HOME": "/tmp", **variables(prefix, lock, env)},  # noqa: S108 - inside
        user=(os.getuid(), os.getgid()),
        workdir="/",
        home=None,
        limits=limits,
        binds=tuple(binds),
        hidden=(str(home),) if _is_hideable(home) else (),
    )
    report = run_checks(inside, lock, reporter, gpu=gpu)
    return replace(report, image=str(prefix), seconds=time.monotonic() - started)


def variables(prefix: Path, lock: Lock, env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a process in an environment; env: what its packages want."""
    own = {**env, "PATH": f"{prefix}/bin:{DEFAULT_PATH}"}
    if lock.of_kind("conda"):
        own["CONDA_PREFIX"] = str(prefix)
    asked: Mapping[str, str] = lock.spec.get("image", {}).get("env", {})
    return {**own, **asked}


def _hidden(path: Path, home: Path) -> bool:
    """Tell whether something at ``path`` is out of sight in the sandbox."""
    return any(path.is_relative_to(place) for place in (home, "/tmp", "/run", "/var/tmp"))  # noqa: S108


def _is_hideable(home: Path) -> bool:
    return home.is_absolute() and len(home.parts) > 1 and home.is_dir() and home.resolve() == home
