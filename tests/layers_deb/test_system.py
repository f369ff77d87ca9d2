"""Packages side by side, and the files that their scripts would have written."""

from __future__ import annotations

import json
import posixpath
import tarfile
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import pytest

from envlock.errors import ArtifactError
from envlock.layers.deb import read_control, read_entries
from envlock.layers.debtree import Collector, PackageFacts, Tree
from envlock.layers.system import system_entries
from envlock.layers.written import ALTERNATIVES, COPIES, DIRECTORIES, LINKS, WRITTEN

from .making import Item, collect, shared_object, write_deb

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.layers.entry import Entry

MULTIARCH = "x86_64-linux-gnu"
PASSWD = b"root:*:0:0:root:/root:/bin/bash\nnobody:*:65534:65534:nobody:/nonexistent:/x\n"
GROUP = b"root:*:0:\nmail:*:8:postfix\nshadow:*:42:\n"
LINK, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE


def facts(folder: Path, name: str, *items: Item, **fields: str) -> PackageFacts:
    path = write_deb(folder, items, name, **fields)
    return collect(read_control(path), read_entries(path))


def text(entry: Entry) -> str:
    assert entry.content is not None
    return entry.content.read().decode()


def system(*packages: PackageFacts, **alternatives: str) -> dict[str, Entry]:
    tree = Tree.of(packages)
    entries = system_entries(tree, multiarch=MULTIARCH, alternatives=alternatives)
    paths = [entry.path for entry in entries]
    assert len(set(paths)) == len(paths)
    assert not set(paths) & tree.nodes.keys()
    known = set(tree.nodes)
    for path in paths:
        parent = path.rpartition("/")[0]
        assert not parent or parent in known
        known.add(path)
    assert all(path.rpartition("/")[0] in {"", *known} for path in tree.nodes)
    return {entry.path: entry for entry in entries}


@pytest.fixture
def base(tmp_path: Path) -> PackageFacts:
    share = "./usr/share/base-files"
    return facts(
        tmp_path,
        "base-files",
        Item("./bin/"),
        Item("./lib/"),
        Item("./etc/"),
        Item("./etc/dpkg/origins/debian", b"Vendor: Debian\n"),
        Item("./root/", mode=0o700),
        Item("./run/"),
        Item("./tmp/", mode=0o1777),
        Item("./usr/"),
        Item("./usr/bin/"),
        Item("./var/lock/", mode=0o1777),
        Item("./var/run/"),
        Item(f"{share}/dot.bashrc", b"# bash\n", mode=0o644),
        Item(f"{share}/dot.profile", b"# profile\n", mode=0o644),
        Item(f"{share}/motd", b"hello\n", mode=0o644),
    )


@pytest.fixture
def passwd(tmp_path: Path) -> PackageFacts:
    share = "./usr/share/base-passwd"
    return facts(
        tmp_path,
        "base-passwd",
        Item(f"{share}/passwd.master", PASSWD),
        Item(f"{share}/group.master", GROUP),
    )


def test_facts_survive_json(base: PackageFacts) -> None:
    assert PackageFacts.from_json(json.loads(json.dumps(base.to_json()))) == base
    with pytest.raises(ValueError, match="format"):
        PackageFacts.from_json({})


def test_a_collector_passes_entries_on(tmp_path: Path) -> None:
    path = write_deb(tmp_path, [Item("./a", b"x"), Item("./b/")])
    collector = Collector()
    passed = list(collector.watch(read_entries(path)))
    assert passed == list(read_entries(path))
    assert list(collector.facts(read_control(path)).nodes) == ["a", "b"]


def test_merged_usr_and_base_files(base: PackageFacts) -> None:
    made = system(base)
    links = {path: entry.target for path, entry in made.items() if entry.kind == "symlink"}
    assert links == {
        "bin": "usr/bin",
        "sbin": "usr/sbin",
        "lib": "usr/lib",
        "lib64": "usr/lib64",
        "var/run": "/run",
        "var/lock": "/run/lock",
        "etc/dpkg/origins/default": "debian",
        "usr/local/man": "share/man",
        "var/spool/mail": "../mail",
    }
    assert made["usr/lib64"].kind == "dir"
    assert made["run/lock"].mode == 0o1777
    assert (made["var/mail"].mode, made["var/mail"].gid) == (0o2775, 8)
    assert text(made["root/.bashrc"]) == "# bash\n"
    assert text(made["etc/motd"]) == "hello\n"
    assert "etc/profile" not in made
    assert (made["var/log/btmp"].mode, made["var/log/btmp"].gid) == (0o660, 43)


