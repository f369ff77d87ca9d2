"""``init --from pixi.toml``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from envlock.errors import EnvlockError

from .drafting import asked, draft, notes, spec_of

if TYPE_CHECKING:
    from pathlib import Path

FILE = "pixi.toml"
WHOLE = """\
[workspace]
name = "vision"
channels = ["https://conda.example.com/our-own", { channel = "conda-forge", priority = -1 }]
platforms = ["linux-64", "osx-arm64"]
exclude-newer = "2025-06-01"

[system-requirements]
cuda = "12"
libc = { family = "glibc", version = "2.28" }

[tasks]
start = "python main.py"

[dependencies]
python = ">=3.11,<3.13"
numpy = "*"
scipy = "1.14.1"
pytorch = { version = ">=2.4", build = "*cuda*", channel = "pytorch" }
blas = { build = "mkl" }
mkl = { version = "*", build-number = ">=2" }
mylib = { path = "./mylib" }
"zlib" = "1.3.*"

[dependencies.pandas]
version = ">=2, <3"

[pypi-dependencies]
transformers = ">=4.40"
fastapi = { version = "*", extras = ["all"], env-markers = "python_version < '4'" }
Torch_Vision = { version = "==0.19.0", index = "https://wheels.example.com/cu124" }
hidden = { version = "*", index = "https://me:s3cret@wheels.example.com/cu124" }
vision = { path = ".", editable = true }
tool = { git = "https://git.example.com/tool" }

[pypi-options]
extra-index-urls = ["https://extra.example.com/simple"]
no-build-isolation = ["flash-attn"]
[pypi-options.dependency-overrides]
urllib3 = "<2"
triton = "==2.3.1"

[target.linux-64.dependencies]
nccl = "*"
[target.osx.dependencies]
mlx = "*"
[target.unix.pypi-dependencies]
uvloop = "*"

[activation]
scripts = ["setup.sh"]
env = { OMP_NUM_THREADS = "1", HF_TOKEN = "s3cret", X = "$CONDA_PREFIX/x" }

[feature.test.dependencies]
pytest = "*"
[feature.test.target.win-64.dependencies]
pywin32 = "*"
[feature.cuda]
channels = ["nvidia"]
[feature.cuda.dependencies]
cuda-version = "12.4.*"
[environments]
alone = { features = ["cuda"], no-default-feature = true }
both = ["cuda", "test"]
"""


def test_the_default_environment(tmp_path: Path) -> None:
    found = draft(tmp_path, FILE, WHOLE)
    assert [(one.package, one.version, one.where) for one in found.forced] == [
        ("triton", "2.3.1", "pixi.toml:40:1")
    ]
    found.forced.clear()
    spec = spec_of(found)
    assert (found.name, spec.python) == ("vision", "3.12")
    assert [(one.name, one.cuda) for one in spec.targets] == [("linux-64", "12.0")]
    assert spec.conda is not None
    assert [(one.name, one.url) for one in spec.conda.channels] == [
        ("our-own", "https://conda.example.com/our-own"),
        ("conda-forge", None),
        ("pytorch", None),
    ]
    assert asked(spec) == (
        [
            "python>=3.11,<3.13",
            "numpy",
            "scipy 1.14.1",
            "pytorch::pytorch >=2.4 *cuda*",
            "blas * mkl",
            "mkl[build_number='>=2']",
            "zlib 1.3.*",
            "pandas>=2,<3",
            "nccl",
        ],
        [
            "transformers>=4.40",
            'fastapi[all]; python_version < "4"',
            "Torch_Vision==0.19.0",
            "hidden",
            "uvloop",
        ],
    )
    assert [(index.url, index.packages) for index in spec.indexes] == [
        ("https://extra.example.com/simple", ()),
        ("https://wheels.example.com/cu124", ("torch-vision",)),
    ]
    assert spec.image.env == {"OMP_NUM_THREADS": "1"}


def test_what_is_not_carried_over_is_told_with_its_place(tmp_path: Path) -> None:
    found = notes(draft(tmp_path, FILE, WHOLE))
    assert not [note for note in found if "s3cret" in note]
    told = sorted(
        (int(note.split(":")[1]), note.split(": ", 1)[1].partition(":")[0]) for note in found
    )
    assert told == [
        (4, "the platform osx-arm64 is not one that envlock builds for"),
        (5, "write exclude-newer"),
        (9, "libc 2.28"),
        (11, "tasks"),
        (21, "mylib"),
        (31, "https"),
        (32, "vision"),
        (33, "tool"),
        (36, "the index is called example, and is asked first for everything"),
        (37, "no-build-isolation"),
        (39, "urllib3 <2"),
        (50, "setup.sh"),
        (51, "HF_TOKEN"),
        (51, "X"),
        (59, "features"),
    ]


@pytest.mark.parametrize(
    ("groups", "packages"),
    [
        (("test",), ["pytest"]),
        (("both",), ["cuda-version 12.4.*", "pytest"]),
        (("alone",), ["cuda-version 12.4.*"]),
    ],
)
def test_features(tmp_path: Path, groups: tuple[str, ...], packages: list[str]) -> None:
    found = draft(tmp_path, FILE, WHOLE, groups=groups)
    names = [item.text for item in found.conda]
    assert names[-len(packages) :] == packages
    assert (len(names) == len(packages)) == (groups == ("alone",))
    assert ("nvidia" in found.channels) == (groups != ("test",))


def test_targets_that_are_for_one_of_several_platforms(tmp_path: Path) -> None:
    found = draft(tmp_path, FILE, WHOLE, platforms=("linux-64", "linux-aarch64"))
    assert "nccl" in [item.name for item in found.conda]
    assert "pixi.toml:42:1: target.linux-64: a spec asks the same of all its platforms" in notes(
        found
    )


def test_in_a_pyproject(tmp_path: Path) -> None:
    text = """\
