"""The skeleton's last step: reduce the expressions that are worth it, drop the rest.

Functions without anything to say leave the index, and so do the calls of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envlock.audit.index.expressions import reduce
from envlock.audit.index.quick import quick

if TYPE_CHECKING:
    from envlock.audit.nodes import Node

_TELLING = frozenset({"i", "f", "L", "M"})
_COMPOUND = frozenset({"t", "?", "l", "w", "k", "N"})
_PROBES = frozenset({"find_spec", "import_module", "__import__", "find_loader"})
_SMALL = 6


def prune(
    body: list[Node], functions: dict[str, Node], *, methods: bool
) -> tuple[list[Node], dict[str, Node]]:
    """Return a module's body and functions as the index keeps them.

    methods: keep those that ask for nothing, too; the names in an import hook tell what it
    may import.
    """
    facts = {name: _Facts(entry[2]) for name, entry in functions.items()}
    telling = {name for name, fact in facts.items() if fact.tells}
    grew = bool(telling)
    while grew:
        more = {n for n, fact in facts.items() if n not in telling and fact.calls & telling}
        grew = bool(more)
        telling |= more
    kept: dict[str, Node] = {}
    for name, (line, params, inner, local) in functions.items():
        if not methods and "." in name and not facts[name].says:
            continue  # a method's result is not asked for
        whole = name in telling or facts[name].size <= _SMALL or name == "__getattr__"
        trim = _Trim(telling, whole=whole)
        trimmed = trim.block(inner, frozenset(local))
        if whole or any(_says(node) for node in trimmed):
            used = trim.names.intersection(local)
            kept[name] = [line, params, trimmed, sorted(used), quick(trimmed, local)]
    top = _Trim(telling | set(functions), whole=True, kept=kept)
    return top.block(body, frozenset()), kept


class _Facts:
    """What the body of one function contains."""

    def __init__(self, body: list[Node]) -> None:
        self.tells = self.says = False
        self.calls: set[str] = set()
        self.size = 0
        self._nodes(body)

    def _nodes(self, body: list[Node]) -> None:
        for node in body:
            self.size += 1
            kind = node[0]
            if kind in _TELLING:
                self.tells = self.says = True
            elif kind in {"x", "x!", "s"}:
                self.says = True
            elif kind == "e":
                self.says = True
                self.calls.add(node[3])
                self.tells |= node[3].rpartition(".")[2] in _PROBES
            elif kind in _COMPOUND:
                self._nodes(children(node))


def children(node: Node) -> list[Node]:
    """Return the statements inside a compound one."""
    kind = node[0]
    if kind == "t":
        return [*node[1], *(inner for _, body in node[2] for inner in body), *node[3], *node[4]]
    if kind == "?":
        return [*node[2], *node[3]]
    if kind == "N":
        return list(node[4])
    return list(node[2] if kind == "k" else node[1])


def _says(node: Node) -> bool:
    """Tell whether a node can lead to a finding."""
    kind = node[0]
    if kind in {"i", "f", "x", "x!", "e", "L", "M", "s"}:
        return True
    return kind in _COMPOUND and any(_says(inner) for inner in children(node))


def _names_used(body: list[Node]) -> list[Node]:
    """Of what a class binds leave the names that chains in it begin with (``@name.setter``)."""
    used = {node[2].partition(".")[0] for node in body if node[0] == "x"}
    kept: list[Node] = []
    for node in body:
        if node[0] not in {"b", "="}:
            kept.append(node)
        elif names := sorted(used.intersection(node[1] if node[0] == "b" else [node[1]])):
            kept.append(["b", names])
    return kept


class _Trim:
    """Rewrites the nodes of one function, or of the module where ``kept`` is given."""

    def __init__(
        self, telling: set[str], *, whole: bool, kept: dict[str, Node] | None = None
    ) -> None:
        self._telling = telling
        self._whole = whole
        self._kept = kept
        self._classes = {name.rpartition(".")[0] for name in kept or ()}
        self.names: set[str] = set()
        self._seen: list[set[str]] = []

    def block(self, body: list[Node], local: frozenset[str]) -> list[Node]:
        out: list[Node] = []
        self._seen.append(set())
        for node in body:
            made = self._node(node, local)
            if made is None:
                continue
            if made[0] == "b" and out and out[-1][0] == "b":
                out[-1] = ["b", [*out[-1][1], *made[1]]]
            else:
                out.append(made)
        self._seen.pop()
        return out

    def _node(self, node: Node, local: frozenset[str]) -> Node | None:
        kind = node[0]
        if kind in {"x", "x!"}:
            return self._chain(node, local)
        if kind == "e":
            return self._effect(node)
        if kind in {"=", "=t"}:
            return [kind, node[1], self._reduced(node[2])] if self._whole else None
        if kind in {"b", "d", "g"}:
            return node if self._whole else None
        if kind == "v":
            return ["v", self._reduced(node[1]) if self._whole else None]
        if kind == "D" and self._kept is not None and node[2] not in self._kept:
            return ["b", [node[1]]] if node[1] else None
        return self._compound(node, local) if kind in _COMPOUND else node

    def _chain(self, node: Node, local: frozenset[str]) -> Node | None:
        """Keep the first use of a chain in a block and what it encloses."""
        if node[2].partition(".")[0] in local or any(node[2] in seen for seen in self._seen):
            return None
        self._seen[-1].add(node[2])
        return node

    def _effect(self, node: Node) -> Node | None:
        target = node[3]
        known = target in self._telling or target.rpartition(".")[2] in _PROBES
        if not known and (self._kept is None or "." in target):
            return None
        reduced = reduce(node[2])
        return ["e", node[1], reduced] if reduced[0] == "call" else None

    def _reduced(self, expression: Any) -> Any:
        """Return the reduced form, noting the names in it."""
        if isinstance(expression, list):
            return expression
        reduced = reduce(expression)
        self._note(reduced)
        return reduced

    def _note(self, reduced: Any) -> None:
        if not isinstance(reduced, list) or not reduced or reduced[0] in {"c", "keys", "set"}:
            return
        if reduced[0] in {"n", "call"} and isinstance(reduced[1], str):
            self.names.add(reduced[1].partition(".")[0])
        for part in reduced[1:]:
            if isinstance(part, list):
                for inner in part if part and isinstance(part[0], list) else (part,):
                    self._note(inner)

    def _compound(self, node: Node, local: frozenset[str]) -> Node | None:
        kind = node[0]
        if kind == "t":
            handlers = [[types, self.block(body, local)] for types, body in node[2]]
            parts = [self.block(node[place], local) for place in (1, 3, 4)]
            full = any(parts) or any(body for _, body in handlers)
            return ["t", parts[0], handlers, *parts[1:]] if full else None
        if kind == "?":
            then, other = self.block(node[2], local), self.block(node[3], local)
            return ["?", self._reduced(node[1]), then, other] if then or other else None
        if kind == "N":
            inner = self.block(node[4], local | frozenset(node[5]))
            says = any(_says(one) for one in inner)
            return ["N", node[1], node[2], node[3], inner, node[5]] if says else None
        if kind == "k":
            inner = _names_used(self.block(node[2], local))
            if not inner and node[1] not in self._classes:
                return None
            return ["k", node[1], inner]
        inner = self.block(node[1], local)
        return [kind, inner] if inner else None
