"""Two wheels with one path: fine where they agree, a named error where they do not."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from envlock.errors import ArtifactError, IntegrityError
from envlock.install.environment import install
from envlock.install.interpreter import find_interpreter
from envlock.layers import plan as plan_module
from envlock.layers.pack import environment_entries, installed_entries
from envlock.layers.plan import plan_layers
from envlock.layers.wheel import Scheme, wheel_entries
from envlock.progress import SILENT

from ..layers.making import make_wheel
from .making import PYTHON, Environment, check_layout, environment_of, pack

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

INIT = b"# the same in all\n"


@pytest.fixture(params=["one layer", "two layers"])
def layers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Put all wheels into one layer, or each into its own."""
    if request.param == "two layers":
        monkeypatch.setattr(plan_module, "LARGE", 1)
    return str(request.param)


def build(
    folder: Path, one: Mapping[str, bytes], two: Mapping[str, bytes], **options: dict[str, bytes]
) -> Path:
    first = make_wheel(folder, "one", "1.0", one, pack=pack, data=options.get("data"))
    second = make_wheel(folder, "two", "1.0", two, pack=pack)
    target = folder / "image"
    environment_of(first, second).build(target, folder / "cache")
    return target


def test_the_same_content_is_fine(layers: str, tmp_path: Path) -> None:
    same = {"nvidia/__init__.py": INIT, "nvidia/empty": b""}
    check_layout(build(tmp_path, {**same, "nvidia/one.py": b"1"}, {**same, "nvidia/two.py": b"2"}))


def test_wheels_that_fit_are_not_looked_at_again(tmp_path: Path) -> None:
    """What makes the image is looked at once by a machine, and by whoever makes everything anew."""
    path = make_wheel(tmp_path, "one", "1.0", {"one.py": b"1"}, pack=pack)
    environment = environment_of(path)
    first = environment.build(tmp_path / "image", tmp_path / "cache")
    path.write_bytes(bytes(path.stat().st_size))
    again = environment.build(tmp_path / "image", tmp_path / "cache")
    assert again.digests == first.digests
    for other, fresh in ((environment.with_image(env={"A": "1"}), False), (environment, True)):
        with pytest.raises(IntegrityError):
            other.build(tmp_path / "image", tmp_path / "cache", fresh=fresh)


def test_wheels_that_do_not_fit_are_told_each_time(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ArtifactError, match="both install"):
            build(tmp_path, {"shared.py": b"1"}, {"shared.py": b"2"})


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({"shared.py": b"1"}, {"shared.py": b"2"}),
        ({"shared.py": b"1"}, {"shared.py": b""}),
        ({"a/b/c.py": b"12"}, {"a/b/c.py": b"21"}),
    ],
)
def test_other_content_is_a_named_error(
    one: dict[str, bytes], two: dict[str, bytes], layers: str, tmp_path: Path
) -> None:
    with pytest.raises(ArtifactError) as caught:
        build(tmp_path, one, two)
    (path,) = one
    assert "one and two both install" in caught.value.message
    assert f" lib/python3.11/site-packages/{path}, and differently" in caught.value.message
    assert caught.value.hint
    assert "pypi:\n  exclude: [one]    # or two\n" in caught.value.hint
    assert f"    - path: lib/python3.11/site-packages/{path}\n" in caught.value.hint
    assert not (tmp_path / "image").exists()


def test_all_that_differ_are_told_at_once(layers: str, tmp_path: Path) -> None:
    one, two = ({f"shared/{name}.py": text for name in "abc"} for text in (b"1", b"2"))
    with pytest.raises(ArtifactError) as caught:
        build(tmp_path, one, two)
    site = "lib/python3.11/site-packages"
    assert caught.value.message == "wheels install different files at 3 paths: one, two"
    assert caught.value.details[0] == f"  {site}/shared/a.py (one, two)"
    make_wheel(tmp_path, "three", "1.0", {"shared/c.py": b"3"}, pack=pack)
    with pytest.raises(ArtifactError) as caught:
        environment_of(*sorted(tmp_path.glob("*.whl"))).build(tmp_path / "i", tmp_path / "cache")
    assert caught.value.details[2] == f"  {site}/shared/c.py (one, three, two)"
    assert "exclude" not in (caught.value.hint or "")
    assert caught.value.hint


@pytest.mark.parametrize("reverse", [False, True])
def test_a_file_where_another_has_a_folder(reverse: bool, layers: str, tmp_path: Path) -> None:
    contents = [{"thing": b"a file"}, {"thing/module.py": b"in a folder"}]
    with pytest.raises(ArtifactError, match=r"one.*two|two.*one") as caught:
        build(tmp_path, *(reversed(contents) if reverse else contents))
    assert "site-packages/thing" in caught.value.message


