"""Conda packages with different files at one path: refused, or settled by the spec."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from envlock.audit.packages import fitted, key_of
from envlock.channels import ChannelAccess
from envlock.errors import SpecError, UnsatisfiableError
from envlock.layers.clobbers import Clash, matcher, remedy
from envlock.lock.codec import dump_lock, parse_lock

from ..makers.conda import Link, Prefixed, distribution, index_channel, make_conda
from ..makers.images import files_of
from .solving import HEAD, CondaSolver

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.lock.model import Lock

    from ..makers.index import Index
    from ..makers.machine import Machine

BODY = "conda:\n  channels: [main]\n  dependencies: [one, two]\n"
KEEP = "  clobbers:\n    - {path: PATH, keep: two, because: one's is a leftover}\n"


def clobbering(folder: Path) -> None:
    """Make packages that put different files, and some equal ones, at the same paths."""
    site = distribution("a-lib", "1.0", files={"a_lib.py": "", "tests/__init__.py": "A = 1\n"})
    other = distribution("b-lib", "1.0", files={"b_lib.py": "", "tests/__init__.py": "B = 1\n"})
    make_conda(folder, "python", "3.12.1", files={"bin/python": b"python"})
    make_conda(
        folder, "one", "1.0",
        files={"lib/x.txt": b"one\n", "lib/same.txt": b"same", "lib/link": Link("x.txt"),
               "etc/conf": Prefixed("a=1\n", placeholder="/build/one")},
    )  # fmt: skip
    make_conda(
        folder, "two", "1.0",
        files={"lib/x.txt": b"two\n", "lib/same.txt": b"same", "lib/link": Link("x.txt"),
               "etc/conf": Prefixed("a=2\n", placeholder="/build/two")},
    )  # fmt: skip
    make_conda(folder, "a-lib", "1.0", noarch="python", depends=["python"], files=site,
               entry_points=["tool = a_lib:main"])  # fmt: skip
    make_conda(folder, "b-lib", "1.0", noarch="python", depends=["python"], files=other,
               entry_points=["tool = b_lib:main"])  # fmt: skip
    many = {f"share/many/{n}": b"" for n in range(9)}
    for name in ("m1", "m2", "m3"):
        make_conda(folder, name, "1", files={path: name.encode() for path in many})
    index_channel(folder)


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("channels") / "main"
    clobbering(folder)
    return folder


@pytest.fixture
def one(tmp_path: Path, index: Index, channel: Path) -> CondaSolver:
    return CondaSolver(
        tmp_path / "solver", index, {"main": ChannelAccess(urls=(channel.as_uri(),))}
    )


def clobbered(lock: Lock) -> dict[str, tuple[tuple[str, str], ...]]:
    return {a.name: a.conda.clobbered for a in lock.artifacts if a.conda and a.conda.clobbered}


def test_different_files_are_refused_with_what_to_write(one: CondaSolver) -> None:
    """Equal files, and what a list of files cannot tell apart, are not."""
    with pytest.raises(UnsatisfiableError) as caught:
        one(BODY)
    assert caught.value.message == "one and two both install lib/x.txt, and differently"
    assert caught.value.where == "envs/one.yaml:7:3"
    assert caught.value.hint is not None
    pasted = caught.value.hint.partition("conda:\n")[2].replace("<why that one is right>", "so")
    lock = one(BODY + pasted + "\n")
    assert clobbered(lock) == {"two": (("lib/x.txt", "one"),)}
    assert parse_lock(dump_lock(lock), "lock") == lock


def test_what_may_differ_can_be_settled(one: CondaSolver) -> None:
    lock = one(BODY + KEEP.replace("PATH", "'**'"))
    assert clobbered(lock) == {
        "one": (("etc/conf", "two"), ("lib/link", "two"), ("lib/x.txt", "two"))
    }


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{path: lib/same.txt, keep: two, because: x}", "no other package has a different file"),
        ("{path: lib/y.txt, keep: two, because: x}", "lib/y.txt settles nothing"),
        ("{path: lib/x.txt, keep: three, because: x}", "three is not among the packages"),
    ],
)
def test_an_entry_that_nothing_needs(one: CondaSolver, entry: str, message: str) -> None:
    body = BODY + KEEP.replace("PATH", "lib/x.txt") + f"    - {entry}\n"
    with pytest.raises(SpecError, match=message) as caught:
        one(body)
    assert caught.value.where == "envs/one.yaml:11:7"


def test_the_first_entry_that_fits(one: CondaSolver) -> None:
    body = BODY + KEEP.replace("PATH", "lib/x.*") + "    - {path: '**', keep: one, because: x}\n"
    assert clobbered(one(body)) == {
        "one": (("lib/x.txt", "two"),),
        "two": (("etc/conf", "one"), ("lib/link", "one")),
    }


def test_another_platform_may_need_it(one: CondaSolver) -> None:
    head = HEAD.replace('2.36"}', '2.36"}\n  linux-aarch64: {glibc: "2.36"}')
    body = BODY.replace("one, two", "one") + KEEP.replace("PATH", "lib/x.txt")
    assert clobbered(one(body, head=head)) == {}


def test_many_paths_of_three_packages(one: CondaSolver) -> None:
    body = BODY.replace("one, two", "m1, m2, m3")
    with pytest.raises(UnsatisfiableError) as caught:
        one(body)
    assert caught.value.message == "conda packages put different files at 9 paths: m1, m2, m3"
    assert "  share/many/0 (m1, m2, m3)" in caught.value.details
    assert caught.value.hint is not None
    assert "path: share/many/**\n      keep: m1    # or m2 or m3\n" in caught.value.hint
    lock = one(body + caught.value.hint.partition("conda:\n")[2].replace("<why", "<w") + "\n")
    paths = tuple((f"share/many/{n}", "m1") for n in range(9))
    assert clobbered(lock) == {"m2": paths, "m3": paths}


def test_python_packages_and_what_the_audit_sees(one: CondaSolver) -> None:
    body = BODY.replace("one, two", "a-lib, b-lib")
    with pytest.raises(UnsatisfiableError) as caught:
        one(body)
    assert [line.split()[0] for line in caught.value.details] == [
        "bin/tool", "lib/python3.12/site-packages/tests/__init__.py",
    ]  # fmt: skip
    hint = caught.value.hint or ""
    lock = one(body + hint.partition("conda:\n")[2].replace("<why", "<w") + "\n")
    loser = next(a for a in lock.artifacts if a.name == "b-lib")
    assert loser.conda is not None
    assert [path for path, _ in loser.conda.clobbered] == [
        "bin/tool", "lib/python3.12/site-packages/tests/__init__.py",
    ]  # fmt: skip
    from envlock.audit.index.model import WheelIndex

    modules = {"b_lib": {"file": "b_lib.py"}, "tests": {"file": "tests/__init__.py"}}
    points = ("0 console_scripts: tool = b_lib:main", "0 console_scripts: tool2 = b_lib:main")
    index = WheelIndex(name="b-lib", version="1.0", modules=modules, entry_points=points)
    seen = fitted(index, loser)
    assert (set(seen.modules), seen.entry_points) == ({"b_lib"}, points[1:])
    winner = next(a for a in lock.artifacts if a.name == "a-lib")
    assert set(fitted(index, winner).modules) == set(modules)
    assert key_of(loser, "k") != key_of(one(body.replace("a-lib, ", "")).artifacts[0], "k")


# --- to the image ---


def test_from_the_spec_to_the_image(
    machine: Machine, index: Index, channel: Path, tmp_path: Path
) -> None:
    machine.use(index)
    machine.environ["ENVLOCK_CHANNEL_MAIN"] = channel.as_uri()
    spec = machine.project / "envs" / "one.yaml"
    body = BODY.replace("one, two", "one, two, python") + KEEP.replace("PATH", "'**'")
    spec.write_text(HEAD + body.replace("one's is a leftover", "<why that one is right>"))
    assert "because is still <why that one is right>" in machine.run("solve").stderr
    spec.write_text(HEAD + body)
    done = machine.run("solve", "--json")
    assert done.returncode == 0, done.stderr
    assert "because is still" not in done.stderr
    assert "clobber: two's etc/conf is kept, one's left out (and 2 more)" in done.stderr
    (document,) = json.loads(done.stdout)["environments"]
    assert {"path": "lib/x.txt", "kept": "two", "lost": "one"} in document["clobbered"]
    built = machine.run("build", "one", "-o", str(tmp_path / "one.tar"), "--no-validate")
    assert built.returncode == 0, built.stderr
    files = files_of(tmp_path / "one.tar", tmp_path / "layout")
    assert files["opt/env/lib/x.txt"] == b"two\n"
    assert files["opt/env/etc/conf"] == b"a=2\n"
    meta = json.loads(files["opt/env/conda-meta/one-1.0-h0_0.json"])
    assert meta["files"] == ["lib/same.txt"]
    assert "lib/x.txt" in json.loads(files["opt/env/conda-meta/two-1.0-h0_0.json"])["files"]
    told = machine.run("export", "one", "--format", "explicit")
    assert "3 files that give way to other packages'" in told.stderr


# --- patterns ---

NAMES = st.text("ab.+[", min_size=1, max_size=3)


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_patterns(parts: list[str]) -> None:
    path = "/".join(parts)
    assert matcher(path).fullmatch(path)
    assert not matcher(path).fullmatch(f"{path}x")
    assert matcher("**").fullmatch(path)
    assert matcher(f"**/{parts[-1]}").fullmatch(path)
    assert bool(matcher("*").fullmatch(path)) == (len(parts) == 1)
    assert matcher("/".join(["*"] * len(parts))).fullmatch(path)
    assert matcher(f"{parts[0]}**").fullmatch(path)
    assert matcher("?" * len(parts[0])).fullmatch(parts[0])


@given(st.lists(st.tuples(st.lists(NAMES, min_size=1, max_size=3).map("/".join), NAMES),
                min_size=1, max_size=8))  # fmt: skip
def test_what_is_proposed_covers_every_path(items: list[tuple[str, str]]) -> None:
    clashes = [Clash(path=path, packages=(name, "other")) for path, name in items]
    text = remedy(clashes).partition("\n")[2].replace("[", "(").replace("# or", "#")
    entries = yaml.safe_load(text.replace("<why that one is right>", "so"))["conda"]["clobbers"]
    for clash in clashes:
        assert any(
            matcher(entry["path"]).fullmatch(clash.path.replace("[", "(")) for entry in entries
        )
