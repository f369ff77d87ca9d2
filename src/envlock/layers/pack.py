"""One planned layer from verified artifacts: the functions that worker processes run.

Every artifact is hashed through the very file handle that it is then read from; nothing
that is not the locked file gets into a layer.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from envlock.errors import ArtifactError, DiskError, IntegrityError
from envlock.files import read_pieces, verify_file, write_atomically, written_beside
from envlock.layers.blobs import layer_blob, verified
from envlock.layers.deb import merged_path, read_control, read_entries
from envlock.layers.debtree import Collector, PackageFacts, Tree
from envlock.layers.entry import Entry, directory, regular, symlink
from envlock.layers.gzipstream import UnexpectedBytesError
from envlock.layers.plan import PREFIX, LayerPlan
from envlock.layers.split import part_of
from envlock.layers.system import NONROOT, system_entries
from envlock.layers.wheel import wheel_entries
from envlock.layers.writer import LayerWriter
from envlock.leases import used
from envlock.lock.model import PACKER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from envlock.layers.gzipstream import Known, StreamDigests
    from envlock.layers.scheme import Scheme
    from envlock.lock.model import Artifact

_USERS = {"root": 0, "nonroot": NONROOT}
_SYSTEM_FOLDERS = frozenset(
    {"bin", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "proc", "root", "run"}
    | {"sbin", "sys", "tmp", "usr", "var", "var/lock", "var/run", "var/tmp"}
)
"""A working directory that the OS layer has: its owner, mode or link stays what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """The packed files of one .deb: gzip members that layers are joined from."""

    path: Path
    sha256: str
    size: int
    facts: PackageFacts


def pack_wheels(
    plan: LayerPlan, paths: Mapping[str, Path], folder: Path, known: Known | None = None
) -> StreamDigests:
    """Write a layer of distributions as ``folder/<hex digest>``; ``paths`` by sha256.

    known: what will come out; where something else does, it is not believed, and the layer is
    made once more.
    Raises IntegrityError, ArtifactError, DiskError.
    """
    if known is not None:
        with contextlib.suppress(ArtifactError):
            return _wheels_layer(plan, paths, folder, known)
    return _wheels_layer(plan, paths, folder, None)


def _wheels_layer(
    plan: LayerPlan, paths: Mapping[str, Path], folder: Path, known: Known | None
) -> StreamDigests:
    scheme, trusted = plan.scheme, known is not None and known.seen_here
    with layer_blob(folder) as (out, done), contextlib.ExitStack() as stack:
        writer = LayerWriter(out, known=known.digests if known else None)
        if plan.kind == "rest":
            writer.add_all(environment_entries(plan))
        seen: dict[str, tuple[int, int]] = {}
        for wheel in plan.artifacts:
            path = paths[wheel.sha256]
            archive = stack.enter_context(verified(path, wheel, known=trusted))
            entries: Sequence[Entry] = installed_entries(path, archive, scheme, wheel)
            if plan.part:
                entries = part_of(entries, plan.part)
            for entry in entries:
                mark = fingerprint(entry)
                first = seen.setdefault(entry.path, mark)
                if first is mark:
                    writer.add(entry)
                elif first != mark:
                    raise ArtifactError(f"two wheels install {entry.path!r} differently")
        done.append(writer.finish())
    return done[0]


def installed_entries(
    path: Path, archive: BinaryIO, scheme: Scheme, wheel: Artifact
) -> list[Entry]:
    """Return what a wheel installs, but for files that give way to another's.

    Its errors name the wheel as the lock does.
    """
    try:
        return wheel_entries(
            path,
            archive,
            scheme,
            name=wheel.name,
            version=wheel.version,
            without=[path for path, _ in wheel.clobbered],
        )
    except ArtifactError as error:
        message = error.message.removeprefix(f"{path.name}: ")
        if message.startswith(f"{path.name} "):
            message = f"it {message.removeprefix(path.name).lstrip()}"
        message = message.replace(path.name, "the wheel")
        raise ArtifactError(message, where=wheel.file, hint=error.hint) from None


def fingerprint(entry: Entry) -> tuple[int, int]:
    """Return (CRC-32, size) of a file; equal for equal files."""
    content = entry.content
    if content is None:
        return (0, -1)
    crc = getattr(content, "crc", None)
    return (zlib.crc32(content.read()) if crc is None else crc, content.size)


