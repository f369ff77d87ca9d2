"""Dockerfiles and dev containers: what they say of a lock, and that pip does what they say."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from envlock.errors import UsageError
from envlock.exchange.formats import FORMATS, Export, Subject
from envlock.exchange.places import Places
from envlock.fetch.store import Store
from envlock.intake.docker_syntax import Instruction, instructions
from envlock.layers.pack import owner_of
from envlock.lock.base import BaseBlob, BaseImage

from ..lock.locks import LOCK, SPEC, conda, deb, wheel
from ..makers.index import Index

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from envlock.lock.model import Artifact, Lock

IMAGE = {"user": "nonroot", "workdir": "/app", "command": ["python3", "-V"]}
CHECKS = [{"import": "numpy"}, {"run": ["sh", "-c", "echo $HOME"]}, {"gpu": "torch-cuda"}]


BASE = BaseImage(
    reference="registry.example.com/base:1",
    index="sha256:1",
    manifest="sha256:2",
    config=BaseBlob(digest="sha256:3", size=1),
    layers=(),
    os="debian 12",
    glibc="2.36",
)


class _NoIndex:
    """These formats ask no index."""

    def urls(self, artifact: Artifact) -> Iterator[str]:
        raise AssertionError(artifact)


def _export(form: str, lock: Lock, folder: Path, image: str | None = None) -> Export:
    places = Places(channels={}, indexes=_NoIndex(), store=Store(folder))
    subject = Subject(
        name=lock.name, locks=(lock,), places=places, metadata=lambda _: b"", image=image
    )
    return FORMATS[form].exporter()(subject)


def _lock(**spec: Any) -> Lock:
    return replace(LOCK, spec={**SPEC, **spec}, artifacts=(deb("libc6"), wheel("numpy")))


def _read(text: str) -> list[Instruction]:
    return list(instructions(text, "Dockerfile"))


def _texts(text: str, keyword: str) -> list[str]:
    return [one.text for one in _read(text) if one.keyword == keyword]


def test_a_dockerfile_has_the_locked_packages_settings_and_checks(tmp_path: Path) -> None:
    lock = _lock(image=IMAGE, checks=CHECKS, accepts=["import numpy fails"])
    found = _export("dockerfile", lock, tmp_path)
    assert found.notes == ("1 GPU check is left out",)
    runs = _texts(found.text, "RUN")
    assert "libc6=1.0-1" in runs[1]
    assert f"'numpy==1.0 --hash=sha256:{wheel('numpy').sha256}'" in runs[4]
    assert runs[-1] == '["sh", "-c", "echo $HOME"]'  # the import may fail, and no GPU is there
    assert _texts(found.text, "CMD") == ['["python3", "-V"]']
    assert _texts(found.text, "USER") == ["nonroot"]
    assert _texts(found.text, "ARG") == ["BASE=debian:bookworm-slim", "SNAPSHOT", "PIP_INDEX_URL"]
    assert "#   torch 2.6.0: triton==3.2.0" in found.text
    assert found == _export("dockerfile", lock, tmp_path)


def test_the_checks_of_an_override_are_steps(tmp_path: Path) -> None:
    override = {"package": "numpy", "version": "==1.0", "checks": [{"version": "1.0"}]}
    text = _export("dockerfile", _lock(overrides=[override]), tmp_path).text
    words = json.loads(_texts(text, "RUN")[-1])
    assert words[:2] == ["python3", "-c"]
    program = words[2].replace("'numpy'", "'pytest'")
    for version, code in ((pytest.__version__, 0), ("0", 1)):
        asked = program.replace("'1.0'", repr(version))
        done = subprocess.run([sys.executable, "-c", asked], capture_output=True, check=False)
        assert done.returncode == code


def test_an_index_is_an_argument(tmp_path: Path) -> None:
    extra = replace(wheel("triton", "2.3.1"), source="pytorch-cu124")
    lock = replace(_lock(), artifacts=(deb("libc6"), extra))
    text = _export("dockerfile", lock, tmp_path).text
    assert "INDEX_PYTORCH_CU124" in _texts(text, "ARG")
    wanted = '--extra-index-url "${INDEX_PYTORCH_CU124:?names the URL of the index pytorch-cu124}"'
    assert wanted in text


@pytest.mark.parametrize(
    ("user", "owner"),
    [
        ("nonroot", "-o 65532 -g 65532"),
        ("1000:50", "-o 1000 -g 50"),
        ("1000", "-o 1000 -g 1000"),
        ("www-data", None),  # its number is not known before it is there
        ("root", None),
        (None, None),
    ],
)
def test_the_working_directory_is_whose_it_is_in_the_image(
    tmp_path: Path, user: str | None, owner: str | None
) -> None:
    image = {"workdir": "/app"} | ({"user": user} if user else {})
    text = _export("dockerfile", _lock(image=image), tmp_path).text
    made = [one for one in _texts(text, "RUN") if "install -d" in one and "/app" in one]
    assert made == ([f"install -d {owner} /app"] if owner else [])
    assert _texts(text, "USER") == ([user] if user else [])
    uid, gid = owner_of(user or "root")
    assert owner is None or owner == f"-o {uid} -g {gid}"


def test_values_stay_as_they_are(tmp_path: Path) -> None:
    image = {"env": {"A": 'a "b" $c \\d'}, "labels": {"a b": "x"}}
    text = _export("dockerfile", _lock(image=image), tmp_path).text
    assert 'ENV A="a \\"b\\" \\$c \\\\d"\n' in text
    assert 'LABEL "a b"="x"\n' in text
    with pytest.raises(UsageError, match="line break"):
        _export("dockerfile", _lock(image={"env": {"A": "b\nRUN evil"}}), tmp_path)


@pytest.mark.parametrize(
    ("lock", "message"),
    [
        (replace(LOCK, artifacts=(conda("numpy"),)), "apt and pip install none"),
        (replace(LOCK, debian=None), "no Debian packages"),
        (replace(LOCK, base=BASE), "is built upon registry.example.com/base:1"),
    ],
)
def test_what_no_dockerfile_can_say(tmp_path: Path, lock: Lock, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        _export("dockerfile", lock, tmp_path)
    assert "--format" in str(caught.value.hint)


@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="the lock is for Python 3.11, which installs it"
)
def test_its_steps_install_the_locked_wheels(tmp_path: Path) -> None:
    pytest.importorskip("pip")
    with Index(tmp_path / "index") as index:
        files = [
            index.wheel(name, version, ["numpy==7"]) for name, version in (("a", "1"), ("b", "2"))
        ]
        locked = [
            replace(wheel(name, version), sha256=_sha256(file))
            for (name, version), file in zip((("a", "1"), ("b", "2")), files, strict=True)
        ]
        text = _export("dockerfile", replace(_lock(), artifacts=(*locked,)), tmp_path).text
        written, installed = _texts(text, "RUN")[-2:]
        variables = {
            "PIP_INDEX_URL": index.url,
            "PATH": "/usr/bin:/bin",
            "PIP_CONFIG_FILE": "/dev/null",
        }
        done = _shell(f"{written}\n{installed}", tmp_path, variables)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "env" / "lib" / "python3.11" / "site-packages"
    assert {one.name for one in folder.glob("*.dist-info")} == {"a-1.dist-info", "b-2.dist-info"}


def _sha256(file: Path) -> str:
    from hashlib import sha256

    return sha256(file.read_bytes()).hexdigest()


def _shell(
    script: str, folder: Path, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run steps with the paths and the Python of this test."""
    for path, here in (
        ("/requirements.txt", folder / "requirements.txt"),
        ("/opt/env", folder / "env"),
        ("python3.11 -m venv", f"{shlex.quote(sys.executable)} -m venv"),
        ("python3 -m pip", f"{shlex.quote(sys.executable)} -m pip"),
    ):
        script = script.replace(path, str(here))
    return subprocess.run(
        ["sh", "-ec", script], env=variables, capture_output=True, text=True, check=False
    )


