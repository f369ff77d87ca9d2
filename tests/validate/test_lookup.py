from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envlock.errors import SandboxError
from envlock.limits import UNLIMITED
from envlock.validate.inside import Inside
from envlock.validate.lookup import find_program, require_runnable
from envlock.validate.sandbox import NOT_FOUND, Command, Completed


class Answering:
    """A sandbox where every command ends with ``code``."""

    def __init__(self, code: int = 0) -> None:
        self.code = code
        self.ran: list[tuple[str, ...]] = []

    def run(self, rootfs: Path, command: Command) -> Completed:
        self.ran.append(command.argv)
        return Completed(returncode=self.code, stdout=b"", stderr=b"", timed_out=False, seconds=0.0)


@pytest.fixture
def inside(tmp_path: Path) -> Inside:
    for folder in ("usr/bin", "opt/bin", "app"):
        (tmp_path / folder).mkdir(parents=True)
    for name, mode in (("usr/bin/tool", 0o755), ("usr/bin/data", 0o644), ("app/local", 0o755)):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(mode)
    for name, target in {
        "bin": "usr/bin",
        "opt/bin/absolute": "/bin/tool",
        "opt/bin/relative": "../../usr/bin/tool",
        "opt/bin/above": "../../../../../bin/tool",
        "opt/bin/loop": "loop",
        "opt/bin/outside": os.fspath(Path(os.__file__)),
        "opt/bin/dangling": "/nowhere",
    }.items():
        (tmp_path / name).symlink_to(target)
    return Inside(
        sandbox=Answering(),
        rootfs=tmp_path,
        env={"PATH": "/opt/bin:/none:/bin"},
        user=(1, 1),
        workdir="/app",
        home=None,
        limits=UNLIMITED,
    )


@pytest.mark.parametrize(
    ("program", "found"),
    [
        ("tool", "there"),
        ("/bin/tool", "there"),
        ("../bin/tool", "there"),
        ("./local", "there"),
        ("local", "missing"),
        ("absolute", "there"),
        ("relative", "there"),
        ("above", "there"),
        ("loop", "missing"),
        ("outside", "missing"),
        ("dangling", "missing"),
        ("data", "not-executable"),
        ("/usr/bin", "not-executable"),
        ("/bin/tool/x", "missing"),
        ("none", "missing"),
        ("", "missing"),
        ("-x", "missing"),
        ("/proc/self/exe", "unknown"),
        ("/data/x", "unknown"),
        ("/data/deep/x", "unknown"),
        ("/srv/deep/x", "unknown"),
        ("/opt/other", "missing"),
    ],
)  # fmt: skip
def test_find_program(inside: Inside, program: str, found: str) -> None:
    assert find_program(inside, program, mounted=["/data/", "/srv/deep"]) == found


def test_an_empty_part_of_the_path_is_the_working_directory(inside: Inside) -> None:
    assert find_program(replace(inside, env={"PATH": "/bin:"}), "local") == "there"


def foreign() -> str:
    return "amd64" if os.uname().machine == "aarch64" else "arm64"


def test_a_foreign_image(inside: Inside) -> None:
    sandbox: Any = Answering(NOT_FOUND)
    there = replace(inside, sandbox=sandbox)
    require_runnable(there, {"amd64": "arm64", "arm64": "amd64"}[foreign()], hint="x")
    require_runnable(there, foreign(), hint="nothing to try it with")
    assert sandbox.ran == []
    (inside.rootfs / "usr/bin/true").symlink_to("tool")
    with pytest.raises(SandboxError, match=f"this image is for linux/{foreign()} and") as caught:
        require_runnable(there, foreign(), hint="elsewhere")
    assert caught.value.hint == "elsewhere"
    assert sandbox.ran == [("true",)]


def test_an_emulated_image(inside: Inside) -> None:
    require_runnable(inside, foreign(), "tool", hint="x")
    assert inside.sandbox.ran == [("tool", "--version")]  # type: ignore[attr-defined]
