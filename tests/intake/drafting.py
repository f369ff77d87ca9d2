"""Reads a text as a file of some name, and makes the spec of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envlock.intake.readers import Choices, read_file
from envlock.intake.render import render
from envlock.intake.settle import settle
from envlock.spec.document import parse_document
from envlock.spec.parse import parse_spec

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.intake.draft import Draft
    from envlock.spec.model import Spec


def draft(folder: Path, name: str, text: str, **choices: Any) -> Draft:
    """Write a file, read it, and check what was read."""
    (folder / name).write_text(text)
    found = read_file(folder / name, name, Choices(**choices))
    found.check()
    return found


def spec_of(found: Draft, python: str | None = None) -> Spec:
    """Return the spec that a draft becomes, read back from its text."""
    text = render("one", found, settle(found, python), ["file"])
    return parse_spec(parse_document(text, "envs/one.yaml"), "envs/one.yaml")


def asked(spec: Spec) -> tuple[list[str], list[str]]:
    """Return what a spec asks of conda and of PyPI."""
    conda = [one.spec for one in spec.conda.dependencies] if spec.conda else []
    return conda, [str(one.requirement) for one in spec.pypi.dependencies]


def notes(found: Draft) -> list[str]:
    return [str(note) for note in found.notes]
