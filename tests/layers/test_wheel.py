"""Wheels as they are installed: against the specification, by RECORD, and by running them."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.errors import ArtifactError
from envlock.layers.entry import Bytes, Entry, regular
from envlock.layers.wheel import Scheme, normalized_version, wheel_entries
from envlock.layers.writer import LayerWriter

from .making import Member, make_wheel, make_zip, wheel_members, zlib_stream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SCHEME = Scheme(prefix="opt/env", python="3.11")
SITE = "opt/env/lib/python3.11/site-packages"
INFO = f"{SITE}/demo-1.0.dist-info"
CODE = (
    b"def main():\n    print('hello')\n    return 3\n\nclass App:\n    run = staticmethod(main)\n"
)


def entries_of(
    path: Path, name: str = "demo", version: str = "1.0", scheme: Scheme = SCHEME
) -> dict[str, Entry]:
    """Return what a wheel installs, by path, with its contents in memory."""
    with path.open("rb") as archive:
        found = wheel_entries(path, archive, scheme, name=name, version=version)
        entries = {}
        for entry in found:
            assert entry.content is not None
            assert entry.path not in entries
            data = entry.content.read()
            assert len(data) == entry.content.size
            entries[entry.path] = Entry(
                path=entry.path, kind=entry.kind, mode=entry.mode, content=Bytes(data)
            )
    return entries


def data_of(entry: Entry) -> bytes:
    assert entry.content is not None
    return entry.content.read()


def check_record(entries: Mapping[str, Entry], info: str = INFO, site: str = SITE) -> None:
    """Check that RECORD lists every file once, with the right hash and size, and no other."""
    text = data_of(entries[f"{info}/RECORD"]).decode()
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert all(len(row) == 3 for row in rows)
    listed = {}
    for name, digest, size in rows:
        parts = site.split("/")
        for part in name.split("/"):
            if part == "..":
                parts.pop()
            else:
                parts.append(part)
        path = "/".join(parts)
        assert path not in listed, f"{path} is listed twice"
        listed[path] = (digest, size)
    assert listed.keys() == entries.keys()
    assert listed.pop(f"{info}/RECORD") == ("", "")
    for path, (digest, size) in listed.items():
        data = data_of(entries[path])
        sha256 = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        assert (digest, size) == (f"sha256={sha256}", str(len(data)))


def refuse(path: Path, match: str | None = None, name: str = "demo", version: str = "1.0") -> None:
    with pytest.raises(ArtifactError, match=match):
        entries_of(path, name, version)


# --- what is installed ---


def test_a_plain_wheel(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "demo", "1.0", {"demo/__init__.py": CODE, "demo/data.txt": b""})
    entries = entries_of(path)
    assert list(entries) == [
        f"{SITE}/demo/__init__.py",
        f"{SITE}/demo/data.txt",
        f"{INFO}/METADATA",
        f"{INFO}/WHEEL",
        f"{INFO}/INSTALLER",
        f"{INFO}/RECORD",
    ]
    assert data_of(entries[f"{SITE}/demo/__init__.py"]) == CODE
    assert data_of(entries[f"{INFO}/INSTALLER"]) == b"envlock\n"
    assert {entry.mode for entry in entries.values()} == {0o644}
    check_record(entries)


def test_every_data_scheme(tmp_path: Path) -> None:
    path = make_wheel(
        tmp_path,
        "demo",
        "1.0",
        {"demo.py": CODE},
        data={
            "purelib/pure.py": b"1",
            "platlib/sub/plat.py": b"2",
            "scripts/run": b"#!python\nprint('run')\n",
            "headers/demo/x.h": b"#define X\n",
            "data/share/demo/x.txt": b"3",
            "data/bin/tool": b"#!/bin/sh\n",
        },
        executable=["demo-1.0.data/data/bin/tool"],
    )
    entries = entries_of(path)
    assert data_of(entries[f"{SITE}/pure.py"]) == b"1"
    assert data_of(entries[f"{SITE}/sub/plat.py"]) == b"2"
    assert data_of(entries["opt/env/include/site/python3.11/demo/demo/x.h"]) == b"#define X\n"
    assert data_of(entries["opt/env/share/demo/x.txt"]) == b"3"
    assert data_of(entries["opt/env/bin/run"]) == b"#!/opt/env/bin/python3\nprint('run')\n"
    assert entries["opt/env/bin/run"].mode == 0o755
    assert entries["opt/env/bin/tool"].mode == 0o755
    assert not any(".data" in entry for entry in entries)
    check_record(entries)


@pytest.mark.parametrize(
    ("script", "installed"),
    [
        (b"#!python\nx\n", b"#!/opt/env/bin/python3\nx\n"),
        (b"#!pythonw\nx\n", b"#!/opt/env/bin/python3\nx\n"),
        (b"#!python -E\r\nx\r\n", b"#!/opt/env/bin/python3\nx\r\n"),
        (b"#!python", b"#!/opt/env/bin/python3"),
        (b"#!/usr/bin/python\nx", b"#!/usr/bin/python\nx"),
        (b"#!/bin/sh\n#!python\n", b"#!/bin/sh\n#!python\n"),
        (b"\x7fELF\0", b"\x7fELF\0"),
        (b"", b""),
        (b"#!python\n" + b"#" * 3_000_000, b"#!/opt/env/bin/python3\n" + b"#" * 3_000_000),
    ],
    ids=range(9),
)
def test_scripts_name_the_interpreter(script: bytes, installed: bytes, tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "demo", "1.0", data={"scripts/run": script}, pack=zlib_stream)
    entries = entries_of(path)
    assert data_of(entries["opt/env/bin/run"]) == installed
    assert entries["opt/env/bin/run"].mode == 0o755
    check_record(entries)


def test_executable_bits_are_kept(tmp_path: Path) -> None:
    members = wheel_members("demo", "1.0", {"tool": b"1", "plain": b"2", "weird": b"3"})
    modes = {"tool": 0o100755, "plain": 0o100600, "weird": 0o104711}
    for member in members:
        member.mode = modes.get(str(member.name), 0)
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    path.write_bytes(make_zip(members))
    entries = entries_of(path)
    assert entries[f"{SITE}/tool"].mode == 0o755
    assert entries[f"{SITE}/plain"].mode == 0o644
    assert entries[f"{SITE}/weird"].mode == 0o755  # no setuid
    assert entries[f"{INFO}/METADATA"].mode == 0o644


# --- entry points ---

POINTS = """\
[console_scripts]
demo = demo:main
demo-app=demo:App.run
with.dots_and-more+ = demo : main
extra = demo:main [colour,fast]
# a comment
; another

