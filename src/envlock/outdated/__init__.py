"""What has moved since an environment was locked: packages, and the overrides' reasons."""

from envlock.outdated.codec import outlook_to_data
from envlock.outdated.look import Sources, look
from envlock.outdated.model import Outlook, OverrideState, PackageState
from envlock.outdated.overrides import outlived
from envlock.outdated.upstream import Upstream

__all__ = [
    "Outlook",
    "OverrideState",
    "PackageState",
    "Sources",
    "Upstream",
    "look",
    "outlived",
    "outlook_to_data",
]
