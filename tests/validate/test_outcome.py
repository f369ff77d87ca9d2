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
