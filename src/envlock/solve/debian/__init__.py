"""The OS layer: exact Debian packages from signed indexes."""

from envlock.debian_archive import Archive
from envlock.solve.debian.request import DebianRequest, DebianSolution
from envlock.solve.debian.solve import solve_debian
from envlock.solve.debian.transport import Transport

__all__ = ["Archive", "DebianRequest", "DebianSolution", "Transport", "solve_debian"]
