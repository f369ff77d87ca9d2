"""A repository of a registry, ready to be asked."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from envlock.errors import FetchError
from envlock.registry.client import HttpRepository
from envlock.registry.credentials import Logins
from envlock.registry.errors import RegistryError
from envlock.registry.transport import Transport

if TYPE_CHECKING:
    from typing import Self

    from envlock.registry.reference import Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How this machine reaches registries.

    insecure: hosts to which plain http is spoken, or all where ``all_insecure``; stop: set where
    the work is given up, and nobody waits any longer.
    """

    logins: Logins = field(default_factory=Logins)
    insecure: frozenset[str] = frozenset()
    all_insecure: bool = False
    offline: bool = False
    chunk: int = 64 << 20
    stop: threading.Event = field(default_factory=threading.Event)

    def repository(self, reference: Reference) -> HttpRepository:
        """Return the repository of a reference; raises FetchError when offline."""
        if self.offline:
            raise FetchError(
                "the registry is needed, but --offline was given", where=str(reference)
            )
        transport = Transport(
            reference,
            self.logins,
            insecure=self.all_insecure or reference.registry in self.insecure,
            pause=self.pause,
        )
        return HttpRepository(reference, transport, chunk=self.chunk)

    def for_one_work(self) -> Self:
        """Return the same access with a ``stop`` of its own: what is given up stops no other."""
        return replace(self, stop=threading.Event())

    def pause(self, seconds: float) -> None:
        """Wait so many seconds; raises RegistryError where the work was given up."""
        if self.stop.wait(seconds):
            raise RegistryError("stopped")