@pytest.mark.parametrize("path", ["pyvenv.cfg", "bin/python3", "bin/python", "lib64/x"])
def test_a_wheel_that_ships_the_environments_own_files(
    path: str, layers: str, tmp_path: Path
) -> None:
    with pytest.raises(ArtifactError, match="the environment itself"):
        build(tmp_path, {}, {}, data={f"data/{path}": b"mine"})


def test_scripts_of_one_name(layers: str, tmp_path: Path) -> None:
    for name, module in (("one", "a"), ("two", "b")):
        make_wheel(
            tmp_path,
            name,
            "1.0",
            entry_points=f"[console_scripts]\ntool = {module}:main\n",
            pack=pack,
        )
    wheels = sorted(tmp_path.glob("*.whl"))
    with pytest.raises(ArtifactError, match=r"both install bin/tool, and differently"):
        environment_of(*wheels).build(tmp_path / "image", tmp_path / "cache")


# --- files that give way ---

SITE = "lib/python3.11/site-packages"
PYTHON_HERE = find_interpreter(PYTHON, sys.executable, os.defpath)


def settled(folder: Path, gone: Mapping[str, tuple[tuple[str, str], ...]]) -> Environment:
    """Return two wheels that differ at three paths, of which ``gone`` gives way, by name."""
    points = "[console_scripts]\ntool = NAME:main\n"
    for name in ("one", "two"):
        make_wheel(
            folder,
            name,
            "1.0",
            {"shared.py": name.encode(), f"{name}.py": b"", "both.py": INIT},
            data={"scripts/run": f"#!python\n{name}".encode()},
            entry_points=points.replace("NAME", name),
            pack=pack,
        )
    made = environment_of(*sorted(folder.glob("*.whl")))
    artifacts = (replace(a, clobbered=gone.get(a.name, ())) for a in made.lock.artifacts)
    return Environment(replace(made.lock, artifacts=tuple(artifacts)), made.paths)


def recorded(wheel: Path, without: list[str]) -> dict[str, bytes | list[str]]:
    """Return what a wheel installs by path below the prefix, RECORD as the paths it names."""
    scheme = Scheme(prefix="opt/env", python="3.11")
    with wheel.open("rb") as archive:
        entries = wheel_entries(wheel, archive, scheme, name="one", version="1.0", without=without)
        found: dict[str, bytes | list[str]] = {
            e.path.removeprefix("opt/env/"): e.content.read() for e in entries if e.content
        }
    record = f"{SITE}/one-1.0.dist-info/RECORD"
    text = found[record]
    assert isinstance(text, bytes)
    found[record] = [line.split(",")[0] for line in text.decode().splitlines()]
    return found


def test_what_gives_way_is_neither_there_nor_recorded(tmp_path: Path) -> None:
    settled(tmp_path, {})
    wheel = tmp_path / "one-1.0-py3-none-any.whl"
    gone = [f"{SITE}/shared.py", "bin/run", "bin/tool"]
    whole, rest = recorded(wheel, []), recorded(wheel, gone)
    assert whole.keys() - rest.keys() == {*gone}
    record = f"{SITE}/one-1.0.dist-info/RECORD"
    lost = {"shared.py", "../../../bin/run", "../../../bin/tool"}
    assert {*whole.pop(record)} - {*rest.pop(record)} == lost
    assert all(whole[path] == rest[path] for path in rest)


def test_another_file_that_gives_way_makes_another_layer(tmp_path: Path) -> None:
    paths = (f"{SITE}/shared.py", "bin/run", "bin/tool")
    keys, found = set(), set()
    for loser, keeper in (("one", "two"), ("two", "one")):
        made = settled(tmp_path, {loser: tuple((path, keeper) for path in paths)})
        keys.add(tuple(plan.key for plan in plan_layers(made.lock)))
        built = made.build(tmp_path / f"image-{loser}", tmp_path / "cache")
        found.add(built.digests.manifest)
        prefix = tmp_path / f"prefix-{loser}"
        install(made.lock, made.paths, prefix, PYTHON_HERE, SILENT, workers=1, prove=None)
        assert (prefix / SITE / "shared.py").read_bytes() == keeper.encode()
        assert f"from {keeper} import main" in (prefix / "bin/tool").read_text()
    assert len(keys) == len(found) == 2


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        (
            {"one": ((f"{SITE}/none.py", "two"),)},
            "it has no file lib/python3.11/site-packages/no",
        ),
        ({"one": (("bin/run", "two"),)}, "at 2 paths: one, two"),
        (
            {"one": ((f"{SITE}/one.py", "two"),)},
            "one.py of one gives way to that of two, which",
        ),
        ({"one": ((f"{SITE}/both.py", "x"),)}, "both.py of one gives way to that of x, which has"),
    ],
)
def test_a_lock_that_says_something_else(
    gone: dict[str, tuple[tuple[str, str], ...]], message: str, tmp_path: Path
) -> None:
    """What a server told, or what was edited by hand."""
    every = tuple((path, "one") for path in (f"{SITE}/shared.py", "bin/run", "bin/tool"))
    two = () if "paths" in message else every
    made = settled(tmp_path, {**gone, "two": two})
    with pytest.raises(ArtifactError, match=message):
        made.build(tmp_path / "image", tmp_path / "cache")
    with pytest.raises(ArtifactError, match=message):
        install(made.lock, made.paths, tmp_path / "p", PYTHON_HERE, SILENT, workers=1, prove=None)
    assert not (tmp_path / "image").exists()
    assert not (tmp_path / "p").exists()


