"""Comparing audits, and the patterns that accept findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from envlock.audit import accept, judge, matches, pattern_of
from envlock.audit.codec import audit_from_data, audit_to_data, judgement_to_data

if TYPE_CHECKING:
    from tests.audit.conftest import Auditor

APP = {"app/__init__.py": "from lib import old\n", "app/more.py": "def f():\n    import lib.new\n"}
OLD = {"lib/__init__.py": "old = 1\n"}
NEW = {"lib/__init__.py": "", "lib/new.py": ""}


def test_an_override_fixes_and_breaks(audit: Auditor) -> None:
    without, with_ = audit({"app": APP, "lib": NEW}), audit({"app": APP, "lib": OLD})
    judgement = judge(without, with_)
    assert [f.text for f in judgement.fixes] == ["app needs lib.old"]
    assert [f.text for f in judgement.breaks] == ["app.more.f needs lib.new"]
    assert judgement.newly_importable == ("app", "app.more")
    assert judge(with_, with_).serious == ()
    assert judgement_to_data(judgement)["breaks"][0]["severity"] == "breaks-call"


def test_lines_do_not_matter(audit: Auditor) -> None:
    moved = {**APP, "app/__init__.py": "\n\nfrom lib import old\n"}
    judgement = judge(audit({"app": APP, "lib": NEW}), audit({"app": moved, "lib": NEW}))
    assert (judgement.fixes, judgement.breaks) == ((), ())


@pytest.mark.parametrize(
    ("pattern", "covers"),
    [
        ("app.more needs lib.new", True),
        ("app needs lib.new", True),
        ("app.*.f needs lib.*", True),
        ("app.mo needs lib.new", False),
        ("app needs lib", False),
        ("app needs", False),
        ("lib.new", False),
        ("", False),
    ],
)
def test_patterns(audit: Auditor, pattern: str, covers: bool) -> None:
    (finding,) = audit({"app": APP, "lib": OLD}).of("breaks-call")
    assert matches(pattern, finding) is covers


def test_acceptance_names_what_is_left_over(audit: Auditor) -> None:
    findings = audit({"app": APP, "lib": OLD}).of("breaks-call")
    done = accept(findings, ["app needs lib.new", "app needs nothing.else"])
    assert [pattern for pattern, _ in done.accepted] == ["app needs lib.new"]
    assert (done.open, done.unused) == ((), ("app needs nothing.else",))
    assert list(map(pattern_of, findings)) == ["app.more needs lib.new"]
    assert accept(findings, list(map(pattern_of, findings))).open == ()


def test_audits_survive_json(audit: Auditor) -> None:
    found = audit({"app": APP, "lib": OLD})
    assert audit_from_data(audit_to_data(found)) == found
