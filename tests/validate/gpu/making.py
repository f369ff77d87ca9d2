"""Made-up drivers: folders with libraries, device nodes and CDI files; one that answers calls."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from envlock.layers.ldcache import CacheEntry, cache_bytes

from ...layers_deb.making import shared_object

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "580.159.04"
MACHINE = {"x86_64": 62, "aarch64": 183}[os.uname().machine]
FLAGS = {"x86_64": 0x0303, "aarch64": 0x0A03}[os.uname().machine]
LIB = "usr/lib/test-multiarch"
KERNEL = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {version}  Release Build\n"
    "GCC version:  gcc version 13.3.0\n"
)
COMPILER = shutil.which("gcc")

_CUDA = """
#include <string.h>
int cuDriverGetVersion(int *version) { *version = %(cuda)d; return 0; }
int cuInit(unsigned flags) { return %(init)d + (int) flags; }
int cuDeviceGetCount(int *count) { *count = %(count)d; return 0; }
int cuDeviceGet(int *device, int number) { *device = number; return 0; }
int cuDeviceGetName(char *name, int size, int device) {
    strncpy(name, device ? "Second GPU" : "Made-up GPU", size); return 0; }
int cuDeviceGetAttribute(int *value, int which, int device) {
    *value = which == 75 ? 9 : device; return 0; }
int cuGetErrorName(int code, const char **name) {
    *name = code == 100 ? "CUDA_ERROR_NO_DEVICE" : 0; return *name == 0; }
"""


@dataclass(frozen=True)
class Machine:
    """A folder that looks like the root of a machine with a driver."""

    root: Path

    def library(self, name: str, soname: str, folder: str = LIB, machine: int = MACHINE) -> Path:
        path = self.root / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(shared_object(soname, machine))
        if name != soname:
            link = path.with_name(soname)
            link.unlink(missing_ok=True)
            link.symlink_to(name)
        return path

    def driver(self, version: str = VERSION, folder: str = LIB) -> Machine:
        self.library(f"libcuda.so.{version}", "libcuda.so.1", folder)
        self.library(f"libnvidia-ml.so.{version}", "libnvidia-ml.so.1", folder)
        self.library(
            f"libnvidia-ptxjitcompiler.so.{version}", "libnvidia-ptxjitcompiler.so.1", folder
        )
        self.library(f"libnvidia-nvvm.so.{version}", "libnvidia-nvvm.so.4", folder)
        return self

    def devices(self, *names: str) -> Machine:
        """Make nodes: links to one that every machine has, as only root could make others."""
        for name in names or ("nvidia0", "nvidiactl", "nvidia-uvm", "nvidia-uvm-tools"):
            path = self.root / "dev" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to("/dev/null")
        return self

    def module(self, version: str = VERSION) -> Machine:
        path = self.root / "proc/driver/nvidia/version"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(KERNEL.format(version=version))
        return self

    def cache(self, *folders: str, name: str = "libcuda.so.1") -> Machine:
        """Write the loader's cache, with what other machines would load among it."""
        entries = [CacheEntry(soname=name, path=f"/{f}/{name}", flags=FLAGS) for f in folders]
        entries.append(CacheEntry(soname=name, path=f"/usr/lib32/{name}", flags=0x0003))
        entries.append(CacheEntry(soname="libc.so.6", path="/lib/libc.so.6", flags=FLAGS))
        path = self.root / "etc/ld.so.cache"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cache_bytes(entries, "made up"))
        return self

    def working(self, *, cuda: int = 13000, init: int = 0, count: int = 1) -> Machine:
        """Put a libcuda there that can be called (needs a compiler)."""
        assert COMPILER is not None
        place = self.root / LIB / f"libcuda.so.{VERSION}"
        place.parent.mkdir(parents=True, exist_ok=True)
        source = self.root / "cuda.c"
        source.write_text(_CUDA % {"cuda": cuda, "init": init, "count": count})
        argv = [COMPILER, "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1"]
        argv += [str(source), "-o", str(place)]
        subprocess.run(argv, check=True, capture_output=True)
        link = place.with_name("libcuda.so.1")
        link.unlink(missing_ok=True)
        link.symlink_to(place.name)
        return self


def cdi(root: str = f"/{LIB}", **more: Any) -> dict[str, Any]:
    """Return a specification as nvidia-ctk writes it (CDI 0.5)."""
    return {
        "cdiVersion": "0.5.0",
        "kind": "nvidia.com/gpu",
        "devices": [
            {"name": "0", "containerEdits": {"deviceNodes": [{"path": "/dev/nvidia0"}]}},
            {"name": "all", "containerEdits": {"deviceNodes": [{"path": "/dev/nvidia0"}]}},
        ],
        "containerEdits": {
            "env": ["NVIDIA_VISIBLE_DEVICES=void"],
            "deviceNodes": [
                {"path": "/dev/nvidiactl"},
                {"path": "/dev/nvidia-uvm", "hostPath": "/dev/nvidia-uvm"},
            ],
            "mounts": [
                {
                    "hostPath": f"{root}/libcuda.so.{VERSION}",
                    "containerPath": f"{root}/libcuda.so.{VERSION}",
                    "options": ["ro", "nosuid", "nodev", "rbind", "rprivate"],
                },
                {"hostPath": "/usr/bin/nvidia-smi", "containerPath": "/usr/bin/nvidia-smi"},
                {"hostPath": "/gone", "containerPath": "/lib/firmware/gone"},
            ],
            "hooks": [
                {
                    "hookName": "createContainer",
                    "path": "/usr/bin/nvidia-cdi-hook",
                    "args": [
                        "nvidia-cdi-hook", "create-symlinks",
                        "--link", f"libcuda.so.1::{root}/libcuda-extra.so",
                    ],
                },
                {
                    "hookName": "createContainer",
                    "path": "/usr/bin/nvidia-cdi-hook",
                    "args": ["nvidia-cdi-hook", "update-ldcache", "--folder", root],
                },
                {
                    "hookName": "createContainer",
                    "path": "/usr/bin/nvidia-cdi-hook",
                    "args": ["nvidia-cdi-hook", "disable-device-node-modification"],
                },
            ],
        },
        **more,
    }  # fmt: skip
