"""The spec's JSON Schema, and its complaints in words a person can act on."""

from __future__ import annotations

import difflib
import functools
import json
import re
import shlex
from importlib import resources
from typing import TYPE_CHECKING, Any

import yaml

from envlock.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from envlock.spec.document import Document, Mark, Place

_MEANT = {
    "apt": "debian",
    "channels": "conda.channels",
    "command": "image.command",
    "constraints": "pypi.constraints",
    "dependencies": "pypi.dependencies",
    "env": "image.env",
    "pip": "pypi",
    "platform": "platforms",
    "requirements": "pypi.dependencies",
    "user": "image.user",
}
"""What people write at the top level who know other tools' files, and what it is called here."""

_TYPE_NAMES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "boolean": "true or false",
}


def schema_text() -> str:
    """Return the JSON Schema (draft 2020-12) as it is shipped."""
    return resources.files("envlock.spec").joinpath("schema.json").read_text("utf-8")


@functools.cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(schema_text())
    return schema


def check_schema(document: Document) -> None:
    """Raise SpecError for the first thing in the file that the schema does not allow."""
    errors = [_deepest(error) for error in _validator().iter_errors(document.value)]
    if not errors:
        return
    found = sorted(
        ((_complaint(document, error), error) for error in errors),
        key=lambda pair: (pair[1].validator == "required", pair[0][0].line, pair[0][0].column),
    )
    (location, message, hint), _ = found[0]
    others = [f"  also {other[0]}: {other[1]}" for other, _ in found if other[1] != message]
    more = list(dict.fromkeys(others))[:5]
    raise SpecError(message, location=location, details=more, hint=hint)


@functools.cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    ours: Any = extend(  # type: ignore[no-untyped-call]
        Draft202012Validator, {"pattern": _pattern}
    )
    return ours(_schema())


def _pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[Any]:
    """Match as ECMA 262 does, which the drafts name: ``$`` is not before a last newline."""
    from jsonschema import ValidationError

    if isinstance(instance, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        yield ValidationError(f"{_shown(instance)} does not match {pattern!r}")


def _deepest(error: Any) -> Any:
    """Return the alternative of a ``oneOf`` that the value comes nearest to."""
    if error.context:
        return max(error.context, key=lambda inner: (len(inner.path), inner.validator != "type"))
    return error


def _complaint(document: Document, error: Any) -> tuple[Any, str, str | None]:
    place: Place = tuple(error.absolute_path)
    mark = document.mark(place)
    name = _dotted(place)
    kind = error.validator
    if error.instance is None and kind in {"type", "const", "enum"} and place:
        return mark.value, f"{name} is empty", _fill(error, place)
    if kind == "additionalProperties":
        return _unknown_key(document, error, place)
    if kind == "type":
        return mark.value, *_wrong_type(error, mark, name)
    if kind == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        hints = (_missing_hint(error, key) for key in missing)
        return (
            mark.key,
            f"{name or 'the spec'} lacks the key{'s' if len(missing) > 1 else ''} "
            + " and ".join(map(repr, missing)),
            "\n".join(dict.fromkeys(filter(None, hints))) or None,
        )
    if kind in {"enum", "const"}:
        allowed = error.validator_value if kind == "enum" else [error.validator_value]
        if "propertyNames" in error.absolute_schema_path:
            mark = document.mark((*place, error.instance))
            return mark.key, f"{error.instance!r} is not known here", _one_of(allowed)
        return mark.value, f"{name} is {_shown(error.instance)}", _one_of(allowed)
    if kind in {"pattern", "not"} and "propertyNames" in error.absolute_schema_path:
        mark = document.mark((*place, error.instance))
        return mark.key, f"{error.instance!r} cannot be used as a name in {name}", None
    if kind == "pattern":
        return mark.value, f"{name}: {_shown(error.instance)} is not understood", _hint(error)
    return mark.value, f"{name}: {_short(error.message)}", _hint(error)


def _unknown_key(document: Document, error: Any, place: Place) -> tuple[Any, str, str | None]:
    known = list(error.schema.get("properties", {}))
    unknown = [key for key in error.instance if key not in known]
    close = difflib.get_close_matches(unknown[0], known, n=1)
    if not place and unknown[0] in _MEANT:
        close = [_MEANT[unknown[0]]]
    inside = f" in {_dotted(place)}" if place else ""
    hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}"
    if not close and error.schema.get("maxProperties") == 1:
        hint = _hint(error) or hint
    return document.mark((*place, unknown[0])).key, f"unknown key {unknown[0]!r}{inside}", hint


