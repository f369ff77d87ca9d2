"""Asking rattler: one solve for one target, with virtual packages from the spec."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from envlock.errors import FetchError, UnsatisfiableError
from envlock.solve.conda.patched import PatchedChannel, Patches, patched_repodata, records_of
from envlock.solve.conda.records import repodata_record
from envlock.urls import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from datetime import datetime

    from rattler import Gateway, MatchSpec, PackageName, RepoDataRecord

    from envlock.lock.model import Artifact
    from envlock.solve.conda.channels import Channels
    from envlock.spec.model import CondaAsked

_Found = TypeVar("_Found")
_DAMAGED = re.compile(r"expected struct Shard|IO error while reading (?:marker|data)")
"""What rattler says of the record of a package that is cut off in its cache, or something else."""

_SERVER = re.compile(r"\(?https?://[^\s)]+\)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What rattler is asked.

    platform: conda subdir; constraints: match specs; virtual: (name, version, build); forced:
    the entry that stands in for a package's own, by package; dependents: whose entries are
    replaced, None for everybody's; kept: artifacts of the previous lock that are preferred.
    """

    platform: str
    priority: str
    dependencies: Sequence[CondaAsked]
    constraints: Sequence[CondaAsked]
    more_constraints: Sequence[str]
    virtual: Sequence[tuple[str, str, str]]
    forced: Mapping[str, str]
    dependents: Mapping[str, frozenset[str] | None]
    kept: Sequence[Artifact] = ()
    exclude_newer: datetime | None = None

    def forced_on_everybody(self) -> Question:
        """Return the question with forced versions in place of everybody's entries."""
        return dataclasses.replace(self, dependents=dict.fromkeys(self.forced))


