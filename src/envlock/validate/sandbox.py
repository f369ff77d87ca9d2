"""Run a command inside a root file system that nobody can change, seeing nothing else.

The one implementation is bubblewrap (``bwrap``): every namespace is new, the root is
read-only, only /tmp, /run, /var/tmp and what the caller names are writable (in memory, gone
afterwards), no capability is left, and the network has nothing but loopback unless asked for.
A system call filter keeps it from typing into the caller's terminal and from the caller's keys.
Where the caller is root, the command's user is root to the kernel, without its capabilities: what
root owns and no namespace hides, the kernel's settings in /proc/sys before all, is mounted
read-only.
It needs no daemon and no root.  Where it cannot be had, nothing is run at all.

A memory limit is RLIMIT_DATA (what a process really may write to): RLIMIT_AS would count the
terabytes of address space that CUDA reserves, and a cgroup needs rights that a user may not
have.  It holds for each process, not for their sum; there is none by default.  Where the machine's
memory runs out, the kernel ends what is in a sandbox before anything else.
Standard library only.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from envlock.errors import SandboxError
from envlock.validate.crowd import Crowd
from envlock.validate.listening import listen
from envlock.validate.mountpoints import closing_options, root_options
from envlock.validate.seccomp import MACHINES, call_filter

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_FOUND = 127
"""The return code where the command is not in the root file system (as in POSIX shells)."""

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_WRITABLE = ("/tmp", "/run", "/var/tmp")  # noqa: S108 - inside
_KERNEL = ("sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi", "driver", "mtrr")
"""What of /proc is the machine's own, not a process's."""
_HOSTS = b"127.0.0.1 localhost\n::1 localhost\n"
_INSTALL = "install bubblewrap (the package is called bubblewrap on Debian, Fedora and Arch)"
_NAMESPACES = (
    "let users make namespaces: sysctl user.max_user_namespaces above 0, "
    "kernel.unprivileged_userns_clone=1 (Debian), "
    "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu); in a container also its seccomp "
    "profile must allow it; envlock validate --no-sandbox does without, as root"
)
_LIMITER = (
    "import os,resource,sys\n"
    "size=int(sys.argv[1])\n"
    "resource.setrlimit(resource.RLIMIT_DATA,(size,size))\n"
    "os.execv(sys.argv[2],sys.argv[2:])"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """A path of this machine that the command may see; device: with access to device nodes."""

    source: Path
    target: str
    writable: bool = False
    device: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run, and as whom.

    user: numeric (uid, gid) inside; timeout in seconds; memory: bytes a process may write to;
    processes: and threads, all together; disk: bytes of each writable place in memory;
    tmpfs: more directories to be writable and empty, they must exist in the root; interactive:
    use the caller's terminal instead of capturing.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    user: tuple[int, int] = (65532, 65532)
    workdir: str = "/"
    network: bool = False
    timeout: float | None = None
    memory: int | None = None
    processes: int | None = None
    disk: int | None = None
    binds: tuple[Bind, ...] = ()
    tmpfs: tuple[str, ...] = ()
    stdin: bytes = b""
    interactive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """What became of a command; 128 + n: ended by signal n; stdout and stderr: their ends.

    crowded: it was ended because it had more processes than it may have.
    """

    returncode: int
    stdout: bytes
    stderr: bytes
    timed_out: bool
    seconds: float
    crowded: bool = False


class Sandbox(Protocol):
    """Runs commands inside root file systems."""

    def run(self, rootfs: Path, command: Command) -> Completed:
        """Run to the end or to the timeout, which nothing survives.

        Raises SandboxError where the sandbox cannot be set up; nothing was run then.
        """


def find_bwrap(search_path: str) -> Path:
    """Return bubblewrap's program from ``search_path`` (as in PATH); raises SandboxError."""
    found = shutil.which("bwrap", path=search_path)
    if found is None:
        raise SandboxError(
            "checks run in bubblewrap's sandbox, and bwrap is not installed", hint=_INSTALL
        )
    return Path(found).absolute()


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    """:class:`Sandbox` by bubblewrap 0.5 or later; program: an absolute path."""

    program: Path

    def run(self, rootfs: Path, command: Command) -> Completed:
        with ExitStack() as stack:
            stdin, hosts, seccomp = (
                _file_of(data, stack) for data in (command.stdin, _HOSTS, call_filter())
            )
            reading, writing = os.pipe()
            with os.fdopen(reading, "rb") as status:
                try:
                    options = _options(
                        rootfs, command, hosts.fileno(), writing, self._tmpfs(command)
                    )
                    options += _terminal_options(command, seccomp.fileno())
                    process, started = self._start(
                        options,
                        command,
                        None if command.interactive else stdin,
                        (hosts.fileno(), seccomp.fileno(), writing),
                    )
                finally:
                    os.close(writing)
                heard = listen(process, command.timeout, _crowd(process.pid, command))
                seconds = time.monotonic() - started
                ran = b'"exit-code"' in status.read(1 << 16)
        code = process.returncode
        if not ran and not heard.timed_out and not heard.crowded:
            code = _not_started(heard.stderr, command)
        return Completed(
            returncode=code,
            stdout=heard.stdout,
            stderr=heard.stderr,
            timed_out=heard.timed_out,
            seconds=seconds,
            crowded=heard.crowded,
        )

    def _start(
        self,
        options: list[str],
        command: Command,
        stdin: IO[bytes] | None,
        kept: tuple[int, ...],
    ) -> tuple[subprocess.Popen[bytes], float]:
        """Start bwrap, which gets its options by a pipe and does nothing before it has them."""
        reading, writing = os.pipe()
        argv = [str(self.program), "--args", str(reading), "--", *command.argv]
        if command.memory is not None:
            argv = [sys.executable, "-I", "-S", "-c", _LIMITER, str(command.memory), *argv]
        output = None if command.interactive else subprocess.PIPE
        started = time.monotonic()
        try:
            process = subprocess.Popen(
                argv, stdin=stdin, stdout=output, stderr=output, env={}, pass_fds=(*kept, reading)
            )
            with suppress(OSError):  # what it starts has it, too
                Path(f"/proc/{process.pid}/oom_score_adj").write_text("1000")
            os.close(reading)
            reading = -1
            with suppress(BrokenPipeError):  # it will say why
                _write(writing, b"".join(os.fsencode(word) + b"\0" for word in options))
        except OSError as error:
            raise SandboxError(f"cannot run {self.program}: {error}", hint=_INSTALL) from error
        finally:
            os.close(writing)
            if reading >= 0:
                os.close(reading)
        return process, started

    def _tmpfs(self, command: Command) -> list[str]:
        """Return the options for one more writable place; its path comes behind them.

        Raises SandboxError where there is a limit and a bwrap that knows none.
        """
        if command.disk is None:
            return ["--tmpfs"]
        if not _knows_sizes(self.program):
            raise SandboxError(
                "this bwrap cannot limit what is written", hint="it takes bubblewrap 0.7 or later"
            )
        return ["--size", str(command.disk), "--tmpfs"]


