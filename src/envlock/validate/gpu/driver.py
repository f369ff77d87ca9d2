"""The driver of this machine's GPUs: libraries, devices, version; and how a sandbox sees it."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envlock.errors import GpuError
from envlock.validate.gpu.cdi import find_edits
from envlock.validate.gpu.libraries import (
    Library,
    candidates,
    driver_libraries,
    kernel_version,
    library,
    version_of,
)
from envlock.validate.sandbox import Bind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from envlock.validate.gpu.cdi import Edits

INSIDE = "/run/nvidia-driver"
"""Where the driver's files are shown: in memory, so that no image need have the place."""

_DEVICES = ("dev/nvidia[0-9]*", "dev/nvidiactl", "dev/nvidia-uvm", "dev/nvidia-uvm-tools")
_CAPS = "dev/nvidia-caps/*"
_GPU = re.compile(r"nvidia\d+")
_PROGRAMS = ("usr/bin/nvidia-smi", "usr/local/nvidia/bin/nvidia-smi")
_MODULE = "load the driver's modules: nvidia-smi as root, or nvidia-modprobe -c 0 -u"


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """The driver as it lies on this machine.

    version: of its libraries, ``"580.159.04"``, None where no file states it; source: where it
    was found, for people; libraries: libcuda first; devices: (place here, place inside).
    """

    version: str | None
    source: str
    libraries: tuple[Library, ...]
    devices: tuple[tuple[Path, str], ...]
    programs: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """What a command needs to see this machine's GPU: its devices and driver files.

    library_path and program_path: folders inside to be searched, the first before the image's
    own, the second after them; driver: None where the caller's own environment is used.
    """

    binds: tuple[Bind, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    library_path: str = ""
    program_path: str = ""
    driver: Driver | None = None


def is_visible(root: Path = Path("/")) -> bool:
    """Tell whether this machine shows a GPU: a device node of one."""
    return any(_GPU.fullmatch(path.name) for path in _nodes(root))


def find_driver(root: Path = Path("/"), parse_yaml: Callable[[str], Any] | None = None) -> Driver:
    """Find the driver as the NVIDIA container toolkit does: by CDI, else by names and folders.

    parse_yaml: see :func:`envlock.validate.gpu.cdi.find_edits`.  Raises GpuError, which lists
    what was looked for.
    """
    edits, notes = find_edits(root, parse_yaml)
    driver = _by_names(root, notes) if edits is None else _by_edits(edits, root, notes)
    gpus = [path for path, _ in driver.devices if _GPU.fullmatch(path.name)]
    lacking = []
    if not gpus:
        lacking.append("a device: /dev/nvidia0 and so on")
    elif not any(path.name == "nvidiactl" for path, _ in driver.devices):
        lacking.append("the control device: /dev/nvidiactl")
    if not driver.libraries:
        lacking.append("the driver's library: libcuda.so.1")
    if lacking:
        raise GpuError(
            "no GPU was found",
            details=[f"  not found: {what}" for what in lacking]
            + [f"  looked at: {what}" for what in _looked_at(root, driver)]
            + [f"  note: {note}" for note in driver.notes],
            hint=_MODULE if driver.libraries or gpus else None,
        )
    loaded = kernel_version(root)
    if loaded and driver.version and loaded != driver.version:
        raise GpuError(
            f"the driver's libraries are {driver.version}, its kernel module is {loaded}",
            hint="the machine has to be started again after the driver's update",
        )
    return driver


def access(driver: Driver) -> Gpu:
    """Return how a sandbox shows the driver: files read-only below INSIDE, and the devices."""
    folder = f"{INSIDE}/lib"
    binds = [
        Bind(source=one.path, target=f"{folder}/{name}")
        for one in driver.libraries
        for name in one.names
    ]
    binds += [Bind(source=path, target=f"{INSIDE}/bin/{path.name}") for path in driver.programs]
    binds += [Bind(source=path, target=place, device=True) for path, place in driver.devices]
    return Gpu(
        binds=tuple({bind.target: bind for bind in binds}.values()),
        library_path=folder,
        program_path=f"{INSIDE}/bin" if driver.programs else "",
        driver=driver,
    )


def describe(driver: Driver) -> list[str]:
    """Return what was found, line by line."""
    lines = [f"driver {driver.version or 'of unknown version'}, found by {driver.source}"]
    lines += [f"  library {one.path} as {', '.join(one.names)}" for one in driver.libraries]
    lines += [f"  device {path}" for path, _ in driver.devices]
    lines += [f"  program {path}" for path in driver.programs]
    lines += [f"  note: {note}" for note in driver.notes]
    return lines


def _by_names(root: Path, notes: list[str]) -> Driver:
    kernel = kernel_version(root)
    libraries = tuple(driver_libraries(candidates(root), kernel))
    version = (version_of(libraries[0].path) if libraries else None) or kernel
    return Driver(
        version=version,
        source="the toolkit's list of names",
        libraries=libraries,
        devices=tuple((path, f"/{path.relative_to(root)}") for path in _nodes(root)),
        programs=tuple(root / name for name in _PROGRAMS if _is_binary(root / name))[:1],
        notes=tuple(notes),
    )


def _by_edits(edits: Edits, root: Path, notes: list[str]) -> Driver:
    notes = list(notes)
    libraries: list[Library] = []
    programs: list[Path] = []
    for path, inside in edits.files:
        name = inside.rpartition("/")[2]
        found = library(path) if ".so" in name else None
        if found is not None:
            more = {link.rpartition("/")[2] for link, target in edits.links
                    if target.rpartition("/")[2] in {*found.names, name}}  # fmt: skip
            names = tuple(sorted({*found.names, name, *more}))
            libraries.append(Library(path=found.path, names=names))
        elif name == "nvidia-smi" and _is_binary(path):
            programs.append(path)
        elif not path.exists():
            notes.append(f"{path} is listed and not there")
    libraries.sort(key=lambda one: "libcuda.so.1" not in one.names)
    devices = [(path, place) for path, place in edits.devices if _is_device(path)]
    notes += [f"{path} is no device" for path, _ in edits.devices if not _is_device(path)]
    notes += [f"the hook {what} was not needed" for what in edits.ignored]
    cuda = next((one for one in libraries if "libcuda.so.1" in one.names), None)
    return Driver(
        version=(version_of(cuda.path) if cuda else None) or kernel_version(root),
        source=f"CDI, {edits.source}",
        libraries=tuple(libraries) if cuda else (),
        devices=tuple(devices),
        programs=tuple(programs[:1]),
        notes=tuple(notes),
    )


def _is_binary(path: Path) -> bool:
    """Tell whether a program can start inside: a wrapper in shell would look for its own there."""
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"\x7fELF"
    except OSError:
        return False


def _nodes(root: Path) -> list[Path]:
    """Return the driver's device nodes, GPUs first."""
    found = [path for pattern in (*_DEVICES, _CAPS) for path in sorted(root.glob(pattern))]
    return [path for path in found if _is_device(path)]


def _is_device(path: Path) -> bool:
    try:
        return stat.S_ISCHR(path.stat().st_mode)
    except OSError:
        return False


def _looked_at(root: Path, driver: Driver) -> list[str]:
    if driver.source.startswith("CDI"):
        return [driver.source]
    folders = [f"/{folder.relative_to(root)}" for folder in candidates(root)]
    return ["/etc/cdi, /var/run/cdi", "/etc/ld.so.cache", f"the folders {', '.join(folders)}"]
