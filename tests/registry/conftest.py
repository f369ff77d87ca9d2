from __future__ import annotations

import contextlib
import hashlib
import io
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

from envlock.registry.credentials import Logins
from envlock.registry.open import Access
from envlock.registry.reference import parse_reference

from ..container.judges import need, registry
from ..makers.fixtures import index, machine, mirror
from ..makers.proxy import Proxy
from ..makers.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from envlock.registry.client import HttpRepository

__all__ = ["index", "machine", "mirror"]

CHUNK = 100_000


@dataclass
class Place:
    """A registry, and the proxy before it that the tests speak to."""

    proxy: Proxy
    registry: Registry | None = None
    waits: list[float] = field(default_factory=list)

    def access(self, **settings: Any) -> Access:
        access = Quick(chunk=CHUNK, **settings)
        access.waits.append(self.waits)
        return access

    def repository(self, path: str = "team/app", **settings: Any) -> HttpRepository:
        reference = parse_reference(f"{self.proxy.address}/{path}")
        return self.access(**settings).repository(reference).for_writing()

    def logged_in(self, folder: Path, document: str) -> HttpRepository:
        """Return a repository asked with a Docker configuration; HOST in it is the proxy's."""
        file = folder / "config.json"
        file.write_text(document.replace("HOST", self.proxy.address))
        return self.repository(logins=Logins([file], path=str(folder)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Quick(Access):
    """Notes how long would be waited, and waits a moment."""

    waits: list[list[float]] = field(default_factory=list)

    def pause(self, seconds: float) -> None:
        self.waits[0].append(seconds)
        Access.pause(self, 0.01)


@pytest.fixture(params=["own", pytest.param("docker-registry", marks=pytest.mark.container)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Our own registry, and Debian's."""
    with contextlib.ExitStack() as stack:
        own = None
        if request.param == "own":
            own = stack.enter_context(Registry())
            address = own.address
        else:
            need("docker-registry")
            address = stack.enter_context(registry(tmp_path))
        yield Place(stack.enter_context(Proxy(address)), own)


@pytest.fixture
def own() -> Iterator[Place]:
    """Our own registry, whose abilities can be changed."""
    with Registry() as own, Proxy(own.address) as proxy:
        yield Place(proxy, own)


@dataclass(frozen=True)
class Blob:
    data: bytes

    @property
    def digest(self) -> str:
        return f"sha256:{hashlib.sha256(self.data).hexdigest()}"

    def open(self) -> BinaryIO:
        return io.BytesIO(self.data)


@pytest.fixture
def blob() -> Callable[[int], Blob]:
    """Make a blob of a size."""
    return lambda size: Blob(random.Random(size).randbytes(size))


SMALL, LARGE = 5_000, 450_000
