"""What packages put where: facts for one package, cacheable, and the tree of several.

A layer is written from entries that pass by once.  What the system's own files depend on
(``system.py``) is noted while they pass, so that no package's content is kept in memory and
none is read twice.  Facts of a package depend on that package alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from envlock.errors import ArtifactError
from envlock.layers.deb import ALIASES
from envlock.layers.elf import SharedObject, read_shared_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from envlock.layers.deb import ControlFiles
    from envlock.layers.entry import Entry, EntryKind

FACTS_FORMAT = 1
"""Version of a cached PackageFacts; older ones must be made anew."""

KEPT = (
    "etc/ld.so.conf",
    "etc/ld.so.conf.d/*.conf",
    "usr/share/ca-certificates/*.crt",
    "usr/local/share/ca-certificates/*.crt",
    "usr/share/base-passwd/*.master",
    "usr/share/libc-bin/nsswitch.conf",
    "usr/share/base-files/*",
    "usr/share/readline/inputrc",
    "usr/share/debianutils/shells",
    "usr/share/debianutils/shells.d/*",
)
"""Files whose bytes the system's entries need; ``*`` also matches slashes."""

KEPT_LIMIT = 1 << 20
_PACKAGE_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")  # Debian policy 5.6.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An entry without its content."""

    kind: EntryKind
    mode: int
    uid: int = 0
    gid: int = 0
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFacts:
    """What one package contributes.

    control: its control paragraph; md5sums: as shipped, perhaps empty; kept: contents of the
    files that match KEPT; libraries: its shared objects, by path.
    """

    package: str
    version: str
    architecture: str
    control: bytes
    md5sums: bytes
    nodes: Mapping[str, Node]
    kept: Mapping[str, bytes]
    libraries: Mapping[str, SharedObject]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON value; bytes become Latin-1 text."""
        return {
            "format": FACTS_FORMAT,
            "control": self.control.decode("latin-1"),
            "md5sums": self.md5sums.decode("latin-1"),
            "nodes": {
                path: [node.kind, node.mode, node.uid, node.gid, node.target]
                for path, node in self.nodes.items()
            },
            "kept": {path: data.decode("latin-1") for path, data in self.kept.items()},
            "libraries": {path: [so.soname, so.flags] for path, so in self.libraries.items()},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PackageFacts:
        """Return what ``to_json`` was called on; raises ValueError for another format."""
        if value.get("format") != FACTS_FORMAT:
            raise ValueError(f"facts of format {value.get('format')!r}")
        return _facts(
            control=value["control"].encode("latin-1"),
            md5sums=value["md5sums"].encode("latin-1"),
            nodes={
                path: Node(kind=kind, mode=mode, uid=uid, gid=gid, target=target)
                for path, (kind, mode, uid, gid, target) in value["nodes"].items()
            },
            kept={path: text.encode("latin-1") for path, text in value["kept"].items()},
            libraries={
                path: SharedObject(soname=soname, flags=flags)
                for path, (soname, flags) in value["libraries"].items()
            },
        )


class Collector:
    """Notes a package's facts while its entries pass: ``watch`` them, then ask for ``facts``."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._kept: dict[str, bytes] = {}
        self._libraries: dict[str, SharedObject] = {}

    def watch(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Yield the same entries."""
        for entry in entries:
            self.see(entry)
            yield entry

    def see(self, entry: Entry) -> None:
        path = entry.path
        self._nodes[path] = Node(
            kind=entry.kind, mode=entry.mode, uid=entry.uid, gid=entry.gid, target=entry.target
        )
        if entry.content is None:
            return
        if ".so" in path.rpartition("/")[2]:  # a library's link may lead to any such name
            library = read_shared_object(entry.content.read())
            if library is not None:
                self._libraries[path] = library
        if any(fnmatchcase(path, pattern) for pattern in KEPT):
            if entry.content.size > KEPT_LIMIT:
                raise ArtifactError(f"{path!r} has {entry.content.size} bytes, too many")
            self._kept[path] = entry.content.read()

    def facts(self, control: ControlFiles) -> PackageFacts:
        """Return the facts of the package whose control files these are."""
        return _facts(
            control=control["control"],
            md5sums=control.get("md5sums", b""),
            nodes=self._nodes,
            kept=self._kept,
            libraries=self._libraries,
        )


def _facts(
    *,
    control: bytes,
    md5sums: bytes,
    nodes: Mapping[str, Node],
    kept: Mapping[str, bytes],
    libraries: Mapping[str, SharedObject],
) -> PackageFacts:
    fields = control_fields(control)
    name = fields.get("Package", "")
    if not _PACKAGE_NAME.fullmatch(name):
        raise ArtifactError(f"bad package name {name!r} in a control file")
    return PackageFacts(
        package=name,
        version=fields.get("Version", ""),
        architecture=fields.get("Architecture", ""),
        control=control,
        md5sums=md5sums,
        nodes=nodes,
        kept=kept,
        libraries=libraries,
    )


def control_fields(control: bytes) -> dict[str, str]:
    """Return the one-line values of a control paragraph (Debian policy 5.1)."""
    fields: dict[str, str] = {}
    for line in control.decode("utf-8", "replace").splitlines():
        name, colon, value = line.partition(":")
        if colon and not line.startswith((" ", "\t", "#")):
            fields.setdefault(name, value.strip())
    return fields


@dataclass(slots=True)
class Tree:
    """All packages of an image in one root with a merged /usr.

    nodes: what is at each path; a directory's owner and mode are those of base-files, or else
    of the package that is first by name, whatever the order of installation would be;
    owners: the package of each path.
    """

    packages: tuple[PackageFacts, ...]
    nodes: dict[str, Node] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    implied: set[str] = field(default_factory=set)
    _names: dict[str, set[str]] = field(default_factory=dict)
    _libraries: dict[str, SharedObject] = field(default_factory=dict)

    @classmethod
    def of(cls, packages: Iterable[PackageFacts]) -> Tree:
        """Merge packages; raises ArtifactError, naming both, where two of them clash."""
        ordered = sorted(packages, key=lambda facts: (facts.package != "base-files", facts.package))
        tree = cls(packages=tuple(ordered))
        for facts in ordered:
            for path, node in facts.nodes.items():
                tree._add(path, node, facts.package)
            tree._libraries.update(facts.libraries)
        tree._index()
        return tree

    def _add(self, path: str, node: Node, owner: str) -> None:
        other = self.nodes.get(path)
        if other is None:
            self.nodes[path] = node
            self.owners[path] = owner
        elif not (other.kind == node.kind == "dir" or (other == node and node.kind == "symlink")):
            raise ArtifactError(
                f"the packages {self.owners[path]} and {owner} both provide {path!r}",
                hint="they cannot be in one image; leave one of them out",
            )

    def _index(self) -> None:
        """Note each directory's names, and refuse paths that lead through no directory."""
        for path in self.nodes:
            child = path
            while child:
                parent, _, name = child.rpartition("/")
                names = self._names.setdefault(parent, set())
                if name in names:
                    break
                names.add(name)
                if parent and parent not in self.nodes:
                    self.implied.add(parent)
                elif parent and self.nodes[parent].kind != "dir":
                    raise ArtifactError(
                        f"{path!r} of {self.owners[path]} leads through {parent!r}, "
                        f"a {self.nodes[parent].kind} of {self.owners[parent]}"
                    )
                child = parent

    @property
    def package_names(self) -> frozenset[str]:
        return frozenset(facts.package for facts in self.packages)

    def kept(self) -> dict[str, bytes]:
        """Return the contents of all files that match KEPT, by path."""
        return {path: data for facts in self.packages for path, data in facts.kept.items()}

    def __contains__(self, path: str) -> bool:
        return path in self.nodes or path in self.implied

    def is_directory(self, path: str) -> bool:
        return path in self.implied or (path in self.nodes and self.nodes[path].kind == "dir")

    def is_link(self, path: str) -> bool:
        return path in self.nodes and self.nodes[path].kind == "symlink"

    def names(self, directory: str) -> Iterable[str]:
        return self._names.get(directory, ())

    def shared_object(self, path: str) -> SharedObject | None:
        node = self.nodes.get(path)
        if node is None:
            return None
        return self._libraries.get(node.target if node.kind == "hardlink" else path)

    def resolve(self, path: str) -> str | None:
        """Return where ``path`` leads inside the image; None if nothing is there."""
        waiting = [part for part in reversed(path.split("/")) if part not in {"", "."}]
        done: list[str] = []
        links = 0
        while waiting:
            part = waiting.pop()
            if part == "..":
                del done[-1:]
                continue
            here = "/".join([*done, part])
            target = ALIASES.get(here) or (self.nodes[here].target if self.is_link(here) else "")
            if not target:
                if here not in self:
                    return None
                done.append(part)
                continue
            links += 1
            if links > 40:  # as the kernel counts them (path_resolution(7))
                return None
            if target.startswith("/") or here in ALIASES:
                done = []
            waiting += [part for part in reversed(target.split("/")) if part not in {"", "."}]
        return "/".join(done)
