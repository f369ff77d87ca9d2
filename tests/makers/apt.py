"""The real apt for one suite, whatever suite this machine itself is of."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from envlock.apt_sources import apt_archives, parse_check_valid_until

if TYPE_CHECKING:
    from envlock.debian_archive import Archive

SUITE = "bookworm"


def archives() -> list[Archive]:
    """Return where this machine gets the suite from; none without apt."""
    dump = ""
    if shutil.which("apt-config"):
        dump = subprocess.run(
            ["apt-config", "dump"], check=False, capture_output=True, text=True
        ).stdout
    check = parse_check_valid_until(dump)
    return apt_archives(Path("/"), suite=SUITE, check_valid_until=check)


def apt_get(folder: Path) -> list[str]:
    """Return apt's command line with a machine below ``folder`` that has nothing installed.

    Its lists are fetched.  The test is skipped where there is no apt or no mirror.
    """
    places = archives()
    if not places or shutil.which("apt-get") is None:
        pytest.skip(f"this machine's apt has no sources for Debian {SUITE}")
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text("".join(_line(place, folder) for place in places))
    options = {
        "Dir::State::status": folder / "status",
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder,
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "APT::Architecture": "amd64",
        "APT::Install-Recommends": "0",
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "1",
    }
    given = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    command = ["apt-get", "-qq", *given]
    subprocess.run([*command, "update"], check=True, capture_output=True)
    return command


def _line(place: Archive, folder: Path) -> str:
    keyring = place.keyring
    if isinstance(keyring, bytes):
        text = keyring
        keyring = folder / f"{place.name}.{'asc' if text.startswith(b'-----') else 'gpg'}"
        keyring.write_bytes(text)
    return "".join(
        f"deb [signed-by={keyring}] {place.urls[0]} {suite} main\n" for suite in place.suites
    )
