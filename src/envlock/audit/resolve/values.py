"""What the symbolic run knows of a value.

A value is a pair whose first element says what it is: ``("c", constant)``, ``("m", module)``,
``("f", module, function)``, ``("o", module, name)`` (an object of the standard library),
``("t", names)`` (a literal table), ``("v", version)``; or one of the two unknowns.
"""

from __future__ import annotations

from typing import Any, Literal

from packaging.version import InvalidVersion, Version

Value = tuple[Any, ...]
Truth = Literal["yes", "no", "env", "data"]

ENV: Value = ("env",)
"""Unknown, and it depends on the environment: a flag, a version, a device."""
DATA: Value = ("data",)
"""Unknown, and it depends on what the program is given."""
NONE: Value = ("c", None)
TRUE: Value = ("c", True)
FALSE: Value = ("c", False)


class PythonVersion(tuple[Any, ...]):
    """``sys.version_info`` of a target whose micro version nobody tells.

    A comparison that hangs on the micro version raises TypeError: it cannot be decided.
    """

    __slots__ = ()

    def _decided(self, other: Any) -> tuple[Any, ...]:
        close = isinstance(other, tuple) and other[:2] == self[:2]
        if close and any(other[2:3]):
            raise TypeError("the micro version decides")
        return tuple(self)

    def __lt__(self, other: Any) -> bool:
        return bool(self._decided(other) < other)

    def __le__(self, other: Any) -> bool:
        return bool(self._decided(other) <= other)

    def __gt__(self, other: Any) -> bool:
        return bool(self._decided(other) > other)

    def __ge__(self, other: Any) -> bool:
        return bool(self._decided(other) >= other)


class HexVersion(int):
    """``sys.hexversion`` of such a target; the micro version is in its lowest sixteen bits."""

    __slots__ = ()

    def _decided(self, other: int) -> int:
        if other >> 16 == self >> 16 and other & 0xFFFF:
            raise TypeError("the micro version decides")
        return int(self)

    def __lt__(self, other: int) -> bool:
        return self._decided(other) < other

    def __le__(self, other: int) -> bool:
        return self._decided(other) <= other

    def __gt__(self, other: int) -> bool:
        return self._decided(other) > other

    def __ge__(self, other: int) -> bool:
        return self._decided(other) >= other


def constant(value: object) -> Value:
    """Wrap a constant."""
    return ("c", value)


def is_unknown(value: Value) -> bool:
    return value is ENV or value is DATA


def truth(value: Value) -> Truth:
    """Tell what ``bool(value)`` is."""
    kind = value[0]
    if kind == "c":
        return "yes" if value[1] else "no"
    if kind == "t":
        return "yes" if value[1] else "no"
    if kind in {"env", "data"}:
        return kind  # type: ignore[no-any-return]
    return "yes"


def of_truth(state: Truth) -> Value:
    return {"yes": TRUE, "no": FALSE, "env": ENV, "data": DATA}[state]


def parse_version(text: object) -> Value:
    """Return a version as a value, ENV if it is none."""
    try:
        return ("v", Version(str(text)))
    except InvalidVersion:
        return ENV


def weaker(*values: Value) -> Value:
    """Return the unknown that several parts make together."""
    return ENV if ENV in values else DATA


def compare(operator: str, left: Value, right: Value) -> Value:
    """Evaluate a comparison."""
    if operator in {"is", "isnot"}:
        return _identity(operator, left, right)
    if is_unknown(left) or is_unknown(right):
        return weaker(left, right)
    if operator in {"in", "notin"}:
        return _membership(operator, left, right)
    if "v" in (left[0], right[0]):
        left = left if left[0] == "v" else parse_version(left[1])
        right = right if right[0] == "v" else parse_version(right[1])
    if left[0] != right[0] or left[0] not in {"c", "v"}:
        return ENV
    try:
        return constant(_OPERATORS[operator](left[1], right[1]))
    except TypeError:
        return ENV


_OPERATORS: dict[str, Any] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _identity(operator: str, left: Value, right: Value) -> Value:
    if is_unknown(left) or is_unknown(right):
        return weaker(left, right)
    if left[0] == "c" and right[0] == "c":
        same = left[1] is right[1] if left[1] is None or right[1] is None else left[1] == right[1]
    else:
        same = left == right
    return constant(same == (operator == "is"))


def _membership(operator: str, left: Value, right: Value) -> Value:
    if left[0] != "c":
        return ENV
    if right[0] == "t":
        inside = left[1] in right[1]
    elif right[0] == "c" and isinstance(right[1], tuple | str):
        try:
            inside = left[1] in right[1]
        except TypeError:
            return ENV
    else:
        return ENV
    return constant(inside == (operator == "in"))


def item(value: Value, index: Any) -> Value:
    """Evaluate ``value[index]``; a list of two is a slice."""
    if value[0] != "c" or not isinstance(value[1], tuple | str):
        return value if is_unknown(value) else ENV
    try:
        if isinstance(index, list):
            low, high = (bound if isinstance(bound, int) else None for bound in index)
            return constant(value[1][low:high])
        return constant(value[1][index])
    except (TypeError, IndexError):
        return ENV
