"""A small environment: own wheels, own Debian packages, the lock that names them."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envlock.image.build import Workshop
from envlock.lock.codec import dump_lock
from envlock.lock.model import Artifact, BuiltImage, DebianSection, Lock
from envlock.pipeline import Built, Expected, Publishing, Running, build
from envlock.progress import SILENT

from ..layers.making import deflated, make_wheel
from ..layers_deb.making import Item, shared_object, write_deb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from envlock.image.compression import Compression
    from envlock.validate.results import Report
    from envlock.validate.sandbox import Sandbox

SOURCE = Path(__file__).resolve().parents[2] / "src"
DRIVER = Path(__file__).with_name("driver.py")
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"

SINGLE_BLOCK = {
    # what zlib made of them, written down: these are spliced, whatever zlib is here
    b"def answer():\n    return 42\n": ("4b494d5348cc2b2e4f2dd2d0b4e2520082a2d492d2a23c0513232e00"),
    b"spam and eggs, spam and eggs, spam and ham\n" * 6: (
        "2b2e48cc5548cc4b51484d4f2fd65128c6c1cd48cce52a1e9e4a01"
    ),
}


def pack(data: bytes) -> bytes:
    """Return a raw DEFLATE stream that is the same on every machine."""
    known = SINGLE_BLOCK.get(data)
    return deflated(data) if known is None else bytes.fromhex(known)


def artifact(path: Path) -> Artifact:
    """Return the lock's entry for a wheel or a .deb."""
    data = path.read_bytes()
    name, version = path.name.split("_" if path.suffix == ".deb" else "-")[:2]
    return Artifact(
        kind="debian" if path.suffix == ".deb" else "pypi",
        name=name.replace("_", "-"),
        version=version,
        source="debian" if path.suffix == ".deb" else "pypi",
        file=path.name,
        path=path.name,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
    )


@dataclass(frozen=True)
class Environment:
    """A lock and where its artifacts are."""

    lock: Lock
    paths: Mapping[str, Path]

    def with_image(self, **image: Any) -> Environment:
        spec = {**self.lock.spec, "image": image}
        return Environment(replace(self.lock, spec=spec), self.paths)

    def build(
        self,
        target: Path,
        cache: Path,
        *,
        prove: Callable[[Path], Report] | None = None,
        expect: str | None = None,
        created: int = 0,
        fresh: bool = False,
        workers: int = 1,
        compression: Compression = "reuse",
        sandbox: Callable[[], Sandbox] | None = None,
    ) -> Built:
        """Build as the command line does."""
        workshop = Workshop(cache=cache, workers=workers, fresh=fresh)
        lock = self.lock
        if expect is not None:
            lock = replace(lock, built=BuiltImage(manifest=expect, config=expect))
        return build(
            lock,
            self.paths,
            target,
            workshop,
            SILENT,
            prove=prove,
            expect=Expected() if expect is not None else None,
            created=created,
            publishing=Publishing(compression=compression),
            running=Running(sandbox=sandbox),
        )


def environment_of(
    *files: Path, name: str = "tiny", python: str = "3.11", **spec: Any
) -> Environment:
    """Return the environment of wheels and .debs."""
    items = [(artifact(file), file) for file in files]
    artifacts = sorted((item for item, _ in items), key=lambda a: (a.kind, a.name, a.file))
    debian = any(item.kind == "debian" for item in artifacts)
    whole: dict[str, Any] = {
        "name": name,
        "python": python,
        "platform": {"name": "linux-64", "glibc": "2.36"},
        **spec,
    }
    if debian:
        whole.setdefault("debian", {"suite": "bookworm", "packages": ["base-files"]})
    lock = Lock(
        name=name,
        platform="linux-64",
        spec=whole,
        artifacts=tuple(artifacts),
        debian=DebianSection(suite="bookworm", architecture="amd64", indexes=())
        if debian
        else None,
    )
    return Environment(lock, {item.sha256: file for item, file in items})


