from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from envlock.validate.report import as_data, as_lines
from envlock.validate.results import OverrideFacts, Report, Result
from envlock.validate.text import clean, last_lines

TRITON = OverrideFacts(
    package="triton",
    version="2.3.1",
    against=("torch 2.6.0: triton==3.2.0",),
    because="bitsandbytes 0.45.0 imports triton.ops",
)


def report(*results: Result) -> Report:
    return Report(
        name="bnb",
        platform="linux-64",
        image="sha256:0",
        overrides=(TRITON,),
        results=results,
        seconds=12.07,
    )


def test_reads_like_this() -> None:
    lines = as_lines(
        report(
            Result(kind="distributions", subject="42 distributions are it", status="passed"),
            Result(kind="version", subject="version is 2.3.1", status="passed", override="triton"),
            Result(
                kind="import",
                subject="import triton.ops",
                status="passed",
                seconds=0.42,
                override="triton",
            ),
            Result(kind="void", subject="a need not be voided", status="noted"),
            Result(kind="gpu", subject="python3 -c x", status="not-run", detail=("no GPU here",)),
        )
    )
    assert lines == [
        "Override triton 2.3.1 (against torch 2.6.0: triton==3.2.0)",
        "  because bitsandbytes 0.45.0 imports triton.ops",
        "  ok    version is 2.3.1",
        "  ok    import triton.ops                            0.4 s",
        "Environment",
        "  ok    42 distributions are it",
        "  note  a need not be voided",
        "  --    python3 -c x                                 not run: no GPU here",
        "Passed: 3 checks, 1 not run, in 12.1 s",
    ]


def test_failures_show_their_detail_and_nothing_else() -> None:
    failed = report(
        Result(
            kind="import",
            subject="import a",
            status="failed",
            detail=("Trace", "\x1b[31mNo\x1b[0m"),
        ),
    )
    assert not failed.ok
    assert as_lines(failed)[-4:] == [
        "  FAIL  import a",
        "          Trace",
        "          No",
        "Failed: 1 of 1 check, in 12.1 s",
    ]


def test_data_is_json() -> None:
    failed = report(Result(kind="run", subject="x", status="failed", seconds=1.23456))
    data = json.loads(json.dumps(as_data(failed)))
    assert data["ok"] is False
    assert data["results"][0]["seconds"] == 1.235
    assert data["overrides"][0]["against"] == ["torch 2.6.0: triton==3.2.0"]


def test_last_lines() -> None:
    output = b"one\n\n10%\r50%\r100%\n\x1b]0;title\x07red \x1b[1;31malert\x1b[0m\r\n\xff\n"
    assert last_lines(output, 3) == ("100%", "red alert", "\ufffd")
    assert last_lines(b"", 3) == ()


@given(st.text())
def test_clean_is_one_safe_line(text: str) -> None:
    line = clean(text)
    assert len(line) <= 300
    assert all(char.isprintable() or not char.isascii() for char in line)
    line.encode()
