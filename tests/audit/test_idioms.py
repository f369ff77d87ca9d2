"""How packages that everybody uses are written, and what the audit makes of that."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

from envlock.audit.resolve.providers import module_of
from envlock.audit.words import lines
from tests.audit.conftest import texts

if TYPE_CHECKING:
    from tests.audit.conftest import Auditor

LIB = {"lib.py": "value = 1\n"}

SETUP = """
    try:
        {name}
    except NameError:
        {name} = False

    if {name}:
        import nowhere
    else:
        from lib import gone
    """


@pytest.mark.parametrize("name", ["__APP_SETUP__", "_APP_SETUP_"])
def test_a_package_is_not_imported_by_its_own_setup(audit: Auditor, name: str) -> None:
    found = audit({"app": {"app.py": SETUP.format(name=name)}, "lib": LIB})
    assert texts(found.of("breaks-import")) == ["app needs lib.gone"]


def test_a_name_that_a_shell_puts_into_builtins_is_unknown(audit: Auditor) -> None:
    found = audit({"app": {"app.py": SETUP.format(name="__IPYTHON__")}, "lib": LIB})
    assert not found.of("breaks-import", "breaks-module")
    assert found.roots["app"] == "maybe"


def test_a_module_that_breaks_by_calling_another_ones_function_is_named(audit: Auditor) -> None:
    app = {
        "app/__init__.py": "def patch():\n    from lib import gone\n",
        "app/__main__.py": "from app import patch\npatch()\n",
    }
    (finding,) = audit({"app": app, "lib": LIB}).of("breaks-module")
    assert finding.text == "app.patch needs lib.gone"
    assert finding.chain == ("app.__main__", "app")
    assert "fails when app.__main__ is imported, which calls it" in "\n".join(lines(finding))


def test_a_module_that_breaks_by_itself_needs_no_way_to_it(audit: Auditor) -> None:
    app = {"app/__init__.py": "", "app/part.py": "def f():\n    import lib.gone\nf()\n"}
    (finding,) = audit({"app": app, "lib": LIB}).of("breaks-module")
    assert finding.chain == ()
    assert "fails when this module is imported" in "\n".join(lines(finding))


CHARTS = {
    "charts/__init__.py": "",
    "charts/_data.py": "TABLE = {name: len(data) for name, data in [('jet', 'x'), ('hot', 'y')]}\n",
    "charts/cm.py": """
        from collections.abc import Mapping
        from charts._data import TABLE
        BASE = {"grey": 1}
        BASE["bone"] = 2
        def make():
            found = {**TABLE, **BASE}
            for one in list(found):
                found[one + "_r"] = 2
            return found
        class Registry(Mapping):
            "Holds what somebody may register, gone or not."
            def __init__(self, maps):
                self.maps = maps
            def check(self, word="force"):
                raise ValueError("gone")
        globals().update(Registry(make()))
        def use():
            global used
            used = True
        """,
}


def _asking(module: str, *names: str) -> dict[str, str]:
    return {f"app/{name}.py": f"from {module} import {name}\n" for name in names}


def test_names_from_a_table_are_made_of_its_keys(audit: Auditor) -> None:
    app = _asking("charts.cm", "jet", "hot_r", "grey", "bone_r", "make", "gone", "register_map")
    found = audit({"app": {"app/__init__.py": "", **app}, "charts": CHARTS})
    missing = ["app.register_map needs charts.cm.register_map"]
    assert texts(found.of("breaks-module")) == missing  # gone stands there as a text


@pytest.mark.parametrize(
    "body",
    [
        "import json\nglobals().update(json.load(open('names')))\n",
        "import os\nTABLE = {'jet': 1}\nTABLE.update(os.environ)\nglobals().update(TABLE)\n",
        "from charts.make import table\nglobals().update(table())\n",
        "from charts.make import TABLE\nglobals().update(TABLE)\n",
        "TABLE = {}\nfor name in dir(str):\n    TABLE[name] = 1\nglobals().update(TABLE)\n",
        "TABLE = {'jet': 1}\nglobals().update(TABLE)\nglobals()['a' + 'b'] = 2\n",
    ],
)
def test_names_from_a_table_that_nobody_knows_are_unknown(audit: Auditor, body: str) -> None:
    make = "def table():\n    return {}\nTABLE = table()\n"
    charts = {"charts/__init__.py": "", "charts/make.py": make, "charts/cm.py": body}
    app = {"app.py": "from charts.cm import gone\n"}
    found = audit({"app": app, "charts": charts})
    assert not found.of("breaks-import", "may-break-import", "breaks-module")


def test_a_star_brings_what_a_table_brought(audit: Auditor) -> None:
    charts = {**CHARTS, "charts/all.py": "from charts.cm import *\n"}
    found = audit({"app": {"app.py": "from charts.all import gone_map\n"}, "charts": charts})
    assert not found.of("breaks-import")


def test_members_of_a_class_that_are_put_into_the_module(audit: Auditor) -> None:
    body = """
        import enum
        class Level(enum.IntEnum):
            LOW = 0
            HIGH = 1
        globals().update(Level.__members__)
        """
    app = {"app/__init__.py": "", **_asking("lib", "LOW", "Level", "gone")}
    found = audit({"app": app, "lib": {"lib.py": body}})
    assert texts(found.of("breaks-module")) == ["app.gone needs lib.gone"]


DISTRIBUTIONS = """
    from lib.base import make, helper
    {names} = make()
    def norm(): pass
    __all__ = {value}
    """


@pytest.mark.parametrize("value", ["NAMES + ['norm']", "sorted(NAMES)", "make()"])
def test_a_star_by_a_list_that_nobody_knows_brings_some_of_the_names(
    audit: Auditor, value: str
) -> None:
    lib = {
        "lib/__init__.py": "from lib.dists import *\n",
        "lib/base.py": "def make():\n    return open('names').read().split()\ndef helper(): pass\n",
        "lib/dists.py": DISTRIBUTIONS.format(names="NAMES", value=value),
    }
    app = {"app/__init__.py": "", **_asking("lib", "norm", "helper", "NAMES", "gone")}
    found = audit({"app": app, "lib": lib})
    assert texts(found.of("breaks-module")) == ["app.gone needs lib.gone"]


@pytest.mark.parametrize(
    "more", ["def __getattr__(name):\n    return 1\n", "globals()[str(1)] = 1\n", "exec('a = 1')\n"]
)
def test_a_star_by_a_list_that_nobody_knows_may_bring_what_is_made(
    audit: Auditor, more: str
) -> None:
    lib = {
        "lib/__init__.py": "from lib.dists import *\n",
        "lib/base.py": "def make():\n    return open('names').read().split()\ndef helper(): pass\n",
        "lib/dists.py": textwrap.dedent(DISTRIBUTIONS.format(names="NAMES", value="make()")) + more,
    }
    found = audit({"app": {"app.py": "from lib import gone\n"}, "lib": lib})
    assert not found.of("breaks-import", "may-break-import")


NUMBERS = """
    import lib.more
    for key in lib.more.keys():
        globals()[key] = 1

    _old = {}
    _renamed = [("bool", ""), ("int", "x"), ("complex", "y")]
    _former = {n: "gone " + more for n, more in _renamed}
    _renamed = [("bool8", "bool_"), ("int0", "intp")]
    _old.update({n: (a, n) for n, a in _renamed})
    _expired = {"irr": "financial", "npv": "financial"}
    _expired["pmt"] = "financial"

    def __getattr__(attr):
        import warnings
        try:
            text = _expired[attr]
        except KeyError:
            pass
        else:
            def fails():
                raise RuntimeError(text)
            return fails
        try:
            value, text = _old[attr]
        except KeyError:
            pass
        else:
            warnings.warn(text, stacklevel=2)
            return value
        if attr in _former:
            raise AttributeError(_former[attr])
        if attr == "testing":
            import lib.testing as testing
            return testing
        raise AttributeError(f"no {attr}")
    """


def test_a_name_that_getattr_refuses_by_a_table_is_missing_whatever_else_there_is(
    audit: Auditor,
) -> None:
    lib = {
        "lib/__init__.py": NUMBERS,
        "lib/more.py": "def keys():\n    return open('names').read().split()\n",
        "lib/testing.py": "",
    }
    names = ("bool", "complex", "bool8", "irr", "pmt", "testing", "anything")
    found = audit({"app": {"app/__init__.py": "", **_asking("lib", *names)}, "lib": lib})
    missing = ["app.bool needs lib.bool", "app.complex needs lib.complex"]
    assert texts(found.of("breaks-module")) == missing
    assert not found.of("breaks-import", "may-break-import")


@pytest.mark.parametrize(
    "more",
    [
        "_former.update(made())",
        "_former[made()] = 1",
        "for one in made():\n    _former[one] = 1",
        "_former = made()",
    ],
)
def test_a_table_with_keys_that_nobody_knows_refuses_nobody_for_certain(
    audit: Auditor, more: str
) -> None:
    lib = f"""
