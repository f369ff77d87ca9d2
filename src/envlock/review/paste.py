"""YAML to paste into a spec."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from envlock.audit import pattern_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from envlock.audit import Finding
    from envlock.spec.model import Override, Spec

_PLAIN = re.compile(r"[A-Za-z_][\w.*?\[\]-]*(?: needs [\w.*?\[\]-]+)?")


def is_unsaid(because: str) -> bool:
    """Tell whether a reason is still the ``<what needs it>`` that was pasted."""
    return because.startswith("<") and because.endswith(">")


def patterns(findings: Iterable[Finding]) -> list[str]:
    """Return ``accepts`` lines for findings, without doubles."""
    return sorted({pattern_of(finding) for finding in findings})


def override_block(
    override: Override, accepts: Sequence[str], adds: Sequence[str]
) -> tuple[str, list[str]]:
    """Return where a block goes, and its lines, indented as the override's keys are.

    ``accepts`` and ``adds`` are whole: what stands there and is still needed, too.
    """
    there = [
        key for key, old, new in (
            ("adds", override.adds, adds), ("accepts", override.accepts, accepts)
        ) if old and new
    ]  # fmt: skip
    instead = f", in place of its {' and '.join(there)}" if there else ""
    place = f"under the override of {override.package}"
    if override.location.in_flow:
        return f"{place} (inside its braces){instead}", _flow_block(override, accepts, adds)
    indent = " " * (override.location.column - 1)
    block = []
    if adds:
        block.append(f"{indent}adds: [{', '.join(map(_quoted, adds))}]")
    if accepts:
        block.append(f"{indent}accepts:")
        block += [f"{indent}  - {_quoted(line)}" for line in accepts]
    return f"{place}{instead}", block


def _flow_block(override: Override, accepts: Sequence[str], adds: Sequence[str]) -> list[str]:
    """Return keys for an override that is written in braces; commas end and part them."""
    indent = " " * override.location.column
    block = []
    if adds:
        block.append(f"{indent}adds: [{', '.join(map(json.dumps, adds))}],")
    if accepts:
        block.append(f"{indent}accepts: [")
        block += [f"{indent}  {json.dumps(line, ensure_ascii=False)}," for line in accepts]
        block.append(f"{indent}],")
    return block


def spec_block(spec: Spec, accepts: Sequence[str]) -> tuple[str, list[str]]:
    """Return where the spec's own ``accepts`` go, and their lines."""
    instead = ", in place of its accepts" if spec.accepts else ""
    block = ["accepts:", *(f"  - {_quoted(line)}" for line in accepts)]
    return f"at the top level of {spec.file}{instead}", block


def dependency_lines(spec: Spec, names: Iterable[str]) -> tuple[str, list[str]]:
    """Return where undeclared distributions go, and their lines."""
    place = "under pypi.dependencies"
    if spec.conda is not None:
        place += " (or the conda packages that bring these under conda.dependencies)"
    there = spec.pypi.dependencies
    if there and there[0].location.in_flow:
        line = ", ".join(map(json.dumps, sorted(set(names))))
        return f"{place} (inside its brackets)", [f"    {line},"]
    return place, [f"    - {_quoted(name)}" for name in sorted(set(names))]


def _quoted(text: str) -> str:
    """Return a text as a YAML scalar, in quotes where a plain one could be misread."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
