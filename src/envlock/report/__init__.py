"""An environment as one page to look at."""

from envlock.report.gather import Subject, gather
from envlock.report.known import recalled
from envlock.report.render import render

__all__ = ["Subject", "gather", "recalled", "render"]
