"""Which names and submodules a module has, where code makes some of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.audit.conftest import texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.audit.conftest import Auditor

KEPT = "from lib import kept\n"
GONE = "from lib import gone\n"


def check(audit: Auditor, lib: Mapping[str, str]) -> None:
    """``lib.kept`` is there and ``lib.gone`` is not."""
    lazy = {"lazy_loader.py": "def attach(*given): return given\nattach_stub = attach\n"}
    found = audit({"app": {"app.py": GONE}, "lib": lib, "lazy_loader": lazy})
    assert texts(found.of("breaks-import")) == ["app needs lib.gone"]
    found = audit({"app": {"app.py": KEPT}, "lib": lib, "lazy_loader": lazy})
    assert not found.of("breaks-import", "may-break-import")


@pytest.mark.parametrize(
    "lib",
    [
        """
        kept = 1
        def load(name):
            return __import__(name, globals(), locals(), [])
        """,
        """
        kept = 1
        class Shell:
            def run(self, code):
                exec(code, self.names)
                for name in dir(self):
                    print(name)
            def attach(self, other):
                self.attach(other)
        """,
        """
        import sys
        kept = 1
        def mark(other, name, value):
            module = sys.modules[other]
            setattr(module, name, value)
        """,
        """
        import sys
        from types import ModuleType
        kept = 1
        class Loud(ModuleType):
            def __setattr__(self, name, value):
                print(name)
                super().__setattr__(name, value)
        sys.modules[__name__].__class__ = Loud
        """,
        """
        import enum, sys
        class Colour(enum.IntEnum):
            kept = 1
        module = sys.modules[__name__]
        for one in (Colour,):
            for item in one:
                setattr(module, item.name, item.value)
        """,
        """
        import lazy_loader as lazy
        __getattr__, __dir__, __all__ = lazy.attach(__name__, ["kept"], {"_part": ["other"]})
        """,
        """
        def __getattr__(name):
            if name == "gone":
                raise ValueError("it went away")
            return 1
        """,
    ],
    ids=["import", "methods", "others", "class", "members", "attach", "raises"],
)
def test_what_makes_no_names_or_known_ones(audit: Auditor, lib: str) -> None:
    check(audit, {"lib/__init__.py": lib})


@pytest.mark.parametrize(
    "lib",
    [
        "exec('gone = 1')\n",
        "def make(code):\n    exec(code, globals())\nmake('gone = 1')\n",
        "import helper\nhelper.remake(gone=1)\n",
        "gone: int\n",
        "import helper\nclass A:\n    pass\nhelper.remake(A, globals(), locals())\n",
        "import sys\nmodule = sys.modules[__name__]\nsetattr(module, 'go' + 'ne', 1)\n",
        "import other\nfor name in dir(other):\n    vars()[name] = 1\n",
        "import helper\nold, new = helper.remake(  # later\n    __name__, {'a': ['gone']}\n)\n",
        "import helper\n__getattr__, __dir__, __all__ = helper.attach(__name__, helper.NAMES)\n",
        """
        import sys
        class Lazy(type(sys)):
            def __getattr__(self, name):
                return 1
        sys.modules[__name__].__class__ = Lazy
        """,
    ],
    ids=[
        "exec",
        "globals",
        "given",
        "declared",
        "proxy",
        "itself",
        "dir",
        "remade",
        "told elsewhere",
        "class",
    ],
)
def test_what_may_make_any_name(audit: Auditor, lib: str) -> None:
    helper = "def remake(*given): return given\ndef attach(*given): return given\nNAMES = ()\n"
    packages = {"lib": {"lib.py": lib}, "helper": {"helper.py": helper}, "other": {"other.py": ""}}
    found = audit({"app": {"app.py": GONE}, **packages})
    assert not found.of("breaks-import", "may-break-import")


def test_names_of_a_stub_that_is_read_at_run_time(audit: Auditor) -> None:
    source = "import lazy_loader\n__getattr__, __dir__, __all__ = lazy_loader.attach_stub(\n"
    files = {
        "lib/__init__.py": source + "    __name__, __file__\n)\n",
        "lib/__init__.pyi": "from ._part import kept\nfrom . import side\n",
        "lib/_part.py": "kept = 1\n",
        "lib/side.py": "",
    }
    check(audit, files)
    check(audit, {**files, "lib/__init__.pyi": "__all__ = ['kept']\nfrom ._part import kept\n"})
    for stub in ("from ._part import *\n", "def f(:\n"):
        lib = {**files, "lib/__init__.pyi": stub}
        lazy = {"lazy_loader.py": "def attach_stub(*given): return given\n"}
        found = audit({"app": {"app.py": GONE}, "lib": lib, "lazy_loader": lazy})
        assert not found.of("breaks-import", "may-break-import")


@pytest.mark.parametrize(
    "listing",
    [
        "from ._more import *\n__all__ = _more.__all__\n",
        "from ._more import extra\n__all__ = ['kept'] + _more.__all__\n",
        "from ._more import __all__\nkept = 1\n",
    ],
)
@pytest.mark.parametrize(
    "own", ["['kept', 'extra']", "[n for n in dir() if not n.startswith('_')]"]
)
def test_a_star_brings_what_is_listed(audit: Auditor, listing: str, own: str) -> None:
    """Names of ``_core`` are unknown, those that it lists are not."""
    core = f"from . import _more\n{listing}for name in _more.__all__:\n    vars()[name] = 1\n"
    lib = {
        "lib/__init__.py": "from ._core import *\n",
        "lib/_core.py": core,
        "lib/_more.py": f"kept = extra = 1\nNAMES = 'kept', 'extra'\n__all__ = {own}\n",
    }
    check(audit, lib)


def test_a_list_that_grows_is_unknown(audit: Auditor) -> None:
    core = "NAMES = ['kept']\nNAMES.extend(['go' + 'ne'])\n__all__ = NAMES\nvars()['x'] = 1\n"
    lib = {"lib/__init__.py": "from ._core import *\n", "lib/_core.py": core}
    found = audit({"app": {"app.py": GONE}, "lib": lib})
    assert not found.of("breaks-import", "may-break-import")


def test_a_list_that_is_made_elsewhere_is_unknown(audit: Auditor) -> None:
    lib = {
        "lib/__init__.py": "from ._core import *\n",
        "lib/_core.py": "from ._help import make\n__all__, __getattr__ = make(__name__)\n",
        "lib/_help.py": "def make(name): return [], None\n",
    }
    found = audit({"app": {"app.py": GONE}, "lib": lib})
    assert not found.of("breaks-import", "may-break-import")


HELPER = """
MOVED = {"lib:kept": "lib.new:kept"}
OLD = {f"lib.sub:{name}": f"lib.old:{name}" for name in ("kept", "other")}
GONE = {"lib:gone"}
def make(module):
    def wrapper(name):
        for table in (MOVED, OLD):
            if f"{module}:{name}" in table:
                return table[f"{module}:{name}"]
        raise AttributeError(name)
    return wrapper
