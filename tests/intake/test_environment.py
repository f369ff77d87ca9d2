"""``init --from environment.yml``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from envlock.errors import EnvlockError

from .drafting import asked, draft, notes, spec_of

if TYPE_CHECKING:
    from pathlib import Path

FILE = "environment.yml"
WHOLE = """\
name: Vision Lab
channels: [https://conda.example.com/internal, conda-forge, nodefaults]
dependencies:
  - python=3.12.4
  - numpy
  - numpy >=1.26, <3
  - pytorch=2.4.*=*cuda*
  - bioconda::samtools
  - libgcc      # [linux]
  - pywin32     # [win]
  - libaio      # [not osx]
  - cupy        # [cuda]
  - __cuda
  - https://conda.example.com/x/linux-64/a-1-0.conda
  - pip:
      - fastapi[all]>=0.1 ; python_version < "4"
      - colorama    # [win]
      - -e .
      - git+https://me:s3cret@git.example.com/a.git
      - --extra-index-url https://me:s3cret@index.example.com/simple
prefix: /home/someone/envs/x
variables:
  OMP_NUM_THREADS: 1
  FLAG: yes
  PLACE: https://me:s3cret@example.com/x
platforms: [linux-64, osx-arm64]
"""


def test_what_is_carried_over(tmp_path: Path) -> None:
    found = draft(tmp_path, FILE, WHOLE)
    spec = spec_of(found)
    assert found.name == "Vision Lab"
    assert spec.python == "3.12"
    assert [target.name for target in spec.targets] == ["linux-64"]
    assert spec.conda is not None
    assert [(one.name, one.url) for one in spec.conda.channels] == [
        ("internal", "https://conda.example.com/internal"),
        ("conda-forge", None),
        ("bioconda", None),
    ]
    assert asked(spec) == (
        [
            "python=3.12.4",
            "numpy >=1.26, <3",
            "pytorch=2.4.*=*cuda*",
            "bioconda::samtools",
            "libgcc",
            "libaio",
            "cupy",
        ],
        ['fastapi[all]>=0.1; python_version < "4"'],
    )
    assert spec.image.env == {"OMP_NUM_THREADS": "1", "FLAG": "yes"}
    assert spec.debian is not None
    assert spec.debian.packages == ("ca-certificates",)


def test_what_is_not_is_told_with_its_place(tmp_path: Path) -> None:
    found = notes(draft(tmp_path, FILE, WHOLE))
    assert not [note for note in found if "s3cret" in note]
    told = {note.split(" ", 1)[0].split(":")[1]: note.split(" ", 1)[1] for note in found}
    assert told == {
        "8": "the channel bioconda comes last, since channels: lacks it",
        "10": "not for linux-64: [win]",
        "12": "the selector [cuda] is not understood; the line is taken",
        "13": "__cuda: virtual packages stand under platforms in a spec",
        "14": "https://conda.example.com/x/linux-64/a-1-0.conda: a package is asked for by name, "
        "not by URL",
        "17": "not for linux-64: [win]",
        "18": "-e .: it is no name of a package",
        "19": "git+https://****@git.example.com/a.git: it is no name of a package",
        "20": "--extra-index-url https://****@index.example.com/simple: an index stands under "
        "indexes:, and its credential is the machine's: netrc, a keyring or config.toml",
        "21": "prefix: an environment's folder is /opt/env",
        "25": "the variable PLACE has a credential in it: give it to the container when it starts",
        "26": "the platform osx-arm64 is not one that envlock builds for",
    }


def test_files_of_pip_and_places_in_channels(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "requirements.txt").write_text("app>=1\n-r more.txt\n")
    (tmp_path / "sub" / "more.txt").write_text("tool\n")
    (tmp_path / "pins.txt").write_text("attrs<26\n")
    text = """\
channels: [conda-forge, "https://conda.example.com/our-own/linux-64/"]
dependencies:
  - conda-forge/noarch::zlib=1.3
  - defaults::numpy
  - defaults::pandas
  - pip: [-r sub/requirements.txt, -c pins.txt]
"""
    found = draft(tmp_path, FILE, text)
    spec = spec_of(found)
    assert spec.conda is not None
    assert [(one.name, one.url) for one in spec.conda.channels] == [
        ("conda-forge", None),
        ("our-own", "https://conda.example.com/our-own"),
        ("pkgs/main", None),
        ("pkgs/r", None),
    ]
    assert [one.spec for one in spec.conda.dependencies][1:] == [
        "conda-forge/noarch::zlib=1.3",
        "pkgs/main::numpy",
        "pkgs/main::pandas",
    ]
    assert [str(one.requirement) for one in spec.pypi.dependencies] == ["app>=1", "tool"]
    assert [item.text for item in found.pypi_constraints] == ["attrs<26"]
    assert notes(found).count(
        "environment.yml:4:5: the channel pkgs/main comes last, since channels: lacks it"
    ) == 1  # fmt: skip


def test_what_pip_is_told_besides(tmp_path: Path) -> None:
    """As in a requirements.txt, which is what conda makes of the list."""
    text = """\
channels: [conda-forge]
dependencies:
  - python=3.11
  - pip:
    - --extra-index-url=https://wheels.example.com/cu118
    - torch==2.1.0+cu118
    - flash-attn>=2 --no-build-isolation
    - tool==1 --hash=sha256:aa --hash=sha256:bb
    - --find-links https://wheels.example.com/list.html
    - --pre
    - --no-deps
"""
    found = draft(tmp_path, FILE, text)
    spec = spec_of(found)
    assert asked(spec)[1] == ["torch==2.1.0+cu118", "flash-attn>=2", "tool==1"]
    assert [index.url for index in spec.indexes] == ["https://wheels.example.com/cu118"]
    assert [note.partition(": ")[2] for note in notes(found)][1:] == [
        "--no-build-isolation: it is about builds, and only wheels are installed",
        "hashes are left to the lock, which has its own",
        (
            "--find-links https://wheels.example.com/list.html: wheels come from indexes: name one "
            "under indexes:"
        ),
        "--pre: a pre-release is asked for by its version: name==2.0rc1",
        "--no-deps: an option of pip's for which a spec has no word",
    ]


def test_selectors(tmp_path: Path) -> None:
    text = """\
channels: [conda-forge]
dependencies:
  - python=3.11
  - a   # [linux and not aarch64]
  - b   # [osx or win]
  - c   # [not (osx or win)]
  - d   # [unix and x86_64]
  - e   # [py==27]
  - sel(linux): f
  - sel(osx): g
"""
    found = draft(tmp_path, FILE, text)
    assert asked(spec_of(found))[0] == ["python=3.11", "a", "c", "d", "e", "f"]
    assert notes(found) == [
        "environment.yml:5:5: not for linux-64: [osx or win]",
        "environment.yml:8:5: the selector [py==27] is not understood; the line is taken",
        "environment.yml:10:15: not for linux-64: [osx]",
    ]


@pytest.mark.parametrize(
    ("lines", "cuda"),
    [
        (["cuda-version=12.4"], "12.4"),
        (["cuda-version 12.4.*"], "12.4"),
        (["cudatoolkit==11.8.0"], "11.8"),
        (["pytorch-cuda=11.8", "__cuda>=12"], "12.0"),
        (["cuda-version<12.4"], None),
        (["cuda-version", "cuda-nvcc=12.4"], None),
    ],
)
def test_the_cuda_of_what_is_asked_for(tmp_path: Path, lines: list[str], cuda: str | None) -> None:
    text = "channels: [nvidia]\ndependencies:\n  - python=3.11\n"
    text += "".join(f"  - {line}\n" for line in lines)
    (target,) = spec_of(draft(tmp_path, FILE, text)).targets
    assert target.cuda == cuda


def test_variables(tmp_path: Path) -> None:
    text = """\
channels: [conda-forge]
dependencies: [python=3.8]
variables:
  HF_TOKEN: hf_s3cret
  DB_PASSWORD: s3cret
  TOKENIZERS_PARALLELISM: false
  PLACE: $HOME/x
"""
    found = draft(tmp_path, FILE, text)
    spec = spec_of(found)
    assert spec.python == "3.8"
    assert spec.image.env == {"TOKENIZERS_PARALLELISM": "false", "PLACE": "$HOME/x"}
    assert [note.split(": ")[0].split(":")[1] for note in notes(found)] == ["4", "5", "7"]
    assert not [note for note in notes(found) if "s3cret" in note]


def test_platforms_that_differ(tmp_path: Path) -> None:
    text = "dependencies:\n  - a  # [linux64]\n  - b  # [unix]\n  - python =3.11\n"
    found = draft(tmp_path, FILE, text, platforms=("linux-64", "linux-aarch64"))
    assert asked(spec_of(found))[0] == ["a", "b", "python =3.11"]
    assert notes(found) == [
        "environment.yml:1:1: no channels are named: conda-forge is taken",
        "environment.yml:2:5: [linux64]: a spec asks the same of all its platforms",
    ]


@pytest.mark.parametrize(
    ("asked_for", "chosen"),
    [
        ("python", "3.12"),
        ("python=3.10", "3.10"),
        ("python 3.11.*", "3.11"),
        ("python==3.13.1", "3.13"),
        ("python>=3.10,<3.12", "3.11"),
        ("python=3.11.4=*_cpython", "3.11"),
    ],
)
def test_the_python(tmp_path: Path, asked_for: str, chosen: str) -> None:
    found = draft(tmp_path, FILE, f"dependencies: ['{asked_for}']\n")
    assert spec_of(found).python == chosen


def test_wheels_need_a_python(tmp_path: Path) -> None:
    found = draft(tmp_path, FILE, "dependencies: [zlib, {pip: [app]}]\n")
    assert asked(spec_of(found, "3.11")) == (["python=3.11", "zlib"], ["app"])


def test_defaults_are_two_channels(tmp_path: Path) -> None:
    found = draft(tmp_path, FILE, "channels: [defaults]\ndependencies: [zlib]\n")
    assert list(found.channels) == ["pkgs/main", "pkgs/r"]


def test_a_channel_with_variables_is_the_machines(tmp_path: Path) -> None:
    text = "channels: ['https://${USER}:${PASSWORD}@conda.example.com/our-own']\n"
    found = draft(tmp_path, FILE, text + "dependencies: [zlib]\n")
    assert found.channels == {"our-own": None}
    assert "tell envlock where it is with ENVLOCK_CHANNEL_OUR_OWN" in notes(found)[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dependencies: [a]\ndependencies: [b]\n", "the key 'dependencies' stands twice"),
        ("dependencies: [3.10]\n", "3.10 is no text to YAML"),
        ("dependencies: [yes]\n", "yes is no text to YAML"),
        ("dependencies: {a: b}\n", "it has no list of dependencies"),
        ("dependencies: ['a >=1 <2']\n", "'<2' stands where the build does"),
        ("dependencies: [{pip: [-r no.txt]}]\n", "no.txt: the file cannot be read"),
        ("- a\n", "it has no list of dependencies"),
        ("", "environment.yml is empty"),
        ("dependencies: [a, b]]\n", "not valid YAML"),
        ("dependencies: ['!!python/object']\n", "is not a match spec"),
        ("dependencies: [!!python/object:os.system a]\n", "is not allowed"),
        ("dependencies: ['>=1']\n", "'>=1' is not a match spec"),
        ("dependencies: [{pip: a}]\n", "pip must be a list"),
        ("dependencies: [{pip: [1.5]}]\n", "1.5 is no text"),
        ("dependencies: [{pip: ['a =>1']}]\n", "'a =>1' is not a requirement"),
        ("dependencies: [a]\nvariables: [A]\n", "variables must be a mapping"),
        ("dependencies: [a]\nvariables: {A: [1]}\n", "the variable A must be a text"),
        ("dependencies: [a]\nchannels: main\n", "channels must be a list"),
        ("dependencies: ['a>=1', 'a<2']\n", "a is asked for twice: a>=1 and a<2"),
        (
            "dependencies: ['requests=2.32', {pip: ['Requests<2.30']}]\n",
            "requests is to come from conda (requests=2.32) and from PyPI (Requests<2.30)",
        ),
        ("dependencies: ['python=2.7']\n", "no Python from 3.6 to 3.14 fits"),
        ("dependencies: &a [*a]\n", "grows beyond any spec"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(EnvlockError) as caught:
        spec_of(draft(tmp_path, FILE, text))
    assert said in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "url",
    [
        "https://me:s3cret@conda.example.com/main",
        "https://conda.example.com/t/s3cret/main",
        "https://conda.example.com/main?token=s3cret",
    ],
)
def test_secrets_are_refused_and_not_repeated(tmp_path: Path, url: str) -> None:
    with pytest.raises(EnvlockError, match="carries a credential") as caught:
        draft(tmp_path, FILE, f"channels: ['{url}']\ndependencies: [a]\n")
    assert "s3cret" not in str(caught.value)
    assert caught.value.where == "environment.yml:1:1"
