"""Each way to be wrong: the place, the quoted line with its caret, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from envlock.errors import SpecError
from envlock.spec.parse import load_spec
from envlock.spec.projection import project

from .specs import FULL, HEAD, read

if TYPE_CHECKING:
    from pathlib import Path

OVERRIDE = """\
overrides:
  - package: triton
    version: "==2.3.1"
    against: {torch: "triton==3.2.0"}
    because: it must
"""

# what is added to HEAD (it begins in line 6), line:column, part of message, part of hint
ADDED = {
    "a reason that is missing": (
        OVERRIDE.replace("    because: it must\n", ""),
        "7:5",
        "overrides[0] lacks the key 'because'",
        "because: Why the version has to be forced",
    ),
    "a twisted comparison": (
        "pypi: {dependencies: ['numpy=>1,=<2']}\n",
        "6:23",
        "'numpy=>1,=<2' is not a requirement",
        'did you mean "numpy>=1,<=2"?',
    ),
    "a comparison as conda writes it": (
        "pypi: {dependencies: ['numpy=1.26']}\n",
        "6:23",
        "'numpy=1.26' is not a requirement",
        'did you mean "numpy==1.26"?',
    ),
    "a colon in a text": (
        "description: a: b\n",
        "6:15",
        "not valid YAML",
        "a text with a colon needs quotes",
    ),
    "unknown key": ("debain: {}\n", "6:1", "unknown key 'debain'", "did you mean 'debian'"),
    "a section as others call it": ("pip: [a]\n", "6:1", "unknown key 'pip'", "mean 'pypi'"),
    "a key that lies deeper": ("env: {A: b}\n", "6:1", "unknown key 'env'", "mean 'image.env'"),
    "unknown key, nothing near": ("zzz: 1\n", "6:1", "unknown key 'zzz'", "known keys: version"),
    "unknown key inside": (
        "image: {comand: [a]}\n",
        "6:9",
        "unknown key 'comand' in image",
        "did you mean 'command'",
    ),
    "a number for a text": (
        "description: 3.10\n",
        "6:14",
        "3.10 is the number 3.1 to YAML, not a text",
        'write it in quotes: description: "3.10"',
    ),
    "a bool for a text": (
        "image: {env: {DEBUG: yes}}\n",
        "6:22",
        "yes is true or false to YAML, not a text",
        '"yes"',
    ),
    "a text for a list": (
        "checks: torch\n",
        "6:9",
        "checks must be a list, not 'torch'",
        "",
    ),
    "a command as sh has it": (
        "checks: [{run: python3 -c 'import a'}]\n",
        "6:16",
        "checks[0].run must be a list, not \"python3 -c 'import a'\"",
        "write run: [python3, -c, import a]",
    ),
    "a command whose quote does not end": (
        'checks: [{run: "echo \'a"}]\n',
        "6:16",
        "checks[0].run must be a list",
        "",
    ),
    "a text for a list of texts": (
        "pypi: {dependencies: numpy>=1}\n",
        "6:22",
        "pypi.dependencies must be a list, not 'numpy>=1'",
        "write dependencies: [numpy>=1]",
    ),
    "nothing for a mapping": (
        "pypi:\n",
        "6:6",
        "pypi is empty",
        "remove the key or write a mapping",
    ),
    "a list for a mapping": ("image: []\n", "6:8", "image must be a mapping, not a list", ""),
    "missing key": (
        "debian:\n  suite: bookworm\n",
        "6:1",
        "debian lacks the key 'packages'",
        None,
    ),
    "no such name": (
        "indexes: {pypi: https://example.com}\n",
        "6:11",
        "'pypi' cannot be used as a name in indexes",
        None,
    ),
    "pattern": (
        "exclude-newer: 2025-10-12\n",
        "6:16",
        "'2025-10-12' is not understood",
        "2025-10-12T00:00:00Z",
    ),
    "moment": (
        "exclude-newer: 2025-13-12T00:00:00Z\n",
        "6:16",
        "2025-13-12T00:00:00Z is not a moment",
        None,
    ),
    "a moment after all time": (
        "exclude-newer: 9999-12-31T23:59:59-23:59\n",
        "6:16",
        "is not a moment",
        None,
    ),
    "too many layers": ("image: {layers: {budget: 500}}\n", "6:26", "500", None),
    "a layer of no size": (
        "image: {layers: {max-size: lots}}\n",
        "6:28",
        "'lots' is not understood",
        "9.5GB",
    ),
    "half a layer": ("image: {layers: {budget: 2.5}}\n", "6:26", "must be a whole number", None),
    "layers as a float": (
        "image: {layers: {budget: 40.0}}\n",
        "6:26",
        "must be a whole number",
        None,
    ),
    "layers with an underscore": (
        "image: {layers: {budget: 4_0}}\n",
        "6:26",
        "must be a whole number, not 4_0",
        None,
    ),
    "a huge number": (
        f"image: {{layers: {{budget: {'9' * 60}}}}}\n",
        "6:26",
        "must be a whole number, not 999999",
        None,
    ),
    "not a requirement": (
        "pypi:\n  dependencies:\n    - torch => 2\n",
        "8:7",
        "'torch => 2' is not a requirement",
        'did you mean "torch >= 2"?',
    ),
    "a requirement by its path": (
        "pypi:\n  dependencies: [./wheels/x-1.0-py3-none-any.whl]\n",
        "7:18",
        "is not a requirement",
        "in the project is one, too: {ours: ./wheels}",
    ),
    "an index by another path": (
        "indexes: {ours: wheels}\n",
        "6:17",
        "indexes.ours: 'wheels' is not understood",
        "or a folder of wheels in the project: ./wheels",
    ),
    "a requirement by URL": (
        "pypi:\n  dependencies: [x @ https://example.com/x.whl]\n",
        "7:18",
        "x is asked for by URL",
        "free of hosts",
    ),
    "twice": (
        "pypi:\n  dependencies:\n    - torch>1\n    - Torch<3\n",
        "9:7",
        "Torch is asked for twice",
        "line 8",
    ),
    "asked for and excluded": (
        "pypi:\n  dependencies: [a_b]\n  exclude: [A-B]\n",
        "7:18",
        "a_b is asked for and excluded",
        "remove it",
    ),
    "Debian: asked for and excluded": (
        "debian: {suite: bookworm, packages: [gcc], exclude: [gcc]}\n",
        "6:53",
        "gcc is asked for and excluded",
        "remove it",
    ),
    "Debian: a path with dots": (
        "debian:\n  suite: b\n  packages: [gcc]\n  alternatives: {/usr/bin/../cc: /usr/bin/gcc}\n",
        "9:34",
        "'/usr/bin/../cc' is not in its normal form",
        "write /usr/cc",
    ),
    "Debian: no package": (
        "debian: {suite: bookworm, packages: []}\n",
        "6:37",
        "debian.packages",
        None,
    ),
    "taken from two indexes": (
        (
            "indexes:\n  a: {url: https://example.com/a, packages: [x]}\n"
            "  b: {url: https://example.com/b, packages: [X]}\n"
        ),
        "8:6",
        "x is taken from two indexes, a and b",
        "one index",
    ),
    "undated for all that an index has": (
        "indexes:\n  a: {url: https://example.com/a, exclude-newer: false}\n",
        "7:6",
        "exclude-newer is set aside for all that the index 'a' may have",
        "packages: [a, b]",
    ),
    "an index with a moment of its own": (
        "indexes:\n  a: {url: https://example.com/a, packages: [x], exclude-newer: true}\n",
        "7:65",
        "indexes.a",
        None,
    ),
    "index of another scheme": (
        "indexes: {a: ftp://example.com}\n",
        "6:14",
        "ftp://example.com",
        None,
    ),
    "index that is no URL": ("indexes: {a: 'http://[x'}\n", "6:14", "is not a URL", None),
    "a credential": (
        "indexes:\n  a: https://user:hunter2@example.com/simple\n",
        "7:1",
        "carries a credential",
        "netrc",
    ),
    "unknown check": ("checks: [{imports: x}]\n", "6:11", "unknown key 'imports'", "'import'"),
    "two checks in one": (
        "checks:\n  - import: a\n    run: [b]\n",
        "7:5",
        "checks[0]",
        None,
    ),
    "no module": (
        "checks: [{import: a-b}]\n",
        "6:19",
        "'a-b' is not understood",
        "import statement",
    ),
    "an empty command": ("checks: [{run: []}]\n", "6:16", "checks[0].run", None),
    "version outside of an override": (
        "checks:\n  - version: 1.0.0\n",
        "7:5",
        "version: is a check of an override",
        "use import:",
    ),
    "override without a reason": (
        OVERRIDE.replace("    because: it must\n", ""),
        "7:5",
        "overrides[0] lacks the key 'because'",
        None,
    ),
    "override without all that it needs": (
        "overrides: [{package: triton, version: ==2.3.1}]\n",
        "6:13",
        "overrides[0] lacks the keys 'against' and 'because'",
        "because: Why the version has to be forced",
    ),
    "override of no exact version": (
        OVERRIDE.replace("==2.3.1", ">=2.3.1"),
        "8:14",
        "'>=2.3.1' is not understood",
        '"==2.3.1"',
    ),
    "override of many versions": (
        OVERRIDE.replace("==2.3.1", "==2.3.*"),
        "8:14",
        "'==2.3.*' does not name one version",
        '"==2.3.1"',
    ),
    "override against nobody": (
        OVERRIDE.replace('{torch: "triton==3.2.0"}', "{}"),
        "9:14",
        "overrides[0].against",
        "Whose pin is voided",
    ),
    "override against a pin of another": (
        OVERRIDE.replace("triton==3.2.0", "numpy==1"),
        "9:22",
        "the override of triton is against a pin of numpy",
        "what torch requires of triton",
    ),
    "override against one under two names": (
        OVERRIDE.replace('{torch: "triton==3.2.0"}', "{a-b: triton<1, A_B: triton<2}"),
        "9:35",
        "A_B stands twice",
        None,
    ),
    "overridden twice": (
        OVERRIDE + OVERRIDE.replace("overrides:\n", "").replace("triton\n", "Triton\n"),
        "11:5",
        "triton is overridden twice",
        "line 7",
    ),
    "overridden and constrained": (
        OVERRIDE + "pypi: {constraints: ['triton>3']}\n",
        "11:22",
        "triton>3 excludes 2.3.1, which an override forces",
        "line 7",
    ),
    "overridden and excluded": (
        OVERRIDE + "pypi: {exclude: [triton]}\n",
        "7:5",
        "triton is overridden and excluded",
        None,
    ),
    "not YAML": ("image: {env: [}\n", "6:15", "not valid YAML", None),
    "a tab": ("image:\n\tenv: {}\n", "7:1", "not valid YAML", "write them in place of the tab"),
    "a control character": ("image: '\x07'\n", "6:9", "control character", None),
    "an escaped NUL": ('description: "a\\0b"\n', "6:14", "control character", None),
    "an escaped surrogate": ('description: "\\ud800"\n', "6:14", "surrogate", None),
    "an undefined alias": ("image: *nothing\n", "6:8", "undefined alias", None),
    "duplicate key": ("python: '3.12'\n", "6:1", "the key 'python' stands twice", "line 5"),
    "duplicate key inside": ("image: {user: a, user: b}\n", "6:18", "'user' stands twice", "6"),
    "merge key": (
        "image: &a {user: x}\ndebian: {<<: *a}\n",
        "7:10",
        "merge keys",
        None,
    ),
    "complex key": ("? [a, b]\n: c\n", "6:3", "a key must be a plain word", None),
    "Python tag": (
        "image: !!python/object/apply:os.system [ls]\n",
        "6:8",
        "not allowed",
        None,
    ),
    "Python name": ("description: !!python/name:os.system x\n", "6:14", "not allowed", None),
    "Python key": ("!!python/name:os.system : x\n", "6:1", "not allowed", None),
    "binary": ("description: !!binary aGk=\n", "6:14", "not allowed", None),
    "set": ("image: !!set {a, b}\n", "6:8", "not allowed", None),
    "own tag": ("image: !mine {}\n", "6:8", "not allowed", None),
    "two documents": ("---\nname: b\n", "6:1", "not valid YAML", None),
}


@pytest.mark.parametrize("case", ADDED.values(), ids=ADDED.keys())
def test_place_and_advice(case: tuple[str, str, str, str | None]) -> None:
    added, place, message, hint = case
    text = HEAD + added
    with pytest.raises(SpecError) as caught:
        read(text)
    error = caught.value
    shown = str(error)
    print(shown)
    assert message in error.message
    assert error.where == f"envs/a.yaml:{place}"
    assert hint is None or hint in (error.hint or "")
    if "carries a credential" in message:
        return  # that line is not quoted
    line, column = (int(part) for part in place.split(":"))
    assert error.details[0].startswith(f"{line} | ")
    if "\x07" not in added:
        assert error.details[0] == f"{line} | {text.splitlines()[line - 1]}"
    assert error.details[1].index("^") == error.details[0].index("|") + 1 + column


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("version: 1", "the spec lacks the key 'version'", "Version of this format"),
        ("name: a", "the spec lacks the key 'name'", "envs/<name>.yaml"),
        ('python: "3.11"', "the spec lacks the key 'python'", "in quotes"),
    ],
)
def test_missing_at_the_top(line: str, message: str, hint: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(HEAD.replace(line + "\n", ""))
    assert caught.value.message == message
    assert hint in (caught.value.hint or "")
    assert caught.value.where == "envs/a.yaml:1:1"


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        ("version: 1", "version: 2", "1:10", "version is 2"),
        ("version: 1", "version: 0x1", "1:10", "version is 0x1"),
        ("version: 1", 'version: "1"', "1:10", "version is '1'"),
        ("name: a", "name: A", "2:7", "name: 'A' is not understood"),
        ("name: a", 'name: "a\\n"', "2:7", "is not understood"),
        ("name: a", "name: ../a", "2:7", "'../a' is not understood"),
        ("linux-64", "linux-65", "4:3", "'linux-65' is not known here"),
        ('{glibc: "2.36"}', "{glibc: 2.36}", "4:21", "2.36 is the number 2.36 to YAML"),
        ('{glibc: "2.36"}', "{}", "4:3", "lacks the key 'glibc'"),
        ('"3.11"', "3.10", "5:9", "3.10 is the number 3.1 to YAML"),
        ('"3.11"', '"3.11\\n"', "5:9", "is not understood"),
        ('"3.11"', '"3"', "5:9", "'3' is not understood"),
        ('"3.11"', "", "5:8", "python is empty"),
    ],
)
def test_the_head(old: str, new: str, place: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(HEAD.replace(old, new))
    assert message in caught.value.message
    assert caught.value.where == f"envs/a.yaml:{place}"


def test_a_problem_is_told_once() -> None:
    with pytest.raises(SpecError) as caught:
        read(HEAD + "overrides: [{package: triton, version: ==2.3.1}]\n")
    assert not [line for line in caught.value.details if "also" in line]


def test_more_than_one_problem_is_told() -> None:
    with pytest.raises(SpecError) as caught:
        read(HEAD + "one: 1\ntwo: 2\nimage: {layers: {budget: 1}}\n")
    assert "unknown key 'one'" in caught.value.message
    assert any("also envs/a.yaml:8:26" in line for line in caught.value.details)


def test_a_long_line_is_not_quoted_whole() -> None:
    with pytest.raises(SpecError) as caught:
        read(HEAD + f"description: {'x' * 5000}\n")
    assert max(len(line) for line in str(caught.value).splitlines()) < 400


def test_the_caret_of_a_long_line_is_under_its_place() -> None:
    with pytest.raises(SpecError) as caught:
        read(HEAD + f"image: {{user: {'x' * 300}, zzz: 1}}\n")
    quoted, caret = caught.value.details[:2]
    assert len(quoted) < 200
    assert quoted[caret.index("^") :].startswith("zzz")


def test_the_file_names_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "b.yaml"
    path.write_text(HEAD)
    with pytest.raises(SpecError) as caught:
        load_spec(path, "envs/b.yaml")
    assert caught.value.where == "envs/b.yaml:2:7"
    assert "rename the file to a.yaml" in (caught.value.hint or "")


def test_all_there_is(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(FULL)
    spec = load_spec(path)
    assert [target.name for target in spec.targets] == ["linux-64", "linux-aarch64"]
    assert spec.exclude_newer is not None
    assert spec.exclude_newer.isoformat() == "2025-10-12T00:00:00+00:00"
    assert spec.indexes[1].packages == ("inner", "outer")
    (override,) = spec.overrides
    assert {name: str(pin) for name, pin in override.against.items()} == {
        "other": "triton>=3",
        "torch": "triton==3.2.0",
    }
    assert [check.plain() for check in override.checks] == [
        {"version": "2.3.1"},
        {"import": "triton.ops"},
    ]
    assert spec.image.budget == 40


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-10-12T02:00:00+02:00", "2025-10-12T00:00:00+00:00"),
        ("2025-10-12 00:00:00z", "2025-10-12T00:00:00+00:00"),
        ('"2025-10-12T00:00:00.5Z"', "2025-10-12T00:00:00.500000+00:00"),
    ],
)
def test_moments(text: str, moment: str) -> None:
    newest = read(HEAD + f"exclude-newer: {text}\n").exclude_newer
    assert newest is not None
    assert newest.isoformat() == moment


@pytest.mark.parametrize(
    ("added", "hint"),
    [
        ("image: {layers: {budget: 1}}\n", "write a number from 2 to 120"),
        ("image: {layers: {budget: 500}}\n", "write a number from 2 to 120"),
        ("image: {command: []}\n", "write at least one item"),
        ("image: {command: ['']}\n", "write at least one character"),
        (f"description: {'x' * 501}\n", "write at most 500 characters"),
        (
            "debian: {suite: bookworm, packages: [gcc, gcc]}\n",
            "'gcc' stands there twice: remove one",
        ),
        ("image:\n", "remove the key or write a mapping"),
        ("pypi: {dependencies: [numpy, ]}\nchecks:\n  -\n", "remove the item or write a mapping"),
        ("debian: {suite: , packages: [gcc]}\n", "write a text (Codename, such as bookworm)"),
        ("checks: [{imports: x}]\n", "did you mean 'import'?"),
        ("checks: [{zzz: x}]\n", "A check has one of version, import, run, gpu."),
        ("checks: [{}]\n", "A check has one of version, import, run, gpu."),
        (
            "checks: [{import: x, run: [y]}]\n",
            "A check has one of version, import, run, gpu.",
        ),
    ],
)
def test_hints_say_what_to_write(added: str, hint: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(HEAD + added)
    assert (caught.value.hint or "").startswith(hint)


ACCEPTS = """\
accepts: [{line}]
checks:
  - gpu: torch-compile
  - run: [python3, -c, "import x"]
  - import: torch
