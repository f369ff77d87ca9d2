"""``envlock solve`` with conda packages, from the command line to the lock on the disk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from envlock.lock.codec import load_lock

if TYPE_CHECKING:
    from pathlib import Path

    from ..makers.index import Index
    from ..makers.machine import Machine

SPEC = """\
version: 1
name: one
platforms:
  linux-64: {glibc: "2.36"}
python: "3.12"
conda:
  channels: [main]
  dependencies: [scipy, pandas]
pypi:
  dependencies: [app]
overrides:
  - package: numpy
    from: conda
    version: "==1.24.4"
    against: {scipy: "numpy >=1.26,<3"}
    because: an old ABI
"""


@pytest.fixture
def served(machine: Machine, index: Index, channels: Path) -> Machine:
    """A machine that reaches the channels over HTTP, and a project with one environment."""
    index.folders["conda"] = channels
    index.wheel("app", "1.0", ["numpy>=1.20"], offer={"metadata": True})
    machine.use(index)
    machine.environ["ENVLOCK_CHANNELS"] = f"{index.base}/conda"
    (machine.project / "envs" / "one.yaml").write_text(SPEC)
    return machine


def test_from_the_spec_to_the_lock(served: Machine, index: Index) -> None:
    done = served.run("solve")
    assert done.returncode == 0, done.stderr
    assert "override numpy 1.24.4: voids scipy 1.14.0 -> numpy >=1.26,<3" in done.stderr
    assert "one linux-64: 4 conda packages, 1 wheel, 0 Debian packages" in done.stderr
    text = served.lock("one").read_text()
    assert "://" not in text
    assert index.host not in text
    assert str(served.root) not in text
    assert served.run("solve").returncode == 0
    assert served.lock("one").read_text() == text


@pytest.mark.parametrize("damage", [b"", b"\xff\x00", b"[1]", b"null"])
def test_a_damaged_cache_is_made_anew(served: Machine, damage: bytes) -> None:
    assert served.run("solve").returncode == 0
    before = served.lock("one").read_text()
    kept = [*(served.cache / "conda" / "packages").iterdir()]
    kept += (served.cache / "conda" / "repodata" / "shards-v1").iterdir()
    assert {"".join(path.suffixes) for path in kept} == {
        ".contents.json", ".described.json", ".files.json", ".msgpack"
    }  # fmt: skip
    for path in kept:
        path.write_bytes(damage)
    done = served.run("solve", "--no-audit", "--offline")
    assert done.returncode == 3
    assert "not whole, and --offline was given" in done.stderr, done.stderr
    done = served.run("solve")
    assert done.returncode == 0, done.stderr
    assert served.lock("one").read_text() == before


def test_check_offline(served: Machine, index: Index) -> None:
    assert served.run("solve").returncode == 0
    before = len(index.asked)
    done = served.run("solve", "--check", ENVLOCK_CHANNELS="http://127.0.0.1:9")
    assert (done.returncode, len(index.asked)) == (0, before), done.stderr


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda a: a["name"] != "python", "requires python >=3.12,<3.13.0a0, it is not there"),
        (lambda a: a["name"] != "pandas", "the spec requires pandas, it is not there"),
        (lambda a: a["name"] != "numpy", "pandas 2.2.0 requires numpy >=1.19, it is not there"),
    ],
)
def test_check_sees_what_does_not_fit(served: Machine, break_it: object, message: str) -> None:
    from envlock.lock.plain import seal

    assert callable(break_it)
    assert served.run("solve").returncode == 0
    value = json.loads(served.lock("one").read_text())
    value["artifacts"] = [a for a in value["artifacts"] if break_it(a)]
    value["seal"] = seal(value)
    served.lock("one").write_text(json.dumps(value))
    done = served.run("solve", "--check")
    assert done.returncode == 1
    assert message in done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depends": ["!!"]}, "requires '!!', which is no match spec"),
        ({"version": "a b"}, "has the version 'a b', which conda does not know"),
    ],
)
def test_check_of_nonsense(served: Machine, change: dict[str, object], message: str) -> None:
    from envlock.lock.plain import seal

    assert served.run("solve").returncode == 0
    value = json.loads(served.lock("one").read_text())
    artifact = value["artifacts"][0] | change
    build = artifact["conda"]["build"]
    artifact["file"] = f"{artifact['name']}-{artifact['version']}-{build}.conda"
    artifact["path"] = f"linux-64/{artifact['file']}"
    artifact["seal"] = seal(artifact)
    value["artifacts"][0] = artifact
    value["seal"] = seal(value)
    served.lock("one").write_text(json.dumps(value))
    done = served.run("solve", "--check")
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_check_sees_a_pin_that_is_not_voided(served: Machine) -> None:
    from envlock.lock.plain import seal

    assert served.run("solve").returncode == 0
    value = json.loads(served.lock("one").read_text())
    value["overrides"] = []
    value["seal"] = seal(value)
    served.lock("one").write_text(json.dumps(value))
    done = served.run("solve", "--check")
    assert "scipy 1.14.0 requires numpy >=1.26,<3, has 1.24.4" in done.stderr


def test_a_token_of_the_machine(served: Machine, index: Index) -> None:
    (served.project / "envs" / "one.yaml").write_text(SPEC.partition("pypi:")[0])
    index.token = "s3cret"
    refused = served.run("solve")
    assert refused.returncode == 3
    assert "the conda channel main cannot be read" in refused.stderr
    done = served.run("solve", ENVLOCK_TOKEN_MAIN="s3cret")
    assert done.returncode == 0, done.stderr
    assert "s3cret" not in done.stderr + served.lock("one").read_text()


def test_netrc(served: Machine, index: Index) -> None:
    (served.project / "envs" / "one.yaml").write_text(SPEC.partition("pypi:")[0])
    index.login = ("user", "s3cret")
    netrc = served.root / "home" / ".netrc"
    netrc.write_text("machine 127.0.0.1 login user password s3cret\n")
    netrc.chmod(0o600)
    done = served.run("solve")
    assert done.returncode == 0, done.stderr


def test_a_secret_in_a_spec_is_refused(served: Machine) -> None:
    text = SPEC.replace("[main]", '[{name: main, url: "https://e.example.com/t/s3cret/main"}]')
    (served.project / "envs" / "one.yaml").write_text(text)
    done = served.run("solve")
    assert done.returncode == 2
    assert "s3cret" not in done.stderr


def test_json(served: Machine) -> None:
    done = served.run("solve", "--json")
    (one,) = json.loads(done.stdout)["environments"]
    assert one["artifacts"] == 5
    assert {"dependent": "scipy", "version": "1.14.0", "requirement": "numpy >=1.26,<3"} in one[
        "voided"
    ]


def test_upgrade_one(served: Machine) -> None:
    body = SPEC.partition("overrides:")[0]
    spec = served.project / "envs" / "one.yaml"
    spec.write_text(body.replace("dependencies: [scipy", 'dependencies: ["numpy<2", scipy'))
    assert served.run("solve").returncode == 0
    spec.write_text(body)
    assert served.run("solve").returncode == 0
    assert _numpy(served) == "1.26.4"
    done = served.run("solve", "-P", "numpy")
    assert "~ numpy 1.26.4 -> 2.0.0" in done.stderr
    assert _numpy(served) == "2.0.0"


def _numpy(machine: Machine) -> str:
    lock = load_lock(machine.lock("one"))
    return next(a.version for a in lock.of_kind("conda") if a.name == "numpy")


def test_the_exit_code_is_ours_however_soon_it_comes(served: Machine) -> None:
    """rattler's threads may outlive a solve that fails; they must not abort the process."""
    (served.project / "envs" / "one.yaml").write_text(
        SPEC.partition("pypi:")[0].replace("scipy, pandas", "nothing-like-this")
    )
    first = served.run("solve")
    assert "no channel (main) has nothing-like-this" in first.stderr
    running = [served.start("solve") for _ in range(12)]
    for one in running:
        said = one.communicate(timeout=120)[1]
        assert (one.returncode, "Fatal Python error" in said) == (1, False), said


