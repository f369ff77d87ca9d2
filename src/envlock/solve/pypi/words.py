"""What uv says, on stderr: why it failed, and which files are yanked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from envlock.errors import DiskError, EnvlockError, FetchError, UnsatisfiableError
from envlock.urls import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

_NETWORK = re.compile(
    r"Failed to fetch|error sending request|Request failed|Could not connect|"
    r"HTTP status (?:server error|client error \((?:401|403|407|429))|network was disabled|"
    r"Network connectivity is disabled|"
    r"could not be queried due to a lack of valid authentication|returned a 40[13] ",
)
_OFFLINE = re.compile(r"network was disabled|Network connectivity is disabled")
_LOGIN = re.compile(r"lack of valid authentication|\(40[13]\b|returned a 40[13] ")
_DISK = re.compile(
    r"Failed to initialize cache|No space left on device|Read-only file system|Disk quota|"
    r"Permission denied \(os error",
)
_OF_STUBS = re.compile(r"was found on file://\S*/envlock-uv-")
_YANKED = re.compile(
    r"^warning: `([^=`\s]+)==([^`\s]+)` is yanked(?: \(reason: \"(.*?)\"\))?$",
    re.MULTILINE | re.DOTALL,
)
_CHATTER = re.compile(r"^(?:warning: |Resolved \d+ packages? in )")
_BUILDING = re.compile(r"^ *hint: Wheels are required for .*\(i\.e\., with `--no-build`\)$")
UNKNOWN = re.compile(r"(\S+) was not found in the package registry")
NO_WHEELS = re.compile(r"(\S+) (?:has|have) no (?:usable wheels|wheels with)")
"""What uv says of distributions that no index has, and of those that are there otherwise."""
_LONGEST_REASON = 300  # letters; PEP 592 lets an index say anything


def one_line(reason: str | None) -> str | None:
    """Return why an index has withdrawn a file: short, in one line, without credentials."""
    text = redact(" ".join((reason or "").split()))
    return "".join(letter for letter in text if letter.isprintable())[:_LONGEST_REASON] or None


def yanked(said: str) -> dict[tuple[str, str], str]:
    """Return why distributions are yanked, by name and version, as uv warns of them."""
    return {
        (canonicalize_name(name), version): one_line(reason) or ""
        for name, version, reason in _YANKED.findall(said)
    }


def complaint(stderr: str, name: str, alias: str, indexes: Mapping[str, str]) -> EnvlockError:
    """Return the error that uv's words stand for.

    alias: what uv calls the environment ``name``; indexes: their names by URL, as it is shown.
    """
    heard = "\n".join(line for line in stderr.splitlines() if not _CHATTER.match(line))
    text = redact(heard).strip().replace(alias, name)
    if _DISK.search(text):
        return DiskError(
            "the disk refused what uv has to write",
            details=[f"  {line.strip()}" for line in text.splitlines()[:6]],
            hint="make room or mend the folder's permissions, then run the command again; "
            "ENVLOCK_CACHE_DIR moves the cache",
        )
    if _NETWORK.search(text):
        lines = [line.replace("error: ", "", 1) for line in text.splitlines()]
        url = max((url for url in indexes if url in text), key=len, default=None)
        return FetchError(
            f"the package index {indexes[url]} cannot be read"
            if url
            else "a package index cannot be read",
            details=[f"  {line.strip()}" for line in lines[:6]],
            hint=_network_hint(text),
        )
    lines = [
        line
        for line in text.splitlines()
        if line.strip() and not _OF_STUBS.search(line) and not _BUILDING.match(line)
    ]
    if lines and lines[0].startswith("error: No solution found"):
        lines = lines[1:]
        lines[0] = lines[0].replace("cause: ", "", 1)
    return UnsatisfiableError(
        f"{name}: the PyPI requirements cannot all be met",
        details=[f"  {line.strip()}" for line in lines],
        hint=_way_out(" ".join(text.split())),
    )


def _network_hint(text: str) -> str:
    if _OFFLINE.search(text):
        return "this is not in the cache yet: run the command once without --offline"
    if _LOGIN.search(text):
        return (
            "the index wants a login, or refuses the one that it was given: put it into "
            "~/.netrc or into the index's URL in config.toml; it has no place in a spec"
        )
    return "check the network and the index's URL, then run the command again"


def elsewhere(name: str) -> str:
    """Say where to get what is there as source only."""
    return (
        f"envlock builds nothing from source: put a wheel of {name} on an index that the spec "
        "names (a folder can be one), or take a conda package of it"
    )


def _way_out(words: str) -> str | None:
    """Return a hint for distributions that no index has, or none with wheels."""
    if unknown := ", ".join(dict.fromkeys(UNKNOWN.findall(words))):
        return f"check how {unknown} is spelled, and which indexes the spec and the machine name"
    bare = dict.fromkeys(NO_WHEELS.findall(words))
    several = "all of:" in words or len(bare) != 1  # then it is one reason of many
    return None if several else elsewhere(next(iter(bare)))
