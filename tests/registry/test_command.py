"""``envlock build --push`` and ``--load``, as people type them."""

from __future__ import annotations

import base64
import json
import os
import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from envlock.lock.codec import dump_lock, load_lock
from envlock.validate.foreign import is_run, program

from ..image.making import check_layout
from ..makers.proxy import Fault, Proxy
from ..makers.registry import Registry

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from ..makers.index import Index
    from ..makers.machine import Machine

SPEC = "pypi:\n  dependencies: [big]\n"


@pytest.fixture
def locked(machine: Machine, index: Index) -> Machine:
    index.wheel("big", "1.0", files={"big/data.bin": os.urandom(300_000)}, offer={"metadata": True})
    machine.write_spec("one", SPEC)
    done = machine.run("solve")
    assert done.returncode == 0, done.stderr
    return machine


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Registry() as registry, Proxy(registry.address) as proxy:
        yield proxy


def build(machine: Machine, *more: str, **environ: str) -> subprocess.CompletedProcess[str]:
    done = machine.run("build", "--no-validate", *more, environ=environ)
    assert "Traceback" not in done.stderr
    return done


def test_a_push_leaves_no_layout(locked: Machine, proxy: Proxy) -> None:
    reference = f"{proxy.address}/team/one:v1"
    done = build(locked, "one", "--push", reference, "--json")
    assert done.returncode == 0, done.stderr
    (image,) = json.loads(done.stdout)["images"]
    assert image["output"] is None
    pushed = image["pushed"]
    assert pushed["reference"] == reference
    assert pushed["digest"] == image["manifest"]
    assert pushed["sent"] > 300_000
    assert pushed["mounted"] == pushed["there"] == 0
    assert list((locked.project / "build").iterdir()) == [locked.project / "build" / ".gitignore"]
    local = build(locked, "one")
    assert local.stdout.strip() == image["manifest"]
    assert check_layout(locked.project / "build" / "one") == image["manifest"]


def test_what_the_registry_has_is_not_even_made(locked: Machine, proxy: Proxy) -> None:
    reference = f"{proxy.address}/team/one:v1"
    first = build(locked, "one", "--push", reference)
    before = proxy.received
    again = build(locked, "one", "--push", reference)
    assert again.stdout == first.stdout
    assert "0 B sent" in again.stderr
    assert proxy.received - before < 5000  # the manifest
    copy = build(locked, "one", "--push", f"{proxy.address}/team/copy:v1", "--json")
    pushed = json.loads(copy.stdout)["images"][0]["pushed"]
    assert (pushed["there"], pushed["mounted"] > 300_000) == (0, True)
    changed = locked.project / "envs" / "one.yaml"
    changed.write_text(changed.read_text() + "image: {env: {A: b}}\n")
    assert locked.run("solve").returncode == 0
    before = proxy.received
    other = build(locked, "one", "--push", reference)
    assert other.returncode == 0, other.stderr
    assert other.stdout != first.stdout
    assert proxy.received - before < 5000


def test_layout_and_registry_get_the_same(locked: Machine, proxy: Proxy) -> None:
    done = build(locked, "one", "-o", "here", "--push", f"{proxy.address}/one")
    assert done.returncode == 0, done.stderr
    assert check_layout(locked.project / "here") == done.stdout.strip()
    assert f"pushed {proxy.address}/one:latest ({done.stdout.strip()})" in done.stderr


def test_several_platforms_are_one_index(locked: Machine, proxy: Proxy) -> None:
    lock = load_lock(locked.lock("one"))
    wheels = lock.of_kind("pypi")
    spec = {k: v for k, v in lock.spec.items() if k != "debian"}
    spec["platform"] = {"name": "linux-aarch64", "glibc": "2.36"}
    other = replace(lock, platform="linux-aarch64", artifacts=wheels, debian=None, spec=spec)
    locked.lock("one").with_name("one.linux-aarch64.lock.json").write_text(dump_lock(other))
    if not is_run(program("arm64")):
        before = proxy.received
        refused = locked.run("build", "one", "--push", f"{proxy.address}/both:v1")
        assert refused.returncode == 1
        assert "this image is for linux/arm64 and this machine is" in refused.stderr
        assert "--no-validate" in refused.stderr
        assert (proxy.received, (locked.cache / "layers").exists()) == (before, False)
    done = build(locked, "one", "--push", f"{proxy.address}/both:v1", "--json")
    assert done.returncode == 0, done.stderr
    images = json.loads(done.stdout)["images"]
    assert [image["platform"] for image in images] == ["linux-64", "linux-aarch64"]
    (digest,) = {image["pushed"]["digest"] for image in images}
    assert digest not in {image["manifest"] for image in images}
    one = build(locked, "one", "--push", f"{proxy.address}/both:amd", "--platform", "linux-64")
    assert one.stdout.strip() == images[0]["manifest"]
    for more in (["-o", "x"], ["--load", "podman"]):
        refused = build(locked, "one", "--push", f"{proxy.address}/both:v1", *more)
        assert refused.returncode == 2
        assert "--platform" in refused.stderr


