"""What Python evaluates while it imports, held against Python itself."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING

import pytest

from envlock.audit.index.module import index_source
from tests.audit.conftest import Auditor, texts

if TYPE_CHECKING:
    from envlock.audit import Audit

LIB = {"lib/__init__.py": "from . import sub\n", "lib/sub.py": "class Kind: pass\n"}

EVALUATED = {
    "default": "def f(a, x=lib.gone): pass",
    "default of a keyword": "def f(*, x=lib.gone): pass",
    "default on a line of its own": "def f(a,\n      x=lib.gone,\n      ):\n    pass",
    "default of a method": "class C:\n    def f(self, x=lib.gone): pass",
    "default of a lambda": "f = lambda x=lib.gone: x",
    "default of a lambda in a call": "sorted([], key=lambda x, y=lib.gone: x)",
    "default of a coroutine": "async def f(x=lib.gone): pass",
    "decorator": "@lib.gone\ndef f(): pass",
    "decorator that is called": "@lib.gone(1)\nclass C: pass",
    "decorator of a method": "class C:\n    @lib.gone\n    def f(self): pass",
    "base": "class C(lib.gone): pass",
    "base in brackets": "class C(list[lib.gone]): pass",
    "metaclass": "class C(metaclass=lib.gone): pass",
    "words of a class": "class C(**lib.gone): pass",
    "body of a class": "class C:\n    x = lib.gone",
    "first iterable": "x = [i for i in lib.gone]",
    "first iterable of a generator": "x = (i for i in lib.gone)",
    "element": "x = [lib.gone for i in (1, 2)]",
    "value": "x = {i: lib.gone for i in [1]}",
    "target's object": "lib.gone.x = 1",
    "target's index": "x = {}\nx[lib.gone] = 1",
    "target's items": "lib.gone[1] = 1",
    "one of several targets": "x, lib.gone.y = 1, 2",
    "deleted item": "del lib.gone[1]",
    "what is raised": "raise lib.gone('no')",
    "what is matched": "match lib.gone:\n    case 1: pass",
    "first pattern": "match 1:\n    case lib.gone: pass",
    "class of the first pattern": "match 1:\n    case lib.gone() | 1: pass",
    "second of a comparison": "x = 1 < lib.gone < 2",
    "format": "x = f'{1:{lib.gone}}'",
}

NOT_EVALUATED = {
    "body of a lambda": "f = lambda x: lib.gone",
    "default inside a function": "def f():\n    def g(x=lib.gone): pass",
    "text as annotation": "def f(x: 'lib.gone'): pass",
    "annotation of a local name": "def f():\n    x: lib.gone = 1",
    "element of nothing": "x = [lib.gone for i in []]",
    "element of a generator": "x = (lib.gone for i in (1, 2))",
    "target that is called so": "x = [lib.gone for lib in ()]",
    "third of a comparison": "x = 1 < 0 < lib.gone",
    "second pattern": "match 1:\n    case 1: pass\n    case lib.gone: pass",
    "guard": "match 1:\n    case 2 if lib.gone: pass",
}

ANNOTATIONS = {
    "parameter": "def f(x: lib.gone): pass",
    "many parameters": "def f(*x: lib.gone): pass",
    "words": "def f(**x: lib.gone): pass",
    "result": "async def f() -> lib.gone: pass",
    "name": "x: lib.gone = 1",
    "name without a value": "x: lib.gone",
    "name in a class": "class C:\n    x: lib.gone",
    "attribute": "lib.x: lib.gone = 1",
}


def _python_says(source: str) -> bool:
    """Tell whether Python gets through a source."""
    lib, sub = types.ModuleType("lib"), types.ModuleType("lib.sub")
    lib.sub = sub  # type: ignore[attr-defined]
    try:
        exec(compile(source, "app.py", "exec", dont_inherit=True), {"lib": lib, "__name__": "app"})
    except AttributeError:
        return False
    return True


def _audited(audit: Auditor, source: str, python: str = "3.11") -> Audit:
    wheels = {"app": {"app.py": f"import lib\n{source}\n"}, "lib": LIB}
    return audit(wheels, python=python, requires={"app": ["lib"]})


@pytest.mark.parametrize("source", EVALUATED.values(), ids=EVALUATED.keys())
def test_what_runs_while_importing_breaks_it(audit: Auditor, source: str) -> None:
    assert not _python_says(source)
    found = _audited(audit, source)
    assert "app needs lib.gone" in texts(found.of("breaks-import"))
    first = found.of("breaks-import")[0]
    assert "lib.gone" in f"import lib\n{source}".splitlines()[first.who.line - 1]


@pytest.mark.parametrize("source", NOT_EVALUATED.values(), ids=NOT_EVALUATED.keys())
def test_what_does_not_run_is_no_certain_break(audit: Auditor, source: str) -> None:
    assert _python_says(source)
    assert _audited(audit, source).roots["app"] != "broken"


@pytest.mark.parametrize("source", ANNOTATIONS.values(), ids=ANNOTATIONS.keys())
def test_annotations_are_evaluated_until_3_13_unless_the_future_is_asked(
    audit: Auditor, source: str
) -> None:
    assert _python_says(source) == (sys.version_info >= (3, 14))
    assert texts(_audited(audit, source).of("breaks-import")) == ["app needs lib.gone"]
    assert not _audited(audit, source, "3.14").findings
    future = "from __future__ import annotations\n"
    assert _python_says(f"{future}{source}\n")
    later = f"{future}import lib\n{source}\n"
    found = audit({"app": {"app.py": later}, "lib": LIB}, requires={"app": ["lib"]})
    assert not found.findings


@pytest.mark.skipif(sys.version_info < (3, 12), reason="PEP 695 is in Python 3.12")
def test_a_type_alias_evaluates_nothing(audit: Auditor) -> None:
    assert not _audited(audit, "type X = lib.gone", "3.12").findings


def test_a_source_that_no_such_python_parses_breaks_its_import(audit: Auditor) -> None:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    files = {
        "app/__init__.py": "from . import old\n",
        "app/old.py": "from .async import x\n",
        "app/older.py": "print 'no'\n",
        "app/guarded.py": "try:\n    from . import older\nexcept SyntaxError:\n    older = None\n",
        "app/not_guarded.py": "try:\n    from . import older\nexcept ImportError:\n    pass\n",
    }
    found = audit({"app": files}, python=python)
    (finding,) = found.of("breaks-import")
    assert (finding.kind, finding.who.file, finding.who.line) == ("raises", "app/old.py", 1)
    assert finding.needs.name == "SyntaxError"
    assert finding.chain == ("app", "app.old")
    assert "app.older" in found.broken_modules
    assert [note.split(": ")[1] for note in found.notes] == ["app/old.py", "app/older.py"]


def test_a_newer_python_may_parse_it(audit: Auditor) -> None:
    files = {"app/__init__.py": "from . import new\n", "app/new.py": "value = <tomorrow>\n"}
    found = audit({"app": files, "user": {"user.py": "from app.new import value\n"}}, python="3.99")
    assert not found.of("breaks-import", "breaks-module")
    assert [note.split(": ")[1] for note in found.notes] == ["app/new.py"]


def test_what_is_no_python_says_where() -> None:
    found = index_source(b"import a\nprint 'b'\n", "m", package=False)
    assert found["body"] == [["S", 2, [*sys.version_info[:2]]]]
    assert "invalid" in found
