"""The one line that a script inside answers with, found among whatever else was printed."""

from __future__ import annotations

import json
import secrets
from typing import Any


def new_mark() -> str:
    """Return a mark that no output has by chance."""
    return f"envlock-{secrets.token_hex(16)}:"


def reply_after(mark: str, stdout: bytes) -> dict[str, Any] | None:
    """Return the JSON object behind the last ``mark`` that begins a line, None without one."""
    _, found, reply = stdout.rpartition(f"\n{mark}".encode())
    if not found:
        return None
    try:
        value = json.loads(reply.partition(b"\n")[0])
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