def _wrong_type(error: Any, mark: Mark, name: str) -> tuple[str, str]:
    wanted = _TYPE_NAMES.get(str(error.validator_value), str(error.validator_value))
    if error.validator_value == "string" and mark.raw and not isinstance(error.instance, str):
        key = name.rpartition(".")[2]
        written = f'"{mark.raw}"' if key.endswith("]") else f'{key}: "{mark.raw}"'
        return (
            f"{name}: {mark.raw} is {_meaning(error.instance, mark.raw)} to YAML, not a text",
            f"write it in quotes: {written}",
        )
    hint = _as_list(error, name) if error.validator_value == "array" else None
    found = f"{name or 'the spec'} must be {wanted}, not {_shown(error.instance)}"
    return found, hint or _example(error)


def _as_list(error: Any, name: str) -> str | None:
    """Return how a text is written that is to be a list: a command by its words, as sh reads it."""
    texts = error.schema.get("items", {}).get("type") == "string"
    if not texts or not isinstance(error.instance, str) or not error.instance:
        return None
    words = [error.instance]
    if error.schema.get("title") == "argv":
        try:
            words = shlex.split(error.instance)
        except ValueError:  # a quote that does not end
            return None
    written = yaml.safe_dump(words, default_flow_style=True, width=10_000, allow_unicode=True)
    return f"write {name.rpartition('.')[2]}: {written.strip()}"


def _meaning(value: Any, raw: str) -> str:
    if isinstance(value, bool):
        return "true or false"
    try:
        return f"the number {value if isinstance(value, int) else float(raw)!r}"
    except ValueError:
        return "a number"


def _example(error: Any) -> str:
    return _hint(error) or "envlock schema prints what a spec has"


def _missing_hint(error: Any, key: str) -> str | None:
    """Return what the schema says of a key that is missing."""
    said = error.schema.get("properties", {}).get(key, {}).get("description", "")
    return f"{key}: {said}" if said else _hint(error)


def _hint(error: Any) -> str | None:
    schema = error.schema if isinstance(error.schema, dict) else {}
    limits: dict[str, Callable[[dict[str, Any]], str]] = {
        "minimum": _range,
        "maximum": _range,
        "minItems": lambda s: f"write {_at_least(s['minItems'], 'item')}",
        "minLength": lambda s: f"write {_at_least(s['minLength'], 'character')}",
        "maxLength": lambda s: f"write at most {s['maxLength']} characters",
        "uniqueItems": lambda _: _twice(error.instance),
    }
    if error.validator in limits:
        return limits[error.validator](schema)
    described: str | None = schema.get("description")
    if error.validator == "minProperties" and "maxProperties" not in schema:
        needed = f"write {_at_least(schema['minProperties'], 'key')}"
        return f"{needed}: {described}" if described else needed
    return described


def _range(schema: dict[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is None or most is None:
        return f"write a number of at {'most' if least is None else 'least'} {least or most}"
    return f"write a number from {least} to {most}"


def _at_least(number: int, thing: str) -> str:
    return f"at least {'one' if number == 1 else number} {thing}{'s' if number > 1 else ''}"


def _twice(items: list[Any]) -> str:
    twice = next(item for number, item in enumerate(items) if item in items[:number])
    return f"{_shown(twice)} stands there twice: remove one"


def _fill(error: Any, place: Place) -> str:
    """Return the hint for a key, or a list's item, without a value."""
    if error.validator == "type":
        wanted = _TYPE_NAMES.get(str(error.validator_value), str(error.validator_value))
    else:
        wanted = _one_of(error.schema.get("enum") or [error.schema["const"]]).partition(" ")[2]
    described = error.schema.get("description")
    wanted += f" ({described.rstrip('.')})" if described else ""
    if place[-1] in _required_keys():
        return f"write {wanted}"
    return f"remove the {'key' if isinstance(place[-1], str) else 'item'} or write {wanted}"


@functools.cache
def _required_keys() -> frozenset[str]:
    """Return the keys that some part of a spec cannot do without."""
    found: set[str] = set()
    queue: list[Any] = [_schema()]
    while queue:
        part = queue.pop()
        if isinstance(part, dict):
            required = part.get("required")
            found.update(required if isinstance(required, list) else ())
            queue += part.values()
        elif isinstance(part, list):
            queue += part
    return frozenset(found)


def _one_of(allowed: list[Any]) -> str:
    return "write " + " or ".join(str(value) for value in allowed)


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return _short(repr(value))


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}..."


def _dotted(place: Place) -> str:
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
