"""``envlock install``: whose folder it is, what is refused, and that nothing is left half done."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from envlock.errors import ArtifactError, CheckFailedError, IntegrityError, UsageError
from envlock.install import prefix as prefix_module
from envlock.install.environment import install, require_this_machine
from envlock.install.interpreter import find_interpreter
from envlock.install.prefix import MARKER, check_prefix, read_marker, staging
from envlock.progress import SILENT

from ..image.making import Environment, environment_of
from ..layers_conda.building import zoo
from ..makers.wheels import make_wheel

if TYPE_CHECKING:
    from envlock.install.environment import Environment as Done

SOURCE = Path(__file__).resolve().parents[2] / "src"
FEATURE = f"{sys.version_info[0]}.{sys.version_info[1]}"
INTERPRETER = find_interpreter(FEATURE, sys.executable, os.defpath)


def wheels(folder: Path, *more: Path) -> Environment:
    one = make_wheel(
        folder, "one", "1.0",
        files={"one/__init__.py": "def main(): print('one')\n", "one/data.txt": "x" * 3000},
        entry_points={"console_scripts": {"one": "one:main"}},
    )  # fmt: skip
    two = make_wheel(folder, "two", "2.0", data={"scripts/two": b"#!python\nprint('two')\n"})
    return environment_of(one, two, *more, python=FEATURE)


def installed(environment: Environment, prefix: Path) -> Done:
    return install(
        environment.lock, environment.paths, prefix, INTERPRETER, SILENT, workers=1, prove=None
    )


def tree(prefix: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(prefix)): (path.stat().st_mode, path.read_bytes())
        for path in sorted(prefix.rglob("*"))
        if path.is_file()
    }


def test_wheels_with_the_machines_python(tmp_path: Path) -> None:
    environment = wheels(tmp_path)
    prefix = tmp_path / "with space" / "prefix"
    installed(environment, prefix)
    for script in ("one", "two"):
        done = subprocess.run(
            [prefix / "bin" / script], env={}, capture_output=True, text=True, check=True
        )
        assert done.stdout == f"{script}\n"
    said = subprocess.run(
        [prefix / "bin" / "python", "-c", "import sys, one; print(sys.prefix)"],
        env={}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout == f"{prefix}\n"
    assert read_marker(prefix).lock == environment.lock


def test_again_is_the_same_and_removes_what_is_not_locked(tmp_path: Path) -> None:
    environment, prefix = wheels(tmp_path), tmp_path / "prefix"
    installed(environment, prefix)
    before = tree(prefix)
    (prefix / "lib" / "mine").write_text("added")
    (prefix / "bin" / "one").unlink()
    installed(environment, prefix)
    assert tree(prefix) == before
    fewer = [a for a in environment.lock.artifacts if a.name != "two"]
    installed(
        Environment(replace(environment.lock, artifacts=tuple(fewer)), environment.paths), prefix
    )
    assert not (prefix / "bin" / "two").exists()
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.endswith(".whl")) == ["prefix"]


def test_conda_packages(tmp_path: Path) -> None:
    environment, prefix = zoo(tmp_path / "artifacts"), tmp_path / "prefix"
    done = install(environment.lock, environment.paths, prefix, None, SILENT, workers=2, prove=None)
    assert done.env == {"TOOL_MODE": "fast", "TOOL_HOME": f"{prefix}/share"}
    assert done.activation == (("tools", "etc/conda/activate.d/more.sh"),)
    assert done.link_scripts == (("tools", "bin/.tools-post-link.sh"),)
    assert (prefix / "bin" / "tool").read_text().startswith(f"#!{prefix}/bin/python3.12 -u\n")
    assert (prefix / "conda-meta" / "history").read_bytes() == b""
    assert (prefix / "lib" / "data").resolve() == prefix / "share" / "tool" / "größe"
    assert not (prefix / "pyvenv.cfg").exists()


@pytest.mark.parametrize("at_once", [True, False])
def test_killed_while_it_is_exchanged(
    at_once: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is a whole environment at any moment; where that cannot be, the next run mends it."""
    if not at_once:  # as on file systems that cannot exchange
        monkeypatch.setattr(prefix_module, "exchange", lambda one, other: False)
    environment, prefix = wheels(tmp_path), tmp_path / "prefix"
    installed(environment, prefix)
    before = tree(prefix)
    fewer = tuple(one for one in environment.lock.artifacts if one.name != "two")
    changed = Environment(replace(environment.lock, artifacts=fewer), environment.paths)
    job = tmp_path / "job.py"
    job.write_text(KILLED.format(prefix=str(prefix), at_once=at_once))
    done = subprocess.run(
        [sys.executable, job], env={"PYTHONPATH": str(SOURCE)}, capture_output=True, check=False
    )
    assert done.returncode == -9, done.stderr
    assert prefix.exists() == at_once
    with pytest.raises(IntegrityError):  # what comes next fails, and still puts it back
        installed(Environment(changed.lock, {one.sha256: job for one in fewer}), prefix)
    assert set(tree(prefix)) == ({"new", MARKER} if at_once else set(before))
    installed(environment, prefix)
    assert tree(prefix) == before
    assert not list(tmp_path.glob(".prefix.*"))


