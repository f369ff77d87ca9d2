"""The compiled encoder against the one that it must equal, byte for byte."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envlock.image.pool import ALONE, WORTH, Encoding, packing_pool
from envlock.layers import compiled, deflate
from envlock.layers.compiled import Encoder, compiled_encoder, kept_encoder, use_encoder

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, compiled.COMPILERS)), reason="needs a C compiler"
)


@pytest.fixture(scope="module")
def library() -> Iterator[Path]:
    with compiled_encoder() as path:
        assert path is not None
        yield path


@pytest.fixture(scope="module")
def encoder(library: Path) -> Encoder:
    return Encoder(library)


@pytest.fixture(autouse=True)
def _back_to_python() -> Iterator[None]:
    yield
    deflate.take_over(None)


def assert_equal(encoder: Encoder, data: bytes) -> None:
    assert encoder.compress(data) == deflate.compress(data)
    assert encoder.literals(data) == deflate.literals(data)


pieces = st.one_of(
    st.binary(max_size=300),
    st.integers(0, 1500).map(bytes),
    st.builds(lambda piece, times: piece * times, st.binary(max_size=12), st.integers(0, 400)),
    st.builds(
        lambda seed, size, kinds: bytes(random.Random(seed).choices(range(kinds), k=size)),
        st.integers(0, 99),
        st.integers(0, 4000),
        st.sampled_from([2, 3, 17, 90, 256]),
    ),
)


@given(st.lists(pieces, max_size=12).map(b"".join))
@settings(deadline=None)
def test_any_bytes(encoder: Encoder, data: bytes) -> None:
    assert_equal(encoder, data)


@given(st.lists(pieces, min_size=1, max_size=6), st.lists(st.integers(0, 5), max_size=40))
@settings(deadline=None)
def test_pieces_that_come_again(encoder: Encoder, some: list[bytes], order: list[int]) -> None:
    assert_equal(encoder, b"".join(some[place % len(some)] for place in order))


SIZES = [0, 1, 7, 8, 9, 258, 259, 260, 2047, 2048, 65_535, 65_536]
SIZES += [deflate.CHUNK - 1, deflate.CHUNK, deflate.CHUNK + 1]


@pytest.mark.parametrize("kinds", [1, 2, 5, 40, 256])
@pytest.mark.parametrize("size", SIZES)
def test_sizes_at_the_edges(encoder: Encoder, size: int, kinds: int) -> None:
    assert_equal(encoder, bytes(random.Random(size).choices(range(kinds), k=size)))


def test_matches_at_the_edge_of_the_window(encoder: Encoder) -> None:
    noise = random.Random(8).randbytes(40_000)
    for distance in (32_767, 32_768, 32_769):
        assert_equal(encoder, noise[:distance] + noise[:700] + noise[: distance - 350])


def test_chunks_that_are_just_worth_coding_and_just_not(encoder: Encoder) -> None:
    """The decision is a comparison of fractions: it must be the same one."""
    source = random.Random(4)
    decisions = set()
    for kinds in range(90, 150):
        data = bytes(source.choices(range(kinds), k=20_000)) + bytes(kinds * 3)
        assert_equal(encoder, data)
        decisions.add(deflate.literals(data) == deflate.stored(data))
    assert decisions == {True, False}


def test_several_chunks_of_literals(encoder: Encoder) -> None:
    data = b"some text, " * 99_000 + bytes(1_100_000) + random.Random(3).randbytes(50_000)
    assert_equal(encoder, data)


def test_counts_as_uneven_as_can_be(encoder: Encoder) -> None:
    """Fibonacci's numbers make the longest codes, which must be cut to 15 bits alike."""
    counts, data = [1, 1], bytearray()
    while len(counts) < 22:
        counts.append(counts[-1] + counts[-2])
    for byte, count in enumerate(counts):
        data += bytes([byte]) * count
    shuffled = list(data)
    random.Random(6).shuffle(shuffled)
    assert_equal(encoder, bytes(shuffled))


