"""A lock's code under review: what each override fixes and breaks, and what nobody accepted.

``review`` answers; ``problem_of`` says what has to be settled before the lock may be
written, with the YAML to paste; ``section_of`` is what the lock keeps of it.
"""

from envlock.review.accepting import section_of
from envlock.review.audits import Auditor
from envlock.review.codec import review_to_data
from envlock.review.model import Covered, Natural, OverrideReview, Review
from envlock.review.natural import NaturalSolver
from envlock.review.problems import ReviewError, problem_of, warning_of
from envlock.review.review import review

__all__ = [
    "Auditor",
    "Covered",
    "Natural",
    "NaturalSolver",
    "OverrideReview",
    "Review",
    "ReviewError",
    "problem_of",
    "review",
    "review_to_data",
    "section_of",
    "warning_of",
]
