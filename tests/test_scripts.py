"""The two commands of the README: what they install, by the machine's own /bin/sh."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RECORDED = '#!/bin/sh\necho "$(basename "$0") $*" >> "$RECORD"\n'
NEEDED = "bubblewrap ca-certificates debian-archive-keyring"
JUDGES = (
    "skopeo umoci podman buildah docker-registry containerd uidmap pigz zstd nix-bin chromium "
    "gcc libc6-dev python3-dev"
)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A checkout with its scripts alone, on a machine that has no Debian package installed."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    commands = tmp_path / "commands"
    tools = tmp_path / ".venv" / "bin"
    for folder, names in (
        (commands, ("apt-get", "python3")),
        (tools, ("pip", "ruff", "mypy", "lint-imports", "sphinx-build", "pytest", "envlock")),
    ):
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_text(RECORDED)
            (folder / name).chmod(0o755)
    for name, text in {
        "dpkg-query": "#!/bin/sh\nexit 1\n",
        "id": "#!/bin/sh\necho 0\n",
    }.items():
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    return tmp_path


def run(bare: Path, *command: str) -> list[str]:
    """What was called, a line each."""
    record = bare / "record"
    subprocess.run(
        [bare / "scripts" / command[0], *command[1:]],
        check=True,
        cwd="/",
        env={"PATH": f"{bare / 'commands'}:{os.environ['PATH']}", "RECORD": str(record)},
    )
    return record.read_text().splitlines()


def installed(calls: list[str]) -> list[str]:
    return [call for call in calls if call.startswith("apt-get install")]


def test_the_tests_install_the_outside_judges(bare: Path) -> None:
    calls = run(bare, "test", "-x", "tests/lock")
    assert installed(calls) == [
        f"apt-get install -y -qq --no-install-recommends {NEEDED} {JUDGES}",
    ]
    assert calls[-1] == "pytest -n auto --dist loadfile -m  -x tests/lock"


def test_fast_tests_install_no_judges_and_hand_their_options_to_pytest_alone(bare: Path) -> None:
    calls = run(bare, "test", "--fast", "-x")
    assert installed(calls) == [f"apt-get install -y -qq --no-install-recommends {NEEDED}"]
    assert calls[-1] == "pytest -n auto --dist loadfile -m not network and not container -x"


def test_the_first_environment_installs_what_envlock_needs(bare: Path) -> None:
    calls = run(bare, "first-environment")
    assert installed(calls) == [f"apt-get install -y -qq --no-install-recommends {NEEDED}"]
    assert calls[-2:] == ["envlock solve bnb-cu124", "envlock build bnb-cu124"]