def test_names_of_several_environments(locked: Machine, proxy: Proxy) -> None:
    locked.write_spec("two", SPEC)
    assert locked.run("solve").returncode == 0
    refused = build(locked, "--push", f"{proxy.address}/all")
    assert refused.returncode == 2
    assert "{name}" in refused.stderr
    done = build(locked, "--push", f"{proxy.address}/{{name}}:v1")
    assert done.returncode == 0, done.stderr
    assert f"pushed {proxy.address}/one:v1" in done.stderr
    assert f"pushed {proxy.address}/two:v1" in done.stderr


def test_a_push_that_fails_does_not_stop_the_next(locked: Machine, proxy: Proxy) -> None:
    locked.write_spec("two", SPEC)
    assert locked.run("solve", "two").returncode == 0
    proxy.faults.append(Fault("PUT .*one/.*digest=", "status", status=400, times=-1))
    proxy.faults.append(Fault("PUT .*two/.*digest=", "status", status=503))  # waits, and goes on
    done = build(locked, "--push", f"{proxy.address}/{{name}}:v1")
    assert done.returncode == 3
    assert "1 failed" in done.stderr
    assert f"pushed {proxy.address}/two:v1" in done.stderr, done.stderr


def test_a_login_is_used_and_never_shown(locked: Machine, proxy: Proxy) -> None:
    proxy.basic = ("anna", "s3cr3t")
    reference = f"{proxy.address}/one"
    refused = build(locked, "one", "--push", reference)
    assert refused.returncode == 3
    assert not (locked.cache / "layers").exists()  # before any work
    assert f"docker login {proxy.address}" in refused.stderr
    folder = locked.root / "home" / ".docker"
    folder.mkdir()
    pair = base64.b64encode(b"anna:s3cr3t").decode()
    (folder / "config.json").write_text(json.dumps({"auths": {proxy.address: {"auth": pair}}}))
    done = build(locked, "one", "--push", reference, "-v")
    assert done.returncode == 0, done.stderr
    assert "s3cr3t" not in done.stderr
    assert pair not in done.stderr


def test_a_registry_that_fails_publishes_nothing(locked: Machine, proxy: Proxy) -> None:
    proxy.faults.append(Fault("PUT .*digest=", "status", status=400, times=-1))
    done = build(locked, "one", "--push", f"{proxy.address}/one", "-o", "here")
    assert done.returncode == 3
    assert not (locked.project / "here").exists()
    assert proxy.count("PUT .*manifests") == 0


def test_ctrl_c_does_not_wait_for_the_registry(locked: Machine, proxy: Proxy) -> None:
    proxy.faults.append(Fault("PUT .*digest=", "delay", seconds=40, times=-1))
    reference = f"{proxy.address}/one:v1"
    with locked.start("build", "one", "--no-validate", "--push", reference) as process:
        deadline = time.monotonic() + 60
        while not proxy.count("PUT .*digest=") and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert proxy.count("PUT .*manifests") == 0
    assert [path.name for path in (locked.project / "build").iterdir()] == [".gitignore"]


def test_a_reference_without_a_registry_is_refused(locked: Machine) -> None:
    done = build(locked, "one", "--push", "one")
    assert done.returncode == 2
    assert "does not begin with a registry's host" in done.stderr


def test_offline_pushes_nothing(locked: Machine, proxy: Proxy) -> None:
    done = build(locked, "one", "--push", f"{proxy.address}/one", "--offline")
    assert done.returncode == 3
    assert "--offline" in done.stderr
    assert not proxy.seen


# --- engines ---

ENGINE = """\
#!{python}
import pathlib, sys, tarfile, json, hashlib
place = pathlib.Path({place!r})
if sys.argv[1:] == ["load"]:
    place.write_bytes(sys.stdin.buffer.read())
else:
    with tarfile.open(place) as archive:
        (image,) = json.load(archive.extractfile("manifest.json"))
    if sys.argv[-1] in image["RepoTags"]:
        print("sha256:" + image["Config"].rpartition("/")[2])
"""


def test_docker_gets_a_stream(locked: Machine) -> None:
    """A program in docker's place that keeps what it is given."""
    import sys

    tools = locked.root / "tools"
    tools.mkdir()
    (tools / "docker").write_text(
        ENGINE.format(python=sys.executable, place=str(locked.root / "loaded.tar"))
    )
    (tools / "docker").chmod(0o755)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    done = build(locked, "one", "--load", "docker", "--json", PATH=path)
    assert done.returncode == 0, done.stderr
    (image,) = json.loads(done.stdout)["images"]
    assert image["loaded"] == {"engine": "docker", "image": "one:latest"}
    assert "warning: docker" not in done.stderr
    archive = build(locked, "one", "-o", "one.tar")
    assert archive.returncode == 0
    assert (locked.root / "loaded.tar").read_bytes() == (locked.project / "one.tar").read_bytes()


def test_an_engine_that_fails_is_quoted(locked: Machine) -> None:
    tools = locked.root / "tools"
    tools.mkdir()
    (tools / "docker").write_text("#!/bin/sh\necho Cannot connect to the daemon >&2\nexit 1\n")
    (tools / "docker").chmod(0o755)
    done = build(locked, "one", "--load", "docker", PATH=f"{tools}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == 3
    assert "Cannot connect to the daemon" in done.stderr


def test_an_engine_that_is_not_there(locked: Machine) -> None:
    done = build(locked, "one", "--load", "docker", PATH=str(locked.root))
    assert done.returncode == 2
    assert "there is no program docker" in done.stderr
    assert "-o one.tar" in done.stderr
