"""A base image with a real Python, out of a real registry, and into the hands of others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ..image.making import blobs, check_layout
from ..makers.bases import DOCKER_LAYER, system
from ..makers.fixtures import index, machine, mirror
from ..validate.images import PYTHON, Layout, link, member, python_layer, tar_of
from .judges import containerd, need, need_root, registry, run, skopeo

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


COMMAND = "[python3, -c, 'import app, os; print(app.VALUE, os.getenv(\"HI\"))']"
SPEC = """
pypi:
  dependencies: [app]
image:
  base: {base}
  command: {command}
checks:
  - import: app
  - run: [python3, -c, 'import os; assert not os.path.exists("/home/nonroot")']
"""


def push_base(folder: Path, name: str, compression: str) -> dict[str, Any]:
    """Push an image with a Python, by skopeo, and return its manifest."""
    (folder / "base").mkdir()
    base = Layout(folder / "base", config={"Env": ["HI=hello"], "WorkingDir": "/srv"})
    upper = [member("home/.wh.nonroot", ""), member("srv"), link("etc/alias", "passwd")]
    plain = compression == "zstd"
    base.raw_layer(python_layer(), plain=plain)
    base.raw_layer(tar_of(*upper), plain=plain).write()
    source, words = f"oci:{folder}/base", ["--format", "v2s2"]
    if compression == "zstd":
        packed = f"oci:{folder}/packed:base"
        skopeo("copy", "--dest-compress-format", "zstd", source, packed, temporary=folder)
        source, words = packed, ["--preserve-digests"]
    skopeo("copy", "--dest-tls-verify=false", *words, source, f"docker://{name}", temporary=folder)
    raw = skopeo("inspect", "--tls-verify=false", "--raw", f"docker://{name}", temporary=folder)
    return dict(json.loads(raw))


@pytest.mark.parametrize(
    ("compression", "kind"),
    [
        ("gzip", "application/vnd.docker.image.rootfs.diff.tar.gzip"),
        ("zstd", "application/vnd.oci.image.layer.v1.tar+zstd"),
    ],
)
def test_it_is_built_upon_proven_and_run(
    machine: Machine, index: Index, tmp_path: Path, podman: Podman, compression: str, kind: str
) -> None:
    need("docker-registry", "skopeo", "bwrap", "containerd", "ctr", "runc")
    index.wheel("app", "1.0", files={"app/__init__.py": "VALUE = 42\n"}, offer={"metadata": True})
    with registry(tmp_path) as address:
        name = f"{address}/team/base:v1"
        below = push_base(tmp_path, name, compression)["layers"]
        assert {layer["mediaType"] for layer in below} == {kind}
        machine.write_spec("one", SPEC.format(base=name, command=COMMAND), debian=False)
        solved = machine.run("solve")
        assert solved.returncode == 0, solved.stderr
        pushed = f"{address}/team/one:v1"
        done = machine.run("build", "-o", "one", "--push", pushed)
        assert done.returncode == 0, done.stderr
        assert "Passed" in done.stderr
        layout = machine.project / "one"
        digest = check_layout(layout)
        assert digest == done.stdout.strip()
        back = tmp_path / "back"
        skopeo(
            "copy", "--src-tls-verify=false", f"docker://{pushed}", f"oci:{back}:one",
            temporary=tmp_path,
        )  # fmt: skip
        assert blobs(back) == blobs(layout)
        podman("pull", "-q", "--tls-verify=false", pushed)
        assert podman.run_image(pushed) == "42 hello\n"
        with containerd(tmp_path) as ctr:
            ctr("images", "pull", "--plain-http", "--snapshotter", "native", pushed)
            assert digest in ctr("images", "list")
            ran = ctr("run", "--rm", "--snapshotter", "native", pushed, "one")
            assert ran == "42 hello\n"
    manifest = json.loads((layout / "blobs" / digest.replace(":", "/")).read_bytes())
    kinds = {"application/vnd.oci.image.layer.v1.tar+gzip", kind} - {DOCKER_LAYER}
    assert {layer["mediaType"] for layer in manifest["layers"]} == kinds
    lower = manifest["layers"][: len(below)]
    assert [layer["digest"] for layer in lower] == [layer["digest"] for layer in below]


def test_umoci_unpacks_what_stands_on_a_base(
    machine: Machine, index: Index, tmp_path: Path
) -> None:
    need("umoci", "docker-registry", "skopeo")
    index.wheel("app", "1.0", files={"app/__init__.py": "VALUE = 42\n"}, offer={"metadata": True})
    with registry(tmp_path) as address:
        name = f"{address}/team/base:v1"
        push_base(tmp_path, name, "gzip")
        machine.write_spec("one", SPEC.format(base=name, command=COMMAND), debian=False)
        for words in (["solve"], ["build", "-o", "one", "--no-validate"]):
            done = machine.run(*words)
            assert done.returncode == 0, done.stderr
    bundle = tmp_path / "bundle"
    run("umoci", "unpack", "--rootless", "--image", f"{machine.project / 'one'}:one", bundle)
    root = bundle / "rootfs"
    assert run(root / "opt/env/bin/python3", "-c", "import app; print(app.VALUE)") == "42\n"
    assert not (root / "home/nonroot").exists()


SETTINGS = {
    "User": "app",
    "Env": ["PATH=/usr/bin:/bin", "A=1", "B=two words"],
    "Entrypoint": ["/bin/entry", "--flag"],
    "Cmd": ["base-command"],
    "WorkingDir": "/srv",
    "Labels": {"a": "b"},
    "ExposedPorts": {"80/tcp": {}},
    "Volumes": {"/data": {}},
    "StopSignal": "SIGINT",
    "Shell": ["/bin/bash", "-c"],
    "Healthcheck": {"Test": ["CMD", "true"], "Interval": 3_000_000_000},
}
LIKE_A_DOCKERFILE = [
    ("", ""),
    ("  command: [mine]\n", 'CMD ["mine"]\n'),
    ("  entrypoint: [mine]\n", 'ENTRYPOINT ["mine"]\n'),
    (
        """
  entrypoint: [mine, two]
  command: [c]
  user: "7:8"
  workdir: /w
  env: {A: "2"}
  labels: {a: c, d: e}