def test_a_malformed_wheel_is_named_as_the_lock_names_it(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "one", "1.0", wheel_version="7.0", pack=pack)
    environment = environment_of(path)
    stored = path.rename(tmp_path / "0123abcd")
    with pytest.raises(ArtifactError, match="Wheel-Version: 7") as caught:
        type(environment)(environment.lock, dict.fromkeys(environment.paths, stored)).build(
            tmp_path / "image", tmp_path / "cache"
        )
    assert caught.value.where == "one-1.0-py3-none-any.whl"
    assert "0123abcd" not in str(caught.value)


def test_a_wheel_that_clashes_with_itself(layers: str, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="the wheel of one is malformed") as caught:
        build(tmp_path, {"x": b"", "x/y": b""}, {})
    assert "one of the two" not in str(caught.value)
    assert caught.value.hint == "choose another version of one, or name it in pypi.exclude"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("pyvenv.cfg", "one installs /opt/env/pyvenv.cfg, a file of the environment itself"),
        ("lib64/x", "one installs /opt/env/lib64/x, but /opt/env/lib64 is no folder in the env"),
        ("bin", "one installs the file /opt/env/bin, which is a folder of the environment itself"),
    ],
)
def test_nobody_can_exclude_the_environment_itself(path: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        build(tmp_path, {}, {}, data={f"data/{path}": b"mine"})
    assert caught.value.message.startswith(message)
    assert caught.value.hint == "choose another version of one, or name it in pypi.exclude"


@pytest.mark.parametrize("stored", ["one-1.0-py3-none-any.whl", "0123abcd"])
def test_the_wheel_is_named_once(stored: str, tmp_path: Path) -> None:
    good = environment_of(make_wheel(tmp_path, "one", "1.0", pack=pack))
    other = make_wheel(tmp_path / "o", "two", "1.0", pack=pack).rename(tmp_path / stored)
    (wheel,) = good.lock.artifacts
    scheme = Scheme(prefix="opt/env", python="3.11")
    with pytest.raises(ArtifactError) as caught, other.open("rb") as archive:
        installed_entries(other, archive, scheme, wheel)
    assert str(caught.value) == "one-1.0-py3-none-any.whl: it holds two-1.0, not one 1.0"


@pytest.mark.parametrize(
    ("workdir", "user", "expected"),
    [
        ("/app", "nonroot", ("app", 65532, 65532)),
        ("/app/", None, ("app", 0, 0)),
        ("/srv/deep/er", "1000", ("srv/deep/er", 1000, 1000)),
        ("/app", "1000:2000", ("app", 1000, 2000)),
        ("/app", "nonroot:root", ("app", 65532, 0)),
        ("/lib/app", "root", ("usr/lib/app", 0, 0)),
        ("/var/run/app", "root", ("run/app", 0, 0)),
        ("/", "nonroot", None),
        ("/tmp", "nonroot", None),
        ("/var/tmp", "nonroot", None),
        ("/lib", "nonroot", None),
        ("/root", "nonroot", None),
    ],
)
def test_the_working_directory(
    workdir: str, user: str | None, expected: tuple[str, int, int] | None
) -> None:
    """It belongs to the user, and never replaces a folder or a link of the OS layer."""
    image = {"workdir": workdir} | ({"user": user} if user else {})
    plan = plan_layers(environment_of(image=image).lock)[-1]
    found = [entry for entry in environment_entries(plan) if entry.kind == "dir"]
    assert [(entry.path, entry.uid, entry.gid) for entry in found] == (
        [expected] if expected else []
    )
