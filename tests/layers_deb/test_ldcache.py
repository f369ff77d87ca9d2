"""ld.so.cache: the same bytes as ldconfig's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.layers.debtree import Tree
from envlock.layers.elf import SharedObject, read_shared_object
from envlock.layers.entry import Entry, directory, regular, symlink
from envlock.layers.ldcache import (
    CacheEntry,
    cache_bytes,
    compare_names,
    configured_directories,
    is_library_name,
    scan,
)

from .making import collect, shared_object, shared_object_32

if TYPE_CHECKING:
    from collections.abc import Iterable

MULTIARCH = "x86_64-linux-gnu"
LIB = f"usr/lib/{MULTIARCH}"
CONTROL = {"control": b"Package: demo\nVersion: 1\nArchitecture: amd64\n"}
CONF = {
    "etc/ld.so.conf": b"include /etc/ld.so.conf.d/*.conf # all\n\n",
    "etc/ld.so.conf.d/libc.conf": b"# libc\n/usr/local/lib\n",
    "etc/ld.so.conf.d/x.conf": f"/usr/local/no\n /lib/{MULTIARCH}/ \n/{LIB}\n".encode(),
    "etc/ld.so.conf.d/zz.conf": b"/opt/more\n/opt/none\nhwcap 1 x\n",
}


def library(path: str, soname: str, machine: int = 62) -> Entry:
    return regular(path, shared_object(soname, machine))


ENTRIES = [
    library(f"{LIB}/libone.so.1.2.10", "libone.so.1"),
    symlink(f"{LIB}/libone.so.1", "libone.so.1.2.10"),
    symlink(f"{LIB}/libone.so", "libone.so.1"),
    library(f"{LIB}/libone.so.1.2.9", "libone.so.1"),
    library(f"{LIB}/libtwo.so.10", "libtwo.so.10"),
    library(f"{LIB}/libtwo.so.9", "libtwo.so.9"),
    library(f"{LIB}/libnolink.so.3.1", "libnolink.so.3"),
    library(f"{LIB}/libbare.so", ""),
    symlink(f"{LIB}/libodd.so", "libone.so.1.2.10"),
    symlink(f"{LIB}/libdangling.so.1", "libgone.so.1"),
    library(f"{LIB}/libarm.so.1", "libarm.so.1", machine=183),
    library(f"{LIB}/plugin.so", "plugin.so"),
    library(f"{LIB}/ld-linux-x86-64.so.2", "ld-linux-x86-64.so.2"),
    regular(f"{LIB}/libscript.so", b"/* GNU ld script */\nGROUP ( libone.so.1 )\n"),
    library(f"{LIB}/sub/libsub.so.1", "libsub.so.1"),
    symlink("usr/lib64/ld-linux-x86-64.so.2", f"/lib/{MULTIARCH}/ld-linux-x86-64.so.2"),
    library("usr/lib/libold.so.1", "libold.so.1"),
    library("opt/more/libone.so.1", "libone.so.1"),
    symlink("usr/local/lib/libfar.so.1", f"/lib/{MULTIARCH}/libtwo.so.9"),
    library(f"{LIB}/glibc-hwcaps/x86-64-v3/libone.so.1.2.10", "libone.so.1"),
    library(f"{LIB}/glibc-hwcaps/x86-64-v2/libone.so.1.2.10", "libone.so.1"),
    regular("opt/more/libold.so.2", shared_object_32("libold.so.2", 3, "libc.so.6")),
    regular("opt/more/ld-linux.so.2", shared_object_32("ld-linux.so.2", 3)),
    regular("opt/more/ld.so", shared_object_32("ld-linux-x32.so.2", 62, "libc.so.6")),
    symlink("opt/more/ld-linux-x32.so.2", "ld.so"),
    directory("usr/bin"),
    *(regular(path, text) for path, text in CONF.items()),
]


def scanned(
    entries: Iterable[Entry], glibc: tuple[int, ...] = (2, 36)
) -> tuple[list[CacheEntry], dict[str, str]]:
    tree = Tree.of([collect(CONTROL, entries)])
    found, links = scan(tree, configured_directories(tree.kept(), MULTIARCH), MULTIARCH, glibc)
    return found, {link.path: link.target for link in links}


def test_what_is_found() -> None:
    found, links = scanned(ENTRIES)
    paths = [entry.path for entry in found if entry.soname == "libone.so.1"]
    assert paths == [
        f"/lib/{MULTIARCH}/libone.so.1",
        f"/lib/{MULTIARCH}/glibc-hwcaps/x86-64-v2/libone.so.1.2.10",
        f"/lib/{MULTIARCH}/glibc-hwcaps/x86-64-v3/libone.so.1.2.10",
        "/opt/more/libone.so.1",
    ]
    names = {entry.soname for entry in found}
    assert names == {
        *("libone.so.1", "libone.so", "libtwo.so.10", "libtwo.so.9", "libnolink.so.3"),
        *("libbare.so", "libold.so.1", "ld-linux-x86-64.so.2"),
        *("libold.so.2", "ld-linux.so.2", "ld-linux-x32.so.2"),
    }
    assert links == {
        f"{LIB}/libnolink.so.3": "libnolink.so.3.1",
        "usr/local/lib/libtwo.so.9": "libfar.so.1",
    }


def write(root: Path, entries: Iterable[Entry]) -> None:
    for entry in entries:
        path = root / entry.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.kind == "dir":
            path.mkdir(exist_ok=True)
        elif entry.kind == "symlink":
            path.symlink_to(entry.target)
        else:
            assert entry.content is not None
            path.write_bytes(entry.content.read())


def ldconfig() -> str:
    """Return the tool and skip where it is none, or one that writes another format."""
    tool = shutil.which("ldconfig") or "/sbin/ldconfig"
    if not Path(tool).exists():
        pytest.skip("no ldconfig here")
    first = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True)
    if "Debian GLIBC" not in first.stdout:
        pytest.skip("not Debian's ldconfig: its trusted directories differ")
    return tool


def generator(tool: str) -> str:
    text = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout
    name = text.splitlines()[0]  # "ldconfig (Debian GLIBC 2.36-9) 2.36"
    return f"{name.rpartition(' ')[0]} stable release version {name.rpartition(' ')[2]}"


def test_the_bytes_are_ldconfigs(tmp_path: Path) -> None:
    tool = ldconfig()
    root = tmp_path / "root"
    links = [symlink("lib", "usr/lib"), symlink("lib64", "usr/lib64")]
    conf = [entry for entry in ENTRIES if entry.path != "etc/ld.so.conf.d/zz.conf"]
    conf.append(regular("etc/ld.so.conf.d/zz.conf", b"/opt/more\n/opt/none\n"))
    write(root, [*links, *conf])
    subprocess.run([tool, "-X", "-r", root], check=True, capture_output=True)
    wrote = generator(tool)
    found, made = scanned(conf, tuple(map(int, wrote.rpartition(" ")[2].split("."))))
    theirs = (root / "etc/ld.so.cache").read_bytes()
    assert cache_bytes(found, wrote) == theirs
    subprocess.run([tool, "-r", root], check=True, capture_output=True)
    for path, target in made.items():
        assert (root / path).readlink() == Path(target)


def test_ldconfig_reads_what_another_version_wrote(tmp_path: Path) -> None:
    tool = ldconfig()
    (tmp_path / "etc").mkdir()
    found, _ = scanned(ENTRIES)
    (tmp_path / "etc/ld.so.cache").write_bytes(cache_bytes(found, "envlock"))
    text = subprocess.run(
        [tool, "-r", tmp_path, "-p"], check=True, capture_output=True, text=True
    ).stdout
    assert text.startswith(f"{len(found)} libs found")
    assert f"libtwo.so.10 (libc6,x86-64) => /lib/{MULTIARCH}/libtwo.so.10" in text


def test_the_order_of_input_does_not_matter() -> None:
    first, _ = scanned(ENTRIES)
    second, _ = scanned(reversed(ENTRIES))
    assert cache_bytes(first, "x") == cache_bytes(second, "x")


def test_an_empty_cache_has_a_header() -> None:
    assert cache_bytes([], "x").startswith(b"glibc-ld.so.cache1.1\0\0\0\0")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("libc.so.6", True),
        ("ld-linux-x86-64.so.2", True),
        ("ld.so.1", True),
        ("ld64.so.2", True),
        ("plugin.so", False),
        ("libc.a", False),
        ("libx.so.#prelink#", False),
    ],
)
def test_library_names(name: str, expected: bool) -> None:
    assert is_library_name(name) is expected


NAMES = st.text("ab.019", max_size=8)


@given(NAMES, NAMES, NAMES)
def test_names_are_ordered(one: str, two: str, three: str) -> None:
    assert compare_names(one, one) == 0
    assert compare_names(one, two) == -compare_names(two, one)
    if compare_names(one, two) <= 0 and compare_names(two, three) <= 0:
        assert compare_names(one, three) <= 0


def test_numbers_in_names_count_by_value() -> None:
    assert compare_names("libx.so.9", "libx.so.10") < 0
    assert compare_names("libx.so", "libx.so.1") < 0
    assert compare_names("lib" + "9" * 9000, "lib1") > 0


GOOD = shared_object("libx.so.1")


def test_shared_objects() -> None:
    assert read_shared_object(GOOD) == SharedObject(soname="libx.so.1", flags=0x0303)
    assert read_shared_object(shared_object("l", 183)) == SharedObject(soname="l", flags=0x0A03)
    assert read_shared_object(shared_object("")) == SharedObject(soname="", flags=0x0303)
    old = [shared_object_32("l", 3), shared_object_32("l", 3, "x", "libc.so.6")]
    assert [read_shared_object(data) for data in [*old, shared_object_32("l", 62)]] == [
        SharedObject(soname="l", flags=flags) for flags in (0x0001, 0x0003, 0x0803)
    ]
    assert read_shared_object(shared_object("l", kind=2)) is None
    assert read_shared_object(shared_object("l", machine=8)) is None
    assert read_shared_object(shared_object("../../x")) is None
    assert read_shared_object(b"!<arch>\n") is None


@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=8), st.integers(0, len(GOOD)))
def test_a_damaged_shared_object_is_no_error(at: int, junk: bytes, end: int) -> None:
    data = bytearray(GOOD)
    data[at : at + len(junk)] = junk
    for content in (bytes(data), GOOD[:end], junk):
        found = read_shared_object(content)
        assert found is None or "/" not in found.soname
