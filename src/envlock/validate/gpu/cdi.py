"""Read a Container Device Interface specification of the GPUs (CDI 0.5 and later).

From a specification's ``containerEdits`` (its own, and those of the device ``all`` or else of
every device) come the device nodes and the driver's files.  Hooks are programs of the host and
are not run; of those that the NVIDIA toolkit writes, ``create-symlinks`` and
``update-ldcache`` say by which names libraries are found, which is all that is needed here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from envlock.errors import GpuError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FOLDERS = ("var/run/cdi", "run/cdi", "etc/cdi")
"""Where specifications lie, the folder that wins first (CDI: the later one has priority)."""

_KINDS = ("nvidia.com/gpu",)
_AGAIN = "make it anew with nvidia-ctk cdi generate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """What a specification shows to a container.

    devices and files: (place here, place inside); links: (link, target) inside that hooks
    would make; ignored: hooks whose effect is not needed here.
    """

    source: Path
    devices: tuple[tuple[Path, str], ...]
    files: tuple[tuple[Path, str], ...]
    links: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...]


def find_edits(
    root: Path, parse_yaml: Callable[[str], Any] | None = None
) -> tuple[Edits | None, list[str]]:
    """Return the first GPU specification's edits, and notes on files that were not used.

    parse_yaml: reads the text of a YAML file; without it only JSON is read.  Raises GpuError
    for a GPU specification of wrong shape.
    """
    notes: list[str] = []
    seen: set[Path] = set()
    for folder in FOLDERS:
        place = (root / folder).resolve()
        for path in sorted(place.glob("*")) if place not in seen and place.is_dir() else ():
            if path.suffix in {".yaml", ".yml"} and parse_yaml is None:
                notes.append(
                    f"/{folder}/{path.name} is YAML, which is not read here without PyYAML"
                )
            elif path.suffix in {".json", ".yaml", ".yml"}:
                value = _read(path, json.loads if path.suffix == ".json" else parse_yaml)
                if value.get("kind") in _KINDS:
                    return _edits(path, root, value), notes
        seen.add(place)
    return None, notes


def _read(path: Path, parse: Callable[[str], Any] | None) -> dict[str, Any]:
    assert parse is not None
    try:
        value = parse(path.read_text("utf-8"))
    except Exception as error:  # noqa: BLE001 - a YAML parser's errors are not known here
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise GpuError(
            f"the CDI file cannot be read: {reason}", where=str(path), hint=_AGAIN
        ) from None
    if not isinstance(value, dict):
        raise GpuError("the CDI file is no mapping", where=str(path), hint=_AGAIN)
    return value


def _edits(path: Path, root: Path, value: dict[str, Any]) -> Edits:
    try:
        devices: list[tuple[Path, str]] = []
        files: list[tuple[Path, str]] = []
        links: list[tuple[str, str]] = []
        ignored: list[str] = []
        for edits in _chosen(value):
            devices += [_node(node, root) for node in _list(edits, "deviceNodes")]
            files += [
                (root / _path(mount, "hostPath").lstrip("/"), _path(mount, "containerPath"))
                for mount in _list(edits, "mounts")
            ]
            for hook in _list(edits, "hooks"):
                args = [str(word) for word in _list(hook, "args")]
                links += _links(args)
                if not {"create-symlinks", "update-ldcache"} & set(args):
                    ignored.append(" ".join(args[1:3]) or str(hook.get("path")))
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise GpuError(
            f"the CDI file is not understood: {reason}", where=str(path), hint=_AGAIN
        ) from None
    return Edits(
        source=path,
        devices=tuple(dict.fromkeys(devices)),
        files=tuple(dict.fromkeys(files)),
        links=tuple(dict.fromkeys(links)),
        ignored=tuple(dict.fromkeys(ignored)),
    )


def _chosen(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the edits for all GPUs: the file's, and those of "all" or else of every device."""
    yield _edits_of(value)
    devices = _list(value, "devices")
    every = [device for device in devices if device["name"] == "all"]
    for device in every or devices:
        yield _edits_of(device)


def _edits_of(value: dict[str, Any]) -> dict[str, Any]:
    edits = value.get("containerEdits") or {}
    if not isinstance(edits, dict):
        raise TypeError("containerEdits is no mapping")
    return edits


def _list(value: dict[str, Any], key: str) -> list[Any]:
    found = value.get(key) or []
    if not isinstance(found, list):
        raise TypeError(f"{key} is no list")
    return found


def _node(node: dict[str, Any], root: Path) -> tuple[Path, str]:
    inside = _path(node, "path")
    outside = _path(node, "hostPath") if node.get("hostPath") else inside
    return root / outside.lstrip("/"), inside


def _path(value: dict[str, Any], key: str) -> str:
    text = value[key]
    if not isinstance(text, str) or not text.startswith("/") or not text.isprintable():
        raise ValueError(f"{key} {text!r} is no absolute path")
    if ".." in text.split("/") or text.endswith("/"):
        raise ValueError(f"{key} {text!r} is no absolute path")
    return text


def _links(args: list[str]) -> Iterator[tuple[str, str]]:
    """Yield (link, target) of ``create-symlinks --link TARGET::LINK``, written either way."""
    if "create-symlinks" not in args:
        return
    for number, word in enumerate(args):
        text = args[number + 1] if word == "--link" and number + 1 < len(args) else ""
        text = word.removeprefix("--link=") if word.startswith("--link=") else text
        target, both, link = text.partition("::")
        name = link.rpartition("/")[2]
        if both and name.isprintable() and name not in {"", ".", ".."}:
            yield link, target
