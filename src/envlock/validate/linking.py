"""Run conda packages' post-link scripts in the sandbox, and take what they leave.

The scripts see the image's own layers below a copy of the prefix, no network and no clock that
counts: they run twice, a second apart, each time in a copy of its own, and what they leave must
be the same.  Standard library only.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import stat
import tempfile
import time
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from envlock.errors import ArtifactError, UsageError
from envlock.files import disk_errors, locked
from envlock.image.build import build_image
from envlock.image.layout import staging
from envlock.image.linked import Linked
from envlock.layers.coded import Coded, Pieces
from envlock.layers.entry import Entry, directory, symlink
from envlock.limits import Limits
from envlock.lock.linking import scripts_to_run
from envlock.platforms import PLATFORMS
from envlock.progress import SILENT
from envlock.validate.layout import open_layout
from envlock.validate.rootfs import prepare_rootfs
from envlock.validate.sandbox import DEFAULT_PATH, Bind, Command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from envlock.image.build import Workshop
    from envlock.image.linked import Linker
    from envlock.layers.plan import LayerPlan
    from envlock.lock.linking import LinkScript
    from envlock.lock.model import Lock
    from envlock.progress import Reporter
    from envlock.validate.sandbox import Completed, Sandbox

LIMITS = Limits()
"""What one script may use up, unless the caller says otherwise: as much as a check."""

_APART = 1.1
"""Seconds between the two runs: what writes the time writes another one."""

_LARGEST = 1 << 30
"""Bytes that the scripts may leave, together."""

_MESSAGES = ".messages.txt"
"""What scripts tell whoever installs (conda shows it, and removes it)."""

_SHELLS = ("{prefix}/bin/bash", "/usr/bin/bash", "/bin/bash", "/usr/bin/sh", "/bin/sh")
_LINES = 8
_LONGEST = 1 << 16
"""Bytes of a script's messages that are told."""


def linker(
    lock: Lock,
    paths: Mapping[str, Path],
    sandbox: Callable[[], Sandbox],
    reporter: Reporter,
    limits: Limits = LIMITS,
) -> Linker:
    """Return what runs the post-link scripts that a lock's spec wants run.

    sandbox: asked for when there is a script to run; limits: of each script.  What is returned
    raises UsageError on a machine of another kind, ArtifactError for a script that fails or does
    what no layer can hold, SandboxError, DiskError.
    """

    def link(plan: LayerPlan, below: Workshop) -> Linked:
        _require_this_machine(lock)
        scripts, inside = scripts_to_run(lock), sandbox()
        with (
            _workplace(below.cache / "linking") as place,
            reporter.task(f"running {len(scripts)} post-link scripts"),
        ):
            root = _root(lock, paths, below, place / "image")
            run = _Run(root, plan.scheme.prefix, scripts, inside, limits)
            first = run.once(place / "first")
            time.sleep(_APART)
            second = run.once(place / "second")
            _require_same(first, second)
            for line in first.messages:
                reporter.note(line)
            return first.linked

    return link


@contextmanager
def _workplace(folder: Path) -> Iterator[Path]:
    """Yield an empty folder for one build at a time; what a killed one left goes."""
    with locked(folder / "lock"), disk_errors(folder):
        for left in folder.glob(".linking-*"):
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=".linking-", dir=folder) as place:
            yield Path(place)


def _require_this_machine(lock: Lock) -> None:
    wanted, here = PLATFORMS[lock.platform].machine, os.uname().machine
    if wanted != here:
        raise UsageError(
            f"{lock.name} is for {lock.platform}, and its post-link scripts cannot be run on "
            f"{here}",
            hint="build on such a machine, or write skip for them in conda.link-scripts",
        )


def _root(lock: Lock, paths: Mapping[str, Path], below: Workshop, layout: Path) -> Path:
    """Return a root file system of the lock without its wheels."""
    conda = {key: item for key, item in lock.spec["conda"].items() if key != "link-scripts"}
    bare = replace(
        lock,
        spec={**lock.spec, "conda": conda},
        artifacts=tuple(one for one in lock.artifacts if one.kind != "pypi"),
        built=None,
    )
    with staging(layout) as place:
        build_image(bare, paths, place, below, SILENT)
        image = open_layout(place.folder, architecture=PLATFORMS[lock.platform].oci)
        return prepare_rootfs(image, cache=below.cache, reporter=SILENT)


