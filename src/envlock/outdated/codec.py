"""An outlook as ``--json`` shows it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from envlock.outdated.model import Outlook


def outlook_to_data(outlook: Outlook) -> dict[str, Any]:
    """Return plain JSON values."""
    return {
        "name": outlook.name,
        "platform": outlook.platform,
        "problem": outlook.problem,
        "base": {**dataclasses.asdict(outlook.base), "moved": outlook.base.moved}
        if outlook.base
        else None,
        "packages": [
            {
                **dataclasses.asdict(one),
                "outdated": one.movable,
                "behind": one.behind,
            }
            for one in outlook.packages
        ],
        "overrides": [
            {
                **dataclasses.asdict(one),
                "reasons": list(one.reasons),
                "notes": list(one.notes),
                "lines": list(one.lines) if one.lines else None,
            }
            for one in outlook.overrides
        ],
    }
