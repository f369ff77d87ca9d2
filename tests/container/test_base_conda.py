"""Conda packages upon a base image: their Python, their scripts, wheels on top, proven."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..image.making import check_layout
from ..makers.conda import (
    PLACEHOLDER,
    Link,
    Prefixed,
    Program,
    distribution,
    index_channel,
    make_conda,
)
from ..makers.cpython import make_python
from ..makers.fixtures import index, machine, mirror
from ..validate.images import PYTHON, Layout, member, python_layer, tar_of
from .judges import need, registry, skopeo

if TYPE_CHECKING:
    from ..makers.index import Index
    from ..makers.machine import Machine

__all__ = ["index", "machine", "mirror"]

pytestmark = [
    pytest.mark.container,
    pytest.mark.skipif(PYTHON != "3.11", reason="the spec is for Python 3.11"),
]
SPEC = """
conda:
  channels: [main]
  dependencies: [python, tools, pure]
  link-scripts: {{tools: run}}
pypi:
  dependencies: [app]
image:
  base: {base}
checks:
  - import: app
  - run: [tool]
  - run: [pure]
  - run: [python, -c, "import os, sys; assert sys.prefix == '/opt/env' == os.environ['AT']"]
  - run: [python, -c, "assert open('/opt/env/linked').read() == 'by sh' + chr(10)"]
"""


def make_channel(channel: Path) -> None:
    make_python(channel)
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
            "etc/conda/activate.d/tools.sh": 'export AT="$CONDA_PREFIX"\n',
            "bin/.tools-post-link.sh": Program("#!/bin/sh\necho by sh > $PREFIX/linked\n"),
        },
    )  # fmt: skip
    index_channel(channel)


def test_conda_upon_a_base_image(machine: Machine, index: Index, tmp_path: Path) -> None:
    need("docker-registry", "skopeo", "bwrap")
    (tmp_path / "base").mkdir()
    shell = [member("bin"), member("bin/sh", Path("/bin/sh").resolve().read_bytes(), mode=0o755)]
    base = Layout(tmp_path / "base").raw_layer(python_layer()).raw_layer(tar_of(*shell))
    base.write()
    make_channel(tmp_path / "channels" / "main")
    index.wheel("app", "1.0", files={"app/__init__.py": "VALUE = 42\n"}, offer={"metadata": True})
    machine.environ["ENVLOCK_CHANNEL_MAIN"] = (tmp_path / "channels" / "main").as_uri()
    with registry(tmp_path) as address:
        name = f"{address}/team/base:v1"
        skopeo(
            "copy", "--dest-tls-verify=false", "--preserve-digests", f"oci:{tmp_path}/base",
            f"docker://{name}", temporary=tmp_path,
        )  # fmt: skip
        machine.write_spec("one", SPEC.format(base=name), debian=False)
        solved = machine.run("solve")
        assert solved.returncode == 0, solved.stderr
        done = machine.run("build", "-o", "one", "--record")
        assert done.returncode == 0, done.stderr
        assert "Passed" in done.stderr
        assert check_layout(machine.project / "one") == done.stdout.strip()
        shutil.rmtree(machine.cache)  # scripts run again, and leave the same
        again = machine.run("build", "-o", "two", "--check", "--no-validate")
        assert (again.returncode, again.stdout) == (0, done.stdout), again.stderr
    ran = machine.run("validate", "one")
    assert ran.returncode == 0, ran.stderr
