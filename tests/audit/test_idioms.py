"""How packages that everybody uses are written, and what the audit makes of that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

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
