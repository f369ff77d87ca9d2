"""The solve against this machine's own archives, judged by apt."""

from __future__ import annotations

import re
import subprocess
import time
import urllib.error
import urllib.request
from hashlib import sha256 as digest
from typing import TYPE_CHECKING, Any

import pytest

from envlock.errors import FetchError, IntegrityError
from envlock.platforms import PLATFORMS
from envlock.progress import SILENT
from envlock.solve.debian import DebianRequest, solve_debian
from envlock.solve.debian.solver import BASE

from ..makers.apt import SUITE, apt_get, archives
from ..makers.debs import MissingError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


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


def _apt_answer(folder: Path) -> set[tuple[str, str]]:
    """Return what apt would install into an empty root."""
    command = [*apt_get(folder), "-s", "install", *PACKAGES, *BASE]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return set(re.findall(r"^Inst (\S+) \((\S+) ", text, re.MULTILINE))


@pytest.mark.network
def test_agrees_with_apt(tmp_path: Path) -> None:
    apt = _apt_answer(tmp_path / "apt")
    start = time.monotonic()
    request = DebianRequest(suite=SUITE, packages=PACKAGES)
    silent: Any = SILENT
    solution = solve_debian(request, PLATFORMS["linux-64"], archives(), _Http(tmp_path), silent)
    print(f"solved and fetched in {time.monotonic() - start:.1f} s")
    chosen = {(artifact.name, artifact.version) for artifact in solution.artifacts}
    assert chosen == apt
    assert {script.package for script in solution.section.scripts} >= {"base-files", "gcc"}
