"""What a function asks for, whichever way it goes.

Most functions find all that they ask for, and then it does not matter how they get there.  So
the index holds for a function a list of what it may ask for; only where something of that is
not there its body is run.  An item is an attribute chain (``"a.b"``), what is called
(``"a.b()"``), or an import::

    ["i", module, name]            import module [as name]
    ["f", module, [[name, as]]]    from module import ...

Imports stand first.  A function that does more than that has no such list.  Where no function
of a module has an import in its list, one list of all that they ask for answers for the module.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from envlock.audit.nodes import Node

Item = str | list[Any]

_BUILTINS = frozenset(dir(builtins))
_SILENT = frozenset({"b", "d", "D"})
_LOADS = frozenset({"import_module", "__import__"})


class _MoreError(Exception):
    """The function does something whose effect hangs on the way that it goes."""


def quick(body: list[Node], local: Iterable[str]) -> list[Item] | None:
    """Return what a function may ask for; None where that is not all that matters.

    body: its nodes; local: its own names, of which nobody knows what they are.
    """
    asked = _Asked(frozenset(local))
    try:
        asked.block(body)
        return asked.items()
    except _MoreError:
        return None


def together(lists: Iterable[list[Item] | None]) -> list[str] | None:
    """Return what all functions of a module may ask for; None where one has more to be looked at.

    lists: of each function what :func:`quick` returned.
    """
    found: set[str] = set()
    for one in lists:
        if one is None or any(isinstance(item, list) for item in one):
            return None
        found.update(item for item in one if isinstance(item, str))
    return sorted(found)


class _Asked:
    """What the nodes of one function ask for, in one of its scopes."""

    def __init__(self, local: frozenset[str]) -> None:
        self._local = local
        self._imports: list[list[Any]] = []
        self._bound: dict[str, list[Any]] = {}
        self._chains: set[str] = set()
        self._calls: set[str] = set()
        self._plain = True
        self._odd = False
        self._guarded = 0

    def items(self) -> list[Item]:
        """Return what was found; of a function that only uses chains these are enough."""
        if self._plain:
            return sorted(self._chains)
        if self._odd:
            raise _MoreError
        return [*self._imports, *sorted(self._chains | self._calls)]

    def block(self, body: Iterable[Node]) -> None:
        for node in body:
            self._node(node)

    def _node(self, node: Node) -> None:
        kind = node[0]
        if kind in {"x", "x!"}:
            self._chains.add(node[2])
        elif kind in {"i", "f"}:
            self._import(node)
        elif kind in {"=", "=t"}:
            self._expression(node[2])
        elif kind == "v":
            self._expression(node[1])
        elif kind == "e":
            self._plain = False
            self._odd |= node[2][1].rpartition(".")[2] in _LOADS
        elif kind == "g":
            self._odd = True  # others find in the module what it binds
        elif kind == "r":
            self._odd |= self._guarded > 0  # a handler waits for it
        elif kind not in _SILENT:
            self._compound(node)

    def _compound(self, node: Node) -> None:
        kind = node[0]
        if kind == "?":
            self._expression(node[1])
            self.block(node[2])
            self.block(node[3])
        elif kind == "l":
            self.block(node[1])
        elif kind in {"t", "w"}:
            self._guarded += 1
            self.block(node[1])
            self._guarded -= 1
            for _, inner in node[2] if kind == "t" else ():
                self.block(inner)
            for inner in node[3:] if kind == "t" else ():
                self.block(inner)
        elif kind == "N":
            self._nested(node)
        else:
            raise _MoreError

    def _nested(self, node: Node) -> None:
        inner = _Asked(self._local | frozenset(node[5]))
        inner.block(node[4])
        self._plain = False
        self._odd |= inner._odd or bool(inner._bound)  # in a scope of its own
        self._chains |= inner._chains
        self._calls |= inner._calls

    def _import(self, node: Node) -> None:
        kind, _, module, more = node
        asked = [kind, module, more]
        bound = [alias for _, alias in more] if kind == "f" else [more or module.partition(".")[0]]
        self._plain = False
        for name in bound:
            self._odd |= self._bound.setdefault(name, asked) != asked or name in self._local
        if asked not in self._imports:
            self._imports.append(asked)

    def _expression(self, reduced: Any) -> None:
        """Note what is called in an expression; what it evaluates to does not matter."""
        for one in _inner(reduced):
            if one[0] == "call":
                target = one[1]
                self._odd |= target == "__import__" or (target == "getattr" and len(one[2]) < 3)
                if target.partition(".")[0] not in self._local and target not in _BUILTINS:
                    self._calls.add(f"{target}()")
            elif one[0] == "own":
                self._odd = True


def _inner(reduced: Any) -> Iterator[list[Any]]:
    """Yield an expression and those in it."""
    if isinstance(reduced, dict):
        for one in reduced.values():
            yield from _inner(one)
    elif isinstance(reduced, list) and reduced:
        if isinstance(reduced[0], str):
            if reduced[0] in {"c", "keys", "set", "slice", "n"}:
                return
            yield reduced
        for one in reduced:
            yield from _inner(one)
