"""Spliced and copied streams against zlib, Python's gzip, GNU gzip and unpigz as judges."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import shutil
import subprocess
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envlock.errors import ArtifactError
from envlock.layers import deflate
from envlock.layers.gzipstream import SPLICE_LIMIT, GzipWriter
from tests.makers.spliced import copy_small, splice

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from envlock.layers.gzipstream import StreamDigests

STRATEGIES = (
    zlib.Z_DEFAULT_STRATEGY,
    zlib.Z_FILTERED,
    zlib.Z_HUFFMAN_ONLY,
    zlib.Z_RLE,
    zlib.Z_FIXED,
)
FLUSHES = (zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_PARTIAL_FLUSH, zlib.Z_BLOCK)


def inflate(stream: bytes) -> bytes | None:
    decoder = zlib.decompressobj(-15)
    try:
        plain = decoder.decompress(stream)
    except zlib.error:
        return None
    return plain if decoder.eof and not decoder.unused_data else None


def with_padding_bits(stream: bytes, plain: bytes, mask: int) -> bytes:
    """Return the stream with those bits of ``mask`` set that lie behind its end."""
    for bit in range(8):
        changed = stream[:-1] + bytes([stream[-1] | (mask & 1 << bit)])
        if changed != stream and inflate(changed) == plain:
            stream = changed
    return stream


def compressed(
    plain: bytes,
    *,
    level: int = 6,
    wbits: int = 15,
    memory: int = 8,
    strategy: int = zlib.Z_DEFAULT_STRATEGY,
    flushes: tuple[tuple[int, int], ...] = (),
) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, -wbits, memory, strategy)
    out, done = b"", 0
    for place, flush in sorted(flushes):
        if done <= place <= len(plain):
            out += packer.compress(plain[done:place]) + packer.flush(flush)
            done = place
    return out + packer.compress(plain[done:]) + packer.flush()


plains = st.one_of(
    st.binary(max_size=300),
    st.builds(lambda piece, times: piece * times, st.binary(max_size=40), st.integers(0, 400)),
    st.builds(
        lambda seed, size: random.Random(seed).randbytes(size), st.integers(), st.integers(0, 3000)
    ),
    st.builds(lambda size: b"0123456789 words " * size, st.integers(0, 6000)),
)


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Return (raw DEFLATE stream, its plain bytes)."""
    plain = draw(plains)
    kind = draw(st.sampled_from(["zlib", "zlib", "zlib", "own", "stored"]))
    if kind == "own":
        return deflate.compress(plain) + deflate.END, plain
    if kind == "stored":
        plain = plain[:0xFFFF]
        sizes = len(plain).to_bytes(2, "little") + (len(plain) ^ 0xFFFF).to_bytes(2, "little")
        header = draw(st.integers(0, 31)) << 3 | 1  # five bits of padding follow the header
        return bytes([header]) + sizes + plain, plain
    places = st.tuples(st.integers(0, max(len(plain), 1)), st.sampled_from(FLUSHES))
    stream = compressed(
        plain,
        level=draw(st.integers(0, 9)),
        wbits=draw(st.integers(9, 15)),
        memory=draw(st.integers(1, 9)),
        strategy=draw(st.sampled_from(STRATEGIES)),
        flushes=tuple(draw(st.lists(places, max_size=draw(st.sampled_from([0, 0, 4]))))),
    )
    return with_padding_bits(stream, plain, draw(st.integers(0, 255))), plain


@given(streams(), streams())
@settings(deadline=None)
def test_a_spliced_stream_can_be_followed_by_anything(
    one: tuple[bytes, bytes], two: tuple[bytes, bytes]
) -> None:
    (first, first_plain), (second, second_plain) = one, two
    assert inflate(first) == first_plain
    joined = splice(first, first_plain)
    if joined is None:
        return
    assert inflate(joined + deflate.END) == first_plain
    assert inflate(joined + second) == first_plain + second_plain
    assert inflate(joined + deflate.stored(b"between") + second) == (
        first_plain + b"between" + second_plain
    )
    assert inflate(joined * 3 + second) == first_plain * 3 + second_plain


@given(st.binary(max_size=60), st.binary(max_size=60))
@settings(deadline=None)
def test_bytes_that_are_no_stream_are_never_spliced_wrongly(stream: bytes, plain: bytes) -> None:
    joined = splice(stream, plain)
    if joined is not None:
        assert inflate(joined + deflate.END) == plain
        assert inflate(joined + deflate.stored(b"more") + deflate.END) == plain + b"more"


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("memory", [1, 5, 9])
def test_every_single_block_is_spliced(strategy: int, memory: int) -> None:
    """The common case must not end a member: a wheel has thousands of files."""
    for level in range(10):
        for size in range(1, 60):
            plain = (b"%d of it, " % size) * size
            stream = compressed(plain, level=level, strategy=strategy, memory=memory)
            single = stream[0] & 1
            assert (splice(stream, plain) is not None) == bool(single)


