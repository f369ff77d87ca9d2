from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from envlock.errors import ArtifactError
from envlock.limits import Limits
from envlock.lock.model import LockedOverride, VoidedRequirement
from envlock.progress import SilentReporter
from envlock.requirements import Installed
from envlock.validate.checks import compare_distributions, validate_image
from envlock.validate.gpu.driver import Gpu
from envlock.validate.inside import enter
from envlock.validate.layout import Config
from envlock.validate.record import recall, remember
from envlock.validate.results import GpuFacts
from envlock.validate.sandbox import Bind, Command, Completed

from ..layers_deb.making import shared_object
from .images import GROUP, PASSWD, PYTHON, SILENT, Layout, lock_of, member

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.validate.results import Report

SITE = "/opt/env/site-packages"


class FakeSandbox:
    """Answers the probe from a list, and everything else from a table by the last argument."""

    def __init__(self, *distributions: Installed, python: str = f"{PYTHON}.4", **answers: Any):
        self.distributions = distributions
        self.python = python
        self.answers = answers
        self.commands: list[Command] = []

    def run(self, rootfs: Path, command: Command) -> Completed:
        self.commands.append(command)
        fields: dict[str, Any] = {"returncode": 0, "stdout": b"", "stderr": b""}
        if command.stdin:
            mark = json.loads(command.stdin)["mark"]
            reply: Any = {
                "python": self.python,
                "executable": "/usr/bin/python3",
                "distributions": [
                    {
                        "name": item.name,
                        "version": item.version,
                        "requires": list(item.requires),
                        "location": item.location,
                    }
                    for item in self.distributions
                ],
            }
            if command.argv[-1].endswith("look.py"):
                reply = self.answers["gpu"]
            fields["stdout"] = f"noise\n{mark}{json.dumps(reply)}\nmore noise".encode()
            fields |= self.answers.get("probe", {})
        else:
            module = command.argv[-1].partition("\n")[0].removeprefix("import ")
            fields["stdout"] = command.argv[-1].encode()
            fields |= self.answers.get(module, {})
        return Completed(timed_out=fields.pop("timed_out", False), seconds=0.5, **fields)


def have(name: str, version: str, *requires: str, location: str = SITE) -> Installed:
    return Installed(name=name, version=version, requires=requires, location=location)


OVERRIDE = LockedOverride(
    package="triton",
    version="2.3.1",
    voids=(VoidedRequirement(dependent="torch", version="2.6.0", requirement="triton==3.2.0"),),
)
SPEC = {
    "overrides": [
        {
            "package": "triton",
            "because": "of ops",
            "checks": [{"version": "2.3.1"}, {"import": "triton.ops"}],
        }
    ],
    "checks": [{"import": "torch"}, {"run": ["true", "x y"]}, {"gpu": ["python3", "-c", "y"]}],
}
LOCK = lock_of(("torch", "2.6.0"), ("triton", "2.3.1"), spec=SPEC, overrides=(OVERRIDE,))
THERE = (have("torch", "2.6.0", "triton==3.2.0"), have("triton", "2.3.1"))


def validate(tmp_path: Path, sandbox: FakeSandbox, lock: Any = LOCK, **more: Any) -> Report:
    config = {"User": "nonroot", "WorkingDir": "/app", "Env": ["PATH=/opt/env/bin"]}
    layout = Layout(tmp_path / "layout", config=config)
    layout.layer(member("etc/passwd", PASSWD), member("etc/group", GROUP), member("home/nonroot"))
    return validate_image(
        layout.write(),
        lock,
        cache=tmp_path / "cache",
        sandbox=sandbox,
        **{"reporter": SILENT, **more},
    )


def statuses(report: Report) -> list[tuple[str, str, str | None]]:
    return [(result.kind, result.status, result.override) for result in report.results]


def test_a_good_image(tmp_path: Path) -> None:
    sandbox = FakeSandbox(*THERE)
    report = validate(tmp_path, sandbox)
    assert report.ok
    assert statuses(report) == [
        ("distributions", "passed", None),
        ("requirements", "passed", None),
        ("version", "passed", "triton"),
        ("import", "passed", "triton"),
        ("import", "passed", None),
        ("run", "passed", None),
        ("gpu", "not-run", None),
        ("check", "noted", None),
    ]
    assert report.results[1].subject.endswith("torch 2.6.0 requires triton==3.2.0, has 2.3.1")
    command = sandbox.commands[0]
    assert command.user == (65532, 65532)
    assert command.env == {"PATH": "/opt/env/bin", "HOME": "/home/nonroot"}
    assert command.tmpfs == ("/home/nonroot",)
    assert command.workdir == "/"  # /app is not there