"""


@pytest.mark.parametrize(
    "line",
    ["torch-compile fails", "import torch fails", "run python3 -c 'import x' fails", "a needs b"],
)
def test_what_a_spec_may_accept(line: str) -> None:
    spec = read(HEAD + ACCEPTS.format(line=line))
    assert [accepted.pattern for accepted in spec.accepts] == [line]
    assert spec.checks[0].plain() == {"gpu": "torch-compile"}
    assert project(spec, "linux-64")["accepts"] == [line]


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("torch-compile fail", "is not understood", '"CHECK fails"'),
        (
            "torch-compil fails",
            "names a check that is not asked for",
            "did you mean torch-compile?",
        ),
        (
            "triton-kernel-x fails",
            "names a check that is not asked for",
            "checks that can be named",
        ),
        ("run 'x fails", "No closing quotation", "WHO needs WHAT"),
    ],
)
def test_what_it_may_not(line: str, message: str, hint: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        read(HEAD + ACCEPTS.format(line=line))
    assert caught.value.where == "envs/a.yaml:6:11"
    assert hint in (caught.value.hint or "")


def test_an_overrides_line_names_its_own_checks_or_the_environments() -> None:
    accepted = FULL.replace(
        "[one needs thing, other needs thing]", "[import triton.ops fails, import torch fails]"
    )
    assert read(accepted).overrides[0].accepts[0].pattern == "import triton.ops fails"
    with pytest.raises(SpecError, match="not asked for"):
        read(accepted.replace("import torch fails", "torch-cuda fails"))


def test_a_ready_made_check_that_is_none() -> None:
    with pytest.raises(SpecError) as caught:
        read(HEAD + "checks:\n  - gpu: torch-compil\n")
    assert caught.value.where == "envs/a.yaml:7:10"
    assert "torch-compile" in str(caught.value)
