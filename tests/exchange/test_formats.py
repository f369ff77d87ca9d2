"""Exports of locks made in code: what a format cannot say, and what it says in which order."""

from __future__ import annotations

from dataclasses import replace
from hashlib import md5, sha256
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from envlock.channels import ChannelAccess
from envlock.errors import EnvlockError, FetchError, UsageError
from envlock.exchange.formats import FORMATS, Subject
from envlock.exchange.order import dependencies_first, split_entry
from envlock.exchange.places import NoChecksumError, Places
from envlock.fetch.store import Store
from envlock.lock.model import Artifact, Lock, LockedOverride, VoidedRequirement

from ..lock.locks import SPEC, conda, deb, wheel
from .test_dockerfile import BASE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MD5 = "0" * 32
HOST_FREE = {
    "cyclonedx",
    "devcontainer",
    "dockerfile",
    "pylock-wheels",
    "requirements",
    "spdx",
}
WITH_URLS = [name for name in FORMATS if name not in HOST_FREE]
CHANNEL = "https://conda.example.com/conda-forge"


class Shelf:
    """An index that knows its wheels' URLs."""

    def __init__(self, base: str = "https://index.example.com/files") -> None:
        self.base = base

    def urls(self, artifact: Artifact) -> Iterator[str]:
        if artifact.name != "lost":
            yield f"{self.base}/{artifact.file}#sha256={artifact.sha256}"


def _lock(*artifacts: Artifact, **changes: object) -> Lock:
    lock = Lock(name="a", platform="linux-64", spec=SPEC, artifacts=artifacts)
    return replace(lock, **changes)  # type: ignore[arg-type]


def _places(folder: Path, url: str = CHANNEL, shelf: Shelf | None = None) -> Places:
    return Places(
        channels={"conda-forge": ChannelAccess(urls=(url,))},
        indexes=shelf or Shelf(),
        store=Store(folder),
    )


def _subject(lock: Lock, places: Places) -> Subject:
    return Subject(name=lock.name, locks=(lock,), places=places, metadata=lambda _: b"")


def _export(form: str, lock: Lock, places: Places) -> str:
    export = FORMATS[form].exporter()(_subject(lock, places))
    return export.text


def test_every_format_has_its_module() -> None:
    assert [callable(form.exporter()) for form in FORMATS.values()] == [True] * len(FORMATS)


def test_an_md5_is_computed_from_the_store(tmp_path: Path) -> None:
    content = b"a package"
    file = tmp_path / "file"
    file.write_bytes(content)
    digest = sha256(content).hexdigest()
    package = replace(conda("numpy"), sha256=digest, size=len(content))
    places = _places(tmp_path)
    with pytest.raises(NoChecksumError, match=r"does not tell the md5 of numpy-1\.0-h0_0\.conda"):
        _export("conda-lock", _lock(package), places)
    assert digest in _export("explicit", _lock(package), places)
    places.store.add([content], digest, len(content))
    value = yaml.safe_load(_export("conda-lock", _lock(package), places))
    assert value["package"][0]["hash"] == {"md5": md5(content).hexdigest(), "sha256": digest}


def test_a_wheel_in_a_conda_packages_place_is_refused(tmp_path: Path) -> None:
    override = LockedOverride(package="numpy", version="1.0", voids=(), replaces="numpy")
    lock = _lock(conda("numpy", md5=MD5), wheel("numpy"), overrides=(override,))
    with pytest.raises(UsageError, match="would install both"):
        _export("conda-lock", lock, _places(tmp_path))


def test_overrides_are_told_in_the_free_text(tmp_path: Path) -> None:
    void = VoidedRequirement(
        dependent="scipy", version="1.0", requirement="numpy >=2", kind="conda"
    )
    override = LockedOverride(package="numpy", version="1.0", voids=(void,), kind="conda")
    lock = _lock(conda("numpy", md5=MD5), overrides=(override,))
    value = yaml.safe_load(_export("conda-lock", lock, _places(tmp_path)))
    assert value["metadata"]["custom_metadata"] == {
        "override numpy 1.0 linux-64": "voids scipy 1.0 -> numpy >=2"
    }


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    spec = {**SPEC, "image": {"user": "nonroot"}, "checks": [{"import": "numpy"}]}
    lock = _lock(deb("libc6"), conda("numpy", md5=MD5), wheel("app"), spec=spec)
    export = FORMATS["conda-lock"].exporter()(_subject(lock, _places(tmp_path)))
    first, second = export.notes
    assert first == "a linux-64: left out: 1 Debian packages, the image's settings, the checks"
    assert "Python comes from Debian" in second
    upon = replace(_lock(wheel("app"), spec={**SPEC, "image": {"base": BASE.reference}}), base=BASE)
    export = FORMATS["conda-lock"].exporter()(_subject(upon, _places(tmp_path)))
    first, second = export.notes
    assert first == f"a linux-64: left out: the base image {BASE.reference}"
    assert "Python comes from the base image" in second


