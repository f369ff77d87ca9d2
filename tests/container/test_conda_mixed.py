"""Python and numpy from conda, an override on wheels, Debian below: the whole way, for real."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from packaging.tags import sys_tags

from envlock.config import load_config
from envlock.fetch.artifacts import Fetcher
from envlock.fetch.http import Http
from envlock.fetch.indexes import SimpleIndex
from envlock.fetch.store import Store

from ..image.making import check_layout
from ..makers.conda import (  # fmt: skip
    PLACEHOLDER,
    Content,
    Link,
    Prefixed,
    Program,
    distribution,
    index_channel,
    make_conda,
)
from ..makers.cpython import FEATURE, make_python
from ..makers.index import Index
from .judges import need

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.container,
    pytest.mark.network,
    pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the wheels here are for 3.11"),
]
SITE = f"lib/python{FEATURE}/site-packages"
SPEC = f"""\
version: 1
name: mixed
platforms:
  linux-64: {{glibc: "2.36", cuda: "12.4"}}
python: "{FEATURE}"
debian:
  suite: bookworm
  packages:
    [libstdc++6, libcrypt1, libssl3, libffi8, libsqlite3-0, libuuid1, libbz2-1.0, dash, libexpat1,
     liblzma5, zlib1g]
conda:
  channels: [main]
  dependencies: [python, "numpy<2", accel, tools, pure]
  link-scripts: {{tools: run}}
pypi:
  dependencies: ["botocore==1.29.165"]
overrides:
  - package: urllib3
    version: "==2.2.3"
    against: {{botocore: "urllib3<1.27,>=1.25.4"}}
    because: only urllib3 2 is allowed here
    checks: [{{version: 2.2.3}}, {{import: urllib3}}]
image: {{user: nonroot, command: [python]}}
checks:
  - import: numpy
  - import: botocore
  - run: [tool]
  - run: [pure]
  - run: [sh, -c, test -f /opt/env/linked]
  - run: [python, -c, "import numpy; assert numpy.ones(3).sum() == 3"]
