"""Files that give way to another package's: the lock is held against the packages."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from envlock.errors import ArtifactError
from envlock.install.environment import install
from envlock.layers.plan import plan_layers
from envlock.progress import SILENT

from ..image.making import Environment, check_layout, environment_of
from ..makers.conda import distribution, make_conda
from .building import with_conda
from .making import entries

if TYPE_CHECKING:
    from pathlib import Path

Gone = tuple[tuple[str, str], ...]


def environment(folder: Path, gone: Gone) -> Environment:
    """Return packages of which ``gone`` of the one called ``two`` gives way."""
    site = distribution("pure", "1", files={"pure.py": "", "tests.py": "pure"})
    packages = [
        make_conda(
            folder, "one", "1", files={"a": b"one", "lib/python3.12/site-packages/tests.py": b"one"}
        ),
        make_conda(folder, "two", "1", files={"a": b"two", "b": b"two"}),
        make_conda(folder, "pure", "1", noarch="python", files=site, entry_points=["a = pure:x"]),
        make_conda(folder, "python", "3.12.1", files={"bin/a": b"python"}),
    ]
    made = with_conda(environment_of(python="3.12"), packages)
    all_gone = {
        "two": gone,
        "pure": (("bin/a", "python"), ("lib/python3.12/site-packages/tests.py", "one")),
    }
    artifacts = tuple(
        replace(one, conda=replace(one.conda, clobbered=all_gone.get(one.name, ())))
        if one.conda
        else one
        for one in made.lock.artifacts
    )
    return Environment(replace(made.lock, artifacts=artifacts), made.paths)


def test_the_kept_file_is_there_and_nobody_else_owns_it(tmp_path: Path) -> None:
    made = environment(tmp_path, (("a", "one"),))
    digest = made.build(tmp_path / "image", tmp_path / "cache").digests.manifest
    assert check_layout(tmp_path / "image") == digest
    other = environment(tmp_path, (("b", "one"),))
    assert [a.key for a in plan_layers(made.lock)] != [a.key for a in plan_layers(other.lock)]
    prefix = tmp_path / "prefix"
    install(made.lock, made.paths, prefix, None, SILENT, workers=1, prove=None)
    assert (prefix / "a").read_bytes() == b"one"
    assert (prefix / "bin" / "a").read_bytes() == b"python"
    assert (prefix / "lib/python3.12/site-packages/tests.py").read_bytes() == b"one"
    meta = {
        path.name.partition("-")[0]: json.loads(path.read_text())["files"]
        for path in (prefix / "conda-meta").glob("*.json")
    }
    assert meta["two"] == ["b"]
    assert "a" in meta["one"]
    assert not {"bin/a", "lib/python3.12/site-packages/tests.py"} & {*meta["pure"]}


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ((("a", "one"), ("c", "one")), "it has no file c, of which the lock says that it gives"),
        ((("a", "pure"),), "a of two gives way to that of pure, which has no such file"),
        ((("a", "other"),), "a of two gives way to that of other, which has no such file"),
        ((), "one and two both install a, and differently"),
    ],
)
def test_a_lock_that_says_something_else(tmp_path: Path, gone: Gone, message: str) -> None:
    """What was read by range, or edited by hand."""
    made = environment(tmp_path, gone)
    with pytest.raises(ArtifactError, match=message):
        made.build(tmp_path / "image", tmp_path / "cache")
    with pytest.raises(ArtifactError, match=message):
        install(made.lock, made.paths, tmp_path / "prefix", None, SILENT, workers=1, prove=None)
    assert not (tmp_path / "image").exists()
    assert not (tmp_path / "prefix").exists()


def test_a_file_once_gone_is_gone_once(tmp_path: Path) -> None:
    """A package with two entry points of one name stays malformed."""
    path = make_conda(tmp_path, "p", "1", noarch="python", entry_points=["a = p:x", "a = p:y"])
    with pytest.raises(ArtifactError, match="two files for 'opt/env/bin/a'"):
        entries(path)
