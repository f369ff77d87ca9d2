"""What a changed spec asks now and asked before, line by line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from envlock.lock.check import differences

from .locks import LOCK

CASES: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    ({"a": 1}, {"a": 1}, []),
    ({"a": 1}, {"a": 2}, ["- a: 1", "+ a: 2"]),
    ({}, {"a": "x"}, ["+ a: x"]),
    ({"a": "x"}, {}, ["- a: x"]),
    ({"p": {"d": ["x", "y"]}}, {"p": {"d": ["y", "z"]}}, ["- p.d: x", "+ p.d: z"]),
    ({"p": {"d": ["x"]}}, {"p": {}}, ["- p.d: x"]),
    ({"p": {"d": ["x"]}}, {}, ["- p.d: x"]),
    ({}, {"p": {"d": ["x"], "e": {"f": "g"}}}, ["+ p.d: x", "+ p.e.f: g"]),
    ({"o": ["x", "y"]}, {"o": ["y", "x"]}, ["~ o: the order changed"]),
    ({"c": ["x"]}, {"c": ["x", "x"]}, ["+ c: x"]),
    ({"c": ["x", "x"]}, {"c": ["x"]}, ["- c: x"]),
    (
        {"o": [{"package": "t", "version": "==1"}]},
        {"o": [{"package": "t", "version": "==2"}]},
        ["- o.t.version: ==1", "+ o.t.version: ==2"],
    ),
    (
        {"o": [{"package": "t", "version": "==1"}]},
        {"o": [{"package": "s", "version": "==2"}, {"package": "t", "version": "==1"}]},
        ["+ o.s.package: s", "+ o.s.version: ==2"],
    ),
    (
        {"o": [{"package": "s"}, {"package": "t"}]},
        {"o": [{"package": "t"}, {"package": "s"}]},
        ["~ o: the order changed"],
    ),
    (
        {},
        {"o": [{"package": "t", "version": "==1"}]},
        ["+ o.t.package: t", "+ o.t.version: ==1"],
    ),
    (
        {"c": [{"import": "a"}]},
        {"c": [{"import": "a"}, {"run": ["b", "c"]}]},
        ["+ c: run: [b, c]"],
    ),
    (
        {"c": [{"import": "a"}, {"import": "b"}]},
        {"c": [{"import": "b"}, {"import": "a"}]},
        ["~ c: the order changed"],
    ),
    ({"l": {"b": 1}}, {"l": {"b": True}}, ["- l.b: 1", "+ l.b: True"]),
    ({"a": {"b": 1}}, {"a": "text"}, ["- a.b: 1", "+ a: text"]),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case[2])[:60])
def test_lines(case: tuple[dict[str, Any], dict[str, Any], list[str]]) -> None:
    old, new, lines = case
    assert differences(new, replace(LOCK, spec=old)) == lines