def test_lib32_is_a_link_where_it_is_used(base: PackageFacts, tmp_path: Path) -> None:
    other = facts(tmp_path, "libc6-i386", Item("./lib32/x", b""))
    assert system(base, other)["lib32"].target == "usr/lib32"
    arm = system_entries(Tree.of([base]), multiarch="aarch64-linux-gnu")
    assert "lib64" not in {entry.path for entry in arm}


def test_no_package_at_all() -> None:
    made = system()
    assert made["tmp"].mode == 0o1777
    assert text(made["etc/passwd"]).startswith("root:x:0:0:")


def test_accounts(base: PackageFacts, passwd: PackageFacts) -> None:
    made = system(base, passwd)
    assert text(made["etc/passwd"]) == (
        "root:x:0:0:root:/root:/bin/bash\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/x\n"
        "nonroot:x:65532:65532:nonroot:/home/nonroot:/usr/sbin/nologin\n"
    )
    assert (
        text(made["etc/group"]) == "root:x:0:\nmail:x:8:postfix\nshadow:x:42:\nnonroot:x:65532:\n"
    )
    assert text(made["etc/shadow"]) == (
        "root:*::0:99999:7:::\nnobody:*::0:99999:7:::\nnonroot:*::0:99999:7:::\n"
    )
    assert text(made["etc/gshadow"]) == "root:*::\nmail:*::postfix\nshadow:*::\nnonroot:*::\n"
    assert (made["etc/shadow"].mode, made["etc/shadow"].gid) == (0o640, 42)
    home = made["home/nonroot"]
    assert (home.mode, home.uid, home.gid) == (0o700, 65532, 65532)


def test_certificates(base: PackageFacts, tmp_path: Path) -> None:
    certificates = facts(
        tmp_path,
        "ca-certificates",
        Item("./usr/share/ca-certificates/mozilla/b.crt", b"B\n"),
        Item("./usr/share/ca-certificates/mozilla/A.crt", b"A"),
        Item("./usr/share/ca-certificates/mozilla/readme", b"no"),
        Item("./usr/local/share/ca-certificates/0.crt", b"local\n"),
    )
    made = system(base, certificates)
    assert text(made["etc/ssl/certs/ca-certificates.crt"]) == "A\nB\nlocal\n"
    assert text(made["etc/ca-certificates.conf"]).endswith("\n#\nmozilla/A.crt\nmozilla/b.crt\n")
    assert made["usr/lib/ssl/cert.pem"].target == "/etc/ssl/certs/ca-certificates.crt"
    openssl = facts(tmp_path, "openssl", Item("./usr/lib/ssl/cert.pem", type=LINK, target="/x"))
    assert "usr/lib/ssl/cert.pem" not in system(base, certificates, openssl)


def test_files_copied_from_share(base: PackageFacts, tmp_path: Path) -> None:
    made = system(
        base,
        facts(tmp_path, "libc-bin", Item("./usr/share/libc-bin/nsswitch.conf", b"passwd: files\n")),
        facts(tmp_path, "readline-common", Item("./usr/share/readline/inputrc", b"set x\n")),
        facts(tmp_path, "tzdata", Item("./usr/share/zoneinfo/Etc/UTC", b"TZif")),
        facts(tmp_path, "debianutils", Item("./usr/share/debianutils/shells", b"# s\n/bin/sh\n")),
        facts(tmp_path, "dash", Item("./usr/share/debianutils/shells.d/dash", b"/bin/dash\n")),
        facts(tmp_path, "python3.11-minimal", Item("./usr/bin/python3.11", b"")),
    )
    assert text(made["etc/nsswitch.conf"]) == "passwd: files\n"
    assert text(made["etc/inputrc"]) == "set x\n"
    assert made["etc/localtime"].target == "/usr/share/zoneinfo/Etc/UTC"
    assert text(made["etc/timezone"]) == "Etc/UTC\n"
    assert text(made["etc/shells"]) == "# s\n/bin/sh\n/usr/bin/sh\n/bin/dash\n/usr/bin/dash\n"
    assert made["usr/local/lib/python3.11/dist-packages"].kind == "dir"


def test_the_loader_cache(base: PackageFacts, tmp_path: Path) -> None:
    libc = facts(
        tmp_path,
        "libc6",
        Item(f"./lib/{MULTIARCH}/libc.so.6", shared_object("libc.so.6")),
        Item(f"./lib/{MULTIARCH}/libm.so.6.1", shared_object("libm.so.6")),
        Item(f"./lib/{MULTIARCH}/libhard.so.1", type=HARD, target=f"./lib/{MULTIARCH}/libc.so.6"),
        version="2.36-9",
    )
    made = system(base, libc)
    cache = made["etc/ld.so.cache"].content
    assert cache is not None
    assert f"/lib/{MULTIARCH}/libc.so.6\0".encode() in cache.read()
    assert made[f"usr/lib/{MULTIARCH}/libm.so.6"].target == "libm.so.6.1"


