"""The shapes of a lock's spec section, which the builder takes as they are.

Seals are no signatures: a section that was made by hand and sealed anew must not reach an
image's configuration or a path.  Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Shape = Callable[[str, object], None]
"""Looks at a value by its place; raises TypeError or ValueError."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PYTHON = re.compile(r"3\.[0-9]{1,2}")
_USER = re.compile(r"[a-z0-9_][a-z0-9_-]*(:[a-z0-9_-]+)?")  # as a spec's schema has it


def check_spec(spec: dict[str, Any]) -> None:
    """Raise TypeError or ValueError, naming the place, for a spec section of wrong shape."""
    for key in ("python", "platform"):
        if key not in spec:
            raise ValueError(f"spec.{key} is missing")
    _SPEC("spec", spec)


def _text(place: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{place} is no text")


def _python(place: str, value: object) -> None:
    if not isinstance(value, str) or not _PYTHON.fullmatch(value):
        raise ValueError(f"{place} is no version of CPython")


def _user(place: str, value: object) -> None:
    if not isinstance(value, str) or not _USER.fullmatch(value):
        raise ValueError(f"{place} is no name or number of a user")


def _count(place: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"{place} is no whole number")


def _flag(place: str, value: object) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{place} is neither true nor false")


def _list(place: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{place} is no list")
    return value


def _mapping(place: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{place} is no mapping")
    return value


def _each(shape: Shape) -> Shape:
    def check(place: str, value: object) -> None:
        for number, item in enumerate(_list(place, value)):
            shape(f"{place}[{number}]", item)

    return check


def _by_name(shape: Shape) -> Shape:
    def check(place: str, value: object) -> None:
        for key, item in _mapping(place, value).items():
            shape(f"{place}.{key}", item)

    return check


def _with(**shapes: Shape) -> Shape:
    """Return the shape of a mapping whose known keys have shapes of their own."""

    def check(place: str, value: object) -> None:
        mapping = _mapping(place, value)
        for key, shape in shapes.items():
            if key in mapping:
                shape(f"{place}.{key}", mapping[key])

    return check


def _each_with(*needed: str, **shapes: Shape) -> Shape:
    """Return the shape of a list of mappings that cannot do without some keys."""
    one = _with(**shapes)

    def check(place: str, value: object) -> None:
        missing = [key for key in needed if key not in _mapping(place, value)]
        if missing:
            raise ValueError(f"{place}.{missing[0]} is missing")
        one(place, value)

    return _each(check)


def _variables(place: str, value: object) -> None:
    _TEXT_BY_NAME(place, value)
    for name in _mapping(place, value):
        if not _VARIABLE.fullmatch(name):
            raise ValueError(f"{place}: {name!r} is no name of a variable")


def _argument(place: str, value: object) -> None:
    if not isinstance(value, str):
        _TEXTS(place, value)


_TEXTS = _each(_text)
_TEXT_BY_NAME = _by_name(_text)
_CHECKS = _each(_by_name(_argument))
_CLOBBERS = _each_with("path", "keep", path=_text, keep=_text, because=_text)
_SPEC = _with(
    description=_text,
    python=_python,
    platform=_TEXT_BY_NAME,
    debian=_with(suite=_text, packages=_TEXTS, exclude=_TEXTS, alternatives=_TEXT_BY_NAME),
    conda=_with(
        channels=_TEXTS,
        dependencies=_TEXTS,
        constraints=_TEXTS,
        map=_TEXT_BY_NAME,
        clobbers=_CLOBBERS,
        **{"channel-priority": _text, "link-scripts": _TEXT_BY_NAME},
    ),
    pypi=_with(dependencies=_TEXTS, constraints=_TEXTS, exclude=_TEXTS, clobbers=_CLOBBERS),
    overrides=_each_with(
        "package",
        "version",
        **{"from": _text},
        package=_text,
        version=_text,
        against=_TEXT_BY_NAME,
        because=_text,
        adds=_TEXTS,
        accepts=_TEXTS,
        until=_text,
        checks=_CHECKS,
    ),
    accepts=_TEXTS,
    **{"require-attestations": _by_name(_TEXT_BY_NAME)},
    image=_with(
        base=_text,
        env=_variables,
        user=_user,
        workdir=_text,
        command=_TEXTS,
        entrypoint=_TEXTS,
        labels=_TEXT_BY_NAME,
        precompile=_flag,
        layers=_with(**{"budget": _count, "max-size": _count}),
    ),
    checks=_CHECKS,
)
