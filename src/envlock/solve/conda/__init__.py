"""The conda packages of an environment, chosen by rattler."""

from envlock.solve.conda.clobbers import settled
from envlock.solve.conda.solve import CondaMeans, CondaSolution, solve_conda

__all__ = ["CondaMeans", "CondaSolution", "settled", "solve_conda"]
