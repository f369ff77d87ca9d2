"""``__all__`` as statements change it: what a star brings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from envlock.audit.nodes import Node
    from envlock.audit.resolve.run import Run
    from envlock.audit.resolve.state import Frame, Module
    from envlock.audit.resolve.values import Value


def exports(run: Run, node: Node, frame: Frame) -> None:
    """Run a node that sets ``__all__`` or adds to it."""
    module, (_, operator, given) = frame.module, node
    module.names.bind("__all__", None)
    found: Iterable[str] | None = None
    if operator in {"=", "+"}:
        found = given
    elif operator == "dir":
        found = None if module.loose else _own_names(run, module)
    elif operator == "value":
        found = _texts(run.evaluator.chain(given, frame))
    elif operator == "of":
        found = _listed(run, ("m", given))
    elif operator == "from":
        found = _listed(run, run.evaluator.chain(given, frame))
    if found is None:
        module.exports_unknown = True
    else:
        before = () if operator == "=" else module.exported or ()
        module.exported = [*before, *found]


def _listed(run: Run, value: Value) -> list[str] | None:
    """Return what another module lists by now."""
    other = run.imports.module(value[1]) if value[0] == "m" else None
    if other is None:
        return None
    run.looks.look(other)
    return None if other.exports_unknown else other.exported


def _texts(value: Value) -> list[str] | None:
    """Return the texts of a literal list or table that has a name."""
    texts = sorted(value[1]) if value[0] == "t" else value[1] if value[0] == "c" else None
    if isinstance(texts, list | tuple) and all(isinstance(text, str) for text in texts):
        return list(texts)
    return None


def _own_names(run: Run, module: Module) -> list[str]:
    """Return the public names of a module, as ``dir()`` tells them: what it has by now."""
    found = {name for name in module.names.bound if not name.startswith("_")}
    for name in run.world.inner.get(module.name, ()):
        if not name.startswith("_") and name not in found and run.loaded(f"{module.name}.{name}"):
            found.add(name)
    return sorted(found)
