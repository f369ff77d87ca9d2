"""Channels as other files name them: by name, by URL, or as conda's ``defaults``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from envlock.errors import Location, SpecError
from envlock.spec.matchspec import is_subdir
from envlock.urls import carries_secret

if TYPE_CHECKING:
    from envlock.intake.draft import Draft

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*(?:/[A-Za-z0-9][A-Za-z0-9._+-]*)*")
_DEFAULTS = ("pkgs/main", "pkgs/r")
_VARIABLE = re.compile(r"\$\{?[A-Za-z_]")


def add_channel(draft: Draft, text: str, location: Location) -> str | None:
    """Add a channel to the draft and return its name; raises SpecError.

    A URL that is a name's usual place becomes that name; one with variables in it stays out
    of the spec, since it is the machine's.
    """
    if text == "nodefaults":
        return None
    if text == "defaults":
        draft.channels |= dict.fromkeys(_DEFAULTS, None)
        draft.note(location, "defaults is conda's name for pkgs/main and pkgs/r: their terms apply")
        return _DEFAULTS[0]
    if "://" not in text:
        if not _NAME.fullmatch(text) or text == "local":
            raise SpecError(
                f"{text!r} cannot be the name of a channel",
                location=location,
                hint="a folder is written as a URL, file:///path/to/channel; a channel whose place "
                "only the machine knows by a name, for which it sets ENVLOCK_CHANNEL_<NAME>",
            )
        draft.channels.setdefault(text, None)
        return text
    name, url = _of_url(text, location)
    if name in draft.channels and draft.channels[name] != url:
        raise SpecError(f"there are two channels by the name {name}", location=location)
    if name not in draft.channels and _VARIABLE.search(text):
        draft.note(
            location,
            f"the channel {name} has variables in its URL: tell envlock where it is with "
            f"{_variable(name)}, and its credentials as a token, a header or in netrc",
        )
    draft.channels[name] = url
    return name


def _variable(name: str) -> str:
    return f"ENVLOCK_CHANNEL_{re.sub('[^A-Za-z0-9]', '_', name).upper()}"


def _of_url(text: str, location: Location) -> tuple[str, str | None]:
    """Return (name, URL or None) of a channel's URL."""
    from envlock.solve.conda.channels import usual_place

    variables = bool(_VARIABLE.search(text))
    if carries_secret(text) and not variables:
        raise SpecError(
            "the URL of a channel carries a credential",
            location=Location(file=location.file, line=location.line, column=1),
            hint="remove it there, and give it to the machine: channels.NAME.token or .headers in "
            "config.toml, ENVLOCK_TOKEN_<NAME>, or netrc",
        )
    url = text.rstrip("/")
    if is_subdir(url.rpartition("/")[2]):
        url = url.rpartition("/")[0].rstrip("/")  # conda reads all folders of it, too
    path = re.sub(r"^/t/[^/]+", "", urlsplit(url).path).strip("/")
    if _NAME.fullmatch(path) and usual_place(path).rstrip("/") == url:
        return path, None
    name = path.rpartition("/")[2]
    if not _NAME.fullmatch(name):
        raise SpecError("this URL does not end with a channel's name", location=location)
    return name, None if variables else url
