from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envlock.solve.debian.versions import ranks, version_key

# From low to high; Debian policy 5.6.12 and dpkg's own tests.
ORDER = [
    "0~~",
    "0~~a",
    "0~",
    "0",
    "0a",
    "0+b",
    "0.0",
    "1.0~rc1-1",
    "1.0",
    "1.0-0.1",
    "1.0-1~deb12u1",
    "1.0-1",
    "1.0-1+b1",
    "1.0-1.1",
    "1.0a",
    "1.0+dfsg",
    "1.0.1",
    "1.2",
    "1.10",
    "12-20211113-2~",
    "12.2.0-14+deb12u1",
    "1:0.1",
    "10:0",
]


def test_order() -> None:
    backwards = ORDER[::-1]
    assert sorted(backwards, key=version_key) == ORDER
    numbers = ranks(ORDER)
    assert [numbers[version] for version in ORDER] == list(range(1, len(ORDER) + 1))


@pytest.mark.parametrize(
    ("left", "right"), [("1", "1-0"), ("0:1", "1"), ("1.01", "1.1"), ("a", "a0")]
)
def test_equal(left: str, right: str) -> None:
    assert version_key(left) == version_key(right)
    assert len(set(ranks([left, right]).values())) == 1


_parts = st.text("019abZ.+~", min_size=1, max_size=6).map("1".__add__)
_versions = st.builds(
    lambda epoch, upstream, revision: epoch + upstream + revision,
    st.sampled_from(["", "0:", "1:"]),
    _parts,
    st.sampled_from(["", "-0", "-1", "-1~", "-1+b1", "-a"]),
)


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is the judge")
@settings(max_examples=60, deadline=None)
@given(left=_versions, right=_versions)
def test_agrees_with_dpkg(left: str, right: str) -> None:
    operator = "lt" if version_key(left) < version_key(right) else "ge"
    command = ["dpkg", "--compare-versions", left, operator, right]
    assert subprocess.run(command, check=False).returncode == 0
