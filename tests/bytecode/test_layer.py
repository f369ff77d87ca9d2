"""What an image's Python compiled, as a layer: whatever it wrote."""

from __future__ import annotations

import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envlock.bytecode.layer import pack_bytecode
from envlock.errors import ArtifactError

SITE = "/opt/env/lib/python3.11/site-packages"
GOOD = "/opt/env/lib/python3.11/site-packages/a/__pycache__/b.cpython-311.pyc"


def written(*modules: tuple[str, bytes]) -> bytes:
    parts = []
    for path, data in modules:
        name = path.encode("utf-8", "surrogateescape")
        parts += [len(name).to_bytes(4, "big"), len(data).to_bytes(4, "big"), name, data]
    return b"".join(parts)


def packed(data: bytes) -> list[tuple[str, int, int, bytes]]:
    """Return the files of the layer: path, mode, owner, content."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        out.write_bytes(data)
        made = pack_bytecode([out], Path(folder) / "blobs", SITE)
        blob = Path(folder) / "blobs" / made.digest.removeprefix("sha256:")
        with tarfile.open(blob, "r:gz") as tar:
            files = [(m, tar.extractfile(m)) for m in tar if not m.isdir()]
            return [(m.name, m.mode, m.uid, f.read() if f else b"") for m, f in files]


def test_modules_become_files_of_root() -> None:
    other = GOOD.replace("/b.", "/c.")
    assert packed(written((GOOD, b"1"), (other, b"22"))) == [
        (GOOD[1:], 0o644, 0, b"1"),
        (other[1:], 0o644, 0, b"22"),
    ]
    assert packed(b"") == []


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "opt/env/__pycache__/a.pyc",
        "/opt/../etc/__pycache__/a.pyc",
        "/opt/./__pycache__/a.pyc",
        "/opt//__pycache__/a.pyc",
        "/opt/__pycache__/..pyc/../../a",
        "/opt/__pycache__/a.py",
        "/opt/__pycache__/a\0.pyc",
        "",
    ],
)
def test_nothing_else_gets_into_the_layer(path: str) -> None:
    with pytest.raises(ArtifactError):
        packed(written((path, b"x")))


def test_a_module_that_is_there_twice() -> None:
    with pytest.raises(ArtifactError, match="two entries"):
        packed(written((GOOD, b"1"), (GOOD, b"2")))


def test_files_are_joined_in_one_order(tmp_path: Path) -> None:
    """What several files have alike is written once."""
    places = [GOOD.replace("/b.", f"/{name}.") for name in "zya"]
    shares = [tmp_path / str(number) for number in range(4)]
    for share, some in zip(shares, [[0, 2], [], [1], [2]], strict=True):
        share.write_bytes(written(*((places[number], b"x") for number in some)))
    whole = tmp_path / "whole"
    whole.write_bytes(written(*((path, b"x") for path in sorted(places))))
    made = pack_bytecode(shares, tmp_path / "blobs", SITE)
    assert made == pack_bytecode([whole], tmp_path / "blobs", SITE)


@pytest.mark.parametrize("end", [1, 7, 8, 20, -1])
def test_what_is_cut_off(end: int) -> None:
    with pytest.raises(ArtifactError):
        packed(written((GOOD, b"some"))[:end])


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_noise(data: bytes) -> None:
    try:
        files = packed(data)
    except ArtifactError:
        return
    assert all(name.endswith(".pyc") for name, _, _, _ in files)