def test_gpu_checks_run_where_one_is_given(tmp_path: Path) -> None:
    bind = Bind(source=tmp_path, target="/dev/nvidia0", device=True)
    sandbox = FakeSandbox(*THERE, gpu={"error": None, "cuda": 13000, "devices": [{"name": "A"}]})
    report = validate(tmp_path, sandbox, gpu=Gpu(binds=(bind,), env={"A": "1"}))
    assert ("gpu", "passed", None) in statuses(report)
    assert report.gpu == GpuFacts(names=("A",), cuda="13.0")
    assert sandbox.commands[-1].binds == (bind,)
    assert sandbox.commands[-1].env["A"] == "1"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"returncode": 1, "stderr": b"Trace\nModuleNotFoundError: x"}, "ModuleNotFoundError: x"),
        ({"returncode": 139}, "ended by signal SIGSEGV"),
        ({"returncode": 137, "timed_out": True}, "not done after"),
        ({"returncode": 127, "stdout": b""}, "is not in the image"),
        ({"returncode": 0, "stdout": b""}, "ended the process by itself"),
    ],
)
def test_failed_imports(tmp_path: Path, answer: dict[str, Any], told: str) -> None:
    report = validate(tmp_path, FakeSandbox(*THERE, torch=answer))
    (failed,) = [result for result in report.results if result.status == "failed"]
    assert failed.subject == "import torch"
    assert any(told in line for line in failed.detail)


@pytest.mark.parametrize(
    ("said", "package"),
    [
        ("ImportError: libGL.so.1: cannot open shared object file: No such file", "libgl1"),
        ("OSError: libgthread-2.0.so.0: cannot open shared object file", "libglib2.0-0"),
        ("OSError: libgobject-2.0-0: cannot open shared object file: No such file", "libglib2.0-0"),
        ("OSError: libpango-1.0-0: cannot open shared object file", "libpango-1.0-0"),
        ("OSError: libown: cannot open shared object file: No such file", None),
        ("ImportError: failed to find libmagic.  Check your installation", "libmagic1"),
        ("ImportError: Unable to find zbar shared library", "libzbar0"),
        ("OSError: sndfile library not found using ctypes.util.find_library", "libsndfile1"),
        ('OSError: no library called "cairo-2" was found', "libcairo2"),
        ("OSError: Could not find lib geos_c or load any of its variants", "libgeos-c1v5"),
        ("OSError: PortAudio library not found", "libportaudio2"),
    ],
)
def test_libraries_that_are_not_in_the_image(
    tmp_path: Path, said: str, package: str | None
) -> None:
    answer = {"returncode": 1, "stderr": said.encode()}
    report = validate(tmp_path, FakeSandbox(*THERE, torch=answer))
    (failed,) = [result for result in report.results if result.status == "failed"]
    advice = failed.detail[-1]
    assert advice.startswith("the image has no lib"), advice
    assert "debian.packages" in advice
    assert ("most likely" in advice) == (package is not None)
    assert package is None or f"(most likely {package})" in advice


@pytest.mark.parametrize(
    "said",
    [
        "ImportError: cannot import name 'magic' from 'lib', it is not there",
        "ValueError: the library knows no magical thing",
        "the library zbar is not found in what nobody raised",
        "ModuleNotFoundError: No module named 'cairo'",
    ],
)
def test_other_failures_ask_for_no_library(tmp_path: Path, said: str) -> None:
    answer = {"returncode": 1, "stderr": said.encode()}
    report = validate(tmp_path, FakeSandbox(*THERE, torch=answer))
    (failed,) = [result for result in report.results if result.status == "failed"]
    assert failed.detail == (said,)


def test_all_libraries_are_told_at_once(tmp_path: Path) -> None:
    said = b"ImportError: libGL.so.1: cannot open shared object file: No such file"
    needs = shared_object("", needed=("libGL.so.1", "libSM.so.6"))
    layout = Layout(tmp_path / "layout").layer(member("usr/lib/view.so", needs))
    report = validate_image(
        layout.write(),
        LOCK,
        cache=tmp_path / "cache",
        sandbox=FakeSandbox(*THERE, torch={"returncode": 1, "stderr": said}),
        reporter=SILENT,
    )
    (told,) = [result for result in report.results if result.kind == "libraries"]
    assert told.status == "noted"
    assert told.detail[-1] == "for debian.packages: libgl1, libsm6"


def test_the_drivers_libraries_are_not_debians(tmp_path: Path) -> None:
    said = b"ImportError: libcuda.so.1: cannot open shared object file: No such file"
    report = validate(tmp_path, FakeSandbox(*THERE, torch={"returncode": 1, "stderr": said}))
    (failed,) = [result for result in report.results if result.status == "failed"]
    assert failed.detail == (said.decode(),)


