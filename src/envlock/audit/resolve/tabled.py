"""Tables that a module makes, and the names that it takes from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from envlock.audit.resolve.state import TABLES

if TYPE_CHECKING:
    from envlock.audit.nodes import Node
    from envlock.audit.resolve.run import Run
    from envlock.audit.resolve.state import Frame, Module

_TELLING = 3
"""A key that is shorter stands in too many names to say that they are made of it."""


def update(run: Run, node: Node, frame: Frame) -> None:
    """Run a node that adds to a table, which has its keys then; it is unknown if that is."""
    certain, before = frame.module.names.bound.get(node[1], (False, None))
    if before is not None and before[0] == "t":
        more = run.evaluator.value(node[2], frame)
        joined = ("t", before[1] | more[1]) if more[0] == "t" else None
        frame.module.names.bind(node[1], joined, certain=certain)


def tables(run: Run, node: Node, frame: Frame) -> None:
    """Run a node that puts tables into ``globals()``: their keys, or names made of these.

    A node without any stands where the module begins: nobody can tell yet.
    """
    _, roots, texts = node
    values = [run.evaluator.chain(root, frame) for root in roots]
    known = all(value[0] in {"t", "m", "o"} for value in values)
    found = {*texts, *(key for value in values if value[0] == "t" for key in value[1])}
    if known and (found or not roots):
        frame.module.names.bind(TABLES, ("t", frozenset(found)))
    else:
        frame.module.open = True


def tabled(module: Module, name: str) -> Literal["maybe", "no"]:
    """Tell whether a name may be made of a key that a module put into ``globals()``."""
    _, value = module.names.bound[TABLES]
    keys = value[1] if value is not None else ()
    made = any(key in name for key in keys if len(key) >= _TELLING)
    made = made or name in keys or f"={name}" in keys
    unsure = module.status == "running" or "__getattr__" in module.names.bound
    return "maybe" if made or unsure else "no"