def test_a_dev_container_by_digest_by_tag_and_from_an_engine(tmp_path: Path) -> None:
    lock = _lock(image=IMAGE, platform={"name": "linux-64", "glibc": "2.36", "cuda": "12.4"})
    assert lock.built is not None
    name = "registry.example.com/team/a"
    found = _export("devcontainer", lock, tmp_path, f"{name}:v1")
    document = json.loads(found.text)
    assert document["image"] == f"{name}@{lock.built.manifest}"
    assert (document["remoteUser"], document["updateRemoteUserUID"]) == ("nonroot", False)
    assert document["hostRequirements"] == {"gpu": "optional"}
    assert any(note.startswith("the image has no coreutils") for note in found.notes)
    unrecorded = replace(lock, built=None)
    by_tag = _export("devcontainer", unrecorded, tmp_path, f"{name}:v1")
    assert json.loads(by_tag.text)["image"] == f"{name}:v1"
    assert any("--record" in note for note in by_tag.notes)
    loaded = _export("devcontainer", lock, tmp_path)
    assert json.loads(loaded.text)["image"] == "a:latest"
    upon = _export("devcontainer", replace(lock, base=BASE), tmp_path, f"{name}:v1")
    (note,) = [one for one in upon.notes if "base image" in one]
    assert note.endswith("registry.example.com/base:1")
    assert json.loads(upon.text)["updateRemoteUserUID"] is True


def test_a_dev_container_whose_image_has_all_it_needs(tmp_path: Path) -> None:
    names = ("coreutils", "grep", "libstdc++6", "procps", "sed")
    lock = replace(_lock(image=IMAGE), artifacts=tuple(deb(name) for name in names))
    found = _export("devcontainer", lock, tmp_path, f"registry.example.com/a@{LOCK.built.manifest}")  # type: ignore[union-attr]
    assert found.notes == ()
    assert json.loads(found.text)["updateRemoteUserUID"] is True


def test_an_image_is_named_only_where_a_format_names_one(tmp_path: Path) -> None:
    from ..makers.machine import Machine

    machine = Machine(tmp_path)
    machine.write_spec("demo")
    done = machine.run("export", "demo", "-f", "pylock", "--image", "a")
    assert done.returncode == 2
    assert "the format pylock names no image" in done.stderr
