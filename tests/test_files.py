"""What a disk's refusals say."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from envlock.errors import DiskError
from envlock.files import disk_errors

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("number", "free", "hint"),
    [
        (errno.ENOSPC, True, "make room"),
        (errno.EDQUOT, True, "make room"),
        (errno.EROFS, False, "can only be read"),
        (errno.EACCES, False, "get the permission"),
        (errno.ENOENT, False, None),
        (errno.EIO, False, None),
    ],
)
def test_advice(number: int, free: bool, hint: str | None, tmp_path: Path) -> None:
    with pytest.raises(DiskError) as caught, disk_errors(tmp_path / "a" / "b"):
        raise OSError(number, os.strerror(number))
    assert os.strerror(number) in caught.value.message
    assert any("MiB are free" in line for line in caught.value.details) == free
    assert (caught.value.hint is None) == (hint is None)
    assert (hint or "") in (caught.value.hint or "")
    assert ("ENVLOCK_CACHE_DIR" in (caught.value.hint or "")) == (hint is not None)
