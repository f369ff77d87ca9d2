"""Real wheels, installed by uv and by pip into a virtual environment, against our entries."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from envlock.layers.wheel import Scheme

from .test_wheel import check_record, data_of, entries_of

if TYPE_CHECKING:
    from envlock.layers.entry import Entry

pytestmark = pytest.mark.network

WHEELS = [
    ("numpy", "2.3.3"),
    ("setuptools", "80.9.0"),
    ("awscli", "1.27.165"),  # .data/scripts
    ("greenlet", "3.2.4"),  # .data/headers
    ("ipykernel", "6.30.1"),  # .data/data
    ("ninja", "1.13.0"),  # a binary in .data/scripts
]
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
GENERATED = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json"}


def clean_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Download all wheels into one folder."""
    folder = tmp_path_factory.mktemp("wheels")
    wanted = [f"{name}=={version}" for name, version in WHEELS]
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*command, "-d", folder, *wanted], check=True, env=clean_environment())
    return folder


def installed_by(tool: str, wheel: Path, folder: Path) -> dict[str, Path]:
    """Return path below the prefix to file, as ``tool`` installs the wheel."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert uv is not None
    environment = clean_environment() | {"UV_CACHE_DIR": str(folder / "cache")}
    run = {"check": True, "capture_output": True, "env": environment}
    prefix = folder / "venv"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, prefix], **run)  # type: ignore[call-overload]
    before = set(prefix.rglob("*"))
    if tool == "uv":
        command = [uv, "pip", "install", "-q", "--no-deps", "--link-mode=copy"]
        command += ["--python", str(prefix / "bin" / "python"), str(wheel)]
    else:
        command = [sys.executable, "-m", "pip", "--python", str(prefix / "bin" / "python")]
        command += ["install", "-q", "--no-compile", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(command, **run)  # type: ignore[call-overload]
    return {
        str(path.relative_to(prefix)): path
        for path in sorted(set(prefix.rglob("*")) - before)
        if path.is_file() and path.name != ".lock"
    }


def comparable(path: str, data: bytes, generated: set[str]) -> bytes:
    """Return content without what differs between installers: the interpreter's place."""
    if path in generated:
        return b""
    if path.startswith("bin/") and data.startswith(b"#!"):
        return b"#!" + data.partition(b"\n")[2]
    return data


@pytest.mark.parametrize("tool", ["uv", "pip"])
@pytest.mark.parametrize(("name", "version"), WHEELS)
def test_files_and_contents_are_the_installers(
    name: str, version: str, tool: str, wheels: Path, tmp_path: Path
) -> None:
    wheel = next(wheels.glob(f"{name}-{version}-*.whl"))
    theirs = installed_by(tool, wheel, tmp_path)
    scheme = Scheme(prefix="opt/env", python=PYTHON)
    entries = entries_of(wheel, name, version, scheme)
    record = min((path for path in entries if path.endswith("/RECORD")), key=len)
    info = record.rpartition("/")[0]
    check_record(entries, info, scheme.site_packages)
    ours: dict[str, Entry] = {path.removeprefix("opt/env/"): e for path, e in entries.items()}
    inside = info.removeprefix("opt/env/")
    made = {f"{inside}/{file}" for file in GENERATED}
    assert ours.keys() - made == theirs.keys() - made
    scripts = {f"bin/{script}" for script in _entry_points(ours, inside)}
    for path in theirs.keys() - made:
        entry, place = ours[path], theirs[path]
        assert comparable(path, data_of(entry), scripts) == (
            comparable(path, place.read_bytes(), scripts)
        ), path
        assert bool(entry.mode & 0o111) == bool(place.stat().st_mode & 0o111), path


def _entry_points(ours: dict[str, Entry], inside: str) -> set[str]:
    entry = ours.get(f"{inside}/entry_points.txt")
    if entry is None:
        return set()
    scripts, section = set(), ""
    for line in data_of(entry).decode().splitlines():
        section = line.strip() if line.startswith("[") else section
        if "=" in line and section in {"[console_scripts]", "[gui_scripts]"}:
            scripts.add(line.partition("=")[0].strip())
    return scripts