def make_debs(folder: Path) -> list[Path]:
    """Write packages that exercise the OS layer: links, modes, libraries, accounts."""
    folder.mkdir(parents=True, exist_ok=True)
    library = "usr/lib/x86_64-linux-gnu"
    master = b"root:*:0:0:root:/root:/bin/bash\nwww-data:*:33:33::/var/www:/usr/sbin/nologin\n"
    return [
        write_deb(
            folder,
            [
                Item("./", mode=0o755),
                Item("./etc/", mode=0o755),
                Item("./etc/debian_version", b"12.4\n", 0o644),
                Item("./root/", mode=0o700),
                Item("./tmp/", mode=0o1777),
                Item("./var/", mode=0o755),
                Item("./var/lib/", mode=0o755),
                Item("./usr/share/base-files/profile", b"# profile\n" * 90, 0o644),
            ],
            "base-files",
        ),
        write_deb(
            folder,
            [
                Item("./usr/share/base-passwd/passwd.master", master, 0o644),
                Item("./usr/share/base-passwd/group.master", b"root:*:0:\n", 0o644),
            ],
            "base-passwd",
        ),
        write_deb(
            folder,
            [
                Item("./lib/x86_64-linux-gnu/libdemo.so.1.0", shared_object("libdemo.so.1")),
                Item(f"./{library}/libdemo.so", type=b"2", target="libdemo.so.1.0", mode=0o777),
                Item("./usr/share/doc/libdemo/copyright", b"Nobody owns this. " * 3000, 0o644),
            ],
            "libdemo",
        ),
        write_deb(
            folder,
            [
                Item("./bin/tool", b"#!/bin/sh\necho tool\n", 0o755),
                Item("./usr/bin/tool-2", type=b"1", target="./bin/tool", mode=0o755),
                Item("./usr/bin/wall", b"\x7fELF" + bytes(5000), 0o2755, gid=5),
                Item("./var/lib/tool/", mode=0o2770, gid=33),
                Item("./usr/share/tool/größe.txt", "groß".encode() * 50, 0o644),
            ],
            "tool",
        ),
    ]


def make_wheels(folder: Path) -> list[Path]:
    """Write wheels that exercise every way into a layer."""
    answer, spam = SINGLE_BLOCK
    noise = random.Random(7).randbytes(1_300_000)
    many = {f"many/module_{n}.py": answer if n % 2 else spam for n in range(40)}
    shared = {"shared/__init__.py": answer}
    return [
        make_wheel(
            folder,
            "alpha",
            "1.0",
            {"alpha/__init__.py": answer, "alpha/noise.bin": noise, **many, **shared},
            entry_points="[console_scripts]\nalpha = alpha:answer\n",
            requires=["beta>=2"],
            pack=pack,
        ),
        make_wheel(
            folder,
            "beta",
            "2.0",
            {"beta/__init__.py": spam, "beta/" + "long" * 60 + ".txt": b"x", **shared},
            data={"scripts/beta": b"#!python\nprint(1)\n", "headers/beta.h": b"", "data/x": b"y"},
            pack=pack,
        ),
        make_wheel(folder, "gamma", "0.1", {"gamma.py": b"G = 1\n"}, pack=pack),
    ]


def make_environment(folder: Path, **image: Any) -> Environment:
    """Return the whole small environment."""
    files = [*make_debs(folder), *make_wheels(folder)]
    settings = {"user": "nonroot", "workdir": "/app", "command": ["python3"], **image}
    return environment_of(*files, image=settings, description="Small and made up")


# --- the driver: the packing path alone, in an interpreter of its own ---


def write_job(
    environment: Environment, place: Path, target: Path, cache: Path, **options: Any
) -> Path:
    """Write what the driver reads."""
    place.parent.mkdir(parents=True, exist_ok=True)
    lock = place.with_suffix(".lock.json")
    lock.write_text(dump_lock(environment.lock))
    job = {
        "lock": str(lock),
        "paths": {sha256: str(path) for sha256, path in environment.paths.items()},
        "target": str(target),
        "cache": str(cache),
        "workers": 1,
        "created": 0,
        **options,
    }
    place.write_text(json.dumps(job))
    return place


def driver_command(job: Path, python: str | Path = sys.executable) -> list[str]:
    return [str(python), str(DRIVER), str(job)]


def driver_environment(**more: str) -> dict[str, str]:
    """Return a bare environment in which the driver finds the source."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": str(SOURCE),
        "PYTHONDONTWRITEBYTECODE": "1",
        **more,
    }


def drive(
    job: Path, *, before: Sequence[str] = (), python: str | Path = sys.executable, **env: str
) -> str:
    """Run the driver and return the manifest's digest."""
    done = subprocess.run(
        [*before, *driver_command(job, python)],
        env=driver_environment(**env),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# --- looking at a layout ---


def read_json(path: Path) -> Any:
    return json.loads(path.read_bytes())


def check_layout(layout: Path) -> str:
    """Check every blob of a layout against its descriptor; return the manifest's digest."""
    assert read_json(layout / "oci-layout") == {"imageLayoutVersion": "1.0.0"}
    index = read_json(layout / "index.json")
    (descriptor,) = index["manifests"]
    manifest = json.loads(check_blob(layout, descriptor))
    names = {descriptor["digest"]}
    for blob in (manifest["config"], *manifest["layers"]):
        check_blob(layout, blob)
        names.add(blob["digest"])
    there = {f"sha256:{path.name}" for path in (layout / "blobs" / "sha256").iterdir()}
    assert names <= there
    return str(descriptor["digest"])


def check_blob(layout: Path, descriptor: Mapping[str, Any]) -> bytes:
    data: bytes = (layout / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes()
    assert len(data) == descriptor["size"]
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == descriptor["digest"]
    return data


def blobs(layout: Path) -> set[str]:
    return {path.name for path in (layout / "blobs" / "sha256").iterdir()}


def leftovers(folder: Path) -> list[str]:
    """Return what builds left beside their targets."""
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))
