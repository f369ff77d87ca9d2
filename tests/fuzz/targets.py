"""What is fuzzed: a reader a function, fed with bytes.

A target lets nothing out but EnvlockError, which is how a reader refuses; anything else that
comes up, and an assertion that does not hold, is a defect.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import itertools
import json
import tarfile
import tempfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envlock.audit import index_wheel
from envlock.errors import ArtifactError, EnvlockError
from envlock.fetch.artifacts import Fetcher
from envlock.fetch.http import Http
from envlock.fetch.store import Store
from envlock.layers.conda import conda_entries
from envlock.layers.condaarchive import open_conda
from envlock.layers.deb import read_control, read_entries
from envlock.layers.debar import read_ar
from envlock.layers.debtree import Collector, Tree
from envlock.layers.entry import Entry, check_path
from envlock.layers.gzipstream import GzipWriter
from envlock.layers.scheme import Scheme
from envlock.layers.tarreader import read_members
from envlock.layers.wheel import wheel_entries
from envlock.layers.writer import LayerWriter
from envlock.layers.zipcontent import read_zip
from envlock.lock import codec
from envlock.lock.model import Artifact, CondaRecord
from envlock.lock.plain import seal
from envlock.progress import SILENT
from envlock.solve.conda.archive import read_info
from envlock.solve.conda.archive import read_members as read_conda_members
from envlock.solve.pypi.choosing import Chosen
from envlock.solve.pypi.metadata import MetadataReader
from envlock.spec.document import parse_document
from envlock.spec.parse import parse_spec
from envlock.spec.projection import project
from envlock.validate.blobs import DirectoryBlobs
from envlock.validate.layout import open_layout
from envlock.validate.unpack import unpack_layer
from tests.makers.spliced import copy_small, splice

from ..layers.making import Member, make_zip
from ..layers_conda.making import raw_frame
from ..layers_deb.making import CONTROL, Item, ar, deb
from ..layers_deb.making import tar as tar_of
from ..validate.images import Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

SCHEME = Scheme(prefix="opt/env", python="3.11")
_MEMORY = Path("/dev/shm")
SCRATCH = _MEMORY if _MEMORY.is_dir() else Path(tempfile.gettempdir())


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=SCRATCH, prefix="envlock-fuzz-") as name:
        yield Path(name)


def _pack(entries: Iterable[Entry]) -> None:
    """Write entries as a layer, and look at it as an engine would."""
    out = io.BytesIO()
    writer = LayerWriter(out)
    seen = set()
    for entry in entries:
        check_path(entry.path)
        assert entry.mode & ~0o7777 == 0
        writer.add(entry)
        seen.add(entry.path)
    digests = writer.finish()
    plain = gzip.decompress(out.getvalue())
    assert len(plain) == digests.plain_size
    found = {member.name.removesuffix("/") for member in read_members(io.BytesIO(plain), pax=True)}
    assert seen <= found


def zip_archive(data: bytes) -> None:
    """Any bytes as a zip: whatever is listed can be read, or is refused."""
    for info in read_zip(Path("a.zip"), io.BytesIO(data)):
        with contextlib.suppress(ArtifactError):
            for _ in itertools.islice(info.member.plain_pieces(), 4):
                pass


def wheel(data: bytes) -> None:
    """Any bytes as a wheel."""
    _pack(wheel_entries(Path("a.whl"), io.BytesIO(data), SCHEME, name="a", version="1"))


def wheel_files(data: bytes) -> None:
    """A well-formed zip whose names and contents are the input's: ``name NUL content`` pieces."""
    fields = data.split(b"\0\0")
    pairs = [field.partition(b"\0")[::2] for field in fields[:40]]
    info = b"a-1.dist-info/"
    pairs += [(info + b"WHEEL", b"Wheel-Version: 1.0\n"), (info + b"METADATA", b"Name: a\n")]
    pairs += [] if any(name == info + b"RECORD" for name, _ in pairs) else [(info + b"RECORD", b"")]
    wheel(make_zip([Member(name, content) for name, content in pairs]))


def tar(data: bytes) -> None:
    """Any bytes as a tar, by both sets of rules; the strict one accepts no more than the other."""
    accepted: list[Any] = []
    for pax in (False, True):
        try:
            found = [
                (member.name, member.kind, member.linkname, member.content.read())
                for member in read_members(io.BytesIO(data), pax=pax)
            ]
        except EnvlockError:
            accepted.append(None)
        else:
            accepted.append(found)
    strict, wide = accepted
    assert strict is None or strict == wide


