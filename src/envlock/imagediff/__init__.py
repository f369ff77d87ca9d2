"""What two images have otherwise: which layer, which file, which bytes, and what that points to."""

from envlock.imagediff.compare import compare
from envlock.imagediff.explain import DifferentImageError, explain
from envlock.imagediff.words import as_data, as_lines

__all__ = ["DifferentImageError", "as_data", "as_lines", "compare", "explain"]
