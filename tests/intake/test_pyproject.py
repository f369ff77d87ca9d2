"""``init --from pyproject.toml``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from envlock.errors import EnvlockError

from .drafting import asked, draft, notes, spec_of

if TYPE_CHECKING:
    from pathlib import Path

FILE = "pyproject.toml"
WHOLE = """\
[project]
name = "My_App"
requires-python = ">=3.10,<3.13"
dependencies = ["numpy>=1.26", "tool @ https://me:s3cret@example.com/t.whl"]
[project.optional-dependencies]
gpu = ["my-app[Base]", "cupy; sys_platform == 'linux'"]
base = ["scipy"]
docs = ["sphinx"]
[dependency-groups]
test = ["pytest", {include-group = "lint"}]
lint = ["ruff"]
[tool.uv]
package = true
"""


def test_dependencies(tmp_path: Path) -> None:
    found = draft(tmp_path, FILE, WHOLE)
    spec = spec_of(found)
    assert (found.name, spec.python) == ("My_App", "3.11")
    assert asked(spec) == ([], ["numpy>=1.26"])
    assert notes(found) == [
        (
            "pyproject.toml:4:33: tool @ https://****@example.com/t.whl: asked for by URL, not "
            "from an index"
        ),
        "pyproject.toml:5:10: extras: base, docs, gpu; --extra takes one over",
        "pyproject.toml:9:2: groups: lint, test; --group takes one over",
        "pyproject.toml:12:1: [tool.uv] is not read",
        (
            "pyproject.toml:2:1: My_App itself is not installed: put its wheel on an index, "
            "such as the folder ./wheels, and add it"
        ),
        "python: 3.11 is chosen; --python chooses another",
    ]


def test_extras_and_groups(tmp_path: Path) -> None:
    found = draft(tmp_path, FILE, WHOLE, extras=("GPU",), groups=("test",))
    assert asked(spec_of(found))[1] == [
        "numpy>=1.26",
        'cupy; sys_platform == "linux"',
        "scipy",
        "pytest",
        "ruff",
    ]


def test_a_python_that_no_suite_has_comes_from_conda(tmp_path: Path) -> None:
    spec = spec_of(draft(tmp_path, FILE, WHOLE), "3.12")
    assert spec.python == "3.12"
    assert asked(spec)[0] == ["python=3.12"]
    assert spec.debian is not None
    assert spec.debian.packages == ("ca-certificates",)


def test_a_python_that_the_file_does_not_want(tmp_path: Path) -> None:
    with pytest.raises(EnvlockError) as caught:
        spec_of(draft(tmp_path, FILE, WHOLE), "3.13")
    assert "Python 3.13 is not what the file asks for" in str(caught.value)
    assert "pyproject.toml:3:1: >=3.10,<3.13" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[project\n", "this is not valid TOML"),
        ("[tool.poetry]\nname = 'x'\n", "[tool.poetry] is read where it has dependencies"),
        ("", "there is no [project] table"),
        ("[project]\ndependencies = 'numpy'\n", "dependencies must be a list of texts"),
        ("[project]\ndependencies = [1]\n", "dependencies must be a list of texts"),
        ("[project]\ndependencies = ['a =>1']\n", "'a =>1' is not a requirement"),
        (f"[project]\ndependencies = ['a; {'(' * 9999}']\n", "too many brackets in each other"),
        (f"x = {'[' * 9999}\n", "this is not valid TOML"),
        ("[project]\ndependencies = ['a>1', 'A<2']\n", "a is asked for twice: a>1 and A<2"),
        ("[project]\nrequires-python = '3..1'\n", "requires-python: '3..1' is not understood"),
        ("[project]\nrequires-python = '<3.5'\n", "no Python from 3.9 to 3.14 fits"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(EnvlockError) as caught:
        spec_of(draft(tmp_path, FILE, text))
    assert said in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"extras": ("nope",)}, "there is no extra 'nope'"),
        ({"groups": ("nope",)}, "there is no group 'nope'"),
    ],
)
def test_unknown_choices(tmp_path: Path, choices: dict[str, tuple[str]], said: str) -> None:
    with pytest.raises(EnvlockError, match=said):
        draft(tmp_path, FILE, WHOLE, **choices)


def test_a_group_that_includes_itself(tmp_path: Path) -> None:
    text = "[dependency-groups]\na = [{include-group = 'a'}]\n"
    with pytest.raises(EnvlockError, match="the dependency group a cannot be read"):
        draft(tmp_path, FILE, text, groups=("a",))