def test_a_list_of_no_conda_packages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no conda packages"):
        _export("explicit", _lock(wheel("app")), _places(tmp_path))


def test_a_wheel_that_no_index_has(tmp_path: Path) -> None:
    lock = _lock(conda("numpy", md5=MD5), wheel("lost"))
    with pytest.raises(FetchError, match=r"does not have lost-1\.0-py3-none-any\.whl"):
        _export("conda-lock", lock, _places(tmp_path))


@pytest.mark.parametrize("form", WITH_URLS)
@pytest.mark.parametrize(
    ("channel", "base"),
    [
        ("https://c.example.com/t/s3cret/conda-forge", "https://index.example.com"),
        (CHANNEL, "https://index.example.com/t/s3cret"),
        (CHANNEL, "https://index.example.com/x?token=s3cret&"),
    ],
)
def test_no_secret_is_written(form: str, channel: str, base: str, tmp_path: Path) -> None:
    lock = _lock(conda("numpy", md5=MD5), wheel("app"))
    if form == "pylock" and "s3cret" in channel:  # it names no channel
        assert "s3cret" not in _export(form, lock, _places(tmp_path, channel, Shelf(base)))
        return
    with pytest.raises(EnvlockError, match="has a credential in it") as caught:
        _export(form, lock, _places(tmp_path, channel, Shelf(base)))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("form", ["pylock-wheels", "requirements"])
def test_lists_of_wheels_name_no_host(form: str, tmp_path: Path) -> None:
    lock = _lock(conda("numpy", md5=MD5), wheel("app"))
    places = _places(tmp_path, shelf=Shelf("https://me:s3cret@i.example.com"))
    text = _export(form, lock, places)
    assert "://" not in text
    assert wheel("app").sha256 in text


@pytest.mark.parametrize("form", WITH_URLS)
def test_userinfo_is_left_out(form: str, tmp_path: Path) -> None:
    lock = _lock(conda("numpy", md5=MD5), wheel("app"))
    places = _places(
        tmp_path, CHANNEL.replace("://", "://me:s3cret@"), Shelf("https://me:s3cret@i.example.com")
    )
    text = _export(form, lock, places)
    assert "s3cret" not in text
    assert "https://i.example.com/app-1.0-py3-none-any.whl" in text


@pytest.mark.parametrize(
    ("entry", "parts"),
    [
        ("numpy", ("numpy", "")),
        ("numpy >=1.26,<3", ("numpy", ">=1.26,<3")),
        ("numpy>=1.26", ("numpy", ">=1.26")),
        ("python 3.12.* *_cpython", ("python", "3.12.* *_cpython")),
        ("_libgcc_mutex 0.1 conda_forge", ("_libgcc_mutex", "0.1 conda_forge")),
        ("numpy[version='>=1']", ("numpy", "[version='>=1']")),
    ],
)
def test_entries(entry: str, parts: tuple[str, str]) -> None:
    assert split_entry(entry) == parts


_GRAPHS = st.dictionaries(
    st.sampled_from("abcdefg"), st.lists(st.sampled_from("abcdefgxy"), max_size=4), max_size=7
)


@given(_GRAPHS)
def test_each_package_comes_once_and_behind_what_it_needs(graph: dict[str, list[str]]) -> None:
    packages = [replace(conda(name), depends=tuple(needs)) for name, needs in graph.items()]
    order = [one.name for one in dependencies_first(packages)]
    assert sorted(order) == sorted(graph)
    assert order == [one.name for one in dependencies_first(packages[::-1])]
    for name, needs in graph.items():
        for other in needs:
            in_a_circle = other in graph and name in _reach(other, graph)
            if other in graph and not in_a_circle:
                assert order.index(other) < order.index(name)


def _reach(start: str, graph: dict[str, list[str]]) -> set[str]:
    reached: set[str] = set()
    queue = [start]
    while queue:
        name = queue.pop()
        if name not in reached:
            reached.add(name)
            queue.extend(graph.get(name, ()))
    return reached
