"""The package index that uv or pip would use on this machine, where envlock is told of none."""

from __future__ import annotations

import configparser
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from envlock.channels import HOW_URL
from envlock.errors import UsageError
from envlock.home import home_folder, user_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Named = tuple[str, str]
    """An index as it is written, and where: a variable's or a file's name."""


def usual_index(environ: Mapping[str, str], is_url: Callable[[str], bool]) -> str:
    """Return the index's URL, by default that of the library that reads indexes.

    Of uv's and pip's variables and files uv's come first, and before either's files its variables.
    Raises UsageError, which does not repeat it, for what is neither a URL nor a folder.
    """
    for text, where in _named(environ):
        if is_url(text):
            return text
        if "://" not in text and Path(text).is_dir():  # uv and pip take these as well
            return Path(text).absolute().as_uri()
        raise UsageError(
            "the package index that is named here is no URL", where=where, hint=HOW_URL
        )
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    return PYPI_SIMPLE_ENDPOINT


def _named(environ: Mapping[str, str]) -> Iterator[Named]:
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        if environ.get(name):
            yield re.sub(r"^[A-Za-z0-9._-]+=", "", environ[name]).strip(), name
    yield from _of_uv(environ)
    if environ.get("PIP_INDEX_URL"):
        yield environ["PIP_INDEX_URL"].strip(), "PIP_INDEX_URL"
    yield from _of_pip(environ)


def _of_uv(environ: Mapping[str, str]) -> Iterator[Named]:
    if environ.get("UV_NO_CONFIG", "").lower() in {"1", "true", "yes"}:
        return
    files = [user_config("uv") / "uv.toml", Path("/etc/uv/uv.toml")]
    if environ.get("UV_CONFIG_FILE"):
        files = [Path(environ["UV_CONFIG_FILE"])]
    for path in files:
        try:
            table = tomllib.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            continue
        found = table.get("index")
        for index in found if isinstance(found, list) else ():
            if isinstance(index, dict) and index.get("default") and index.get("url"):
                yield str(index["url"]), str(path)
        if table.get("index-url"):
            yield str(table["index-url"]), str(path)


def _of_pip(environ: Mapping[str, str]) -> Iterator[Named]:
    if environ.get("PIP_CONFIG_FILE") == os.devnull:
        return
    files = [
        Path(environ.get("PIP_CONFIG_FILE") or "/nonexistent"),
        user_config("pip") / "pip.conf",
        home_folder() / ".pip/pip.conf",
        Path("/etc/pip.conf"),
    ]
    for path in files:
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read_string(path.read_text())
        except (OSError, UnicodeDecodeError, configparser.Error):
            continue
        for key in ("index-url", "index_url"):
            url = parser.get("global", key, fallback=None)
            if url:
                yield url, str(path)
