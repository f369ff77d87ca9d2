"""Wheels on top of conda packages: one owner for each distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from envlock.errors import UnsatisfiableError

from .solving import CondaSolver, conda, wheels

if TYPE_CHECKING:
    from ..makers.index import Index


def _body(dependencies: str, pypi: str, more: str = "") -> str:
    return (
        f"conda:\n  channels: [main]\n  dependencies: [{dependencies}]\n{more}"
        f"pypi:\n  dependencies: [{pypi}]\n"
    )


@pytest.fixture(autouse=True)
def _wheels(index: Index) -> None:
    offer = {"metadata": True}
    for version in ("1.26.4", "2.0.0", "2.1.0"):
        index.wheel("numpy", version, offer=offer)
    index.wheel("app", "1.0", ["numpy>=1.20"], offer=offer)
    index.wheel("wants-new", "1.0", ["numpy>=2"], offer=offer)
    index.wheel("either", "1.0", ["numpy>=1"], offer=offer)
    index.wheel("either", "2.0", ["numpy>=2"], offer=offer)
    index.wheel("more", "1.0", offer=offer)
    index.wheel("needs-extra", "1.0", ["fancy[x]"], offer=offer)


def test_what_conda_owns_is_not_installed_twice(solver: CondaSolver) -> None:
    lock = solver(_body('"numpy<2"', '"app", "numpy"'))
    assert conda(lock)["numpy"] == "1.26.4"
    assert wheels(lock) == {"app": "1.0"}
    (app,) = lock.of_kind("pypi")
    assert app.depends == ("numpy>=1.20",)


def test_an_older_one_that_fits_is_taken(solver: CondaSolver) -> None:
    assert wheels(solver(_body('"numpy<2"', "either"))) == {"either": "1.0"}
    assert wheels(solver(_body('"numpy"', "either"))) == {"either": "2.0"}


def test_a_requirement_that_condas_version_does_not_meet(solver: CondaSolver) -> None:
    with pytest.raises(UnsatisfiableError) as caught:
        solver(_body('"numpy<2"', "app, wants-new"))
    error = caught.value
    assert error.message == (
        "wants-new 1.0 requires numpy>=2, and the conda package numpy provides numpy 1.26.4"
    )
    assert error.where == "envs/one.yaml:10:23"
    for way in ("conda.dependencies", "overrides:", "against:"):
        assert way in (error.hint or "")
    assert "file://" not in str(error)


def test_the_spec_itself_asks_for_another(solver: CondaSolver) -> None:
    with pytest.raises(UnsatisfiableError) as caught:
        solver(_body('"numpy<2"', '"numpy>=2"'))
    assert caught.value.message.startswith("the spec asks for numpy>=2, and the conda package")
    assert caught.value.where == "envs/one.yaml:10:18"


def test_not_on_the_index_at_all(solver: CondaSolver, index: Index) -> None:
    index.withdraw("numpy")
    assert wheels(solver(_body('"numpy"', "app"))) == {"app": "1.0"}


def test_a_moment_in_the_past(solver: CondaSolver, index: Index) -> None:
    index.wheel("app", "2.0", offer={"metadata": True, "uploaded": "2027-01-01T00:00:00Z"})
    body = _body('"numpy"', "app")
    moment = "exclude-newer: 2026-12-31T00:00:00Z\n"
    lock = solver(moment + body)
    assert wheels(lock) == {"app": "1.0"}


class TestExtras:
    def test_of_the_spec_itself(self, solver: CondaSolver) -> None:
        lock = solver(_body('"fancy"', '"fancy[x]"'))
        assert wheels(lock) == {"more": "1.0"}
        assert conda(lock)["fancy"] == "1.0"

    def test_of_a_wheel(self, solver: CondaSolver) -> None:
        lock = solver(_body('"fancy"', '"needs-extra"'))
        assert wheels(lock) == {"more": "1.0", "needs-extra": "1.0"}

    def test_without_metadata(self, solver: CondaSolver) -> None:
        body = _body('"bare"', '"bare-python[x]"', "  map: {bare: bare_python}\n")
        with pytest.raises(UnsatisfiableError, match="METADATA is not in the package"):
            solver(body)


def test_the_map_of_the_spec(solver: CondaSolver, index: Index) -> None:
    index.wheel("bare-python", "9.0", offer={"metadata": True})
    index.wheel("uses", "1.0", ["bare-python"], offer={"metadata": True})
    assert "bare-python" in wheels(solver(_body('"bare", "python"', "uses")))
    lock = solver(_body('"bare", "python"', "uses", "  map: {bare: bare_python}\n"))
    assert wheels(lock) == {"uses": "1.0"}
    bare = next(a for a in lock.of_kind("conda") if a.name == "bare")
    assert bare.conda is not None
    assert (bare.conda.provides, bare.conda.stands_for) == ((), (("bare-python", "3.0"),))


def test_two_owners(solver: CondaSolver) -> None:
    with pytest.raises(UnsatisfiableError, match="two conda packages bring the distribution"):
        solver(_body('"bare", "numpy"', "more", "  map: {bare: numpy}\n"))


def test_an_index_of_its_own_does_not_take_it_back(solver: CondaSolver, index: Index) -> None:
    body = _body('"numpy<2"', "app")
    bound = f'indexes:\n  mine: {{url: "{index.url}", packages: [numpy]}}\n'
    lock = solver(bound + body)
    assert wheels(lock) == {"app": "1.0"}
