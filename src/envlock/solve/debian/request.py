"""What a spec asks of the OS layer, and what the solve answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from envlock.lock.model import Artifact, DebianSection


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianRequest:
    """The packages of one suite that an image shall have.

    suite: codename; exclude: packages left out although others depend on them; alternatives:
    link -> target that the image gets instead of update-alternatives' choice.
    """

    suite: str
    packages: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    alternatives: Mapping[str, str] = field(default_factory=dict)
    components: tuple[str, ...] = ("main",)
    distribution: str = "debian"


@dataclass(frozen=True, slots=True)
class DebianSolution:
    """The artifacts, by name, and what they were solved against."""

    artifacts: tuple[Artifact, ...]
    section: DebianSection
