"""Programs that a distribution installs: is there what they call?

An installer writes, for each entry of ``console_scripts`` and ``gui_scripts``, a program that
runs ``from module import name`` and calls the name (PyPA's entry points specification).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from envlock.audit.model import Finding, Need, Place, normalize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.audit.index.model import WheelIndex
    from envlock.audit.resolve.run import Run

_GROUPS = frozenset({"console_scripts", "gui_scripts"})
_ENTRY = re.compile(
    r"(?P<line>\d+) (?P<group>[\w.]+): (?P<name>[^=]*[^=\s])\s*="
    r"\s*(?P<module>[\w.]+)\s*:\s*(?P<attribute>[\w.]+)\s*"
)
"""An entry of the index; one that needs an extra has brackets behind it and is left alone."""


def broken_scripts(run: Run, told: int) -> Iterator[Finding]:
    """Yield the programs whose module, or name in it, is surely not there or surely fails.

    What fails for want of a whole distribution is told of the program that has its own one's
    name; many others are tools that their distribution does not need.  told: the bits of
    failures that break packages, of which nothing more is said.
    """
    for index in run.world.indexes:
        for entry in index.entry_points:
            match = _ENTRY.fullmatch(entry)
            if match is not None and match["group"] in _GROUPS:
                need = _missing(run, match["module"], match["attribute"].partition(".")[0])
                if need is not None:
                    yield _finding(index, match, need, ())
                    continue
                main = normalize(match["name"]) == normalize(index.name)
                silent = run.numbers.raised | (0 if main else run.numbers.optional)
                failed = _failing(run, match["module"], told, silent)
                if failed is not None:
                    yield _finding(index, match, *failed)


def _missing(run: Run, module: str, name: str) -> Need | None:
    provider = run.world.provider(module)
    if run.world.find(module) in {"missing", "stranger"}:
        return Need(module=module, provider=provider)
    found, _ = run.imports.attribute(module, name)
    if found != "no" or run.world.find(f"{module}.{name}") == "module":
        return None
    return Need(module=module, name=name, provider=provider)


def _failing(run: Run, module: str, told: int, silent: int) -> tuple[Need, tuple[str, ...]] | None:
    """Return what a module surely fails for, and the way to the module that needs it."""
    state = run.modules.get(module)
    if state is None or state.escapes.certain & told:
        return None
    sure = state.escapes.certain & ~silent
    place = next((one for one in state.escapes.places() if sure >> one & 1), None)
    if place is None:
        return None
    chain = [module]
    while (via := run.modules[chain[-1]].escapes.via(1 << place)) and via not in chain:
        chain.append(via)
    return run.failures[run.numbers.keys[place]].need, tuple(chain)


def _finding(
    index: WheelIndex, match: re.Match[str], need: Need, chain: tuple[str, ...]
) -> Finding:
    return Finding(
        kind="name-missing" if need.name else "module-missing",
        severity="breaks-call",
        who=Place(
            distribution=index.name,
            version=index.version,
            module=match["group"],
            function=match["name"],
            file="entry_points.txt",
            line=int(match["line"]),
        ),
        needs=need,
        chain=chain,
    )
