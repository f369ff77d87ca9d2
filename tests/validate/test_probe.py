"""What a Python is asked about itself, by the Python of the tests and without a sandbox."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import resources
from typing import TYPE_CHECKING, Any

from envlock.validate.reply import new_mark, reply_after

if TYPE_CHECKING:
    from pathlib import Path

PROBE = resources.files("envlock.validate").joinpath("probe.py").read_text("utf-8")


def ask(folder: Path) -> list[dict[str, Any]]:
    mark = new_mark()
    request = json.dumps({"mark": mark, "site_packages": [str(folder)]}).encode()
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROBE], input=request, capture_output=True, check=True
    )
    reply = reply_after(mark, done.stdout)
    assert reply is not None
    found: list[dict[str, Any]] = reply["distributions"]
    return found


def test_names_of_fields_in_any_case(tmp_path: Path) -> None:
    """They are those of a mail's header (core metadata, RFC 822)."""
    for name, text in (
        ("one-1.dist-info", "Name: one\nVersion: 1\nRequires-Dist: two>=2\n"),
        ("two-2.dist-info", "name: two\nVERSION: 2\nrequires-dist: one\n"),
        ("none-3.dist-info", None),
    ):
        (tmp_path / name).mkdir()
        if text is not None:
            (tmp_path / name / "METADATA").write_text(text)
    found = {one["name"]: (one["version"], one["requires"]) for one in ask(tmp_path)}
    assert found == {"one": ("1", ["two>=2"]), "two": ("2", ["one"]), None: (None, [])}
