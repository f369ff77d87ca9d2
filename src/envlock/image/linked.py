"""The layer of what post-link scripts wrote.

They are run by whoever calls the builder, in a sandbox: nothing of a package is run here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from envlock.errors import LockError
from envlock.files import write_atomically
from envlock.layers.blobs import layer_blob
from envlock.layers.condafacts import CondaFacts, FactCollector
from envlock.layers.plan import LayerPlan
from envlock.layers.writer import LayerWriter
from envlock.lock.model import PACKER

if TYPE_CHECKING:
    from envlock.layers.entry import Entry
    from envlock.layers.gzipstream import StreamDigests


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """What scripts left in the prefix; new: paths that no package has."""

    entries: tuple[Entry, ...]
    new: frozenset[str]


Linker = Callable[[LayerPlan, Path], Linked]
"""Runs the scripts of a plan; the path is a folder of blobs that the layers below may be in."""


def known_linked(plan: LayerPlan, folder: Path) -> CondaFacts | None:
    """Return the facts that an earlier run found out about a layer of this plan."""
    try:
        return CondaFacts.from_json(json.loads(_path(plan, folder).read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def pack_linked(
    plan: LayerPlan, link: Linker | None, blobs: Path, folder: Path
) -> tuple[StreamDigests, CondaFacts]:
    """Have the scripts run, and write the layer to ``blobs`` and its facts to ``folder``.

    Raises LockError where nobody can run them, and what ``link`` raises.
    """
    if link is None:
        raise LockError(
            f"{plan.title}: these scripts are run in a sandbox, which this builder has none of",
            hint="build with envlock build; or leave them out of conda.link-scripts",
        )
    linked = link(plan, blobs)
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
    return folder / f"{PACKER}-linked-{plan.key}.json"