KILLED = """\
import os, signal
from pathlib import Path
from envlock.install import prefix as module
if not {at_once}:
    module.exchange = lambda one, other: False
rename, steps = Path.rename, []
def until_killed(self, target):
    steps.append(self)
    if len(steps) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)
Path.rename = until_killed
module.shutil.rmtree = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
with module.staging(Path({prefix!r})) as root:
    (root / "new").write_text("whole")
    (root / module.MARKER).write_bytes(Path({prefix!r}, module.MARKER).read_bytes())
    module.publish(root, Path({prefix!r}))
"""
"""Ends itself in the middle of an exchange."""


@pytest.mark.parametrize("kind", ["file", "link", "foreign folder"])
def test_what_is_somebody_elses_stays(tmp_path: Path, kind: str) -> None:
    prefix = tmp_path / "prefix"
    if kind == "file":
        prefix.write_text("mine")
    elif kind == "link":
        (tmp_path / "other").mkdir()
        prefix.symlink_to("other")
    else:
        prefix.mkdir()
        (prefix / "mine").touch()
    with pytest.raises(UsageError, match=r"no folder|envlock did not make it"):
        installed(wheels(tmp_path / "w"), prefix)
    assert prefix.is_symlink() or prefix.is_file() or (prefix / "mine").exists()


@pytest.mark.parametrize("name", ["a:b", 'a"b', "a'b", "a$b", "a\\b", "a\nb", "a`b"])
def test_places_that_no_script_can_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot lie at"):
        check_prefix(tmp_path / name)


def test_what_another_environments_installation_left_is_not_swept(tmp_path: Path) -> None:
    """A name may look like a pattern of names."""
    mine, others = tmp_path / ".[ab].installing.x", tmp_path / ".a.installing.x"
    for folder in (mine, others):
        folder.mkdir()
    with staging(tmp_path / "[ab]"):
        assert others.is_dir()
        assert not mine.exists()


def test_a_failed_proof_changes_nothing(tmp_path: Path) -> None:
    environment, prefix = wheels(tmp_path), tmp_path / "prefix"

    def refuse(content: Path, _marker: object) -> None:
        assert (content / "bin" / "one").is_file()
        raise CheckFailedError("no")

    for before in ([], ["bin", "lib", "lib64", MARKER, "pyvenv.cfg"]):
        with pytest.raises(CheckFailedError):
            install(
                environment.lock, environment.paths, prefix, INTERPRETER, SILENT, workers=1,
                prove=refuse,
            )  # fmt: skip
        assert prefix.exists() == bool(before)
        if not before:
            installed(environment, prefix)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_tampered_wheel(tmp_path: Path) -> None:
    environment = wheels(tmp_path)
    next(iter(environment.paths.values())).write_bytes(b"PK other")
    with pytest.raises(IntegrityError, match="is not the locked file"):
        installed(environment, tmp_path / "prefix")
    assert not (tmp_path / "prefix").exists()


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("one/data.txt", "both install .*/one/data.txt, and differently"),
        ("one/data.txt/below", "installs the file .*/one/data.txt, and"),
    ],
)
def test_clashes(tmp_path: Path, file: str, message: str) -> None:
    rude = make_wheel(tmp_path, "rude", "1.0", files={file: b"other"})
    with pytest.raises(ArtifactError, match=message):
        installed(wheels(tmp_path, rude), tmp_path / "prefix")
    assert not (tmp_path / "prefix").exists()


def test_no_such_python(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"is for Python 3\.99, and this machine has none"
    ) as caught:
        find_interpreter("3.99", None, f"{Path(sys.executable).parent}")
    assert "CPython 3." in str(caught.value)
    with pytest.raises(UsageError, match="this is no Python that can be run"):
        find_interpreter(FEATURE, str(tmp_path), os.defpath)


def test_another_machine(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="locked for linux-64, and this machine is riscv64"):
        require_this_machine(wheels(tmp_path).lock, "riscv64")


def test_not_an_environment(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no environment that envlock installed"):
        read_marker(tmp_path)
