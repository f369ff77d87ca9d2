"""An override that a failed solve proposes, as YAML to paste."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.solve.pypi.overrides import bare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.requirements import Requirement

    from envlock.solve.pypi.metadata import Described
    from envlock.spec.model import Spec

_USERS = 3
"""How many of those whose pins an override sets aside are imported by its checks."""


def proposed(
    spec: Spec, forced: Sequence[tuple[str, str, Sequence[tuple[Described, Requirement]]]]
) -> str:
    """Return overrides, written as the spec writes its own.

    forced: names and versions, with the pins that each is against.
    """
    flow = any(override.location.in_flow for override in spec.overrides)
    entries = [(_in_braces if flow else _in_lines)(*one) for one in forced]
    if flow:
        return "overrides: [\n" + "".join(entries) + "]"
    return "overrides:\n" + "\n".join(entries)


def _in_lines(name: str, version: str, pins: Sequence[tuple[Described, Requirement]]) -> str:
    imports = "".join(f"\n      - import: {user}" for user in _users(pins))
    return (
        f"  - package: {name}\n"
        f'    version: "=={version}"\n'
        f"    against: {{{_against(pins)}}}\n"
        f"    because: <what needs {name} {version}>\n"
        "    checks:\n"
        f"      - version: {_text(version)}{imports}"
    )


def _in_braces(name: str, version: str, pins: Sequence[tuple[Described, Requirement]]) -> str:
    imports = "".join(f", {{import: {user}}}" for user in _users(pins))
    return (
        f'  {{package: {name}, version: "=={version}", against: {{{_against(pins)}}},\n'
        f'   because: "<what needs {name} {version}>",\n'
        f'   checks: [{{version: "{version}"}}{imports}]}},\n'
    )


def _against(pins: Sequence[tuple[Described, Requirement]]) -> str:
    return ", ".join(f'{item.name}: "{bare(pin)}"' for item, pin in pins)


def _users(pins: Sequence[tuple[Described, Requirement]]) -> list[str]:
    from envlock.audit.resolve.providers import module_of

    return list(dict.fromkeys(module_of(str(item.name)) for item, _ in pins))[:_USERS]


def _text(version: str) -> str:
    """Return a version as YAML reads it as a text: 4.25 would be a number."""
    import yaml

    return version if isinstance(yaml.safe_load(version), str) else f'"{version}"'