def test_padding_bits_that_would_start_another_block() -> None:
    """The three bits of a final, fixed or dynamic block's header behind the end."""
    seen = set()
    for size in range(1, 200):
        plain = bytes(random.Random(size).choices(b"abcdefgh", k=size))
        clean = compressed(plain, level=9)
        for mask in range(1, 256):
            stream = with_padding_bits(clean, plain, mask)
            joined = splice(stream, plain)
            seen.add((stream != clean, joined is not None))
            if joined is not None:
                assert inflate(joined + clean) == plain * 2
    assert (True, False) in seen  # some cannot be joined
    assert (True, True) in seen


# --- the writer ---

Action = tuple[str, bytes, bytes]
KINDS = ("write", "write", "small", "small", "small", "large", "stored", "members")


@st.composite
def actions(draw: st.DrawFn) -> Action:
    kind = draw(st.sampled_from(KINDS))
    if kind in {"small", "large"}:
        stream, plain = draw(streams())
        return kind, stream, plain
    return kind, b"", draw(plains)


def perform(todo: list[Action]) -> tuple[bytes, bytes, StreamDigests]:
    """Return (plain bytes, gzip bytes, digests)."""
    out = io.BytesIO()
    writer = GzipWriter(out)
    plain = b""
    for kind, stream, content in todo:
        plain += content
        if kind == "write":
            writer.write(content)
        elif kind == "stored":
            writer.copy_stored(content)
        elif kind == "small":
            copy_small(writer, stream, content)
        elif kind == "large":
            pieces = [stream[at : at + 700] for at in range(0, len(stream), 700)]
            assert writer.copy_large(pieces, len(content), zlib.crc32(content)) == zlib.crc32(
                content
            )
        else:
            made = io.BytesIO()
            other = GzipWriter(made)
            other.write(content)
            other.finish()
            packed = made.getvalue()
            writer.copy_members(packed[at : at + 50] for at in range(0, len(packed), 50))
    digests = writer.finish()
    return plain, out.getvalue(), digests


def check_digests(plain: bytes, packed: bytes, digests: StreamDigests) -> None:
    assert digests.diff_id == f"sha256:{hashlib.sha256(plain).hexdigest()}"
    assert digests.digest == f"sha256:{hashlib.sha256(packed).hexdigest()}"
    assert (digests.size, digests.plain_size) == (len(packed), len(plain))


def gunzip_by_zlib(packed: bytes) -> bytes:
    plain = b""
    while packed:
        decoder = zlib.decompressobj(31)
        plain += decoder.decompress(packed)
        assert decoder.eof  # so the CRC-32 and the size of the member were right
        packed = decoder.unused_data
    return plain


@given(st.lists(actions(), max_size=12))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_mix_gunzips_to_the_claimed_bytes(todo: list[Action]) -> None:
    plain, packed, digests = perform(todo)
    check_digests(plain, packed, digests)
    assert gunzip_by_zlib(packed) == plain
    assert gzip.decompress(packed) == plain


