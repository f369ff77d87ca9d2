"""Expressions reduced to what an audit can evaluate: constants, names, calls, comparisons.

The reduced form is a list that JSON can hold; its first element says what it is::

    ["c", value]                a constant
    ["n", "a.b"]                a name or an attribute chain
    ["call", "a.b", [args]]     a call, positional arguments only
    ["meth", receiver, name, [args]]  a method of a reduced value
    ["not", e]  ["and", [e]]  ["or", [e]]  ["cmp", op, left, right]
    ["sub", e, index]           an item; index is a reduced expression or ["slice", low, high]
    ["own", e]                  ``globals()[e]``
    ["tup", [e]]                a tuple
    ["ints", e]                 a tuple of the numbers that a list of texts spells
    ["keys", [text]]            a literal table: the texts that are its keys or items
    ["set", [text]]             the same of a set
    ["?"]                       anything else
"""

from __future__ import annotations

import ast
from typing import Any

Reduced = list[Any]

UNKNOWN: Reduced = ["?"]
_MAX_TEXT = 200
_MAX_KEYS = 2000
_MAX_DEPTH = 12

_OPERATORS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Is: "is",
    ast.IsNot: "isnot",
    ast.In: "in",
    ast.NotIn: "notin",
}


def dotted(node: ast.expr) -> str | None:
    """Return ``a.b.c`` for a chain of attributes on a plain name."""
    parts: list[str] = []
    current: ast.expr = node
    while type(current) is ast.Attribute:
        parts.append(current.attr)
        current = current.value
    if type(current) is not ast.Name:
        return None
    parts.append(current.id)
    parts.reverse()
    return ".".join(parts)


def reduce(node: ast.expr | None, depth: int = 0) -> Reduced:
    """Return the reduced form of an expression; ``["?"]`` for what cannot be evaluated."""
    if node is None or depth > _MAX_DEPTH:
        return UNKNOWN
    handler = _REDUCERS.get(type(node))
    return handler(node, depth + 1) if handler else UNKNOWN


def _constant(node: Any, _depth: int) -> Reduced:
    value = node.value
    if value is None or isinstance(value, bool):
        return ["c", value]
    if isinstance(value, int) and -(2**53) < value < 2**53:
        return ["c", value]
    if isinstance(value, str) and len(value) <= _MAX_TEXT and value.isprintable():
        return ["c", value]
    return UNKNOWN


def _name(node: Any, _depth: int) -> Reduced:
    return ["n", node.id]


def _attribute(node: Any, _depth: int) -> Reduced:
    chain = dotted(node)
    return ["n", chain] if chain else UNKNOWN


def _call(node: Any, depth: int) -> Reduced:
    args = [reduce(arg, depth) for arg in node.args[:6] if type(arg) is not ast.Starred]
    keywords = {
        word.arg: reduce(word.value, depth) for word in node.keywords[:8] if word.arg is not None
    }
    target = dotted(node.func)
    if target in {"tuple", "list"} and len(node.args) == 1:
        return _numbers(node.args[0], depth)
    if target:
        return ["call", target, args, keywords] if keywords else ["call", target, args]
    if type(node.func) is ast.Attribute:
        receiver = reduce(node.func.value, depth)
        if receiver != UNKNOWN:
            return ["meth", receiver, node.func.attr, args]
    return UNKNOWN


def _numbers(node: Any, depth: int) -> Reduced:
    """``tuple(int(x) for x in parts)`` and ``tuple(map(int, parts))``: a version by hand."""
    parts: Any = None
    if type(node) is ast.GeneratorExp and len(node.generators) == 1:
        element, loop = node.elt, node.generators[0]
        plain = type(element) is ast.Call and dotted(element.func) == "int" and not loop.ifs
        parts = loop.iter if plain else None
    elif type(node) is ast.Call and dotted(node.func) == "map" and len(node.args) == 2:
        parts = node.args[1] if dotted(node.args[0]) == "int" else None
    inner = reduce(parts, depth)
    return UNKNOWN if inner == UNKNOWN else ["ints", inner]


def _unary(node: Any, depth: int) -> Reduced:
    if type(node.op) is not ast.Not:
        return UNKNOWN
    inner = reduce(node.operand, depth)
    return UNKNOWN if inner == UNKNOWN else ["not", inner]


def _boolean(node: Any, depth: int) -> Reduced:
    parts = [reduce(value, depth) for value in node.values]
    return ["and" if type(node.op) is ast.And else "or", parts]


