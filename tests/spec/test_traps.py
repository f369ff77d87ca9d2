"""YAML's traps, files that are no specs, and secrets."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from envlock.errors import SpecError
from envlock.spec.document import MAX_BYTES, parse_document, read_document
from envlock.spec.parse import load_spec, parse_spec
from envlock.spec.schema import schema_text

from .specs import FULL, HEAD, SHOWN, read


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n"
            for a, b in zip("abcdefg", "bcdefgh", strict=True)
        ),
        "[" * 100 + "]" * 100,
        "{a: " * 100 + "1" + "}" * 100,
        "[" * 5000,
        "&a [*a]",
        "&a {k: *a}",
        "- " * 3000 + "x",
    ],
    ids=["alias bomb", "deep", "deep mapping", "never closed", "cycle", "cycle 2", "dashes"],
)
def test_no_growth_without_end(text: str) -> None:
    started = time.monotonic()
    with pytest.raises(SpecError):
        parse_document(text, SHOWN)
    assert time.monotonic() - started < 20


def test_anchors_may_be_used() -> None:
    spec = read(HEAD + "image: {env: {A: &v x, B: *v}}\n")
    assert spec.image.env == {"A": "x", "B": "x"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"# only a comment\n", "is empty"),
        (b"---\n...\n", "the spec must be a mapping, not empty"),
        (b"just text", "the spec must be a mapping, not 'just text'"),
        (b"- a\n", "the spec must be a mapping, not a list"),
        (b"version: 1\nname: \xff\n", "this is not UTF-8"),
        (HEAD.encode("utf-16"), "this is UTF-16"),
        (b"x" * (MAX_BYTES + 1), "is larger than 1024 KiB"),
    ],
)
def test_files_that_are_no_specs(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(data)
    with pytest.raises(SpecError) as caught:
        load_spec(path, SHOWN)
    assert message in str(caught.value)
    assert SHOWN in str(caught.value)


def test_not_utf8_is_placed(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"version: 1\nname: \xff\n")
    with pytest.raises(SpecError) as caught:
        load_spec(path, SHOWN)
    assert (caught.value.where or "").startswith("envs/a.yaml:2:")


def test_a_folder_is_no_spec(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot be read: Is a directory"):
        read_document(tmp_path, SHOWN)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_byte_order_mark_and_windows_lines(tmp_path: Path, newline: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + FULL.replace("\n", newline).encode())
    assert load_spec(path, SHOWN) == read(FULL)


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "true", "False", "y: n"])
def test_words_that_yaml_takes_for_truth(word: str) -> None:
    with pytest.raises(SpecError, match=r"to YAML, not a text|must be a text"):
        read(HEAD + f"description: {word}\n" if word != "y: n" else HEAD + "description: {y: n}\n")


@pytest.mark.parametrize(
    "number", ["1", "1.0", "0o17", "017", "0x1F", "1_000", "190:20:30", ".inf"]
)
def test_numbers_are_no_texts(number: str) -> None:
    if number == "0o17":  # a number to YAML 1.2 only
        assert read(HEAD + f"description: {number}\n").description == number
        return
    with pytest.raises(SpecError) as caught:
        read(HEAD + f"description: {number}\n")
    assert number in caught.value.message
    assert f'"{number}"' in (caught.value.hint or "")


def test_dates_stay_as_written() -> None:
    assert read(HEAD + "description: 2025-10-12\n").description == "2025-10-12"


SECRET = "hunter2"
CARRIERS = {
    "userinfo": "indexes: {a: 'https://user:hunter2@example.com/simple'}",
    "userinfo with an at": "indexes: {a: 'https://user:x@hunter2@example.com/simple'}",
    "token as user": "indexes: {a: 'https://hunter2@example.com/simple'}",
    "in a table": "indexes: {a: {url: 'https://user:hunter2@example.com/simple'}}",
    "conda token": "indexes: {a: 'https://example.com/t/hunter2/simple'}",
    "conda token at the end": "indexes: {a: 'https://example.com/t/hunter2'}",
    "query": "indexes: {a: 'https://example.com/simple?access_token=hunter2'}",
    "fragment": "indexes: {a: 'https://example.com/simple#token=hunter2'}",
    "another scheme": "indexes: {a: 'ftp://user:hunter2@example.com/simple'}",
    "upper case scheme": "indexes: {a: 'HTTPS://user:hunter2@example.com/simple'}",
    "requirement by URL": "pypi: {dependencies: ['x @ https://user:hunter2@example.com/x.whl']}",
    "not a requirement": "pypi: {dependencies: ['https://user:hunter2@example.com/x.whl']}",
    "find-links": "pypi: {dependencies: ['--index-url https://user:hunter2@example.com/']}",
    "unknown key beside": "indexes: {a: {url: 'https://user:hunter2@example.com/', urk: 1}}",
    "unknown key": "index-url: https://user:hunter2@example.com/",
    "as a name": "indexes: {'https://user:hunter2@example.com/': x}",
    "broken YAML": "indexes: {a: 'https://user:hunter2@example.com/' : ]}",
    "broken host": "indexes: {a: 'https://user:hunter2@[example.com/'}",
    "duplicate": "image: {user: 'https://user:hunter2@example.com', user: x}",
    "in a pin": "overrides: [{package: a, version: ==1, because: x, "
    "against: {b: 'a @ https://user:hunter2@example.com/a'}}]",
}


@pytest.mark.parametrize("line", CARRIERS.values(), ids=CARRIERS.keys())
def test_a_secret_is_refused_and_not_repeated(line: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(HEAD + line + "\n")
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.details)


def test_a_url_without_secret_is_quoted() -> None:
    spec = read(HEAD + "indexes: {a: 'https://example.com/simple?keyboard'}\n")
    assert spec.indexes[0].url == "https://example.com/simple?keyboard"


def _settle(text: str) -> None:
    try:
        parse_spec(parse_document(text, SHOWN), SHOWN)
    except SpecError as error:
        str(error)


@given(st.text())
@example("%YAML 9.9\n---\n")
@example("!<!> x")
@example("? ")
@example("- !!int x")
@example("!!float x")
@example("\ud800")
@example("a: !!timestamp x\n")
@example("\x85a: \u2028 [")
def test_any_text_parses_or_is_a_spec_error(text: str) -> None:
    _settle(text)


_WORDS = st.one_of(
    st.sampled_from(sorted(set(FULL.replace(",", " ").split()))),
    st.sampled_from(
        ["{", "}", "[", "]", ": ", "- ", "\n", "\n  ", "&a ", "*a", "!!str ", "'", '"']
    ),
    st.text(max_size=3),
)


@given(st.lists(_WORDS, max_size=30).map(" ".join))
def test_any_words_parse_or_are_a_spec_error(text: str) -> None:
    _settle(text)


@given(st.data())
def test_a_changed_spec_parses_or_is_a_spec_error(data: st.DataObject) -> None:
    lines = FULL.splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        how = data.draw(st.integers(0, 3))
        if how == 0:
            lines[at] = data.draw(st.text(max_size=8)) + lines[at]
        elif how == 1:
            del lines[at]
        elif how == 2:
            key = lines[at].partition(":")[0]
            lines[at] = (
                f"{key}: {data.draw(st.one_of(st.text(max_size=8), st.sampled_from(_VALUES)))}"
            )
        else:
            lines[at] = lines[data.draw(st.integers(0, len(lines) - 1))]
        if not lines:
            break
    _settle("\n".join(lines))


_VALUES = [
    "null",
    "[]",
    "{}",
    "1",
    "-1.5",
    "true",
    "''",
    '"\\0"',
    '"\\ud83d"',
    "[[]]",
    "{a: 1}",
    "https://[",
    "==1",
    "a @ b",
    "x[y]; python_version<'4'",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59",
]


@settings(max_examples=60)
@given(st.sampled_from(range(len(FULL.splitlines()))), st.sampled_from(_VALUES))
def test_any_value_at_any_key(at: int, value: str) -> None:
    lines = FULL.splitlines()
    key = lines[at].partition(":")[0]
    lines[at] = f"{key}: {value}"
    _settle("\n".join(lines))


def test_the_schema_is_one() -> None:
    import json

    from jsonschema import Draft202012Validator

    schema = json.loads(schema_text())
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_specs_of_this_project_follow_the_schema() -> None:
    for path in sorted((Path(__file__).parents[2] / "envs").glob("*.yaml")):
        assert load_spec(path).name == path.stem
