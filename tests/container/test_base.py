"""A base image with a real Python, out of a real registry, and into the hands of others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ..image.making import blobs, check_layout
from ..makers.fixtures import index, machine, mirror
from ..validate.images import PYTHON, Layout, link, member, python_layer
from .judges import need, registry, skopeo

if TYPE_CHECKING:
    from pathlib import Path

    from ..makers.index import Index
    from ..makers.machine import Machine
    from .judges import Podman

__all__ = ["index", "machine", "mirror"]

pytestmark = [
    pytest.mark.container,
    pytest.mark.skipif(PYTHON != "3.11", reason="the spec is for Python 3.11"),
]


def test_it_is_built_upon_proven_and_run(
    machine: Machine, index: Index, tmp_path: Path, podman: Podman
) -> None:
    need("docker-registry", "skopeo", "bwrap")
    (tmp_path / "base").mkdir()
    base = Layout(tmp_path / "base", config={"Env": ["HI=hello"], "WorkingDir": "/srv"})
    upper = [member("home/.wh.nonroot", ""), member("srv"), link("etc/alias", "passwd")]
    base.raw_layer(python_layer()).layer(*upper).write()
    index.wheel("app", "1.0", files={"app/__init__.py": "VALUE = 42\n"}, offer={"metadata": True})
    with registry(tmp_path) as address:
        name = f"{address}/team/base:v1"
        skopeo(
            "copy", "--dest-tls-verify=false", "--format", "v2s2", f"oci:{tmp_path}/base",
            f"docker://{name}", temporary=tmp_path,
        )  # fmt: skip
        machine.write_spec(
            "one",
            f"pypi:\n  dependencies: [app]\nimage:\n  base: {name}\n"
            "  command: [python3, -c, 'import app, os; print(app.VALUE, os.getenv(\"HI\"))']\n"
            "checks:\n  - import: app\n"
            "  - run: [python3, -c, 'import os; assert not os.path.exists(\"/home/nonroot\")']\n",
            debian=False,
        )
        solved = machine.run("solve")
        assert solved.returncode == 0, solved.stderr
        pushed = f"{address}/team/one:v1"
        done = machine.run("build", "-o", "one", "--push", pushed)
        assert done.returncode == 0, done.stderr
        assert "Passed" in done.stderr
        layout = machine.project / "one"
        assert check_layout(layout) == done.stdout.strip()
        back = tmp_path / "back"
        skopeo(
            "copy", "--src-tls-verify=false", f"docker://{pushed}", f"oci:{back}:one",
            temporary=tmp_path,
        )  # fmt: skip
        assert blobs(back) == blobs(layout)
        podman("pull", "-q", "--tls-verify=false", pushed)
        assert podman.run_image(pushed) == "42 hello\n"
        raw = json.loads(
            skopeo("inspect", "--tls-verify=false", "--raw", f"docker://{name}", temporary=tmp_path)
        )
    (entry,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    manifest = json.loads((layout / "blobs" / entry["digest"].replace(":", "/")).read_bytes())
    below = [layer["digest"] for layer in raw["layers"]]
    assert raw["mediaType"].startswith("application/vnd.docker")
    assert [layer["digest"] for layer in manifest["layers"]][: len(below)] == below
    assert {layer["mediaType"] for layer in manifest["layers"]} == {
        "application/vnd.oci.image.layer.v1.tar+gzip"
    }
