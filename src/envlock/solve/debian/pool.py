"""libsolv as a SAT solver for Debian packages.

The libsolv on PyPI knows RPM's rules only, so nothing that differs between RPM and Debian is
left to it:

* versions are given as ranks in Debian's order, plain numbers that sort alike everywhere;
* an unversioned Provides never meets a versioned relation (policy 7.5): versioned and
  unversioned relations ask for different names, ``foo=`` and ``foo``;
* all packages are of one architecture ("all" counts as the target's), and ``foo:any`` is a name
  that only packages with ``Multi-Arch: allowed`` provide;
* the order of alternatives counts, as for apt: the first one that exists is suggested by its own
  name, ``foo:real``, which no substitute provides; libsolv prefers what is suggested.  For a
  virtual package that is the provider of the highest priority, then the first by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from envlock.errors import UnsatisfiableError
from envlock.solve.debian.explain import Explainer
from envlock.solve.debian.fields import Relation, parse_clause
from envlock.solve.debian.versions import ranks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from envlock.solve.debian.packages import DebianPackage

_ARCHITECTURE = "noarch"
"""libsolv's architecture for every package: they are all of the target's."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A package that may be chosen, and the clauses that have to be met if it is."""

    package: DebianPackage
    requires: tuple[tuple[Relation, ...], ...]

    @property
    def provides(self) -> tuple[Relation, ...]:
        """What its Provides field names."""
        return tuple(parse_clause(clause)[0] for clause in self.package.provides)

    @property
    def conflicts(self) -> tuple[Relation, ...]:
        """What its Conflicts and Breaks fields name."""
        return tuple(parse_clause(clause)[0] for clause in self.package.conflicts)

    def versions(self) -> Iterable[str]:
        """Yield every version that its fields mention."""
        yield self.package.version
        for clause in (*self.requires, self.provides, self.conflicts):
            yield from (relation.version for relation in clause if relation.operator)


class Pool:
    """The candidates as libsolv sees them.

    candidates: in the order of preference among different packages.
    """

    def __init__(self, candidates: Sequence[Candidate], architecture: str) -> None:
        import solv

        self._solv = solv
        self._architecture = architecture
        self._texts: dict[int, str] = {}
        self._ranks = ranks(v for candidate in candidates for v in candidate.versions())
        self._pool = solv.Pool()
        self._pool.setarch("x86_64")
        self._preferred: dict[str, str] = {one.package.name: one.package.name for one in candidates}
        for candidate in candidates:
            for provided in candidate.provides:
                self._preferred.setdefault(provided.name, candidate.package.name)
        repository = self._pool.add_repo("debian")
        self._packages = {self._add(repository, one): one.package for one in candidates}
        self._pool.createwhatprovides()

    def _add(self, repository: Any, candidate: Candidate) -> int:
        """Feed one package; return its number."""
        package = candidate.package
        solvable = repository.add_solvable()
        solvable.name = package.name
        solvable.evr = str(self._ranks[package.version])
        solvable.arch = _ARCHITECTURE
        qualifiers = ("", "real", "any") if package.multi_arch == "allowed" else ("", "real")
        for qualifier in qualifiers:
            own = Relation(package.name, qualifier, "=", package.version)
            self._provide(solvable, own)
        for provided in candidate.provides:
            self._provide(solvable, self._local(provided))
        for clause in candidate.requires:
            self._require(solvable, [self._local(relation) for relation in clause])
        for conflict in candidate.conflicts:
            solvable.add_conflicts(self._dep(self._local(conflict)))
        return int(solvable.id)

    def _local(self, relation: Relation) -> Relation:
        """Drop a qualifier that is met by every package of the only architecture there is."""
        if relation.qualifier in {"native", self._architecture}:
            return Relation(relation.name, "", relation.operator, relation.version)
        return relation

    def _provide(self, solvable: Any, relation: Relation) -> None:
        solvable.add_provides(self._dep(Relation(relation.name, relation.qualifier)))
        if relation.operator:
            solvable.add_provides(self._dep(relation))

    def _require(self, solvable: Any, clause: Sequence[Relation]) -> None:
        """Require one clause, preferring the first alternative that exists."""
        either = self._dep(clause[0])
        for relation in clause[1:]:
            text = f"{self._texts[either.id]} | {_text(relation)}"
            either = either.Rel(self._solv.REL_OR, self._dep(relation))
            self._texts[either.id] = text
        solvable.add_requires(either)
        first = next((r.name for r in clause if r.name in self._preferred), None)
        if first is not None:
            preferred = self._dep(Relation(self._preferred[first], "real"))
            solvable.add_deparray(self._solv.SOLVABLE_SUGGESTS, preferred)

    def _dep(self, relation: Relation) -> Any:
        """Return libsolv's dependency for a relation; remember how it was written."""
        solv = self._solv
        name = f"{relation.name}:{relation.qualifier}" if relation.qualifier else relation.name
        if relation.operator:
            flags = {
                "<<": solv.REL_LT,
                "<=": solv.REL_LT | solv.REL_EQ,
                "=": solv.REL_EQ,
                ">=": solv.REL_GT | solv.REL_EQ,
                ">>": solv.REL_GT,
            }[relation.operator]
            rank = self._pool.Dep(str(self._ranks[relation.version]))
            dep = self._pool.Dep(f"{name}=").Rel(flags, rank)
        else:
            dep = self._pool.Dep(name)
        self._texts.setdefault(dep.id, _text(relation))
        return dep

    def solve(self, wanted: Sequence[str], asked: Sequence[str]) -> list[DebianPackage]:
        """Return what installs ``wanted``, by name; UnsatisfiableError names the ``asked``."""
        solver = self._pool.Solver()
        solver.set_flag(solver.SOLVER_FLAG_IGNORE_RECOMMENDED, 1)
        job = self._solv.Job
        how = job.SOLVER_INSTALL | job.SOLVER_SOLVABLE_NAME
        problems = solver.solve([self._pool.Job(how, self._pool.str2id(n)) for n in wanted])
        if problems:
            raise UnsatisfiableError(
                f"no set of packages installs {', '.join(asked)}",
                details=Explainer(self._solv, self._packages, self._texts).explain(problems),
                hint="ask for other packages, or for another suite",
            )
        chosen = [self._packages[s.id] for s in solver.transaction().newsolvables()]
        return sorted(chosen, key=lambda package: package.name)


def _text(relation: Relation) -> str:
    """Write a relation as policy 7.1 does."""
    name = f"{relation.name}:{relation.qualifier}" if relation.qualifier else relation.name
    bound = f" ({relation.operator} {relation.version})" if relation.operator else ""
    return name + bound
