"""Two images that are almost the same: the layer, the file and the bytes are named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.imagediff import as_data, as_lines, compare
from envlock.imagediff.compare import _ranges
from envlock.validate.layout import open_layout

from ..validate.images import Layout, link, member, tar_of

if TYPE_CHECKING:
    import tarfile
    from pathlib import Path

    from envlock.imagediff.model import ImageDifference

Member = tuple["tarfile.TarInfo", bytes]

ONE = [member("usr"), member("usr/a", "content of a\n" * 9), member("usr/b", "b"), link("l", "a")]


def compared(
    tmp_path: Path, *pairs: tuple[list[Member] | bytes, list[Member] | bytes]
) -> ImageDifference:
    layouts = (Layout(tmp_path / "one"), Layout(tmp_path / "two"))
    for pair in pairs:
        for layout, layer in zip(layouts, pair, strict=True):
            layout.raw_layer(layer if isinstance(layer, bytes) else tar_of(*layer))
    one, two = (open_layout(layout.write()) for layout in layouts)
    difference = compare(one, two)
    json.dumps(as_data(difference))
    return difference


def test_nothing(tmp_path: Path) -> None:
    assert compared(tmp_path, (ONE, ONE)).layers == ()


CASES: dict[str, tuple[list[Member], str]] = {
    "content": (
        [ONE[0], member("usr/a", "content of a\n" * 4 + "C" * 124), *ONE[2:]],
        "    usr/a: another content (117 bytes recorded, 176 built; ",
    ),
    "one byte": (
        [ONE[0], member("usr/a", "content of a\n" * 8 + "content of b\n"), *ONE[2:]],
        "      byte 115: 'a' recorded, 'b' built",
    ),
    "mode": (
        [ONE[0], ONE[1], member("usr/b", "b", mode=0o600), ONE[3]],
        "    usr/b: mode 0644 recorded, 0600 built (a umask, or another rule for permissions)",
    ),
    "time": (
        [ONE[0], ONE[1], member("usr/b", "b", mtime=1_700_000_000), ONE[3]],
        "    usr/b: mtime 315532800 recorded, 1700000000 built (a clock or a file's own time)",
    ),
    "owner": (
        [ONE[0], ONE[1], member("usr/b", "b", uid=1000, uname="me"), ONE[3]],
        "    usr/b: uid 0 recorded, 1000 built (who ran it)",
    ),
    "link": ([*ONE[:3], link("l", "usr/b")], "    l: linkname a recorded, usr/b built"),
    "added": ([*ONE, member("new", "1")], "    new: only built"),
    "removed": (ONE[:3], "    l: only recorded"),
    "order": (
        [ONE[0], ONE[2], ONE[1], ONE[3]],
        "    usr/a: member 1 recorded, member 2 built (another order)",
    ),
    "pax": (
        [ONE[0], ONE[1], member("usr/b", "b", pax_headers={"atime": "1.5"}), ONE[3]],
        "    usr/b: pax - recorded, atime=1.5 built (another tar writer)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_layers_content(tmp_path: Path, case: tuple[list[Member], str]) -> None:
    other, expected = case
    difference = compared(tmp_path, (ONE[:1], ONE[:1]), (ONE, other))
    (layer,) = difference.layers
    assert (layer.number, layer.kind) == (2, "content")
    lines = as_lines(difference)
    assert any(line.startswith(expected) for line in lines), "\n".join(lines)


def test_a_header_without_a_name_for_it(tmp_path: Path) -> None:
    tar = bytearray(tar_of(*ONE))
    other = bytearray(tar)
    other[263:265] = b" \0"  # ustar's version; the checksum must follow
    total = sum(other[:148]) + 8 * 0x20 + sum(other[156:512])
    other[148:156] = b"%06o\0 " % total
    lines = as_lines(compared(tmp_path, (bytes(tar), bytes(other))))
    assert any("usr: byte 1" in line and "of the header" in line for line in lines), lines


def test_what_is_behind_the_last_member(tmp_path: Path) -> None:
    tar = tar_of(*ONE)
    (layer,) = compared(tmp_path, (tar, tar + bytes(10240))).layers
    assert layer.files == ()
    assert "behind the last" in layer.note


def test_another_compressor(tmp_path: Path) -> None:
    one, two = Layout(tmp_path / "one"), Layout(tmp_path / "two")
    one.raw_layer(tar_of(*ONE))
    two.raw_layer(tar_of(*ONE), plain=True)
    difference = compare(open_layout(one.write()), open_layout(two.write()))
    (layer,) = difference.layers
    assert layer.kind == "compression"
    assert "compressed bytes differ from byte 0 on" in as_lines(difference)[0]


def test_layers_that_only_one_has(tmp_path: Path) -> None:
    one, two = Layout(tmp_path / "one"), Layout(tmp_path / "two")
    one.layer(ONE[0])
    two.layer(ONE[0]).layer(*ONE)
    (layer,) = compare(open_layout(one.write()), open_layout(two.write())).layers
    assert layer.kind == "only built"
    (layer,) = compare(open_layout(two.write()), open_layout(one.write())).layers
    assert layer.kind == "only recorded"


def test_settings(tmp_path: Path) -> None:
    one, two = Layout(tmp_path / "one"), Layout(tmp_path / "two")
    one.config, two.config = {"Env": ["A=1", "B=2"], "User": "x"}, {"Env": ["A=1", "B=3"]}
    for layout in (one, two):
        layout.layer(*ONE)
    lines = as_lines(compare(open_layout(one.write()), open_layout(two.write())))
    assert lines == [
        '  config.config.Env[1]: "B=2" recorded, "B=3" built',
        '  config.config.User: "x" recorded, - built',
    ]


def test_a_reference_that_is_damaged(tmp_path: Path) -> None:
    one, two = Layout(tmp_path / "one"), Layout(tmp_path / "two")
    one.layer(*ONE)
    two.layer(*ONE[:3])
    images = (open_layout(one.write()), open_layout(two.write()))
    blob = tmp_path / "one" / images[0].layers[0].blob.name
    data = bytearray(blob.read_bytes())
    data[60] ^= 0xFF
    blob.write_bytes(data)
    (layer,) = compare(*images).layers
    assert layer.kind == "unreadable"
    assert "not what its descriptor says" in as_lines(compare(*images))[0]


def test_many_files(tmp_path: Path) -> None:
    many = [member(f"f{number}", "1") for number in range(30)]
    other = [member(f"f{number}", "2") for number in range(30)]
    (layer,) = compared(tmp_path, (many, other)).layers
    assert (len(layer.files), layer.more) == (20, 10)


@given(st.binary(max_size=60), st.lists(st.tuples(st.integers(0, 70), st.binary(max_size=5))))
def test_ranges_are_exactly_what_differs(data: bytes, edits: list[tuple[int, bytes]]) -> None:
    import io

    other = bytearray(data)
    for at, piece in edits:
        other[at : at + len(piece)] = piece
    told: set[int] = set()
    for one in _ranges(io.BytesIO(data), io.BytesIO(other)):
        assert one.start < one.end
        told |= set(range(one.start, one.end))
    longer = max(len(data), len(other))
    true = {at for at in range(longer) if data[at : at + 1] != bytes(other[at : at + 1])}
    assert told == true


def test_ranges_across_pieces() -> None:
    import io

    data = bytes(5 << 20)
    other = bytearray(data)
    other[(1 << 20) - 2 : (1 << 20) + 2] = b"abcd"
    other[3 << 20] = 1
    found = [(one.start, one.end) for one in _ranges(io.BytesIO(data), io.BytesIO(other))]
    assert found == [((1 << 20) - 2, (1 << 20) + 2), (3 << 20, (3 << 20) + 1)]
