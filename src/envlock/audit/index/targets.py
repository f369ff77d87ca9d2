"""What assignments bind."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Protocol

from envlock.audit.index.exports import listed
from envlock.audit.index.expressions import UNKNOWN, dotted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from envlock.audit.index.literals import Literals
    from envlock.audit.index.uses import Uses
    from envlock.audit.nodes import Node

_TELLING = frozenset(
    {
        ast.Constant,
        ast.Name,
        ast.Attribute,
        ast.Call,
        ast.Compare,
        ast.BoolOp,
        ast.UnaryOp,
        ast.Tuple,
        ast.List,
        ast.Set,
        ast.Dict,
        ast.DictComp,
        ast.Subscript,
        ast.IfExp,
    }
)


_MEMBERS = re.compile(
    r"for (?P<one>\w+) in (?P<over>\w+):\n"
    r"    setattr\(\w+, (?P=one)\.name, (?P=one)(\.value)?\)"
)


class Binder(Protocol):
    """The part of the skeleton's builder that assignments need."""

    uses: Uses
    literals: Literals
    locals: list[set[str]]

    def bind(self, names: Sequence[str], out: list[Node]) -> None:
        """Record plain bindings."""


def bound_names(target: ast.expr) -> list[str]:
    """Return the names that an assignment target binds."""
    if type(target) is ast.Name:
        return [target.id]
    if isinstance(target, ast.Tuple | ast.List):
        return [name for element in target.elts for name in bound_names(element)]
    if type(target) is ast.Starred:
        return bound_names(target.value)
    return []


def places(targets: Iterable[ast.expr]) -> list[ast.expr]:
    """Return what is evaluated for targets: of ``a.b.c`` it is ``a.b``, of ``a[i]`` both."""
    found: list[ast.expr] = []
    for target in targets:
        if isinstance(target, ast.Tuple | ast.List):
            found.extend(places(target.elts))
        elif isinstance(target, ast.Attribute | ast.Starred):
            found.append(target.value)
        elif type(target) is ast.Subscript:
            found += [target.value, target.slice]
    return found


def matched(case: ast.match_case) -> tuple[list[ast.expr], list[ast.expr]]:
    """Return what a case evaluates: what surely, if it is the first, and what perhaps."""
    outer = case.pattern
    while isinstance(outer, ast.MatchOr | ast.MatchAs) and (
        inner := outer.patterns[0] if isinstance(outer, ast.MatchOr) else outer.pattern
    ):
        outer = inner
    found = [
        asked
        for pattern in ast.walk(case.pattern)
        if isinstance(pattern, ast.MatchValue | ast.MatchClass | ast.MatchMapping)
        for asked in _asked(pattern)
    ]
    first = _asked(outer) if isinstance(outer, ast.MatchValue | ast.MatchClass) else []
    rest = [one for one in found if one not in first]
    return first, [*rest, *([case.guard] if case.guard is not None else [])]


def _asked(pattern: ast.MatchValue | ast.MatchClass | ast.MatchMapping) -> list[ast.expr]:
    if isinstance(pattern, ast.MatchMapping):
        return list(pattern.keys)
    return [pattern.value if isinstance(pattern, ast.MatchValue) else pattern.cls]


def bind_targets(
    skeleton: Binder, targets: Sequence[ast.expr], value: ast.expr, out: list[Node]
) -> None:
    """Record ``targets = value``."""
    for target in targets:
        if type(target) is ast.Name:
            _bind_name(skeleton, target.id, value, out)
        elif isinstance(target, ast.Tuple | ast.List):
            _bind_tuple(skeleton, target, value, out)
            if "__all__" in bound_names(target):
                out.append(["a", "?", None])
        elif type(target) is ast.Attribute:
            chain = dotted(target)
            if chain and chain.partition(".")[0] in skeleton.uses.imported:
                out.append(["s", chain])
        elif type(target) is ast.Subscript:
            _bind_item(skeleton, target, out)


def _bind_name(skeleton: Binder, name: str, value: ast.expr, out: list[Node]) -> None:
    local = bool(skeleton.locals)
    if name == "__all__" and not local:
        out.extend(listed(value, skeleton.uses.grows))
        return
    if not local:
        skeleton.literals.bound(name, value)
    if type(value) not in _TELLING:
        skeleton.bind([name], out)
        return
    if local:
        skeleton.locals[-1].add(name)
        out.append(["=", name, value])
        return
    reduced = skeleton.literals.reduced(value)
    if reduced == UNKNOWN:
        skeleton.bind([name], out)
    else:
        out.append(["=", name, reduced])


def _bind_tuple(
    skeleton: Binder, target: ast.Tuple | ast.List, value: ast.expr, out: list[Node]
) -> None:
    names = bound_names(target)
    if all(type(element) is ast.Name for element in target.elts) and len(names) <= 6:
        if isinstance(value, ast.Tuple) and len(value.elts) == len(names):
            for name, element in zip(names, value.elts, strict=True):
                _bind_name(skeleton, name, element, out)
            return
        item = type(value) is ast.Subscript and type(value.value) is ast.Name
        if type(value) is ast.Call or item:
            if skeleton.locals:
                skeleton.locals[-1].update(names)
            out.append(["=t", names, value])
            return
    skeleton.bind(names, out)


def _bind_item(skeleton: Binder, target: ast.Subscript, out: list[Node]) -> None:
    """``sys.modules["x"] = y`` puts a module in place, ``globals()[name] = y`` a name."""
    key = target.slice
    text = key.value if type(key) is ast.Constant and isinstance(key.value, str) else None
    if text is not None and dotted(target.value) == "sys.modules":
        out.append(["M", text])
        return
    added = None if skeleton.locals else skeleton.literals.stored(target)
    if added is not None:
        out.append(added)
        return
    called = dotted(target.value.func) if type(target.value) is ast.Call else ""
    if called == "globals" and not skeleton.locals:
        out.append(["b", [text]] if text is not None else ["G"])


def stored_names(loop: ast.For | ast.AsyncFor) -> list[str]:
    """Return the names that ``for n in ["a", "b"]: globals()[n] = ...`` binds."""
    target, iterable = loop.target, loop.iter
    if type(target) is not ast.Name or not isinstance(iterable, ast.List | ast.Tuple):
        return []
    texts = [e.value for e in iterable.elts if type(e) is ast.Constant and type(e.value) is str]
    if len(texts) != len(iterable.elts):
        return []
    stores = (
        place
        for node in ast.walk(loop)
        if isinstance(node, ast.Assign)
        for place in node.targets
        if isinstance(place, ast.Subscript) and isinstance(place.value, ast.Call)
    )
    for place in stores:
        called = dotted(place.value.func)  # type: ignore[attr-defined]
        if called == "globals" and type(place.slice) is ast.Name and place.slice.id == target.id:
            return texts
    return []


def member_names(loop: ast.For | ast.AsyncFor, classes: Mapping[str, list[str]]) -> list[str]:
    """Return what ``for e in (A, B): for m in e: setattr(module, m.name, m.value)`` binds.

    classes: what each class of the module assigns in its body.
    """
    match = _MEMBERS.fullmatch(ast.unparse(loop.body[0])) if len(loop.body) == 1 else None
    if match is None or match["over"] != ast.unparse(loop.target):
        return []
    over = loop.iter.elts if isinstance(loop.iter, ast.Tuple | ast.List) else ()
    known = [classes.get(ast.unparse(one)) for one in over]
    return [] if None in known else [name for names in known for name in names or ()]