def test_no_python_in_the_image(tmp_path: Path) -> None:
    report = validate(tmp_path, FakeSandbox(probe={"returncode": 127, "stdout": b""}))
    assert statuses(report)[:2] == [("python", "failed", None), ("version", "not-run", "triton")]
    assert not report.ok


def test_a_lock_without_distributions_asks_no_python(tmp_path: Path) -> None:
    lock = lock_of(spec={"checks": [{"run": ["true"]}, {"import": "torch"}]})
    missing = {"returncode": 127, "stdout": b""}
    sandbox = FakeSandbox(probe=missing, torch=missing)
    report = validate(tmp_path, sandbox, lock)
    assert [item for item in statuses(report) if item[0] != "check"] == [
        ("run", "passed", None),
        ("import", "failed", None),
    ]
    assert not any(command.stdin for command in sandbox.commands)


def test_the_running_check_is_named(tmp_path: Path) -> None:
    heard: list[str] = []

    class Listener(SilentReporter):
        def note(self, text: str) -> None:
            heard.append(text)

    validate(tmp_path, FakeSandbox(*THERE), reporter=Listener())
    assert heard[1:4] == [
        "check 1 of 5: version 2.3.1 (triton)",
        "check 2 of 5: import triton.ops (triton)",
        "check 3 of 5: import torch",
    ]
    assert heard[4] == "check 4 of 5: run true 'x y'"


def test_a_proof_that_cannot_be_kept_is_no_failure(tmp_path: Path) -> None:
    report = validate(tmp_path, FakeSandbox(*THERE))
    (tmp_path / "file").write_text("")
    remember(tmp_path / "file", report, LOCK)
    remember(tmp_path / "kept", report, LOCK)
    assert recall(tmp_path / "kept", report.image, LOCK) == report


def test_another_python_in_the_image(tmp_path: Path) -> None:
    report = validate(tmp_path, FakeSandbox(*THERE, python="3.1.5"))
    assert report.results[0].subject == f"Python is 3.1.5, locked is {PYTHON}"


def test_wrong_version_of_the_override(tmp_path: Path) -> None:
    report = validate(tmp_path, FakeSandbox(THERE[0], have("triton", "3.2.0")))
    assert [result.kind for result in report.results if result.status == "failed"] == [
        "distributions",
        "version",
    ]
    assert ("void", "noted", None) in statuses(report)


def test_unvoided_violation_fails(tmp_path: Path) -> None:
    report = validate(tmp_path, FakeSandbox(*THERE, have("x", "1", "torch>=3")))
    (broken,) = [result for result in report.results if result.kind == "requirements"]
    assert broken.detail == ("x 1 requires torch>=3, has 2.6.0",)


@pytest.mark.parametrize(
    "check",
    ["torch", {}, {"import": "os; evil()"}, {"import": 3}, {"run": "ls"}, {"run": []}, {"x": 1},
     {"version": "1"}, {"import": "a", "run": ["b"]}],
)  # fmt: skip
def test_unusable_checks_fail(tmp_path: Path, check: Any) -> None:
    lock = lock_of(spec={"checks": [check]})
    report = validate(tmp_path, FakeSandbox(), lock)
    assert ("check", "failed", None) in statuses(report)


def test_distributions_both_ways() -> None:
    lock = lock_of(("Torch", "2.6"), ("gone", "1"), ("moved", "1.0+cpu"), ("same", "1"))
    result = compare_distributions(
        [
            have("torch", "2.6.0"),
            have("extra_one", "3"),
            have("moved", "1.0"),
            have("same", "1"),
            have("same", "0.9"),
            have("distro", "1", location="/usr/lib/python3/dist-packages"),
        ],
        lock,
    )
    assert result.status == "failed"
    assert result.detail == (
        "gone 1 is locked and not installed",
        "extra-one 3 is installed and not locked",
        "moved is 1.0, locked is 1.0+cpu",
        "same is installed 2 times",
    )


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", (0, 0)),
        ("nonroot", (65532, 65532)),
        ("65532", (65532, 65532)),
        ("1000", (1000, 0)),
        ("1000:7", (1000, 7)),
        ("nonroot:root", (65532, 0)),
        ("nobody", None),
        ("nonroot:nobody", None),
        ("99999999999", None),
    ],
)
def test_users(tmp_path: Path, user: str, expected: tuple[int, int] | None) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "etc/group").write_text(GROUP)
    config = Config(architecture="amd64", env={}, user=user, workdir="", entrypoint=(), command=())
    if expected is None:
        with pytest.raises(ArtifactError, match="not in its /etc/passwd"):
            enter(tmp_path, config, FakeSandbox(), limits=Limits(seconds=1))
    else:
        inside = enter(tmp_path, config, FakeSandbox(), limits=Limits(seconds=1))
        assert inside.user == expected
        assert inside.env["HOME"] == "/tmp"
