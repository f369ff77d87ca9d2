"""Keeping credentials out of everything that is written or shown."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")
_TOKEN_PATH = re.compile(r"(?<=/t/)[^/\s]+(?=/)")
_SECRET_QUERY = re.compile(r"(?i)([?&][^=&\s]*(?:token|secret|passw|key|sig)[^=&\s]*=)[^&\s]+")


def redact(text: str) -> str:
    """Return ``text`` with the credentials of the URLs in it replaced by ``****``."""
    text = _TOKEN_PATH.sub("****", _USERINFO.sub("****@", text))
    return _SECRET_QUERY.sub(r"\1****", text)


def carries_secret(url: str) -> bool:
    """Tell whether a URL holds userinfo, a conda token path or a token-like query."""
    parts = urlsplit(url)
    if "@" in parts.netloc or _TOKEN_PATH.search(url):
        return True
    return bool(parts.query and parse_qsl(parts.query) and _SECRET_QUERY.search(url))
