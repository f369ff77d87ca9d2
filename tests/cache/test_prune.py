"""What is in a cache, what goes, and what must not."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envlock.audit.index.model import FORMAT
from envlock.cache.inventory import Entry, Inventory, bytes_besides, take_inventory
from envlock.cache.prune import judge, remove
from envlock.fetch.store import Store
from envlock.leases import Holder, Lease, holders, used
from envlock.lock.model import PACKER

DAY = 24 * 60 * 60
NAMES = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(40)]


def put(path: Path, size: int = 5000, *, days: float = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    age(path, days)
    return path


def age(path: Path, days: float) -> None:
    when = time.time() - days * DAY
    os.utime(path, (when, when))


def artifact(cache: Path, number: int, *, days: float = 0) -> Path:
    return put(cache / "artifacts" / NAMES[number][:2] / NAMES[number], days=days)


def prune(cache: Path, *, days: float | None = None, largest: int | None = None) -> list[str]:
    """Prune and return the names of what went."""
    found = take_inventory(cache)
    before = None if days is None else int((time.time() - days * DAY) * 10**9)
    verdict = judge(found, holders(cache), before=before, largest=largest)
    return sorted(path.name for one in remove(verdict.doomed) for path in one.entry.paths)


def test_by_age(tmp_path: Path) -> None:
    old, new = artifact(tmp_path, 0, days=9), artifact(tmp_path, 1, days=3)
    assert prune(tmp_path) == []
    assert prune(tmp_path, days=5) == [old.name]
    assert not old.exists()
    assert new.exists()


def test_by_size_the_least_recently_used_go_first(tmp_path: Path) -> None:
    files = [artifact(tmp_path, number, days=number) for number in range(10)]
    one = files[0].stat().st_blocks * 512
    assert prune(tmp_path, largest=4 * one) == sorted(path.name for path in files[4:])
    assert take_inventory(tmp_path).size() == 4 * one


def test_what_is_found_in_the_store_counts_as_used(tmp_path: Path) -> None:
    old = artifact(tmp_path, 0, days=9)
    artifact(tmp_path, 1, days=9)
    assert Store(tmp_path).get(NAMES[0], 5000) == old
    assert prune(tmp_path, days=5) == [NAMES[1]]


def test_only_what_is_envlocks(tmp_path: Path) -> None:
    """A folder that holds other things, too, loses none of them; nor does what links lead to."""
    cache, elsewhere = tmp_path / "cache", tmp_path / "elsewhere"
    precious = [
        put(cache / "thesis.tex", days=99),
        put(cache / "artifacts" / "readme", days=99),
        put(cache / "artifacts" / "ab" / "notes.txt", days=99),
        put(cache / "audit" / "report.pdf", days=99),
        put(cache / "segments" / ".gitignore", days=99),
        put(cache / "unpacked" / "sha256-x" / "file", days=99),
        put(elsewhere / NAMES[5], days=99),
        put(elsewhere / "segments" / f"{PACKER}-{NAMES[6]}.gz", days=99),
    ]
    (cache / "artifacts" / NAMES[5][:2]).mkdir()
    (cache / "artifacts" / NAMES[5][:2] / NAMES[5]).symlink_to(precious[-2])
    (cache / "metadata").symlink_to(elsewhere)
    (cache / "conda").symlink_to(elsewhere)
    going = artifact(cache, 0, days=99)
    assert prune(cache, days=0, largest=0) == [going.name]
    assert all(path.exists() for path in precious)
    found = take_inventory(cache)
    assert found.entries == ()
    assert bytes_besides(cache, found) == sum(p.stat().st_blocks * 512 for p in precious[:6])


def test_what_is_useless_goes_at_once(tmp_path: Path) -> None:
    put(tmp_path / "segments" / f"0-{NAMES[0]}.gz")
    put(tmp_path / "segments" / f"0-{NAMES[0]}.json")
    put(tmp_path / "segments" / f"{PACKER}-{NAMES[1]}.gz")
    put(tmp_path / "segments" / f"0-{NAMES[4]}.pyc")
    put(tmp_path / "segments" / f"{PACKER}-{NAMES[5]}.pyc")
    put(tmp_path / "segments" / ".segment-abcd_123")
    put(tmp_path / "segments" / ".compiling-abcd_123" / "whole" / "compiled-0")
    put(tmp_path / "audit" / "index" / f"{NAMES[2]}.{FORMAT}x.index")
    put(tmp_path / "audit" / "index" / f"{NAMES[2]}.{FORMAT}.index")
    put(tmp_path / "audit" / "parts-abcd1234" / "part")
    put(tmp_path / "layers" / f".{NAMES[3]}.json.abcd_123")
    layout = put(tmp_path / "build" / "index.json").parent
    for number, place in enumerate((layout, tmp_path / "gone")):
        note = put(tmp_path / "layouts" / f"{NAMES[number][:32]}.json")
        note.write_text(f'{{"path": "{place}"}}')
    expected = [
        f".{NAMES[3]}.json.abcd_123",
        ".compiling-abcd_123",
        ".segment-abcd_123",
        f"0-{NAMES[0]}.gz",
        f"0-{NAMES[0]}.json",
        f"0-{NAMES[4]}.pyc",
        f"{NAMES[1][:32]}.json",
        f"{NAMES[2]}.{FORMAT}x.index",
        "parts-abcd1234",
    ]
    assert prune(tmp_path) == sorted(expected)
    assert prune(tmp_path) == []


def test_files_with_several_names_count_once_and_go_with_the_last(tmp_path: Path) -> None:
    layer = tmp_path / "unpacked" / f"sha256-{NAMES[0]}"
    root = tmp_path / "rootfs" / f"sha256-{NAMES[1]}"
    big = put(layer / "tree" / "big", 10**6)
    (root / "root").mkdir(parents=True)
    os.link(big, root / "root" / "big")
    os.link(big, tmp_path / "elsewhere")  # a file system that somebody else keeps
    read_only = root / "root" / "closed"
    read_only.mkdir()
    put(read_only / "file")
    read_only.chmod(0o500)
    for number, folder in enumerate((layer, root)):
        put(folder / "last-used", 0, days=2 - number)
    found = take_inventory(tmp_path)
    assert 10**6 <= found.size() < 1.2 * 10**6
    assert found.size("unpacked") == found.size()
    assert prune(tmp_path, largest=10**5) == sorted([layer.name, root.name])
    assert (tmp_path / "elsewhere").exists()
    assert take_inventory(tmp_path).size() == 0


def test_what_a_running_command_uses_stays(tmp_path: Path) -> None:
    """Another process uses one of two old artifacts; a killed one holds nothing."""
    artifact(tmp_path, 0, days=9)
    artifact(tmp_path, 1, days=9)
    code = (
        "import sys; from pathlib import Path; from envlock.leases import Lease;"
        "from envlock.fetch.store import Store;"
        "lease = Lease.take(Path(sys.argv[1]));"
        "path = Store(Path(sys.argv[1])).get(sys.argv[2], 5000);"
        "print(path, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), NAMES[0]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        path = Path(other.stdout.readline().strip())
        assert prune(tmp_path, days=0, largest=0) == [NAMES[1]]
        assert path.exists()
        assert len(holders(tmp_path)) == 1
        other.kill()
    assert holders(tmp_path) == []
    assert list((tmp_path / "leases").iterdir()) == []
    time.sleep(0.06)  # what was used at this very moment stays
    assert prune(tmp_path, days=0) == [NAMES[0]]


def test_the_leases_of_killed_commands_go_with_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "leases").mkdir()
    killed = tmp_path / "leases" / "lease-killed"
    killed.touch()
    one, other = Lease.take(tmp_path), Lease.take(tmp_path)
    assert not killed.exists()
    assert len(holders(tmp_path)) == 2
    one.give_back()
    other.give_back()
    assert list((tmp_path / "leases").iterdir()) == []


def test_a_command_that_begins_while_the_cache_is_pruned(tmp_path: Path) -> None:
    artifact(tmp_path, 0, days=9)
    verdict = judge(take_inventory(tmp_path), holders(tmp_path), before=time.time_ns())
    lease = Lease.take(tmp_path)
    path = Store(tmp_path).get(NAMES[0], 5000)
    assert path is not None
    assert remove(verdict.doomed) == ()
    assert path.exists()
    lease.give_back()


def test_of_another_users_commands_nothing_can_be_told() -> None:
    entry = Entry(kind="downloads", paths=(), used=5, owner=1000, alone=1, shared={})
    found = Inventory(entries=(entry,))
    for user, goes in ((1000, 1), (0, 1), (1001, 0)):
        verdict = judge(found, [Holder(user=user, since=9)], before=8)
        assert len(verdict.doomed) == goes
        assert len(verdict.held) == 1 - goes


READ = """
import sys, time
from pathlib import Path
from envlock.fetch.store import Store
from envlock.leases import Lease
cache, names = Path(sys.argv[1]), sys.argv[2:]
store, end, had = Store(cache), time.monotonic() + 1, 0
while time.monotonic() < end:
    lease = Lease.take(cache)
    paths = [store.get(name, 5000) for name in names]
    for number in range(20):
        for path in paths:
            if path is not None:
                assert path.read_bytes() == b"x" * 5000
                had += 1
    lease.give_back()
