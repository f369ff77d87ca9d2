"""Join unpacked layers to one root file system by hard links.

OCI image-spec, layer.md ("Applying Changesets", "Whiteouts"): whiteouts and opaque marks
hide what lower layers hold and never what their own layer holds; a directory over a
directory takes the new mode and keeps the content; anything else replaces what was there.
Standard library only.
"""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from envlock.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from envlock.validate.unpack import LayerFacts

MOUNT_DIRS = ("dev", "proc", "run", "tmp", "var/tmp")
MOUNT_FILES = ("etc/hosts", "etc/resolv.conf")
"""What a container engine mounts over; made, empty, where the image lacks it."""


@dataclass(frozen=True, slots=True)
class Node:
    """One path of the joined file system; layer: the number of the layer that it is from."""

    kind: Literal["dir", "file", "symlink"]
    layer: int
    mode: int = 0o755
    target: str = ""


class _Merger:
    """Paths by name, and each directory's children, so that whole branches can go."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self._children: dict[str, set[str]] = {"": set()}

    def apply(self, number: int, facts: LayerFacts) -> None:
        for path in facts.opaque:
            for child in list(self._children.get(path, ())):
                self._remove(child)
        for path in facts.whiteouts:
            self._remove(path)
        for path in sorted(facts.dirs):  # parents first
            self._directory(number, path, facts.dirs[path])
        for path in facts.files:
            self._put(path, Node("file", number))
        for path, target in facts.symlinks.items():
            self._put(path, Node("symlink", number, target=target))

    def _directory(self, number: int, path: str, mode: int | None) -> None:
        there = self.nodes.get(path)
        if mode is None:
            if there is None:
                self._put(path, Node("dir", number))
            elif there.kind != "dir":
                raise ArtifactError(
                    f"layer {number + 1} writes below {path!r}, a {there.kind} of a lower layer",
                    hint="the layer must list its parent directories",
                )
        elif there is not None and there.kind == "dir":
            self.nodes[path] = Node("dir", number, mode)
        else:
            self._put(path, Node("dir", number, mode))

    def _put(self, path: str, node: Node) -> None:
        self._remove(path)
        self.nodes[path] = node
        self._children[path.rpartition("/")[0]].add(path)
        if node.kind == "dir":
            self._children[path] = set()

    def _remove(self, path: str) -> None:
        if path not in self.nodes:
            return
        self._children[path.rpartition("/")[0]].discard(path)
        doomed = [path]
        while doomed:
            gone = doomed.pop()
            del self.nodes[gone]
            doomed += self._children.pop(gone, ())


def merge(layers: Sequence[LayerFacts]) -> dict[str, Node]:
    """Return what the layers, lowest first, add up to.

    Raises ArtifactError where a layer writes below something that is no directory.
    """
    merger = _Merger()
    for number, facts in enumerate(layers):
        merger.apply(number, facts)
    return merger.nodes


def with_mount_points(nodes: Mapping[str, Node]) -> dict[str, Node]:
    """Return ``nodes`` and the mount points that they lack, which engines make as well."""
    completed = dict(nodes)
    for path in MOUNT_DIRS:
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            completed.setdefault("/".join(parts[:depth]), Node("dir", -1))
    for path in MOUNT_FILES:
        parent = completed.get(path.rpartition("/")[0])
        if parent is not None and parent.kind == "dir":
            completed.setdefault(path, Node("file", -1))
    return completed


def materialise(
    nodes: Mapping[str, Node], trees: Sequence[Path], root: Path, heard: Callable[[int], None]
) -> None:
    """Make the file system at ``root``, an existing empty directory, out of the layers' trees.

    heard: called with the number of paths made.  Files share their inodes with the layers'
    trees.  Raises OSError.
    """
    sources = [os.fspath(tree) for tree in trees]
    base = os.fspath(root)
    modes: list[tuple[str, int]] = []
    for path in sorted(nodes):  # parents first
        node, place = nodes[path], f"{base}/{path}"
        if node.kind == "dir":
            os.mkdir(place, 0o755)  # noqa: PTH102 - 30,000 of these
            modes.append((place, node.mode | 0o700))
        elif node.kind == "symlink":
            os.symlink(node.target, place)  # noqa: PTH211
        elif node.layer < 0:
            with open(place, "xb"):  # noqa: PTH123
                pass
        else:
            _link(f"{sources[node.layer]}/{path}", place)
        heard(1)
    for place, mode in modes:
        os.chmod(place, mode)  # noqa: PTH101


def _link(source: str, place: str) -> None:
    try:
        os.link(source, place, follow_symlinks=False)
    except OSError as error:
        if error.errno not in {errno.EMLINK, errno.EXDEV, errno.EPERM, errno.ENOTSUP}:
            raise
        shutil.copy2(source, place, follow_symlinks=False)
