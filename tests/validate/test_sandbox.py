from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from envlock.errors import SandboxError
from envlock.lock.codec import dump_lock
from envlock.lock.model import Lock, LockedOverride, VoidedRequirement
from envlock.validate.checks import validate_image
from envlock.validate.listening import CAPTURE_LIMIT
from envlock.validate.report import as_lines
from envlock.validate.sandbox import (
    NOT_FOUND,
    Bind,
    Bubblewrap,
    Command,
    Completed,
    find_bwrap,
)

from ..lock.locks import SPEC
from .images import SILENT, SITE, Layout, dist, lock_of, member, python_layer

ENV = {"PATH": "/usr/bin", "HOME": "/home/nonroot"}
SOURCE = Path(__file__).parents[2] / "src"


def test_no_bwrap_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="not installed") as caught:
        find_bwrap(str(tmp_path))
    assert "bubblewrap" in (caught.value.hint or "")


def test_where_bwrap_is_missing_nothing_runs(tmp_path: Path) -> None:
    """The command line says what to install; --no-sandbox is never chosen by itself."""
    mark = tmp_path / "ran"
    spec = {**SPEC, "checks": [{"run": ["touch", str(mark)]}]}
    lock = tmp_path / "a.linux-64.lock.json"
    lock.write_text(dump_lock(Lock(name="a", platform="linux-64", spec=spec, artifacts=())))
    done = subprocess.run(
        [sys.executable, "-m", "envlock", "validate", "--rootfs", ".", "--lock", str(lock)],
        env={**os.environ, "PATH": str(tmp_path), "ENVLOCK_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode != 0
    assert "install bubblewrap" in done.stderr
    assert not mark.exists()


def test_missing_mount_point_is_told_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "proc").symlink_to("/etc")
    with pytest.raises(SandboxError, match="/proc is not a directory"):
        Bubblewrap(Path("/nonexistent/bwrap")).run(tmp_path, Command(argv=("true",)))


def test_a_bwrap_that_may_not_make_namespaces(tmp_path: Path) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2; exit 1\n")
    fake.chmod(0o755)
    for place in ("proc", "dev", "tmp", "run", "var/tmp"):
        (tmp_path / place).mkdir(parents=True)
    with pytest.raises(SandboxError, match="cannot be set up") as caught:
        Bubblewrap(fake).run(tmp_path, Command(argv=("true",)))
    assert "sysctl" in (caught.value.hint or "")
    assert "--no-sandbox" in (caught.value.hint or "")
    with pytest.raises(SandboxError, match="cannot run"):
        Bubblewrap(tmp_path / "none").run(tmp_path, Command(argv=("true",)))


def python(sandbox: Bubblewrap, rootfs: Path, source: str, **fields: Any) -> Completed:
    command = Command(argv=("python3", "-c", source), **{"env": ENV, "timeout": 60, **fields})
    return sandbox.run(rootfs, command)


@pytest.mark.container
class TestBubblewrap:
    def test_who_and_where(self, sandbox: Bubblewrap, rootfs: Path) -> None:
        source = (
            "import os,socket,sys;"
            "print(os.getuid(), os.getgid(), os.getcwd(), os.getpid() < 10, socket.gethostname(),"
            "sorted(k for k in os.environ if k not in {'LC_CTYPE', 'PWD'}), sys.stdin.read())"
        )
        done = python(sandbox, rootfs, source, workdir="/app", stdin=b"hello")
        assert done.stdout.decode().split(maxsplit=5) == [
            "65532", "65532", "/app", "True", "sandbox", "['HOME', 'PATH'] hello\n"
        ]  # fmt: skip
        assert (done.returncode, done.stderr, done.timed_out) == (0, b"", False)

    def test_only_memory_is_writable(self, sandbox: Bubblewrap, rootfs: Path) -> None:
        source = (
            "import os\n"
            "for place in ['/tmp','/run','/var/tmp','/home/nonroot','/dev/shm','/','/usr','/etc',"
            "'/app','/proc/sys/kernel']:\n"
            "  try: open(place + '/x', 'w').write('x'); print(place)\n"
            "  except OSError: pass\n"
        )
        done = python(sandbox, rootfs, source, tmpfs=("/home/nonroot",))
        assert done.stdout.split() == [
            b"/tmp", b"/run", b"/var/tmp", b"/home/nonroot", b"/dev/shm"
        ]  # fmt: skip
        assert not list((rootfs / "tmp").iterdir())

    def test_no_network_and_no_host(
        self, sandbox: Bubblewrap, rootfs: Path, tmp_path: Path
    ) -> None:
        secret = tmp_path / "secret"
        secret.write_text("x")
        with socket.create_server(("127.0.0.1", 0)) as server:
            source = (
                "import os,socket\n"
                f"print(os.path.exists({str(secret)!r}), os.listdir('/tmp'))\n"
                f"try: socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 2)\n"
                "except OSError as error: print(type(error).__name__)\n"
                "print([n for _, n in socket.if_nameindex()], socket.gethostbyname('localhost'))\n"
                "print([p for p in os.listdir('/proc') if p.isdigit() and int(p) > 20])\n"
            )
            done = python(sandbox, rootfs, source)
        assert done.stdout.decode().splitlines() == [
            "False []", "ConnectionRefusedError", "['lo'] 127.0.0.1", "[]"
        ]  # fmt: skip

    def test_network_where_asked_for(self, sandbox: Bubblewrap, rootfs: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            source = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)"
            assert python(sandbox, rootfs, source, network=True).returncode == 0

    def test_binds(self, sandbox: Bubblewrap, rootfs: Path, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("seen")
        tmp_path.chmod(0o755)
        source = "print(open('/run/x/a').read()); open('/run/x/a', 'w').write('changed')"
        bind = Bind(source=tmp_path, target="/run/x")
        done = python(sandbox, rootfs, source, binds=(bind,))
        assert done.stdout == b"seen\n"
        assert done.returncode == 1
        bind = Bind(source=tmp_path, target="/run/x", writable=True)
        assert python(sandbox, rootfs, source, binds=(bind,)).returncode == 0
        assert (tmp_path / "a").read_text() == "changed"

    def test_no_capabilities(self, sandbox: Bubblewrap, rootfs: Path) -> None:
        source = (
            "wanted = ('CapEff', 'CapPrm', 'CapBnd', 'NoNewP')\n"
            "lines = [line.split() for line in open('/proc/self/status')]\n"
            "print([line[1] for line in lines if line[0][:6] in wanted])"
        )
        done = python(sandbox, rootfs, source, user=(0, 0))
        assert done.stdout == b"['0000000000000000', '0000000000000000', '0000000000000000', '1']\n"

    def test_nothing_of_the_set_up_is_left(self, sandbox: Bubblewrap, rootfs: Path) -> None:
        source = (
            "import os\n"
            "print(len(os.listdir('/proc/self/fd')), repr(os.environ['EMPTY']))\n"
            "print(os.listdir('/proc/1'))"
        )
        done = python(sandbox, rootfs, source, env={**ENV, "EMPTY": ""})
        assert done.stdout.startswith(b"4 ''\n")  # the three, and the folder's own
        assert done.stdout.endswith(b"\n[]\n")

    def test_typing_into_the_terminal_is_refused(self, sandbox: Bubblewrap, rootfs: Path) -> None:
        """With any high bits: the kernel does not look at them."""
        source = (
            "import ctypes, os\n"
            "libc = ctypes.CDLL(None, use_errno=True)\n"
            "number = {'x86_64': 16, 'aarch64': 29}[os.uname().machine]\n"
            "for request in (0x5412, 0x541C, 0x5412 | 7 << 32, 0x541C | 1 << 63, 0x5413):\n"
            "  done = libc.syscall(ctypes.c_long(number), 0, ctypes.c_ulong(request), b'x')\n"
            "  print(done, ctypes.get_errno())\n"
        )
        done = python(sandbox, rootfs, source)
        assert done.stdout.splitlines() == [*[b"-1 1"] * 4, b"-1 25"], done.stderr

    def test_exit_codes(self, sandbox: Bubblewrap, rootfs: Path) -> None:
        assert python(sandbox, rootfs, "raise SystemExit(7)").returncode == 7
        assert python(sandbox, rootfs, "import os; os.abort()").returncode == 134
        done = sandbox.run(rootfs, Command(argv=("none",), env=ENV))
        assert done.returncode == NOT_FOUND

    def test_a_workdir_that_is_not_there(self, sandbox: Bubblewrap, rootfs: Path) -> None:
        with pytest.raises(SandboxError):
            python(sandbox, rootfs, "pass", workdir="/none")

    def test_timeout_leaves_nothing(self, sandbox: Bubblewrap, rootfs: Path) -> None:
        word = f"left-{os.getpid()}-{time.monotonic_ns()}"
        source = (
            "import os, sys, subprocess, time, signal\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "nap = [sys.executable, '-c', 'import time; time.sleep(600)', sys.argv[1]]\n"
            "subprocess.Popen(nap, start_new_session=True)\n"
            "subprocess.Popen(nap, start_new_session=True, stdout=-3, stderr=-3)\n"
            "print('ready', flush=True); time.sleep(600)\n"
        )
        started = time.monotonic()
        done = sandbox.run(
            rootfs, Command(argv=("python3", "-c", source, word), env=ENV, timeout=1.5)
        )
        assert done.timed_out
        assert done.stdout == b"ready\n"
        assert time.monotonic() - started < 10
        deadline = time.monotonic() + 5
        while (left := _processes_with(word)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert left == []

    def test_children_left_behind_do_not_hold_the_run(
        self, sandbox: Bubblewrap, rootfs: Path
    ) -> None:
        source = (
            "import subprocess, sys\n"
            "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
        )
        done = python(sandbox, rootfs, source)
        assert not done.timed_out
        assert done.seconds < 10

    def test_endless_output_is_bounded(self, sandbox: Bubblewrap, rootfs: Path) -> None:
        source = "import os\nwhile True: os.write(1, b'x' * 65536)"
        done = python(sandbox, rootfs, source, timeout=1)
        assert done.timed_out
        assert len(done.stdout) == CAPTURE_LIMIT

    def test_memory_limit(self, sandbox: Bubblewrap, rootfs: Path) -> None:
        source = "x = bytearray(300 << 20)"
        assert python(sandbox, rootfs, source).returncode == 0
        done = python(sandbox, rootfs, source, memory=200 << 20)
        assert b"MemoryError" in done.stderr
        reserve = "import mmap; mmap.mmap(-1, 1 << 40, mmap.MAP_SHARED | 0x4000)"  # NORESERVE
        assert python(sandbox, rootfs, reserve, memory=200 << 20).returncode == 0

    def test_the_program_itself_gone(self, rootfs: Path) -> None:
        with pytest.raises(SandboxError):
            Bubblewrap(Path("/nonexistent/bwrap")).run(rootfs, Command(argv=("true",)))

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
    def test_as_a_normal_user(self, layout: Layout, work: Path) -> None:
        cache = work / "user-cache"
        cache.mkdir()
        os.chown(cache, 65534, 65534)
        source = (
            "import sys; from pathlib import Path\n"
            "from envlock.progress import SILENT\n"
            "from envlock.validate import layout, rootfs, sandbox\n"
            "image = layout.open_layout(Path(sys.argv[1]))\n"
            "root = rootfs.prepare_rootfs(image, cache=Path(sys.argv[2]), reporter=SILENT)\n"
            "box = sandbox.Bubblewrap(sandbox.find_bwrap(sandbox.DEFAULT_PATH))\n"
            "command = sandbox.Command(argv=('python3', '-c', 'import os; print(os.getuid())'),\n"
            "    env={'PATH': '/usr/bin'})\n"
            "done = box.run(root, command)\n"
            "assert (done.returncode, done.stdout) == (0, b'65532\\n'), done\n"
        )
        shutil.copytree(SOURCE, work / "src", ignore=shutil.ignore_patterns("__pycache__"))
        argv = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        for interpreter in (sys.executable, "/usr/bin/python3"):
            modern = [*argv, interpreter, "-c", "import sys; assert sys.version_info >= (3, 11)"]
            with contextlib.suppress(OSError):
                if subprocess.run(modern, check=False, capture_output=True).returncode == 0:
                    break
        else:
            pytest.skip("no Python that another user may run")
        done = subprocess.run(
            [*argv, interpreter, "-c", source, str(layout.root), str(cache)],
            env={"PYTHONPATH": str(work / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            check=False,
            cwd="/",
        )
        assert done.returncode == 0, done.stderr.decode()


@pytest.mark.container
def test_a_whole_image(sandbox: Bubblewrap, work: Path) -> None:
    layout = Layout(work / "whole", config={"User": "nonroot", "WorkingDir": "/app"})
    layout.raw_layer(python_layer()).layer(
        *dist("torchy", "2.6.0", "trition==3.2.0", "numby>=1; extra == 'x'"),
        *dist("trition", "2.3.1"),
        member(f"{SITE}/noise.pth", "import sys; print('noise', flush=True)\n"),
        member(f"{SITE}/crash.py", "import os; print('last words', flush=True); os.abort()\n"),
        member(f"{SITE}/leave.py", "import os; os._exit(0)\n"),
        member(f"{SITE}/red.py", "raise RuntimeError('\x1b[31mred\x1b[0m')\n"),
        member("app/json.py", "raise SystemExit('not the standard library')\n"),
    )
    checks = [
        {"import": "torchy"},
        {"import": "crash"},
        {"import": "leave"},
        {"import": "red"},
        {"import": "missing.part"},
        {"run": ["python3", "-c", "import torchy; print(torchy.__version__)"]},
        {"run": ["no-such-program"]},
        {"gpu": ["python3", "-c", "1/0"]},
    ]
    override = LockedOverride(
        package="trition",
        version="2.3.1",
        voids=(
            VoidedRequirement(dependent="torchy", version="2.6.0", requirement="trition==3.2.0"),
        ),
    )
    asked = {
        "package": "trition",
        "because": "of ops",
        "checks": [{"version": "2.3.1"}, {"import": "trition"}],
    }
    lock = lock_of(
        ("torchy", "2.6.0"),
        ("trition", "2.3.1"),
        spec={"checks": checks, "overrides": [asked]},
        overrides=(override,),
    )
    report = validate_image(
        layout.write(),
        lock,
        cache=work / "cache",
        sandbox=sandbox,
        reporter=SILENT,
    )
    lines = "\n".join(as_lines(report))
    assert [result.status for result in report.results] == [
        "passed", "passed", "passed", "passed", "passed",
        "failed", "failed", "failed", "failed", "passed", "failed", "not-run",
    ], lines  # fmt: skip
    for text in (
        "2 distributions are the locked ones",
        "0 requirements hold; 1 voided: torchy 2.6.0 requires trition==3.2.0, has 2.3.1",
        "last words",
        "ended by signal SIGABRT",
        "ended the process by itself",
        "RuntimeError: red",
        "ModuleNotFoundError: No module named 'missing'",
        "no-such-program is not in the image",
        "not run: no GPU here",
        "Failed: 5 of 11 checks, 1 not run",
    ):
        assert text in lines


def _processes_with(word: str) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                if word.encode() in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
    return found
