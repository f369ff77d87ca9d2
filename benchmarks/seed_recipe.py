"""The first environment: envlock against the recipe it replaces, in one run.

The recipe is three ``pip install`` steps in a Dockerfile (the last one ``--force-reinstall``s
triton), built by buildah without a daemon and pushed to an OCI directory.  Both sides get
the same local wheels, so no download is measured.  Beside them: uv's install, packed by gzip,
pigz and zstd, and the wheels only copied and hashed.  Needs root, buildah, mmdebstrap, skopeo
and about 40 GB of disk:

    python benchmarks/seed_recipe.py [--scratch DIR]
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
from dataclasses import dataclass
from pathlib import Path

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
OPTIONS = "--no-index --find-links /wheels --break-system-packages --no-cache-dir -q"
BASE = "python3,python3-pip,ca-certificates,gcc,libc6-dev,libpython3.11-dev"


@dataclass(frozen=True)
class Measured:
    """One command: seconds of wall clock and of CPU, and the largest process in MB."""

    wall: float
    cpu: float
    peak: float


def measure(command: list[str], **env: str) -> Measured:
    started = time.monotonic()
    with subprocess.Popen(command, env={**os.environ, **env}, stdout=sys.stderr) as process:
        _, status, used = os.wait4(process.pid, 0)  # of this command and what it started alone
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    wall = time.monotonic() - started
    return Measured(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000)


def layout_size(layout: Path) -> int:
    return sum(path.stat().st_size for path in (layout / "blobs" / "sha256").iterdir())


def envlock(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "envlock", "--project", str(HERE), "-q", *arguments]


def local_wheels(scratch: Path, cache: Path) -> Path:
    """Return a folder with the locked wheels and the triton that the recipe installs first."""
    wheels = scratch / "wheels"
    wheels.mkdir()
    lock = json.loads((HERE / "locks" / f"{NAME}.linux-64.lock.json").read_text())
    for artifact in lock["artifacts"]:
        if artifact["kind"] == "pypi":
            stored = cache / "artifacts" / artifact["sha256"][:2] / artifact["sha256"]
            shutil.copyfile(stored, wheels / artifact["file"])
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
    target = ["--python-version", "3.11", "--platform", "manylinux2014_x86_64", "-d", str(wheels)]
    subprocess.run([*pip, *target, PINNED_TRITON], check=True)
    return wheels


def ours(scratch: Path, cache: Path) -> dict[str, Measured | int]:
    """Build with a store that has the artifacts and nothing else, then again."""
    fresh = scratch / "cache"
    fresh.mkdir()
    shutil.copytree(cache / "artifacts", fresh / "artifacts", copy_function=os.link)
    layout = scratch / "ours"
    build = envlock("build", NAME, "-o", str(layout), "--no-validate")
    cold = measure(build, ENVLOCK_CACHE_DIR=str(fresh))
    shutil.rmtree(layout)
    packed = measure(build, ENVLOCK_CACHE_DIR=str(fresh))
    again = measure(build, ENVLOCK_CACHE_DIR=str(fresh))
    prove = measure(envlock("validate", str(layout)), ENVLOCK_CACHE_DIR=str(fresh))
    size = layout_size(layout)
    shutil.rmtree(fresh / "unpacked", ignore_errors=True)
    shutil.rmtree(fresh / "rootfs", ignore_errors=True)
    return {
        "envlock build, nothing cached": cold,
        "envlock build, layers known, their files gone": packed,
        "envlock build, nothing changed": again,
        "envlock validate (unpack 5.5 GB, run the checks)": prove,
        "size": size,
    }


def recipe(scratch: Path, wheels: Path) -> dict[str, Measured | int]:
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


def other_ways(scratch: Path, wheels: Path) -> dict[str, Measured | int]:
    """Install by uv into a folder, pack that by several programs; and only copy and hash."""
    root, copies = scratch / "installed", scratch / "copies"
    copies.mkdir()
    files = [str(path) for path in sorted(wheels.glob("*.whl"))
             if not path.name.startswith(PINNED_TRITON.replace("==", "-"))]  # fmt: skip
    rows: dict[str, Measured | int] = {
        "uv install": measure(
            ["uv", "pip", "install", "-q", "--no-deps", "--no-index", "--link-mode", "copy",
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


def show(title: str, rows: dict[str, Measured | int]) -> None:
    print(f"\n{title}\n")
    print("| step | wall s | CPU s | largest process MB |")
    print("|---|---|---|---|")
    for name, value in rows.items():
        if isinstance(value, Measured):
            print(f"| {name} | {value.wall:.1f} | {value.cpu:.1f} | {value.peak:.0f} |")
        else:
            print(f"| image size | {value / 1e6:.0f} MB | | |")


def seconds(rows: dict[str, Measured | int], *names: str) -> float:
    return sum(value.wall for name, value in rows.items()
               if isinstance(value, Measured) and name in names)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()))
    arguments = parser.parse_args()
    cache = Path(os.environ["ENVLOCK_CACHE_DIR"])
    scratch = Path(tempfile.mkdtemp(prefix="envlock-bench-", dir=arguments.scratch))
    try:
        mine = ours(scratch, cache)
        show("envlock", mine)
        wheels = local_wheels(scratch, cache)
        theirs = recipe(scratch, wheels)
        show("the recipe", theirs)
        others = other_ways(scratch, wheels)
        show("other ways", others)
        slow = seconds(theirs, "buildah bud", "buildah push")
        for name in ("envlock build, nothing cached",
                     "envlock build, layers known, their files gone"):  # fmt: skip
            print(f"\n{name}: {slow / seconds(mine, name):.1f} times faster than the recipe")
            best = min(seconds(others, row) for row in others if row.startswith("tar"))
            ratio = (best + seconds(others, "uv install")) / seconds(mine, name)
            print(f"{name}: {ratio:.1f} times faster than uv and the fastest packer")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
