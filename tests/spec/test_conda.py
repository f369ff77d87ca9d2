"""The conda section of a spec: what is understood, and what is said of what is not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.errors import SpecError
from envlock.spec.projection import project

from .specs import HEAD, read

SECTION = """\
conda:
  channels: [conda-forge, {name: internal, url: "https://conda.example.com/internal/"}]
  channel-priority: flexible
  dependencies: ["python=3.11", "pytorch=2.4.*=*cuda*", "internal::scipy  >=1", "numpy 2.0.0"]
  constraints: ["cuda-version <13"]
  map: {py-opencv: OpenCV_python}
  link-scripts: {graphviz: run, fonts: skip}
overrides:
  - package: NumPy
    from: conda
    version: "==2.0.0"
    against: {scipy: "numpy >=1.26,<2.0a0", "Torch-Thing": "numpy 1.*|2.1.*"}
    because: it must
    adds: [libblas]
    until: scipy>=1.16
"""


def test_the_whole_section() -> None:
    spec = read(HEAD + SECTION)
    conda = spec.conda
    assert conda is not None
    assert [(c.name, c.url) for c in conda.channels] == [
        ("conda-forge", None),
        ("internal", "https://conda.example.com/internal"),
    ]
    asked = {a.name: (a.spec, a.bare, a.channel) for a in conda.dependencies}
    assert asked["scipy"] == ("internal::scipy >=1", "scipy >=1", "internal")
    assert asked["pytorch"] == ("pytorch=2.4.*=*cuda*", "pytorch=2.4.*=*cuda*", None)
    assert conda.map == {"py-opencv": "opencv-python"}
    assert conda.link_scripts == {"fonts": "skip", "graphviz": "run"}
    (override,) = spec.overrides
    assert (override.kind, override.package, override.version) == ("conda", "numpy", "2.0.0")
    assert override.claims == {"scipy": "numpy >=1.26,<2.0a0", "torch-thing": "numpy 1.*|2.1.*"}
    assert override.against == {}
    assert [a.name for a in override.conda_adds] == ["libblas"]
    assert override.conda_until == "scipy>=1.16"


@pytest.mark.parametrize(
    ("text", "channel", "subdir", "bare"),
    [
        ("internal::a 1", "internal", None, "a 1"),
        ("internal :: a", "internal", None, "a"),
        ("internal:a", "internal", None, "a"),
        ("internal/noarch::a", "internal", "noarch", "a"),
        ("our/linux-64/x::a", "our/linux-64/x", None, "a"),
        ("a[subdir=linux-64]", None, "linux-64", "a[subdir=linux-64]"),
        ("a=1[build=cuda*]", None, None, "a=1[build=cuda*]"),
        ("a >=1  # why", None, None, "a >=1 # why"),
    ],
)
def test_the_place_before_a_match_spec(
    text: str, channel: str | None, subdir: str | None, bare: str
) -> None:
    channels = '[internal, {name: our/linux-64/x, url: "https://conda.example.com/x"}]'
    spec = read(f"{HEAD}conda:\n  channels: {channels}\n  dependencies: ['{text}']\n")
    assert spec.conda is not None
    (asked,) = spec.conda.dependencies
    assert (asked.channel, asked.subdir, asked.bare, asked.name) == (channel, subdir, bare, "a")


def test_the_projection_has_names_and_no_urls() -> None:
    found = project(read(HEAD + SECTION), "linux-64")
    assert found["conda"] == {
        "channels": ["conda-forge", "internal"],
        "channel-priority": "flexible",
        "dependencies": [
            "internal::scipy >=1",
            "numpy 2.0.0",
            "python=3.11",
            "pytorch=2.4.*=*cuda*",
        ],
        "constraints": ["cuda-version <13"],
        "map": {"py-opencv": "opencv-python"},
        "link-scripts": {"fonts": "skip", "graphviz": "run"},
    }
    assert found["overrides"][0]["from"] == "conda"
    assert found["overrides"][0]["adds"] == ["libblas"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://conda.example.com/internal/", "https://elsewhere.example.com/x"),
        ("internal::scipy  >=1", "internal::scipy >=1"),
        ('"python=3.11", "pytorch=2.4.*=*cuda*"', '"pytorch=2.4.*=*cuda*", "python=3.11"'),
        ("OpenCV_python", "opencv-python"),
    ],
)
def test_what_does_not_make_a_lock_stale(one: str, other: str) -> None:
    assert one in SECTION
    changed = SECTION.replace(one, other)
    assert project(read(HEAD + changed), "linux-64") == project(read(HEAD + SECTION), "linux-64")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("[conda-forge, {", "[{"),
        ("flexible", "strict"),
        ("graphviz: run", "graphviz: skip"),
        ("cuda-version <13", "cuda-version <12"),
        ("    from: conda\n", ""),
        ("numpy 1.*|2.1.*", "numpy 1.*"),
        ("adds: [libblas]", "adds: [liblapack]"),
        ("until: scipy>=1.16", "until: scipy>=1.17"),
    ],
)
def test_what_makes_a_lock_stale(one: str, other: str) -> None:
    assert one in SECTION
    body = SECTION.replace("numpy 1.*|2.1.*", "numpy >=1") if one.endswith("conda\n") else SECTION
    body = body.replace("until: scipy>=1.16", "until: scipy>=1.16")
    changed = body.replace(one, other)
    assert project(read(HEAD + changed), "linux-64") != project(read(HEAD + body), "linux-64")


@pytest.mark.parametrize(
    ("one", "other", "message", "place"),
    [
        ("numpy 2.0.0", "numpy >==1", "is not a match spec: unable to parse version", "9:81"),
        ("numpy 2.0.0", "num*", "is not a match spec", "9:81"),
        ("numpy 2.0.0", "numpy[url='https://e.example.com/n']", "asked for by URL", "9:81"),
        ("numpy 2.0.0", "numpy[channel=foo]", "a channel only as channel::package", "9:81"),
        ("numpy 2.0.0", "python", "python is asked for twice", "9:81"),
        ("numpy 2.0.0", "__cuda >=12", "__cuda is a virtual package", "9:81"),
        ("numpy 2.0.0", "numpy <2", "numpy <2 excludes 2.0.0, which an override", "9:81"),
        ("internal::", "external::", "'external', which is not in conda.channels", "9:57"),
        ("[conda-forge, ", "[internal, ", "the channel internal stands twice", "7:24"),
        ("[conda-forge, ", '["a?b", ', "cannot be the name of a channel", "7:14"),
        ("[conda-forge, ", '["https://e.example.com/c", ', "is a URL, not a name", "7:14"),
        ("https://conda", "https://user:pass@conda", "carries a credential", "7:1"),
        ("com/internal/", "com/t/tk-123/internal", "carries a credential", "7:1"),
        ("flexible", "loose", "conda.channel-priority is 'loose'", "8:21"),
        ("{py-opencv:", "{../x:", "is no name of a conda package", "11:15"),
        ("==2.0.0", "==2.*", "does not name one version", "16:14"),
        ("numpy >=1.26,<2.0a0", "!!", "'!!' is not a match spec", "17:22"),
        ("until: scipy>=1.16", 'until: "!"', "'!' is not a match spec", "20:12"),
        ("graphviz: run", "graphviz: never", "conda.link-scripts.graphviz is 'never'", "12:28"),
        ("{graphviz:", "{../x:", "is no name of a conda package", "12:24"),
        ("from: conda", "from: apt", "overrides[0].from is 'apt'", "15:11"),
    ],
)
def test_errors_name_the_place(one: str, other: str, message: str, place: str) -> None:
    assert one in SECTION
    with pytest.raises(SpecError) as caught:
        read(HEAD + SECTION.replace(one, other))
    assert message in caught.value.message
    assert caught.value.where == f"envs/a.yaml:{place}"
    assert "pass" not in str(caught.value)
    assert "tk-123" not in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other", "hint"),
    [
        ("[conda-forge, ", "[defaults, ", "write pkgs/main, and pkgs/r"),
        ("[conda-forge, ", "[nodefaults, ", "no channel but those listed"),
        ("[conda-forge, ", "[local, ", 'url: "file:///path/to/conda-bld"'),
        ("[conda-forge, ", "[conda-forge/linux-64, ", "write conda-forge: the folders"),
        ("com/internal/", "com/internal/noarch/", "without its last part"),
        ("numpy 2.0.0", "pip:requests", "stands under pypi.dependencies"),
        ("numpy 2.0.0", "defaults::numpy", "write pkgs/main"),
        ("numpy 2.0.0", "numpy-2.0.0-py312_0.conda", "numpy=2.0.0=py312_0"),
        ("numpy 2.0.0", "numpy >=1.26 <3", "joined with commas: numpy >=1.26,<3"),
        ("numpy 2.0.0", "numpy>=1.26,numpy<3", "joined with commas"),
        ("numpy 2.0.0", "numpy[when='__cuda']", "asks the same of all its platforms"),
        ("[conda-forge, ", "[1.5, ", 'write it in quotes: "1.5"'),
        ("name: internal, ", "", "A channel: {name: internal"),
        ('"https://conda.example.com/internal/"', "ftp://a/b", "https://host/path"),
        ('"https://conda.example.com/internal/"', '"https:///b"', "https://host/path"),
        ('"numpy 2.0.0"', "{pip: [requests]}", "under pypi.dependencies"),
        ('"numpy 2.0.0"', '"requests[socks]>=2"', "extras are pip's"),
        ('["cuda-version <13"]', "cuda-version", "write constraints: [cuda-version]"),
        ("OpenCV_python", '"\\n"', "The name of a distribution"),
        ("channel-priority", "chanel-priority", "did you mean 'channel-priority'?"),
    ],
)
def test_errors_say_what_to_write(one: str, other: str, hint: str) -> None:
    assert one in SECTION
    with pytest.raises(SpecError) as caught:
        read(HEAD + SECTION.replace(one, other))
    assert hint in (caught.value.hint or "")
    assert (caught.value.where or "").startswith("envs/a.yaml:")


_specs = st.text(max_size=30) | st.text("abn_-.:=<>!*|,[]'\"() 0123456789/^$", max_size=30)


@given(_specs)
def test_any_text_is_a_match_spec_or_an_error(text: str) -> None:
    item = json.dumps(text)
    body = f"conda:\n  channels: [a]\n  dependencies:\n    - {item}\n"
    try:
        conda = read(HEAD + body).conda
    except SpecError:
        return
    assert conda is not None
    (asked,) = conda.dependencies
    assert asked.name
    assert not asked.name.startswith("__")
    assert asked.channel in (None, "a")


def test_channels_are_needed() -> None:
    with pytest.raises(SpecError, match="lacks the key 'channels'"):
        read(HEAD + "conda:\n  dependencies: [numpy]\n")


def test_overrides_of_both_kinds_may_share_a_name() -> None:
    body = SECTION + (
        '  - package: numpy\n    version: "==1.26.4"\n'
        '    against: {scipy: "numpy 1.* py311*"}\n    because: a wheel\n'
    )
    wheel = read(HEAD + body).overrides[1]
    assert (wheel.kind, wheel.against) == ("pypi", {})
    assert wheel.claims == {"scipy": "numpy 1.* py311*"}
    with pytest.raises(SpecError, match="numpy is overridden twice"):
        read(HEAD + body + body[body.index("  - package: numpy") :])


def test_match_specs_only_with_a_conda_section() -> None:
    body = (
        'overrides:\n  - package: numpy\n    version: "==1.26.4"\n'
        '    against: {scipy: "numpy 1.* py311*"}\n    because: a wheel\n'
    )
    with pytest.raises(SpecError, match="is not a requirement"):
        read(HEAD + body)