@dataclass(frozen=True, slots=True)
class _Left:
    """What one run left, and what the scripts told."""

    linked: Linked
    messages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Run:
    root: Path
    prefix: str
    scripts: tuple[LinkScript, ...]
    sandbox: Sandbox
    limits: Limits

    def once(self, copy: Path) -> _Left:
        """Run all scripts in a copy of the prefix, which goes to ``copy``."""
        shutil.copytree(self.root / self.prefix, copy, symlinks=True)
        for folder, _, _ in os.walk(copy):
            os.utime(folder, (0, 0))
        before = dict(_marks(copy))
        messages: list[str] = []
        for script in self.scripts:
            self._script(script, copy)
            messages += _messages(script, copy)
        return _Left(self._left(copy, before), tuple(messages))

    def _script(self, script: LinkScript, copy: Path) -> None:
        prefix = f"/{self.prefix}"
        where = f"{script.package} {script.version}: {script.path}"
        shell = next((s for s in self._shells() if (self.root / s.lstrip("/")).exists()), None)
        if shell is None:
            raise ArtifactError(
                "no shell is in the image to run it",
                where=where,
                hint="add bash to debian.packages or conda.dependencies",
            )
        done = self.sandbox.run(
            self.root,
            Command(
                argv=(shell, f"{prefix}/{script.path}"),
                env=_variables(script, prefix),
                workdir=prefix,
                timeout=self.limits.seconds,
                memory=self.limits.memory,
                processes=self.limits.processes,
                disk=self.limits.disk,
                binds=(Bind(source=copy, target=prefix, writable=True),),
            ),
        )
        if done.timed_out or done.crowded or done.returncode:
            said = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
            raise ArtifactError(
                self._ending(done),
                where=where,
                details=[f"  {line}" for line in said[-_LINES:]],
                hint="in the sandbox there is no network; write skip for it in conda.link-scripts "
                "if the image can do without",
            )

    def _ending(self, done: Completed) -> str:
        if done.timed_out:
            return f"it did not end within {self.limits.seconds:.0f} s (checks.seconds)"
        if done.crowded:
            return f"it had more than {self.limits.processes} processes (checks.processes)"
        return f"it failed with exit code {done.returncode}"

    def _shells(self) -> Iterator[str]:
        return (shell.format(prefix=f"/{self.prefix}") for shell in _SHELLS)

    def _left(self, copy: Path, before: Mapping[str, tuple[int, int]]) -> Linked:
        """Return what is in a copy and was not, or was something else."""
        after = dict(_marks(copy))
        gone = sorted(before.keys() - after.keys())
        if gone:
            raise ArtifactError(
                f"a post-link script removes /{self.prefix}/{gone[0]}, which a package brings",
                hint=_SKIP,
            )
        entries, new, size = [], set(), 0
        for path in sorted(path for path, mark in after.items() if before.get(path) != mark):
            size += (copy / path).lstat().st_size
            if size > _LARGEST:
                raise ArtifactError(
                    f"post-link scripts leave more than {_LARGEST} bytes", hint=_SKIP
                )
            entry = self._entry(copy, path)
            if path not in before:
                new.add(entry.path)
            elif entry.kind == "dir" or self._is_as_before(copy, path):
                continue
            entries.append(entry)
        return Linked(entries=tuple(entries), new=frozenset(new))

    def _entry(self, copy: Path, path: str) -> Entry:
        place, target = copy / path, f"{self.prefix}/{path}"
        found = place.lstat()
        if stat.S_ISDIR(found.st_mode):
            return directory(target)
        if stat.S_ISLNK(found.st_mode):
            leads = str(place.readlink())
            whole = posixpath.normpath(posixpath.join("/", posixpath.dirname(target), leads))
            if not whole.startswith(f"/{self.prefix}/"):
                raise ArtifactError(
                    f"a post-link script makes /{target} a link to {leads}, which leads out of "
                    "the environment",
                    hint=_SKIP,
                )
            return symlink(target, leads)
        if not stat.S_ISREG(found.st_mode):
            raise ArtifactError(f"a post-link script makes /{target}, which is no file", hint=_SKIP)
        data = place.read_bytes()
        mode = 0o755 if found.st_mode & 0o100 else 0o644
        content = Coded(Pieces(data), zlib.crc32(data))
        return Entry(path=target, kind="file", mode=mode, content=content)

    def _is_as_before(self, copy: Path, path: str) -> bool:
        old, new = self.root / self.prefix / path, copy / path
        kinds = [stat.S_IFMT(place.lstat().st_mode) for place in (old, new)]
        if kinds[0] != kinds[1]:
            return False
        if stat.S_ISLNK(kinds[0]):
            return old.readlink() == new.readlink()
        same_mode = not (old.stat().st_mode ^ new.stat().st_mode) & 0o100
        return same_mode and old.read_bytes() == new.read_bytes()


def _variables(script: LinkScript, prefix: str) -> dict[str, str]:
    """Return what a script sees: conda's variables, and nothing that differs between machines."""
    return {
        "CONDA_PREFIX": prefix,
        "HOME": "/tmp",  # noqa: S108 - inside
        "LANG": "C.UTF-8",
        "PATH": f"{prefix}/bin:{DEFAULT_PATH}",
        "PKG_BUILDNUM": str(script.build_number),
        "PKG_NAME": script.package,
        "PKG_VERSION": script.version,
        "PREFIX": prefix,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": "0",
        "TZ": "UTC",
    }


_SKIP = "no layer can hold that: write skip for it in conda.link-scripts"


def _marks(folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield each path with what changes when it is written to, whatever its times say."""
    for parent, folders, files in os.walk(folder, onerror=_raise):
        for name in (*folders, *files):
            place = Path(parent, name)
            found = place.lstat()
            yield str(place.relative_to(folder)), (found.st_ino, found.st_ctime_ns)


def _raise(error: OSError) -> None:
    raise ArtifactError(f"a post-link script leaves a folder that cannot be read: {error}")


def _messages(script: LinkScript, copy: Path) -> list[str]:
    """Return what a script tells, and remove it, as conda does."""
    place = copy / _MESSAGES
    if place.is_symlink() or not place.is_file():
        return []
    with place.open("rb") as file:
        lines = file.read(_LONGEST).decode("utf-8", "replace").splitlines()
    place.unlink()
    return [f"{script.package} says: {line}" for line in lines if line.strip()]


def _require_same(first: _Left, second: _Left) -> None:
    """Refuse what is another each time; raises ArtifactError."""
    seen = [{entry.path: _told(entry) for entry in left.linked.entries} for left in (first, second)]
    for path in sorted(seen[0].keys() | seen[1].keys()):
        if seen[0].get(path) != seen[1].get(path):
            raise ArtifactError(
                f"a post-link script does not write the same twice: /{path}",
                hint="an image with it would be another one each time: write skip for it in "
                "conda.link-scripts, and do what is needed of it in another way",
            )


def _told(entry: Entry) -> tuple[str, int, str, bytes]:
    content = entry.content
    return entry.kind, entry.mode, entry.target, content.read() if content is not None else b""
