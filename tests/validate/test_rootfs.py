from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.errors import ArtifactError, DiskError, EnvlockError, IntegrityError
from envlock.validate.join import MOUNT_DIRS, merge
from envlock.validate.layout import open_layout
from envlock.validate.rootfs import chain_id, prepare_rootfs, read_inside
from envlock.validate.unpack import LayerFacts

from .images import SILENT, Layout, hardlink, link, member, sha256, tar_of


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "layout")


def prepare(layout: Layout, workers: int | None = None) -> Path:
    image = open_layout(layout.write())
    cache = layout.root.parent / "cache"
    return prepare_rootfs(image, cache=cache, reporter=SILENT, workers=workers)


def listing(root: Path) -> dict[str, str]:
    """Return path to content, ``dir`` or ``-> target``, without the mount points."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if name in MOUNT_DIRS or name == "var":
            continue
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            found[name] = "dir" if path.is_dir() else path.read_text()
    return found


def test_layers_are_joined(layout: Layout) -> None:
    layout.layer(member("usr"), member("usr/a", "1", mode=0o4755), member("usr/b", "1"))
    layout.layer(member("usr"), member("usr/b", "2"), link("bin", "usr/bin"), plain=True)
    root = prepare(layout)
    assert listing(root) == {"usr": "dir", "usr/a": "1", "usr/b": "2", "bin": "-> usr/bin"}
    state = (root / "usr/a").stat()
    assert stat.S_IMODE(state.st_mode) == 0o755
    assert state.st_mtime == 315532800
    assert state.st_nlink == 2
    assert all((root / place).is_dir() for place in MOUNT_DIRS)
    assert prepare(layout) == root


def test_mount_files_are_made_beside_etc(layout: Layout) -> None:
    layout.layer(member("etc/passwd", "x"), member("var/tmp", mode=0o1777))
    root = prepare(layout)
    assert (root / "etc/hosts").read_bytes() == b""
    assert stat.S_IMODE((root / "var/tmp").stat().st_mode) == 0o1777


def test_whiteouts_hide_lower_layers_only(layout: Layout) -> None:
    layout.layer(member("d/a", "1"), member("d/b", "1"), member("e/x/y", "1"), member("f", "1"))
    layout.layer(member("d/.wh.a", ""), member("d/a", "2"), member("e"), member("e/.wh.x", ""))
    layout.layer(member(".wh.f", ""), member("e/new", "3"), member(".wh..wh.plnk", ""))
    assert listing(prepare(layout)) == {
        "d": "dir",
        "d/a": "2",
        "d/b": "1",
        "e": "dir",
        "e/new": "3",
    }


def test_opaque_directories(layout: Layout) -> None:
    layout.layer(member("d/a", "1"), member("d/sub/b", "1"))
    layout.layer(member("d/new", "2"), member("d/.wh..wh..opq", ""))
    assert listing(prepare(layout)) == {"d": "dir", "d/new": "2"}


def test_kinds_replace_each_other(layout: Layout) -> None:
    layout.layer(member("a/x", "1"), member("b", "1"), link("c", "a"))
    layout.layer(member("a", "2"), member("b"), member("b/y", "2"), member("c"), member("c/z", "2"))
    assert listing(prepare(layout)) == {
        "a": "2",
        "b": "dir",
        "b/y": "2",
        "c": "dir",
        "c/z": "2",
    }


def test_hard_links_and_names_listed_twice(layout: Layout) -> None:
    layout.layer(
        member("./a", "old"),
        member("a", "new"),
        hardlink("b", "a"),
        link("s", "a"),
        hardlink("t", "s"),
    )
    assert listing(prepare(layout)) == {"a": "new", "b": "new", "s": "-> a", "t": "-> a"}


def test_odd_names_survive(layout: Layout) -> None:
    names = [
        "ü",
        "a b",
        "n\nl",
        "x" * 200,
        "/".join(["d" * 60] * 4),
        b"\xff".decode("utf-8", "surrogateescape"),
    ]
    layout.layer(*(member(name, "1") for name in names))
    root = prepare(layout)
    assert all((root / name).read_text() == "1" for name in names)


HOSTILE: dict[str, list[tuple[tarfile.TarInfo, bytes]]] = {
    "dotdot": [member("a/../../out", "x")],
    "absolute": [member("/out", "x")],
    "through a link": [link("a", "/etc"), member("a/out", "x")],
    "through a link to a sibling": [member("d"), link("a", "d"), member("a/out", "x")],
    "below a file": [member("a", "x"), member("a/out", "x")],
    "dir over link": [link("a", "/etc"), member("a")],
    "file over dir": [member("a"), member("a", "x")],
    "device": [member("a", "", type=tarfile.CHRTYPE)],
    "block device": [member("a", "", type=tarfile.BLKTYPE)],
    "fifo": [member("a", "", type=tarfile.FIFOTYPE)],
    "hard link out": [hardlink("a", "../../../etc/passwd")],
    "hard link absolute": [hardlink("a", "/etc/passwd")],
    "hard link to nothing": [hardlink("a", "b")],
    "hard link through a link": [link("l", "/etc"), hardlink("a", "l/passwd")],
    "hard link to itself": [member("a", "x"), hardlink("a", "a")],
    "hard link to a directory": [member("d"), hardlink("a", "d")],
    "root is a file": [member(".", "x")],
    "whiteout of nothing": [member(".wh.", "")],
    "whiteout of the parent": [member("d/.wh...", "")],
    "unknown type": [member("a", "", type=b"Z")],
    "too long a name": [member("n" * 256, "x")],
    "too deep a name": [member("d/" * 1000 + "a", "x")],
    "long names without an end": [member("a", "x\0", type=tarfile.GNUTYPE_LONGNAME)] * 1000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_layers_are_refused(layout: Layout, name: str) -> None:
    before = sorted(layout.root.parent.parent.iterdir())
    layout.layer(*HOSTILE[name])
    with pytest.raises(ArtifactError):
        prepare(layout)
    assert sorted(layout.root.parent.parent.iterdir()) == before
    assert not list((layout.root.parent / "cache" / "unpacked").iterdir())


def test_a_lower_layers_link_is_not_followed(layout: Layout, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    layout.layer(link("a", str(outside)))
    layout.layer(member("a/out", "x"))
    with pytest.raises(ArtifactError, match="symlink of a lower layer"):
        prepare(layout)
    assert not list(outside.iterdir())


def test_wrong_digest_and_wrong_diff_id(layout: Layout) -> None:
    layout.layer(member("a", "1"))
    blob = layout.root / "blobs" / layout.layers[0]["digest"].replace(":", "/")
    data = blob.read_bytes()
    for damaged in (data[:-1], data + b"x", data[:40] + b"\0" + data[41:], b""):
        blob.write_bytes(damaged)
        with pytest.raises(IntegrityError):
            prepare(layout)
    blob.write_bytes(data)
    good = layout.diff_ids[0]
    layout.diff_ids[0] = sha256(b"other")
    with pytest.raises(IntegrityError, match="config names"):
        prepare(layout)
    layout.diff_ids[0] = good
    assert listing(prepare(layout)) == {"a": "1"}


@pytest.mark.parametrize("damage", ["cut gzip", "not gzip", "cut tar", "header", "tail", "empty"])
def test_malformed_streams(layout: Layout, damage: str) -> None:
    tar = tar_of(member("a", "1" * 600), member("b", "2"))
    if damage == "cut gzip":
        layout.raw_layer(tar)
        data = (layout.root / "blobs" / layout.layers[0]["digest"].replace(":", "/")).read_bytes()
        layout.layers[0] = layout.blob(data[:-4], layout.layers[0]["mediaType"])
    elif damage == "not gzip":
        layout.raw_layer(tar, plain=True)
        layout.layers[0]["mediaType"] += "+gzip"
    elif damage == "cut tar":
        layout.raw_layer(tar[:900])
    elif damage == "header":
        layout.raw_layer(tar[:1536] + b"z" + tar[1537:])  # b's header; tarfile alone would stop
    elif damage == "tail":
        layout.raw_layer(tar + b"hidden" * 200)
    else:
        layout.raw_layer(b"")
    with pytest.raises(ArtifactError):
        prepare(layout)


def test_a_huge_header_is_not_read_into_memory(layout: Layout) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 33
    layout.raw_layer(info.tobuf(tarfile.GNU_FORMAT) + b"\0" * 4096)
    with pytest.raises(ArtifactError, match="claims"):
        prepare(layout)


def test_one_bad_layer_stops_the_others(layout: Layout) -> None:
    for number in range(6):
        layout.layer(member(f"f{number}", os.urandom(1 << 19)))
    layout.layer(member("../x", "x"))
    with pytest.raises(ArtifactError):
        prepare(layout, workers=2)
    cache = layout.root.parent / "cache"
    assert not [path for path in (cache / "unpacked").iterdir() if path.name.startswith(".")]


def test_leftovers_of_killed_runs_go(layout: Layout) -> None:
    layout.layer(member("a", "1"))
    cache = layout.root.parent / "cache"
    name = layout.diff_ids[0].replace(":", "-")
    for leftover in (name, "sha256-else"):
        (cache / "unpacked" / f".partial-{leftover}" / "tree").mkdir(parents=True)
        (cache / "unpacked" / f".partial-{leftover}" / "tree" / "a").write_text("half")
    half = cache / "unpacked" / name / "tree"
    half.mkdir(parents=True)  # a final name without its mark is not trusted either
    (half / "a").write_text("half")
    assert listing(prepare(layout)) == {"a": "1"}
    assert [path.name for path in (cache / "unpacked").iterdir()] == [name]


def test_a_partial_that_somebody_makes_stays(layout: Layout) -> None:
    layout.layer(member("a", "1"))
    cache = layout.root.parent / "cache"
    busy = cache / "unpacked" / ".partial-sha256-busy"
    busy.mkdir(parents=True)
    (cache / "validate-locks").mkdir()
    with (cache / "validate-locks" / "sha256-busy").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        prepare(layout)
        assert busy.is_dir()


@pytest.mark.container
def test_umoci_joins_the_same(layout: Layout, tmp_path: Path) -> None:
    layout.layer(
        *(member(name, "1") for name in ("d/a", "d/b", "e/x/y", "f", "o/a", "o/s/b")),
        link("s", "d"),
    )
    layout.layer(
        *(member(name) for name in ("d", "e", "o")),
        *(member(name, "") for name in ("d/.wh.a", "e/.wh.x", "o/.wh..wh..opq")),
        member("o/new", "2"),
    )
    layout.layer(member(".wh.f", ""), member("s"), member("s/q", "3"), hardlink("s/r", "s/q"))
    root = prepare(layout)
    index = json.loads((layout.root / "index.json").read_text())
    index["manifests"][0] |= {
        "annotations": {"org.opencontainers.image.ref.name": "t"},
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
    }
    (layout.root / "index.json").write_text(json.dumps(index))
    argv = ["umoci", "unpack", "--rootless", "--image", f"{layout.root}:t", str(tmp_path / "u")]
    subprocess.run(argv, check=True, capture_output=True)
    assert listing(root) == listing(tmp_path / "u" / "rootfs")


UNPACK_AND_COUNT = """
import sys
from pathlib import Path
from envlock.progress import SILENT
from envlock.validate import layout, rootfs
unpack, count = rootfs.unpack_layer, 0
def counting(*args):
    global count
    count += 1
    return unpack(*args)
