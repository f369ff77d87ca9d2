"""Hostile artifacts, made byte by byte, and what reads them.

An ``Attack`` is one wheel, Debian or conda package (or two, where the first prepares the way) that
tries to get out of the root, or to use up what reads it.
"""

from __future__ import annotations

import io
import sys
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from envlock.audit import index_wheel
from envlock.errors import EnvlockError
from envlock.install.environment import install
from envlock.install.interpreter import find_interpreter
from envlock.install.prefix import read_marker
from envlock.progress import SILENT

from ..image.making import environment_of
from ..layers.making import Claims, Member, make_zip, record_text, wheel_members, zlib_stream
from ..layers_conda.building import with_conda
from ..layers_conda.making import Link, make_conda, with_payload
from ..layers_deb.making import Item, write_deb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ..image.making import Environment
    from ..makers.conda import Content

FEATURE = f"{sys.version_info[0]}.{sys.version_info[1]}"
BOMB = 8 << 20
DEEP = "d/" * 2200
LONG = "n" * 300
DETOUR = "a/b/c/d/e"


def wheel(folder: Path, *extra: Member, name: str = "evil", lies: bytes = b"") -> Path:
    """Write a wheel with more members; its RECORD has them, unless it is to be ``lies``."""
    *honest, record = wheel_members(name, "1.0", {f"{name}.py": b"x = 1\n"})
    members = [*honest, *extra]
    named = [one for one in members if isinstance(one.name, str)]
    text = lies or record_text(named, str(record.name))
    path = folder / f"{name}-1.0-py3-none-any.whl"
    path.write_bytes(make_zip([*members, Member(record.name, text)]))
    return path


def deb(folder: Path, *items: Item, name: str = "evil") -> Path:
    return write_deb(folder, items, name)


def conda(
    folder: Path, files: dict[str, Content], *payload: tarfile.TarInfo, name: str = "evil"
) -> Path:
    path = make_conda(folder, name, "1", build="0", files=files, noarch="generic")
    data = {name: content for name, content in files.items() if isinstance(content, bytes)}
    return with_payload(path, list(payload), data) if payload else path


def bz2(folder: Path, files: dict[str, Content]) -> Path:
    return make_conda(
        folder, "evil", "1", build="0", files=files, noarch="generic", suffix=".tar.bz2"
    )


def _member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def _later(make: Callable[..., Path], *arguments: Any) -> Callable[[Path], Path]:
    return lambda folder: make(folder, *arguments)


def _wheels() -> Iterator[tuple[str, Callable[[Path], Path]]]:
    """Yield attacks by name."""
    lie = "evil.py,sha256=" + "A" * 43 + ",6\nevil-1.0.dist-info/RECORD,,\n"
    named: dict[str, Sequence[Member]] = {
        "../": [Member("../escaped", b"x")],
        "../ in data": [Member("evil-1.0.data/data/../../escaped", b"x")],
        "../ in scripts": [Member("evil-1.0.data/scripts/../../escaped", b"x")],
        "absolute": [Member("/tmp/escaped", b"x")],
        "a link": [Member("evil/link", b"/etc/passwd", mode=0o120777)],
        "through a link": [
            Member("evil/link", b"/tmp", mode=0o120777), Member("evil/link/escaped", b"x"),
        ],
        "a device": [Member("evil/null", b"", mode=0o020666)],
        "a fifo": [Member("evil/pipe", b"", mode=0o010666)],
        "setuid": [Member("evil-1.0.data/scripts/run", b"#!/bin/sh\n", mode=0o106755)],
        "upper and lower case": [Member("evil/A.py", b"1"), Member("evil/a.py", b"2")],
        "twice": [Member("evil/a.py", b"1"), Member("evil/a.py", b"2")],
        "a file below a file": [Member("evil/a", b"1"), Member("evil/a/b", b"2")],
        "another local name": [Member("evil/a.py", b"1", local=Claims(name=b"evil/b.py"))],
        "a lying size": [
            Member("evil/a.py", bytes(BOMB), zlib_stream(bytes(BOMB)),
                   local=Claims(size=10), central=Claims(size=10)),
        ],
        "a bomb": [Member("evil/a.py", bytes(BOMB), zlib_stream(bytes(BOMB)))],
        "a long name": [Member(f"evil/{LONG}.py", b"1")],
        "a deep name": [Member(f"evil/{DEEP}a.py", b"1")],
        "not UTF-8": [Member(b"evil/\xff.py", b"1", flags=0x800)],
        "control characters": [Member("evil/\x1b[31m.py", b"1")],
        "a line's end": [Member("evil/a\nb.py", b"1")],
        "zip64 of nothing": [Member("evil/a.py", b"1", central=Claims(size=0xFFFFFFFF))],
    }  # fmt: skip
    for name, members in named.items():
        yield name, _later(wheel, *members)
    yield "a RECORD that lies", lambda folder: wheel(folder, lies=lie.encode())


