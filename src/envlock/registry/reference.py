"""Names of images in registries: ``host[:port]/path[:tag][@digest]``.

The grammar is the distribution specification's ("Pulling manifests"); Docker's own registry has
two names more, and its images without an owner lie below ``library/``.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace

from envlock.errors import UsageError

_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?"
)
_PATH = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

_DOCKER = "docker.io"
_DOCKER_NAMES = {"docker.io", "index.docker.io", "registry-1.docker.io"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One image, or all of a repository where neither tag nor digest is set.

    registry: ``host[:port]`` as people write it; path: of the repository in it.
    """

    registry: str
    path: str
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        return f"{self.registry}/{self.local}"

    @property
    def local(self) -> str:
        """The reference without its registry."""
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.path}{tag}" + (f"@{self.digest}" if self.digest else "")

    @property
    def host(self) -> str:
        """Where the registry's API is."""
        return "registry-1.docker.io" if self.registry == _DOCKER else self.registry

    @property
    def is_loopback(self) -> bool:
        """Whether the registry is on this machine, where plain HTTP goes over no wire."""
        return is_loopback(self.registry)

    def at(self, digest: str) -> Reference:
        """Return the same repository's image with this digest."""
        return replace(self, tag=None, digest=digest)


def parse_reference(text: str, *, what: str = "the image's name") -> Reference:
    """Read a reference with its registry; raises UsageError, which says what is wrong."""
    scheme = re.match(r"[a-z][a-z+-]*://", text)
    if scheme:
        raise _wrong(what, f"it begins with {scheme[0]}", "write it without")
    if "@" in text.partition("/")[0]:
        raise _wrong(what, "it carries a credential", "docker login or podman login keeps them")
    rest, _, digest = text.partition("@")
    host, slash, rest = rest.partition("/")
    if not slash or not (host == "localhost" or re.search(r"[.:]", host)):
        raise _wrong(what, f"{text!r} does not begin with a registry's host", _with_host(text))
    path, _, tag = rest.partition(":")
    if not _HOST.fullmatch(host):
        raise _wrong(what, f"{host!r} is no host", _EXAMPLE)
    if not _PATH.fullmatch(path):
        raise _wrong(what, f"{path!r} is no repository", "names are in lower case; " + _EXAMPLE)
    if ":" in rest and not _TAG.fullmatch(tag):
        raise _wrong(what, f"{tag!r} is no tag", _EXAMPLE)
    if "@" in text and not DIGEST.fullmatch(digest):
        raise _wrong(what, f"{digest!r} is no digest", "write @sha256: and 64 hex digits")
    if host in _DOCKER_NAMES:
        host, path = _DOCKER, path if "/" in path else f"library/{path}"
    return Reference(registry=host, path=path, tag=tag or None, digest=digest or None)


def is_loopback(registry: str) -> bool:
    """Tell whether ``host[:port]`` is this machine itself."""
    match = re.fullmatch(r"\[?(.*?)\]?(?::[0-9]+)?", registry)
    host = match[1] if match else registry
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_EXAMPLE = "write it as registry.example.com/team/name:tag"


def _with_host(text: str) -> str:
    usual = re.fullmatch(r"[a-z0-9._/-]+(:[\w.-]+)?", text)
    return f"Docker's own is {_DOCKER}/{text}" if usual else _EXAMPLE


def _wrong(what: str, why: str, hint: str) -> UsageError:
    return UsageError(f"{what}: {why}", hint=hint)
