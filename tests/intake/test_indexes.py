"""How indexes are called that a file knows by URL."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.intake.indexes import add_index


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://download.example.com/whl/cu124", "example-cu124"),
        ("https://download.example.com/whl/", "example"),
        ("https://pypi.example.com", "example"),
        ("https://pkgs.dev.example.com/org/_packaging/Team.Feed/pypi/simple/", "example-team-feed"),
        ("https://example.com/api/v4/projects/123/packages/pypi/simple", "example-123"),
        ("http://devpi:3141/root/pypi/+simple/", "devpi"),
        ("http://127.0.0.1:8080/simple", "extra"),
        ("http://[::1]/team/simple", "team"),
        ("file:///srv/wheels", "srv"),
        ("https://pypi.invalid/simple", "extra"),
        ("not a url", "not-a-url"),
    ],
)
def test_a_name_says_whose_it_is(url: str, name: str) -> None:
    assert add_index({}, url) == name


def test_no_two_have_one_name() -> None:
    indexes: dict[str, str] = {}
    urls = [f"https://wheels{n}.example.com/simple" for n in range(3)]
    assert [add_index(indexes, url) for url in urls] == ["example", "example-2", "example-3"]
    assert add_index(indexes, urls[1]) == "example-2"
    assert list(indexes.values()) == urls


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_url_gets_a_name_that_a_spec_takes(host: str, path: str) -> None:
    name = add_index({}, f"https://{host}/{path}".replace("[", "").replace("]", ""))
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*", name)
    assert name != "pypi"
