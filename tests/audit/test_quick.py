"""Functions that find all that they ask for are not run, and nothing is missed by that."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envlock.audit import Target, audit_indexes, index_wheel
from envlock.audit.index.entries import Functions
from envlock.audit.index.quick import together
from envlock.audit.resolve.quick import Quick
from envlock.audit.resolve.run import Run
from tests.audit.conftest import texts
from tests.audit.making import make_wheel
from tests.audit.worlds import DISTRIBUTIONS, make_sources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.audit import Audit
    from envlock.audit.index.quick import Item
    from envlock.audit.resolve.escapes import Escapes
    from envlock.audit.resolve.state import Module
    from tests.audit.conftest import Auditor

TARGET = Target(python="3.11")
LIB = {"lib/__init__.py": "from lib import part\nvalue = 1\n", "lib/part.py": "thing = 1\n"}


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tell which functions were run."""
    names: list[str] = []
    run = Run.run_function

    def noting(self: Run, module: Module, function: str) -> Escapes:
        names.append(function)
        return run(self, module, function)

    monkeypatch.setattr(Run, "run_function", noting)
    return names


def _function(body: str) -> dict[str, dict[str, str]]:
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    early = "import lib\nimport lib.part\nfrom lib.part import thing\n"  # these are in order
    return {"app": {"app.py": f"{early}def go(x):\n{lines}"}, "lib": LIB}


@pytest.mark.parametrize(
    "body",
    [
        "from lib import value",
        "import lib as l\nl.value",
        "import lib.part as p\nreturn p.thing",
        "if x:\n    from lib.part import thing\n    return thing(x)",
        "from lib import part\npart.thing.anything",
        "y = helper(x)\nimport lib\nreturn lib.value + y",
        "try:\n    import lib.part\nexcept ImportError:\n    pass",
        "def inner():\n    return lib.value\nreturn inner",
        "raise ValueError",
        "try:\n    lib.value\nexcept KeyError:\n    raise ValueError from None",
    ],
)
def test_what_finds_everything_is_not_run(audit: Auditor, functions: list[str], body: str) -> None:
    found = audit(_function(body))
    assert functions == []
    assert not [one for one in found.findings if one.severity != "undeclared"]


@pytest.mark.parametrize(
    ("body", "needs"),
    [
        ("from lib import gone", "app.go needs lib.gone"),
        ("import lib as l\nl.gone", "app.go needs lib.gone"),
        ("import lib.part as p\np.gone", "app.go needs lib.part.gone"),
        ("from lib import part\nreturn part.gone(x)", "app.go needs lib.part.gone"),
        ("import lib.gone", "app.go needs lib.gone"),
        ("import importlib\nimportlib.import_module('lib.gone')", "app.go needs lib.gone"),
        ("from lib import value\nreturn __import__('lib.gone')", "app.go needs lib.gone"),
        ("from lib import value\ny = getattr(lib, 'gone')", "app.go needs lib.gone"),
        ("def inner():\n    from lib import gone\nreturn inner", "app.go.inner needs lib.gone"),
    ],
)
def test_what_misses_something_is_run(
    audit: Auditor, functions: list[str], body: str, needs: str
) -> None:
    found = audit(_function(body))
    assert functions == ["go"]
    assert needs in {text.removeprefix("app: ") for text in texts(found.findings)}


def test_a_version_that_is_asked_for_by_another_name_is_looked_for(
    audit: Auditor, functions: list[str]
) -> None:
    early = "import lib\nfrom importlib.metadata import version as told\n"
    body = "def go():\n    from lib import value\n    return told('absent')\n"
    found = audit({"app": {"app.py": early + body}, "lib": LIB})
    assert functions == ["go"]
    assert "app.go needs absent" in set(texts(found.findings))


def test_what_binds_a_name_of_the_module_is_run(audit: Auditor, functions: list[str]) -> None:
    body = "import lib\n\ndef go():\n    global value\n    from lib import part as value\n"
    audit({"app": {"app.py": body}, "lib": LIB})
    assert functions == ["go"]


def test_functions_of_a_module_that_find_everything_are_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def texts_of(member: str) -> list[str]:
        body = f"import lib\n\ndef go():\n    lib.value\n\ndef come(x):\n    lib.{member}(x)\n"
        world = [make_wheel(tmp_path, "app", {"app.py": body}), make_wheel(tmp_path, "lib", LIB)]
        return texts(audit_indexes(map(index_wheel, world), TARGET).findings)

    looked: list[Functions] = []
    really_asked = Functions.asked

    def asked(self: Functions) -> Iterator[tuple[str, list[Item] | None]]:
        looked.append(self)
        return really_asked(self)

    monkeypatch.setattr(Functions, "asked", asked)
    assert not [text for text in texts_of("value") if "lib.value" in text]
    assert looked == []
    assert "app.come needs lib.gone" in texts_of("gone")
    assert len(looked) == 1


@pytest.mark.parametrize(
    ("lists", "found"),
    [
        ([], []),
        ([["b.c", "a()"], [], ["a.b", "b.c"]], ["a()", "a.b", "b.c"]),
        ([["a.b"], None], None),
        ([["a.b"], [["i", "a", None], "a.b"]], None),
    ],
)
def test_what_all_functions_ask_for(
    lists: list[list[Item] | None], found: list[str] | None
) -> None:
    assert together(lists) == found


@settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(seed=st.integers(0, 2**32))
def test_running_all_functions_finds_the_same(seed: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        random = Random(seed)
        world = [
            index_wheel(make_wheel(Path(place), name, make_sources(random, name)))
            for name in DISTRIBUTIONS
        ]
        found = audit_indexes(world, TARGET)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Quick, "fine", lambda _self, _function, _asked: False)
            assert _told(audit_indexes(world, TARGET)) == _told(found)


def _told(audit: Audit) -> object:
    """Return an audit but for what a caller's arguments make fail in vain."""
    shown = [finding for finding in audit.findings if finding.severity != "hidden"]
    return shown, audit.roots, audit.broken_modules, audit.importable
