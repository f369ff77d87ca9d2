"""``envlock build`` against an index that misbehaves: exit codes, Ctrl-C, offline, secrets."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from ..makers.index import Fault

if TYPE_CHECKING:
    import subprocess

    from ..makers.index import Index
    from ..makers.machine import Machine

SPEC = "pypi:\n  dependencies: [big]\n"
WHEEL = "big-1.0-py3-none-any.whl"


@pytest.fixture
def locked(machine: Machine, index: Index) -> Machine:
    """An environment with one wheel of about 300 kB; locked, nothing of it in the store."""
    index.wheel("big", "1.0", files={"big/data.bin": os.urandom(300_000)}, offer={"metadata": True})
    machine.write_spec("one", SPEC)
    done = machine.run("solve")
    assert done.returncode == 0, done.stderr
    index.asked.clear()
    return machine


def _build(machine: Machine, *more: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return machine.run("build", "one", "--no-validate", *more, environ=environ)


def test_offline_with_everything_in_the_store(locked: Machine, index: Index) -> None:
    first = _build(locked)
    assert first.returncode == 0, first.stderr
    index.asked.clear()
    again = _build(locked, "--offline")
    assert again.returncode == 0, again.stderr
    assert again.stdout == first.stdout
    assert again.stdout.startswith("sha256:")
    assert not index.asked


def test_offline_without(locked: Machine, index: Index) -> None:
    done = _build(locked, "--offline")
    assert done.returncode == 3
    assert "--offline" in done.stderr
    assert f"\n  not in the cache: {WHEEL}\n" in done.stderr
    assert "Traceback" not in done.stderr
    assert not index.asked


def test_wrong_bytes(locked: Machine, index: Index) -> None:
    index.faults[WHEEL] = Fault(content=b"other")
    done = _build(locked)
    assert done.returncode == 3
    assert WHEEL in done.stderr
    assert "promised: sha256" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (locked.project / "build" / "one").exists()


def test_an_index_behind_a_login(locked: Machine, index: Index) -> None:
    index.login = ("user", "s3cr3t")
    done = _build(locked, ENVLOCK_INDEX_PYPI=index.url_with("user:s3cr3t"))
    assert done.returncode == 0, done.stderr
    assert index.requests(WHEEL)[0].status == 200


@pytest.mark.parametrize("login", ["user:s3cr3t", "s3cr3t", "user:x@s3cr3t"])
def test_a_secret_in_the_index_url_is_never_shown(
    locked: Machine, index: Index, login: str
) -> None:
    """Neither by envlock nor by uv, whatever goes wrong."""
    url = index.url_with(login)
    outputs = []
    index.faults["/simple/big/"] = Fault(fail=-1, status=403)
    outputs.append(_build(locked, "-v", ENVLOCK_INDEX_PYPI=url))
    outputs.append(locked.run("-v", "solve", "--upgrade", ENVLOCK_INDEX_PYPI=url))
    index.faults.clear()
    index.withdraw("big")
    outputs.append(locked.run("--json", "solve", "-U", ENVLOCK_INDEX_PYPI=url))
    for done in outputs:
        assert done.returncode in {1, 3}
        assert "s3cr3t" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    assert "s3cr3t" not in locked.lock("one").read_text()


def test_ctrl_c_and_on(locked: Machine, index: Index) -> None:
    """A server that stops in the middle: Ctrl-C ends at once, the next run goes on."""
    index.faults[WHEEL] = Fault(drip=200_000)
    with locked.start("build", "one", "--no-validate") as process:
        assert index.dripping.wait(60)
        _wait_for_partial(locked, process)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "stopped" in errors
    assert out == ""
    del index.faults[WHEEL]
    index.asked.clear()
    done = _build(locked)
    assert done.returncode == 0, done.stderr
    (asked,) = index.requests(WHEEL)
    assert asked.status == 206
    assert 0 < asked.sent < 250_000
    assert not list(locked.cache.glob("partial/*"))


def _wait_for_partial(machine: Machine, process: subprocess.Popen[str]) -> None:
    """Return once a piece of the download is on the disk."""
    while process.poll() is None:
        if any(path.stat().st_size for path in machine.cache.glob("partial/*.part")):
            return


def test_two_builds_at_once_fetch_each_artifact_once(locked: Machine, index: Index) -> None:
    with (
        locked.start("build", "one", "--no-validate", "-o", "a.tar") as one,
        locked.start("build", "one", "--no-validate", "-o", "b.tar") as two,
    ):
        first, first_errors = one.communicate(timeout=120)
        second, second_errors = two.communicate(timeout=120)
    assert (one.returncode, two.returncode) == (0, 0), first_errors + second_errors
    assert first == second
    assert index.count(WHEEL) == 1
    assert max(index.count(f"/{name}_1.0_amd64.deb") for name in ("dash", "base-files")) <= 1
    assert (locked.project / "a.tar").read_bytes() == (locked.project / "b.tar").read_bytes()
