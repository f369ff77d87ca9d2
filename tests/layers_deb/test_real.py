"""The real packages of an environment's OS layer, judged by dpkg, ldconfig and a sandbox."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from envlock.layers.deb import merged_path, read_control, read_entries
from envlock.layers.debtree import Tree
from envlock.layers.system import system_entries

from ..makers.apt import apt_get
from .making import collect

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.layers.entry import Entry

pytestmark = pytest.mark.network
WANTED = (
    *("base-files", "base-passwd", "libc-bin", "dash", "python3.11-minimal"),
    *("libpython3.11-stdlib", "ca-certificates", "gcc", "libc6-dev", "libpython3.11-dev"),
)


def write(root: Path, entry: Entry) -> None:
    path = root / entry.path
    path.parent.mkdir(parents=True, exist_ok=True)
    if entry.kind == "dir":
        path.mkdir(exist_ok=True)
        path.chmod(entry.mode)
    elif entry.kind == "symlink":
        path.symlink_to(entry.target)
    elif entry.kind == "hardlink":
        path.hardlink_to(root / entry.target)
    else:
        assert entry.content is not None
        path.write_bytes(entry.content.read())
        path.chmod(entry.mode)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Download the closure as apt sees it on a machine where nothing is installed."""
    folder = tmp_path_factory.mktemp("debs")
    command = [*apt_get(folder), "install", "-y", "--download-only", *WANTED]
    subprocess.run(command, check=True, capture_output=True)
    return sorted((folder / "archives").glob("*.deb"))


@pytest.fixture(scope="module")
def root(packages: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = Tree.of(collect(read_control(path), read_entries(path)) for path in packages)
    folder = tmp_path_factory.mktemp("root")
    for path in packages:
        for entry in read_entries(path):
            write(folder, replace(entry, mode=tree.nodes[entry.path].mode))
    for entry in system_entries(tree, multiarch="x86_64-linux-gnu"):
        write(folder, entry)
    return folder


def test_each_path_is_dpkgs(packages: list[Path]) -> None:
    for path in packages:
        listing = subprocess.run(
            ["sh", "-c", 'dpkg-deb --fsys-tarfile "$1" | tar tf -', "sh", path],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        ).stdout.split("\n")
        names = {line.removeprefix("./").rstrip("/") for line in listing}
        dropped = {"", "bin", "sbin", "lib", "lib64", "lib32", "libx32", "var/run", "var/lock"}
        expected = {merged_path(name) for name in names - dropped}
        assert {entry.path for entry in read_entries(path)} == expected


def test_the_cache_is_ldconfigs(root: Path) -> None:
    ours = (root / "etc/ld.so.cache").read_bytes()
    subprocess.run(["ldconfig", "-X", "-r", root], check=True)
    theirs = (root / "etc/ld.so.cache").read_bytes()
    # The generator at the end states the version of the ldconfig that ran.
    assert ours.rpartition(b"ldconfig")[0][:-8] == theirs.rpartition(b"ldconfig")[0][:-8]


def inside(root: Path, *command: str) -> str:
    if not shutil.which("bwrap"):
        pytest.skip("no bubblewrap here")
    mounts = ["--ro-bind", str(root), "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]
    line = ["bwrap", *mounts, "--unshare-all", "--clearenv", "--setenv", "PATH", "/usr/bin:/bin"]
    return subprocess.run(
        [*line, *command], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_python_finds_libraries_and_certificates(root: Path) -> None:
    code = (
        "import ssl, ctypes.util, pwd; print(ctypes.util.find_library('c'), "
        "len(ssl.create_default_context().get_ca_certs()) > 100, pwd.getpwuid(65532).pw_name)"
    )
    assert inside(root, "python3.11", "-c", code) == "libc.so.6 True nonroot"


def test_a_program_is_compiled_and_runs(root: Path) -> None:
    script = "cd /tmp && echo 'int puts(const char *); int main(){puts(\"hi\");}' > a.c"
    assert inside(root, "sh", "-c", f"{script} && cc a.c && ./a.out") == "hi"
