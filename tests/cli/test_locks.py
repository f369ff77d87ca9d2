"""``why``, ``diff`` and ``list``: what people read in locks."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

if TYPE_CHECKING:
    from ..makers.index import Index
    from ..makers.machine import Machine

SPEC = """\
pypi:
  dependencies: [app, "tool[fast]"]
overrides:
  - package: engine
    version: "==1.0"
    against: {app: "engine==2.0"}
    because: plugin needs the old engine
    adds: [helper]
"""


@pytest.fixture
def solved(machine: Machine, index: Index) -> Machine:
    index.wheel(
        "app",
        "1.0",
        ["engine==2.0", 'plugin; sys_platform == "linux"', "winlib; sys_platform == 'win32'"],
    )
    index.wheel("engine", "1.0")
    index.wheel("engine", "2.0")
    index.wheel("helper", "1.0")
    index.wheel("plugin", "1.0", ["shared>=1"])
    index.wheel("shared", "1.5")
    index.wheel("tool", "3.0", ['shared<2; extra == "fast"', "app"], extras=["fast"])
    machine.write_spec("demo", SPEC)
    _solve(machine)
    return machine


def _solve(machine: Machine, *words: str) -> None:
    done = machine.run("solve", "demo", *words)
    assert done.returncode == 0, done.stderr


def _json(machine: Machine, *words: str) -> Any:
    done = machine.run(*words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _git(machine: Machine, *words: str) -> None:
    settings = ["-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *settings, *words], cwd=machine.project, check=True, capture_output=True)


def test_why_shows_the_ways_to_the_spec(solved: Machine) -> None:
    done = solved.run("why", "demo", "shared")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == [
        "├── plugin 1.0 requires shared>=1",
        "│   └── app 1.0 requires plugin",
        "│       ├── the spec (pypi.dependencies) asks for app",
        "│       └── tool 3.0 requires app",
        "│           └── the spec (pypi.dependencies) asks for tool[fast]",
        "└── tool 3.0 requires shared<2 (*)",
        "(*) shown above",
    ]
    assert done.stdout.startswith("shared 1.5 (pypi, ")


def test_why_marks_what_an_override_voids(solved: Machine) -> None:
    lines = solved.run("why", "demo", "engine").stdout.splitlines()
    assert lines[1] == "├── the override of engine forces it: plugin needs the old engine"
    assert lines[2].endswith("app 1.0 requires engine==2.0; voided by the override of engine")
    added = solved.run("why", "demo", "helper").stdout
    assert "the override of engine adds helper" in added


def test_why_of_a_debian_package_goes_up_to_the_spec(solved: Machine) -> None:
    lines = solved.run("why", "demo", "python3.11-minimal").stdout.splitlines()
    assert "the spec (debian.packages) asks for python3.11-minimal" in lines[1]


def test_why_as_json_has_every_requirement_once(solved: Machine) -> None:
    (package,) = _json(solved, "why", "demo", "Engine")["packages"]
    assert (package["kind"], package["name"], package["version"]) == ("pypi", "engine", "1.0")
    voided = [one for one in package["requirements"] if one["voided_by"]]
    assert [(one["dependent"], one["requirement"]) for one in voided] == [("app", "engine==2.0")]
    keys = [(one["dependent"], one["needs"], one["requirement"]) for one in package["requirements"]]
    assert len(keys) == len(set(keys))


def test_why_of_what_is_not_locked_names_what_comes_near(solved: Machine) -> None:
    done = solved.run("why", "demo", "enigne")
    assert done.returncode == 2
    assert "did you mean engine" in done.stderr
    assert solved.run("why", "demo", "winlib").returncode == 2


def test_list_tells_fresh_locks_from_stale_missing_and_damaged_ones(solved: Machine) -> None:
    for name in ("absent", "broken", "moved"):
        solved.write_spec(name, SPEC)
    shutil.copy(solved.lock("demo"), solved.lock("moved"))
    solved.lock("broken").write_text("{")
    states = {row["name"]: row["state"] for row in _json(solved, "list")["environments"]}
    wanted = {"absent": "not locked", "broken": "damaged", "demo": "locked", "moved": "damaged"}
    assert states == wanted
    lines = solved.run("list").stdout.splitlines()
    assert any(line.endswith("this is the lock of demo for linux-64") for line in lines)
    solved.write_spec("demo", SPEC.replace("[app, ", "[app>=1, "))
    lines = solved.run("list").stdout.splitlines()
    assert any(line.split()[:3] == ["demo", "linux-64", "stale"] for line in lines)


def test_a_lock_under_another_ones_name(solved: Machine) -> None:
    other = solved.project / "locks" / "demo.linux-aarch64.lock.json"
    shutil.copy(solved.lock("demo"), other)
    done = solved.run("solve", "--check")
    assert done.returncode == 0
    assert "envs/demo.yaml is not for linux-aarch64, and no solve renews this lock" in done.stderr
    done = solved.run("build", "demo", "--platform", "linux-aarch64", "--no-validate")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: locks/demo.linux-aarch64.lock.json: this is the lock of demo for linux-64",
        "hint: run envlock solve demo, or remove the file",
    ]


def test_list_of_packages_marks_the_forced_one(solved: Machine) -> None:
    packages = {row["name"]: row for row in _json(solved, "list", "demo")["packages"]}
    assert packages["engine"]["override"] is True
    assert packages["app"]["override"] is False
    line = next(one for one in solved.run("list", "demo").stdout.splitlines() if "engine" in one)
    assert line.split()[:3] == ["engine", "1.0", "pypi"]
    assert line.endswith("override")


def test_diff_with_what_git_has(solved: Machine, index: Index) -> None:
    _git(solved, "init", "-q")
    _git(solved, "add", "-A")
    _git(solved, "commit", "-qm", "one")
    assert solved.run("diff").stdout == "demo linux-64: no difference\n"
    assert solved.run("diff", "--exit-code").returncode == 0
    index.wheel("shared", "1.9")
    index.wheel("extra", "1.0")
    solved.write_spec("demo", SPEC.replace("[app, ", "[app, extra, "))
    _solve(solved, "-P", "shared")
    done = solved.run("diff", "demo", "--exit-code")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith("demo linux-64: 1 added, 1 changed, ")
    assert [line.split("(")[0].strip() for line in lines[1:3]] == [
        "+ extra 1.0",
        "~ shared 1.5 -> 1.9",
    ]
    assert "  spec: + pypi.dependencies: extra" in lines
    (document,) = _json(solved, "diff")["locks"]
    assert [package["name"] for package in document["packages"]] == ["extra", "shared"]
    assert document["bytes"]["fetched"] == sum(p["new"]["bytes"] for p in document["packages"])
    _git(solved, "add", "-A")
    _git(solved, "commit", "-qm", "two")
    assert solved.run("diff", "-r", "HEAD~1", "demo").stdout == done.stdout


def test_diff_of_two_environments_shows_overrides_that_come_and_go(
    solved: Machine, index: Index
) -> None:
    solved.write_spec("plain", "pypi:\n  dependencies: [app]\n")
    done = solved.run("solve", "plain")
    assert done.returncode == 0, done.stderr
    text = solved.run("diff", "plain", "demo").stdout
    assert "~ engine 2.0 -> 1.0" in text
    assert "override engine 1.0: new" in text
    assert "override engine 1.0: voids app 1.0 -> engine==2.0" in text
    back = solved.run("diff", str(solved.lock("demo")), str(solved.lock("plain"))).stdout
    assert "override engine: gone" in back


def test_diff_in_markdown_is_a_table_that_names_cannot_break(solved: Machine) -> None:
    _git(solved, "init", "-q")
    _git(solved, "commit", "-qm", "none", "--allow-empty")
    text = solved.run("diff", "--markdown").stdout
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows[0] == "| package | kind | before | after | size |"
    assert all(row.replace("\\|", "").count("|") == 6 for row in rows)
    assert any(row.startswith("| **engine** | pypi |  | 1.0 |") for row in rows)


def test_diff_without_git_or_revision_says_what_to_do(solved: Machine) -> None:
    done = solved.run("diff", GIT_CEILING_DIRECTORIES=str(solved.root))
    assert done.returncode == 2
    assert "this is no git repository" in done.stderr
    _git(solved, "init", "-q")
    for revision in ("nonsense", "--output=/tmp/x", "HEAD"):
        done = solved.run("diff", f"--rev={revision}")
        assert done.returncode == 2
        assert "git knows no revision" in done.stderr
    assert solved.run("diff", "a", "b", "c").returncode == 2


def test_diff_tells_what_the_image_gains_and_loses(solved: Machine, index: Index) -> None:
    old = solved.root / "old.json"
    shutil.copy(solved.lock("demo"), old)
    index.wheel("shared", "1.9")
    _solve(solved, "-P", "shared")
    files = (str(old), str(solved.lock("demo")))
    text = solved.run("diff", *files).stdout
    assert "  image: 1 of 2 layers are new (" in text
    assert "1 stay (" in text
    document = _json(solved, "diff", *files)
    schema = json.loads(solved.run("schema", "diff").stdout)
    jsonschema.Draft202012Validator(schema).validate(document)
    layers = document["locks"][0]["layers"]
    assert [len(layers[sort]) for sort in ("kept", "new", "gone")] == [1, 1, 1]
    assert layers["kept"][0]["title"].startswith("Debian bookworm")
    markdown = solved.run("diff", *files, "--format", "markdown").stdout
    assert markdown == solved.run("diff", *files, "--markdown").stdout
    assert "**Image**" in markdown
    assert "- new: 6 small distributions and the environment at /opt/env (" in markdown


def test_diff_in_markdown_shows_the_spec_in_its_colours(solved: Machine) -> None:
    old = solved.root / "old.json"
    shutil.copy(solved.lock("demo"), old)
    text = SPEC.replace("plugin needs the old engine", "a ```` fence\\n| and <b>more</b>")
    solved.write_spec("demo", text)
    _solve(solved)
    shown = solved.run("diff", str(old), str(solved.lock("demo")), "--format", "markdown").stdout
    lines = shown.splitlines()
    start = lines.index("`````diff")
    assert lines[start + 1 : lines.index("`````")] == [
        "- overrides.engine.because: plugin needs the old engine",
        "+ overrides.engine.because: a ```` fence\\n| and <b>more</b>",
    ]


def test_the_shell_completes_environments_and_their_packages(solved: Machine) -> None:
    def offered(*words: str) -> list[str]:
        asked = {"COMP_WORDS": " ".join(("envlock", *words)), "COMP_CWORD": str(len(words))}
        done = solved.run(environ={"_ENVLOCK_COMPLETE": "complete_bash", **asked})
        return done.stdout.split()

    assert offered("why", "de") == ["demo"]
    assert offered("why", "demo", "p") == ["plugin", "python3.11-minimal"]
    assert offered("why", "demo", "eng") == ["engine"]
    assert offered("why", "unknown", "p") == []
