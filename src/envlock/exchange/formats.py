"""What a lock can be written as.  One module a format, loaded when it is asked for."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from envlock.exchange.places import Places
    from envlock.lock.model import Artifact, Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is written: an environment's locks, by platform, and where their artifacts are.

    metadata: returns the METADATA of a wheel; raises FetchError; image: what the image is called
    where it was pushed, if that is to be told.
    """

    name: str
    locks: tuple[Lock, ...]
    places: Places
    metadata: Callable[[Artifact], bytes]
    image: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A file's text, with a newline at the end; notes: what it does not say of the lock."""

    text: str
    notes: tuple[str, ...] = ()


class Exporter(Protocol):
    """The function ``export`` of a format's module."""

    def __call__(self, subject: Subject) -> Export:
        """Write the locks; the same locks and places give the same text.

        Raises EnvlockError for what the format cannot say.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format by its name on the command line.

    module: where ``export`` is; help: one line; all_platforms: one file has them all;
    variables: channels' URLs may be written as ``${ENVLOCK_CHANNEL_...}``; image: it names one.
    """

    name: str
    module: str
    help: str
    all_platforms: bool = False
    variables: bool = False
    image: bool = False

    def exporter(self) -> Exporter:
        """Return the function that writes this format."""
        return cast("Exporter", importlib.import_module(self.module).export)


FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        Format(
            name="conda-lock",
            module="envlock.exchange.conda_lock",
            help="conda-lock.yml (version 1), for conda-lock, mamba and micromamba",
            all_platforms=True,
            variables=True,
        ),
        Format(
            name="explicit",
            module="envlock.exchange.explicit",
            help="conda's @EXPLICIT list with sha256 (conda 24.9 or newer)",
        ),
        Format(
            name="explicit-md5",
            module="envlock.exchange.explicit_md5",
            help="the same with md5, for older tools",
        ),
        Format(
            name="pixi",
            module="envlock.exchange.pixi",
            help="pixi.lock (version 7; experimental)",
            all_platforms=True,
        ),
        Format(
            name="pylock",
            module="envlock.exchange.pylock",
            help="pylock.toml (PEP 751), for pip and uv",
        ),
        Format(
            name="pylock-wheels",
            module="envlock.exchange.pylock_wheels",
            help="the same without hosts, for wheels in a folder beside it",
        ),
        Format(
            name="requirements",
            module="envlock.exchange.requirements",
            help="requirements.txt with hashes, without hosts",
        ),
        Format(
            name="dockerfile",
            module="envlock.exchange.dockerfile",
            help="a Dockerfile that does much the same with apt and pip, without hosts",
        ),
        Format(
            name="devcontainer",
            module="envlock.exchange.devcontainer",
            help="devcontainer.json, for editors that work in the image",
            image=True,
        ),
        Format(
            name="cyclonedx",
            module="envlock.exchange.cyclonedx",
            help="a bill of materials, CycloneDX 1.6",
        ),
        Format(
            name="spdx",
            module="envlock.exchange.spdx",
            help="a bill of materials, SPDX 2.3",
        ),
    )
}
