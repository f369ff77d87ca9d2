"""Ways out of overrides, breaks and conflicts of packages that nobody has heard of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from envlock.advise import Advice, Limits, Way

from .conftest import parsed, pasted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..makers.index import Index
    from .conftest import Adviser

CALLS = "def speed():\n    from tool.core import key\n    return key\n"
OPS = "x = 1\n"

OVERRIDE = """\
pypi:
  dependencies: [frame, app==1.0]
overrides:
  - package: tool
    version: "==2.0"
    against: {frame: "tool==3.2"}
    because: app imports tool.ops
    checks:
      - version: "2.0"
      - import: app
"""


def tool(version: str, *, ops: bool, key: bool = True, more: str = "") -> dict[str, str]:
    files = {
        "tool/__init__.py": f"__version__ = '{version}'\n{more}",
        "tool/core.py": "key = 1\n" if key else "other = 1\n",
    }
    return {**files, "tool/ops.py": OPS} if ops else files


def shelf(
    index: Index,
    *,
    tools: Mapping[str, Mapping[str, str]],
    apps: Mapping[str, str],
    frame: str = CALLS,
) -> None:
    """frame pins tool==3.2 and calls tool.core.key; app is what each test makes of it."""
    index.wheel("frame", "2.0", ["tool==3.2"], files={"frame/__init__.py": frame})
    for version, files in tools.items():
        index.wheel("tool", version, files=files)
    for version, text in apps.items():
        index.wheel("app", version, files={"app/__init__.py": text})


def usual(index: Index) -> None:
    """The shape of the first environment, in small."""
    shelf(
        index,
        tools={
            "2.0": tool("2.0", ops=True, key=False),
            "3.1": tool("3.1", ops=True),
            "3.2": tool("3.2", ops=False),
            "3.3": tool("3.3", ops=False),
        },
        apps={
            "0.9": "import tool.ops\n",
            "1.0": "import tool.ops\n",
            "1.1": "import tool\n",
            "1.2": "import tool\n",
        },
    )


def short(advice: Advice) -> list[str]:
    return [
        f"{way.change.kind} {way.change.package} {way.change.version}".strip()
        + f" voids {len(way.voids)} breaks {len(way.breaks)}"
        for way in advice.ways
    ]


def failures(advice: Advice) -> list[str]:
    return sorted(f"{t.change.package} {t.change.version}".strip() for t in advice.tried)


def check_yaml(adviser: Adviser, body: str, way: Way) -> None:
    """What is to be pasted solves, and then breaks what was promised and no more."""
    after = pasted(body, way)
    parsed(after)
    for advice in adviser(after):
        mine = [one for one in advice.ways if one.yours]
        assert [len(one.breaks) for one in mine] in ([], [len(way.breaks)])


def test_newer_dependent_older_forced_version_and_yours(index: Index, adviser: Adviser) -> None:
    usual(index)
    (advice,) = adviser(OVERRIDE)
    assert short(advice) == [
        "require app 1.1 voids 0 breaks 0",
        "force tool 3.1 voids 1 breaks 0",
        "keep tool 2.0 voids 1 breaks 1",
    ]
    first, second, yours = advice.ways
    assert (first.also, first.replaces, first.change.drops) == (("1.2",), ("app==1.0",), "tool")
    assert first.yaml == "pypi:\n  dependencies:\n    - app==1.1"
    assert first.moved == ("tool 2.0 -> 3.2",)
    assert 'version: "==3.1"' in second.yaml
    assert 'against: {frame: "tool==3.2"}' in second.yaml
    assert '- {"import": "app"}' in second.yaml
    assert (yours.yours, yours.yaml) == (True, "")
    assert yours.breaks[0].text == "frame.speed needs tool.core.key"
    assert [finding.text for finding in advice.problem.fixes] == ["app needs tool.ops"]
    assert failures(advice) == ["app 0.9", "tool", "tool 3.3"]
    for way in advice.ways:
        check_yaml(adviser, OVERRIDE, way)


def test_a_reason_that_nobody_wrote_is_what_was_found(index: Index, adviser: Adviser) -> None:
    usual(index)
    (advice,) = adviser(OVERRIDE.replace("app imports tool.ops", "<what needs tool 2.0>"))
    assert "because: app 1.0 needs tool.ops, which tool 3.2 does not have" in advice.ways[1].yaml


def test_until_is_believed(index: Index, adviser: Adviser) -> None:
    usual(index)
    (advice,) = adviser(OVERRIDE + "    until: app>=1.2\n")
    assert short(advice)[0] == "require app 1.2 voids 0 breaks 0"
    assert advice.ways[0].also == ()


def test_no_way_out(index: Index, adviser: Adviser) -> None:
    shelf(
        index,
        tools={"2.0": tool("2.0", ops=True, key=False), "3.2": tool("3.2", ops=False)},
        apps={"1.0": "import tool.ops\n", "1.1": "import tool.ops\n"},
    )
    (advice,) = adviser(OVERRIDE)
    assert short(advice) == ["keep tool 2.0 voids 1 breaks 1"]
    assert failures(advice) == ["app 1.1", "tool"]
    assert {tried.reason for tried in advice.tried} == {"app needs tool.ops"}


def test_a_forced_version_that_breaks_something_else(index: Index, adviser: Adviser) -> None:
    shelf(
        index,
        frame="from tool.core import key\n",
        tools={
            "2.0": tool("2.0", ops=True),
            "3.1": tool("3.1", ops=True, key=False),
            "3.2": tool("3.2", ops=False),
        },
        apps={"1.0": "import tool.ops\n"},
    )
    (advice,) = adviser(OVERRIDE)
    assert short(advice) == ["keep tool 2.0 voids 1 breaks 0"]
    (broken,) = [tried for tried in advice.tried if tried.change.version == "3.1"]
    assert broken.reason == "frame needs tool.core.key"


def test_what_nobody_declares_is_added_where_it_is_needed(index: Index, adviser: Adviser) -> None:
    shelf(
        index,
        tools={
            "2.0": tool("2.0", ops=True, key=False, more="import helper\n"),
            "3.0": tool("3.0", ops=True),
            "3.1": tool("3.1", ops=True, key=False, more="import helper\n"),
            "3.2": tool("3.2", ops=False, more="import helper\n"),
        },
        apps={"1.0": "import tool.ops\n", "1.1": "x = 1\n"},
    )
    index.wheel("helper", "1.5")
    index.wheel("helper", "2.0")
    body = OVERRIDE.replace("    because", "    adds: [helper<2]\n    because")
    (advice,) = adviser(body)
    assert short(advice) == [
        "require app 1.1 voids 0 breaks 0",
        "force tool 3.0 voids 1 breaks 0",
        "keep tool 2.0 voids 1 breaks 1",
    ]
    # app 1.1 leaves tool 3.2, which imports helper; tool 3.0 does not
    assert advice.ways[0].change.adds == ("helper<2",)
    assert "- helper<2" in advice.ways[0].yaml
    assert advice.ways[1].change.adds == ()
    for way in advice.ways:
        check_yaml(adviser, body, way)


def test_what_is_missing_and_declared_by_nobody(index: Index, adviser: Adviser) -> None:
    index.wheel("app", "1.0", files={"app/__init__.py": "import helper\n"})
    index.wheel("helper", "2.0")
    body = "pypi: {dependencies: [app]}\n"
    (advice,) = adviser(body)
    assert short(advice) == ["add   voids 0 breaks 0".replace("   ", " ")]
    assert advice.ways[0].yaml == "pypi:\n  dependencies:\n    - helper"
    assert adviser(pasted(body, advice.ways[0])) == ()


def test_a_break_without_an_override(index: Index, adviser: Adviser) -> None:
    usual(index)
    body = "pypi:\n  dependencies: [frame, app==1.0]\n"
    (advice,) = adviser(body)
    assert short(advice) == [
        "require app 1.1 voids 0 breaks 0",
        "force tool 3.1 voids 1 breaks 0",
    ]
    assert "app 1.0 needs tool.ops, which tool 3.2 does not have" in advice.ways[1].yaml
    for way in advice.ways:
        check_yaml(adviser, body, way)


def test_a_line_of_the_spec_against_a_pin(index: Index, adviser: Adviser) -> None:
    usual(index)
    body = "pypi:\n  dependencies: [frame, app==1.0]\n  constraints: [tool<3]\n"
    (advice,) = adviser(body)
    assert "constraints asks for tool<3, but frame 2.0 requires tool==3.2" in advice.problem.reason
    assert short(advice)[:2] == [
        "require app 1.1 voids 0 breaks 0",
        "force tool 3.1 voids 1 breaks 0",
    ]
    assert advice.ways[1].replaces == ("tool<3",)
    for way in advice.ways:
        check_yaml(adviser, body, way)


def test_what_the_spec_pins_and_brings_the_pin_along(index: Index, adviser: Adviser) -> None:
    """A fix is asked for, and the line that has to move is that of who brings the dependent."""
    for version, core in (("1.28", "1.31"), ("1.29", "1.32"), ("1.30", "1.33")):
        index.wheel("sdk", version, [f"core=={core}"], files={"sdk/__init__.py": "import core\n"})
    for version, pin in (("1.31", "net<2"), ("1.32", "net<3"), ("1.33", "net<3")):
        index.wheel("core", version, [pin], files={"core/__init__.py": "import net\n"})
    for version in ("1.9", "2.1", "2.2", "2.3"):
        index.wheel("net", version, files={"net/__init__.py": ""})
    body = "pypi:\n  dependencies: [sdk==1.28, 'net>=2.2']\n"
    (advice,) = adviser(body)
    assert short(advice) == [
        "require sdk 1.29 voids 0 breaks 0",
        "drop net voids 0 breaks 0",
        "force net 2.2 voids 1 breaks 0",
    ]
    first = advice.ways[0]
    assert (first.replaces, first.also) == (("sdk==1.28",), ("1.30",))
    assert first.moved == ("core 1.31 -> 1.32", "net 1.9 -> 2.3")
    assert advice.ways[-1].also == ("2.3",)  # and not 2.1, for which the spec's line would go
    for way in advice.ways:
        check_yaml(adviser, body, way)


def test_an_override_that_nothing_needs(index: Index, adviser: Adviser) -> None:
    usual(index)
    body = OVERRIDE.replace("app==1.0", "app==1.2")
    (advice,) = adviser(body)
    assert advice.problem.fixes == ()
    assert short(advice)[0] == "drop tool voids 0 breaks 0"


def test_two_overrides_are_looked_at_one_by_one(index: Index, adviser: Adviser) -> None:
    usual(index)
    index.wheel("other", "1.0", ["part==2.0"], files={"other/__init__.py": "import part.old\n"})
    index.wheel("part", "1.0", files={"part/__init__.py": "", "part/old.py": ""})
    index.wheel("part", "2.0", files={"part/__init__.py": ""})
    body = OVERRIDE.replace("[frame,", "[other, frame,") + (
        "  - package: part\n    version: '==1.0'\n    against: {other: part==2.0}\n"
        "    because: other imports part.old\n"
    )
    first, second = adviser(body)
    assert short(first)[0] == "require app 1.1 voids 1 breaks 0"
    assert short(second) == ["keep part 1.0 voids 2 breaks 0"]


def test_limits_are_told(index: Index, adviser: Adviser) -> None:
    usual(index)
    (advice,) = adviser(OVERRIDE, limits=Limits(versions=1))
    assert any("more versions of app" in text for text in advice.skipped)
    (advice,) = adviser(OVERRIDE, limits=Limits(trials=3))
    assert any("the limit was reached" in text for text in advice.skipped)


def test_offline_says_what_it_could_not_look_at(index: Index, adviser: Adviser) -> None:
    usual(index)
    online = adviser(OVERRIDE)
    asked = len(index.asked)
    (offline,) = adviser(OVERRIDE, offline=True)
    assert len(index.asked) == asked
    assert any("other versions of app" in text for text in offline.skipped)
    assert short(offline) == ["keep tool 2.0 voids 1 breaks 1"]
    assert short(online[0])[0] == "require app 1.1 voids 0 breaks 0"


@pytest.mark.parametrize("name", ["no", "null", "1e3"])
def test_names_that_yaml_takes_for_something_else(
    index: Index, adviser: Adviser, name: str
) -> None:
    module = f"m{name}"
    index.wheel("frame", "2.0", [f"{name}==3.2"], files={"frame/__init__.py": ""})
    for version, files in (("3.1", {f"{module}/ops.py": ""}), ("3.2", {f"{module}/new.py": ""})):
        index.wheel(name, version, files={f"{module}/__init__.py": "", **files})
    index.wheel("app", "1.0", files={"app/__init__.py": f"import {module}.ops\n"})
    body = "pypi:\n  dependencies: [frame, app]\n"
    (advice,) = adviser(body)
    assert short(advice) == [f"force {name} 3.1 voids 1 breaks 0"]
    check_yaml(adviser, body, advice.ways[0])


def test_what_the_spec_accepts_is_no_problem(index: Index, adviser: Adviser) -> None:
    index.wheel("app", "1.0", files={"app/__init__.py": "from tool import gone\n"})
    index.wheel("tool", "1.0", files={"tool/__init__.py": ""})
    body = "pypi:\n  dependencies: [app, tool]\n"
    assert adviser(body)
    assert not adviser(body + "accepts: [app needs tool.gone]\n")


def test_an_override_for_a_spec_in_flow_style(index: Index, adviser: Adviser) -> None:
    usual(index)
    pin = '{package: tool, version: "==2.0", against: {frame: "tool==3.2"}, because: x}'
    body = f"pypi:\n  dependencies: [frame, app==1.0]\noverrides: [{pin}]\n"
    (advice,) = adviser(body)
    forced = next(way for way in advice.ways if way.change.kind == "force")
    assert forced.yaml.startswith("overrides: [\n  {package: ")
    check_yaml(adviser, body, forced)


def test_an_older_version_of_what_lost_a_module(index: Index, adviser: Adviser) -> None:
    index.wheel("app", "1.0", ["setuptools"], files={"app/__init__.py": "import pkg_resources\n"})
    for minor in range(9):
        index.wheel("setuptools", f"82.{minor}", files={"setuptools.py": ""})
        for patch in range(3):
            index.wheel("setuptools", f"82.{minor}.{patch}", files={"setuptools.py": ""})
    index.wheel("setuptools", "81.0", files={"setuptools.py": "", "pkg_resources.py": ""})
    (advice,) = adviser("pypi:\n  dependencies: [app]\n", limits=Limits(versions=12))
    assert short(advice) == ["require setuptools 81.0 voids 0 breaks 0"]
    assert advice.ways[0].yaml == "pypi:\n  constraints:\n    - setuptools==81.0"
