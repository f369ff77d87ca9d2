"""``envlock solve`` with the audit: what it fails for, what it prints, what it writes."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from envlock.lock.codec import dump_lock, load_lock
from envlock.lock.model import AcceptedBreakage, AuditSection, BuiltImage

from .worlds import ACCEPTS, APP, NATURAL, NEW, OLD, OVERRIDE, blocks_of, offer, offer_world, pasted

if TYPE_CHECKING:
    from ..makers.index import Index
    from ..makers.machine import Machine


@pytest.fixture
def world(machine: Machine, index: Index) -> Machine:
    offer_world(index)
    return machine


def _solve(machine: Machine, body: str, *options: str) -> Any:
    machine.write_spec("one", body)
    done = machine.run("solve", *options)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def _review(machine: Machine, body: str, *options: str) -> dict[str, Any]:
    done = _solve(machine, body, "--json", *options)
    document = json.loads(done.stdout)
    if done.returncode:
        found = document["error"]["review"]
    else:
        found = document["environments"][0]["review"]
    assert isinstance(found, dict)
    return found


def test_a_break_that_nobody_accepted(world: Machine) -> None:
    done = _solve(world, NATURAL + OVERRIDE)
    assert done.returncode == 1
    assert "instead of 2.0: fixes 1, breaks 1, leaves 0 as they are" in done.stderr
    assert "fixes  app needs lib.old (import app fails)" in done.stderr
    assert "breaks app.more needs lib.new (breaks-call)" in done.stderr
    assert (
        "error: envs/one.yaml:12:5: the override of lib breaks 1 thing that nobody has accepted\n"
        "  app.more.f needs lib.new, of lib\n"
        "      app 1.0, app/more.py:2; fails when it is called\n"
    ) in done.stderr
    assert not world.lock("one").exists()
    assert not list(world.project.glob("locks/*"))


def test_the_hint_pasted_makes_it_pass(world: Machine) -> None:
    failed = _solve(world, NATURAL + OVERRIDE)
    assert blocks_of(failed.stderr) == {"under the override of lib": ACCEPTS}
    done = _solve(world, pasted(NATURAL + OVERRIDE, failed.stderr))
    assert done.returncode == 0, done.stderr
    assert "breaks 1 (1 accepted)" in done.stderr
    assert load_lock(world.lock("one")).audit == AuditSection(
        accepted=(
            AcceptedBreakage(
                override="lib",
                pattern="app.more needs lib.new",
                findings=("breaks-call app.more.f needs lib.new",),
            ),
        )
    )
    assert world.run("solve", "--check").stderr == "one linux-64: fresh\n"


def test_the_whole_for_machines(world: Machine) -> None:
    review = _review(world, NATURAL + OVERRIDE + ACCEPTS)
    (override,) = review["overrides"]
    assert [f["text"] for f in override["fixes"]] == ["app needs lib.old"]
    assert [f["text"] for f in override["breaks"]] == ["app.more.f needs lib.new"]
    assert override["newly_importable"] == ["app", "app.more"]
    assert (override["natural"], override["open"]) == ("2.0", [])
    assert review["accepted"][0]["findings"] == ["app.more.f needs lib.new"]
    failed = _review(world, NATURAL + OVERRIDE)
    assert failed["open"] == ["app.more.f needs lib.new"]


def test_what_was_accepted_stays_in_the_hint(world: Machine, index: Index) -> None:
    more = {"app/other.py": "def g():\n    import lib.new\n"}
    offer(index, "app", "1.1", {**APP, **more}, "lib==2.0")
    body = NATURAL + OVERRIDE + ACCEPTS
    failed = _solve(world, body)
    assert failed.returncode == 1
    assert "in place of its accepts" in failed.stderr
    assert blocks_of(failed.stderr)["under the override of lib"] == (
        "    accepts:\n      - app.more needs lib.new\n      - app.other needs lib.new\n"
    )
    assert _solve(world, pasted(body, failed.stderr)).returncode == 0


def test_a_line_that_covers_nothing(world: Machine) -> None:
    assert _solve(world, NATURAL + OVERRIDE + ACCEPTS).returncode == 0
    before = world.lock("one").read_bytes()
    idle = ACCEPTS + "      - app.more needs lib.gone\n"
    done = _solve(world, NATURAL + OVERRIDE + idle)
    assert done.returncode == 1
    assert (
        "error: envs/one.yaml:18:9: accepts: 'app.more needs lib.gone' covers nothing that the "
        "override of lib breaks"
    ) in done.stderr
    assert "hint: remove 'app.more needs lib.gone' from accepts:" in done.stderr
    assert world.lock("one").read_bytes() == before


def test_a_line_for_a_place_that_is_told_with_another(machine: Machine, index: Index) -> None:
    sources = {"app/__init__.py": "import gone.one\nimport app.more\n"}
    offer(index, "app", "1.0", {**sources, "app/more.py": "import gone.two\n"})
    both = "accepts:\n  - app needs gone\n  - app.more needs gone\n"
    done = _solve(machine, NATURAL + both)
    assert done.returncode == 0, done.stderr
    lock = load_lock(machine.lock("one"))
    assert lock.audit is not None
    assert {one.pattern: one.findings for one in lock.audit.accepted} == {
        "app needs gone": ("breaks-import app needs gone",),
        "app.more needs gone": (),
    }
    assert (
        "'app.less needs gone' covers nothing"
        in _solve(machine, NATURAL + both + "  - app.less needs gone\n").stderr
    )


def test_what_the_override_fixes_is_nothing_to_accept(world: Machine) -> None:
    idle = ACCEPTS + "      - app needs lib.old\n"
    done = _solve(world, NATURAL + OVERRIDE + idle)
    assert done.returncode == 1
    assert "'app needs lib.old' covers nothing" in done.stderr


def test_what_is_asked_for_must_import(world: Machine) -> None:
    done = _solve(world, NATURAL)
    assert done.returncode == 1
    assert "what it asks for cannot be imported: 1 import cannot work" in done.stderr
    assert "app needs lib.old, of lib" in done.stderr
    assert not world.lock("one").exists()
    accepted = pasted(NATURAL, done.stderr)
    assert yaml.safe_load(accepted)["accepts"] == ["app needs lib.old"]
    assert _solve(world, accepted).returncode == 0
    assert world.run("solve", "--check").returncode == 0


def test_the_spec_accepts_nothing_that_an_override_breaks(world: Machine) -> None:
    done = _solve(world, NATURAL + OVERRIDE + "accepts: [app.more needs lib.new]\n")
    assert done.returncode == 1
    assert "the override of lib breaks 1 thing" in done.stderr
    assert "covers nothing that is broken without an override" in done.stderr


def test_without_the_audit(world: Machine) -> None:
    done = _solve(world, NATURAL, "--no-audit")
    assert done.returncode == 0, done.stderr
    assert load_lock(world.lock("one")).audit is None
    assert world.run("solve", "--check").stderr == "one linux-64: fresh (not audited)\n"


def test_broken_and_not_asked_for(world: Machine, index: Index) -> None:
    offer(index, "side", "1.0", {"side/__init__.py": "from lib import gone\n"}, "lib")
    offer(index, "app", "2.0", {"app/__init__.py": ""}, "side")
    done = _solve(world, NATURAL)
    assert done.returncode == 0
    assert "warning: 1 import of what envs/one.yaml does not name cannot work" in done.stderr
    assert "side needs lib.gone, of lib" in done.stderr
    strict = _solve(world, NATURAL, "--strict")
    assert strict.returncode == 1
    assert _solve(world, pasted(NATURAL, strict.stderr), "--strict").returncode == 0


def test_no_solution_without_the_override(world: Machine, index: Index) -> None:
    index.withdraw("lib")
    offer(index, "lib", "1.0", dict(OLD))
    done = _solve(world, NATURAL + OVERRIDE)
    assert done.returncode == 1
    assert "nothing can be solved without it; of what lib takes part in, 1 break" in done.stderr
    assert "all that lib takes part in counts" in done.stderr
    accepted = pasted(NATURAL + OVERRIDE, done.stderr)
    assert _solve(world, accepted).returncode == 0
    assert "lib==2.0" in _review(world, accepted)["overrides"][0]["unsolvable"]


SECOND = """\
  - package: tool
    version: "==1.0"
    against: {app: "tool==2.0"}
    because: nobody knows
