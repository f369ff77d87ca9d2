"""The first environment: envlock against the recipe it replaces, in one run.

The recipe is three ``pip install`` steps in a Dockerfile (the last one ``--force-reinstall``s
triton), built by buildah without a daemon and pushed to an OCI directory.  Both sides get
the same local wheels, so no download is measured.  Beside them: uv's install, packed by gzip,
pigz and zstd, the wheels only copied and hashed, and all artifacts only inflated and hashed.
Needs root, buildah, mmdebstrap, skopeo and about 40 GB of disk:

    python benchmarks/seed_recipe.py [--scratch DIR] [--only envlock|recipe|others]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from uv import find_uv_bin

from envlock.lock.codec import dump_lock, load_lock

HERE = Path(__file__).resolve().parent.parent
NAME = "bnb-cu124"
PINNED_TRITON = "triton==3.2.0"  # what torch 2.6.0 brings in the recipe's first step

DOCKERFILE = """\
FROM scratch
ADD base.tar /
RUN pip install {options} "torch>=2.6.0,<2.7.0" "torchvision>=0.21.0,<0.22.0"
RUN pip install {options} bitsandbytes==0.45.0 transformers "setuptools<81"
RUN pip install {options} --force-reinstall --no-deps triton==2.3.1
RUN python3 -c "import triton; assert triton.__version__ == '2.3.1'; import triton.ops"
"""
COLD = "envlock build, nothing cached"
KNOWN = "envlock build, layers known, their files gone"
PRECOMPILED = "envlock build with image.precompile, nothing cached"
INFLATED = "inflate and hash the artifacts"
PROGRAMS = ("bwrap", "buildah", "gzip", "mmdebstrap", "pigz", "tar", "zstd")
OPTIONS = "--no-index --find-links /wheels --break-system-packages --no-cache-dir -q"
BASE = "python3,python3-pip,ca-certificates,gcc,libc6-dev,libpython3.11-dev"


@dataclass(frozen=True)
class Measured:
    """One command: seconds of wall clock and of CPU, and the largest process in MB."""

    wall: float
    cpu: float
    peak: float


Rows = dict[str, Measured | int]


def measure(command: list[str], *, stdin: IO[str] | None = None, **env: str) -> Measured:
    started, variables = time.monotonic(), {**os.environ, **env}
    with subprocess.Popen(command, env=variables, stdin=stdin, stdout=sys.stderr) as process:
        _, status, used = os.wait4(process.pid, 0)  # of this command and what it started alone
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    wall = time.monotonic() - started
    return Measured(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000)


def layout_size(layout: Path) -> int:
    return sum(path.stat().st_size for path in (layout / "blobs" / "sha256").iterdir())


def envlock(*arguments: str, project: Path = HERE) -> list[str]:
    return [sys.executable, "-m", "envlock", "--project", str(project), "-q", *arguments]


def stored(cache: Path, sha256: str) -> Path:
    return cache / "artifacts" / sha256[:2] / sha256


def locked(kind: str) -> list[dict[str, str]]:
    lock = json.loads((HERE / "locks" / f"{NAME}.linux-64.lock.json").read_text())
    return [artifact for artifact in lock["artifacts"] if artifact["kind"] == kind]


def local_wheels(scratch: Path, cache: Path) -> Path:
    """Return a folder with the locked wheels and the triton that the recipe installs first."""
    wheels = scratch / "wheels"
    wheels.mkdir()
    for wheel in locked("pypi"):
        shutil.copyfile(stored(cache, wheel["sha256"]), wheels / wheel["file"])
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
    target = ["--python-version", "3.11", "--platform", "manylinux2014_x86_64", "-d", str(wheels)]
    subprocess.run([*pip, *target, PINNED_TRITON], check=True)
    return wheels


def store(scratch: Path, name: str, cache: Path) -> Path:
    """Return a cache folder that has the artifacts and nothing else."""
    fresh = scratch / name
    fresh.mkdir()
    shutil.copytree(cache / "artifacts", fresh / "artifacts", copy_function=os.link)
    return fresh


def ours(scratch: Path, cache: Path) -> Rows:
    """Build with a store that has the artifacts and nothing else, then again."""
    fresh = store(scratch, "cache", cache)
    layout = scratch / "ours"
    build = envlock("build", NAME, "-o", str(layout), "--no-validate")
    cold = measure(build, ENVLOCK_CACHE_DIR=str(fresh))
    shutil.rmtree(layout)
    packed = measure(build, ENVLOCK_CACHE_DIR=str(fresh))
    again = measure(build, ENVLOCK_CACHE_DIR=str(fresh))
    prove = measure(envlock("validate", str(layout)), ENVLOCK_CACHE_DIR=str(fresh))
    size = layout_size(layout)
    for folder in (fresh, layout):
        shutil.rmtree(folder)
    return {
        COLD: cold,
        PRECOMPILED: precompiled(scratch, cache),
        KNOWN: packed,
        "envlock build, nothing changed": again,
        "envlock validate (unpack 5.5 GB, run the checks)": prove,
        "size": size,
    }


def precompiled(scratch: Path, cache: Path) -> Measured:
    """Build with a layer of compiled modules, as pip compiles them in the recipe."""
    project, fresh = scratch / "project", store(scratch, "compiled", cache)
    for name in ("envs", "locks"):
        (project / name).mkdir(parents=True)
    text = (HERE / "envs" / f"{NAME}.yaml").read_text()
    spec = text.replace("\nimage:\n", "\nimage:\n  precompile: true\n")
    (project / "envs" / f"{NAME}.yaml").write_text(spec)
    path = f"locks/{NAME}.linux-64.lock.json"
    lock = load_lock(HERE / path)
    image = {**lock.spec["image"], "precompile": True}
    lock = replace(lock, spec={**lock.spec, "image": image}, built=None)
    (project / path).write_text(dump_lock(lock))
    layout = scratch / "compiled-image"
    build = envlock("build", NAME, "-o", str(layout), "--no-validate", project=project)
    measured = measure(build, ENVLOCK_CACHE_DIR=str(fresh))
    for folder in (project, fresh, layout):
        shutil.rmtree(folder)
    return measured


def recipe(scratch: Path, wheels: Path) -> Rows:
    """Build the Dockerfile and push it to an OCI directory."""
    context = scratch / "context"
    context.mkdir()
    base = measure(
        ["mmdebstrap", "-q", "--variant=minbase", f"--include={BASE}", "bookworm",
         str(context / "base.tar")]
    )  # fmt: skip
    (context / "Dockerfile").write_text(DOCKERFILE.format(options=OPTIONS))
    storage = ["--root", str(scratch / "root"), "--runroot", str(scratch / "runroot")]
    driver = ["--storage-driver", os.environ.get("STORAGE_DRIVER", "overlay")]
    buildah = ["buildah", *storage, *driver]
    built = measure(
        [*buildah, "bud", "--isolation", "chroot", "--layers", "-q", "-t", "seed",
         "-v", f"{wheels}:/wheels:ro", str(context)]
    )  # fmt: skip
    layout = scratch / "theirs"
    pushed = measure([*buildah, "push", "-q", "seed", f"oci:{layout}:seed"])
    size = layout_size(layout)
    return {"base (mmdebstrap)": base, "buildah bud": built, "buildah push": pushed, "size": size}


COPY_AND_HASH = """
import hashlib, pathlib, shutil, sys
for wheel in pathlib.Path(sys.argv[1]).glob("*.whl"):
    copy = pathlib.Path(sys.argv[2], wheel.name)
    with wheel.open("rb") as source, copy.open("wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
    with copy.open("rb") as written:
        hashlib.file_digest(written, "sha256")
"""


INFLATE_AND_HASH = """
import hashlib, importlib, lzma, struct, sys, zipfile
from envlock.layers.debar import read_ar

def pieces(source, start, size):
    source.seek(start)
    while size:
        piece = source.read(min(size, 1 << 20))
        size -= len(piece)
        yield piece

library = importlib.import_module(sys.argv[1])
for line in sys.stdin:
    kind, path = line.split()
    with open(path, "rb") as source:
        hashlib.file_digest(source, "sha256")
        source.seek(0)
        packed, plain = hashlib.sha256(), hashlib.sha256()
        if kind == "debian":
            data = read_ar(source)[2]
            decoder = lzma.LZMADecompressor()
            for piece in pieces(source, data.offset, data.size):
                plain.update(decoder.decompress(piece))
            continue
        for info in zipfile.ZipFile(source).infolist():
            source.seek(info.header_offset + 26)
            start = info.header_offset + 30 + sum(struct.unpack("<HH", source.read(4)))
            decoder, crc = library.decompressobj(-15), 0
            for piece in pieces(source, start, info.compress_size):
                packed.update(piece)
                while piece and info.compress_type:
                    some = decoder.decompress(piece, 1 << 20)
                    plain.update(some)
                    crc = library.crc32(some, crc)
                    piece = decoder.unconsumed_tail
            assert crc == info.CRC or not info.compress_type
"""


def inflated_and_hashed(cache: Path) -> dict[str, Measured]:
    """Measure what no builder can leave out where no layer is known, in one process."""
    lines = [
        f"{kind} {stored(cache, artifact['sha256'])}\n"
        for kind in ("pypi", "debian")
        for artifact in locked(kind)
    ]
    rows = {}
    for library in ("zlib", "zlib_ng.zlib_ng"):
        if find_spec(library.partition(".")[0]):
            command = [sys.executable, "-c", INFLATE_AND_HASH, library]
            with tempfile.TemporaryFile("w+") as names:
                names.writelines(lines)
                names.seek(0)
                rows[f"{INFLATED}, {library.partition('.')[0]}"] = measure(command, stdin=names)
    return rows


def other_ways(scratch: Path, wheels: Path) -> Rows:
    """Install by uv into a folder, pack that by several programs; and only copy and hash."""
    root, copies = scratch / "installed", scratch / "copies"
    copies.mkdir()
    files = [str(path) for path in sorted(wheels.glob("*.whl"))
             if not path.name.startswith(PINNED_TRITON.replace("==", "-"))]  # fmt: skip
    rows: Rows = {
        "uv install": measure(
            [find_uv_bin(), "pip", "install", "-q", "--no-deps", "--no-index",
             "--link-mode", "copy",
             "--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_36",
             "--target", str(root), "--cache-dir", str(scratch / "uv"), *files]
        )
    }  # fmt: skip
    packers = {"gzip -6": "gzip -6", "pigz -6": "pigz -6", "zstd -3": "zstd -3 -T0"}
    for name, packer in packers.items():
        if shutil.which(packer.split()[0]):
            pack = f"set -o pipefail; tar -C {root} -c . | tee >(sha256sum >&2) | {packer}"
            pack += f" | tee {scratch}/packed | sha256sum"
            rows[f"tar, {name}, both hashed"] = measure(["bash", "-c", pack])
            print(f"{name}: {(scratch / 'packed').stat().st_size / 1e6:.0f} MB", file=sys.stderr)
    shutil.rmtree(root)
    copy = [sys.executable, "-c", COPY_AND_HASH, str(wheels), str(copies)]
    rows["copy and hash the wheels"] = measure(copy)
    shutil.rmtree(copies)
    return rows


def show(title: str, rows: Rows) -> None:
    print(f"\n{title}\n")
    print("| step | wall s | CPU s | largest process MB |")
    print("|---|---|---|---|")
    for name, value in rows.items():
        if isinstance(value, Measured):
            print(f"| {name} | {value.wall:.1f} | {value.cpu:.1f} | {value.peak:.0f} |")
        else:
            print(f"| image size | {value / 1e6:.0f} MB | | |")


def seconds(rows: Rows, *names: str) -> float:
    return sum(value.wall for name, value in rows.items()
               if isinstance(value, Measured) and name in names)  # fmt: skip


def compare(mine: Rows, theirs: Rows, others: Rows) -> None:
    """Print ratios of what was measured; only envlock's times always have an OS layer in them."""
    slow = seconds(theirs, "buildah bud", "buildah push")
    base = seconds(theirs, "base (mmdebstrap)")
    tars = [value.wall for name, value in others.items()
            if isinstance(value, Measured) and name.startswith("tar")]  # fmt: skip
    for name in (COLD, KNOWN, PRECOMPILED):
        if not (wall := seconds(mine, name)):
            continue
        if slow:
            print(f"\n{name}: {slow / wall:.1f} times faster than the recipe, "
                  f"{(slow + base) / wall:.1f} with its base image")  # fmt: skip
        if tars and name != PRECOMPILED:
            fastest = min(tars) + seconds(others, "uv install")
            print(f"{name}: {fastest / wall:.1f} times faster than uv and the fastest packer, "
                  f"{(fastest + base) / wall:.1f} with a base image")  # fmt: skip
    cold = mine.get(COLD)
    for name, bound in mine.items():
        if name.startswith(INFLATED) and isinstance(bound, Measured) and isinstance(cold, Measured):
            print(f"\n{COLD}: {cold.cpu / bound.cpu:.2f} times the CPU of: {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--only", choices=["envlock", "recipe", "others"])
    arguments = parser.parse_args()
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    if lacking:
        parser.error(f"install {', '.join(lacking)} first")
    cache = Path(os.environ["ENVLOCK_CACHE_DIR"])
    scratch = Path(tempfile.mkdtemp(prefix="envlock-bench-", dir=arguments.scratch))
    mine: Rows = {}
    theirs: Rows = {}
    others: Rows = {}
    try:
        if arguments.only in {None, "envlock"}:
            mine = {**ours(scratch, cache), **inflated_and_hashed(cache)}
            show("envlock", mine)
        if arguments.only != "envlock":
            wheels = local_wheels(scratch, cache)
        if arguments.only in {None, "recipe"}:
            theirs = recipe(scratch, wheels)
            show("the recipe", theirs)
        if arguments.only in {None, "others"}:
            others = other_ways(scratch, wheels)
            show("other ways", others)
        compare(mine, theirs, others)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
