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
    spec: Spec, name: str, version: str, pins: Sequence[tuple[Described, Requirement]]
) -> str:
    """Return an override of ``name`` against ``pins``, written as the spec writes its own."""
    from envlock.audit.resolve.providers import module_of

    flow = any(override.location.in_flow for override in spec.overrides)
    against = ", ".join(f'{item.name}: "{bare(pin)}"' for item, pin in pins)
    users = list(dict.fromkeys(module_of(str(item.name)) for item, _ in pins))
    return (_in_braces if flow else _in_lines)(name, version, against, users[:_USERS])


def _in_lines(name: str, version: str, against: str, users: Sequence[str]) -> str:
    imports = "".join(f"\n      - import: {user}" for user in users)
    return (
        "overrides:\n"
        f"  - package: {name}\n"
        f'    version: "=={version}"\n'
        f"    against: {{{against}}}\n"
        f"    because: <what needs {name} {version}>\n"
        "    checks:\n"
        f"      - version: {_text(version)}{imports}"
    )


def _in_braces(name: str, version: str, against: str, users: Sequence[str]) -> str:
    imports = "".join(f", {{import: {user}}}" for user in users)
    return (
        "overrides: [\n"
        f'  {{package: {name}, version: "=={version}", against: {{{against}}},\n'
        f'   because: "<what needs {name} {version}>",\n'
        f'   checks: [{{version: "{version}"}}{imports}]}},\n'
        "]"
    )


def _text(version: str) -> str:
    """Return a version as YAML reads it as a text: 4.25 would be a number."""
    import yaml

    return version if isinstance(yaml.safe_load(version), str) else f'"{version}"'