"""


@pytest.fixture
def two(world: Machine, index: Index) -> Machine:
    """app pins tool 2.0 as well, and a function of it needs that one."""
    files = {**APP, "app/tools.py": "def g():\n    from tool import new\n"}
    offer(index, "app", "2.0", files, "lib==2.0", "tool==2.0")
    offer(index, "tool", "1.0", {"tool/__init__.py": ""})
    offer(index, "tool", "2.0", {"tool/__init__.py": "new = 1\n"})
    return world


def test_two_overrides_are_told_apart(two: Machine) -> None:
    body = NATURAL + OVERRIDE + SECOND
    review = _review(two, body)
    found = {
        item["package"]: ([f["text"] for f in item["fixes"]], [f["text"] for f in item["breaks"]])
        for item in review["overrides"]
    }
    assert found == {
        "lib": (["app needs lib.old"], ["app.more.f needs lib.new"]),
        "tool": ([], ["app.tools.g needs tool.new"]),
    }
    assert len(review["together"]["breaks"]) == 2
    done = _solve(two, body)
    assert done.returncode == 1
    assert "envs/one.yaml:12:5: the override of lib breaks 1 thing" in done.stderr
    assert "envs/one.yaml:16:5: the override of tool breaks 1 thing" in done.stderr
    assert _solve(two, pasted(body, done.stderr)).returncode == 0


def test_one_override_does_not_accept_for_another(two: Machine) -> None:
    lines = "    accepts:\n      - app.tools needs tool.new\n"
    done = _solve(two, NATURAL + OVERRIDE + ACCEPTS + lines.replace("    accepts:\n", "") + SECOND)
    assert done.returncode == 1
    assert "the override of tool breaks 1 thing" in done.stderr
    assert "covers nothing that the override of lib breaks" in done.stderr


GUARDED = """\
from importlib.util import find_spec
def g():
    if find_spec("lib.new") is None or find_spec("tool.new") is None:
        import lib.never
