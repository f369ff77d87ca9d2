"""Without the sandbox: only on request, said loudly, and with the files kept apart."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from envlock.errors import SandboxError
from envlock.validate.layout import open_layout
from envlock.validate.rootfs import prepare_rootfs
from envlock.validate.sandbox import NOT_FOUND, Bind, Command, Completed
from envlock.validate.unprotected import Unprotected

from .images import SILENT, Layout, python_layer

ENV = {"PATH": "/usr/bin:/bin", "HOME": "/tmp"}
BOX = Unprotected()
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can enter an image")


def plain(source: str, **more: Any) -> Completed:
    return BOX.run(Path("/"), Command(argv=("/bin/sh", "-c", source), env=ENV, **more))


def test_a_plain_command() -> None:
    done = plain("cat; pwd; echo $HOME >&2; exit 3", stdin=b"given ")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"given /\n", b"/tmp\n")
    assert plain("kill -ABRT $$").returncode == 134
    gone = BOX.run(Path("/"), Command(argv=("/no/program",), env=ENV))
    assert gone.returncode == NOT_FOUND


def test_a_timeout_ends_the_children_too(tmp_path: Path) -> None:
    started = time.monotonic()
    done = plain(f"(sleep 30; touch {tmp_path}/late) & sleep 30", timeout=0.5)
    assert done.timed_out
    assert time.monotonic() - started < 10


@pytest.mark.skipif(os.geteuid() == 0, reason="root can")
def test_who_is_not_root_cannot_enter(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="only root"):
        BOX.run(tmp_path, Command(argv=("true",)))


@as_root
def test_a_root_without_folders_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="cannot be entered") as caught:
        BOX.run(tmp_path, Command(argv=("true",)))
    assert "mount" in caught.value.details[0]


@pytest.fixture(scope="module")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("entered")
    layout = Layout(folder / "layout").raw_layer(python_layer())
    image = open_layout(layout.write())
    return prepare_rootfs(image, cache=folder / "cache", reporter=SILENT)


@as_root
@pytest.mark.container
class TestEntered:
    def run(self, rootfs: Path, source: str, **more: Any) -> Completed:
        fields: dict[str, Any] = {"env": ENV, "user": (65532, 65532), **more}
        return BOX.run(rootfs, Command(argv=("python3", "-c", source), **fields))

    def test_who_where_and_what_is_writable(self, rootfs: Path) -> None:
        source = (
            "import os\nprint(os.getuid(), os.getgid(), os.getgroups(), os.getcwd(), "
            "sorted(os.listdir('/dev')))\n"
            "for place in ['/tmp', '/run', '/dev/shm', '/app', '/usr', '/', '/home/nonroot']:\n"
            "  try: open(place + '/x', 'w').close(); print(place)\n"
            "  except OSError: pass\n"
            "print(any(line.split() == ['NoNewPrivs:', '1'] for line in open('/proc/self/status')))"
        )
        done = self.run(rootfs, source, workdir="/app", tmpfs=("/home/nonroot",))
        assert done.stdout.decode().splitlines() == [
            "65532 65532 [] /app ['full', 'null', 'random', 'shm', 'urandom', 'zero']",
            "/tmp", "/run", "/dev/shm", "/home/nonroot", "True",
        ], done.stderr  # fmt: skip
        assert not (rootfs / "tmp/x").exists()

    def test_binds(self, rootfs: Path, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("seen")
        tmp_path.chmod(0o755)
        binds = (
            Bind(source=tmp_path, target="/run/x/folder"),
            Bind(source=tmp_path / "a", target="/run/x/y/file"),
            Bind(source=Path("/dev/null"), target="/dev/nvidia0", device=True),
        )
        source = (
            "print(open('/run/x/folder/a').read(), open('/run/x/y/file').read())\n"
            "open('/dev/nvidia0', 'w').write('x')\nopen('/run/x/y/file', 'w')"
        )
        done = self.run(rootfs, source, binds=binds, user=(0, 0))
        assert done.stdout == b"seen seen\n"
        assert b"/run/x/y/file" in done.stderr.splitlines()[-1]
        assert (tmp_path / "a").read_text() == "seen"

    def test_no_module_of_the_image_runs_as_root(self, rootfs: Path) -> None:
        gone = BOX.run(rootfs, Command(argv=("no-such-program",), env=ENV))
        assert gone.returncode == NOT_FOUND
        assert gone.stderr == b"envlock: no-such-program: not found\n"
