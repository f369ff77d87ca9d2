"""Which layers of one lock's image another one has already, from the locks alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from envlock.layers.plan import image_layers

if TYPE_CHECKING:
    from envlock.layers.plan import LayerPlan
    from envlock.lock.model import Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerChanges:
    """The layers of a new image, and those that the old one alone has, lowest first."""

    kept: tuple[LayerPlan, ...]
    new: tuple[LayerPlan, ...]
    gone: tuple[LayerPlan, ...]

    @property
    def total(self) -> int:
        """How many layers the new image has."""
        return len(self.kept) + len(self.new)


def artifact_bytes(layer: LayerPlan) -> int:
    """Return the bytes of the artifacts of a layer; of those in parts with the first one."""
    return sum(artifact.size for artifact in layer.counted)


def changed_layers(old: Lock | None, new: Lock | None) -> LayerChanges:
    """Compare the plans of two images; None stands for no lock at all.

    Layers with equal keys are the same bytes.  Raises UsageError for a layer budget, and
    ArtifactError for an interpreter, that no image can be made with.
    """
    before = image_layers(old) if old else ()
    after = image_layers(new) if new else ()
    known, wanted = {layer.key for layer in before}, {layer.key for layer in after}
    return LayerChanges(
        kept=tuple(layer for layer in after if layer.key in known),
        new=tuple(layer for layer in after if layer.key not in known),
        gone=tuple(layer for layer in before if layer.key not in wanted),
    )
