"""Ways out: which other versions would need a smaller override, or none, and break less.

``advise`` searches for each override of a spec and for each break in its audit; nothing is
installed or run, and nothing is known beforehand about any package.
"""

from envlock.advise.codec import advice_to_data
from envlock.advise.model import BRIEF, Advice, Change, Limits, Problem, Tried, Way
from envlock.advise.search import advise
from envlock.advise.trial import Tools

__all__ = [
    "BRIEF",
    "Advice",
    "Change",
    "Limits",
    "Problem",
    "Tools",
    "Tried",
    "Way",
    "advice_to_data",
    "advise",
]