from other import made
_former = {{"a": 1}}
{more}
def __getattr__(name):
    if name in _former:
        return 1
    raise AttributeError(name)
"""
    other = {"other.py": "def made():\n    return open('names').read()\n"}
    app = {"app.py": "from lib import gone\n"}
    found = audit({"app": app, "lib": {"lib.py": lib}, "other": other})
    assert not found.of("breaks-import")


def test_a_star_by_an_open_list_brings_for_certain_only_what_is_listed(audit: Auditor) -> None:
    base = """
        from builtins import bool, int
        __all__ = ["array"]
        def array(): pass
        for key in open("names"):
            globals()[key] = 1
            __all__.append(key)
        """
    lib = {
        "lib/__init__.py": (
            "from lib.base import *\n_former = ['int', 'bool']\n"
            "def __getattr__(name):\n    if name in _former:\n        raise AttributeError('old')\n"
            "    raise AttributeError(name)\n"
        ),
        "lib/base.py": base,
    }
    app = {"app/__init__.py": "", **_asking("lib", "array", "int", "other")}
    found = audit({"app": app, "lib": lib})
    assert texts(found.of("breaks-module")) == ["app.int needs lib.int"]


@pytest.mark.parametrize(
    ("module", "adds"),
    [
        ("space.cloud.store", "space-cloud-store"),
        ("space.inner.parts", "space-inner"),
        ("google.iam.v1", "grpc-google-iam-v1"),
        ("google.cloud.storage.blob", "google-cloud-storage"),
        ("plain.part", "plain"),
    ],
)
def test_what_is_missing_in_a_namespace_is_called_after_the_part(
    audit: Auditor, module: str, adds: str
) -> None:
    wheels = {
        "app": {"app.py": f"import {module}\n"},
        "space_cloud_one": {"space/cloud/one.py": ""},
        "google_cloud_core": {"google/cloud/core/__init__.py": ""},
    }
    (finding,) = audit(wheels).of("breaks-import")
    assert finding.add == adds


def test_modules_of_distributions_that_nobody_has_looked_at() -> None:
    assert [module_of(name) for name in ("pyyaml", "torch", "a-b", "setuptools")] == [
        "yaml", "torch", "a_b", "setuptools",
    ]  # fmt: skip
    assert module_of("a-b", {"a"}) == "a_b"
    assert module_of("pyyaml", {"yaml"}) == "yaml"


LOOPS = ["[1, 2]", "NAMES", "TABLE.items()", "enumerate(NAMES)", "sorted(MADE)", "{'a': 1}"]


@pytest.mark.parametrize("over", LOOPS)
def test_a_loop_over_what_is_not_empty_runs(audit: Auditor, over: str) -> None:
    app = f"""
        import lib
        NAMES = ["a", "b"]
        TABLE = {{"a": 1}}
        MADE = dict(a=1, b=2)
        for one in {over}:
            if one:
                print(one)
            lib.register(one)
        """
    found = audit({"app": {"app.py": app}, "lib": LIB})
    assert texts(found.of("breaks-import")) == ["app needs lib.register"]


@pytest.mark.parametrize(
    ("over", "body"),
    [
        ("[]", "lib.register(one)"),
        ("[*lib.value]", "lib.register(one)"),
        ("lib.value", "lib.register(one)"),
        ("{**lib.value}", "lib.register(one)"),
        ("dict(**lib.value)", "lib.register(one)"),
        ("filter(None, [1])", "lib.register(one)"),
        ("EMPTIED", "lib.register(one)"),
        ("REPLACED", "lib.register(one)"),
        ("[1]", "if one:\n        continue\n    lib.register(one)"),
        ("[1]", "if one:\n        break\n    lib.register(one)"),
    ],
)
def test_a_loop_that_may_not_run_is_no_certain_break(audit: Auditor, over: str, body: str) -> None:
    app = (
        "import lib\nEMPTIED = [1]\nEMPTIED.clear()\nREPLACED = [1]\nREPLACED = lib.value\n"
        f"for one in {over}:\n    {body}\n"
    )
    found = audit({"app": {"app.py": app}, "lib": LIB})
    assert not found.of("breaks-import")


MOST = {
    "app/__init__.py": "",
    "app/compat.py": "import six\n",
    "app/one.py": "from app.compat import six\n",
    "app/two.py": "import six\n",
    "app/rest.py": "",
}


def test_what_most_of_a_package_needs_is_not_optional(audit: Auditor) -> None:
    found = audit({"app": MOST})
    assert texts(found.of("breaks-module")) == ["app.compat needs six", "app.two needs six"]


@pytest.mark.parametrize("more", ["app/more.py", "app/tests/two.py"])
def test_what_some_modules_need_is_optional(audit: Auditor, more: str) -> None:
    files = {name: text for name, text in MOST.items() if name != "app/two.py"}
    app = {**files, more: "import six\n" if "tests" in more else ""}
    found = audit({"app": app})
    assert not found.of("breaks-module")


def test_what_an_extra_needs_is_an_extras(audit: Auditor) -> None:
    found = audit({"app": MOST}, requires={"app": ["six ; extra == 'more'"]})
    assert not found.of("breaks-module")


MOVED = {
    "lib/__init__.py": "",
    "lib/_real.py": "def norm(): pass\ndef hidden(): pass\ndef late(): pass\n",
    "lib/_old.py": """
        import warnings
        from importlib import import_module
        def moved(*, package, module, private, all, attribute, right=None, until="2.0"):
            if right is not None:
                place = f"lib.{package}.{right}"
            else:
                place = f"lib.{package}"
            if attribute not in all:
                raise AttributeError(f"{module} has no {attribute}, and goes in {until}")
            warnings.warn(place, DeprecationWarning, stacklevel=3)
            return getattr(import_module(f"lib.{private}"), attribute)
        """,
}


@pytest.mark.parametrize(
    ("exports", "missing"),
    [
        ("__all__ = ['norm', 'late']", ["gone", "hidden"]),
        ("__all__ = ['norm']\n__all__ += ['late']", ["gone", "hidden"]),
        ("__all__ = open('names').read().split()", []),
    ],
)
def test_a_helper_refuses_what_the_old_module_does_not_list(
    audit: Auditor, exports: str, missing: list[str]
) -> None:
    old = (
        f"from lib._old import moved\n{exports}\ndef __getattr__(name):\n"
        "    return moved(package='real', module='real', private='_real', all=__all__,\n"
        "                 attribute=name)\n"
    )
    names = ("norm", "late", "hidden", "gone")
    app = {"app/__init__.py": "", **_asking("lib.real", *names)}
    found = audit({"app": app, "lib": {**MOVED, "lib/real.py": old}})
    assert texts(found.of("breaks-module")) == [f"app.{n} needs lib.real.{n}" for n in missing]
    assert not found.of("breaks-import", "may-break-import")