[gui_scripts]
window = demo:main

[DEFAULT]
nonsense = not:installed

[other.group]
demo-other = demo
"""


def test_entry_points_become_scripts_that_run(tmp_path: Path) -> None:
    root = tmp_path / "root"
    scheme = Scheme(prefix=f"{root}/env".lstrip("/"), python="3.11")
    wheel = make_wheel(tmp_path, "demo", "1.0", {"demo.py": CODE}, entry_points=POINTS)
    entries = entries_of(wheel, scheme=scheme)
    site = scheme.site_packages
    check_record(entries, f"{site}/demo-1.0.dist-info", site)
    scripts = {p.rpartition("/")[2]: e for p, e in entries.items() if p.startswith(scheme.scripts)}
    assert sorted(scripts) == [
        "demo",
        "demo-app",
        "extra",
        "window",
        "with.dots_and-more+",
    ]
    for path, entry in entries.items():
        place = Path("/", path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data_of(entry))
        place.chmod(entry.mode)
    python = root / "env" / "bin" / "python3"
    python.symlink_to(sys.executable)
    for name in scripts:
        done = subprocess.run(
            [root / "env" / "bin" / name],
            env={"PYTHONPATH": f"/{site}"},
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (3, b"hello\n", b"")


@pytest.mark.parametrize(
    "line",
    [
        "a/b = demo:main",
        "../a = demo:main",
        ".. = demo:main",
        "/abs = demo:main",
        "a b = demo:main",
        "-rf = demo:main",
        "a = demo",
        "a = demo:",
        "a = :main",
        "a = demo:main; import os",
        "a = demo:main\n  more",
        "a = de mo:main",
        "a = demo:main [unclosed",
        "no value",
        "a\x07 = demo:main",
    ],
)
def test_malformed_entry_points_are_refused(line: str, tmp_path: Path) -> None:
    points = f"[console_scripts]\n{line}\n"
    refuse(make_wheel(tmp_path, "demo", "1.0", {"demo.py": CODE}, entry_points=points))


def test_entry_points_without_a_section_are_refused(tmp_path: Path) -> None:
    refuse(make_wheel(tmp_path, "demo", "1.0", {"demo.py": CODE}, entry_points="a = demo:main\n"))


def test_a_script_and_an_entry_point_of_one_name(tmp_path: Path) -> None:
    """Old setuptools shipped both; the entry point is the one that installers make."""
    path = make_wheel(
        tmp_path,
        "demo",
        "1.0",
        {"demo.py": CODE},
        data={"scripts/demo": b"#!python\nold\n"},
        entry_points="[console_scripts]\ndemo = demo:main\n",
    )
    entries = entries_of(path)
    assert b"from demo import main" in data_of(entries["opt/env/bin/demo"])
    check_record(entries)


# --- RECORD ---


def test_a_wheel_that_ships_what_installers_write(tmp_path: Path) -> None:
    extra = {"INSTALLER": b"pip\n", "RECORD.jws": b"{}", "RECORD.p7s": b"x"}
    path = make_wheel(tmp_path, "demo", "1.0", {"demo.py": CODE}, extra=extra)
    entries = entries_of(path)
    assert data_of(entries[f"{INFO}/INSTALLER"]) == b"envlock\n"
    assert f"{INFO}/RECORD.jws" not in entries
    check_record(entries)


def test_names_that_need_quotes_in_record(tmp_path: Path) -> None:
    names = ["demo/a,b.txt", 'demo/"q".txt', "demo/ü.txt", "demo/a b.txt"]
    files = dict.fromkeys(names, b"1")
    for data in ({}, {"data/share/x,y": b"2"}):
        check_record(entries_of(make_wheel(tmp_path, "demo", "1.0", files, data=data)))


def test_a_record_without_a_newline_at_its_end(tmp_path: Path) -> None:
    members = wheel_members("demo", "1.0", {"demo.py": CODE})
    record = members.pop()
    members.append(Member(record.name, record.data.rstrip()))
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    path.write_bytes(make_zip(members))
    check_record(entries_of(path))


@pytest.mark.parametrize(
    "record", [b"\xff,,\n", b'"' + b"x" * 200_000 + b'",,\n', b"a\0b,,\n", b'"open,,\n']
)
def test_malformed_records(record: bytes, tmp_path: Path) -> None:
    members = wheel_members("demo", "1.0", {"demo.py": CODE}, data={"data/x": b""})
    members[-1] = Member(members[-1].name, record)
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    path.write_bytes(make_zip(members))
    try:
        entries_of(path)
    except ArtifactError:
        return
    assert record.startswith((b"a", b'"open'))  # odd, but text


@pytest.mark.parametrize("data", [{}, {"data/x": b""}])
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("../../../../../etc/passwd,,", "leads out of the environment"),
        ("demo/../../../../../../../etc/passwd,,", "leads out of the environment"),
        ("../../../../env2/x,,", "leads out of the environment"),
        ("/etc/passwd,,", "leads out of the environment"),
        ("/opt/env/bin/x,,", "leads out of the environment"),
        (",,", "names no path"),
        ("a\x07b,,", "names no path"),
        ("garbage", "has 1 columns"),
        ("demo.py,sha256=x,1,2", "has 4 columns"),
        ("demo.py,nothing,1", "has no hash and size"),
        ("demo.py,sha256=x,many", "has no hash and size"),
    ],
)
def test_a_row_that_lies_is_named(
    row: str, message: str, data: dict[str, bytes], tmp_path: Path
) -> None:
    members = wheel_members("demo", "1.0", {"demo.py": CODE}, data=data)
    members[-1] = Member(members[-1].name, members[-1].data + row.encode() + b"\n")
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    path.write_bytes(make_zip(members))
    with pytest.raises(ArtifactError, match=message) as caught:
        entries_of(path)
    assert repr(row) in caught.value.message


def test_a_record_is_kept_as_it_is(tmp_path: Path) -> None:
    """Its quotes, its line ends and a row that leads to another place of the environment."""
    members = wheel_members("demo", "1.0", {"demo.py": CODE})
    record = b'"demo.py",,\r\n\r\n../../../bin/demo,md5=0,12\r\n'
    members[-1] = Member(members[-1].name, record)
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    path.write_bytes(make_zip(members))
    assert data_of(entries_of(path)[f"{INFO}/RECORD"]).startswith(record)


# --- what is refused ---


def test_another_distribution_is_refused(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "other", "1.0", {"demo.py": CODE})
    refuse(path, "holds other-1.0, not demo 1.0")


@pytest.mark.parametrize("wanted", ["1.1", "2.0", "1.0.post1", "1.0rc1", "1.0.dev1", "1!1.0"])
def test_another_version_is_refused(wanted: str, tmp_path: Path) -> None:
    refuse(make_wheel(tmp_path, "demo", "1.0"), f"not demo {wanted}", version=wanted)


@pytest.mark.parametrize(
    ("in_wheel", "in_lock"),
    [
        ("1.0", "1.0"),
        ("1.0", "1"),
        ("1.0.0", "1.0"),
        ("01.0", "1.0"),
        ("1.0.post1", "1.0-1"),
        ("1.0_1", "1.0.post1"),
        ("1.0a1", "1.0.alpha1"),
        ("1.0RC1", "1.0rc1"),
        ("1.0.c1", "1.0rc1"),
        ("1.0dev", "1.0.dev0"),
        ("2.6.0+cu124", "2.6.0+cu124"),
        ("2.6.0", "2.6.0+cu124"),
        ("1.0+ubuntu.1", "1.0+ubuntu-1"),
        ("1!2.0", "1!2"),
        ("2004d_odd", "2004d_odd"),
    ],
)
def test_the_same_version_written_differently(in_wheel: str, in_lock: str, tmp_path: Path) -> None:
    entries_of(make_wheel(tmp_path, "demo", in_wheel), version=in_lock)


@given(
    st.from_regex(
        r"\A(v?)([0-9]!)?[0-9]{1,3}(\.[0-9]{1,3}){0,3}([-_.]?(a|alpha|b|beta|c|rc|pre|preview)"
        r"[-_.]?[0-9]{0,2})?(-[0-9]|[-_.]?(post|rev|r)[-_.]?[0-9]?)?([-_.]?dev[-_.]?[0-9]?)?"
        r"(\+[a-z0-9]{1,3}([-_.][a-z0-9]{1,3})?)?\Z"
    ),
    st.from_regex(r"\A[0-9](\.[0-9]){0,2}((a|b|rc)[0-9])?(\.post[0-9])?(\.dev[0-9])?\Z"),
)
def test_versions_are_equal_when_packaging_says_so(one: str, two: str) -> None:
    packaging = pytest.importorskip("packaging.version")
    first, second = packaging.Version(one), packaging.Version(two)
    assert (normalized_version(one) == normalized_version(two)) == (first == second)
    assert normalized_version(one) == normalized_version(str(first))


@pytest.mark.parametrize("text", ["1" * 5000, f"1.0+{'1' * 5000}", f"1.dev{'1' * 5000}"])
def test_a_version_of_thousands_of_digits_is_no_version(text: str) -> None:
    assert normalized_version(text) == text


@pytest.mark.parametrize(
    ("name", "in_lock"),
    [("Demo.Pkg", "demo-pkg"), ("demo_pkg", "Demo.Pkg"), ("DEMO__PKG", "demo-pkg")],
)
def test_the_same_name_written_differently(name: str, in_lock: str, tmp_path: Path) -> None:
    entries_of(make_wheel(tmp_path, name, "1.0"), in_lock)


@pytest.mark.parametrize("version", ["2.0", "0.9", "", "x", "10.0"])
def test_another_wheel_format_is_refused(version: str, tmp_path: Path) -> None:
    refuse(make_wheel(tmp_path, "demo", "1.0", wheel_version=version), "Wheel-Version")


def test_a_newer_minor_wheel_format_is_read(tmp_path: Path) -> None:
    entries_of(make_wheel(tmp_path, "demo", "1.0", wheel_version="1.9"))


@pytest.mark.parametrize("missing", ["METADATA", "RECORD", "WHEEL"])
def test_missing_files_are_named(missing: str, tmp_path: Path) -> None:
    members = [m for m in wheel_members("demo", "1.0") if not str(m.name).endswith(missing)]
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    path.write_bytes(make_zip(members))
    refuse(path, missing)


@pytest.mark.parametrize(
    "files",
    [
        {"other-1.0.dist-info/METADATA": b""},
        {"demo-1.0.data/unknown/x": b""},
        {"demo-1.0.data/x": b""},
        {"demo-1.0.data/purelib/demo.py": b"another"},
        {"demo-1.0.data/data/../../../x": b""},
        {"demo-1.0.data/scripts/../x": b""},
    ],
    ids=lambda files: next(iter(files)),
)
def test_impossible_contents_are_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    refuse(make_wheel(tmp_path, "demo", "1.0", {"demo.py": CODE, **files}))


def test_no_dist_info_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    path.write_bytes(make_zip([Member("demo.py", CODE)]))
    refuse(path, "0 .dist-info")


@pytest.mark.parametrize("name", ["entry_points.txt", "WHEEL"])
def test_text_that_is_not_utf8_is_refused(name: str, tmp_path: Path) -> None:
    members = wheel_members("demo", "1.0", entry_points="[console_scripts]\n")
    members = [m for m in members if not str(m.name).endswith(name)]
    members.append(Member(f"demo-1.0.dist-info/{name}", b"Wheel-Version: 1.0\n\xff\n"))
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    path.write_bytes(make_zip(members))
    refuse(path, "not UTF-8")


@given(st.text(max_size=200))
def test_any_entry_points_give_scripts_or_an_error(text: str) -> None:
    _any_entry_points(text)


@given(
    st.lists(
        st.sampled_from(
            [
                "[console_scripts]",
                "a = b:c",
                "  a = b:c",
                "[",
                "]",
                "=",
                "a",
                "\t",
                "# x",
                "[x]",
                "a = b:c [x]",
                "%(a)s = b:c",
                "[console_scripts]",
                "",
                "a=",
                "=b:c",
                "[DEFAULT]",
            ]
        )
    )
)
def test_odd_entry_points_give_scripts_or_an_error(lines: list[str]) -> None:
    _any_entry_points("\n".join(lines))


def _any_entry_points(text: str) -> None:
    members = wheel_members("demo", "1.0", entry_points=text or "x", pack=_stored)
    archive = io.BytesIO(make_zip(members))
    try:
        entries = wheel_entries(Path("demo.whl"), archive, SCHEME, name="demo", version="1.0")
    except ArtifactError:
        return
    for entry in entries:
        assert entry.path.startswith("opt/env/")


def _stored(data: bytes) -> bytes:
    sizes = len(data).to_bytes(2, "little") + (len(data) ^ 0xFFFF).to_bytes(2, "little")
    return b"\x01" + sizes + data


# --- the fast path equals the full path ---


def layer_of(entries: Sequence[Entry]) -> tuple[str, bytes]:
    out = io.BytesIO()
    writer = LayerWriter(out)
    writer.add_all(entries)
    return writer.finish().diff_id, out.getvalue()


@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_digest_by_the_fast_path_is_digest_by_the_full_path(level: int, tmp_path: Path) -> None:
    files = {f"demo/{n}.py": CODE * n for n in range(60)} | {"demo/big": bytes(range(256)) * 9000}

    def pack(data: bytes) -> bytes:
        return zlib_stream(data, level)

    path = make_wheel(
        tmp_path, "demo", "1.0", files, entry_points=POINTS, data={"data/x": b"1"}, pack=pack
    )
    with path.open("rb") as archive:
        entries = wheel_entries(path, archive, SCHEME, name="demo", version="1.0")
        fast, packed = layer_of(entries)
        plain = [regular(entry.path, data_of(entry), entry.mode) for entry in entries]
    full, _ = layer_of(plain)
    assert fast == full
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        names = [info.name for info in tar.getmembers() if info.isfile()]
        assert names == [entry.path for entry in plain]
        for entry in plain:
            content = tar.extractfile(entry.path)
            assert content is not None
            assert content.read() == data_of(entry)