def test_alternatives(base: PackageFacts, tmp_path: Path) -> None:
    gcc = facts(tmp_path, "gcc", Item("./usr/bin/gcc", b""), Item("./usr/bin/other", b""))
    assert system(base, gcc)["usr/bin/cc"].target == "gcc"
    assert "usr/bin/c99" not in system(base, gcc)
    assert system(base, gcc, **{"/bin/cc": "other"})["usr/bin/cc"].target == "other"
    assert system(base, gcc, **{"opt/cc": "/bin/gcc"})["opt/cc"].target == "/bin/gcc"
    with pytest.raises(ArtifactError, match="which no package provides"):
        system(base, gcc, **{"usr/bin/cc": "clang"})
    with pytest.raises(ArtifactError, match="is a path of the package gcc"):
        system(base, gcc, **{"usr/bin/gcc": "other"})


SOURCES: dict[str, list[Item]] = {
    "base-files": [
        *(Item(f".{path}", b"x\n", mode=0o644) for path in COPIES["base-files"]),
        Item("./etc/dpkg/origins/debian", b"Vendor: Debian\n", mode=0o644),
        Item("./etc/passwd.example/"),
    ],
    "base-passwd": [
        Item("./usr/share/base-passwd/passwd.master", PASSWD),
        Item("./usr/share/base-passwd/group.master", GROUP),
    ],
    "ca-certificates": [Item("./usr/share/ca-certificates/mozilla/b.crt", b"B\n")],
    "debianutils": [Item("./usr/share/debianutils/shells", b"/bin/sh\n")],
    "fontconfig-config": [
        Item(f".{target}", b"x") for target in LINKS["fontconfig-config"].values()
    ],
    "libc-bin": [
        Item("./usr/share/libc-bin/nsswitch.conf", b"passwd: files\n"),
        Item(f"./lib/{MULTIARCH}/libc.so.6", shared_object("libc.so.6")),
    ],
    "readline-common": [Item("./usr/share/readline/inputrc", b"set x\n")],
    "tzdata": [Item("./usr/share/zoneinfo/Etc/UTC", b"TZif")],
}
"""What packages ship of the files that others are made from."""


def _made(folder: Path, *packages: str) -> dict[str, Entry]:
    """Return the system's entries for these packages, without their records."""
    names = [name.replace("*", "13") for name in packages]
    shipped = [
        facts(folder, name, *SOURCES.get(name, ()), version="13.1")
        if name in packages
        else facts(folder, name)
        for name in names
    ]
    return {
        f"/{path}": entry
        for path, entry in system(*shipped).items()
        if not path.startswith("var/lib/dpkg")
    }


@pytest.mark.parametrize("package", WRITTEN)
def test_what_is_claimed_is_written(tmp_path: Path, package: str) -> None:
    made = _made(tmp_path, "base-files", *({package} - {"base-files"}))
    for effect, patterns in WRITTEN[package].items():
        for pattern in patterns:
            assert any(fnmatchcase(path, pattern) for path in made), (effect, pattern)


@pytest.mark.parametrize("package", sorted({*WRITTEN, *COPIES, *DIRECTORIES, *LINKS}))
def test_what_is_written_is_claimed(tmp_path: Path, package: str) -> None:
    """What a package adds to the image is in the table, besides ordinary folders."""
    others = {"base-files"} - {package}
    before, after = _made(tmp_path, *others), _made(tmp_path, *others, package)
    claimed = [one for patterns in WRITTEN[package].values() for one in patterns]
    new = {path for path, entry in after.items() if before.get(path) != entry}
    plain = {path for path in new if (after[path].kind, after[path].mode) == ("dir", 0o755)}
    needless = {"/usr/lib/ssl/certs", "/usr/lib/ssl/cert.pem"}  # openssl's, in case it is left out
    for path in new - plain - needless:
        assert any(fnmatchcase(path, pattern) for pattern in claimed), path


@pytest.mark.parametrize("package", ALTERNATIVES)
def test_alternatives_that_are_claimed_are_made(tmp_path: Path, package: str) -> None:
    links = {
        link.format(multiarch=MULTIARCH): target for link, target in ALTERNATIVES[package].items()
    }
    targets = {
        posixpath.normpath(posixpath.join(posixpath.dirname(link), target))
        for link, target in links.items()
    }
    shipped = facts(tmp_path, package, *(Item(f".{path}", b"") for path in sorted(targets)))
    made = system(shipped)
    assert {link: made[link.lstrip("/")].target for link in links} == links


