"""Each hostile artifact against each reader: refused by its name, or handled as it should be.

Wheels, Debian and conda packages; the image's builder, ``envlock install`` and the audit.  Only
the worker processes are threads here, for the time that they take to start.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from envlock.image import pool as image_pool
from envlock.install import environment as install_environment

from .hostile import READERS, Attack, attacks, outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OUT = "leaves the image's root|is absolute|leads out of the environment"
THROUGH = "leads through|as a file, and|below it"
TOO_LONG = "longer than file systems take"
ZIP = "not a usable zip archive"
HANDLED = "handled"

WRITTEN = {
    "wheel": {
        "../": OUT, "../ in data": OUT, "../ in scripts": OUT, "absolute": OUT,
        "a link": HANDLED,  # a file with the target as its content, as installers do
        "through a link": THROUGH,
        "a device": HANDLED, "a fifo": HANDLED, "setuid": HANDLED,  # plain files
        "upper and lower case": HANDLED, "a file below a file": THROUGH,
        "twice": "two entries with the name", "another local name": "another name in its local",
        "a lying size": "not as long as its archive says|does not have the size and CRC-32",
        "a bomb": HANDLED,  # its sizes are true, and memory is bounded
        "a long name": TOO_LONG, "a deep name": TOO_LONG, "not UTF-8": ZIP,
        "control characters": "names no path", "a line's end": "names no path",
        "zip64 of nothing": "described differently by its local file header",
        "a RECORD that lies": HANDLED,  # of hashes: the wheel's own is the lock's
    },
    ".deb": {
        "../": OUT, "absolute": OUT, "through a link": THROUGH, "a hard link out": OUT,
        "a device": "a character device", "a fifo": "a fifo",
        "setuid": HANDLED,  # Debian's own: su, sudo
        "upper and lower case": HANDLED, "twice": "are both", "a file below a file": THROUGH,
        "sparse": "a sparse file", "a long name": TOO_LONG, "a deep name": TOO_LONG,
        "not UTF-8": "is not UTF-8", "control characters": HANDLED, "a line's end": HANDLED,
        "a bomb": HANDLED,
    },
    "conda": {
        "../": OUT, "absolute": OUT, "a link out": OUT, "an absolute link": OUT,
        "through a link": THROUGH, "upper and lower case": HANDLED,
        "a file below a file": THROUGH, "a long name": TOO_LONG, "a deep name": TOO_LONG,
        "control characters": HANDLED, "a line's end": HANDLED, "a bomb": HANDLED,
        "another's marker": HANDLED,  # envlock's is written last
        "a device": "a character device", "a fifo": "a fifo", "twice": "two members",
        "a hard link out": "which is no file of the package",
        "other content": "as a file, and it is a symlink",
        "more than is listed": HANDLED,  # what is not listed is not installed
    },
    "pair": {
        "two .debs, through a link": THROUGH, "two conda packages, through a link": THROUGH,
        "two conda packages, by a detour": THROUGH, "conda and wheel, through a link": THROUGH,
    },
}  # fmt: skip
"""What the builder and ``envlock install`` do: a part of the message, or HANDLED."""

READ = {
    "wheel": {"not UTF-8": ZIP, "zip64 of nothing": "more than is read"},
    "conda": {
        "../": OUT, "absolute": OUT, "a long name": TOO_LONG, "a deep name": TOO_LONG,
        "a device": "a character device", "a fifo": "a fifo", "twice": "two members",
    },
}  # fmt: skip
"""What the audit refuses; it writes nothing, and handles the rest."""

CELLS = [(attack, reader) for attack in attacks() for reader in attack.readers]


def expected(attack: Attack, reader: str) -> str:
    name = attack.name.removesuffix(" (.tar.bz2)")
    table = READ.get(attack.kind, {}) if reader == "audit" else WRITTEN[attack.kind]
    return table.get(name, HANDLED) if reader == "audit" else table[name]


@pytest.fixture(autouse=True)
def at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.contextmanager
    def pool(
        workers: int, prepare: Callable[[], object] | None = None
    ) -> Iterator[ThreadPoolExecutor]:
        if prepare is not None:
            prepare()
        with ThreadPoolExecutor(workers) as threads:
            yield threads

    monkeypatch.setattr(image_pool, "worker_pool", pool)
    monkeypatch.setattr(install_environment, "worker_pool", pool)


def test_every_row_has_an_attack() -> None:
    made = {(one.kind, one.name.removesuffix(" (.tar.bz2)")) for one in attacks()}
    assert made == {(kind, name) for kind, table in WRITTEN.items() for name in table}
    assert set(READERS) == {"build", "install", "audit"}


@pytest.mark.parametrize(
    ("attack", "reader"), CELLS, ids=[f"{one.kind}: {one.name}, {reader}" for one, reader in CELLS]
)
def test_a_cell(attack: Attack, reader: str, tmp_path: Path) -> None:
    said = outcome(attack, reader, tmp_path / "inside")
    wanted = expected(attack, reader)
    if wanted == HANDLED:
        assert said == HANDLED
    else:
        assert any(part in said for part in wanted.split("|")), said
        assert "evil" in said
    # an install that is refused removes what it wrote: what is left lies where it may not
    escaped = (path for path in tmp_path.rglob("*") if path.name.startswith("escaped"))
    assert not [path for path in escaped if path.is_file() and "prefix" not in path.parts]
    assert not Path("/tmp/escaped").exists()