def test_largest_is_never_too_small() -> None:
    for size in (0, 1, 65_535, 65_536, deflate.CHUNK, deflate.CHUNK + 1, 5 * deflate.CHUNK - 1):
        noise = random.Random(size).randbytes(size)
        assert len(deflate.compress(noise)) <= deflate.largest(size)
        assert len(deflate.literals(noise)) <= deflate.largest(size)


def test_it_is_used_and_can_be_left(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert use_encoder(library)
    data = b"abcdefgh" * 900
    packed = deflate.compress(data)
    with monkeypatch.context() as patch:
        patch.setattr(deflate, "_compress_chunk", None)  # Python's is not asked any more
        assert deflate.compress(data) == packed
    assert not use_encoder(None)
    with monkeypatch.context() as patch:
        patch.setattr(deflate, "_compress_chunk", lambda chunk: chunk)
        assert deflate.compress(data) != packed


def test_a_library_with_another_answer_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "deflate.c"
    text = compiled.SOURCE.read_text()
    assert "WINDOW = 32 * 1024" in text
    source.write_text(text.replace("WINDOW = 32 * 1024", "WINDOW = 1024"))
    monkeypatch.setattr(compiled, "SOURCE", source)
    with compiled_encoder() as library:
        assert library is not None
        assert not use_encoder(library)


def test_what_is_no_library_is_not_used(tmp_path: Path) -> None:
    damaged = tmp_path / "deflate.so"
    damaged.write_bytes(b"\x7fELF and no more")
    assert not use_encoder(damaged)
    assert not use_encoder(tmp_path / "nothing.so")


@pytest.mark.parametrize("program", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\nexit 0\n", "no program"])
def test_a_compiler_that_does_not_work(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text(program)
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with compiled_encoder() as library:
        assert library is None


def test_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with compiled_encoder() as library:
        assert library is None


def test_nothing_is_left_behind() -> None:
    with compiled_encoder() as library:
        assert library is not None
        assert library.parent.stat().st_mode & 0o077 == 0
    assert not library.parent.exists()


def test_one_command_compiles_once() -> None:
    first = kept_encoder()
    assert first is not None
    assert kept_encoder() == first
    shutil.rmtree(first.parent)  # somebody cleans up
    second = kept_encoder()
    assert second is not None
    assert use_encoder(second)


def test_what_a_command_keeps_goes_with_it() -> None:
    script = "from envlock.layers.compiled import kept_encoder as e; print(e(), e().exists())"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    library, there = done.stdout.split()
    assert there == "True"
    assert not Path(library).parent.exists()
    assert done.stderr == ""


def test_no_more_processes_than_there_are_things_to_do() -> None:
    for workers, jobs, expected in ((5, 1, 1), (2, None, 2)):
        with packing_pool(workers, 0, jobs) as pool:
            assert isinstance(pool, ProcessPoolExecutor)
            started = {pool.submit(os.getpid).result() for _ in range(20)}
            assert len(started) <= expected
            assert len(pool._processes) == expected


def test_one_small_layer_needs_no_process() -> None:
    for size, here in ((ALONE, True), (ALONE + 1, False)):
        with packing_pool(2, 0, 1, size) as pool:
            assert (pool.submit(os.getpid).result() == os.getpid()) is here
    with packing_pool(2, 0, 2, 1) as pool:
        assert pool.submit(os.getpid).result() != os.getpid()


def test_many_small_amounts_are_worth_the_compiler_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[None] = []
    monkeypatch.setattr("envlock.image.pool.kept_encoder", lambda: asked.append(None))
    command = Encoding()
    for expected in (0, 1, 2):
        with packing_pool(1, WORTH - 1, 1, 1, command):
            assert len(asked) == expected
    with packing_pool(1, WORTH - 1, 1, 1):
        assert len(asked) == 2