def _mix(seed: int) -> list[Action]:
    chance = random.Random(seed)
    todo: list[Action] = []
    for number in range(60):
        size = chance.choice([0, 1, 100, 512, 5_000, 70_000])
        text = bytes(chance.choices(b"abcdefghij \n", k=size))
        stream = compressed(
            text,
            level=chance.randrange(10),
            memory=chance.randrange(1, 10),
            strategy=chance.choice(STRATEGIES),
            flushes=((size // 2, chance.choice(FLUSHES)),) if number % 7 == 0 else (),
        )
        stream = with_padding_bits(stream, text, chance.randrange(256)) if size < 6_000 else stream
        kind = chance.choice(KINDS)
        todo.append((kind, stream, text))
    return todo


@pytest.mark.parametrize("tool", [("gzip", "-dc"), ("unpigz", "-c"), ("zcat",)])
def test_the_system_tools_agree(tool: tuple[str, ...], tmp_path: Path) -> None:
    if not shutil.which(tool[0]):
        pytest.skip(f"no {tool[0]} here")
    for seed in range(4):
        plain, packed, _ = perform(_mix(seed))
        path = tmp_path / f"{seed}.gz"
        path.write_bytes(packed)
        done = subprocess.run([*tool, path], capture_output=True, check=True)
        assert done.stdout == plain
        assert not done.stderr


def test_many_small_files_share_a_member() -> None:
    todo: list[Action] = []
    for number in range(500):
        text = b"file %d\n" % number
        todo += [("write", b"", bytes(512)), ("small", compressed(text), text)]
    plain, packed, _ = perform(todo)
    assert gzip.decompress(packed) == plain
    decoder = zlib.decompressobj(31)
    decoder.decompress(packed)
    assert decoder.unused_data == b""


def test_a_stream_in_pieces_of_any_size() -> None:
    plain = random.Random(5).randbytes(40_000) + bytes(40_000)
    stream = compressed(plain)
    for step in (1, 7, 4096, len(stream)):
        out = io.BytesIO()
        writer = GzipWriter(out)
        writer.write(b"before")
        pieces = [stream[at : at + step] for at in range(0, len(stream), step)]
        assert writer.copy_large(pieces, len(plain), zlib.crc32(plain)) == zlib.crc32(plain)
        writer.write(b"after")
        digests = writer.finish()
        check_digests(b"before" + plain + b"after", out.getvalue(), digests)
        assert gzip.decompress(out.getvalue()) == b"before" + plain + b"after"


def test_a_large_stream_that_inflates_far_beyond_one_piece() -> None:
    plain = bytes(5 * SPLICE_LIMIT + 3)
    out = io.BytesIO()
    writer = GzipWriter(out)
    writer.copy_large([compressed(plain, level=9)], len(plain), zlib.crc32(plain))
    digests = writer.finish()
    check_digests(plain, out.getvalue(), digests)
    assert gzip.decompress(out.getvalue()) == plain


@pytest.mark.parametrize(
    ("change", "size"),
    [
        (lambda stream: stream[:-1], 0),
        (lambda stream: stream + b"more", 0),
        (lambda stream: stream, 1),
        (lambda stream: stream, -1),
        (lambda stream: b"\x07" + stream[1:], 0),
        (lambda stream: b"", 0),
    ],
    ids=["cut off", "longer", "claims more", "claims less", "damaged", "nothing"],
)
def test_wrong_large_streams_are_refused(change: Callable[[bytes], bytes], size: int) -> None:
    plain = b"some text, " * 900
    stream = change(compressed(plain))
    with pytest.raises(ArtifactError):
        GzipWriter(io.BytesIO()).copy_large([stream[:9], stream[9:]], len(plain) + size, 0)


def test_nothing_is_one_empty_member() -> None:
    plain, packed, digests = perform([])
    assert gzip.decompress(packed) == plain == b""
    assert digests.size == len(packed) == 20
    todo = [("write", b"", b""), ("small", compressed(b""), b""), ("stored", b"", b"")]
    assert perform(todo)[1] == packed


def test_golden_bytes() -> None:
    """A change of this digest changes every image: raise the packer's version with it."""
    fixed = bytes.fromhex("4b494d5348cc2b2e4f2dd2d0b4e2520082a2d492d2a23c0513232e00")
    plain = b"def answer():\n    return 42\n"
    todo: list[Any] = [
        ("write", b"", b"header" * 90),
        ("small", fixed, plain),
        ("small", deflate.compress(b"abc" * 99) + deflate.END, b"abc" * 99),
        ("stored", b"", random.Random(8).randbytes(70_000)),
        ("large", fixed, plain),
        ("write", b"", bytes(1024)),
    ]
    _, packed, _ = perform(todo)
    assert hashlib.sha256(packed).hexdigest() == (
        "d298d8a334f1e68e529244633f8d897ecd18f9ba701805cb891477e879152ada"
    )


@pytest.mark.parametrize("threads", [1, 3])
def test_who_compresses_changes_nothing(threads: int) -> None:
    """Not the order either, where bytes of our own stand between others."""
    noise = random.Random(1).randbytes(700)

    def write_to(writer: GzipWriter) -> StreamDigests:
        for number in range(4):
            for _ in range(100):
                writer.write(bytes([number]) * 3000 + noise)
            writer.copy_stored(noise)
        return writer.finish()

    alone, helped = io.BytesIO(), io.BytesIO()
    digests = write_to(GzipWriter(alone))
    with ThreadPoolExecutor(threads) as helpers:
        assert write_to(GzipWriter(helped, helpers=helpers)) == digests
        nothing = GzipWriter(io.BytesIO(), helpers=helpers).finish()
    assert helped.getvalue() == alone.getvalue()
    assert nothing == GzipWriter(io.BytesIO()).finish()