"""


def test_a_getter_whose_tables_are_elsewhere(audit: Auditor) -> None:
    getter = "from lib._moves import make\n__getattr__ = make(__name__)\n"
    lib = {"lib/__init__.py": getter, "lib/sub.py": getter, "lib/_moves.py": HELPER}
    check(audit, lib)
    found = audit({"app": {"app.py": "from lib.sub import kept\n"}, "lib": lib})
    assert not found.of("breaks-import")
    found = audit({"app": {"app.py": "from lib.sub import gone\n"}, "lib": lib})
    assert texts(found.of("breaks-import")) == ["app needs lib.sub.gone"]
    unknown = {**lib, "lib/_moves.py": f"{HELPER}MORE = dict(zip(OLD, OLD))\n"}
    found = audit({"app": {"app.py": GONE}, "lib": unknown})
    assert not found.of("breaks-import", "may-break-import")


def test_a_future_statement_binds_its_name(audit: Auditor) -> None:
    lib = {"lib.py": "from __future__ import annotations\n"}
    found = audit({"app": {"app.py": "from lib import annotations\n"}, "lib": lib})
    assert not found.of("breaks-import")


@pytest.mark.parametrize(
    "line",
    [
        "import sys\nif 'here' in sys.path: pass\n",
        "import sys\nfor finder in sys.meta_path: print(finder)\n",
        "from lib import helper\nhelper.fix(__name__, globals())\n",
    ],
)
def test_what_makes_no_submodules(audit: Auditor, line: str) -> None:
    lib = {"lib/__init__.py": line, "lib/helper.py": "def fix(name, names): pass\n"}
    found = audit({"app": {"app.py": "import lib.helper\nimport lib.gone\n"}, "lib": lib})
    assert texts(found.of("breaks-import")) == ["app needs lib.gone"]


def test_an_importer_makes_submodules(audit: Auditor) -> None:
    lib = {"lib/__init__.py": "import sys\nsys.meta_path.insert(0, object())\n"}
    found = audit({"app": {"app.py": "import lib.gone\n"}, "lib": lib})
    assert not found.of("breaks-import", "may-break-import")


def test_a_submodule_behind_a_name_of_its_package(audit: Auditor) -> None:
    """``import lib.part as part`` binds the attribute ``part`` of ``lib``."""
    lib = {"lib/__init__.py": "from .part import part\n", "lib/part.py": "part = object()\n"}
    app = {"app.py": "import lib.part as part\ndef show(): return part.gone\n"}
    assert not audit({"app": app, "lib": lib}).of("breaks-call")
    plain = {**lib, "lib/__init__.py": ""}
    assert texts(audit({"app": app, "lib": plain}).of("breaks-call")) == [
        "app.show needs lib.part.gone"
    ]