def test_why(served: Machine) -> None:
    assert served.run("solve").returncode == 0
    done = served.run("why", "one", "numpy")
    assert done.returncode == 0, done.stderr
    for line in (
        "numpy 1.24.4 (conda, ",
        "the override of numpy forces it: an old ABI",
        "app 1.0 requires numpy>=1.20",
        "pandas 2.2.0 requires numpy >=1.19",
        "scipy 1.14.0 requires numpy >=1.26,<3; voided by the override of numpy",
    ):
        assert line in done.stdout
    edges = json.loads(served.run("why", "one", "numpy", "--json").stdout)["packages"][0]
    assert ("app", None) in {(e["dependent"], e["voided_by"]) for e in edges["requirements"]}


def test_diff_and_list(served: Machine) -> None:
    assert served.run("solve").returncode == 0
    old = served.root / "old.json"
    old.write_bytes(served.lock("one").read_bytes())
    spec = served.project / "envs" / "one.yaml"
    spec.write_text(SPEC.partition("overrides:")[0])
    assert "stale" in served.run("list").stdout
    assert served.run("solve", "-U").returncode == 0
    done = served.run("diff", str(old), str(served.lock("one")))
    assert "~ numpy 1.24.4 -> 2.0.0" in done.stdout
    listed = served.run("list", "one").stdout
    assert "scipy   1.14.0  conda" in listed
