"""Where fuzzing begins: a few valid inputs of each kind, made in code."""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from envlock.lock.codec import dump_lock

from ..layers.making import Member, make_zip, wheel_members, zlib_stream
from ..layers_conda.making import PLACEHOLDER, Link, Prefixed, make_conda
from ..layers_deb.making import COMPRESS, CONTROL, Item, deb, shared_object, tar
from ..lock.locks import LOCK, conda
from ..spec.specs import FULL, HEAD
from .targets import _tar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..makers.conda import Content

FOUND = Path(__file__).with_name("found")
"""Inputs that once went wrong, by target: they stay seeds, and are tried at each run."""

LONG = "d/" * 60 + "n" * 120

ITEMS = [
    Item("./"), Item("./usr/"), Item("./usr/a", b"content" * 99, 0o644),
    Item("./usr/b", type=b"2", target="a"), Item("./usr/c", type=b"1", target="./usr/a"),
    Item("./" + LONG, b"x", 0o4755), Item("./lib/libx.so", shared_object("libx.so.1")),
]  # fmt: skip


@cache
def seeds() -> Mapping[str, tuple[bytes, ...]]:
    """Return valid inputs by target, those of ``found`` behind them."""
    made = {**_zips(), **_tars(), **_conda(), **_texts(), **_streams()}
    return {name: (*inputs, *_found(name)) for name, inputs in made.items()}


def _found(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((FOUND / name).glob("*"))]


def _zips() -> dict[str, tuple[bytes, ...]]:
    members = wheel_members(
        "a", "1", {"a/__init__.py": b"import os\n" * 30, "a/ü": b""},
        entry_points="[console_scripts]\na = a:main\n",
        data={"scripts/run": b"#!python\n", "data/share/x": b"y"}, executable=["a/__init__.py"],
    )  # fmt: skip
    plain = make_zip(members)
    odd = make_zip([Member("x", b"stored", method=0), Member("y", b"later", descriptor=True)])
    names = (
        b"a/x.py\0x = 1\n\0\0a-1.data/scripts/s\0#!python\nx\0\0a-1.dist-info/RECORD\0a/x.py,,\n"
    )
    points = b"a-1.dist-info/entry_points.txt\0[console_scripts]\nx = a:b.c\n[gui_scripts]\ny=a:b\n"
    return {
        "zip_archive": (plain, odd),
        "wheel": (plain, odd),
        "wheel_files": (names, points),
        "audited_wheel": (plain, odd),
        "solved_wheel": (plain, odd),
    }


def _tars() -> dict[str, tuple[bytes, ...]]:
    gnu, ustar = tar(ITEMS), tar(ITEMS[:5], tarfile.USTAR_FORMAT)
    pax = tar([*ITEMS[:4], Item("p" * 200, b"1", pax={"comment": "x"})], tarfile.PAX_FORMAT)
    return {
        "tar": (gnu, ustar, pax),
        "image_layer": (gnu, ustar, pax),
        "debian_data": (gnu, ustar, pax),
        "debian_archive": (deb(ustar), deb(gnu, suffix=".gz", control_suffix="")),
        "debian_control": (CONTROL,),
        "debian_compressed": tuple(
            bytes([number]) + COMPRESS[suffix](ustar)
            for number, suffix in enumerate((".gz", ".xz", ".bz2"))
        ),
    }


def _conda() -> dict[str, tuple[bytes, ...]]:
    files: dict[str, Content] = {
        "bin/x": Prefixed(f"#!{PLACEHOLDER}/bin/python\n", executable=True),
        "lib/l": Link("../bin/x"),
        "lib/b": Prefixed(b"\x7fELF" + PLACEHOLDER.encode() + b"\0\0", binary=True),
    }
    with tempfile.TemporaryDirectory() as name:
        modern = make_conda(Path(name), "a", "1", build="0", files=files).read_bytes()
        old = make_conda(
            Path(name), "a", "1", build="0", files=files, suffix=".tar.bz2"
        ).read_bytes()
    paths = [
        {"_path": "a", "path_type": "hardlink", "sha256": None, "size_in_bytes": 2},
        {"_path": "site-packages/b", "path_type": "hardlink", "file_mode": "text",
         "prefix_placeholder": "/placeholder"},
    ]  # fmt: skip
    payload = _tar({"a": b"aa", "site-packages/b": b"x=/placeholder\n"})
    text = json.dumps({"paths_version": 1, "paths": paths}).encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("ü" * 101))
    return {
        "conda_package": (modern,),
        "conda_tar_bz2": (old,),
        "solved_conda": (modern, old),
        "conda_paths": (text + b"\0" + payload, text + b"\0" + out.getvalue()),
    }


def _texts() -> dict[str, tuple[bytes, ...]]:
    lock = replace(LOCK, artifacts=(*LOCK.artifacts, conda("x")))
    text = dump_lock(lock).encode()
    small = json.dumps(json.loads(text)).encode()
    aliases = HEAD + "image: {env: &e {A: b}, labels: *e}\n"
    return {
        "lock_text": (text,),
        "lock_sealed": (small,),
        "spec_text": (HEAD.encode(), FULL.encode(), aliases.encode()),
    }


def _streams() -> dict[str, tuple[bytes, ...]]:
    plain = b"spam and eggs " * 40
    streams = tuple(zlib_stream(plain, level) for level in (0, 1, 9))
    size = len(plain).to_bytes(2, "little")
    return {"spliced": streams, "gzip_segment": tuple(size + stream for stream in streams)}
