"""Attribute chains on modules: is what they name there?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envlock.audit.resolve.run import Run
    from envlock.audit.resolve.state import Frame


class Attributes:
    """Follows a chain from a name that is a module, as far as modules go."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def use(self, chain: str, frame: Frame, line: int) -> None:
        """Run ``a.b.c`` for what it asks of modules."""
        missing = self.missing(chain, frame)
        if missing is None or self._run.world.own(frame.module.name, missing[0]):
            return
        module, name = missing
        if frame.function and name.startswith("_") and self._run.world.find(module) == "stdlib":
            return  # who reaches for these asks for the version first, often in the caller
        self._run.fail(
            self._run.failure("attribute-missing", frame, line, module, name, "AttributeError")
        )

    def missing(self, chain: str, frame: Frame) -> tuple[str, str] | None:
        """Return the first module and name of a chain that is not there."""
        head, *rest = chain.split(".")
        value = self._run.evaluator.head(head, frame)
        for name in rest:
            if value[0] != "m":
                return None
            module = value[1]
            found, inner = self._run.imports.attribute(module, name)
            if found == "no":
                if inner is not None or self._might_load(module, name):
                    return None
                return module, name
            if inner is None:
                return None
            value = inner
        return None

    def _might_load(self, module: str, name: str) -> bool:
        """A submodule becomes an attribute once anybody imports it."""
        known = self._run.world.find(f"{module}.{name}")
        if self._run.world.find(module) == "stdlib":
            return known == "stdlib"
        return known not in {"missing", "stranger"}
