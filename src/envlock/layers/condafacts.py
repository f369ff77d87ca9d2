"""What an image must know of a conda package besides its bytes: paths, variables, scripts.

Collected while the package is packed and kept as JSON beside its packed files.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from envlock.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from envlock.layers.entry import Entry, EntryKind

_VARIABLES = re.compile(r"etc/conda/env_vars\.d/[^/]+\.json")
_ACTIVATE = re.compile(r"etc/conda/activate\.d/[^/]+\.sh")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EXPORT = re.compile(r"export\s+(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?P<value>.*)")
_PREFIX_VARIABLE = re.compile(r"\$(?:CONDA_PREFIX\b|\{CONDA_PREFIX\})")
_UNSET = "***unset***"
"""What conda takes as "remove this variable"."""

_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Node:
    """One path; size in bytes and crc (CRC-32) of a file, target of a link."""

    kind: EntryKind
    size: int = 0
    crc: int = 0
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaFacts:
    """What is known of one installed package.

    nodes: by path relative to the image's root; env: variables that it sets when its
    environment is activated; activation: scripts that would do more then, and are not run.
    """

    name: str
    nodes: Mapping[str, Node]
    env: Mapping[str, str] = field(default_factory=dict)
    activation: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        value = {key: getattr(self, key) for key in ("name", "env", "activation")}
        return {**value, "nodes": {path: asdict(node) for path, node in self.nodes.items()}}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> CondaFacts:
        """Return what :meth:`to_json` wrote; raises KeyError, TypeError or AttributeError."""
        return cls(
            name=value["name"],
            nodes={path: Node(**node) for path, node in value["nodes"].items()},
            env=dict(value["env"]),
            activation=tuple(value["activation"]),
        )


class FactCollector:
    """Looks at a package's entries while they pass; ``prefix`` as in entries' paths."""

    def __init__(self, name: str, prefix: str) -> None:
        self._name, self._prefix = name, prefix
        self._nodes: dict[str, Node] = {}
        self._env: dict[str, str] = {}
        self._activation: list[str] = []

    def watch(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Yield the entries."""
        for entry in entries:
            content = entry.content
            self._nodes[entry.path] = Node(
                kind=entry.kind,
                size=content.size if content is not None else 0,
                crc=getattr(content, "crc", 0),
                target=entry.target,
            )
            path = entry.path.removeprefix(f"{self._prefix}/")
            if _VARIABLES.fullmatch(path):
                self._env |= _variables(self._name, path, entry)
            elif _ACTIVATE.fullmatch(path):
                self._activate(path, entry)
            yield entry

    def facts(self) -> CondaFacts:
        return CondaFacts(
            name=self._name,
            nodes=self._nodes,
            env=self._env,
            activation=tuple(self._activation),
        )

    def _activate(self, path: str, entry: Entry) -> None:
        content = entry.content
        small = content is not None and content.size <= _LARGEST
        found = exported(_read(entry), f"/{self._prefix}") if small else None
        if found is None:
            self._activation.append(path)
        else:
            self._env |= found


def exported(script: bytes, prefix: str) -> dict[str, str] | None:
    """Return what an activation script exports, None where it does anything else.

    ``$CONDA_PREFIX`` is the one variable that a value may hold.
    """
    env = {}
    for line in script.decode("utf-8", "replace").splitlines():
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _EXPORT.fullmatch(text)
        value = _value(match["value"], prefix) if match else None
        if match is None or value is None:
            return None
        env[match["name"]] = value
    return env


def _value(text: str, prefix: str) -> str | None:
    """Return what a shell makes of one word, None where it would do more than unquote it."""
    if text.startswith("'") and text.endswith("'") and text.count("'") == 2:
        return text[1:-1]
    filled = _PREFIX_VARIABLE.sub(lambda _: prefix, text)
    if re.search(r"[$`\\;&|<>()*?\[~#]", filled):
        return None
    try:
        words = shlex.split(filled)
    except ValueError:
        return None
    return None if len(words) > 1 else "".join(words)


def _variables(package: str, path: str, entry: Entry) -> dict[str, str]:
    """Return the variables of a file in ``etc/conda/env_vars.d``."""
    try:
        value = json.loads(_read(entry).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is not JSON ({error})", where=package) from None
    if not isinstance(value, dict) or not all(
        _NAME.fullmatch(name) and isinstance(text, str) and "\0" not in text
        for name, text in value.items()
    ):
        raise ArtifactError(f"{path} is no mapping of variables to texts", where=package)
    return {name: text for name, text in value.items() if text != _UNSET}


def _read(entry: Entry) -> bytes:
    """Return the content of a small file; a link's and an absurdly large one's is empty."""
    content = entry.content
    return content.read() if content is not None and content.size <= _LARGEST else b""
