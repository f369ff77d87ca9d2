"""What the image's own Python says is installed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from envlock.requirements import Installed
from envlock.validate.reply import new_mark, reply_after
from envlock.validate.sandbox import NOT_FOUND, Completed

if TYPE_CHECKING:
    from envlock.validate.inside import Inside


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What the image's own Python says of itself; python: its full version."""

    python: str
    executable: str
    distributions: tuple[Installed, ...]


def take_inventory(inside: Inside, python: str) -> Inventory | Completed:
    """Ask the image's ``python`` what is installed; gives what it did instead of an answer."""
    mark = new_mark()
    probe = resources.files("envlock.validate").joinpath("probe.py").read_text("utf-8")
    request = json.dumps({"mark": mark, "site_packages": None}).encode()
    done = inside.run((python, "-c", probe), stdin=request)
    reply = reply_after(mark, done.stdout)
    if done.timed_out or done.returncode == NOT_FOUND or reply is None:
        return done
    try:
        return _inventory(reply)
    except (ValueError, TypeError, KeyError):
        return done


def _inventory(reply: dict[str, Any]) -> Inventory:
    seen: dict[tuple[str, str, str], Installed] = {}
    for item in reply["distributions"]:
        name, version = str(item["name"] or ""), str(item["version"] or "")
        location = str(item["location"])
        seen[name, version, location] = Installed(
            name=name,
            version=version,
            requires=tuple(str(text) for text in item["requires"]),
            location=location,
        )
    return Inventory(
        python=str(reply["python"]),
        executable=str(reply["executable"]),
        distributions=tuple(seen.values()),
    )