[project]
name = "app"
requires-python = ">=3.11,<3.13"
dependencies = ["fastapi"]
[tool.pixi.workspace]
channels = ["conda-forge"]
platforms = ["linux-64"]
[tool.pixi.dependencies]
python = "3.11.*"
gdal = "*"
[tool.pixi.feature.dev.dependencies]
ruff = "*"
[tool.ruff]
"""
    found = draft(tmp_path, "pyproject.toml", text, groups=("dev",))
    spec = spec_of(found)
    assert (spec.python, found.name) == ("3.11", "app")
    assert asked(spec) == (["python 3.11.*", "gdal", "ruff"], ["fastapi"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[dependencies]\n", r"pixi.toml: there is no \[workspace\] table"),
        ("[workspace]\n[dependencies]\n'a b' = '*'\n", "pixi.toml:3:2: .* is not a match spec"),
        ("[workspace]\n[dependencies]\na = '>=1 <2 <'\n", "pixi.toml:3:1: .* not a match spec"),
        ("[workspace]\n[pypi-dependencies]\na = '=>1'\n", "pixi.toml:3:1: .* no.* requirement"),
        ("[workspace]\n[environments]\ndefault = ['x']\n", "there is no feature 'x'"),
        ("[workspace]\ndependencies = 1\n[feature]\na = 1\n[environments]\ndefault=['a']\n",
         "a table has another shape"),
        ("[workspace]\nchannels = ['https://x.example.com/t/s3cret/a']\n", "a credential"),
        ("[workspace]\nchannels = ['../x']\n", "pixi.toml:2:1: .* cannot be the name of a channel"),
        ("[workspace\n", "this is not valid TOML"),
    ],
)  # fmt: skip
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(EnvlockError, match=message) as caught:
        draft(tmp_path, FILE, text)
    assert "s3cret" not in str(caught.value)


def test_no_such_feature(tmp_path: Path) -> None:
    with pytest.raises(EnvlockError, match="no feature or environment 'x'") as caught:
        draft(tmp_path, FILE, WHOLE, groups=("x",))
    assert "it has: alone, both, cuda, default, test" in str(caught.value)
