"""The audit of locks with conda packages: ``envlock solve``, ``envlock audit``, ``--advise``."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from envlock.lock.codec import load_lock

from ..makers.conda import distribution, index_channel, make_conda
from .worlds import APP, NEW, OLD, offer, pasted

if TYPE_CHECKING:
    from pathlib import Path

    from ..makers.index import Index
    from ..makers.machine import Machine

HEAD = """\
version: 1
name: one
platforms:
  linux-64: {glibc: "2.36"}
python: "3.12"
conda:
  channels: [main]
"""
NATURAL = f"{HEAD}  dependencies: [python, py-app]\n"
CONDA_OVERRIDE = """\
overrides:
  - package: py-lib
    from: conda
    version: "==1.0"
    against: {py-app: "py-lib >=2"}
    because: app imports lib.old
"""
WHEEL_OVERRIDE = """\
overrides:
  - package: lib
    version: "==1.0"
    against: {app: "lib==2.0"}
    because: app imports lib.old
"""
ACCEPTS = "    accepts:\n      - app.more needs lib.new\n"
SAID = "instead of 2.0: fixes 1, breaks 1, leaves 0 as they are"


@pytest.fixture(scope="session")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same world as that of the wheels; packages are not called like distributions."""
    folder = tmp_path_factory.mktemp("channel") / "main"

    def offered(
        name: str,
        version: str,
        files: dict[str, str],
        *depends: str,
        requires: tuple[str, ...] = (),
    ) -> None:
        content: Any = dict(files)
        make_conda(
            folder,
            f"py-{name}",
            version,
            noarch="python",
            depends=["python", *depends],
            files=distribution(name, version, files=content, requires=requires),
        )

    make_conda(folder, "python", "3.12.1", depends=["zlib"], files={"lib/python3.12/os.py": ""})
    make_conda(folder, "zlib", "1.3")
    offered("app", "1.0", APP, "py-lib >=2", requires=("lib==2.0",))
    offered("lib", "1.0", OLD)
    offered("lib", "2.0", NEW)
    offered("user", "1.0", {"user.py": "import helper\n"}, "py-lib")
    offered("helper", "1.0", {"helper.py": ""})
    index_channel(folder)
    return folder


@pytest.fixture
def world(machine: Machine, index: Index, channel: Path) -> Machine:
    """A machine that reaches the channel over HTTP."""
    index.folders["conda"] = channel.parent
    machine.use(index)
    machine.environ["ENVLOCK_CHANNELS"] = f"{index.base}/conda"
    return machine


def write(machine: Machine, body: str) -> None:
    (machine.project / "envs" / "one.yaml").write_text(body)


def solve(machine: Machine, body: str, *options: str) -> Any:
    write(machine, body)
    done = machine.run("solve", *options)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_an_override_of_a_conda_pin(world: Machine) -> None:
    failed = solve(world, NATURAL + CONDA_OVERRIDE)
    assert failed.returncode == 1, failed.stderr
    assert "voids app" in failed.stderr or "voids py-app" in failed.stderr
    assert SAID in failed.stderr
    assert (
        "error: envs/one.yaml:10:5: the override of py-lib breaks 1 thing that nobody has "
        "accepted\n"
        "  app.more.f needs lib.new, of lib\n"
        "      app 1.0, app/more.py:2; fails when it is called\n"
    ) in failed.stderr
    assert not world.lock("one").exists()
    body = pasted(NATURAL + CONDA_OVERRIDE, failed.stderr)
    assert ACCEPTS in body
    done = solve(world, body)
    assert done.returncode == 0, done.stderr
    assert "fixes 1, breaks 1 (1 accepted)" in done.stderr
    section = load_lock(world.lock("one")).audit
    assert section is not None
    assert section.accepted[0].findings == ("breaks-call app.more.f needs lib.new",)
    assert world.run("solve", "--check").stderr == "one linux-64: fresh\n"


