"""Libraries that an image needs and has nowhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from envlock.layers.elf import read_needed
from envlock.validate.missing import missing_libraries, tell_missing
from envlock.validate.results import Result
from envlock.validate.shared import package_of

from ..layers_deb.making import shared_object, shared_object_32

if TYPE_CHECKING:
    from pathlib import Path

SITE = "opt/env/lib/python3.11/site-packages"


def _write(root: Path, path: str, data: bytes) -> None:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)


def _root(root: Path) -> Path:
    """Return a file system where view and sound want libraries, of which one is there."""
    view = shared_object("", needed=("libGL.so.1", "libown.so.3", "libcuda.so.1", "libc.so.6"))
    _write(root, f"{SITE}/view/_view.abi3.so", view)
    _write(
        root, f"{SITE}/view-2.0.dist-info/RECORD", b"view/_view.abi3.so,sha256=x,1\nview/a.py,,\n"
    )
    sound = shared_object("", needed=("libGL.so.1", "libsnd_x-1.0.so.0", "libglib-2.0.so.0"))
    _write(root, f"{SITE}/sound.so", sound)
    _write(root, "usr/lib/libown.so.3.1", shared_object("libown.so.3"))
    (root / "usr/lib/libown.so.3").symlink_to("libown.so.3.1")
    (root / "usr/lib/libgone.so.1").symlink_to("/etc/shadow")
    _write(root, "usr/lib/libc.so.6", shared_object("libc.so.6"))
    _write(root, "usr/lib/libempty.so", b"")
    os.mkfifo(root / "usr/lib/libpipe.so")
    _write(root, "usr/lib/libtext.so", b"INPUT(libother.so.9)")
    return root


def test_all_at_once_by_who_needs_them(tmp_path: Path) -> None:
    assert missing_libraries(_root(tmp_path)) == {
        "libGL.so.1": {"view 2.0", f"/{SITE}/sound.so"},
        "libsnd_x-1.0.so.0": {f"/{SITE}/sound.so"},
        "libglib-2.0.so.0": {f"/{SITE}/sound.so"},
    }


def _failed(line: str) -> Result:
    return Result(kind="import", subject="import view", status="failed", detail=(line,))


def test_told_where_a_check_failed_for_one(tmp_path: Path) -> None:
    root = _root(tmp_path)
    assert tell_missing(root, [_failed("ImportError: no")]) == []
    absent = "libcuda.so.1: cannot open shared object file"
    assert tell_missing(root, [_failed(absent)]) == []  # the driver's
    absent = "ImportError: libGL.so.1: cannot open shared object file: No such file or directory"
    (told,) = tell_missing(root, [_failed(absent)])
    assert (told.kind, told.status) == ("libraries", "noted")
    assert told.subject.startswith("3 shared libraries are needed and nowhere in the image")
    assert told.detail == (
        f"libGL.so.1 (libgl1): /{SITE}/sound.so, view 2.0",
        f"libglib-2.0.so.0 (libglib2.0-0): /{SITE}/sound.so",
        f"libsnd_x-1.0.so.0 (libsnd-x-1.0-0): /{SITE}/sound.so",
        "for debian.packages: libgl1, libglib2.0-0, libsnd-x-1.0-0",
    )


def test_nothing_is_told_where_the_image_has_them(tmp_path: Path) -> None:
    """The loader looks elsewhere: no Debian package would help."""
    _write(tmp_path, f"{SITE}/a.so", shared_object("", needed=("libb.so.1",)))
    _write(tmp_path, f"{SITE}/elsewhere/libb.so.1", shared_object("libb.so.1"))
    absent = "libb.so.1: cannot open shared object file"
    assert tell_missing(tmp_path, [_failed(absent)]) == []


def test_what_a_file_asks_for() -> None:
    assert read_needed(shared_object("libx.so.1", needed=("liba.so", "libb.so.2"))) == (
        "liba.so",
        "libb.so.2",
    )
    assert read_needed(shared_object_32("libx.so.1", 3, "liba.so")) == ("liba.so",)
    assert read_needed(b"\x7fELF") == ()


@given(st.data())
def test_damaged_files_ask_for_something_or_nothing(data: st.DataObject) -> None:
    whole = bytearray(shared_object("libx.so.1", needed=("liba.so", "libb.so.2")))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    assert isinstance(read_needed(bytes(whole[:cut])), tuple)


def test_names_of_debians_packages() -> None:
    known = {
        "libX11.so.6": "libx11-6",
        "libgfortran.so.5": "libgfortran5",
        "libbz2.so.1.0": "libbz2-1.0",
        "libpng16.so.16": "libpng16-16",
        "libz.so.1": "zlib1g",
        "libodd.so": None,
    }
    assert {name: package_of(name) for name in known} == known
