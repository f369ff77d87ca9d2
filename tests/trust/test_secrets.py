"""Canaries in every place that takes a credential, and a search of everything that is written.

The commands are run as a person does, and watched: other users of a machine can read the
command lines of processes (proc(5)).
"""

from __future__ import annotations

import os
import secrets
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..makers.fixtures import index, machine, mirror
from ..makers.index import Fault, Index
from ..solve_conda.solving import make_channels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..makers.machine import Machine

__all__ = ["index", "machine", "mirror"]

CANARY = f"canary{secrets.token_hex(8)}"
"""Another one in every process that runs tests: they see each other's processes."""


@contextmanager
def _watched() -> Iterator[set[bytes]]:
    """Collect the command lines of all processes that run meanwhile, but for this one's."""
    seen: set[bytes] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    seen.add((process / "cmdline").read_bytes())
                except OSError:
                    continue

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def _written(*roots: Path) -> Iterator[Path]:
    """Yield the files below some folders that hold the canary."""
    for root in roots:
        for folder, _, files in os.walk(root):
            for name in files:
                path = Path(folder, name)
                if path.is_symlink() or not path.is_file():
                    continue
                if CANARY in name or CANARY.encode() in path.read_bytes():
                    yield path


def _tell(machine: Machine, index: Index, where: str) -> None:
    """Give the login of the package index to the machine, in one way or another."""
    if where == "variable":
        machine.environ["ENVLOCK_INDEX_PYPI"] = index.url_with(f"me:{CANARY}")
        return
    netrc = Path(machine.environ["HOME"]) / ".netrc"
    netrc.write_text(f"machine 127.0.0.1 login me password {CANARY}\n")
    netrc.chmod(0o600)


@pytest.mark.parametrize("where", ["variable", "netrc"])
def test_the_login_of_an_index_is_written_nowhere(
    machine: Machine, index: Index, where: str
) -> None:
    index.wheel("app", "1.0")
    index.login = ("me", CANARY)
    machine.environ["ENVLOCK_MIRROR_DEBIAN"] = (
        index.base.replace("//", f"//me:{CANARY}@") + "/debian"
    )
    _tell(machine, index, where)
    machine.write_spec("web", "pypi: {dependencies: [app]}\n")
    machine.write_spec("wrong", "pypi: {dependencies: [app>=2]}\n")
    said = []
    machine.cold = True  # its command line is looked at
    with _watched() as lines:
        for code, words in [
            (0, ("solve", "web", "-v")),
            (0, ("build", "web", "--no-validate", "-v", "--json", "--sbom", "--provenance")),
            (1, ("solve", "wrong", "--json", "-v")),
        ]:
            done = machine.run(*words)
            assert done.returncode == code, done.stderr
            said.append(done.stdout + done.stderr)
        index.login = ("me", "another")
        refused = machine.run(
            "solve", "web", "-U", "-v", "--json", ENVLOCK_CACHE_DIR=str(machine.root / "new")
        )
        assert refused.returncode == 3
        said.append(refused.stdout + refused.stderr)
    assert not [text for text in said if CANARY in text]
    assert any(b"envlock" in line for line in lines)
    assert not [line for line in lines if CANARY.encode() in line]
    folders = (machine.project, machine.cache, machine.temporary, machine.root / "new")
    assert list(_written(*folders)) == []


def _configure(machine: Machine, url: str, where: str) -> None:
    """Name the index where uv or pip would find it, with the login in its URL."""
    del machine.environ["ENVLOCK_INDEX_PYPI"]
    config = Path(machine.environ["XDG_CONFIG_HOME"])
    if where == "uv.toml":
        (config / "uv").mkdir(parents=True)
        (config / "uv" / "uv.toml").write_text(f'[[index]]\nurl = "{url}"\ndefault = true\n')
    elif where == "pip.conf":
        (config / "pip").mkdir(parents=True)
        (config / "pip" / "pip.conf").write_text(f"[global]\nindex-url = {url}\n")
    else:
        machine.environ[where] = url


@pytest.mark.parametrize("where", ["uv.toml", "pip.conf", "UV_DEFAULT_INDEX"])
def test_the_login_of_other_tools_settings_is_written_nowhere(
    machine: Machine, index: Index, where: str
) -> None:
    index.wheel("app", "1.0")
    index.login = ("me", CANARY)
    machine.environ["ENVLOCK_MIRROR_DEBIAN"] = (
        index.base.replace("//", f"//me:{CANARY}@") + "/debian"
    )
    _configure(machine, index.url_with(f"me:{CANARY}"), where)
    machine.write_spec("web", "pypi: {dependencies: [app]}\n")
    machine.cold = True  # its command line is looked at
    with _watched() as lines:
        done = machine.run("solve", "web", "--no-audit", "-v", "--json")
        assert done.returncode == 0, done.stderr
        index.login = ("me", "another")
        refused = machine.run(
            "build", "web", "-v", "--json", ENVLOCK_CACHE_DIR=str(machine.root / "new")
        )
        assert refused.returncode == 3
    for text in (done.stdout, done.stderr, refused.stdout, refused.stderr):
        assert CANARY not in text
    assert not [line for line in lines if CANARY.encode() in line]
    folders = (machine.project, machine.cache, machine.temporary, machine.root / "new")
    assert list(_written(*folders)) == []