def _debs() -> Iterator[tuple[str, Callable[[Path], Path]]]:
    x = b"x"
    named: dict[str, Sequence[Item]] = {
        "../": [Item("../escaped", x)],
        "absolute": [Item("/tmp/escaped", x)],
        "through a link": [
            Item("./d", type=tarfile.SYMTYPE, target="/tmp"), Item("./d/escaped", x),
        ],
        "a hard link out": [Item("./h", type=tarfile.LNKTYPE, target="../../etc/passwd")],
        "a device": [Item("./null", type=tarfile.CHRTYPE)],
        "a fifo": [Item("./pipe", type=tarfile.FIFOTYPE)],
        "setuid": [Item("./usr/bin/su", x, 0o4755)],
        "upper and lower case": [Item("./A", x), Item("./a", x)],
        "twice": [Item("./a", x), Item("./a", x)],
        "a file below a file": [Item("./a", x), Item("./a/b", x)],
        "sparse": [Item("./a", x, type=tarfile.GNUTYPE_SPARSE)],
        "a long name": [Item(f"./{LONG}", x)],
        "a deep name": [Item(f"./{DEEP}a", x)],
        "not UTF-8": [Item("./\udcff", x)],
        "control characters": [Item("./\x1b[31m", x)],
        "a line's end": [Item("./a\nb", x)],
        "a bomb": [Item("./a", bytes(BOMB))],
    }  # fmt: skip
    for name, items in named.items():
        yield name, _later(deb, *items)


def _condas() -> Iterator[tuple[str, Callable[[Path], Path]]]:
    x = b"x"
    files: dict[str, dict[str, Content]] = {
        "../": {"../escaped": x},
        "absolute": {"/tmp/escaped": x},
        "a link out": {"lib/l": Link("../../../../etc/passwd")},
        "an absolute link": {"lib/l": Link("/etc/passwd")},
        "through a link": {"lib/d": Link("../share"), "lib/d/x": x},
        "upper and lower case": {"lib/A": x, "lib/a": x},
        "a file below a file": {"lib/a": x, "lib/a/b": x},
        "a long name": {f"lib/{LONG}": x},
        "a deep name": {f"lib/{DEEP}a": x},
        "control characters": {"lib/\x1b[31m": x},
        "a line's end": {"lib/a\nb": x},
        "a bomb": {"lib/a": bytes(BOMB)},
        "another's marker": {".envlock.json": x},
    }
    for name, content in files.items():
        yield name, _later(conda, content)
        yield f"{name} (.tar.bz2)", _later(bz2, content)
    members = {
        "a device": [_member("lib/f", tarfile.CHRTYPE)],
        "a fifo": [_member("lib/f", tarfile.FIFOTYPE)],
        "twice": [_member("lib/f"), _member("./lib/f")],
        "a hard link out": [_member("lib/f", tarfile.LNKTYPE, "../../../etc/passwd")],
        "other content": [_member("lib/f", tarfile.SYMTYPE, "/etc/passwd")],
        "more than is listed": [_member("lib/f"), _member("lib/g")],
    }
    for name, payload in members.items():
        yield name, _later(conda, {"lib/f": x}, *payload)