"""


def test_what_two_overrides_break_whichever_goes(two: Machine, index: Index) -> None:
    files = {**APP, "app/__init__.py": "", "app/both.py": GUARDED}
    offer(index, "app", "3.0", files, "lib==2.0", "tool==2.0")
    index.withdraw("tool")
    offer(index, "tool", "1.0", {"tool/__init__.py": ""})
    offer(index, "tool", "2.0", {"tool/__init__.py": "", "tool/new.py": ""})
    body = NATURAL + OVERRIDE + SECOND
    review = _review(two, body)
    assert [item["open"] for item in review["overrides"]] == [["app.more.f needs lib.new"], []]
    assert review["joint"] == ["app.both.g needs lib.never"]
    done = _solve(two, body)
    assert "the overrides together break 1 thing" in done.stderr
    assert blocks_of(done.stderr) == {
        "under the override of lib": (
            "    accepts:\n      - app.both needs lib.never\n      - app.more needs lib.new\n"
        )
    }
    assert _solve(two, pasted(body, done.stderr)).returncode == 0


@pytest.mark.parametrize(
    ("body", "place", "block"),
    [
        (NATURAL, "under pypi.dependencies (inside its brackets)", '    "helper",\n'),
        (
            "pypi:\n  dependencies:\n    - app\n",
            "under pypi.dependencies",
            "    - helper\n",
        ),
    ],
)
def test_undeclared_by_what_is_asked_for(
    machine: Machine, index: Index, body: str, place: str, block: str
) -> None:
    offer(index, "app", "1.0", {"app/__init__.py": "import helper\n"})
    offer(index, "helper", "1.0", {"helper/__init__.py": ""})
    done = _solve(machine, body)
    assert done.returncode == 1
    assert blocks_of(done.stderr) == {place: block}
    assert _solve(machine, pasted(body, done.stderr)).returncode == 0


def test_undeclared_by_the_forced_version(world: Machine, index: Index) -> None:
    index.withdraw("lib")
    offer(index, "lib", "1.0", {"lib/__init__.py": "import helper\nold = 1\n"})
    offer(index, "lib", "2.0", dict(NEW))
    offer(index, "helper", "1.0", {"helper/__init__.py": ""})
    offer(index, "wheel", "1.0", {"wheel/__init__.py": ""})
    body = NATURAL + OVERRIDE + "    adds: [wheel]\n" + ACCEPTS
    done = _solve(world, body)
    assert done.returncode == 1
    assert "add: helper" in done.stderr
    assert "what lies behind an import that fails is judged once it works\n" in done.stderr
    block = blocks_of(done.stderr)["under the override of lib"]
    assert block == "    adds: [wheel, helper]\n"
    done = _solve(world, pasted(body, done.stderr))
    assert done.returncode == 0, done.stderr
    assert load_lock(world.lock("one")).roots == ("app", "helper", "wheel")


def test_an_unchanged_solve_asks_nothing_more(world: Machine, index: Index) -> None:
    body = NATURAL + OVERRIDE + ACCEPTS
    assert _solve(world, body).returncode == 0
    index.asked.clear()
    plain = _solve(world, body, "--no-audit")
    asked = [one.path for one in index.asked]
    assert _solve(world, body).returncode == 0
    index.asked.clear()
    again = _solve(world, body)
    assert "unchanged" in again.stderr
    assert "fixes 1, breaks 1" in again.stderr
    assert sorted(one.path for one in index.asked) == sorted(asked), plain.stderr


def test_what_another_override_adds_decides_what_is_natural(machine: Machine, index: Index) -> None:
    """The lock is the same, and what would be there without an override is not."""
    offer(index, "app", "1.0", {"app/__init__.py": ""}, "lib==2.0", "tool==2.0")
    for name in ("lib", "tool", "helper"):
        for version in ("1.0", "2.0"):
            needs = ["helper>=2"] if (name, version) == ("lib", "2.0") else []
            offer(index, name, version, {f"{name}/__init__.py": ""}, *needs)
    more = OVERRIDE.removeprefix("overrides:\n").replace("lib", "tool")
    body = NATURAL + OVERRIDE + more
    unsolvable = [
        _review(machine, f"{body}    adds: [{adds}]\n")["overrides"][0]["unsolvable"]
        for adds in ("helper==1.0", "helper")
    ]
    assert "helper" in unsolvable[0]
    assert unsolvable[1] is None


def test_offline_with_warm_caches(world: Machine, index: Index) -> None:
    body = NATURAL + OVERRIDE + ACCEPTS
    assert _solve(world, body).returncode == 0
    index.asked.clear()
    done = _solve(world, body, "--offline")
    assert done.returncode == 0, done.stderr
    assert not index.asked


def test_offline_without_the_code(world: Machine) -> None:
    body = NATURAL + OVERRIDE + ACCEPTS
    assert _solve(world, body, "--no-audit").returncode == 0
    before = world.lock("one").read_bytes()
    shutil.rmtree(world.cache / "artifacts")  # small wheels come whole for the lists of their files
    done = _solve(world, body, "--offline")
    assert done.returncode == 3
    assert "  app 1.0\n  lib 1.0\n" in done.stderr
    assert "--no-audit" in done.stderr
    assert world.lock("one").read_bytes() == before


def test_recorded_digests_outlive_the_audit(world: Machine) -> None:
    import dataclasses

    assert _solve(world, NATURAL + OVERRIDE + ACCEPTS).returncode == 0
    built = BuiltImage(manifest=f"sha256:{'1' * 64}", config=f"sha256:{'2' * 64}")
    lock = dataclasses.replace(load_lock(world.lock("one")), built=built)
    world.lock("one").write_text(dump_lock(lock))
    other = ACCEPTS.replace("app.more needs", "app.more.f needs")
    assert _solve(world, NATURAL + OVERRIDE + other).returncode == 0
    again = load_lock(world.lock("one"))
    assert again.built == built
    assert again.audit != lock.audit
    assert _solve(world, NATURAL + OVERRIDE + other, "--no-audit").returncode == 0
    assert load_lock(world.lock("one")).built == built
    assert _solve(world, NATURAL + OVERRIDE + other + "image: {user: me}\n").returncode == 0
    assert load_lock(world.lock("one")).built is None


def test_check_of_a_lock_that_answers_other_lines(world: Machine) -> None:
    import dataclasses

    assert _solve(world, NATURAL + OVERRIDE + ACCEPTS).returncode == 0
    lock = load_lock(world.lock("one"))
    wrong = dataclasses.replace(lock, audit=AuditSection())
    world.lock("one").write_text(dump_lock(wrong))
    done = world.run("solve", "--check")
    assert done.returncode == 1
    assert "  + overrides.lib.accepts: app.more needs lib.new" in done.stderr


def test_what_was_read_in_parts_is_read_again_once_it_is_there(
    world: Machine, index: Index
) -> None:
    import random

    from envlock.fetch.store import Store

    noise = random.Random(1).randbytes(2_000_000).hex()
    offer(index, "lib", "3.0", {"lib/__init__.py": "", "lib/data.txt": noise})
    body = "pypi:\n  dependencies: [lib]\n"
    assert _review(world, body)["unverified"] == ["lib"]
    lock = load_lock(world.lock("one"))
    (wheel,) = lock.of_kind("pypi")
    path = index.folder / "files" / wheel.file
    Store(world.cache).add([path.read_bytes()], wheel.sha256, wheel.size)
    assert _review(world, body)["unverified"] == []


def test_what_one_statement_needs_is_told_together(world: Machine, index: Index) -> None:
    more = {"app/wide.py": "def g():\n    from lib.new import a, b, c\n"}
    offer(index, "app", "1.1", {**APP, **more}, "lib==2.0")
    index.withdraw("lib")
    offer(index, "lib", "1.0", {**OLD, "lib/new.py": "a = 1\n"})
    offer(index, "lib", "2.0", {**NEW, "lib/new.py": "a = b = c = 1\n"})
    done = _solve(world, NATURAL + OVERRIDE)
    assert (
        "breaks 2 things that nobody has accepted\n"
        "  app.wide.g needs lib.new.b, of lib\n"
        "      and c\n"
        "      app 1.1, app/wide.py:2; fails when it is called\n"
    ) in done.stderr
    assert blocks_of(done.stderr)["under the override of lib"].count("app.wide needs") == 2


FLOW = """\
pypi: {dependencies: [app]}
overrides: [{package: lib, version: "==1.0", against: {app: "lib==2.0"}, because: x}]
"""


def test_a_spec_in_flow_style_gets_yaml_in_flow_style(world: Machine, index: Index) -> None:
    index.withdraw("lib")
    offer(index, "lib", "1.0", {"lib/__init__.py": "import helper\nold = 1\n"})
    offer(index, "lib", "2.0", dict(NEW))
    offer(index, "helper", "1.0", {"helper/__init__.py": ""})
    failed = _solve(world, FLOW)
    assert failed.returncode == 1
    ((place, block),) = blocks_of(failed.stderr).items()
    assert place == "under the override of lib (inside its braces)"
    body = FLOW.replace("because: x", f"because: x,\n{block}")
    assert yaml.safe_load(body)["overrides"][0]["adds"] == ["helper"]
    assert yaml.safe_load(body)["overrides"][0]["accepts"] == ["app.more needs lib.new"]
    done = _solve(world, body)
    assert done.returncode == 0, done.stderr


def test_a_locked_distribution_without_the_module(machine: Machine, index: Index) -> None:
    offer(index, "app", "1.0", {"app/__init__.py": "import pkg_resources\n"}, "setuptools")
    offer(index, "setuptools", "81.0", {"pkg_resources.py": "", "setuptools.py": ""})
    offer(index, "setuptools", "82.0", {"setuptools.py": ""})
    failed = _solve(machine, NATURAL)
    assert failed.returncode == 1
    assert "app needs pkg_resources, of setuptools" in failed.stderr
    assert "add: setuptools" not in failed.stderr
    assert "      setuptools<82 has it\n" in failed.stderr
    assert "setuptools 81.0: no override needed, breaks nothing found" in failed.stderr


def test_a_distribution_whose_newer_versions_lack_the_module(
    machine: Machine, index: Index
) -> None:
    offer(index, "app", "1.0", {"app/__init__.py": "import pkg_resources, setuptools\n"})
    offer(index, "setuptools", "81.0", {"pkg_resources.py": "", "setuptools.py": ""})
    offer(index, "setuptools", "82.0", {"setuptools.py": ""})
    failed = _solve(machine, NATURAL)
    assert failed.returncode == 1
    assert "      add: setuptools<82\n" in failed.stderr
    assert blocks_of(failed.stderr) == {
        "under pypi.dependencies (inside its brackets)": '    "setuptools<82",\n'
    }
    done = _solve(machine, NATURAL.replace("[app", '[app, "setuptools<82"'))
    assert done.returncode == 0, done.stderr


def test_a_check_of_what_no_package_has(machine: Machine, index: Index) -> None:
    offer(index, "app", "1.0", {"app/__init__.py": "", "tests/__init__.py": ""})
    body = "pypi: {dependencies: [app]}\nchecks: ["
    body += "{import: json.tool}, {import: app.part}, {import: tests}, {import: apq.part}]\n"
    done = _solve(machine, body)
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if "no locked package" in line]
    assert told == [
        "  no locked package has apq, which the check import apq.part needs; did you mean app?"
    ]


def test_used_and_only_there_because_of_others(machine: Machine, index: Index) -> None:
    offer(index, "app", "1.0", {"app.py": "import helper\n"})
    offer(index, "other", "1.0", {"other.py": ""}, "helper")
    offer(index, "helper", "1.0", {"helper.py": ""})
    done = _solve(machine, "pypi:\n  dependencies: [app, other]\n")
    assert done.returncode == 0, done.stderr
    assert "  not declared: app uses helper; only others bring it along\n" in done.stderr
    done = _solve(machine, "pypi:\n  dependencies: [app, other, helper]\n")
    assert "not declared" not in done.stderr


def test_what_cannot_be_read_is_told(machine: Machine, index: Index) -> None:
    offer(index, "app", "1.0", {"app/__init__.py": "", "app/odd.py": "def f(:\n"})
    done = _solve(machine, NATURAL)
    assert done.returncode == 0, done.stderr
    assert "warning: not looked into, and so not judged:\n  app: app/odd.py: " in done.stderr


def test_where_no_check_runs_code(world: Machine) -> None:
    told = "no check runs any: add - import: app to its checks\n"
    pasted_only = OVERRIDE.replace("app imports lib.old", "<what needs lib 1.0>")
    said = _solve(world, NATURAL + pasted_only + ACCEPTS).stderr
    assert told in said
    assert "because is still <what needs lib 1.0>: write why, others will ask\n" in said
    checked = NATURAL + OVERRIDE + ACCEPTS + "    checks: [{import: app}]\n"
    said = _solve(world, checked).stderr
    assert told not in said
    assert "because is still" not in said


def test_a_spec_without_any_check(machine: Machine, index: Index) -> None:
    offer(index, "app", "1.0", {"app/__init__.py": ""})
    offer(index, "space-part", "1.0", {"space/part/__init__.py": ""})
    offer(index, "only-data", "1.0", {"elsewhere/data.txt": ""})
    offer(index, "PyYAML", "6.0", {"yaml/__init__.py": ""})
    body = "pypi: {dependencies: [only-data, App, space_part, pyyaml]}\n"
    said = _solve(machine, body).stderr
    advice = "checks: [{import: app}, {import: space.part}, {import: yaml}]\n"
    assert said.count("no check says what must work in the image; at the top level of ") == 1
    assert advice in said
    assert "no check says" not in _solve(machine, body + advice).stderr
    body = "pypi: {dependencies: [only-data]}\n"
    assert "no check says" not in _solve(machine, body).stderr