def test_the_login_of_a_proxy_is_written_nowhere(machine: Machine, index: Index) -> None:
    """Also where the proxy is not there, or wants another one."""
    index.wheel("app", "1.0")
    machine.write_spec("web", "pypi: {dependencies: [app]}\n", debian=False)
    machine.write_spec("os")
    del machine.environ["NO_PROXY"]
    index.login = ("nobody", "knows")
    said = []
    machine.cold = True  # its command line is looked at
    with _watched() as lines:
        for name, host in (("web", "127.0.0.1:9"), ("web", index.host), ("os", index.host)):
            proxy = f"http://me:{CANARY}@{host}"
            done = machine.run(
                "solve", name, "--no-audit", "-v", "--json",
                environ={"http_proxy": proxy, "HTTP_PROXY": proxy, "ALL_PROXY": proxy},
                UV_HTTP_RETRIES="0",
            )  # fmt: skip
            assert done.returncode == 3, done.stderr
            said.append(done.stdout + done.stderr)
    assert not [text for text in said if CANARY in text]
    assert not [line for line in lines if CANARY.encode() in line]
    assert list(_written(machine.project, machine.cache, machine.temporary)) == []


def test_the_token_of_a_channel_is_written_nowhere(
    machine: Machine, index: Index, tmp_path: Path
) -> None:
    make_channels(tmp_path / "channels")
    index.folders["conda"] = tmp_path / "channels"
    index.token = CANARY
    machine.environ["ENVLOCK_CHANNEL_MAIN"] = f"{index.base}/conda/main"
    (machine.project / "envs" / "one.yaml").write_text(
        'version: 1\nname: one\nplatforms:\n  linux-64: {glibc: "2.36"}\npython: "3.12"\n'
        "conda: {channels: [main], dependencies: [numpy]}\n"
    )
    in_path = {"ENVLOCK_CHANNEL_MAIN": f"{index.base}/t/{CANARY}/conda/main"}
    machine.cold = True  # its command line is looked at
    with _watched() as lines:
        done = machine.run("solve", "one", "-v", "--json", ENVLOCK_TOKEN_MAIN=CANARY)
        refused = machine.run("solve", "one", "-v", "--json", environ=in_path)
    assert done.returncode == 0, done.stderr
    assert refused.returncode == 2
    for text in (done.stdout, done.stderr, refused.stdout, refused.stderr):
        assert CANARY not in text
    assert not [line for line in lines if CANARY.encode() in line]
    assert list(_written(machine.project, machine.cache, machine.temporary)) == []


def test_the_token_of_a_channel_does_not_follow_a_redirect(
    machine: Machine, index: Index, tmp_path: Path
) -> None:
    """Neither rattler's requests nor envlock's show another host what was for the channel."""
    make_channels(tmp_path / "channels")
    index.token = CANARY
    index.folders["conda"] = tmp_path / "channels"
    (machine.project / "envs" / "one.yaml").write_text(
        'version: 1\nname: one\nplatforms:\n  linux-64: {glibc: "2.36"}\npython: "3.12"\n'
        "conda: {channels: [main], dependencies: [numpy]}\n"
    )
    with Index(tmp_path / "other") as other:
        other.folders["conda"] = tmp_path / "channels"
        there = f"http://localhost:{other.host.rpartition(':')[2]}/conda/main"
        shards, package = (
            "linux-64/repodata_shards.msgpack.zst",
            "linux-64/numpy-2.0.0-py312_0.conda",
        )
        for place in (shards, package):  # what rattler asks for, and what envlock does
            index.faults[place] = Fault(redirect=f"{there}/{place}")
        machine.environ["ENVLOCK_CHANNEL_MAIN"] = f"{index.base}/conda/main"
        machine.environ["NO_PROXY"] = "127.0.0.1,localhost"
        done = machine.run("solve", "one", "--no-audit", ENVLOCK_TOKEN_MAIN=CANARY)
        assert done.returncode == 0, done.stderr
        assert other.requests(shards)
        assert other.requests(package)
        assert not [asked for asked in other.asked if "authorization" in asked.headers]
    assert [asked for asked in index.asked if CANARY in asked.headers.get("authorization", "")]


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """The searches above would be worth nothing if they were blind."""
    (tmp_path / "a").write_text(f"x {CANARY} y")
    assert list(_written(tmp_path)) == [tmp_path / "a"]
    with _watched() as lines:
        subprocess.run(["sh", "-c", "sleep 1; :", CANARY], check=True)
    assert [line for line in lines if CANARY.encode() in line]
