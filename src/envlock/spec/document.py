"""YAML read strictly, with the place of every value kept for error messages.

PyYAML composes the nodes (YAML 1.1); the values are built here, because YAML's own rules
are where specs go wrong: duplicate keys vanish, ``3.10`` is the float 3.1, a few nested
aliases make billions of values.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from envlock.errors import Location, SpecError

if TYPE_CHECKING:
    from pathlib import Path

Place = tuple[str | int, ...]
"""How to get to a value: keys and list positions from the top."""

MAX_BYTES = 1024 * 1024
_MAX_VALUES = 20_000
_MAX_DEPTH = 40
_SCALARS = {"str", "int", "float", "bool", "null", "timestamp"}
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is taken for a document of its kind, which ``what`` names."""

    what: str = "spec"
    size: int = MAX_BYTES
    values: int = _MAX_VALUES


SPEC = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Where a value (and its key, in a mapping) stands; ``raw`` is a scalar as written."""

    value: Location
    key: Location
    raw: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The plain value of a YAML file and the marks of all its parts."""

    value: Any
    marks: dict[Place, Mark]

    def mark(self, place: Place) -> Mark:
        """Return the mark of ``place`` or of the nearest thing around it."""
        while place not in self.marks:
            place = place[:-1]
        return self.marks[place]


def read_document(path: Path, shown: str, limits: Limits = SPEC) -> Document:
    """Read a YAML file; ``shown`` is its name in errors.  Raises SpecError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SpecError(f"{shown} cannot be read: {error.strerror}") from error
    if len(data) > limits.size:
        raise SpecError(
            f"{shown} is larger than {limits.size // 1024} KiB; that is no {limits.what}"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        where = Location(file=shown, line=line, column=1)
        utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        raise SpecError(
            f"this is {'UTF-16' if utf16 else 'not UTF-8'}",
            location=where,
            hint="save it as UTF-8",
        ) from error
    return parse_document(text, shown, limits)


def parse_document(text: str, shown: str, limits: Limits = SPEC) -> Document:
    """Parse YAML text; ``shown`` is its name in errors.  Raises SpecError."""
    return _Builder(text, shown, limits).document()


class _Builder:
    def __init__(self, text: str, shown: str, limits: Limits) -> None:
        self._limits = limits
        self._text = text
        self._lines = text.splitlines()
        self._shown = shown
        self._marks: dict[Place, Mark] = {}
        self._values = 0

    def document(self) -> Document:
        try:
            node = yaml.compose(self._text, Loader=self._loader())
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise SpecError(
                f"not valid YAML: {error.problem or error.context}",
                location=self._location(mark) if mark else None,
                hint=_advice(error.problem or ""),
            ) from None
        except yaml.reader.ReaderError as error:
            raise self._forbidden_character(error.position) from None
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            raise SpecError(f"{self._shown} is not valid YAML: {error}") from None
        if node is None:
            hint = "envlock schema prints what a spec has" if self._limits is SPEC else None
            raise SpecError(f"{self._shown} is empty", hint=hint)
        return Document(value=self._build(node, (), None), marks=self._marks)

    def _loader(self) -> Any:
        """Return PyYAML's own loader, or libyaml's for what would take that one minutes."""
        large = len(self._text) > SPEC.size and hasattr(yaml, "CSafeLoader")
        return yaml.CSafeLoader if large else yaml.SafeLoader

    def _forbidden_character(self, position: int) -> SpecError:
        before = self._text[:position].splitlines(keepends=True) or [""]
        if before[-1].splitlines() != [before[-1]] and before[-1]:
            before.append("")
        lines = self._text.splitlines()
        text = lines[len(before) - 1] if len(before) <= len(lines) else ""
        where = Location(file=self._shown, line=len(before), column=len(before[-1]) + 1, text=text)
        return SpecError(
            f"not valid YAML: a control character ({self._text[position]!r})", location=where
        )

    def _location(self, mark: yaml.Mark) -> Location:
        text = self._lines[mark.line] if mark.line < len(self._lines) else ""
        return Location(file=self._shown, line=mark.line + 1, column=mark.column + 1, text=text)

    def _build(self, node: yaml.Node, place: Place, key: yaml.Node | None) -> Any:
        here = self._location(node.start_mark)
        self._values += 1
        if self._values > self._limits.values or len(place) > _MAX_DEPTH:
            raise SpecError(
                f"this grows beyond any {self._limits.what} (aliases or nesting)",
                location=here,
                hint="write the values out; anchors may be used, but not to multiply",
            )
        _check_tag(node, here)
        raw = node.value if isinstance(node, yaml.ScalarNode) else ""
        above = self._location(key.start_mark) if key is not None else here
        self._marks[place] = Mark(value=here, key=above, raw=raw)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self._build(item, (*place, n), None) for n, item in enumerate(node.value)]
        return self._scalar(node, here)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key, value in node.value:
            where = self._location(key.start_mark)
            if not isinstance(key, yaml.ScalarNode):
                raise SpecError("a key must be a plain word", location=where)
            if key.tag.endswith(":merge"):
                raise SpecError("merge keys (<<) are not understood here", location=where)
            _check_tag(key, where)
            if key.value in mapping:
                first = self._marks[(*place, key.value)].key
                raise SpecError(
                    f"the key {key.value!r} stands twice",
                    location=where,
                    hint=f"the first is in line {first.line}; YAML would silently drop it",
                )
            mapping[key.value] = self._build(value, (*place, key.value), key)
        return mapping

    def _scalar(self, node: yaml.Node, here: Location) -> Any:
        kind = node.tag.rpartition(":")[2]
        text: str = node.value
        bad = _UNPRINTABLE.search(text)
        if bad:
            what = "half a surrogate pair" if bad[0] >= "\ud800" else "a control character"
            raise SpecError(f"{what} ({bad[0]!r}) in a text", location=here)
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() in {"true", "yes", "on"}
        if kind == "int" and text.lstrip("+-").isdecimal() and not _leading_zero(text):
            return int(text) if len(text) < 20 else _number(text)
        if kind in {"int", "float"}:
            return _number(text)
        return text  # a timestamp stays as it was written


def _advice(problem: str) -> str | None:
    """Return what to do about what PyYAML says, for the mistakes that are made most."""
    if "'\\t'" in problem:
        return "YAML is indented with spaces: write them in place of the tab"
    if problem.startswith("mapping values are not allowed"):
        return "a text with a colon needs quotes; a key begins below the keys beside it"
    return None


def _check_tag(node: yaml.Node, here: Location) -> None:
    known = {"map"} if isinstance(node, yaml.MappingNode) else {"seq"}
    known = _SCALARS if isinstance(node, yaml.ScalarNode) else known
    prefix, _, kind = node.tag.rpartition(":")
    if prefix != "tag:yaml.org,2002" or kind not in known:
        raise SpecError(f"the tag {node.tag} is not allowed", location=here)


class _Number(float):
    """A number that is no plain decimal; never a whole number, and shown as it was written."""

    raw: str

    def is_integer(self) -> bool:
        return False

    def __repr__(self) -> str:
        return self.raw


def _leading_zero(text: str) -> bool:
    digits = text.lstrip("+-")
    return len(digits) > 1 and digits.startswith("0")


def _number(text: str) -> float:
    """Return any other number of YAML 1.1 (hex, octal, sexagesimal, float) as a float.

    No key of a spec takes one; the schema refuses it with its text as written.
    """
    try:
        number = _Number(text.replace("_", ""))
    except ValueError:
        number = _Number(0.5)
    number.raw = text
    return number
