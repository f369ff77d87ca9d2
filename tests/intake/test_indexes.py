"""How indexes are called that a file knows by URL."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.errors import Location, SpecError
from envlock.intake.indexes import add_index

HERE = Location(file="requirements.txt", line=1, column=1)


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
    ],
)
def test_a_name_says_whose_it_is(url: str, name: str) -> None:
    assert add_index({}, url, HERE) == name


@pytest.mark.parametrize("url", ["not a url", "wheels.example.com/simple", "http://[x/simple", ""])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(SpecError, match="is no URL of an index") as caught:
        add_index({}, url, HERE)
    assert caught.value.where == "requirements.txt:1:1"


def test_no_two_have_one_name() -> None:
    indexes: dict[str, str] = {}
    urls = [f"https://wheels{n}.example.com/simple" for n in range(3)]
    assert [add_index(indexes, url, HERE) for url in urls] == ["example", "example-2", "example-3"]
    assert add_index(indexes, urls[1], HERE) == "example-2"
    assert list(indexes.values()) == urls


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_url_gets_a_name_that_a_spec_takes(host: str, path: str) -> None:
    try:
        name = add_index({}, f"https://{host}/{path}", HERE)
    except SpecError as error:
        assert "is no URL of an index" in error.message  # noqa: PT017
        return
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*", name)
    assert name != "pypi"
