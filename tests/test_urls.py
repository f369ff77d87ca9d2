"""What is kept out of every text, and that no text takes long."""

from __future__ import annotations

import time

import pytest

from envlock.urls import carries_secret, redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://anna:pw@example.com/simple", "https://****@example.com/simple"),
        ("at https://anna@example.com/ and x@y", "at https://****@example.com/ and x@y"),
        ("https://example.com/t/tk-1/main/noarch", "https://example.com/t/****/main/noarch"),
        ("https://a.example https://b.example/t/tk", "https://a.example https://b.example/t/****"),
        ("https://example.com/?a=1&X-Signature=s#f", "https://example.com/?a=1&X-Signature=****"),
        ("https://example.com/#access_token=s&b=2", "https://example.com/#access_token=****&b=2"),
    ],
)
def test_credentials(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert carries_secret(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://example.com/debian/pool/main/t/triton/triton_1.deb",
        "https://registry.example.com/v2/t/image/blobs/uploads/",
        "https://example.com/simple/?page=2",
        "token=1",
        "https://example.com/a@b",
    ],
)
def test_what_is_none(text: str) -> None:
    assert redact(text) == text
    assert not carries_secret(text)


@pytest.mark.parametrize("piece", ["?", "?token", "&#", "://", "://t/t/", "/t/", "://a@", "?key"])
def test_a_long_text_takes_no_longer_than_its_length_says(piece: str) -> None:
    """A name in an archive may have 64 KiB, and errors quote it."""
    begun = time.process_time()
    redact(f"https://{piece * (65536 // len(piece))}")
    assert time.process_time() - begun < 1
