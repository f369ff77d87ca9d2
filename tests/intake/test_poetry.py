"""``init --from pyproject.toml`` where poetry keeps the dependencies."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envlock.errors import EnvlockError

from .drafting import asked, draft, notes, spec_of

if TYPE_CHECKING:
    from pathlib import Path

FILE = "pyproject.toml"
WHOLE = """\
[tool.poetry]
name = "service"
version = "1.0"

[tool.poetry.dependencies]
python = "^3.11"
Django = "^5.0"
celery = { version = "~5.3", extras = ["redis"] }
pywin32 = { version = "*", markers = "sys_platform == 'win32'" }
numpy = [
  { version = "<2", python = "<3.12" },
  { version = ">=2", python = ">=3.12" },
]
mysqlclient = { version = "^2.2", optional = true }
mine = { git = "https://me:s3cret@example.com/mine.git", tag = "v1" }
shared = { path = "../shared", develop = true }
torch = { version = "2.6.0+cu124", source = "Torch" }
inner = { version = "^1", allow-prereleases = true }

[tool.poetry.extras]
mysql = ["mysqlclient"]
all = ["mysqlclient", "celery"]

[tool.poetry.group.test.dependencies]
pytest = "^8"

[tool.poetry.group.docs.dependencies.sphinx]
version = ">=7"

[[tool.poetry.source]]
name = "torch"
url = "https://download.example.com/whl/cu124"
priority = "explicit"

[[tool.poetry.source]]
name = "house"
url = "https://wheels.example.org/simple"
priority = "supplemental"

[[tool.poetry.source]]
name = "unused"
url = "https://unused.example.com/simple"
priority = "explicit"

[[tool.poetry.source]]
name = "PyPI"
priority = "primary"
"""


def test_dependencies(tmp_path: Path) -> None:
    found = draft(tmp_path, FILE, WHOLE)
    spec = spec_of(found)
    assert (found.name, spec.python) == ("service", "3.11")
    assert asked(spec) == (
        [],
        [
            "Django<6.0,>=5.0",
            "celery[redis]<5.4,>=5.3",
            'pywin32; sys_platform == "win32"',
            'numpy<2; python_version < "3.12"',
            'numpy>=2; python_version >= "3.12"',
            "torch==2.6.0+cu124",
            "inner<2,>=1",
        ],
    )
    indexes = {one.name: (one.url, one.packages) for one in spec.indexes}
    assert indexes == {
        "example-cu124": ("https://download.example.com/whl/cu124", ("torch",)),
        "example": ("https://wheels.example.org/simple", ()),
    }
    assert notes(found) == [
        (
            "pyproject.toml:15:1: mine comes from https://****@example.com/mine.git, and not "
            "from an index"
        ),
        "pyproject.toml:16:1: shared comes from ../shared, and not from an index",
        "pyproject.toml:18:1: inner: allow-prereleases is left out",
        (
            "pyproject.toml:37:8: the index is called example, and is asked first for everything: "
            "say which packages come from it"
        ),
        "pyproject.toml:20:1: extras: all, mysql; --extra takes one over",
        "pyproject.toml:24:1: groups: docs, test; --group takes one over",
        "python: 3.11 is chosen; --python chooses another",
    ]


def test_extras_and_groups(tmp_path: Path) -> None:
    found = draft(tmp_path, FILE, WHOLE, extras=("MySQL",), groups=("test", "docs"))
    assert asked(spec_of(found))[1][-5:] == [
        "mysqlclient<3.0,>=2.2",
        "torch==2.6.0+cu124",
        "inner<2,>=1",
        "pytest<9,>=8",
        "sphinx>=7",
    ]


def test_the_one_group_of_old(tmp_path: Path) -> None:
    text = "[tool.poetry.dependencies]\na = '1.0'\n[tool.poetry.dev-dependencies]\nb = '>=2'\n"
    assert asked(spec_of(draft(tmp_path, FILE, text)))[1] == ["a==1.0"]
    assert asked(spec_of(draft(tmp_path, FILE, text, groups=("dev",))))[1] == ["a==1.0", "b>=2"]


def test_poetry_2_keeps_dependencies_in_project(tmp_path: Path) -> None:
    text = """\
