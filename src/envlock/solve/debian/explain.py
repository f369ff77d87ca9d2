"""libsolv's problems in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from envlock.solve.debian.packages import DebianPackage


@dataclass(frozen=True, slots=True)
class Explainer:
    """Knows what libsolv's numbers stand for.

    solv: the module; packages: by solvable; texts: relations as written, by dependency.
    """

    solv: Any
    packages: Mapping[int, DebianPackage]
    texts: Mapping[int, str]

    def explain(self, problems: Iterable[Any]) -> list[str]:
        """Return a sentence for each rule that takes part in a problem, asked packages first."""
        asked: list[str] = []
        others: list[str] = []
        for problem in problems:
            for rule in problem.findallproblemrules():
                for info in rule.allinfos():
                    is_job = info.type == self.solv.Solver.SOLVER_RULE_JOB
                    (asked if is_job else others).append(self._sentence(info))
        return list(dict.fromkeys([*sorted(asked), *sorted(others)]))

    def _sentence(self, info: Any) -> str:
        """Say what one rule demands; rules of other kinds keep libsolv's own words."""
        kind = self.solv.Solver
        one, other = self._package(info.solvable), self._package(info.othersolvable)
        dep = self.texts.get(info.dep_id, str(info.dep))
        sentences = {
            kind.SOLVER_RULE_JOB: f"{dep} was asked for",
            kind.SOLVER_RULE_PKG_REQUIRES: f"{one} depends on {dep}",
            kind.SOLVER_RULE_PKG_NOTHING_PROVIDES_DEP: (
                f"{one} depends on {dep}, which no package meets"
            ),
            kind.SOLVER_RULE_PKG_CONFLICTS: f"{one} conflicts with {dep}, as which {other} counts",
            kind.SOLVER_RULE_PKG_SAME_NAME: f"only one of {one} and {other} can be installed",
        }
        return sentences.get(info.type) or str(info.problemstr())

    def _package(self, solvable: Any) -> str:
        if solvable is None:
            return "?"
        package = self.packages[solvable.id]
        return f"{package.name} {package.version}"
