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

VERSION = ".".join(map(str, sys.version_info[:3]))
FEATURE = ".".join(map(str, sys.version_info[:2]))
BASE = Path(sys.base_prefix)
LEFT_OUT = re.compile(
    r".*/(__pycache__|test|tests|idlelib|tkinter|turtledemo|ensurepip|lib2to3|pydoc_data|distutils|unittest|config-[^/]*)(/.*)?"
    rf"|lib/python{re.escape(FEATURE)}/site-packages/.*|.*\.a|.*/_test[^/]*\.so|.*/_tkinter[^/]*\.so"
)


def make_python(channel: Path) -> Path:
    """Write the package ``python`` out of the interpreter that runs this.

    Its own prefix is the placeholder, as compilers put it into its files; skips the test where
    that is no prefix of its own (``/usr``).
    """
    if len(str(BASE)) < 12 or not (BASE / "bin" / f"python{FEATURE}").is_file():
        pytest.skip("this Python does not have a prefix of its own")
    files = dict(_files())
    files["bin/python3"] = files["bin/python"] = Link(f"python{FEATURE}")
    return make_conda(channel, "python", VERSION, build="h0_0_cpython", files=files)


def needed_libraries(*more: Path) -> list[Path]:
    """Return this machine's libraries that the interpreter, its modules and ``more`` load."""
    modules = (BASE / "lib" / f"python{FEATURE}" / "lib-dynload").glob("*.so")
    programs = [BASE / "bin" / f"python{FEATURE}", *more]
    programs += [path for path in modules if not LEFT_OUT.fullmatch(str(path.relative_to(BASE)))]
    return sorted({path for path in _linked(programs) if not path.is_relative_to(BASE)})


def _linked(programs: Iterable[Path]) -> Iterator[Path]:
    for program in programs:
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
        for place in re.findall(r"(?:=> |^\s*)(/\S+) \(", listed.stdout, re.MULTILINE):
            yield Path(place)


def _files() -> Iterator[tuple[str, Content]]:
    places = [BASE / "bin" / f"python{FEATURE}", *sorted((BASE / "lib").glob("libpython3*.so*"))]
    places += sorted((BASE / "lib" / f"python{FEATURE}").rglob("*"))
    for place in places:
        path = str(place.relative_to(BASE))
        if LEFT_OUT.fullmatch(path) or place.is_dir():
            continue
        if place.is_symlink():
            yield path, Link(str(place.readlink()))
            continue
        data = place.read_bytes()
        program = bool(place.stat().st_mode & 0o100)
        if str(BASE).encode() in data:
            binary = b"\0" in data
            yield path, Prefixed(data, binary, program, placeholder=str(BASE))
        else:
            yield path, Program(data) if program else data
