"""What a failed check says, and what is said about it."""

from __future__ import annotations

from envlock.validate.outcome import told
from envlock.validate.sandbox import Completed

ZONES = b"""Traceback (most recent call last):
  File "/usr/lib/python3.11/zoneinfo/_common.py", line 24, in load_tzdata
    raise ZoneInfoNotFoundError(f"No time zone found with key {key}")
zoneinfo._common.ZoneInfoNotFoundError: 'No time zone found with key UTC'
"""


def _ended(stderr: bytes) -> Completed:
    return Completed(returncode=1, stdout=b"", stderr=stderr, timed_out=False, seconds=1)


def test_time_zones_that_are_not_there() -> None:
    said = told(_ended(ZONES), "python3")
    assert said[-2:] == (
        "zoneinfo._common.ZoneInfoNotFoundError: 'No time zone found with key UTC'",
        "the image has no time zones: add tzdata to debian.packages, and solve again",
    )
    assert len(told(_ended(b"ValueError: no such zone\n"), "python3")) == 1


def test_code_for_another_numpy() -> None:
    """As gensim 4.3.3 ends with numpy 2, and what numpy 2 itself says of such modules."""
    old = b"ImportError: numpy.core.multiarray failed to import\n"
    new = (
        b"ValueError: numpy.dtype size changed, may indicate binary incompatibility. "
        b"Expected 96 from C header, got 88 from PyObject\n"
    )
    for stderr in (old, new, old + new):
        *_, last = said = told(_ended(stderr), "python3")
        assert last.startswith("compiled code of a package above is for another numpy")
        assert len(said) == len(stderr.splitlines()) + 1


def test_code_that_was_generated_for_an_older_protobuf() -> None:
    said = told(_ended(b"TypeError: Descriptors cannot be created directly.\nMore: ...\n"), "x")
    assert said[2].endswith("lock a newer version of that package, or protobuf<3.21")


def test_pkg_resources() -> None:
    said = told(_ended(b"ModuleNotFoundError: No module named 'pkg_resources'\n"), "x")
    assert "add setuptools<82 to pypi.dependencies" in said[1]
