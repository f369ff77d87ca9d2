"""The import audit: what code in wheels and conda packages asks for and does not find.

Nothing is installed, imported or run.  ``audit_wheels`` and ``audit_lock`` answer what
breaks; ``judge`` compares the audits of an environment without and with an override;
``accept`` sorts findings by the patterns of a spec; ``index_wheel`` is one file's index.
Each takes conda packages as well as wheels.
"""

from envlock.audit.api import audit_indexes, audit_lock, audit_wheels, index_wheel, target_of
from envlock.audit.judge import Acceptance, Judgement, accept, judge, matches, pattern_of
from envlock.audit.model import SEVERITIES, Audit, Finding, Kind, Need, Place, Severity, Target

__all__ = [
    "SEVERITIES",
    "Acceptance",
    "Audit",
    "Finding",
    "Judgement",
    "Kind",
    "Need",
    "Place",
    "Severity",
    "Target",
    "accept",
    "audit_indexes",
    "audit_lock",
    "audit_wheels",
    "index_wheel",
    "judge",
    "matches",
    "pattern_of",
    "target_of",
]
