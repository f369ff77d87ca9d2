"""Names of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.config import load_config
from envlock.errors import UsageError
from envlock.registry.open import Access
from envlock.registry.reference import is_loopback, parse_reference

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("registry.example.com/app", ("registry.example.com", "app", None, None)),
        ("r.example.com:5000/a/b_c/d--e:v1.0", ("r.example.com:5000", "a/b_c/d--e", "v1.0", None)),
        (f"localhost/app:T@{DIGEST}", ("localhost", "app", "T", DIGEST)),
        (f"[::1]:5000/app@{DIGEST}", ("[::1]:5000", "app", None, DIGEST)),
        ("docker.io/python:3.11", ("docker.io", "library/python", "3.11", None)),
        ("index.docker.io/nvidia/cuda", ("docker.io", "nvidia/cuda", None, None)),
    ],
)  # fmt: skip
def test_references(text: str, parts: tuple[str, str, str | None, str | None]) -> None:
    found = parse_reference(text)
    assert (found.registry, found.path, found.tag, found.digest) == parts
    assert parse_reference(str(found)) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nvidia/cuda:12", "docker.io/nvidia/cuda:12"),
        ("python", "docker.io/python"),
        ("", "does not begin with"),
        ("https://registry.example.com/app", "begins with https://"),
        ("docker://registry.example.com/app", "begins with docker://"),
        ("anna:secret@registry.example.com/app", "credential"),
        ("registry.example.com/App", "no repository"),
        ("registry.example.com/", "no repository"),
        ("registry.example.com//app", "no repository"),
        ("registry.example.com/../app", "no repository"),
        ("registry.example.com/app:", "no tag"),
        ("registry.example.com/app:a/b", "no tag"),
        ("registry.example.com/app@sha256:abc", "no digest"),
        ("registry.example.com/app@", "no digest"),
        ("reg_istry.example.com/app", "no host"),
    ],
)
def test_what_is_no_reference(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_reference(text)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


@given(st.text())
def test_anything_is_a_reference_or_an_error(text: str) -> None:
    try:
        found = parse_reference(text)
    except UsageError:
        return
    assert parse_reference(str(found)) == found
    assert ".." not in found.path.split("/")


@pytest.mark.parametrize(
    ("registry", "yes"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("127.0.0.1:5000", True),
        ("127.3.2.1", True),
        ("[::1]:5000", True),
        ("registry.localhost", True),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
    ],
)
def test_loopback(registry: str, yes: bool) -> None:
    assert is_loopback(registry) is yes


def test_where_dockers_registry_is() -> None:
    assert parse_reference("docker.io/python").host == "registry-1.docker.io"
    assert parse_reference("quay.io/a/b").host == "quay.io"


def test_plain_http_only_on_this_machine_or_when_asked() -> None:
    one = parse_reference("r.example.com:5000/app")

    def base(access: Access) -> str:
        return access.repository(one)._http.base

    assert base(Access()) == "https://r.example.com:5000"
    assert base(Access(insecure=frozenset({"r.example.com"}))) == "https://r.example.com:5000"
    assert base(Access(insecure=frozenset({"r.example.com:5000"}))) == "http://r.example.com:5000"
    assert base(Access(all_insecure=True)) == "http://r.example.com:5000"
    loopback = Access().repository(parse_reference("localhost:5000/app"))
    assert loopback._http.base == "http://localhost:5000"


def test_registries_without_https_are_configured(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('insecure-registries = ["a.example.com"]')
    environ = {"ENVLOCK_CONFIG": str(file)}
    assert load_config(environ).insecure_registries == {"a.example.com"}
    environ["ENVLOCK_INSECURE_REGISTRIES"] = "b.example.com c.example.com"
    assert load_config(environ).insecure_registries == {"b.example.com", "c.example.com"}
    file.write_text('insecure-registries = "a.example.com"')
    with pytest.raises(UsageError, match="list of hosts"):
        load_config(environ)