rootfs.unpack_layer = counting
root = Path(sys.argv[1])
rootfs.prepare_rootfs(layout.open_layout(root), cache=root.parent / "cache", reporter=SILENT)
print(count)
"""


def test_several_processes_at_once_unpack_once(layout: Layout) -> None:
    for number in range(3):
        layout.layer(member(f"f{number}", os.urandom(1 << 22)))
    argv = [sys.executable, "-c", UNPACK_AND_COUNT, str(layout.write())]
    processes = [
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(3)
    ]
    said = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said
    assert sum(int(count) for count in said) == 3


def test_an_unwritable_cache_is_a_disk_error(layout: Layout) -> None:
    layout.layer(member("a", "1"))
    (layout.root.parent / "cache").write_text("a file")
    with pytest.raises(DiskError):
        prepare(layout)


def test_chain_id_of_the_specification() -> None:
    assert chain_id(["sha256:a"]) == "sha256:a"
    assert chain_id(["sha256:a", "sha256:b"]) == sha256(b"sha256:a sha256:b")


def test_read_inside_follows_no_links(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("mine")
    (tmp_path / "etc/link").symlink_to("passwd")
    (tmp_path / "dir").symlink_to("etc")
    assert read_inside(tmp_path, "etc/passwd") == b"mine"
    assert read_inside(tmp_path, "etc/link") is None
    assert read_inside(tmp_path, "dir/passwd") is None
    assert read_inside(tmp_path, "etc/none") is None
    os.mkfifo(tmp_path / "etc/pipe")
    assert read_inside(tmp_path, "etc/pipe") is None


# A simple model: a layer is a set of operations on nested dictionaries.
names = st.sampled_from("abc")
paths = st.lists(names, min_size=1, max_size=3).map("/".join)


@st.composite
def layers(draw: st.DrawFn) -> LayerFacts:
    facts = LayerFacts()
    for path in draw(st.lists(paths, max_size=6)):
        _add_parents(facts, path)
        if path not in facts.dirs and path not in facts.files:
            kind = draw(st.sampled_from(["dir", "file"]))
            if kind == "dir":
                facts.dirs[path] = 0o755
            elif not any(other.startswith(f"{path}/") for other in facts.files | set(facts.dirs)):
                facts.files.add(path)
    for parent in list(facts.dirs):
        if any(parent == path or parent.startswith(f"{path}/") for path in facts.files):
            del facts.dirs[parent]
    facts.files = {
        path
        for path in facts.files
        if not any(path.startswith(f"{other}/") for other in facts.files)
    }
    facts.whiteouts = set(draw(st.lists(paths, max_size=2)))
    facts.opaque = set(draw(st.lists(paths, max_size=1)))
    return facts


def _add_parents(facts: LayerFacts, path: str) -> None:
    parts = path.split("/")
    for depth in range(1, len(parts)):
        facts.dirs.setdefault("/".join(parts[:depth]), 0o755)


def _model(stack: list[LayerFacts]) -> dict[str, tuple[str, int]]:
    tree: dict[str, tuple[str, int]] = {}

    def remove(path: str, *, itself: bool) -> None:
        for other in list(tree):
            if other.startswith(f"{path}/") or (itself and other == path):
                del tree[other]

    for number, facts in enumerate(stack):
        for path in facts.opaque:
            remove(path, itself=False)
        for path in facts.whiteouts:
            remove(path, itself=True)
        for path in sorted(facts.dirs):
            if tree.get(path, ("",))[0] != "dir":
                remove(path, itself=True)
            tree[path] = ("dir", number)
        for path in facts.files:
            remove(path, itself=True)
            tree[path] = ("file", number)
    return tree


@given(st.lists(layers(), max_size=4))
def test_merge_is_the_models(stack: list[LayerFacts]) -> None:
    merged = merge(stack)
    assert {path: (node.kind, node.layer) for path, node in merged.items()} == _model(stack)
    assert all(merged[path.rpartition("/")[0]].kind == "dir" for path in merged if "/" in path)
    assert all(LayerFacts.from_data(facts.to_data()) == facts for facts in stack)


@given(st.binary(max_size=3000))
def test_any_bytes_raise_only_our_errors(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        layout = Layout(Path(folder) / "layout").raw_layer(data, plain=True)
        with contextlib.suppress(EnvlockError):
            prepare(layout)


@pytest.mark.container
def test_a_whole_root_in_a_read_only_cache(layout: Layout) -> None:
    layout.layer(member("a", "1"))
    root = prepare(layout)
    cache = layout.root.parent / "cache"
    source = (
        "import sys; from pathlib import Path\n"
        "from envlock.progress import SILENT\n"
        "from envlock.validate import layout, rootfs\n"
        "image = layout.open_layout(Path(sys.argv[1]))\n"
        "print(rootfs.prepare_rootfs(image, cache=Path(sys.argv[2]), reporter=SILENT))\n"
        "try: Path(sys.argv[2], 'x').touch()\n"
        "except OSError as error: print(error.errno)\n"
    )
    argv = ["bwrap", "--dev-bind", "/", "/", "--ro-bind", str(cache), str(cache), sys.executable]
    done = subprocess.run(
        [*argv, "-c", source, str(layout.root), str(cache)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == [str(root), str(errno.EROFS)], done.stderr