def _pairs() -> Iterator[tuple[str, Callable[[Path], tuple[Path, ...]]]]:
    """Yield attacks of two packages, the first of which makes a link for the second."""
    site = f"lib/python{FEATURE}/site-packages"
    yield (
        "two .debs, through a link",
        lambda folder: (
            deb(folder, Item("./srv", type=tarfile.SYMTYPE, target="/tmp"), name="first"),
            deb(folder, Item("./srv/escaped", b"x")),
        ),
    )
    yield (
        "two conda packages, through a link",
        lambda folder: (
            conda(folder / "c", {"share/d/x": b"", "lib/d": Link("../share/d")}, name="first"),
            conda(folder / "c", {"lib/d/escaped": b"x"}),
        ),
    )
    yield (
        "two conda packages, by a detour",  # by its text the second link stays in the environment
        lambda folder: (
            conda(
                folder / "c",
                {
                    f"{DETOUR}/x": b"",
                    f"{DETOUR}/up": Link("../../../../../a"),
                    "lib/d": Link(f"../{DETOUR}/up/../../.."),
                },
                name="first",
            ),
            conda(folder / "c", {"lib/d/escaped": b"x"}),
        ),
    )
    yield (
        "conda and wheel, through a link",
        lambda folder: (
            conda(
                folder / "c", {"share/d/x": b"", f"{site}/evil": Link("../../../share/d")},
                name="first",
            ),
            wheel(folder, Member("evil/escaped.py", b"x")),
        ),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Attack:
    """An attack by its name; make: writes its packages into a folder."""

    kind: str
    name: str
    make: Callable[[Path], Path | tuple[Path, ...]]

    @property
    def readers(self) -> tuple[str, ...]:
        return ("build",) if ".deb" in f"{self.kind} {self.name}" else tuple(READERS)

    def paths(self, folder: Path) -> tuple[Path, ...]:
        made = self.make(folder)
        return made if isinstance(made, tuple) else (made,)


def attacks() -> list[Attack]:
    """Return all of them."""
    return [
        *(Attack("wheel", *one) for one in _wheels()),
        *(Attack(".deb", *one) for one in _debs()),
        *(Attack("conda", *one) for one in _condas()),
        *(Attack("pair", *one) for one in _pairs()),
    ]


def environment(folder: Path, paths: Sequence[Path]) -> Environment:
    """Return the packages as an environment, with a Python of conda's where there is conda."""
    packages = [path for path in paths if path.name.endswith((".conda", ".tar.bz2"))]
    plain = environment_of(*(one for one in paths if one not in packages), python=FEATURE)
    if not packages:
        return plain
    python = make_conda(
        folder / "python", "python", f"{FEATURE}.0", build="0_cpython",
        files={f"bin/python{FEATURE}": b"\x7fELF"},
    )  # fmt: skip
    return with_conda(plain, [python, *packages])


def built(folder: Path, paths: Sequence[Path]) -> None:
    """Build an image, and check that its layers only have what they may have."""
    made = environment(folder, paths).build(folder / "image", folder / "cache", workers=1)
    for layer in made.digests.layers:
        blob = folder / "image" / "blobs" / layer.digest.replace(":", "/")
        with tarfile.open(fileobj=io.BytesIO(blob.read_bytes()), mode="r:*") as archive:
            for member in archive:
                parts = member.name.split("/")
                assert ".." not in parts
                assert not member.name.startswith("/")
                assert member.isfile() or member.isdir() or member.issym() or member.islnk()
                ours = any(path.suffix == ".deb" for path in paths)
                assert ours or not member.mode & 0o7000 or member.name == "tmp"


def installed(folder: Path, paths: Sequence[Path]) -> None:
    """Install into a folder of this machine, and check what came there."""
    world = environment(folder, paths)
    conda_too = any(path.name.endswith((".conda", ".tar.bz2")) for path in paths)
    python = None if conda_too else find_interpreter(FEATURE, sys.executable, "")
    prefix = folder / "prefix"
    install(world.lock, world.paths, prefix, python, SILENT, workers=1, prove=None)
    assert read_marker(prefix).lock == world.lock
    for path in prefix.rglob("*"):
        mode = path.lstat().st_mode
        assert not mode & 0o6000
        inside = path.parent.resolve().is_relative_to(prefix.resolve())
        assert inside, f"{path} lies elsewhere"


def audited(folder: Path, paths: Sequence[Path]) -> None:
    """Let the audit read the code."""
    for path in paths:
        index_wheel(path)


READERS = {"build": built, "install": installed, "audit": audited}


def outcome(attack: Attack, reader: str, folder: Path) -> str:
    """Return "handled", or how it was refused.

    Nothing may come of it but below ``folder``: what wants to get out calls itself ``escaped``.
    """
    (folder / "made").mkdir(parents=True)
    paths = attack.paths(folder / "made")
    try:
        READERS[reader](folder, paths)
    except EnvlockError as error:
        return f"{error.where or ''} {error.message}"
    return "handled"


__all__ = ["READERS", "Attack", "attacks", "outcome"]
