"""Modules' states as text: what is kept of them, and what tells two of them apart."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from envlock.audit.resolve.escapes import Escape, Escapes, Passed
from envlock.audit.resolve.state import MAYBE, SURE, Failure, Names
from envlock.audit.resolve.values import DATA, ENV, HexVersion, PythonVersion, Value

if TYPE_CHECKING:
    from envlock.audit.resolve.run import Run
    from envlock.audit.resolve.state import Module

_PLAIN = frozenset({"m", "f", "o", "b"})


def value_to_data(value: Value | None) -> Any:
    """Return a value as JSON's types; raises TypeError for what has no such form."""
    if value is None or value[0] in _PLAIN:
        return value
    kind = value[0]
    if kind == "c":
        return _constant_to_data(value[1])
    if kind == "t":
        return ["t", sorted(([type(one).__name__, one] for one in value[1]), key=repr)]
    if kind == "v":
        return ["v", str(value[1])]
    if kind == "tup":
        return ["tup", [value_to_data(one) for one in value[1]]]
    if kind == "bound":
        return ["bound", value_to_data(value[1]), value[2]]
    if kind in {"env", "data"}:
        return [kind]
    raise TypeError(kind)


def _constant_to_data(one: Any) -> list[Any]:
    if type(one) is PythonVersion:
        return ["P", *one]
    return ["H", int(one)] if type(one) is HexVersion else ["c", _constant(one)]


def _constant(one: Any) -> Any:
    if one is None or type(one) in {str, int, bool, float}:
        return one
    if type(one) is tuple:
        return [_constant(part) for part in one]
    raise TypeError(type(one).__name__)


def value_from_data(data: Any) -> Value | None:
    """Read what :func:`value_to_data` wrote."""
    if data is None:
        return None
    kind = data[0]
    if kind in _PLAIN:
        return tuple(data)
    if kind == "c":
        return ("c", _tupled(data[1]))
    if kind == "P":
        return ("c", PythonVersion(data[1:]))
    if kind == "H":
        return ("c", HexVersion(data[1]))
    if kind == "t":
        return ("t", frozenset(_tupled(one) for _, one in data[1]))
    if kind == "v":
        return ("v", Version(data[1]))
    if kind == "tup":
        return ("tup", tuple(value_from_data(one) for one in data[1]))
    if kind == "bound":
        return ("bound", value_from_data(data[1]), data[2])
    return ENV if kind == "env" else DATA


def _tupled(one: Any) -> Any:
    return tuple(_tupled(part) for part in one) if isinstance(one, list) else one


def failure_to_data(failure: Failure, run: Run) -> list[Any]:
    """Return which failure it is, and what handlers raised in its place.

    What the run does not know as a failure of its own is told in full.
    """
    errors: list[str] = []
    while failure.root is not None:
        errors.append(failure.error)
        failure = failure.root
    own = run.failures.get(failure.key) is failure
    return [list(failure.key), errors[::-1], None if own else facts_of(failure)]


def facts_of(failure: Failure) -> list[Any]:
    """Return what :meth:`Run.make` makes a failure of."""
    place, need = failure.place, failure.need
    return [
        failure.kind, place.module, place.function, place.line, need.module, need.name,
        failure.error, failure.optional,
    ]  # fmt: skip


def failure_from_data(data: Any, run: Run) -> Failure:
    """Read what :func:`failure_to_data` wrote; raises KeyError where the run has none such."""
    (kind, code, module, name), errors, facts = data
    found = run.make(*facts) if facts else run.failures[kind, code, module, name]
    for error in errors:
        found = Failure(found.kind, found.place, found.need, error, found.optional, root=found)
    return found


def escapes_to_data(escapes: Escapes, run: Run) -> list[Any]:
    """Return escapes as JSON's types; what a module passes on is told by the module's name."""
    return [
        [one.via, one.line, one.sure, one.env]
        if isinstance(one, Passed)
        else [failure_to_data(one.failure, run), one.certain, one.via, one.line, one.conditional]
        for _, one in escapes.arrivals
    ]


def escapes_from_data(data: Any, run: Run) -> Escapes:
    """Read what :func:`escapes_to_data` wrote; raises KeyError where the run has none such."""
    found = Escapes(run.numbers)
    for first, *rest in data:
        if isinstance(first, str):
            line, sure, env = rest
            found.take(run.modules[first].escapes, first, line, sure=sure, env=env)
        else:
            found.add(Escape(failure_from_data(first, run), *rest))
    return found


def outcome_of(escapes: Escapes, run: Run) -> str:
    """Return what tells escapes from others."""
    if not escapes.outcome:
        sources = [
            outcome_of(one.source, run) for _, one in escapes.arrivals if isinstance(one, Passed)
        ]
        escapes.outcome = digest_of(repr(escapes_to_data(escapes, run)), *sources)
    return escapes.outcome


def state_of(module: Module) -> str:
    """Return what a finished module holds, as text; raises TypeError for odd constants."""
    bound = module.names.bound
    names = {
        name: ([sure, value_to_data(value)] if value is not None else sure)
        for name, (sure, value) in sorted(bound.items())
    }
    parts = [module.open, module.exported, module.exports_unknown, sorted(module.live), names]
    return json.dumps(parts, separators=(",", ":"), check_circular=False)


def digest_of(*parts: str) -> str:
    """Return what tells texts from others."""
    whole = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(whole, digest_size=12).hexdigest()


def code_of(entry: tuple[bool, Value | None] | None) -> str:
    """Return what tells a name's binding from others; raises TypeError for odd constants."""
    if entry is None:
        return "-"
    sure, value = entry
    if value is None:
        return "sure" if sure else "maybe"
    if value[0] in _PLAIN:
        return f"{sure} {' '.join(value)}"
    return digest_of(json.dumps([sure, value_to_data(value)]))


def restore(module: Module, text: str) -> None:
    """Give a module the state that :func:`state_of` wrote."""
    module.open, module.exported, module.exports_unknown, live, names = json.loads(text)
    module.live = set(live)
    bound: dict[str, tuple[bool, Value | None]] = {}
    for name, entry in names.items():
        if isinstance(entry, list):
            bound[name] = (entry[0], value_from_data(entry[1]))
        else:
            bound[name] = SURE if entry else MAYBE
    module.names = Names(bound)
    module.stored = None
