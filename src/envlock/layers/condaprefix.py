"""The prefix in a conda package's files: text and binary replacement, and shebangs.

What conda and rattler do, so that a file is the same whoever installs it: in text the
placeholder is replaced wherever it stands; in a binary file each C string that holds it keeps
its length and is filled up with NULs.  A ``#!`` line that no kernel could read any more
goes through ``env``, Python's through ``sh``.
"""

from __future__ import annotations

import re

from envlock.errors import ArtifactError
from envlock.layers.scheme import LONGEST_SHEBANG, shebang

_SHEBANG = re.compile(rb"#![ ]*(?P<program>/(?:\\ |[^ \n\r\t])*)(?P<options>.*)", re.DOTALL)


def replaced(data: bytes, placeholder: str, prefix: str, *, binary: bool) -> bytes:
    """Return a file's bytes for ``prefix``, an absolute path.

    Raises ArtifactError for a binary file whose placeholder is shorter than the prefix.
    """
    old, new = placeholder.encode(), prefix.encode()
    return _in_binary(data, old, new) if binary else _in_text(data, old, new)


def _in_text(data: bytes, old: bytes, new: bytes) -> bytes:
    if not data.startswith(b"#!"):
        return data.replace(old, new)
    line, newline, rest = data.partition(b"\n")
    return _shebang(line, old, new) + newline + rest.replace(old, new)


def _shebang(line: bytes, old: bytes, new: bytes) -> bytes:
    made = line.replace(old, new)
    spaced = b" " in new and old in line
    if len(made) <= LONGEST_SHEBANG and not spaced:
        return made
    match = _SHEBANG.match(line)  # before a space of the new prefix is in it
    if match is None:
        return made
    name = match["program"].rpartition(b"/")[2]
    options = match["options"].replace(old, new)
    if b"python" in name:
        program = match["program"].replace(old, new)
        words = (part.decode("utf-8", "surrogateescape") for part in (program, options))
        return shebang(*words).encode("utf-8", "surrogateescape").removesuffix(b"\n")
    return b"#!/usr/bin/env " + name + options


def _in_binary(data: bytes, old: bytes, new: bytes) -> bytes:
    if len(new) > len(old):
        raise ArtifactError(
            f"the prefix {new.decode()} has {len(new)} characters, and a binary file has room "
            f"for {len(old)}",
            hint="choose a shorter place",
        )
    pieces, here = [], 0
    while (start := data.find(old, here)) >= 0:
        end = data.find(b"\0", start)
        end = len(data) if end < 0 else end
        text = data[start:end].replace(old, new)
        pieces += [data[here:start], text, bytes(end - start - len(text))]
        here = end
    return b"".join([*pieces, data[here:]]) if pieces else data
