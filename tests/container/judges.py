"""The outside judges: found, or the test is skipped (and fails in CI)."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def need(*tools: str) -> None:
    """Skip the test where a tool is missing; in CI all must be there."""
    missing = [tool for tool in tools if not shutil.which(tool)]
    if not missing:
        return
    reason = f"{', '.join(missing)} not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, but this is CI")
    pytest.skip(reason)


def need_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("this engine needs root here")


def run(*command: str | Path, cwd: Path | None = None, **env: str) -> str:
    """Run a judge and return what it printed; proxies are not asked for loopback."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def skopeo(*words: str | Path, temporary: Path) -> str:
    return run("skopeo", "--insecure-policy", "--tmpdir", temporary, *words)


@contextlib.contextmanager
def registry(folder: Path) -> Iterator[str]:
    """Run Debian's docker-registry on a free port of loopback; gives ``host:port``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = folder / "registry.yml"
    config.write_text(
        "version: 0.1\n"
        "log: {level: error}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'registry'}}}}}\n"
        f"http: {{addr: '{address}'}}\n"
    )
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            _wait_for(f"http://{address}/v2/", process, folder / "registry.log")
            yield address
        finally:
            process.terminate()
            process.wait(timeout=20)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with opener.open(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    pytest.fail(f"docker-registry does not answer: {log.read_text()}")


@contextlib.contextmanager
def containerd(folder: Path) -> Iterator[Callable[..., str]]:
    """Run Debian's containerd with a root of its own; gives its client, ctr."""
    config, socket = folder / "containerd.toml", folder / "c.sock"
    config.write_text(
        "version = 2\n"
        f'root = "{folder / "containerd"}"\nstate = "{folder / "state"}"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        f'[grpc]\naddress = "{socket}"\n[ttrpc]\naddress = "{socket}.ttrpc"\n'
    )
    with (folder / "containerd.log").open("wb") as log:
        process = subprocess.Popen(
            ["containerd", "--config", str(config)], stdout=log, stderr=log,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 30
            while not socket.exists() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.1)
            if not socket.exists():
                pytest.fail(
                    f"containerd does not start: {(folder / 'containerd.log').read_text()[-2000:]}"
                )
            yield partial(run, "ctr", "--address", socket, "--namespace", "envlock")
        finally:
            process.terminate()
            process.wait(timeout=20)


@dataclass
class Podman:
    """A podman of its own, with nothing of this machine's images or settings."""

    folder: Path
    driver: str = "vfs"
    words: list[str] = field(default_factory=list)
    short: Path = field(init=False)

    def __post_init__(self) -> None:
        # podman refuses a runroot of more than 50 characters
        self.short = Path(tempfile.mkdtemp(prefix="podman-", dir="/tmp"))
        (self.folder / "home").mkdir(parents=True, exist_ok=True)
        self.words = [
            "podman",
            f"--root={self.folder / 'root'}",
            f"--runroot={self.short}",
            f"--tmpdir={self.folder / 'tmp'}",
            f"--storage-driver={self.driver}",
            "--events-backend=none",
            "--cgroup-manager=cgroupfs",
        ]

    def __call__(self, *words: str | Path) -> str:
        return run(*self.words, *words, HOME=str(self.folder / "home"))

    def run_image(self, image: str, *command: str) -> str:
        """Run a command in a container without cgroups, network and privileges of ours."""
        words = [
            *self.words,
            "run",
            "--rm",
            "--cgroups=disabled",
            "--ulimit=nofile=1024:1024",
            "--ulimit=nproc=1000:1000",
            "--network=none",
            image,
            *command,
        ]
        script = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"'
        return run("unshare", "-m", "sh", "-c", script, "sh", *words, HOME=f"{self.folder}/home")

    def inspect(self, image: str) -> dict[str, Any]:
        import json

        (found,) = json.loads(self("image", "inspect", image))
        return dict(found)

    def close(self) -> None:
        """Remove what podman owns in ways that rmtree may not."""
        with contextlib.suppress(AssertionError):
            self("rmi", "--all", "--force")
        shutil.rmtree(self.short, ignore_errors=True)