def test_a_wheel_over_a_conda_package(world: Machine, index: Index) -> None:
    offer(index, "lib", "1.0", dict(OLD))
    body = NATURAL + WHEEL_OVERRIDE.replace('app: "lib==2.0"', 'py-app: "py-lib >=2"')
    failed = solve(world, body)
    assert failed.returncode == 1, failed.stderr
    assert SAID in failed.stderr
    assert "fixes  app needs lib.old (import app fails)" in failed.stderr
    assert "the override of lib breaks 1 thing that nobody has accepted" in failed.stderr
    done = solve(world, pasted(body, failed.stderr))
    assert done.returncode == 0, done.stderr
    assert "in place of the conda package py-lib's" in done.stderr


def test_what_is_broken_without_an_override(world: Machine) -> None:
    """What the spec asks for under conda's name counts as asked for."""
    failed = solve(world, NATURAL)
    assert failed.returncode == 1
    assert "what it asks for cannot be imported: 1 import cannot work" in failed.stderr
    assert "app needs lib.old, of lib" in failed.stderr


def test_undeclared(world: Machine) -> None:
    failed = solve(world, f"{HEAD}  dependencies: [python, py-user]\n")
    assert failed.returncode == 1
    assert (
        "under pypi.dependencies (or the conda packages that bring these under "
        "conda.dependencies)\n    - helper\n"
    ) in failed.stderr
    body = f"{HEAD}  dependencies: [python, py-user, py-helper]\n"
    assert solve(world, body).returncode == 0
    done = world.run("audit", "one")
    assert done.returncode == 0
    assert "undeclared: used but not declared (1)\n  user needs helper, of helper" in done.stdout


def test_the_audit_of_a_lock_and_offline(world: Machine, index: Index) -> None:
    assert solve(world, NATURAL + CONDA_OVERRIDE + ACCEPTS).returncode == 0
    first = world.run("audit", "one")
    assert first.returncode == 0, first.stderr
    assert "override py-lib 1.0:" in first.stdout
    assert "not audited" not in first.stderr
    index.asked.clear()
    assert world.run("audit", "one", "--offline").stdout == first.stdout
    assert not index.asked
    shutil.rmtree(world.cache / "audit")
    shutil.rmtree(world.cache / "artifacts")
    gone = world.run("audit", "one", "--offline")
    assert gone.returncode == 3
    assert "the code of some packages is needed, and --offline was given" in gone.stderr
    assert "\n  py-app 1.0" in gone.stderr


def test_advice(world: Machine, index: Index) -> None:
    """Ways out are searched among wheels; that conda's are not is said."""
    offer(index, "helper", "1.0", {"helper.py": ""})
    assert solve(world, NATURAL + CONDA_OVERRIDE + ACCEPTS).returncode == 0
    done = world.run("audit", "one", "--advise")
    assert done.returncode == 0, done.stderr
    assert "ways out of the override of py-lib 1.0" in done.stdout
    assert "it is there for what py-lib 2.0 breaks:\n    app needs lib.old" in done.stdout
    assert "py-lib 1.0 (yours): voids 2 pins, breaks 1 call in app" in done.stdout
    for name in ("app", "py-lib"):
        assert (
            f"not looked at: other versions of {name}: a conda package; only those of wheels "
            "are searched"
        ) in done.stdout
    write(world, f"{HEAD}  dependencies: [python, py-user]\n")
    done = world.run("--json", "audit", "one", "--advise")
    assert done.returncode == 0, done.stderr
    (advice,) = json.loads(done.stdout)["environments"][0]["advice"]
    (way,) = advice["ways"]
    assert way["yaml"] == "pypi:\n  dependencies:\n    - helper"


def test_artifacts(world: Machine, channel: Path, tmp_path: Path) -> None:
    folder = channel / "noarch"
    app, lib = folder / "py-app-1.0-h0_0.conda", folder / "py-lib-2.0-h0_0.conda"
    old = make_conda(
        tmp_path, "old", "1.0", noarch="python", suffix=".tar.bz2",
        files=distribution("old", "1.0", files={"old.py": "import lib.new\n"}),
    )  # fmt: skip
    done = world.run("audit", "--python", "3.12", "--artifacts", str(app), str(lib), str(old))
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("3 packages, Python 3.12, linux-64: 3 of 5 modules import")
    assert "app needs lib.old, of lib" in done.stdout
    assert "old needs lib.new, of lib, which it does not declare" in done.stdout