def test_the_first_alternative_of_the_table_wins(base: PackageFacts, tmp_path: Path) -> None:
    library = f"./usr/lib/{MULTIARCH}"
    blas = facts(tmp_path, "libblas3", Item(f"{library}/blas/libblas.so.3", b""))
    better = facts(
        tmp_path, "libopenblas0-pthread", Item(f"{library}/openblas-pthread/libblas.so.3", b"")
    )
    link = f"usr/lib/{MULTIARCH}/libblas.so.3"
    assert system(base, blas)[link].target == "blas/libblas.so.3"
    assert system(base, blas, better)[link].target == "openblas-pthread/libblas.so.3"


def test_small_files_of_scripts(base: PackageFacts, tmp_path: Path) -> None:
    names = ("libpam-modules", "netbase", "python3", "fontconfig-config")
    made = system(base, *(facts(tmp_path, name) for name in names))
    assert (made["etc/security/opasswd"].mode, text(made["etc/environment"])) == (0o600, "")
    assert text(made["etc/networks"]).splitlines()[1] == "loopback\t127.0.0.0"
    assert text(made["etc/python3/debian_config"]).startswith("[DEFAULT]\n")
    assert made["usr/local/share/fonts"].kind == "dir"
    # their targets are not there
    assert not any(path.startswith("etc/fonts") for path in made)
    assert "etc/subuid" not in made


def test_records_for_scanners(base: PackageFacts, tmp_path: Path) -> None:
    libc = facts(tmp_path, "libc6", **{"Multi-Arch": "same"})
    made = system(base, libc)
    assert text(made["var/lib/dpkg/status.d/libc6"]).startswith("Package: libc6\nVersion: ")
    assert text(made["var/lib/dpkg/status.d/libc6.md5sums"]) == ""
    apt = facts(tmp_path, "apt", Item("./usr/bin/apt", b""))
    made = system(base, libc, apt)
    status = text(made["var/lib/dpkg/status"])
    assert status.count("\nStatus: install ok installed\n") == 3
    assert status.startswith("Package: apt\nStatus: ")
    assert text(made["var/lib/dpkg/info/apt.list"]) == "/.\n/usr/bin/apt\n"
    assert "var/lib/dpkg/info/libc6:amd64.md5sums" in made
    assert "var/lib/dpkg/status.d" not in made


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Item("./x", b"1"), Item("./x", b"1")),
        (Item("./lib/x", b"1"), Item("./usr/lib/x", b"2")),
        (Item("./x/"), Item("./x", b"2")),
        (Item("./x", type=LINK, target="a"), Item("./x", type=LINK, target="b")),
        (Item("./x", type=LINK, target="etc"), Item("./x/y", b"")),
        (Item("./x", b""), Item("./x/y/z", b"")),
    ],
)
def test_two_packages_clash(tmp_path: Path, first: Item, second: Item) -> None:
    packages = facts(tmp_path, "one", first), facts(tmp_path, "two", second)
    for order in (packages, packages[::-1]):
        with pytest.raises(ArtifactError, match=r"one.*two|two.*one"):
            Tree.of(order)


def test_packages_may_share_directories_and_equal_links(tmp_path: Path) -> None:
    link = Item("./l", type=LINK, target="d")
    one = facts(tmp_path, "aaa", Item("./d/", mode=0o700), link)
    two = facts(tmp_path, "base-files", Item("./d/", mode=0o1777), link)
    for order in ([one, two], [two, one]):
        tree = Tree.of(order)
        assert tree.nodes["d"].mode == 0o1777
        assert tree.nodes["l"].mode == 0o777


def test_links_are_resolved_inside(tmp_path: Path) -> None:
    tree = Tree.of(
        [
            facts(
                tmp_path,
                "demo",
                Item("./usr/lib/a/file", b""),
                Item("./usr/lib/up", type=LINK, target="../../../../lib/./a"),
                Item("./etc/abs", type=LINK, target="/lib/up/file"),
                Item("./etc/loop", type=LINK, target="loop"),
            )
        ]
    )
    assert tree.resolve("etc/abs") == "usr/lib/a/file"
    assert tree.resolve("lib/up/file") == "usr/lib/a/file"
    assert tree.resolve("etc/loop") is None
    assert tree.resolve("etc/none") is None


@pytest.mark.parametrize("name", ["", "../x", "UPPER", "a b"])
def test_a_package_name_must_be_one(name: str) -> None:
    with pytest.raises(ArtifactError, match="bad package name"):
        collect({"control": f"Package: {name}\n".encode()}, [])
