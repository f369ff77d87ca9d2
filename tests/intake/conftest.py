from __future__ import annotations

from ..exchange.conftest import index, machine, mirror, solved

__all__ = ["index", "machine", "mirror", "solved"]