""",
        'ENTRYPOINT ["mine", "two"]\nCMD ["c"]\nUSER 7:8\nWORKDIR /w\nENV A=2\nLABEL a=c d=e\n',
    ),
]


def test_settings_are_what_a_dockerfile_makes_of_them(
    machine: Machine, index: Index, tmp_path: Path
) -> None:
    need("buildah", "docker-registry", "skopeo")
    need_root()
    index.wheel("app", "1.0", files={"app/__init__.py": "VALUE = 1\n"}, offer={"metadata": True})
    tool = ("buildah", f"--root={tmp_path}/store", f"--runroot={tmp_path}/run",
            "--storage-driver=vfs")  # fmt: skip
    with registry(tmp_path) as address:
        name = f"{address}/team/base:v1"
        push_settings(tmp_path, name)
        for number, (spec, lines) in enumerate(LIKE_A_DOCKERFILE):
            body = f"pypi:\n  dependencies: [app]\nimage:\n  base: {name}\n{spec}"
            machine.write_spec("one", body, debian=False)
            for words in (["solve"], ["build", "-o", "one", "--no-validate"]):
                done = machine.run(*words)
                assert done.returncode == 0, done.stderr
            (tmp_path / "Dockerfile").write_text(f"FROM {name}\n{lines}")
            run(
                *tool, "bud", "--isolation=chroot", "--format=docker", "--tls-verify=false", "-q",
                f"--tag=judge{number}", f"--file={tmp_path}/Dockerfile", tmp_path / "nothing",
            )  # fmt: skip
            told = json.loads(run(*tool, "inspect", "--type=image", f"judge{number}"))
            assert settings_of(machine.project / "one") == as_ours(told["Docker"]["config"])


def push_settings(folder: Path, name: str) -> None:
    """Push an image with all the settings there are."""
    (folder / "nothing").mkdir()
    (folder / "base").mkdir()
    base = Layout(folder / "base", config=SETTINGS)
    base.raw_layer(tar_of(*system())).write()
    skopeo(
        "copy", "--dest-tls-verify=false", "--preserve-digests", f"oci:{folder}/base",
        f"docker://{name}", temporary=folder,
    )  # fmt: skip


def settings_of(layout: Path) -> dict[str, Any]:
    manifest = json.loads((layout / "blobs" / check_layout(layout).replace(":", "/")).read_bytes())
    config = (layout / "blobs" / manifest["config"]["digest"].replace(":", "/")).read_bytes()
    return dict(json.loads(config)["config"])


def as_ours(settings: dict[str, Any]) -> dict[str, Any]:
    """Return what a Dockerfile made, with our PATH and without what buildah says of itself."""
    kept = {key: settings[key] for key in SETTINGS if settings.get(key)}
    kept["Labels"] = {k: v for k, v in kept["Labels"].items() if "buildah" not in k}
    env = dict(item.split("=", 1) for item in kept["Env"])
    env["PATH"] = f"/opt/env/bin:{env['PATH']}"
    return {**kept, "Env": [f"{key}={value}" for key, value in sorted(env.items())]}
