"""From a spec to a lock: exact artifacts for one target."""

from envlock.solve.solve import Solvers, solve

__all__ = ["Solvers", "solve"]
