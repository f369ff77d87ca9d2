"""py-rattler's own installation of the same packages, as an outside judge."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from envlock.layers.scheme import Scheme

from ..makers.conda import index_channel
from .making import Found, entries, make_zoo

if TYPE_CHECKING:
    from pathlib import Path


def rattler_install(channel: Path, prefix: Path, cache: Path) -> None:
    from rattler import Channel, Gateway, MatchSpec, Subdir, install, solve

    url = index_channel(channel)

    async def run() -> None:
        records = await solve(
            [Channel(url)],
            [MatchSpec(name) for name in ("python", "tools", "pure", "old", "meta")],
            platforms=["linux-64", "noarch"],
            gateway=Gateway(cache_dir=cache / "repodata"),
        )
        await install(
            records, prefix, cache_dir=cache / "pkgs", platform=Subdir("linux-64"),
            execute_link_scripts=False, show_progress=False,
        )  # fmt: skip

    asyncio.run(run())


def seen(prefix: Path) -> dict[str, Found]:
    """Return every file and link below a prefix."""
    found = {}
    for path in prefix.rglob("*"):
        place = str(path).lstrip("/")
        if path.is_symlink():
            found[place] = Found("symlink", 0o777, target=str(path.readlink()))
        elif path.is_file():
            found[place] = Found("file", path.stat().st_mode & 0o7777, path.read_bytes())
    return found


@pytest.mark.parametrize("name", ["prefix", "p" * 90 + "/" + "q" * 60])
def test_the_same_paths_contents_and_modes(tmp_path: Path, name: str) -> None:
    channel, prefix = tmp_path / "channel", tmp_path / name
    packages = make_zoo(channel)
    rattler_install(channel, prefix, tmp_path / "cache")
    theirs = seen(prefix)
    scheme = Scheme(prefix=str(prefix).lstrip("/"), python="3.12")
    ours: dict[str, Found] = {}
    for package in packages:
        ours |= entries(package, scheme)
    own = {path for path in {*ours, *theirs} if "/conda-meta/" in path}
    written = {f"{scheme.scripts}/pure", f"{scheme.scripts}/pure-sub"}
    theirs_alone = {path for path in theirs if path.endswith((".pyc", "/CACHEDIR.TAG"))}
    assert {*ours} - own == {*theirs} - own - theirs_alone
    for path in {*ours} - own - written:
        assert ours[path] == theirs[path], path
    for path in written:  # the same script in other words
        first, second = ours[path].data, theirs[path].data
        lines = 1 if name == "prefix" else 2  # how many start the interpreter
        assert first.splitlines()[:lines] == second.splitlines()[:lines]
        assert ours[path].mode & 0o755 == 0o755
        assert theirs[path].mode & 0o755 == 0o755