print(had)
"""


def test_readers_and_a_prune_that_never_rests(tmp_path: Path) -> None:
    """What the store once gave can be read as long as the command runs."""
    names = NAMES[:4]
    argv = [sys.executable, "-c", READ, str(tmp_path), *names]
    readers = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    removed = 0
    while any(reader.poll() is None for reader in readers):
        for number in range(len(names)):
            if not (tmp_path / "artifacts" / names[number][:2] / names[number]).exists():
                beside = put(tmp_path / "new", days=1)
                beside.rename(artifact(tmp_path, number, days=1))
        removed += len(prune(tmp_path, days=0))
    said = [reader.communicate()[0] for reader in readers]
    assert [reader.returncode for reader in readers] == [0, 0]
    assert all(int(one) > 0 for one in said)
    assert removed > 0


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 3)), max_size=12),
    st.integers(0, 60),
    st.integers(0, 10),
)
def test_the_books_agree_with_what_is_left(
    drawn: list[tuple[int, int, int]], largest: int, since: int
) -> None:
    """Entries share files of 3 bytes: what goes brings the rest below the limit, oldest first."""
    entries = tuple(
        Entry(
            kind="unpacked",
            paths=(Path(f"e{number}"),),
            used=when,
            owner=0,
            alone=alone,
            shared={(0, inode): (3, 1)} if inode else {},
        )
        for number, (when, alone, inode) in enumerate(drawn)
    )
    found = Inventory(entries=entries)
    verdict = judge(found, [Holder(user=0, since=since)], largest=largest)
    gone = [one.entry for one in verdict.doomed]
    left = Inventory(entries=tuple(entry for entry in entries if entry not in gone))
    assert all(entry.used < since for entry in gone)
    free = [entry for entry in left.entries if entry.used < since]
    assert left.size() <= largest or not free
    assert not gone or max(entry.used for entry in gone) <= min((e.used for e in free), default=9)


def test_marking_what_is_not_there(tmp_path: Path) -> None:
    assert not used(tmp_path / "none")
    assert not used(tmp_path / "none" / "deeper")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_is_only_to_be_read(tmp_path: Path) -> None:
    path = artifact(tmp_path, 0)
    tmp_path.chmod(0o500)
    Lease.take(tmp_path).give_back()
    assert used(path)
    tmp_path.chmod(0o700)
