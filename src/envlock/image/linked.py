"""The layer of what post-link scripts wrote.

They are run by whoever calls the builder, in a sandbox: nothing of a package is run here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from envlock.errors import LockError
from envlock.files import write_atomically
from envlock.layers.blobs import layer_blob
from envlock.layers.condafacts import CondaFacts, FactCollector
from envlock.layers.writer import LayerWriter
from envlock.lock.model import PACKER

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.image.build import Workshop
    from envlock.layers.entry import Entry
    from envlock.layers.gzipstream import StreamDigests
    from envlock.layers.plan import LayerPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """What scripts left in the prefix; new: paths that no package has."""

    entries: tuple[Entry, ...]
    new: frozenset[str]


class Linker(Protocol):
    """Whoever can run scripts."""

    def __call__(self, plan: LayerPlan, below: Workshop) -> Linked:
        """Run the scripts of a plan; ``below`` has the layers that they stand upon."""


def known_linked(plan: LayerPlan, folder: Path) -> CondaFacts | None:
    """Return the facts that an earlier run found out about a layer of this plan."""
    try:
        return CondaFacts.from_json(json.loads(_path(plan, folder).read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def pack_linked(
    plan: LayerPlan, link: Linker | None, below: Workshop, blobs: Path, folder: Path
) -> tuple[StreamDigests, CondaFacts]:
    """Have the scripts run, and write the layer to ``blobs`` and its facts to ``folder``.

    below: has the layers that they stand upon.

    Raises LockError where nobody can run them, and what ``link`` raises.
    """
    if link is None:
        raise LockError(
            f"{plan.title}: these scripts are run in a sandbox, which this builder has none of",
            hint="build with envlock build; or leave them out of conda.link-scripts",
        )
    linked = link(plan, below)
    collector = FactCollector(plan.title, plan.scheme.prefix)
    with layer_blob(blobs) as (out, done):
        writer = LayerWriter(out)
        writer.add_all(collector.watch(linked.entries))
        done.append(writer.finish())
    found = collector.facts()
    nodes = {path: node for path, node in found.nodes.items() if path in linked.new}
    facts = replace(found, nodes=nodes)
    write_atomically(_path(plan, folder), json.dumps(facts.to_json()).encode())
    return done[0], facts


def _path(plan: LayerPlan, folder: Path) -> Path:
    return folder / f"{PACKER}-{plan.key}.json"