"""
ASKED = "import os, sys; print(sys.prefix, os.environ['TOOLS_HOME'])"


@dataclass(frozen=True)
class Project:
    """A project on this machine, whose channel is served on loopback."""

    root: Path
    channel: str

    def __call__(self, *words: str, code: int = 0, cache: str = "cache") -> str:
        done = subprocess.run(
            [sys.executable, "-m", "envlock", *words],
            cwd=self.root,
            env={
                **os.environ,
                "ENVLOCK_CACHE_DIR": str(self.root / cache),
                "ENVLOCK_CHANNEL_MAIN": self.channel,
                "NO_PROXY": "127.0.0.1",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == code, f"{words}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 else done.stderr

    @property
    def lock(self) -> Path:
        return self.root / "locks" / "mixed.linux-64.lock.json"


def make_numpy(channel: Path, scratch: Path) -> None:
    """Write numpy's wheel for this Python as a conda package."""
    http = Http()
    index = SimpleIndex(load_config(os.environ).index_urls(), http)
    tags = {str(tag) for tag in sys_tags()}
    (file,) = [
        file
        for file in index.files("pypi", "numpy")
        if file.filename.startswith("numpy-1.26.4-")
        and any(tag in file.filename for tag in tags if "manylinux_2_17" in tag)
        and file.filename.endswith(".whl")
    ]
    size = file.size
    assert size is not None
    wheel = Fetcher(Store(scratch), http).one(
        [file.url], name=file.filename, sha256=file.digests["sha256"], size=size
    )
    files: dict[str, Content] = {}
    with zipfile.ZipFile(wheel) as archive:
        for name in (name for name in archive.namelist() if not name.endswith("/")):
            data = archive.read(name)
            files[f"{SITE}/{name}"] = Program(data) if ".so" in name else data
    make_conda(
        channel, "numpy", "1.26.4", build="py_0", depends=[f"python {FEATURE}.*"], files=files
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    need("bwrap")
    root = tmp_path_factory.mktemp("mixed")
    channel = root / "channels" / "main"
    make_python(channel)
    make_numpy(channel, root / "cache")
    for build, depends in (("cuda_0", ["__cuda >=12.4"]), ("cpu_0", [])):
        make_conda(channel, "accel", "2.4.0", build=build, depends=depends,
                   build_number=len(depends), files={"lib/accel": build})  # fmt: skip
    make_conda(
        channel, "pure", "2.5", noarch="python", build="py_0", depends=["python"],
        files=distribution("pure", "2.5", files={"pure/__init__.py": "def main(): return 0\n"}),
        entry_points=["pure = pure:main"],
    )  # fmt: skip
    make_conda(
        channel, "tools", "1.0",
        files={
            "bin/really": Prefixed(f"#!{PLACEHOLDER}/bin/python\nprint('tool')\n", executable=True),
            "bin/tool": Link("really"),
            "share/where": Prefixed(b"\0" + PLACEHOLDER.encode() + b"/share\0", binary=True),
            "etc/conda/activate.d/tools.sh": 'export TOOLS_HOME="$CONDA_PREFIX/share"\n',
            "bin/.tools-post-link.sh": Program("#!/bin/sh\n: > $PREFIX/linked\n"),
        },
    )  # fmt: skip
    index_channel(channel)
    (root / "envs").mkdir()
    (root / "envs" / "mixed.yaml").write_text(SPEC)
    with Index(root / "index", folders={"conda": root / "channels"}) as index:
        yield Project(root, f"{index.base}/conda/main")


@pytest.fixture(scope="module")
def digest(project: Project) -> str:
    """Solve and build; return the image's digest."""
    project("solve", "mixed")
    return project("build", "mixed", "--record").strip()


def test_the_lock(project: Project, digest: str) -> None:
    text = project.lock.read_text()
    assert "://" not in text
    artifacts = {(a["kind"], a["name"]): a for a in json.loads(text)["artifacts"]}
    assert artifacts["conda", "accel"]["conda"]["build"] == "cuda_0"
    assert artifacts["conda", "numpy"]["conda"]["provides"] == [["numpy", "1.26.4"]]
    assert artifacts["conda", "tools"]["conda"]["link_scripts"] == ["bin/.tools-post-link.sh"]
    assert artifacts["conda", "tools"]["conda"]["link_unhandled"] == [": > $PREFIX/linked"]
    assert ("pypi", "numpy") not in artifacts
    assert artifacts["pypi", "urllib3"]["version"] == "2.2.3"
    project("solve", "mixed")
    assert project.lock.read_text() == text
    project("solve", "--check", "mixed")


def test_a_second_time_elsewhere_it_has_the_same_digest(project: Project, digest: str) -> None:
    assert check_layout(project.root / "build" / "mixed") == digest
    shutil.copytree(project.root / "cache" / "artifacts", project.root / "other" / "artifacts")
    again = project("build", "mixed", "--offline", "--no-validate", "-o", "second", cache="other")
    assert again.strip() == digest


def test_it_runs(project: Project, digest: str) -> None:
    assert project("run", "mixed", "--", "python", "-c", ASKED) == "/opt/env /opt/env/share\n"
    assert project("run", "mixed", "--", "tool") == "tool\n"
    place = "/opt/env/share/where"
    where = project("run", "mixed", "--", "python", "-c", f"print(open({place!r}, 'rb').read(17))")
    assert where == "b'\\x00/opt/env/share\\x00\\x00'\n"
    linked = "import os; print(os.path.exists('/opt/env/linked'))"
    assert project("run", "mixed", "--", "python", "-c", linked) == "True\n"


def test_who_asked_for_what(project: Project, digest: str) -> None:
    assert "tools 1.0" in project("why", "mixed", "tools")
    assert "the override of urllib3 forces it" in project("why", "mixed", "urllib3")
    listed = json.loads(project("--json", "list", "mixed"))["packages"]
    assert {one["kind"] for one in listed} == {"conda", "debian", "pypi"}
    assert "no difference" in project("diff", str(project.lock), str(project.lock))


def test_a_tampered_cache_is_seen(project: Project, digest: str) -> None:
    shutil.copytree(project.root / "cache" / "artifacts", project.root / "bad" / "artifacts")
    one = next(a for a in json.loads(project.lock.read_text())["artifacts"] if a["name"] == "tools")
    place = project.root / "bad" / "artifacts" / one["sha256"][:2] / one["sha256"]
    place.chmod(0o644)
    place.write_bytes(bytes([place.read_bytes()[0] ^ 1]) + place.read_bytes()[1:])
    said = project("build", "mixed", "--offline", "-o", "third", code=3, cache="bad")
    assert "tools-1.0-h0_0.conda" in said
    assert not (project.root / "third").exists()
