"""Locks of every format that there was: they build to what they built then, or say who can.

``old/`` has a bundle of each format: a lock and its artifacts as they were written then.  A file
there is never made anew; a change of the format or the packer adds another one.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from envlock.errors import LockError
from envlock.lock.codec import dump_lock, lock_digest, parse_lock
from envlock.lock.model import FORMAT, PACKER

from ..makers.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Mapping

OLD = Path(__file__).with_name("old")
MANIFESTS = {
    "format-1": "sha256:99d9416a4b6542076eccd9e609bd634c573d8b68fb34ac3fe21a65382e20d35c",
}
LOCKS = {"format-1": "sha256:42d9fd062c9d130a6e919aa70c5332e6fbd15747aabb4a7da8c9694f30989958"}


def lock_text(name: str) -> str:
    with tarfile.open(OLD / f"{name}.bundle.tar") as archive:
        file = archive.extractfile("locks/tiny.linux-64.lock.json")
        assert file is not None
        return file.read().decode()


def test_the_present_format_is_among_them() -> None:
    assert {path.name.partition(".")[0] for path in OLD.iterdir()} == set(MANIFESTS)
    assert f"format-{FORMAT}" in MANIFESTS
    assert json.loads(lock_text(f"format-{FORMAT}"))["packer"] == PACKER


@pytest.mark.parametrize("name", sorted(MANIFESTS))
def test_it_builds_to_the_digest_that_it_had(name: str, tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    bundle = str(OLD / f"{name}.bundle.tar")
    done = machine.run("build", "--from-bundle", bundle, "--no-validate", "-o", "image")
    assert (done.returncode, done.stdout) == (0, f"{MANIFESTS[name]}\n"), done.stderr


@pytest.mark.parametrize("name", sorted(MANIFESTS))
def test_it_is_read_and_written_as_it_was(name: str) -> None:
    text = lock_text(name)
    lock = parse_lock(text, name)
    assert dump_lock(lock) == text
    assert lock_digest(lock) == LOCKS[name]
    assert lock.built is not None
    assert lock.built.manifest == MANIFESTS[name]


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"format": FORMAT + 1}, "a newer envlock wrote it"),
        ({"format": FORMAT + 1, "artifacts": {"of": "another shape"}}, "a newer envlock"),
        ({"format": 0}, "the envlock that wrote it"),
    ],
    ids=["newer", "newer and of another shape", "older"],
)
def test_another_format_says_who_reads_it(changes: Mapping[str, object], hint: str) -> None:
    text = json.dumps({**json.loads(lock_text("format-1")), **changes})
    with pytest.raises(LockError, match=f"this envlock reads format {FORMAT}") as caught:
        parse_lock(text, "x")
    assert hint in (caught.value.hint or "")
    assert "envlock --version" in (caught.value.hint or "")
