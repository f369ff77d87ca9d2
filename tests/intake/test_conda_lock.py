"""``init --from conda-lock.yml``: versions become pins, and what is odd is refused."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from envlock.errors import EnvlockError
from envlock.intake.graph import roots

from .drafting import asked, draft, notes, spec_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE = "conda-lock.yml"
BASE = "https://conda.example.com/main"


def _package(name: str, version: str = "1.0", **changes: Any) -> dict[str, Any]:
    build = changes.pop("build_text", "h0_0")
    pip = changes.get("manager") == "pip"
    platform = changes.get("platform", "linux-64")
    url = f"{BASE}/{platform}/{name}-{version}-{build}.conda"
    return {
        "name": name,
        "version": version,
        "manager": "conda",
        "platform": "linux-64",
        "dependencies": {},
        "url": "https://index.example.com/a.whl" if pip else url,
        "hash": {"sha256": "1" * 64} if pip else {"md5": "0" * 32, "sha256": "1" * 64},
        "category": "main",
        "optional": False,
        **changes,
    }


def _value(*packages: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": 1,
        "metadata": {
            "content_hash": {"linux-64": "0" * 64},
            "channels": [{"url": BASE, "used_env_vars": []}],
            "platforms": sorted({one["platform"] for one in packages}),
            "sources": ["environment.yml"],
        },
        "package": copy.deepcopy(list(packages)),
    }


def _text(*packages: dict[str, Any]) -> str:
    return yaml.safe_dump(_value(*packages), sort_keys=False)


PYTHON = _package("python", "3.12.1")
NUMPY = _package("numpy", "1.26.4", dependencies={"python": ">=3.12"}, build_text="py312_0")
PANDAS = _package("pandas", "2.2.0", dependencies={"numpy": ">=1", "python": ""})
APP = _package("app", manager="pip", dependencies={"lib": "*", "numpy": ">=1"})
LIB = _package("lib", "3.0", manager="pip")


def test_versions_become_pins(tmp_path: Path) -> None:
    found = draft(tmp_path, FILE, _text(NUMPY, PANDAS, PYTHON, APP, LIB))
    spec = spec_of(found)
    assert asked(spec) == (["pandas ==2.2.0 h0_0", "python ==3.12.1 h0_0"], ["app==1.0"])
    assert spec.conda is not None
    assert [one.spec for one in spec.conda.constraints] == ["numpy ==1.26.4 py312_0"]
    assert [str(one.requirement) for one in spec.pypi.constraints] == ["lib==3.0"]
    assert [(one.name, one.url) for one in spec.conda.channels] == [("main", BASE)]
    assert spec.python == "3.12"
    assert notes(found) == []


def test_platforms_share_their_pins(tmp_path: Path) -> None:
    arm = {"platform": "linux-aarch64"}
    text = _text(
        PYTHON,
        _package("python", "3.12.1", **arm),
        _package("a", "1.0", build_text="h1_0"),
        _package("a", "1.0", build_text="h2_0", **arm),
        _package("b", "1.0"),
        _package("b", "2.0", **arm),
        _package("c", "1.0", platform="osx-64"),
    )
    found = draft(tmp_path, FILE, text)
    assert asked(spec_of(found))[0] == ["a ==1.0", "b ==1.0|==2.0", "python ==3.12.1 h0_0"]
    assert [note.partition(" ")[2] for note in notes(found)] == ["the platform osx-64 is left out"]
    one = draft(tmp_path, FILE, text, platforms=("linux-aarch64",))
    assert "b ==2.0 h0_0" in asked(spec_of(one))[0]


def test_several_channels_are_named(tmp_path: Path) -> None:
    other = {"url": "https://conda.anaconda.org/conda-forge/noarch/x-1.0-0.tar.bz2"}
    found = draft(tmp_path, FILE, _text(PYTHON, _package("x", **other)))
    assert asked(spec_of(found))[0] == ["main::python ==3.12.1 h0_0", "conda-forge::x ==1.0 0"]
    assert found.channels == {"main": BASE, "conda-forge": None}


def test_groups_are_chosen(tmp_path: Path) -> None:
    text = _text(PYTHON, NUMPY, {**NUMPY, "category": "dev"}, _package("x", category="dev"))
    found = draft(tmp_path, FILE, text)
    assert asked(spec_of(found))[0] == ["numpy ==1.26.4 py312_0", "python ==3.12.1 h0_0"]
    assert "groups: dev; --group takes one over" in notes(found)[0]
    found = draft(tmp_path, FILE, text, groups=("dev",))
    assert "x ==1.0 h0_0" in asked(spec_of(found))[0]
    with pytest.raises(EnvlockError, match="there is no group 'docs'"):
        draft(tmp_path, FILE, text, groups=("docs",))


def test_cuda_is_taken_from_its_package(tmp_path: Path) -> None:
    found = draft(tmp_path, FILE, _text(PYTHON, _package("cuda-version", "12.4")))
    assert spec_of(found).targets[0].cuda == "12.4"


def _broken(change: Callable[[dict[str, Any]], object]) -> str:
    value = _value(PYTHON, NUMPY, APP)
    change(value)
    return yaml.safe_dump(value, sort_keys=False)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: v["package"][1].update(size=3), "package.1.size: Extra inputs"),
        (lambda v: v["package"][1].pop("hash"), "package.1.hash: Field required"),
        (lambda v: v["package"][1]["hash"].pop("md5"), "conda package hashes must use MD5"),
        (lambda v: v["package"][2].update(hash={}), "app has no checksum"),
        (lambda v: v["package"][1].update(version=1.5), "package.1.version"),
        (lambda v: v["package"][1].update(url=f"{BASE}/x"), "URL of numpy is not that of a"),
        (lambda v: v["package"][1].update(platform="win-64"), ""),
        (lambda v: v["package"][2].update(name="Python"), "3.12.1 from conda and 1.0 from pip"),
        (lambda v: v.update(version=2), "of version 1: it says 2"),
        (lambda v: v.pop("version"), "this is no conda-lock file of version 1"),
        (lambda v: v["metadata"].update(extra=1), "metadata.extra"),
        (lambda v: v["package"].append(_package("numpy", "2.0")), "numpy is there twice"),
        (lambda v: v.update(package=[]), "the file has no packages"),
    ],
)
def test_what_conda_lock_does_not_write(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    if not said:
        found = draft(tmp_path, FILE, _broken(change))
        assert asked(spec_of(found))[0] == ["python ==3.12.1 h0_0"]
        return
    with pytest.raises(EnvlockError) as caught:
        draft(tmp_path, FILE, _broken(change))
    assert said in str(caught.value)
    assert caught.value.exit_code == 2
    assert str(caught.value.where).startswith(FILE)


def test_an_error_names_the_line(tmp_path: Path) -> None:
    text = _text(PYTHON, {**NUMPY, "size": 3})
    line = text[: text.index("size: 3")].count("\n") + 1
    with pytest.raises(EnvlockError, match=rf"^{FILE}:{line}:9: conda-lock does not write this"):
        draft(tmp_path, FILE, text)


def test_one_package_from_conda_and_from_pip_is_refused(tmp_path: Path) -> None:
    text = _text(_package("requests", "2.32.3"), _package("requests", "2.29.0", manager="pip"))
    with pytest.raises(EnvlockError) as caught:
        draft(tmp_path, FILE, text)
    assert "requests is there twice for linux-64: 2.32.3 from conda and 2.29.0 from pip" in str(
        caught.value
    )


@pytest.mark.parametrize("where", ["channel", "package"])
@pytest.mark.parametrize(
    "head", ["https://me:s3cret@h.example.com", "https://h.example.com/t/s3cret"]
)
def test_secrets_are_refused_and_not_repeated(tmp_path: Path, where: str, head: str) -> None:
    value = _value(PYTHON)
    if where == "channel":
        value["metadata"]["channels"][0]["url"] = f"{head}/main"
    else:
        value["package"][0]["url"] = f"{head}/main/linux-64/python-3.12.1-h0_0.conda"
    with pytest.raises(EnvlockError, match="carries a credential") as caught:
        draft(tmp_path, FILE, yaml.safe_dump(value))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 1\nmetadata: {}\nversion: 1\npackage: []\n", "the key 'version' stands twice"),
        ("version: 1\nmetadata: {}\npackage: [" + "[" * 3000 + "\n", "not valid YAML"),
        ("version: 1\nmetadata: {}\npackage: " + "[" * 60 + "]" * 60 + "\n", "grows beyond any"),
        ("version: 1\nmetadata: &a [*a]\npackage: []\n", "grows beyond any conda-lock file"),
    ],
)
def test_traps_of_yaml(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(EnvlockError) as caught:
        draft(tmp_path, FILE, text)
    assert said in str(caught.value)


def test_a_large_file(tmp_path: Path) -> None:
    packages = [_package(f"p{number}", dependencies={"python": ""}) for number in range(2000)]
    text = f"{_text(PYTHON, *packages)}# {'x' * 1024 * 1024}\n"
    assert sum(line.count(": ") for line in text.splitlines()) > 20_000  # more than a spec may have
    assert len(draft(tmp_path, FILE, text).conda) == 2001
    with pytest.raises(EnvlockError, match="stands twice"):
        draft(tmp_path, FILE, f"{text}package: []\n")


@pytest.mark.parametrize(
    ("needs", "found"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, {"a"}),
        ({"a": {"b"}, "b": {"a"}}, {"a"}),
        ({"a": {"a"}}, {"a"}),
        ({"a": {"x"}, "b": set()}, {"a", "b"}),
        ({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"d", "e"}, "e": {"d"}}, {"a", "d"}),
    ],
)
def test_roots(needs: dict[str, set[str]], found: set[str]) -> None:
    assert roots({name: frozenset(others) for name, others in needs.items()}) == found


@pytest.mark.parametrize(
    ("versions", "cuda"),
    [
        ({"cuda-version": "12.4"}, "12.4"),
        ({"cudatoolkit": "11.8.0"}, "11.8"),
        ({"pytorch-cuda": "11.8", "cuda-version": "12.1"}, "12.1"),
        ({"cuda-nvcc": "12.4.131"}, None),
    ],
)
def test_the_cuda_of_what_is_locked(
    tmp_path: Path, versions: dict[str, str], cuda: str | None
) -> None:
    packages = [_package(name, version) for name, version in versions.items()]
    (target,) = spec_of(draft(tmp_path, FILE, _text(PYTHON, *packages))).targets
    assert target.cuda == cuda


def test_overrides_come_back(tmp_path: Path) -> None:
    """What ``envlock export`` writes beside the packages; conda-lock takes it as free text."""
    value = _value(
        PYTHON,
        _package("scipy"),
        _package("torch", "2.6.0", manager="pip", dependencies={"triton": "==3.2.0"}),
        _package("triton", "2.3.1", manager="pip"),
    )
    value["metadata"]["custom_metadata"] = {
        "override triton 2.3.1 linux-64": "voids torch 2.6.0 -> triton==3.2.0; platform_system == "
        '"Linux"; voids other 1 -> triton>3',
        "override triton 2.3.1 linux-aarch64": "voids torch 2.6.0 -> triton==3.2.0",
        "override scipy 1.0 linux-64": "voids pandas 2.0 -> scipy >=2",
        "built by": "us",
    }
    found = draft(tmp_path, FILE, yaml.safe_dump(value, sort_keys=False))
    (override,) = spec_of(found).overrides
    assert (override.package, override.version) == ("triton", "2.3.1")
    assert {name: str(pin) for name, pin in override.against.items()} == {
        "torch": "triton==3.2.0",
        "other": "triton>3",
    }
    assert asked(spec_of(found))[1] == ["torch==2.6.0"]
    told = [note for note in notes(found) if "override" in note]
    assert len(told) == 1
    assert told[0].endswith("override scipy 1.0 linux-64: write it again, with from: conda")
