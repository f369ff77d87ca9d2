"""The CPython that runs the tests, as a conda package and as .debs' libraries."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conda import Content, Link, Prefixed, Program, make_conda

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DEBIAN = Path(sys.base_prefix) == Path("/usr")
"""Whether this is the system's Python, which is a prefix of its own once it is told so."""

VERSION = ".".join(map(str, sys.version_info[:3]))
FEATURE = ".".join(map(str, sys.version_info[:2]))
BASE = Path(sys.base_prefix)
SITE = """\
import site, sys
site.addsitedir(f"{sys.prefix}/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages")
"""
LEFT_OUT = re.compile(
    r".*/(__pycache__|test|tests|idlelib|tkinter|turtledemo|ensurepip|lib2to3|pydoc_data|distutils|unittest|config-[^/]*)(/.*)?"
    rf"|lib/python{re.escape(FEATURE)}/site-packages/.*|.*\.a|.*/_test[^/]*\.so|.*/_tkinter[^/]*\.so"
)


def make_python(channel: Path) -> Path:
    """Write the package ``python`` out of the interpreter that runs this.

    Its own prefix is the placeholder, as compilers put it into its files; ``/usr`` is not, since
    that stands in them for other reasons: the system's Python finds its prefix by its own path.
    Skips the test where the interpreter is not below its prefix.
    """
    if not (DEBIAN or len(str(BASE)) >= 12) or not (BASE / "bin" / f"python{FEATURE}").is_file():
        pytest.skip("this Python does not have a prefix of its own")
    files = dict(_files())
    if DEBIAN:  # its site module is frozen, and looks into dist-packages only
        files[f"lib/python{FEATURE}/sitecustomize.py"] = SITE
    files["bin/python3"] = files["bin/python"] = Link(f"python{FEATURE}")
    return make_conda(channel, "python", VERSION, build="h0_0_cpython", files=files)


def needed_libraries(*more: Path) -> list[Path]:
    """Return this machine's libraries that the interpreter, its modules and ``more`` load."""
    modules = (BASE / "lib" / f"python{FEATURE}" / "lib-dynload").glob("*.so")
    programs = [BASE / "bin" / f"python{FEATURE}", *more]
    programs += [path for path in modules if not LEFT_OUT.fullmatch(str(path.relative_to(BASE)))]
    return sorted(
        {path for path in linked_libraries(programs) if DEBIAN or not path.is_relative_to(BASE)}
    )


def linked_libraries(programs: Iterable[Path]) -> Iterator[Path]:
    """Yield the libraries of this machine that programs load."""
    for program in programs:
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
        for place in re.findall(r"(?:=> |^\s*)(/\S+) \(", listed.stdout, re.MULTILINE):
            yield Path(place)


def _files() -> Iterator[tuple[str, Content]]:
    places = [BASE / "bin" / f"python{FEATURE}"]
    places += [] if DEBIAN else sorted((BASE / "lib").glob("libpython3*.so*"))
    places += sorted((BASE / "lib" / f"python{FEATURE}").rglob("*"))
    for place in places:
        path = str(place.relative_to(BASE))
        if LEFT_OUT.fullmatch(path) or place.is_dir():
            continue
        if place.is_symlink() and place.readlink().is_absolute():
            continue  # /etc/python3.11/sitecustomize.py
        if place.is_symlink():
            yield path, Link(str(place.readlink()))
            continue
        data = _as_upstream(path, place.read_bytes()) if DEBIAN else place.read_bytes()
        program = bool(place.stat().st_mode & 0o100)
        if not DEBIAN and str(BASE).encode() in data:
            binary = b"\0" in data
            yield path, Prefixed(data, binary, program, placeholder=str(BASE))
        else:
            yield path, Program(data) if program else data


def _as_upstream(path: str, data: bytes) -> bytes:
    """Undo what Debian changes for ``/usr``: where packages from elsewhere are installed."""
    if path == f"lib/python{FEATURE}/sysconfig.py":
        return data.replace(b"prefix_scheme = 'posix_local'", b"prefix_scheme = 'posix_prefix'")
    return data
