"""From an image's layers to a root file system, unpacked once and kept in the cache.

::

    CACHE/unpacked/sha256-<diffID>/   tree/, facts.json, last-used   one layer
    CACHE/rootfs/sha256-<chainID>/    root/, last-used               layers joined
    CACHE/validate-locks/<name>       held while one of them is made

A directory is made under ``.partial-<name>`` and renamed when it is whole, so that what has
the final name may be trusted; the lock lets several processes meet.  A partial one whose lock
is free was left by a killed run and goes.  Works for any user.  Standard library only.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import stat
import threading
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.errors import ArtifactError, DiskError
from envlock.leases import used
from envlock.validate.join import materialise, merge, with_mount_points
from envlock.validate.unpack import LayerFacts, unpack_layer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from envlock.progress import Reporter
    from envlock.validate.layout import Image, Layer

_PARTIAL = ".partial-"
LAST_USED = "last-used"
"""The file whose date says when a layer or a file system was used."""

_DISK_HINT = "free some space, or put the cache folder elsewhere"


@dataclass(frozen=True, slots=True)
class Store:
    """The part of the cache that validation owns."""

    cache: Path

    @property
    def unpacked(self) -> Path:
        return self.cache / "unpacked"

    @property
    def rootfs(self) -> Path:
        return self.cache / "rootfs"

    @property
    def locks(self) -> Path:
        return self.cache / "validate-locks"


class _StoppedError(Exception):
    """Another layer failed; nobody will see this."""


def prepare_rootfs(
    image: Image, *, cache: Path, reporter: Reporter, workers: int | None = None
) -> Path:
    """Return the root file system of ``image``, making what the cache lacks.

    workers: threads that unpack, by default one a usable CPU.  Progress is told in compressed
    bytes.  Raises IntegrityError, ArtifactError, or DiskError where the cache cannot be written.
    """
    store = Store(cache)
    final = store.rootfs / _name(chain_id([layer.diff_id for layer in image.layers]))
    if _in_use(final):
        with suppress(OSError):  # a cache that is only to be read does as well
            for layer in image.layers:  # its files are their layers'
                _in_use(store.unpacked / _name(layer.diff_id))
            _sweep(store)
        return final / "root"
    try:
        for folder in (store.unpacked, store.rootfs, store.locks):
            folder.mkdir(parents=True, exist_ok=True)
        _sweep(store)
        layers = _unpack_all(image, store, reporter, workers or _usable_cpus())
        _join(layers, final, store, reporter)
    except OSError as error:
        raise DiskError(
            f"cannot unpack the image: {error}", where=str(cache), hint=_DISK_HINT
        ) from error
    return final / "root"


def chain_id(diff_ids: list[str]) -> str:
    """Return the ChainID of layers, lowest first (image-spec, config.md, "Layer ChainID")."""
    if not diff_ids:
        return "sha256:" + "0" * 64
    chain = diff_ids[0]
    for diff_id in diff_ids[1:]:
        chain = "sha256:" + hashlib.sha256(f"{chain} {diff_id}".encode()).hexdigest()
    return chain


def read_inside(root: Path, path: str, limit: int = 1 << 20) -> bytes | None:
    """Return at most ``limit`` bytes of the regular file ``path`` in ``root``, None without one.

    Walks by directory descriptors and follows no symbolic link: what a link inside an image
    points to outside of a sandbox is none of ours.
    """
    *parents, name = path.strip("/").split("/")
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for parent in parents:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            below = os.open(parent, flags, dir_fd=folder)
            os.close(folder)
            folder = below
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(name, flags, dir_fd=folder)
        with os.fdopen(file, "rb") as opened:
            return opened.read(limit) if stat.S_ISREG(os.fstat(file).st_mode) else None
    except OSError:
        return None
    finally:
        os.close(folder)


def _unpack_all(
    image: Image, store: Store, reporter: Reporter, workers: int
) -> list[tuple[Path, LayerFacts]]:
    """Unpack what is missing, the largest first, and return each layer's place and facts."""
    missing = {
        layer.diff_id: layer
        for layer in image.layers
        if not _in_use(store.unpacked / _name(layer.diff_id))
    }
    stop = threading.Event()
    total = sum(layer.blob.size for layer in missing.values())
    with reporter.task("unpack the image", total, "bytes") as task:

        def heard(amount: int) -> None:
            if stop.is_set():
                raise _StoppedError
            task.advance(amount)

        queue = sorted(missing.values(), key=lambda layer: -layer.blob.size)
        with ThreadPoolExecutor(workers, "unpack") as pool:
            try:
                futures = [pool.submit(_unpack, image, layer, store, heard) for layer in queue]
                _wait(futures)
            except BaseException:
                stop.set()
                pool.shutdown(cancel_futures=True)
                raise
    return [_facts(store.unpacked / _name(layer.diff_id)) for layer in image.layers]


def _wait(futures: list[Future[None]]) -> None:
    """Wait for all; raise the first error as soon as it comes."""
    for future in as_completed(futures):
        future.result()


def _unpack(image: Image, layer: Layer, store: Store, heard: Callable[[int], None]) -> None:
    final = store.unpacked / _name(layer.diff_id)
    with _making(store, final) as partial:
        if partial is None:
            heard(layer.blob.size)
        else:
            tree = partial / "tree"
            tree.mkdir()
            facts = unpack_layer(image.blobs, layer, tree, heard)
            text = json.dumps(facts.to_data(), separators=(",", ":"))
            (partial / "facts.json").write_text(text, encoding="ascii")


def _facts(folder: Path) -> tuple[Path, LayerFacts]:
    data = json.loads((folder / "facts.json").read_text(encoding="ascii"))
    return folder / "tree", LayerFacts.from_data(data)


def _join(
    layers: list[tuple[Path, LayerFacts]], final: Path, store: Store, reporter: Reporter
) -> None:
    nodes = with_mount_points(merge([facts for _, facts in layers]))
    with (
        _making(store, final) as partial,
        reporter.task("join the layers", len(nodes), "items") as task,
    ):
        if partial is not None:
            root = partial / "root"
            root.mkdir()
            try:
                materialise(nodes, [tree for tree, _ in layers], root, task.advance)
            except NotADirectoryError as error:
                raise ArtifactError(f"the layers contradict each other: {error}") from error


@contextmanager
def _making(store: Store, final: Path) -> Iterator[Path | None]:
    """Give an empty directory that becomes ``final``, or None where somebody made it already."""
    with _lock(store, final.name):
        if _in_use(final):
            yield None
            return
        partial = final.with_name(f"{_PARTIAL}{final.name}")
        _remove(partial)
        partial.mkdir()
        try:
            yield partial
            (partial / LAST_USED).touch()
            _remove(final)
            partial.rename(final)
        except BaseException:
            _remove(partial)
            raise


@contextmanager
def _lock(store: Store, name: str, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of ``name``; gives False where ``wait`` is off and somebody has it."""
    with (store.locks / name).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def _sweep(store: Store) -> None:
    """Remove what killed runs left."""
    for folder in (store.unpacked, store.rootfs):
        for partial in folder.glob(f"{_PARTIAL}*"):
            with _lock(store, partial.name.removeprefix(_PARTIAL), wait=False) as held:
                if held:
                    _remove(partial)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _in_use(folder: Path) -> bool:
    """Tell whether something whole is there, and keep it from being pruned."""
    return used(folder, folder / LAST_USED)


def _name(digest: str) -> str:
    return digest.replace(":", "-")


def _usable_cpus() -> int:
    return len(os.sched_getaffinity(0))