@functools.cache
def _knows_sizes(program: Path) -> bool:
    told = subprocess.run([program, "--help"], capture_output=True, check=False)
    return b"--size" in told.stdout


def _crowd(process: int, command: Command) -> Crowd | None:
    return None if command.processes is None else Crowd(bwrap=process, limit=command.processes)


def _options(
    rootfs: Path, command: Command, hosts: int, status: int, tmpfs: list[str]
) -> list[str]:
    uid, gid = command.user
    options = ["--unshare-all", "--die-with-parent", "--cap-drop", "ALL"]
    options += ["--share-net"] if command.network else []
    options += ["--uid", str(uid), "--gid", str(gid), "--hostname", "sandbox"]
    targets = [bind.target for bind in command.binds]
    covered = ("/dev", "/proc", *_WRITABLE, *command.tmpfs)
    options += ["--json-status-fd", str(status), *root_options(rootfs, targets, covered)]
    _require_directory(rootfs, "/proc")
    _require_directory(rootfs, "/dev")
    options += ["--proc", "/proc", "--dev", "/dev"]
    for name in _KERNEL:
        options += ["--ro-bind-try", f"/proc/{name}", f"/proc/{name}"]
    # bwrap's own process, which has no filter
    options += ["--tmpfs", "/proc/1", "--remount-ro", "/proc/1"]
    for place in (*_WRITABLE, *command.tmpfs):
        _require_directory(rootfs, place)
        options += [*tmpfs, place]
    if _kind(rootfs, "/etc/hosts") == stat.S_IFREG:
        options += ["--ro-bind-data", str(hosts), "/etc/hosts"]
    if command.network and _kind(rootfs, "/etc/resolv.conf") == stat.S_IFREG:
        options += ["--ro-bind-try", "/etc/resolv.conf", "/etc/resolv.conf"]
    for bind in command.binds:
        word = "--dev-bind" if bind.device else "--bind" if bind.writable else "--ro-bind"
        options += [word, str(bind.source), bind.target]
    options += closing_options(rootfs, targets, covered)
    options += [*tmpfs, "/dev/shm", "--remount-ro", "/dev"]  # noqa: S108 - inside
    options += ["--chdir", command.workdir, "--clearenv"]
    for name, value in command.env.items():
        options += ["--setenv", name, value]
    return options


def _terminal_options(command: Command, seccomp: int) -> list[str]:
    """Keep the command from typing into the caller's terminal: by the filter, by no terminal."""
    known = os.uname().machine in MACHINES
    options = ["--seccomp", str(seccomp)] if known else []
    return options if known and command.interactive else [*options, "--new-session"]


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _file_of(data: bytes, stack: ExitStack) -> IO[bytes]:
    """Return an open file that holds ``data``, at its start; it goes with ``stack``."""
    file = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
    file.write(data)
    file.seek(0)
    return file


def _not_started(stderr: bytes, command: Command) -> int:
    """Tell a missing command, which is the image's fault, from a sandbox that did not come up."""
    if command.interactive:
        raise SandboxError(f"{command.argv[0]!r} did not start; what bwrap said of it is above")
    said = stderr.decode("utf-8", "replace").strip()
    if re.search(r"^bwrap: execvp ", said, re.MULTILINE):
        return NOT_FOUND
    refused = re.search(r"namespace|uid map|gid map|Operation not permitted|clone", said)
    raise SandboxError(
        f"the sandbox for {command.argv[0]!r} cannot be set up",
        details=tuple(said.splitlines()[-5:]),
        hint=_NAMESPACES if refused else None,
    )


def _require_directory(rootfs: Path, place: str) -> None:
    if _kind(rootfs, place) != stat.S_IFDIR:
        raise SandboxError(
            f"the image's {place} is not a directory, so nothing can be mounted there",
            where=str(rootfs),
        )


def _kind(rootfs: Path, place: str) -> int | None:
    """Return the file type of ``place``, None where there is none or a link lies on the way."""
    current = rootfs
    kind: int | None = stat.S_IFDIR
    for part in place.strip("/").split("/"):
        if kind != stat.S_IFDIR:
            return None
        current = current / part
        try:
            kind = stat.S_IFMT(current.lstat().st_mode)
        except OSError:
            return None
    return kind
