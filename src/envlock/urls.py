"""URLs: whether a text is one, and keeping their credentials out of all that is shown."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

# Texts of any length come from outside: no match looks beyond where the next one would begin.
_USERINFO = re.compile(r"(?<=://)[^/?#\s]*@")
_TOKEN_PATH = re.compile(  # conda's; Debian's pools have folders named "t", registries repositories
    r"(://(?:(?!://)[^\s'\"])*?"
    r"(?<!/main)(?<!/contrib)(?<!/non-free)(?<!/non-free-firmware)(?<!/v2)/t/)"
    r"[^/\s'\"]+"
)
_SECRET_QUERY = re.compile(
    r"(?i)([?&#](?=[^=&?#\s]*(?:token|secret|passw|key|sig))[^=&?#\s]*=)[^&\s'\"]+"
)


def is_url(text: str) -> bool:
    """Tell whether a text is the URL of a host, or of a file, as an index or a channel has one."""
    try:
        parts = urlsplit(text)
        return parts.scheme == "file" or (bool(parts.hostname) and parts.port != 0)
    except ValueError:
        return False


def redact(text: str) -> str:
    """Return ``text`` with the credentials of the URLs in it replaced by ``****``."""
    text = _TOKEN_PATH.sub(r"\1****", _USERINFO.sub("****@", text))
    return _SECRET_QUERY.sub(r"\1****", text)


def carries_secret(url: str) -> bool:
    """Tell whether a URL holds userinfo, a conda token path or a token-like query."""
    return any(pattern.search(url) for pattern in (_USERINFO, _TOKEN_PATH, _SECRET_QUERY))
