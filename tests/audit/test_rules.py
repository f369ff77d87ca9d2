"""Each rule of the audit on code made for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from envlock.audit.words import what, where
from tests.audit.conftest import texts

if TYPE_CHECKING:
    from tests.audit.conftest import Auditor

LIB = {"lib/__init__.py": "value = 1\n", "lib/sub.py": "def helper(): pass\n"}


def test_a_missing_name_breaks_the_import_with_its_chain(audit: Auditor) -> None:
    found = audit(
        {
            "app": {
                "app/__init__.py": "from . import core\n",
                "app/core.py": "from lib.sub import gone\n",
            },
            "lib": LIB,
        }
    )
    (finding,) = found.of("breaks-import")
    assert finding.text == "app.core needs lib.sub.gone"
    assert finding.chain == ("app", "app.core")
    assert finding.who.line == 1
    assert finding.needs.provider == "lib"
    assert found.roots == {"app": "broken", "lib": "ok"}
    assert found.importable["app"] == (2, 0)


def test_a_missing_module_of_a_locked_distribution(audit: Auditor) -> None:
    found = audit({"app": {"app.py": "import lib.gone.deeper\n"}, "lib": LIB})
    assert texts(found.of("breaks-import")) == ["app needs lib.gone.deeper"]


def test_an_attribute_of_a_module_is_less_certain(audit: Auditor) -> None:
    found = audit({"app": {"app.py": "import lib\nx = lib.gone\n"}, "lib": LIB})
    (finding,) = found.of("breaks-import")
    assert (finding.kind, finding.certainty) == ("attribute-missing", "likely")


def test_exception_classes_matter(audit: Auditor) -> None:
    source = """
        try:
            {statement}
        except ModuleNotFoundError:
            pass
        """
    name = audit({"app": {"app.py": source.format(statement="from lib import gone")}, "lib": LIB})
    module = audit({"app": {"app.py": source.format(statement="import lib.gone")}, "lib": LIB})
    assert texts(name.of("breaks-import")) == ["app needs lib.gone"]
    assert not module.of("breaks-import")
    assert texts(module.of("degrades")) == ["app needs lib.gone"]


def test_a_handler_that_raises_again_does_not_help(audit: Auditor) -> None:
    source = """
        try:
            from lib import gone
        except ImportError as error:
            raise ImportError("install lib") from error
        """
    found = audit({"app": {"app.py": source}, "lib": LIB})
    assert texts(found.of("breaks-import")) == ["app needs lib.gone"]


def test_a_handler_with_another_import_is_a_fall_back(audit: Auditor) -> None:
    source = """
        try:
            from lib import gone as thing
        except ImportError:
            from lib import value as thing
        """
    found = audit({"app": {"app.py": source}, "lib": LIB})
    assert texts(found.of("falls-back")) == ["app needs lib.gone"]
    assert not found.of("breaks-import")


@pytest.mark.parametrize(
    "condition",
    [
        "importlib.util.find_spec('absent') is not None",
        "sys.version_info < (3, 8)",
        "sys.hexversion < 0x03080000",
        "0x030C0000 <= sys.hexversion",
        "sys.platform == 'win32'",
        "TYPE_CHECKING",
        "HAS_ABSENT",
        "available()",
        "lib.__version__.startswith('0.')",
        "Version(lib.__version__) >= Version('2')",
        "hasattr(lib, 'gone')",
        "os.name == 'nt' or platform.system() == 'Windows'",
        "tuple(int(x) for x in lib.__version__.split('.')[:2]) > (1, 0)",
        "int(importlib.metadata.version('lib').split('.')[0]) < 1",
        "len(lib.__version__.split('.')) > 2",
        "probe('absent')",
    ],
)
def test_conditions_that_are_known_to_be_false(audit: Auditor, condition: str) -> None:
    source = f"""
        import importlib.metadata
        import importlib.util
        import os, platform, sys
        from typing import TYPE_CHECKING
        import lib
        from packaging.version import Version
        try:
            import absent
            HAS_ABSENT = True
        except ImportError:
            HAS_ABSENT = False
        def available():
            return HAS_ABSENT
        def probe(name):
            return importlib.util.find_spec(name) is not None
        if {condition}:
            from lib import gone
        """
    packaging = {"packaging/__init__.py": "", "packaging/version.py": "class Version: pass\n"}
    found = audit({"app": {"app.py": source}, "lib": LIB, "packaging": packaging})
    assert not [f for f in found.findings if f.severity != "hidden" and f.needs.name == "gone"]


def test_an_unknown_condition_is_never_a_break(audit: Auditor) -> None:
    source = "import os\nif os.environ.get('X'):\n    from lib import gone\n"
    found = audit({"app": {"app.py": source}, "lib": LIB})
    assert texts(found.of("conditional")) == ["app needs lib.gone"]
    assert found.roots["app"] != "broken"


def test_function_bodies_break_when_called(audit: Auditor) -> None:
    source = """
        def early():
            from lib import gone
        class C:
            def method(self):
                import lib
                return lib.missing.x
        """
    found = audit({"app": {"app.py": source}, "lib": LIB})
    assert texts(found.of("breaks-call")) == [
        "app.C.method needs lib.missing",
        "app.early needs lib.gone",
    ]
    assert found.roots["app"] == "ok"


def test_a_function_that_runs_while_importing_breaks_the_import(audit: Auditor) -> None:
    found = audit(
        {"app": {"app.py": "def setup():\n    import lib.gone\nsetup()\n"}, "lib": LIB},
    )
    assert texts(found.of("breaks-import")) == ["app.setup needs lib.gone"]


def test_missing_distributions_are_optional_unless_reached(audit: Auditor) -> None:
    app = {"app/__init__.py": "", "app/plugin.py": "import absent\n"}
    assert not audit({"app": app}).of("breaks-import", "breaks-module")
    (hidden,) = audit({"app": app}).of("hidden")
    assert hidden.reason == "optional"
    reached = {**app, "app/__init__.py": "from app import plugin\n"}
    (finding,) = audit({"app": reached}).of("breaks-import")
    assert (finding.needs.dotted, finding.add) == ("absent", "absent")


def test_a_loader_that_scans_its_directory(audit: Auditor) -> None:
    source = """
        import importlib.util, os
        def load(name, path):
            spec = importlib.util.spec_from_file_location(name, path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        def discover():
            root = os.path.dirname(__file__)
            for name in os.listdir(root):
                load(name, os.path.join(root, name, "driver.py"))
            return None
        found = discover()
        """
    files = {
        "app/__init__.py": source,
        "app/one/__init__.py": "",
        "app/one/driver.py": "import absent\n",
    }
    (finding,) = audit({"app": files}).of("breaks-import")
    assert finding.who.module == "app.one.driver"
    assert finding.chain == ("app", "app.one.driver")


def test_names_that_modules_get_by_magic_are_unknown(audit: Auditor) -> None:
    magic: dict[str, str] = {
        "globals": "globals()['x'] = 1\n",
        "globals by another name": "g = globals()  # mine\ng['gone'] = 1\n",
        "globals in a row": "g = globals(); g['gone'] = 1\n",
        "exec": "from ._native import exec_\nexec_ ('gone = 1')\n",
        "modules by their name": "from sys import modules\nmodules[__name__] = object()\n",
        "modules": "import sys\nsys.modules[__name__] = object()\n",
        "star": "from ._native import *\n",
        "export": "from ._native import Base\n@Base.export\nclass C: pass\n",
        "getattr": "def __getattr__(name):\n    return load(name)\n",
        "exports": "__all__ = ['gone']\n",
    }
    for name, source in magic.items():
        lib: dict[str, str | bytes] = {"lib/__init__.py": source, "lib/_native.so": b""}
        found = audit({"app": {"app.py": "from lib import gone\n"}, "lib": lib})
        assert not found.of("breaks-import"), name


def test_a_getattr_that_surely_refuses(audit: Auditor) -> None:
    lib = """
        _MOVED = {"old": "new"}
        def __getattr__(name):
            if name in _MOVED:
                return _MOVED[name]
            raise AttributeError(name)
        """
    app = "from lib import old\nfrom lib import gone\n"
    found = audit({"app": {"app.py": app}, "lib": {"lib.py": lib}})
    assert texts(found.of("breaks-import")) == ["app needs lib.gone"]


def test_cycles_are_no_breaks_but_hide_none(audit: Auditor) -> None:
    files = {
        "app/__init__.py": "from .a import one\n",
        "app/a.py": "from . import b\none = 1\nfrom .b import gone\n",
        "app/b.py": "from . import a\ntwo = 2\n",
    }
    assert texts(audit({"app": files}).of("breaks-import")) == ["app.a needs app.b.gone"]


def test_an_override_whose_first_break_hides_a_second(audit: Auditor) -> None:
    source = "from lib import gone\nfrom lib import lost\n"
    found = audit({"app": {"app.py": source}, "lib": LIB})
    assert texts(found.of("breaks-import")) == ["app needs lib.gone", "app needs lib.lost"]


def test_the_targets_standard_library(audit: Auditor) -> None:
    files = {"app/__init__.py": "", "app/a.py": "import imp\nfrom collections import Mapping\n"}
    wheels = {"app": {**files, "app/__init__.py": "from . import a\n"}}
    assert texts(audit(wheels, python="3.11").of("breaks-import")) == [
        "app.a needs collections.Mapping"
    ]
    assert texts(audit(wheels, python="3.12").of("breaks-import")) == [
        "app.a needs imp",
        "app.a needs collections.Mapping",
    ]


@pytest.mark.parametrize(
    "condition", ["sys.version_info >= (3, 11, 3)", "sys.hexversion >= 0x030B03F0"]
)
def test_the_micro_version_of_the_target_is_unknown(audit: Auditor, condition: str) -> None:
    source = f"""
        import sys
        if {condition}:
            from asyncio import timeout
        else:
            import absent
        """
    assert audit({"app": {"app.py": source}}).roots["app"] != "broken"


def test_what_nobody_declares_is_named(audit: Auditor) -> None:
    wheels = {"app": {"app.py": "import lib\n"}, "lib": LIB}
    (finding,) = audit(wheels).of("undeclared")
    assert (finding.who.distribution, finding.add) == ("app", "lib")
    assert not audit(wheels, requires={"app": ["lib"]}).of("undeclared")


def test_vendored_and_test_code_is_hidden(audit: Auditor) -> None:
    files = {
        "app/__init__.py": "",
        "app/_vendor/x.py": "from lib import gone\n",
        "app/tests/test_it.py": "from lib import gone\n",
    }
    found = audit({"app": files, "lib": LIB})
    assert {f.reason for f in found.findings} == {"vendored"}  # tests are not even read


def test_a_submodule_is_run_when_it_is_imported_from_its_package(audit: Auditor) -> None:
    files = {"app/__init__.py": "from app import sub\n", "app/sub.py": "import lib.gone\n"}
    assert texts(audit({"app": files, "lib": LIB}).of("breaks-import")) == [
        "app.sub needs lib.gone"
    ]


def test_namespace_packages_belong_to_nobody(audit: Auditor) -> None:
    wheels = {
        "space-one": {"space/one/__init__.py": "import space.two\n"},
        "other": {"other.py": "import space.one\n"},
    }
    found = audit(wheels)
    assert {f.needs.provider for f in found.of("breaks-import")} <= {""}


def test_an_importer_without_find_spec_is_not_asked_since_3_12(audit: Auditor) -> None:
    six = """
        import sys
        __path__ = []
        class Importer:
            def find_module(self, name, path=None):
                return self
        sys.meta_path.append(Importer())
        """
    wheels = {"app": {"app.py": "import six.moves\n"}, "six": {"six.py": six}}
    assert not audit(wheels, python="3.11").of("breaks-import")
    assert texts(audit(wheels, python="3.12").of("breaks-import")) == ["app needs six.moves"]


def test_children_that_an_importer_makes_are_unknown(audit: Auditor) -> None:
    hook = "import sys\nsys.meta_path.append(find_spec)\n"
    files = {"app/__init__.py": "from .extern import six\n", "app/extern/__init__.py": hook}
    assert not audit({"app": files, "lib": LIB}).of("breaks-import")


def test_names_that_left_the_standard_library_as_attributes(audit: Auditor) -> None:
    wheels = {"app": {"app.py": "import ssl\nx = ssl.wrap_socket\ny = ssl.SSLContext\n"}}
    assert not audit(wheels, python="3.11").of("breaks-import")
    assert texts(audit(wheels, python="3.12").of("breaks-import")) == ["app needs ssl.wrap_socket"]


def test_a_neighbour_is_no_top_level_module(audit: Auditor) -> None:
    files = {"app/__init__.py": "import helper\n", "app/helper.py": ""}
    assert texts(audit({"app": files}).of("breaks-import")) == ["app needs helper"]
    files["app/__init__.py"] = "import sys\nsys.path.append('x')\nimport helper\n"
    assert not audit({"app": files}).of("breaks-import")


def test_a_vendored_copy_does_not_stand_for_the_distribution(audit: Auditor) -> None:
    six = "import sys\nmoves = sys.modules[__name__ + '.moves'] = object()\n"
    files = {"app/__init__.py": "from .vendor.six import moves\nfrom six import text_type\n"}
    found = audit({"app": {**files, "app/vendor/__init__.py": "", "app/vendor/six.py": six}})
    (finding,) = found.of("breaks-import")
    assert (finding.text, finding.add) == ("app needs six", "six")


def test_a_submodule_of_a_package_under_way(audit: Auditor) -> None:
    lib = {"lib/__init__.py": "from . import sub as sub\n", "lib/sub.py": "value = 1\n"}
    app = "from lib import sub\nx = sub.gone\n"
    found = audit({"app": {"app.py": app}, "lib": lib})
    assert texts(found.of("breaks-import")) == ["app needs lib.sub.gone"]


@pytest.mark.parametrize(
    "lib",
    [
        "from ._a import *\n__all__ = [name for name in dir() if name[0] != '_']\n",
        """
        def __getattr__(name):
            try:
                return globals()[name]
            except KeyError:
                raise AttributeError(name)
        """,
        """
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from ._a import kept
        def lazily(names):
            def getter(name):
                return names[name]
            return getter
        __getattr__ = lazily({"kept": 1})
        """,
        """
        from ._a import make
        _OLD = {"kept": "use another"}
        __getattr__ = make(__name__, _OLD)
        """,
    ],
    ids=["dir", "globals", "typed", "table"],
)
def test_lazy_modules_say_which_names_they_have(audit: Auditor, lib: str) -> None:
    files = {"lib/__init__.py": lib, "lib/_a.py": "def make(a, b): pass\nkept = 1\n"}
    found = audit({"app": {"app.py": "from lib import gone\n"}, "lib": files})
    assert texts(found.of("breaks-import")) == ["app needs lib.gone"]
    kept = audit({"app": {"app.py": "from lib import kept\n"}, "lib": files})
    if "globals" not in lib:
        assert not kept.of("breaks-import")


def test_a_star_brings_what_all_says_though_c_code_adds_more(audit: Auditor) -> None:
    files: dict[str, str | bytes] = {
        "lib/__init__.py": "from .a import *\n",
        "lib/a.py": "from ._native import *\n__all__ = ['kept']\nkept = 1\n",
        "lib/_native.so": b"",
    }
    found = audit({"app": {"app.py": "from lib import kept, gone\n"}, "lib": files})
    assert texts(found.of("breaks-import")) == ["app needs lib.gone"]


def test_what_a_function_finds_out_while_importing_is_no_certain_break(audit: Auditor) -> None:
    source = """
        import sys
        def backend():
            loaded = sys.modules.get("lib.gtk")
            if loaded:
                from lib import gone
        backend()
        """
    found = audit({"app": {"app.py": source}, "lib": LIB})
    assert not found.of("breaks-import")
    assert found.roots["app"] != "broken"


def test_functions_for_other_platforms_and_private_names_are_no_breaks(audit: Auditor) -> None:
    source = """
        import platform, typing, ssl
        def ios_tags():
            return platform.ios_ver()
        def defaults(function):
            return typing._get_defaults(function)
        def wrap(socket):
            return ssl.wrap_socket(socket)
        """
    found = audit({"app": {"app.py": source}}, python="3.12")
    assert texts(found.of("breaks-call")) == ["app.wrap needs ssl.wrap_socket"]


def test_what_is_locked_without_the_module_is_nothing_to_add(audit: Auditor) -> None:
    app = {"app/__init__.py": "import pkg_resources\n", "app/more.py": "import yaml\n"}
    (missing,) = audit({"app": app}).of("breaks-import")
    assert (missing.add, missing.needs.provider) == ("setuptools", "")
    newer = {"setuptools/__init__.py": ""}  # it once had pkg_resources
    (finding,) = audit({"app": app, "setuptools": newer}).of("breaks-import")
    assert (finding.add, finding.needs.provider) == ("", "setuptools")
    assert finding.key == missing.key


def test_a_break_of_a_helper_is_not_followed_by_what_its_answers_decide(audit: Auditor) -> None:
    package = {
        "app/__init__.py": """
            from .utils import has_torch, NotThere
            try:
                if not has_torch():
                    raise NotThere()
            except NotThere:
                pass
            else:
                from . import model
            from lib import lost
            """,
        "app/model.py": "import torch\n",
        "app/utils/__init__.py": "from .hub import has_torch, NotThere\nfrom .deep import x\n",
        "app/utils/hub.py": "from lib import gone\ndef has_torch(): return False\n"
        "class NotThere(Exception): pass\n",
        "app/utils/deep.py": "x = 1\n",
    }
    found = audit({"app": package, "lib": LIB})
    assert texts(found.of("breaks-import")) == [
        "app.utils.hub needs lib.gone",
        "app needs lib.lost",
    ]
    assert not found.of("may-break-import")


def test_a_raise_that_nothing_catches_breaks_the_import_as_well(audit: Auditor) -> None:
    source = """
        import os
        if os.environ.get("APP"):
            raise RuntimeError("not now")
        from lib import gone
        """
    found = audit({"app": {"app.py": source}, "lib": LIB})
    assert texts(found.of("breaks-import")) == ["app needs lib.gone"]


@pytest.mark.parametrize(
    ("python", "breaks"), [("3.12", False), ("3.13", None), ("3.14", None), ("3.15", True)]
)
def test_comparisons_in_a_row(audit: Auditor, python: str, breaks: bool | None) -> None:
    source = """
        import sys
        if (3, 13, 8) <= sys.version_info < (3, 14) or sys.version_info >= (3, 14, 1):
            from lib import gone
        """
    found = audit({"app": {"app.py": source}, "lib": LIB}, python=python, requires={"app": ["lib"]})
    assert len(found.of("breaks-import")) == (breaks is True)
    assert len(found.findings) == (breaks is not False)


def test_programs_whose_function_is_not_there(audit: Auditor) -> None:
    entries = """
        [console_scripts]
        app = app.cli:main
        app-old = app.cli:old_main
        app-older = app.older:main
        app-class = app.cli:Program.run
        app-module = app:cli.main
        app-extra = app.extra:main [extra]
        app-else = elsewhere:main

        [gui_scripts]
        app-gui=app.cli:gone

        [app.plugins]
        one = app.absent:plugin
        """
    files: dict[str, str | bytes] = {
        "app/__init__.py": "",
        "app/cli.py": "class Program: pass\ndef main(): pass\n",
        "DIST-INFO/entry_points.txt": entries,
    }
    found = audit({"app": files})
    assert [(f.text, f.kind, f.who.line) for f in found.of("breaks-call")] == [
        ("console_scripts.app-else needs elsewhere", "module-missing", 9),
        ("console_scripts.app-older needs app.older", "module-missing", 5),
        ("console_scripts.app-old needs app.cli.old_main", "name-missing", 4),
        ("gui_scripts.app-gui needs app.cli.gone", "name-missing", 12),
    ]
    assert found.roots == {"app": "ok"}


def test_programs_whose_module_fails(audit: Auditor) -> None:
    entries = """
        [console_scripts]
        my-app = my_app.main:main
        side = my_app.main:main
        old = my_app.old:main
        loud = my_app.loud:main
        """
    files: dict[str, str | bytes] = {
        "my_app/__init__.py": "",
        "my_app/main.py": "from my_app import part\ndef main(): pass\n",
        "my_app/part.py": "import absent\n",
        "my_app/old.py": "import lib\nlib.gone\ndef main(): pass\n",
        "my_app/loud.py": "def main(): pass\nraise ImportError\n",
        "DIST-INFO/entry_points.txt": entries,
    }
    found = audit({"my-app": files, "lib": {"lib/__init__.py": ""}})
    told = {f.text: f.chain for f in found.of("breaks-call")}
    assert told == {
        "console_scripts.my-app needs absent": ("my_app.main", "my_app.part"),
        "console_scripts.old needs lib.gone": ("my_app.old",),
    }
    whole = audit({"my-app": {**files, "my_app/__init__.py": "import my_app.main\n"}})
    assert not whole.of("breaks-call")


@pytest.mark.parametrize(
    "expression",
    [
        "probe('lib') and import_module('absent')",
        "probe('absent') or import_module('absent')",
        "import_module('absent') if probe('lib') else None",
    ],
)
def test_what_an_unknown_value_may_skip_is_no_certain_break(
    audit: Auditor, expression: str
) -> None:
    source = f"""
        import os
        from importlib import import_module

        def probe(name, wanted=True):
            if wanted:
                return os.environ.get(name)
            return name, None

        FLAG = {expression}
        """
    found = audit({"app": {"app.py": source}, "lib": LIB}, requires={"app": ["absent"]})
    assert found.roots["app"] == "ok"
    assert not found.of("breaks-import", "breaks-module")


def test_a_namespace_of_tests_is_nothing_that_anybody_imports(audit: Auditor) -> None:
    found = audit({"app": {"app.py": "", "test/integ/__init__.py": "import absent\n"}})
    assert found.roots == {"app": "ok"}


def test_a_part_for_an_extra_is_optional_where_no_part_is_the_main_one(audit: Auditor) -> None:
    parts = {
        "space/one.py": "",
        "space/rpc.py": "import rpclib\n",
        "space/other.py": "import absent\n",
    }
    requires = {"made-protos": ["rpclib; extra == 'rpc'", "absent"]}
    found = audit({"made-protos": parts}, requires=requires)
    assert texts(found.of("breaks-import")) == ["space.other needs absent"]
    assert [f.reason for f in found.findings if f.needs.module == "rpclib"] == ["extra"]
    user = {"user.py": "import space.rpc\n"}
    found = audit({"made-protos": parts, "user": user}, requires=requires)
    assert ("user",) in {f.roots for f in found.of("breaks-import")}


def test_what_is_private_in_a_namespace_counts_by_who_imports_it(audit: Auditor) -> None:
    parts = {
        "space/store.py": "try:\n    import space._store\nexcept ImportError:\n    pass\n",
        "space/_store.py": "import absent\n",
    }
    found = audit({"space-store": parts})
    assert found.roots == {"space.store": "ok"}
    assert not found.of("breaks-import", "may-break-import")
    found = audit({"space-store": {**parts, "space/store.py": "import space._store\n"}})
    assert texts(found.of("breaks-import")) == ["space._store needs absent"]
    assert [f.chain[0] for f in found.of("breaks-import")] == ["space.store"]
    assert audit({"_only": {"_only.py": "import absent\n"}}).roots == {"_only": "broken"}


def test_a_distribution_that_is_missing_in_many_places_is_one_finding(audit: Auditor) -> None:
    package = {
        "app/__init__.py": "from . import second, first\n",
        "app/first.py": "import absent\n",
        "app/second.py": "from . import third\nimport absent.part\n",
        "app/third.py": "import absent\nimport other\n",
        "app/fourth.py": "from . import first\n",
    }
    found = audit({"app": package})
    shown = {f.text: f.affects for f in found.of("breaks-import")}
    assert shown == {"app.third needs absent": 5, "app.third needs other": 4}
    follow = [f.text for f in found.findings if f.reason == "follows"]
    assert follow == ["app.first needs absent", "app.second needs absent"]


def test_a_name_that_a_helpers_table_has_moved_is_not_missing(audit: Auditor) -> None:
    files = {
        "lib/__init__.py": """
            from ._moves import getter
            __all__ = ["kept"]
            _LAZY = {"kept": ".part"}
            _old = getter(__name__)
            def __getattr__(name):
                found = _LAZY.get(name)
                if found is None:
                    return _old(name)
                return find(found, name)
            """,
        "lib/_moves.py": """
            MOVED = {"lib:moved": "lib.part:moved"}
            REMOVED = {"lib:removed"}
            def getter(module):
                def wrapper(name):
                    path = f"{module}:{name}"
                    if path in MOVED:
                        return find(MOVED[path])
                    raise ImportError(path)
                return wrapper
            """,
        "lib/part.py": "kept = moved = 1\n",
    }
    found = audit({"app": {"app.py": "from lib import kept, moved, removed\n"}, "lib": files})
    assert texts(found.of("breaks-import")) == ["app needs lib.removed"]


def test_a_property_that_is_called_like_a_module(audit: Auditor) -> None:
    source = """
        from lib import sub
        class Trial:
            @property
            def sub(self): return 1
            @sub.setter
            def sub(self, value): pass
        @sub.gone
        def function():
            pass
        """
    found = audit({"app": {"app.py": source}, "lib": LIB})
    assert [(f.text, f.who.line) for f in found.of("breaks-import")] == [
        ("app needs lib.sub.gone", 8)
    ]


def test_a_vendored_part_of_a_namespace_that_others_share(audit: Auditor) -> None:
    wheels = {
        "app": {
            "app/__init__.py": "import sys\nsys.path.append('app/_vendor')\n"
            "from spaced import part\nfrom spaced import lost\n",
            "app/_vendor/spaced/part.py": "",
        },
        "other": {"spaced/other.py": ""},
    }
    found = audit(wheels, requires={"app": ["other"]})
    assert texts(found.of("breaks-import")) == ["app needs spaced.lost"]


def test_a_name_of_the_c_half_of_a_module_may_be_there(audit: Auditor) -> None:
    source = "import io\nencoding = io.text_encoding(None)\n"
    assert not audit({"app": {"app.py": source}}, python="3.10").of("breaks-import")


def test_a_namespace_has_the_names_of_any_module(audit: Auditor) -> None:
    source = "import spaced\nplace = (spaced.__path__, spaced.__name__)\nspaced.gone\n"
    found = audit({"app": {"app.py": source}, "other": {"spaced/other.py": ""}})
    assert texts(found.of("breaks-import")) == ["app needs spaced.gone"]


@pytest.mark.parametrize(
    "body",
    [
        "class Markup:\n    for name in ('a', 'b'):\n        locals()[name] = 1\n",
        "if True:\n    def make():\n        vars().update(a=1)\n",
    ],
)
def test_names_of_a_class_or_function_are_not_the_modules(audit: Auditor, body: str) -> None:
    found = audit({"app": {"app.py": "from lib import gone\n"}, "lib": {"lib.py": body}})
    assert texts(found.of("breaks-import")) == ["app needs lib.gone"]


@pytest.mark.parametrize(
    "body",
    [
        "locals()['gone'] = 1\n",
        "class One:\n    pass\nfor name in 'ab':\n    vars()[name] = One\n",
        "try:\n    locals().update(table)\nexcept NameError:\n    pass\n",
    ],
)
def test_names_that_a_module_gives_itself_are_unknown(audit: Auditor, body: str) -> None:
    found = audit({"app": {"app.py": "from lib import gone\n"}, "lib": {"lib.py": body}})
    assert not [f for f in found.findings if f.needs.name == "gone"]


COMPILED: dict[str, str | bytes] = {
    "app/__init__.py": "def patch():\n    from lib import gone\n",
    "app/__init__.cpython-311-x86_64-linux-gnu.so": b"",
    "app/other.py": "from lib import gone\n",
    "app/other.cpython-311-x86_64-linux-gnu.so": b"",
}


def test_sources_of_what_mypyc_compiled_are_read(audit: Auditor) -> None:
    library: dict[str, str | bytes] = {"3c22db45__mypyc.cpython-311-x86_64-linux-gnu.so": b""}
    found = audit({"app": {**COMPILED, **library}, "lib": LIB})
    assert texts(found.of("breaks-call")) == ["app.patch needs lib.gone"]
    assert texts(found.of("breaks-module")) == ["app.other needs lib.gone"]


def test_a_source_that_an_extension_hides_is_not_read(audit: Auditor) -> None:
    assert not audit({"app": COMPILED, "lib": LIB}).findings


def test_what_is_raised_inside_with_may_be_something_else(audit: Auditor) -> None:
    """Neither the block nor what is raised can be told; nothing is, and nothing falls over."""
    source = """
        def run(make):
            with make():
                try:
                    import gone
                except ImportError:
                    raise make()()
        """
    found = audit({"app": {"app.py": source}})
    assert not found.of("breaks-import")


@pytest.mark.parametrize(
    "answer", ["os.environ.get('X', '1').upper() in {'1'}", "look(os.sep)[0]", "os.cpu_count()"]
)
def test_what_follows_an_early_return_may_never_run(audit: Auditor, answer: str) -> None:
    source = f"""
        import os

        def look(place, both=False):
            there = place.exists()
            if both:
                return there, 1
            else:
                return there, None

        def available():
            there = {answer}
            if not there:
                return False
            import gone
            return True

        if available():
            pass
        """
    found = audit({"app": {"app.py": source}})
    assert not found.of("breaks-import")
    assert texts(found.findings) == ["app.available needs gone"]


ASKS = """
from importlib.metadata import version

__version__ = version("Zope.Absent")
"""


def test_a_version_that_nobody_has_breaks_who_asks_for_it(audit: Auditor) -> None:
    found = audit({"app": {"app/__init__.py": "import app.about\n", "app/about.py": ASKS}})
    (finding,) = found.findings
    assert (finding.severity, finding.text) == ("breaks-import", "app.about needs Zope.Absent")
    assert (finding.add, finding.roots, finding.needs.provider) == ("zope-absent", ("app",), "")
    assert found.roots == {"app": "broken"}


def test_a_version_may_be_called_like_a_module_that_is_there(audit: Auditor) -> None:
    asks = "from importlib.metadata import version\nv = version('yaml')\n"
    found = audit({"app": {"app/__init__.py": asks}, "pyyaml": {"yaml/__init__.py": ""}})
    (finding,) = found.findings
    assert (finding.severity, finding.add) == ("breaks-import", "yaml")
    assert what(finding) == "app needs yaml, which nobody here has"
    assert where(finding) == "app 1.0, app/__init__.py:2"
    nowhere = replace(finding, who=replace(finding.who, line=0))
    assert where(nowhere) == "app 1.0, app/__init__.py"


def test_who_does_without_a_version_is_not_broken(audit: Auditor) -> None:
    guarded = (
        "from importlib.metadata import PackageNotFoundError, version\n"
        "try:\n    v = version('absent')\nexcept PackageNotFoundError:\n    v = None\n"
    )
    found = audit({"app": {"app/__init__.py": guarded}})
    assert not found.findings
    assert found.roots == {"app": "ok"}


@pytest.mark.parametrize(
    "handed",
    ["vendored.replace(__name__, {'path': 'lib._path:path'})", "replace(\n    __name__, {})"],
)
def test_a_module_that_hands_its_name_to_a_helper_may_be_replaced(
    audit: Auditor, handed: str
) -> None:
    helper = "import sys\ndef replace(name, table):\n    sys.modules[name] = object()\n"
    files = {
        "lib/__init__.py": f"from . import vendored\nfrom .vendored import replace\n{handed}\n",
        "lib/vendored.py": helper,
    }
    app = "import lib\nfrom lib.path import local\nx = lib.path\n"
    assert not audit({"app": {"app.py": app}, "lib": files}).of("breaks-import")
    files["lib/__init__.py"] = "import logging\nlog = logging.getLogger(__name__)\n"
    assert audit({"app": {"app.py": app}, "lib": files}).of("breaks-import")


def test_getattr_of_a_module_asks_for_the_name(audit: Auditor) -> None:
    source = """
        import lib
        one = getattr(lib, "value")
        two = getattr(lib, "gone", None)
        try:
            three = getattr(lib, "gone")
        except AttributeError:
            three = None
        four = getattr(lib, "lost")
        five = getattr(lib, "".join(["a"]))
        """
    found = audit({"app": {"app.py": source}, "lib": LIB})
    assert texts(found.of("breaks-import")) == ["app needs lib.lost"]


def test_what_a_name_of_python_2_decides_is_no_certain_break(audit: Auditor) -> None:
    source = """
        try:
            text = unicode
        except NameError:
            import builtins
        else:
            builtins = __import__("__builtin__")
            from lib import gone
        """
    found = audit({"app": {"app.py": source}, "lib": LIB}, requires={"app": ["lib"]})
    assert found.roots["app"] != "broken"
    assert not found.of("breaks-import", "breaks-module")


def test_a_package_is_a_file_as_well(audit: Auditor) -> None:
    lib = {**LIB, "lib/api.py": "from .__init__ import value\nimport lib.__init__ as own\n"}
    app = "import lib.api\nfrom lib.__init__ import gone\nimport lib.sub.__init__\n"
    found = audit({"app": {"app.py": app}, "lib": lib})
    assert {finding.text for finding in found.of("breaks-import")} == {
        "app needs lib.gone",
        "app needs lib.sub.__init__",
    }


@pytest.mark.parametrize("key", ["'kcah'[::-1].upper()", "'HACK'"])
def test_a_constant_that_is_set_through_globals_decides_nothing(audit: Auditor, key: str) -> None:
    source = f"""
        HACK = True
        globals()[{key}] = False
        if HACK:
            from lib import gone
        """
    found = audit({"app": {"app.py": source}, "lib": LIB}, requires={"app": ["lib"]})
    assert not found.of("breaks-import", "may-break-import", "breaks-module")
    assert found.roots["app"] != "broken"


@pytest.mark.parametrize(
    "adds",
    [
        "def add():\n    for name in globals().items():\n        __all__.append(name)\nadd()\n",
        "def export(f):\n    global __all__\n    __all__ += [f.__name__]\n    return f\n",
        "__all__.insert(0, ''.join(['more']))\n",
    ],
)
def test_a_list_that_functions_lengthen_is_unknown(audit: Auditor, adds: str) -> None:
    part = f"__all__ = ['kept']\n{adds}kept = more = 1\n"
    lib = {"lib/__init__.py": "from .part import *\n", "lib/part.py": part}
    found = audit({"app": {"app.py": "from lib import kept, more\n"}, "lib": lib})
    assert not found.of("breaks-import", "may-break-import")
    lib["lib/part.py"] = "__all__ = ['kept']\nkept = more = 1\n"
    found = audit({"app": {"app.py": "from lib import kept, more\n"}, "lib": lib})
    assert texts(found.of("breaks-import")) == ["app needs lib.more"]


def test_what_a_handler_sets_on_a_module_may_be_there(audit: Auditor) -> None:
    source = """
        import lib
        try:
            getattr(lib, "gone")
        except AttributeError:
            lib.gone = lib.value
        x = lib.gone
        """
    found = audit({"app": {"app.py": source}, "lib": LIB}, requires={"app": ["lib"]})
    assert not found.of("breaks-import", "may-break-import")


def test_a_class_of_the_branch_not_taken_is_not_called(audit: Auditor) -> None:
    source = """
        import lib
        if hasattr(lib, "Fancy"):
            class Thing:
                def make(self):
                    return lib.Fancy()
        else:
            class Thing:
                def make(self):
                    return lib.plain()
        """
    found = audit({"app": {"app.py": source}, "lib": LIB})
    assert texts(found.of("breaks-call")) == ["app.Thing.make needs lib.plain"]


@pytest.mark.parametrize(
    "line",
    [
        'sys.modules["Other"] = sys.modules["lib"]',
        "sys.modules[__name__] = _Lazy(__name__, globals()['__file__'])",
    ],
)
def test_a_module_put_in_place_makes_no_submodules(audit: Auditor, line: str) -> None:
    lib = {**LIB, "lib/__init__.py": f"import sys\nclass _Lazy: pass\n{line}\n"}
    found = audit({"app": {"app.py": "import lib.sub\nimport lib.gone\n"}, "lib": lib})
    assert texts(found.of("breaks-import")) == ["app needs lib.gone"]


@pytest.mark.parametrize(
    "line",
    ["sys.modules[__name__] = other", "sys.modules['lib.gone'] = 1", "sys.modules[name] = 1"],
)
def test_a_module_put_in_place_may_make_submodules(audit: Auditor, line: str) -> None:
    lib = {**LIB, "lib/__init__.py": f"import sys\ndef put(name, other):\n    {line}\n"}
    found = audit({"app": {"app.py": "import lib.gone\n"}, "lib": lib})
    assert not found.of("breaks-import", "may-break-import")