def debian_archive(data: bytes) -> None:
    """Any bytes as an ar archive and as a .deb."""
    for member in read_ar(io.BytesIO(data)):
        assert member.offset + member.size <= len(data)
    with _folder() as folder:
        path = folder / "a_1_amd64.deb"
        path.write_bytes(data)
        _package(path)


def debian_data(data: bytes) -> None:
    """A .deb whose data.tar is the input."""
    with _folder() as folder:
        path = folder / "a_1_amd64.deb"
        path.write_bytes(deb(data, suffix="", control_suffix=""))
        _package(path)


def debian_control(data: bytes) -> None:
    """A .deb whose control file is the input."""
    with _folder() as folder:
        path = folder / "a_1_amd64.deb"
        path.write_bytes(deb(bytes(1024), suffix="", control_suffix="", control={"control": data}))
        _package(path)


def debian_compressed(data: bytes) -> None:
    """A .deb whose data.tar is compressed, by the input's first byte, and is the input."""
    suffix = (".gz", ".xz", ".bz2", ".zst")[data[0] % 4] if data else ".gz"
    with _folder() as folder:
        path = folder / "a_1_amd64.deb"
        control = tar_of([Item("./control", CONTROL)])
        members = [("debian-binary", b"2.0\n"), ("control.tar", control)]
        path.write_bytes(ar([*members, (f"data.tar{suffix}", data[1:])]))
        _package(path)


def _package(path: Path) -> None:
    collector = Collector()
    _pack(entry for entry in collector.watch(read_entries(path)) if entry.kind != "symlink")
    facts = collector.facts(read_control(path))
    assert type(facts).from_json(json.loads(json.dumps(facts.to_json()))) == facts
    tree = Tree.of([facts])
    for name in list(tree.nodes)[:20]:
        tree.resolve(name)


def _conda_artifact(file: str, noarch: Any) -> Artifact:
    record = CondaRecord(build="0", build_number=0, subdir="linux-64", noarch=noarch)
    return Artifact(
        kind="conda", name="a", version="1", source="main", file=file, path=f"linux-64/{file}",
        sha256="0" * 64, size=1, conda=record,
    )  # fmt: skip


def _conda(data: bytes, file: str) -> None:
    with _folder() as folder:
        for noarch in (None, "python"):
            with open_conda(io.BytesIO(data), file, folder) as archive:
                _pack(conda_entries(archive, _conda_artifact(file, noarch), SCHEME))


def conda_package(data: bytes) -> None:
    """Any bytes as a ``.conda``."""
    _conda(data, "a-1-0.conda")


def conda_tar_bz2(data: bytes) -> None:
    """Any bytes as a ``.tar.bz2``."""
    _conda(data, "a-1-0.tar.bz2")


INDEX = b'{"name": "a", "version": "1", "build": "0"}'


def conda_paths(data: bytes) -> None:
    """A ``.conda`` whose paths.json is what is before the first NUL, and its files the rest."""
    paths, _, payload = data.partition(b"\0")
    info = _tar({"info/index.json": INDEX, "info/paths.json": paths})
    members = [
        Member(name, content, method=0)
        for name, content in (
            ("info-a-1-0.tar.zst", raw_frame(info)),
            ("pkg-a-1-0.tar.zst", raw_frame(payload)),
        )
    ]
    _conda(make_zip(members), "a-1-0.conda")


