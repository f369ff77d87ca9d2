"""Where packages come from, and what goes wrong there."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from envlock.errors import ArtifactError, FetchError, UnsatisfiableError
from envlock.fetch.http import Http
from envlock.fetch.indexes import SimpleIndex
from envlock.fetch.store import Store

from ..makers.index import Fault, Index
from ..makers.machine import NOWHERE
from ..makers.wheels import make_wheel
from .solving import Solver, sources, versions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def extra(tmp_path: Path) -> Iterator[Index]:
    """A second index."""
    with Index(tmp_path / "extra") as running:
        yield running


ONE = "pypi: {dependencies: [a]}\n"


def test_unknown_package(solver: Solver) -> None:
    with pytest.raises(UnsatisfiableError) as caught:
        solver("pypi: {dependencies: [nosuchthing]}\n")
    assert "nosuchthing" in str(caught.value)
    assert caught.value.exit_code == 1


def test_unknown_version(index: Index, solver: Solver) -> None:
    index.wheel("a", "1.0")
    with pytest.raises(UnsatisfiableError) as caught:
        solver("pypi: {dependencies: ['a>=2']}\n")
    assert "a>=2" in str(caught.value)


def test_the_index_is_down(index: Index, solver: Solver) -> None:
    solver.urls["pypi"] = NOWHERE
    with pytest.raises(FetchError) as caught:
        solver(ONE)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_the_index_says_no(index: Index, solver: Solver, status: int) -> None:
    index.wheel("a", "1.0")
    index.faults["/simple/a/"] = Fault(fail=-1, status=status)
    with pytest.raises(FetchError) as caught:
        solver(ONE)
    assert str(status) in str(caught.value)


def test_the_index_sends_nonsense(index: Index, solver: Solver) -> None:
    index.wheel("a", "1.0")
    index.faults["/simple/a/"] = Fault(content=b"{]")
    with pytest.raises((FetchError, UnsatisfiableError)) as caught:
        solver(ONE)
    assert caught.value.exit_code in {1, 3}


def test_only_a_source_distribution(index: Index, solver: Solver, tmp_path: Path) -> None:
    sdist = tmp_path / "a-1.0.tar.gz"
    sdist.write_bytes(b"")
    index.add(sdist)
    with pytest.raises(UnsatisfiableError) as caught:
        solver(ONE)
    assert "a==1.0 has no usable wheels" in " ".join(caught.value.details)


def test_only_wheels_for_another_platform(index: Index, solver: Solver) -> None:
    index.wheel("a", "1.0", tag="cp311-cp311-win_amd64")
    index.wheel("a", "0.9", tag="cp311-cp311-manylinux_2_40_x86_64")
    with pytest.raises(UnsatisfiableError) as caught:
        solver(ONE)
    assert "wheels" in " ".join(caught.value.details)


def test_only_wheels_for_another_python(index: Index, solver: Solver) -> None:
    index.wheel("a", "2.0", python_requires=">=3.12", offer={"metadata": True})
    index.wheel("a", "1.0", tag="cp310-cp310-manylinux_2_17_x86_64")
    with pytest.raises(UnsatisfiableError):
        solver(ONE)


def test_the_best_wheel(index: Index, solver: Solver) -> None:
    for tag in (
        "py3-none-any",
        "cp311-cp311-manylinux_2_17_x86_64",
        "cp311-cp311-manylinux_2_40_x86_64",
    ):
        index.wheel("a", "1.0", tag=tag)
    (artifact,) = solver(ONE).artifacts
    assert artifact.file == "a-1.0-cp311-cp311-manylinux_2_17_x86_64.whl"
    assert artifact.path.endswith(f"/{artifact.file}")
    assert "127.0.0.1" not in repr(artifact)


def test_pinned_to_an_index(index: Index, extra: Index, solver: Solver) -> None:
    """Dependency confusion: a higher version elsewhere does not matter, directly or not."""
    extra.wheel("inner", "1.0")
    extra.wheel("a", "9.0")
    index.wheel("inner", "99.0")
    index.wheel("a", "1.0", ["inner"])
    body = f"indexes: {{own: {{url: '{extra.url}', packages: [Inner]}}}}\n" + ONE
    solution = solver(body)
    assert versions(solution) == {"a": "1.0", "inner": "1.0"}
    assert sources(solution) == {"a": "pypi", "inner": "own"}
    assert not index.requests("/simple/inner/")


def test_pinned_to_an_index_and_known_nowhere_else(
    index: Index, extra: Index, solver: Solver
) -> None:
    extra.wheel("inner", "1.0", ["deep"])
    extra.wheel("deep", "1.0")
    index.wheel("a", "1.0", ["inner"])
    body = f"indexes: {{own: {{url: '{extra.url}', packages: [inner, deep, other]}}}}\n" + ONE
    solution = solver(body)
    assert sources(solution) == {"a": "pypi", "deep": "own", "inner": "own"}


def test_pinned_whoever_asks(index: Index, extra: Index, solver: Solver) -> None:
    """Dependency confusion by what overrides force and add, and by what these need in turn."""
    for name, requires in (("forced", ["deep"]), ("added", ["deep"]), ("deep", [])):
        extra.wheel(name, "1.0", requires)
        for version in ("1.0", "99.0"):
            index.wheel(name, version, ["evil"])
    index.wheel("a", "1.0", ["forced==99.0"])
    body = (
        f"indexes: {{own: {{url: '{extra.url}', packages: [forced, added, deep]}}}}\n{ONE}"
        "overrides:\n- package: forced\n  version: '==1.0'\n"
        "  against: {a: forced==99.0}\n  because: ours\n  adds: [added]\n"
        "  checks: [{version: '1.0'}]\n"
    )
    solution = solver(body)
    assert sources(solution) == {"a": "pypi", "added": "own", "deep": "own", "forced": "own"}
    assert set(versions(solution).values()) == {"1.0"}
    for name in ("forced", "added", "deep"):
        assert not index.requests(f"/simple/{name}/")


def test_a_login_does_not_follow_a_redirect(index: Index, extra: Index, solver: Solver) -> None:
    """Neither uv's nor envlock's requests show another host what was for the index."""
    extra.wheel("a", "1.0")
    index.wheel("a", "1.0")
    index.login = ("user", "s3cr3t")
    solver.urls["pypi"] = index.url_with("user:s3cr3t")
    index.faults["/simple/a/"] = Fault(redirect=extra.url.replace("127.0.0.1", "localhost") + "a/")
    assert versions(solver(ONE)) == {"a": "1.0"}
    assert extra.requests("/simple/a/")
    assert extra.requests(".whl")
    assert not [asked for asked in extra.asked if "authorization" in asked.headers]


def test_pinned_and_not_wanted(index: Index, extra: Index, solver: Solver) -> None:
    """What an index is for and nobody asks for stays out."""
    extra.wheel("inner", "1.0", ["needs-a-lot"])
    extra.wheel("broken", "1.0", tag="py3-none-win32")
    index.wheel("a", "1.0")
    index.wheel("needs-a-lot", "1.0")
    for packages in ("[inner]", "[inner, broken]"):
        body = f"indexes: {{own: {{url: '{extra.url}', packages: {packages}}}}}\n" + ONE
        assert versions(solver(body)) == {"a": "1.0"}


def test_pinned_to_an_index_that_lacks_it(index: Index, extra: Index, solver: Solver) -> None:
    index.wheel("inner", "99.0")
    body = f"indexes: {{own: {{url: '{extra.url}', packages: [inner]}}}}\n"
    with pytest.raises(UnsatisfiableError) as caught:
        solver(body + "pypi: {dependencies: [inner]}\n")
    assert "inner" in str(caught.value)
    assert not index.asked


def test_pinned_to_an_index_that_is_down(index: Index, solver: Solver) -> None:
    index.wheel("inner", "99.0")
    body = f"indexes: {{own: {{url: '{NOWHERE}', packages: [inner]}}}}\n"
    with pytest.raises(FetchError):
        solver(body + "pypi: {dependencies: [inner]}\n")


def test_another_index_is_asked_first(index: Index, extra: Index, solver: Solver) -> None:
    extra.wheel("a", "1.0+cu124", ["b"])
    index.wheel("a", "2.0")
    index.wheel("b", "1.0")
    solution = solver(f"indexes: {{own: '{extra.url}'}}\n" + ONE)
    assert versions(solution) == {"a": "1.0+cu124", "b": "1.0"}
    assert sources(solution) == {"a": "own", "b": "pypi"}


def test_the_machine_has_the_last_word_on_urls(index: Index, extra: Index, solver: Solver) -> None:
    extra.wheel("a", "1.0")
    solver.urls["own"] = extra.url
    solution = solver(f"indexes: {{own: {{url: '{NOWHERE}', packages: [a]}}}}\n" + ONE)
    assert sources(solution) == {"a": "own"}


def test_two_more_indexes_in_order(index: Index, extra: Index, solver: Solver) -> None:
    extra.wheel("a", "1.0")
    index.wheel("a", "2.0")
    body = f"indexes: {{one: '{extra.url}', two: '{index.url}'}}\n" + ONE
    assert sources(solver(body)) == {"a": "one"}


def test_without_hashes(index: Index, solver: Solver) -> None:
    """Then the wheel is read once, and what it is goes into the lock."""
    wheel = index.wheel("a", "1.0", offer={"hashes": False})
    (artifact,) = solver(ONE).artifacts
    assert artifact.sha256 == sha256(wheel.read_bytes()).hexdigest()


@pytest.mark.parametrize("json", [True, False])
def test_without_sizes(index: Index, solver: Solver, json: bool) -> None:
    """Then the server of the file is asked, once."""
    index.json = json
    wheel = index.wheel("a", "1.0", offer={"sizes": False})
    for _ in range(2):
        (artifact,) = solver(ONE).artifacts
        assert artifact.size == wheel.stat().st_size
    assert len([one for one in index.requests(".whl") if "range" not in one.headers]) == 1


def test_nobody_tells_the_size(index: Index, solver: Solver) -> None:
    wheel = index.wheel("a", "1.0", offer={"sizes": False, "metadata": True})
    index.faults[wheel.name] = Fault(endless=True, ranges=False)
    with pytest.raises(FetchError, match="does not tell the file's size, and neither does") as told:
        solver(ONE)
    assert "Content-Length" in (told.value.hint or "")


def test_a_folder_of_wheels(index: Index, solver: Solver, tmp_path: Path) -> None:
    """An index that is a folder tells neither, and is read itself."""
    wheel = make_wheel(tmp_path / "wheels" / "b", "b", "1.0")
    page = wheel.with_name("index.html")
    page.write_text(f'<!DOCTYPE html><a href="{wheel.name}">{wheel.name}</a>')
    index.wheel("a", "1.0", ["b"])
    (tmp_path / "wheels" / "index.html").write_text("")
    folder = (tmp_path / "wheels").as_uri()
    found = solver(f"indexes: {{built: {{url: '{folder}', packages: [b]}}}}\n" + ONE)
    assert sources(found) == {"a": "pypi", "b": "built"}
    (one,) = [artifact for artifact in found.artifacts if artifact.name == "b"]
    assert (one.size, one.sha256) == (wheel.stat().st_size, sha256(wheel.read_bytes()).hexdigest())
    folders = SimpleIndex({"built": folder}, Http())
    assert [*folders.urls(one)] == [wheel.as_uri()]
    assert folders.files("built", "absent") == []


def test_exclude_newer(index: Index, solver: Solver) -> None:
    index.wheel("a", "1.0", offer={"uploaded": "2025-01-01T00:00:00Z"})
    index.wheel("a", "2.0", offer={"uploaded": "2025-06-01T00:00:00Z"})
    assert versions(solver(ONE)) == {"a": "2.0"}
    old = solver("exclude-newer: 2025-03-01T00:00:00Z\n" + ONE)
    assert versions(old) == {"a": "1.0"}
    with pytest.raises(UnsatisfiableError):
        solver("exclude-newer: 2024-03-01T00:00:00Z\n" + ONE)


def test_exclude_newer_beside_an_index_without_times(
    index: Index, extra: Index, solver: Solver
) -> None:
    for version, year in (("1.0", "2024"), ("2.0", "2026")):
        index.wheel("a", version, ["b"], offer={"uploaded": f"{year}-01-01T00:00:00Z"})
        extra.wheel("b", version, offer={"uploaded": None})
    said = "exclude-newer: 2025-03-01T00:00:00Z\nindexes: {built: {url: '%s', packages: [b]%s}}\n"
    asking = said % (extra.url, "") + "pypi: {dependencies: [b]}\n"
    with pytest.raises(UnsatisfiableError) as caught:
        solver(asking)
    assert "write exclude-newer: false beside its packages" in (caught.value.hint or "")
    found = solver(said % (extra.url, ", exclude-newer: false") + ONE)
    assert versions(found) == {"a": "1.0", "b": "2.0"}
    assert sources(found) == {"a": "pypi", "b": "built"}


def test_exclude_newer_where_no_time_is_told(index: Index, solver: Solver) -> None:
    index.wheel("a", "1.0", offer={"uploaded": None})
    with pytest.raises(UnsatisfiableError):
        solver("exclude-newer: 2025-03-01T00:00:00Z\n" + ONE)


def test_yanked(index: Index, solver: Solver) -> None:
    index.wheel("a", "1.0")
    index.wheel("a", "2.0", offer={"yanked": True})
    assert versions(solver(ONE)) == {"a": "1.0"}


def test_before_a_release(index: Index, solver: Solver) -> None:
    index.wheel("a", "1.0")
    index.wheel("a", "2.0rc1")
    assert versions(solver(ONE)) == {"a": "1.0"}
    assert versions(solver("pypi: {dependencies: ['a>=2.0rc1']}\n")) == {"a": "2.0rc1"}


def test_extras_and_markers(index: Index, solver: Solver) -> None:
    index.wheel(
        "a",
        "1.0",
        ["b ; extra == 'x'", "c ; sys_platform == 'win32'", "d ; python_version < '3.12'"],
        extras=["x"],
    )
    for name in "bcd":
        index.wheel(name, "1.0")
    assert set(versions(solver("pypi: {dependencies: ['a[x]']}\n"))) == {"a", "b", "d"}
    assert set(versions(solver(ONE))) == {"a", "d"}


def test_versions_are_kept_where_they_fit(index: Index, solver: Solver) -> None:
    for version in ("1.0", "2.0", "3.0"):
        index.wheel("a", version)
    assert versions(solver(ONE, {"a": "2.0"})) == {"a": "2.0"}
    assert versions(solver(ONE, {"a": "9.9", "gone": "1"})) == {"a": "3.0"}
    assert versions(solver("pypi: {dependencies: ['a>2']}\n", {"a": "2.0"})) == {"a": "3.0"}


def test_metadata_of_its_own(index: Index, solver: Solver) -> None:
    index.wheel("a", "1.0", ["b"], offer={"metadata": True})
    index.wheel("b", "1.0", offer={"metadata": True})
    assert set(versions(solver(ONE))) == {"a", "b"}
    assert not index.requests(".whl")


def test_metadata_by_range(index: Index, solver: Solver) -> None:
    import os

    index.wheel("a", "1.0", files={"a/big": os.urandom(500_000)})
    solver(ONE)
    asked = index.requests(".whl")
    assert asked
    assert {one.status for one in asked} == {206}
    assert sum(one.sent for one in asked) < 250_000


def test_metadata_from_the_whole_wheel(index: Index, solver: Solver) -> None:
    index.wheel("a", "1.0", ["b"])
    index.wheel("b", "1.0")
    index.faults[".whl"] = Fault(ranges=False)
    assert set(versions(solver(ONE))) == {"a", "b"}
    assert {one.status for one in index.requests(".whl")} == {200}


def test_metadata_of_a_wheel_that_is_here(index: Index, solver: Solver) -> None:
    """It is read where it is, each time: nothing is kept beside it, and nothing fetched."""
    data = index.wheel("a", "1.0", offer={"metadata": True}).read_bytes()
    Store(solver.root / "cache").add([data], sha256(data).hexdigest(), len(data))
    for _ in range(2):
        assert set(versions(solver(ONE))) == {"a"}
    assert not index.requests(".whl")
    assert not (solver.root / "metadata").exists()


def test_metadata_of_another(index: Index, solver: Solver) -> None:
    index.wheel("a", "1.0", metadata="Metadata-Version: 2.1\nName: b\nVersion: 1.0\n")
    with pytest.raises((ArtifactError, FetchError, UnsatisfiableError)) as caught:
        solver(ONE)
    assert "a" in str(caught.value)


def test_requirements_that_nobody_can_read(index: Index, solver: Solver) -> None:
    index.wheel("a", "1.0", ["b (>"])
    with pytest.raises((ArtifactError, UnsatisfiableError)) as caught:
        solver(ONE)
    assert "b (>" in str(caught.value)


def test_a_file_that_is_no_wheel(index: Index, solver: Solver, tmp_path: Path) -> None:
    path = tmp_path / "a-1.0-py3-none-any.whl"
    path.write_bytes(b"no zip")
    index.add(path)
    with pytest.raises((ArtifactError, FetchError, UnsatisfiableError)) as caught:
        solver(ONE)
    assert "a" in str(caught.value)


def test_an_index_behind_a_login(index: Index, solver: Solver) -> None:
    index.login = ("user", "s3cr3t")
    index.wheel("a", "1.0", ["b"])
    index.wheel("b", "1.0", offer={"metadata": True})
    with pytest.raises(FetchError):
        solver(ONE)
    solver.urls["pypi"] = index.url_with("user:wrong")
    with pytest.raises(FetchError, match="the package index pypi cannot be read") as caught:
        solver(ONE)
    assert "refuses the one that it was given" in (caught.value.hint or "")
    solver.urls["pypi"] = index.url_with("user:s3cr3t")
    solution = solver(ONE)
    assert set(versions(solution)) == {"a", "b"}
    assert "s3cr3t" not in repr(solution)
