"""Binds to places that an image does not have."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from envlock.errors import UsageError
from envlock.validate.mountpoints import closing_options, root_options
from envlock.validate.sandbox import Bind, Bubblewrap, Command

if TYPE_CHECKING:
    from pathlib import Path

SHOW = """
import json, os, sys
places = [line.split()[4] for line in open("/proc/self/mountinfo")]
def writable(place):
    try:
        open(place + "/.new", "w").close()
    except OSError:
        return False
    return True
walked = {place: sorted(os.listdir(place)) for place in sys.argv[1:]}
print(json.dumps([walked, [p for p in ("/", "/usr", "/srv", *sys.argv[1:]) if writable(p)]]))
"""


@pytest.mark.container
@pytest.mark.parametrize("target", ["/new", "/new/deep/er", "/usr/new", "/tmp/new"])
def test_a_place_is_made_and_all_else_is_as_it_was(
    rootfs: Path, sandbox: Bubblewrap, work: Path, target: str
) -> None:
    shown = work / "shown"
    shown.mkdir(exist_ok=True)
    (shown / "file").touch()
    command = Command(
        argv=("python3", "-c", SHOW, target),
        env={"PATH": "/usr/bin"},
        user=(0, 0),
        binds=(Bind(source=shown, target=target),),
    )
    before = {path.name for path in (rootfs / "usr").iterdir()}
    done = sandbox.run(rootfs, command)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [{target: ["file"]}, []]
    assert {path.name for path in (rootfs / "usr").iterdir()} == before


def test_what_is_there_is_mounted_back(tmp_path: Path) -> None:
    (tmp_path / "opt/tool").mkdir(parents=True)
    (tmp_path / "opt/file").touch()
    (tmp_path / "opt/link").symlink_to("tool")
    targets = ["/opt/new/deep", "/opt/tool", "/dev/x"]
    assert root_options(tmp_path, targets, ["/dev"]) == [
        *("--ro-bind", str(tmp_path), "/"),
        *("--tmpfs", "/opt"),
        *("--ro-bind", str(tmp_path / "opt/file"), "/opt/file"),
        *("--symlink", "tool", "/opt/link"),
        *("--ro-bind", str(tmp_path / "opt/tool"), "/opt/tool"),
    ]
    assert closing_options(tmp_path, targets, ["/dev"]) == ["--remount-ro", "/opt"]


def test_what_is_there_behind_a_link_is_left_to_bwrap(tmp_path: Path) -> None:
    """As an environment that was installed on a machine below a link."""
    (tmp_path / "data/env").mkdir(parents=True)
    (tmp_path / "opt").symlink_to("data")
    assert root_options(tmp_path, ["/opt/env"], []) == ["--ro-bind", str(tmp_path), "/"]
    assert closing_options(tmp_path, ["/opt/env"], []) == []


@pytest.mark.parametrize("target", ["/link/x", "/file/x", "relative", "/a/../b"])
def test_what_is_in_the_way_is_named(tmp_path: Path, target: str) -> None:
    (tmp_path / "link").symlink_to("/")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=target.partition("/x")[0]):
        root_options(tmp_path, [target], [])