def environment_entries(plan: LayerPlan) -> list[Entry]:
    """Return the files that make the prefix an environment, and the working directory.

    A virtual environment (PEP 405) where the interpreter is the system's; where there are
    conda packages, the file by which conda's tools know an environment.
    """
    settings = dict(plan.settings)
    entries: list[Entry] = []
    if home := settings.get("interpreter"):
        version = settings["python"]
        config = f"home = {home}\ninclude-system-site-packages = false\n"
        entries += [
            regular(f"{PREFIX}/pyvenv.cfg", config.encode()),
            symlink(f"{PREFIX}/bin/python{version}", f"{home}/python{version}"),
            symlink(f"{PREFIX}/bin/python3", f"python{version}"),
            symlink(f"{PREFIX}/bin/python", f"python{version}"),
            symlink(f"{PREFIX}/lib64", "lib"),
        ]
    if settings.get("conda"):
        entries.append(regular(f"{PREFIX}/conda-meta/history", b""))
    workdir = merged_path(settings.get("workdir", "").strip("/"))
    if workdir and workdir not in _SYSTEM_FOLDERS:
        uid, gid = owner_of(settings.get("user", "root"))
        entries.append(directory(workdir, uid=uid, gid=gid))
    return entries


def owner_of(user: str) -> tuple[int, int]:
    """Return the numbers of a spec's ``user`` or ``user:group``, who owns its working directory.

    Users and groups that packages make have no number before the image is there: root's is taken.
    """
    name, _, group = user.partition(":")
    return _number(name), _number(group or name)


def _number(account: str) -> int:
    return int(account) if account.isdecimal() else _USERS.get(account, 0)


def pack_segment(deb: Artifact, path: Path, folder: Path) -> Segment:
    """Pack the files of one .deb into ``folder``, or take what an earlier run packed there.

    Raises IntegrityError, ArtifactError, DiskError.
    """
    target = folder / f"{PACKER}-{deb.sha256}.gz"
    known = _known_segment(target)
    if known is not None:
        return known
    with verified(path, deb), written_beside(folder, ".segment-") as (out, beside):
        collector = Collector()
        writer = LayerWriter(out, parents=False)
        for entry in collector.watch(read_entries(path)):
            if entry.kind in {"file", "hardlink"}:
                writer.add(entry)
        digests = writer.finish_segment()
        facts = collector.facts(read_control(path))
        beside.replace(target)
    sha256 = digests.digest.removeprefix("sha256:")
    record = {"sha256": sha256, "size": digests.size, "facts": facts.to_json()}
    write_atomically(target.with_suffix(".json"), json.dumps(record).encode())
    return Segment(path=target, sha256=sha256, size=digests.size, facts=facts)


def _known_segment(target: Path) -> Segment | None:
    facts_file = target.with_suffix(".json")
    if not (used(target) and used(facts_file)):
        return None
    try:
        record = json.loads(facts_file.read_text())
        facts = PackageFacts.from_json(record["facts"])
        verify_file(target, record["sha256"], record["size"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IntegrityError, DiskError):
        return None
    return Segment(path=target, sha256=record["sha256"], size=record["size"], facts=facts)


def pack_os(
    plan: LayerPlan,
    segments: Sequence[Segment],
    folder: Path,
    *,
    multiarch: str,
    known: Known | None = None,
) -> StreamDigests:
    """Write the OS layer: directories, links and system files, then each package's files.

    known: what will come out, as for :func:`pack_wheels`.
    """
    skeleton = _os_skeleton(plan, segments, multiarch)
    if known is not None:
        with contextlib.suppress(UnexpectedBytesError):
            return _os_layer(skeleton, segments, folder, known.digests)
    return _os_layer(skeleton, segments, folder, None)


def _os_layer(
    skeleton: Sequence[Entry],
    segments: Sequence[Segment],
    folder: Path,
    known: StreamDigests | None,
) -> StreamDigests:
    with layer_blob(folder) as (out, done):
        writer = LayerWriter(out, parents=False, known=known)
        writer.add_all(skeleton)
        for segment in segments:
            if known is None:
                verify_file(segment.path, segment.sha256, segment.size)
            with segment.path.open("rb") as stream:
                writer.add_segment(read_pieces(stream))
        done.append(writer.finish())
    return done[0]


def _os_skeleton(plan: LayerPlan, segments: Sequence[Segment], multiarch: str) -> list[Entry]:
    tree = Tree.of(segment.facts for segment in segments)
    for path in tree.nodes:
        if path.startswith(f"{PREFIX}/"):
            raise ArtifactError(
                f"{tree.owners[path]} installs /{path}, and /{PREFIX} is the environment's",
                hint="leave this package out",
            )
    alternatives = {
        name.removeprefix("alternative /"): target
        for name, target in plan.settings
        if name.startswith("alternative ")
    }
    system = system_entries(tree, multiarch=multiarch, alternatives=alternatives)
    return _skeleton(tree, system)


def _skeleton(tree: Tree, system: Iterable[Entry]) -> list[Entry]:
    """Return everything but the packages' own files, parents first."""
    entries = {
        path: Entry(
            path=path,
            kind=node.kind,
            mode=node.mode,
            uid=node.uid,
            gid=node.gid,
            target=node.target,
        )
        for path, node in tree.nodes.items()
        if node.kind in {"dir", "symlink"}
    }
    for entry in system:
        entries.setdefault(entry.path, entry)
    return [entries[path] for path in sorted(entries, key=lambda path: path.split("/"))]
