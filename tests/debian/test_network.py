"""The solve against this machine's own archives, judged by apt."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from hashlib import sha256 as digest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from envlock.apt_sources import apt_archives, parse_check_valid_until
from envlock.errors import FetchError, IntegrityError
from envlock.platforms import PLATFORMS
from envlock.progress import SILENT
from envlock.solve.debian import DebianRequest, solve_debian
from envlock.solve.debian.solver import BASE

from ..makers.debs import MissingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.debian_archive import Archive

PACKAGES = (
    "python3.11-minimal",
    "libpython3.11-stdlib",
    "ca-certificates",
    "gcc",
    "libc6-dev",
    "libpython3.11-dev",
)


class _Http:
    """A transport without any comfort."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, url: str, *, limit: int) -> bytes:
        for attempt in range(5):
            try:
                return self._read(url, limit)
            except MissingError:
                raise
            except FetchError:
                time.sleep(2**attempt)
        return self._read(url, limit)

    def _read(self, url: str, limit: int) -> bytes:
        try:
            with urllib.request.urlopen(url, timeout=60) as response:
                data: bytes = response.read(limit + 1)
        except urllib.error.HTTPError as error:
            error.close()
            kind = MissingError if error.code == 404 else FetchError
            raise kind(str(error)) from error
        except OSError as error:
            raise FetchError(str(error)) from error
        if len(data) > limit:
            raise IntegrityError("too much")
        return data

    def artifact(self, urls: Sequence[str], *, name: str, sha256: str, size: int) -> Path:
        data = self.read(urls[0], limit=size)
        assert digest(data).hexdigest() == sha256
        path = self._folder / sha256
        path.write_bytes(data)
        return path


def _archives() -> list[Archive]:
    dump = ""
    if shutil.which("apt-config"):
        dump = subprocess.run(
            ["apt-config", "dump"], check=False, capture_output=True, text=True
        ).stdout
    check = parse_check_valid_until(dump)
    return apt_archives(Path("/"), suite="bookworm", check_valid_until=check)


def _apt_answer(folder: Path) -> set[tuple[str, str]]:
    """Return what apt would install into an empty root, from lists of its own."""
    folder.mkdir()
    (folder / "status").touch()
    (folder / "lists/partial").mkdir(parents=True)
    options = [
        *("-o", f"Dir::State::status={folder}/status"),
        *("-o", f"Dir::State::lists={folder}/lists"),
        *("-o", f"Dir::Cache={folder}"),
        *("-o", "APT::Architecture=amd64", "-o", "APT::Install-Recommends=0"),
        *("-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=root"),
    ]
    subprocess.run(["apt-get", *options, "update"], check=True, capture_output=True)
    text = subprocess.run(
        ["apt-get", *options, "-s", "install", *PACKAGES, *BASE],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return set(re.findall(r"^Inst (\S+) \((\S+) ", text, re.MULTILINE))


@pytest.mark.network
def test_agrees_with_apt(tmp_path: Path) -> None:
    archives = _archives()
    if not archives or shutil.which("apt-get") is None:
        pytest.skip("this machine's apt has no sources for Debian bookworm")
    start = time.monotonic()
    request = DebianRequest(suite="bookworm", packages=PACKAGES)
    silent: Any = SILENT
    solution = solve_debian(request, PLATFORMS["linux-64"], archives, _Http(tmp_path), silent)
    print(f"solved and fetched in {time.monotonic() - start:.1f} s")
    chosen = {(artifact.name, artifact.version) for artifact in solution.artifacts}
    assert chosen == _apt_answer(tmp_path / "apt")
    assert {script.package for script in solution.section.scripts} >= {"base-files", "gcc"}