[project]
name = "two"
requires-python = ">=3.11"
dependencies = ["numpy>=2", "torch>=2"]
[dependency-groups]
lint = ["ruff"]
[tool.poetry.dependencies]
torch = { source = "wheels" }
[tool.poetry.group.test.dependencies]
pytest = "*"
[[tool.poetry.source]]
name = "wheels"
url = "https://wheels.example.com/torch"
"""
    found = draft(tmp_path, FILE, text, groups=("test", "lint"))
    spec = spec_of(found)
    assert found.name == "two"
    assert asked(spec)[1] == ["pytest", "numpy>=2", "torch>=2", "ruff"]
    assert [(one.name, one.packages) for one in spec.indexes] == [("example-torch", ("torch",))]
    with pytest.raises(EnvlockError, match="there is no group 'nope'"):
        draft(tmp_path, FILE, text, groups=("nope",))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("a = 'latest'", "a: Could not parse version constraint: latest"),
        ("a = '^x'", "pyproject.toml:2:1: a: Could not parse"),
        ("a = 5", "a must be a version or a table, not 5"),
        ("a = {version = 5}", "a: version must be a text"),
        ("a = {version = '1', extras = 'x'}", "a: extras must be a list of texts"),
        ("a = {version = '1', markers = 'nope'}", "is not a requirement"),
        (f"a = {{version = '1', markers = '{'(' * 9999}'}}", "too many brackets"),
        ("a = {version = '1', python = 'new'}", "a: Could not parse version constraint: new"),
        ("a = '>=1,<2 || >=3'", "a may have versions of several ranges (>=1,<2 || >=3)"),
        ("python = 'three'", "python: Could not parse version constraint: three"),
        ("python = '<3.5'", "no Python from 3.9 to 3.14 fits"),
        ("a = {version = '1', source = 's'}", "a comes from the source 's', which is not there"),
        (
            "a = '1'\n[[tool.poetry.source]]\nname = 's'\nurl = 'https://u:p4ss@example.com/'",
            "pyproject.toml:5:8: the URL of the source s carries a credential",
        ),
    ],
)
def test_what_cannot_be_said(tmp_path: Path, lines: str, said: str) -> None:
    with pytest.raises(EnvlockError) as caught:
        spec_of(draft(tmp_path, FILE, f"[tool.poetry.dependencies]\n{lines}\n"))
    assert said in str(caught.value)
    assert "p4ss" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_python_with_a_gap(tmp_path: Path) -> None:
    text = "[tool.poetry.dependencies]\npython = '~3.8 || ^3.11'\n"
    found = draft(tmp_path, FILE, text)
    assert spec_of(found, "3.13").python == "3.13"
    assert "python ~3.8 || ^3.11 has a gap" in notes(found)[0]


def test_unknown_extras(tmp_path: Path) -> None:
    with pytest.raises(EnvlockError, match="there is no extra 'nope'") as caught:
        draft(tmp_path, FILE, WHOLE, extras=("nope",))
    assert caught.value.hint == "it has: all, mysql"


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("poetry.lock", "the pyproject.toml beside it"),
        ("Pipfile", "pipenv requirements > requirements.txt"),
        ("setup.py", "uv pip compile setup.py -o requirements.txt"),
    ],
)
def test_what_is_not_read_has_something_instead(tmp_path: Path, name: str, instead: str) -> None:
    with pytest.raises(EnvlockError, match=f"{name} is not read") as caught:
        draft(tmp_path, name, "")
    assert instead in str(caught.value.hint)


_VALUES = st.one_of(
    st.sampled_from(
        [
            "^1",
            "~1.2",
            "1.*",
            "*",
            "x",
            "^",
            ">=1,<",
            "==1||==2",
            "<0",
            "!=1",
            "linux",
            "!win32",
            "1.0+cu",
            "v1",
            "^1.a",
            "||",
            "nan",
        ]
    ),
    st.sampled_from(["", "a b", "1 - 2", "python_version < '3'", "extra == 'a'"]),
    st.booleans(),
    st.integers(-1, 2),
    st.just([]),
    st.just(["a", "b c"]),
    st.just({"a": 1}),
)
_ENTRIES = st.dictionaries(
    st.sampled_from(
        ["version", "extras", "python", "platform", "markers", "optional", "source", "git", "x"]
    ),
    _VALUES,
)


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.one_of(_VALUES, _ENTRIES, st.lists(_ENTRIES, max_size=2)), st.sampled_from(["a", "é b"]))
def test_anything_becomes_a_draft_or_is_refused(tmp_path: Path, value: object, name: str) -> None:
    text = tomli_w.dumps({"tool": {"poetry": {"dependencies": {name: value, "python": "^3.11"}}}})
    with contextlib.suppress(EnvlockError):
        draft(tmp_path, FILE, text)
