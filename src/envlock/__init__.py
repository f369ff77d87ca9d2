"""envlock: declared environments, host-free locks, reproducible OCI images."""

__version__ = "0.1.0"