class Rattler:
    """Solves against some channels; repodata that was read once is kept for more questions."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels
        self._gateway: Gateway | None = None

    def ask(self, question: Question) -> list[RepoDataRecord]:
        """Return the chosen records by name, with the entries that upstream gave them.

        Raises UnsatisfiableError with rattler's explanation, or FetchError.
        """
        from rattler.exceptions import SolverError

        patches = Patches(question.forced, question.dependents)
        try:
            with tempfile.TemporaryDirectory() as folder:
                records = self._run(
                    lambda gateway: self._solve(gateway, question, patches, Path(folder))
                )
        except SolverError as error:
            raise UnsatisfiableError(
                "the conda packages cannot all be had", details=self._explanation(str(error))
            ) from None
        return sorted(
            (patches.restore(record) for record in records), key=lambda r: r.name.normalized
        )

    def first_channels(self, platform: str, chosen: Mapping[str, str]) -> dict[str, str]:
        """Return the first channel that has each package, in whatever version.

        chosen: the channel that each is taken from; only those before it are asked, since it
        surely has it.  Raises FetchError.
        """
        firsts = dict(chosen)
        for rank, channel in reversed(list(enumerate(self._channels.names))):
            later = [name for name, one in chosen.items() if self._channels.names.index(one) > rank]
            if not later:
                continue
            source = self._channels.sources()[rank]
            ask = functools.partial(records_of, later, [source], [platform, "noarch"])
            firsts |= {record.name.normalized: channel for record in self._run(ask)}
        return firsts

    def records(self, platform: str, packages: Sequence[str]) -> list[tuple[str, RepoDataRecord]]:
        """Return (channel, record) of everything that the channels have of these packages.

        Raises FetchError.
        """
        sources = self._channels.sources()
        found = self._run(functools.partial(records_of, packages, sources, [platform, "noarch"]))
        return [(self._channels.name(record.channel), record) for record in found]

    def names(self, platform: str) -> list[str]:
        """Return the names of all packages that the channels have; raises FetchError."""
        platforms = [platform, "noarch"]

        def ask(gateway: Gateway) -> Coroutine[Any, Any, Sequence[PackageName]]:
            return gateway.names(
                self._channels.sources(),
                platforms,  # type: ignore[arg-type]
                channel_relations="disabled",
            )

        return sorted(name.normalized for name in self._run(ask))

    def _run(self, ask: Callable[[Gateway], Coroutine[Any, Any, _Found]]) -> _Found:
        """Return what a gateway says; raises SolverError, FetchError.

        A server need not say again what a page's date was when it has not changed (RFC 9110,
        15.4.5), and rattler then takes its 304 for a failure: it is asked without the cache.  So it
        is where a file of the cache is damaged, which rattler does not look for.
        """
        from rattler.exceptions import GatewayError

        for fresh in (False, True):
            if self._gateway is None or fresh:
                self._gateway = self._channels.gateway(fresh=fresh)
            try:
                return asyncio.run(ask(self._gateway))
            except GatewayError as error:
                damaged = not self._channels.offline and _DAMAGED.search(str(error))
                if fresh or not (damaged or "304 Not Modified" in str(error)):
                    raise self._unreachable(str(error)) from None
                if damaged:
                    self._channels.forget()
        raise AssertionError  # the second try returns or raises

    async def _solve(
        self, gateway: Gateway, question: Question, patches: Patches, folder: Path
    ) -> list[RepoDataRecord]:
        """Ask rattler; folder: for what it is to read besides the channels."""
        from rattler import BuildString, GenericVirtualPackage, MatchSpec, PackageName, Version
        from rattler import solve as rattler_solve
        from rattler.channel import ChannelPriority

        platforms = [question.platform, "noarch"]
        channels = self._channels.sources()
        sources: list[Any] = []
        for channel in channels:
            if not question.forced:
                sources.append(channel)
            elif patches.names() is None:
                sources.append(PatchedChannel(channel, gateway, patches))
            else:
                sources += await patched_repodata(channel, platforms, gateway, patches, folder)
                sources.append(channel)
        kept = await self._kept(gateway, question)
        return await rattler_solve(
            sources,
            [self._match_spec(asked) for asked in question.dependencies],
            gateway=gateway,
            platforms=platforms,  # type: ignore[arg-type]
            locked_packages=[patches.apply(record) for record in kept],
            virtual_packages=[
                GenericVirtualPackage(PackageName(name), Version(version), BuildString(build))
                for name, version, build in question.virtual
            ],
            channel_priority=ChannelPriority[question.priority.capitalize()],
            exclude_newer=question.exclude_newer,
            constraints=[
                *(self._match_spec(asked) for asked in question.constraints),
                *(MatchSpec(text) for text in question.more_constraints),
                *(MatchSpec(entry) for entry in question.forced.values()),
            ],
            channel_relations="disabled",  # the spec says which channels there are
        )

    async def _kept(self, gateway: Gateway, question: Question) -> list[RepoDataRecord]:
        """Return the records of the previous lock: as their channels have them, if they do."""
        if not question.kept:
            return []
        names = [artifact.name for artifact in question.kept]
        present = {
            (self._channels.name(record.channel), record.subdir, record.file_name): record
            for record in await records_of(
                names, self._channels.sources(), [question.platform, "noarch"], gateway
            )
        }
        kept = []
        for artifact in question.kept:
            assert artifact.conda is not None
            place = (artifact.source, artifact.conda.subdir, artifact.file)
            base = self._channels.base(artifact.source)
            kept.append(present.get(place) or repodata_record(artifact, base))
        return kept

    def _match_spec(self, asked: CondaAsked) -> MatchSpec:
        """Return what the spec asks for; a channel is named by the URL that rattler knows."""
        from rattler import MatchSpec

        if asked.channel is None:
            return MatchSpec(asked.bare)
        base = self._channels.base(asked.channel)
        head, bracket, rest = asked.bare.partition("[")
        inner = f",{rest}" if bracket else "]"
        return MatchSpec(f"{head}[channel='{base}'{inner}")

    def _unreachable(self, text: str) -> FetchError:
        lines = [redact(line.strip()) for line in text.splitlines() if line.strip()]
        places = self._channels.urls()
        guilty = {
            name
            for name, url in places
            if url in text or f"'{self._channels.base(name)}'" in text or f"/{name}/" in text
        } or {name for name, _ in places}
        names = ", ".join(sorted(guilty))
        lacking = "no usable repodata cache" in text or _DAMAGED.search(text) is not None
        if self._channels.offline and lacking:
            return FetchError(
                f"the channel {names} is not in the cache, or not whole, and --offline was given",
                hint="solve once without --offline",
            )
        missing = "could not find subdir" in text
        tried = [f"  {name}: {redact(url)}" for name, url in places if name in guilty]
        return FetchError(
            f"there is no conda channel {names}" if missing
            else f"the conda channel {names} cannot be read",
            details=[*tried, *(f"  {_SERVER.sub('', line).strip()}" for line in lines[:4])],
            hint="check the network and where the channel is: [channels] in config.toml, "
            "ENVLOCK_CHANNEL_<NAME>, or its url in the spec",
        )  # fmt: skip

    def _explanation(self, text: str) -> list[str]:
        """Return rattler's words, one line after the other, each once; channels by name."""
        body = text.removeprefix("Cannot solve the request because of: ")
        for name in self._channels.names:
            body = body.replace(self._channels.base(name), name)
        lines = [line.rstrip() for line in body.splitlines() if line.strip()]
        return [f"  {line}" for n, line in enumerate(lines) if line not in lines[:n]]
