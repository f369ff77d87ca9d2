"""What must not change an image: each cell of the matrix is one way to run the same build."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SOURCE = Path(__file__).resolve().parents[2] / "src"
NOBODY = 65534
_MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One way to run the build.

    before: the command that it is run by; python: the interpreter; place: where its cache and
    its image lie, None for the matrix' own folder; again: how often the same build is repeated
    over one cache, and what is removed from the cache and the image in between; skipped: why it
    cannot be run here.
    """

    axis: str
    value: str
    variables: Mapping[str, str] = field(default_factory=dict)
    before: Sequence[str] = ()
    python: Path = Path(sys.executable)
    place: Path | None = None
    workers: int = 2
    again: Sequence[str] = ()
    nobody: bool = False
    skipped: str = ""


def cells(*, clock: Path | None) -> Iterator[Cell]:
    """Yield the cells that there are on this machine, those that cannot run with a reason."""
    yield Cell(axis="as it is", value="-")
    for mask in ("000", "022", "077"):
        yield Cell(axis="umask", value=mask, variables={"UMASK": mask})
    for zone in ("Pacific/Kiritimati", "America/St_Johns"):
        yield Cell(axis="time zone", value=zone, variables={"TZ": zone})
    installed = _locales()
    for name in ("C", "C.UTF-8", "tr_TR.UTF-8", "ja_JP.EUC-JP"):
        variables = {"LC_ALL": name, "LANG": name, "PYTHONCOERCECLOCALE": "0"}
        known = "" if name in installed else ", not installed"
        yield Cell(axis="locale", value=f"{name}{known}", variables=variables)
    for seed in ("0", "4242"):
        yield Cell(axis="hash seed", value=seed, variables={"PYTHONHASHSEED": seed})
    yield Cell(axis="folder", value="with space [and] ünï *", place=Path("with space [and] ünï *"))
    yield from _users()
    yield from _pythons()
    for workers in (1, 5):
        yield Cell(axis="workers", value=str(workers), workers=workers)
    for gone in ("nothing", "layers", "segments", "image", "blobs"):
        yield Cell(axis="store", value=f"warm, without {gone}", again=(gone,))
    yield from _file_systems()
    yield from _clocks(clock)


def _locales() -> set[str]:
    """Return the locales of this machine, spelt as people do."""
    told = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False)
    return {name.replace("utf8", "UTF-8") for name in told.stdout.split()}


def _users() -> Iterator[Cell]:
    if os.geteuid() == 0:
        yield Cell(axis="user", value="root")
        python = next((one for one in _readable_pythons()), None)
        setpriv = shutil.which("setpriv")
        why = "" if python and setpriv else "no setpriv, or no Python that another user can run"
        why = why or ("" if _open_to_all(SOURCE) else "another user cannot read the source")
        before = [setpriv or "", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        yield Cell(
            axis="user", value="nobody", before=before, python=python or Path(sys.executable),
            nobody=True, skipped=why,
        )  # fmt: skip
        return
    yield Cell(axis="user", value=f"uid {os.geteuid()}")
    bwrap = shutil.which("bwrap")
    before = [bwrap or "", "--unshare-user", "--uid", "0", "--gid", "0", "--dev-bind", "/", "/"]
    works = bwrap and not subprocess.run([*before, "true"], capture_output=True).returncode
    why = "" if works else "no user namespaces"
    yield Cell(axis="user", value="root of a user namespace", before=before, skipped=why)


def _open_to_all(path: Path) -> bool:
    folders = (path.resolve(), *path.resolve().parents)
    return all(folder.stat().st_mode & 0o005 == 0o005 for folder in folders)


def _readable_pythons() -> Iterator[Path]:
    for name in (Path(sys.base_prefix, "bin", "python3"), Path("/usr/bin/python3")):
        if name.is_file() and _open_to_all(name.resolve().parent) and _is_fit(name):
            yield name


def _is_fit(python: Path) -> bool:
    told = subprocess.run(
        [python, "-I", "-c", "import sys; sys.exit(sys.version_info < (3, 11))"],
        capture_output=True,
        check=False,
    )
    return told.returncode == 0


def _pythons() -> Iterator[Cell]:
    """Yield one interpreter of each feature version from 3.11 to 3.14."""
    home = Path.home()
    places = [
        *(home / ".pyenv/versions").glob("*/bin"),
        *(home / ".local/share/uv/python").glob("*/bin"),
        *(Path(folder) for folder in os.environ.get("PATH", os.defpath).split(os.pathsep)),
        Path("/usr/local/bin"),
    ]
    found: dict[int, Path] = {}
    for place in places:
        for binary in sorted(place.glob("python3.*")):
            match = re.fullmatch(r"python3\.(\d+)", binary.name)
            if match and int(match[1]) not in found and "shims" not in binary.parts:
                found[int(match[1])] = binary
    for minor in (11, 12, 13, 14):
        version = f"3.{minor}"
        if minor in found:
            built_for = f"{version}, {_zlib(found[minor])}"
            yield Cell(axis="Python", value=built_for, python=found[minor])
        else:
            yield Cell(axis="Python", value=version, skipped="not here")


def _zlib(python: Path) -> str:
    script = "import sys, zlib; print(sys.version.split()[0], 'zlib', zlib.ZLIB_RUNTIME_VERSION)"
    told = subprocess.run([python, "-I", "-c", script], capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"


def _file_systems() -> Iterator[Cell]:
    yield Cell(axis="file system", value=_kind(Path.cwd()))
    if os.access(_MEMORY, os.W_OK):
        yield Cell(axis="file system", value=_kind(_MEMORY), place=_MEMORY)
    else:
        yield Cell(axis="file system", value="tmpfs", skipped="no /dev/shm")


def _kind(path: Path) -> str:
    stat = ["stat", "-f", "-c", "%T", str(path)]
    told = subprocess.run(stat, capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"


def find_clock() -> Path | None:
    """Return libfaketime, by which a program sees another time."""
    multiarch = sysconfig.get_config_var("MULTIARCH") or "x86_64-linux-gnu"
    for folder in (
        f"/usr/lib/{multiarch}/faketime",
        "/usr/lib/faketime",
        "/usr/local/lib/faketime",
    ):
        library = Path(folder, "libfaketimeMT.so.1")
        if library.is_file():
            return library
    return None


def _clocks(library: Path | None) -> Iterator[Cell]:
    for moment in ("1999-12-31 23:59:59", "2040-02-29 12:00:00"):
        variables = {"LD_PRELOAD": str(library), "FAKETIME": f"@{moment}", "NO_FAKE_STAT": "1"}
        why = "" if library else "no libfaketime (Debian's package of that name)"
        yield Cell(axis="clock", value=moment[:10], variables=variables, skipped=why)