def _compare(node: Any, depth: int) -> Reduced:
    """``a <= b < c`` is ``a <= b and b < c``."""
    links = []
    left = reduce(node.left, depth)
    for kind, comparator in zip(node.ops, node.comparators, strict=True):
        operator, right = _OPERATORS.get(type(kind)), reduce(comparator, depth)
        if operator is None:
            return UNKNOWN
        links.append(["cmp", operator, left, right])
        left = right
    return links[0] if len(links) == 1 else ["and", links]


def _subscript(node: Any, depth: int) -> Reduced:
    if type(node.value) is ast.Call and dotted(node.value.func) == "globals":
        return ["own", reduce(node.slice, depth)]
    value = reduce(node.value, depth)
    if value == UNKNOWN:
        return UNKNOWN
    index = node.slice
    if type(index) is not ast.Slice:
        return ["sub", value, reduce(index, depth)]
    bounds = [
        None if bound is None else bound.value if type(bound) is ast.Constant else "?"
        for bound in (index.lower, index.upper)
    ]
    plain = index.step is None and all(b is None or isinstance(b, int) for b in bounds)
    return ["sub", value, ["slice", *bounds]] if plain else UNKNOWN


def _sequence(node: Any, depth: int) -> Reduced:
    if len(node.elts) > 4:
        return _keys(node.elts)
    return ["tup", [reduce(element, depth) for element in node.elts]]


def _table(node: Any, _depth: int) -> Reduced:
    return _keys(node.keys)


def _comprehended(node: Any, _depth: int) -> Reduced:
    """``{f"a:{n}": ... for n in ("b", "c")}``: a table whose keys can be told."""
    loop = node.generators[0]
    plain = len(node.generators) == 1 and not loop.ifs
    over = loop.iter.elts if isinstance(loop.iter, ast.Tuple | ast.List | ast.Set) else []
    name, firsts = loop.target, over
    if type(name) is ast.Tuple:  # for name, data in [("b", B), ("c", C)]
        name = name.elts[0]
        firsts = [one.elts[0] for one in over if type(one) is ast.Tuple and one.elts]
    texts = [e.value for e in firsts if type(e) is ast.Constant and type(e.value) is str]
    if not plain or type(name) is not ast.Name or not texts or len(texts) != len(over):
        return UNKNOWN
    if len(texts) > _MAX_KEYS:
        return UNKNOWN
    made = [_filled(node.key, name.id, text) for text in texts]
    return UNKNOWN if None in made else ["keys", made]


def _filled(key: ast.expr, name: str, text: str) -> str | None:
    """Return a key that is a name, or a text in which it stands, for one value of the name."""
    if type(key) is ast.Name and key.id == name:
        return text
    filled = ""
    for part in key.values if type(key) is ast.JoinedStr else (None,):
        if type(part) is ast.Constant and type(part.value) is str:
            filled += part.value
        elif type(part) is ast.FormattedValue and part.conversion == -1 and not part.format_spec:
            inner = _filled(part.value, name, text)
            if inner is None:
                return None
            filled += inner
        else:
            return None
    return filled


def _set(node: Any, _depth: int) -> Reduced:
    keys = _keys(node.elts)
    return keys if keys == UNKNOWN else ["set", keys[1]]


def _keys(elements: list[ast.expr | None]) -> Reduced:
    if len(elements) > _MAX_KEYS:
        return UNKNOWN
    keys = []
    for element in elements:
        if type(element) is not ast.Constant or not isinstance(element.value, str):
            return UNKNOWN
        keys.append(element.value)
    return ["keys", keys]


def _named(node: Any, depth: int) -> Reduced:
    return reduce(node.value, depth)


def _choice(node: Any, depth: int) -> Reduced:
    parts = [reduce(part, depth) for part in (node.test, node.body, node.orelse)]
    return UNKNOWN if UNKNOWN in parts else ["if", *parts]


_REDUCERS: dict[type, Any] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Call: _call,
    ast.UnaryOp: _unary,
    ast.BoolOp: _boolean,
    ast.Compare: _compare,
    ast.Subscript: _subscript,
    ast.Tuple: _sequence,
    ast.List: _sequence,
    ast.Set: _set,
    ast.Dict: _table,
    ast.DictComp: _comprehended,
    ast.NamedExpr: _named,
    ast.IfExp: _choice,
}
