"""Two wheels with one path: fine where they agree, a named error where they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from envlock.errors import ArtifactError
from envlock.layers import plan as plan_module
from envlock.layers.pack import environment_entries, installed_entries
from envlock.layers.plan import plan_layers
from envlock.layers.wheel import Scheme

from ..layers.making import make_wheel
from .making import check_layout, environment_of, pack

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
    assert f"/opt/env/lib/python3.11/site-packages/{path}" in caught.value.message
    assert caught.value.hint
    assert "pypi.exclude" in caught.value.hint
    assert not (tmp_path / "image").exists()


def test_all_that_differ_are_told_at_once(layers: str, tmp_path: Path) -> None:
    one, two = ({f"shared/{name}.py": text for name in "abc"} for text in (b"1", b"2"))
    with pytest.raises(ArtifactError) as caught:
        build(tmp_path, one, two)
    site = "/opt/env/lib/python3.11/site-packages"
    assert caught.value.message == "one and two install different files at the same paths"
    assert caught.value.details == (f"  one and two: {site}/shared/a.py and 2 more",)
    make_wheel(tmp_path, "three", "1.0", {"shared/c.py": b"3"}, pack=pack)
    with pytest.raises(ArtifactError) as caught:
        environment_of(*sorted(tmp_path.glob("*.whl"))).build(tmp_path / "i", tmp_path / "cache")
    assert caught.value.message.startswith("pairs of wheels install different files")
    assert len(caught.value.details) == 2
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
    with pytest.raises(ArtifactError, match=r"/opt/env/bin/tool, and differently"):
        environment_of(*wheels).build(tmp_path / "image", tmp_path / "cache")


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
