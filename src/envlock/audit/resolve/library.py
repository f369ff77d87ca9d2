"""The functions of the standard library and the builtins that conditions are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envlock.audit.model import normalize
from envlock.audit.resolve.values import (
    DATA,
    ENV,
    FALSE,
    NONE,
    TRUE,
    Value,
    constant,
    is_unknown,
    of_truth,
    truth,
    weaker,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from envlock.audit.resolve.run import Run
    from envlock.audit.resolve.state import Frame


def call_builtin(
    run: Run, name: str, args: list[Any], values: list[Value], frame: Frame, line: int
) -> Value:
    if name == "hasattr" and len(values) == 2 and values[1][0] == "c":
        if values[0][0] != "m":
            return DATA if values[0] is DATA else ENV
        found, _ = run.imports.attribute(values[0][1], str(values[1][1]))
        return {"yes": TRUE, "no": FALSE, "maybe": ENV}[found]
    if name == "getattr" and len(values) >= 2 and values[1][0] == "c":
        if values[0][0] == "m":
            found, value = run.imports.attribute(values[0][1], str(values[1][1]))
            if found == "no" and len(values) == 3:
                return values[2]
            if found == "no" and args[0][0] == "n":
                run.attributes.use(f"{args[0][1]}.{values[1][1]}", frame, line)
            return value or ENV if found == "yes" else ENV
        return DATA if values[0] is DATA else ENV
    if name == "bool" and values:
        return of_truth(truth(values[0]))
    if name in _OF_ONE and len(values) == 1 and values[0][0] == "c":
        return _plain(name, values[0][1])
    if name == "__import__" and args:
        return import_module(run, values, frame, line)
    return weaker(*values) if values else DATA


_OF_ONE: dict[str, Callable[[Any], object]] = {"str": str, "int": int, "len": len}


def _plain(name: str, given: Any) -> Value:
    """Evaluate a builtin of one constant."""
    try:
        return constant(_OF_ONE[name](given))
    except (TypeError, ValueError):
        return ENV


def import_module(run: Run, values: list[Value], frame: Frame, line: int) -> Value:
    if not values or values[0][0] != "c" or not isinstance(values[0][1], str):
        return ENV
    name = values[0][1]
    if name.startswith("."):
        package = frame.module.name
        if frame.module.entry["kind"] != "pkg":
            package = package.rpartition(".")[0]
        name = f"{package}{name}" if not name.startswith("..") else ""
    if not name or not all(part.isidentifier() for part in name.split(".")):
        return ENV
    run.imports.statement(name, frame, line)
    return ("m", name)


def _version(run: Run, values: list[Value], frame: Frame, line: int) -> Value:
    if not values or values[0][0] != "c":
        return ENV
    version = run.world.ask("v", normalize(str(values[0][1])))
    if version:
        return constant(version)
    name = str(values[0][1])
    run.fail(
        run.failure("module-missing", frame, line, name, "", "PackageNotFoundError", optional=True)
    )
    return ENV


def _spec(run: Run, values: list[Value], _frame: Frame, _line: int) -> Value:
    if values and values[0][0] == "c" and isinstance(values[0][1], str):
        return run.imports.find_spec(values[0][1])
    return ENV


def call_method(receiver: Value, name: str, args: list[Value]) -> Value:
    """Evaluate the few methods that conditions are made of."""
    if any(arg[0] not in {"c", "v"} for arg in args):
        return weaker(*args) if any(is_unknown(arg) for arg in args) else ENV
    plain = [arg[1] for arg in args]
    if receiver[0] == "t":
        if name == "get" and plain and plain[0] not in receiver[1]:
            return constant(plain[1]) if len(plain) > 1 else NONE
        return ENV
    if receiver[0] == "c" and isinstance(receiver[1], str) and name in _TEXT_METHODS:
        try:
            found = getattr(receiver[1], name)(*plain)
        except (TypeError, ValueError):
            return ENV
        return constant(tuple(found) if isinstance(found, list) else found)
    return ENV


_TEXT_METHODS = frozenset({"startswith", "endswith", "lower", "upper", "split", "strip"})
FIELDS = {"major": 0, "minor": 1, "micro": 2}
BUILTINS = frozenset(
    [
        "hasattr",
        "getattr",
        "bool",
        "str",
        "int",
        "len",
        "tuple",
        "any",
        "all",
        "isinstance",
        "callable",
        "__import__",
        "list",
        "set",
        "dict",
        "issubclass",
        "type",
        "max",
        "min",
        "sorted",
        "map",
    ]
)
KNOWN: dict[str, Any] = {
    "importlib.util.find_spec": _spec,
    "importlib.find_loader": _spec,
    "pkgutil.find_loader": _spec,
    "importlib.import_module": import_module,
    "importlib.metadata.version": _version,
    "importlib.metadata.distribution": _version,
    "platform.system": lambda run, *_: constant(run.world.target.system),
    "platform.machine": lambda run, *_: constant(run.world.target.machine),
    "platform.python_implementation": lambda *_: constant("CPython"),
    "platform.python_version": lambda run, *_: constant(f"{run.world.target.python}.0"),
    "platform.python_version_tuple": lambda run, *_: constant(
        (*run.world.target.python.split("."), "0")
    ),
}
FAILING = frozenset(name for name, known in KNOWN.items() if known in (import_module, _version))
"""Of these those that raise where something is not there."""
