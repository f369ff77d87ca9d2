"""An image ready to run commands in: its root, environment, user, home and working directory.

OCI image-spec, config.md (``Env``, ``User``, ``WorkingDir``) and its conversion to a runtime
configuration (conversion.md), as container engines read them.  Standard library only.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from envlock.errors import ArtifactError
from envlock.image.config import environment
from envlock.platforms import PLATFORMS
from envlock.validate.layout import Config
from envlock.validate.rootfs import read_inside
from envlock.validate.sandbox import DEFAULT_PATH, Bind, Command, Completed, Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from envlock.limits import Limits
    from envlock.lock.model import Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """Where and as whom commands run.

    home: a directory to be made writable, or None; binds: what every command sees besides the
    root; hidden: directories of the root whose content no command sees.
    """

    sandbox: Sandbox
    rootfs: Path
    env: Mapping[str, str]
    user: tuple[int, int]
    workdir: str
    home: str | None
    limits: Limits
    binds: tuple[Bind, ...] = ()
    hidden: tuple[str, ...] = ()

    def with_env(self, more: Mapping[str, str]) -> Inside:
        """Return this with more variables."""
        return replace(self, env={**self.env, **more})

    def run(
        self,
        argv: tuple[str, ...],
        *,
        stdin: bytes = b"",
        binds: tuple[Bind, ...] = (),
        network: bool = False,
        interactive: bool = False,
    ) -> Completed:
        """Run ``argv`` in a sandbox of its own; raises SandboxError.

        ``network`` and ``interactive`` (the caller's terminal) are for people's commands.
        """
        command = Command(
            argv=argv,
            env=self.env,
            user=self.user,
            workdir=self.workdir,
            timeout=self.limits.seconds,
            memory=self.limits.memory,
            processes=self.limits.processes,
            disk=self.limits.disk,
            binds=(*self.binds, *binds),
            tmpfs=(*self.hidden, *((self.home,) if self.home else ())),
            stdin=stdin,
            network=network,
            interactive=interactive,
        )
        return self.sandbox.run(self.rootfs, command)


def enter(
    rootfs: Path,
    config: Config,
    sandbox: Sandbox,
    *,
    limits: Limits,
) -> Inside:
    """Return how commands run in ``rootfs`` by the image's config; raises ArtifactError.

    limits: those of each command.
    """
    uid, gid, listed = _user(rootfs, config.user)
    env = {"PATH": DEFAULT_PATH, **config.env}
    wanted = env.get("HOME") or listed
    home = wanted if _is_empty_directory(rootfs, wanted) else None
    if "HOME" not in env:
        env["HOME"] = home or "/tmp"  # noqa: S108 - inside
    return Inside(
        sandbox=sandbox,
        rootfs=rootfs,
        env=env,
        user=(uid, gid),
        workdir=config.workdir if _is_directory(rootfs, config.workdir) else "/",
        home=home,
        limits=limits,
    )


def config_of(lock: Lock | None) -> Config:
    """Return how commands start in an unpacked image: as its lock says, else as root in /."""
    settings = lock.spec.get("image", {}) if lock else {}
    return Config(
        architecture=PLATFORMS[lock.platform].oci if lock else "",
        env=environment(lock) if lock else {},
        user=settings.get("user", ""),
        workdir=settings.get("workdir", "/"),
        entrypoint=tuple(settings.get("entrypoint", ())),
        command=tuple(settings.get("command", ())),
    )


def shell_quoted(argv: tuple[str, ...]) -> str:
    """Return ``argv`` as a person would type it, in one line."""
    return shlex.join(argv).replace("\n", "; ")


def _user(rootfs: Path, user: str) -> tuple[int, int, str]:
    """Return uid, gid and home of config.md's ``user``, ``uid``, ``user:group`` and so on."""
    name, _, group = user.partition(":")
    rows = _rows(rootfs, "etc/passwd", 7)
    row = next((row for row in rows if name in {row[0], row[2]}), None) if name else None
    if not name:
        row = next((row for row in rows if row[2] == "0"), None)
    uid = _number(name or "0") if row is None else _number(row[2])
    gid = 0 if row is None else _number(row[3])
    if group:
        gid = _group(rootfs, group)
    if uid is None or gid is None:
        raise ArtifactError(f"the image's user {user!r} is not in its /etc/passwd and /etc/group")
    return uid, gid, row[5] if row is not None else "/"


def _group(rootfs: Path, group: str) -> int | None:
    rows = _rows(rootfs, "etc/group", 4)
    return next((_number(row[2]) for row in rows if row[0] == group), _number(group))


def _number(text: str) -> int | None:
    """Return a uid or gid, None where ``text`` is none that Linux has."""
    return int(text) if text.isdecimal() and len(text) <= 10 and int(text) < 2**32 - 1 else None


def _rows(rootfs: Path, path: str, width: int) -> list[list[str]]:
    data = read_inside(rootfs, path) or b""
    rows = [line.split(":") for line in data.decode("utf-8", "replace").splitlines()]
    return [row for row in rows if len(row) == width]


def _is_directory(rootfs: Path, path: str) -> bool:
    """Tell whether absolute ``path`` is a directory in the image; never follows links."""
    current = rootfs
    parts = [part for part in path.split("/") if part]
    if not path.startswith("/") or ".." in parts:
        return False
    for part in parts:
        current = current / part
        if current.is_symlink() or not current.is_dir():
            return False
    return True


def _is_empty_directory(rootfs: Path, path: str) -> bool:
    if not path.strip("/") or not _is_directory(rootfs, path):
        return False
    return not any((rootfs / path.strip("/")).iterdir())