def _tar(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def lock_text(data: bytes) -> None:
    """Any text as a lock."""
    codec.parse_lock(data.decode("utf-8", "replace"), "a.lock.json")


def lock_sealed(data: bytes) -> None:
    """Any JSON as a lock whose seals are right: what a person made on purpose."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(value, dict):
        return
    artifacts = value.get("artifacts")
    for item in artifacts if isinstance(artifacts, list) else ():
        if isinstance(item, dict):
            item["seal"] = seal(item)
    if isinstance(value.get("spec"), dict):
        text = json.dumps(value["spec"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        value["input"] = f"sha256:{hashlib.sha256(text.encode(errors='replace')).hexdigest()}"
    value["seal"] = seal(value)
    lock = codec.parse_lock(json.dumps(value), "a.lock.json")
    again = codec.parse_lock(codec.dump_lock(lock), "a.lock.json")
    assert again == lock


def spec_text(data: bytes) -> None:
    """Any text as a spec; what is taken has a projection for each platform."""
    document = parse_document(data.decode("utf-8", "replace"), "envs/a.yaml")
    spec = parse_spec(document, "envs/a.yaml")
    for target in spec.targets:
        json.dumps(project(spec, target.name))


def spliced(data: bytes) -> None:
    """Any bytes as a raw DEFLATE stream between bytes of our own."""
    decoder = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = decoder.decompress(data, 1 << 20)
    except zlib.error:
        plain = b""
    whole = decoder.eof and not decoder.unused_data
    if whole:
        joined = splice(data, plain)
        assert joined is None or len(joined) > len(data)
    out = io.BytesIO()
    writer = GzipWriter(out)
    writer.write(b"before")
    if whole:
        copy_small(writer, data, plain)
        writer.write(b"between")
        pieces = [data[at : at + 7] for at in range(0, len(data), 7)]
        writer.copy_large(pieces, len(plain), zlib.crc32(plain))
        writer.copy_stored(data)
        expected = b"before" + plain + b"between" + plain + data + b"after"
    else:
        writer.copy_stored(data)
        expected = b"before" + data + b"after"
    writer.write(b"after")
    digests = writer.finish()
    assert gzip.decompress(out.getvalue()) == expected
    assert digests.size == out.tell()
    assert digests.plain_size == len(expected)


def gzip_segment(data: bytes) -> None:
    """Any bytes as the large stream of a wheel: refused, or exactly what it claims."""
    out = io.BytesIO()
    writer = GzipWriter(out)
    size = int.from_bytes(data[:2], "little")
    writer.copy_large([data[2:]], size, 0)
    writer.finish()
    assert len(gzip.decompress(out.getvalue())) == size


def image_layer(data: bytes) -> None:
    """Any tar as the layer of a stranger's image: nothing is written beside its folder."""
    with _folder() as folder:
        layout = Layout(folder / "layout")
        layout.raw_layer(data)
        image = open_layout(layout.write())
        tree = folder / "tree"
        tree.mkdir()
        before = sorted(path.name for path in folder.iterdir())
        try:
            unpack_layer(DirectoryBlobs(layout.root), image.layers[0], tree, lambda _: None)
        finally:
            assert sorted(path.name for path in folder.iterdir()) == before
            for path in tree.rglob("*"):
                assert not path.is_symlink()
                path.chmod(0o700)


def audited_wheel(data: bytes) -> None:
    """Any bytes as a wheel that is audited."""
    with _folder() as folder:
        path = folder / "a-1-py3-none-any.whl"
        path.write_bytes(data)
        index_wheel(path)


def solved_wheel(data: bytes) -> None:
    """Any bytes as a wheel whose METADATA the solve reads."""
    digest = hashlib.sha256(data).hexdigest()
    with _folder() as folder:
        store = Store(folder)
        place = store.path(digest)
        place.parent.mkdir(parents=True)
        place.write_bytes(data)
        chosen = Chosen(
            name="a", version="1", index="pypi", file="a-1-py3-none-any.whl",
            url="https://example.invalid/a", sha256=digest, size=len(data),
        )  # fmt: skip
        http = Http(offline=True)
        MetadataReader(http, Fetcher(store, http), folder / "cache").describe([chosen], SILENT)


def solved_conda(data: bytes) -> None:
    """Any bytes as a conda package whose paths and files the solve reads."""
    with _folder() as folder:
        for file in ("a-1-0.conda", "a-1-0.tar.bz2"):
            path = folder / file
            path.write_bytes(data)
            artifact = replace(_conda_artifact(file, None), size=len(data))
            with contextlib.suppress(EnvlockError):
                read_conda_members(artifact, path, list(read_info(artifact, path, None).marks)[:10])


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    function.__name__: function
    for function in (
        zip_archive, wheel, wheel_files, tar, debian_archive, debian_data, debian_control,
        debian_compressed, conda_package, conda_tar_bz2, conda_paths, lock_text, lock_sealed,
        spec_text, spliced, gzip_segment, image_layer, audited_wheel, solved_wheel, solved_conda,
    )
}  # fmt: skip
"""By name."""


def run(name: str, data: bytes) -> bool:
    """Feed a target; tell whether it took the input.  Lets out what is no EnvlockError."""
    try:
        TARGETS[name](data)
    except EnvlockError:
        return False
    return True
