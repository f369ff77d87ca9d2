"""Which packages of a complete set were asked for: those that nobody else brings along."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def roots(needs: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Return a small set of packages that all others follow from; needs: by name.

    Where packages need each other in a circle that nobody else needs, one of them is taken.
    """
    needed = {other for name, others in needs.items() for other in others if other != name}
    found = {name for name in needs if name not in needed}
    reached = _reach(found, needs)
    for name in sorted(needs):
        if name not in reached:
            found.add(name)
            reached |= _reach({name}, needs)
    return frozenset(found)


def _reach(start: set[str], needs: Mapping[str, frozenset[str]]) -> set[str]:
    reached: set[str] = set()
    queue = list(start)
    while queue:
        name = queue.pop()
        if name in needs and name not in reached:
            reached.add(name)
            queue.extend(needs[name])
    return reached
