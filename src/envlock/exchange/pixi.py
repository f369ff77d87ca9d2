"""``pixi.lock`` in version 7, written by rattler's own library.

Experimental: rattler reads it back, but pixi itself has not been tried.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envlock.exchange.formats import Export
from envlock.exchange.order import channels_of, left_out

if TYPE_CHECKING:
    from rattler import LockFile

    from envlock.exchange.formats import Subject
    from envlock.lock.model import Artifact

_ENVIRONMENT = "default"


def export(subject: Subject) -> Export:
    """Write the environment's locks as one file; see :class:`envlock.exchange.formats.Exporter`."""
    from rattler import LockChannel, LockFile, LockPlatform

    from envlock.solve.conda.records import repodata_record

    places = subject.places
    platforms = {lock.platform: LockPlatform(lock.platform) for lock in subject.locks}
    file = LockFile(list(platforms.values()))
    channels = [LockChannel(f"{places.channel(name)}/") for name in channels_of(subject.locks)]
    file.set_channels(_ENVIRONMENT, channels)
    wheels: dict[str, Artifact] = {}
    for lock in subject.locks:
        platform = platforms[lock.platform]
        for one in lock.of_kind("conda"):
            record = repodata_record(one, places.channel(one.source))
            file.add_conda_package(_ENVIRONMENT, platform, record)
        for one in lock.of_kind("pypi"):
            url = places.url(one)
            file.add_pypi_package(_ENVIRONMENT, platform, one.name, one.version, url)
            wheels[url] = one
    text = _with_checksums(file, wheels)
    notes = [note for lock in subject.locks for note in left_out(lock)]
    return Export(text=text, notes=(*notes, "pixi.lock is experimental: pixi was not tried on it"))


def _with_checksums(file: LockFile, wheels: dict[str, Artifact]) -> str:
    """Return the file's text with what rattler's library has no argument for.

    The text goes through rattler once more, which so reads and orders what was added.
    """
    import yaml
    from rattler import LockFile

    with tempfile.TemporaryDirectory(prefix="envlock-") as folder:
        path = Path(folder) / "pixi.lock"
        file.to_path(path)
        value: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
        for package in value["packages"]:
            wheel = wheels.get(package.get("pypi", ""))
            if wheel is not None:
                package["sha256"] = wheel.sha256
                package["requires_dist"] = list(wheel.depends)
        path.write_text(yaml.safe_dump(value, sort_keys=False))
        LockFile.from_path(path).to_path(path)
        return path.read_text("utf-8")
