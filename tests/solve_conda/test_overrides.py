"""Overrides of conda packages' pins, and wheels in place of what conda packages bring."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from envlock.channels import ChannelAccess
from envlock.errors import OverrideError, SpecError, UnsatisfiableError
from envlock.lock.codec import dump_lock, parse_lock
from envlock.solve.conda.check import unmet_entries

from ..makers.conda import index_channel, make_conda
from .solving import SITE, CondaSolver, conda, voids, wheels

if TYPE_CHECKING:
    from pathlib import Path

    from ..makers.index import Index


def _body(
    dependencies: str = '"scipy"',
    *,
    package: str = "numpy",
    version: str = "1.24.4",
    against: str = '{scipy: "numpy >=1.26,<3"}',
    source: str = "conda",
    more: str = "",
    pypi: str = "",
) -> str:
    return f"""\
conda:
  channels: [main]
  dependencies: [{dependencies}]
{pypi}overrides:
  - package: {package}
    from: {source}
    version: "=={version}"
    against: {against}
    because: a reason
{more}"""


class TestOfCondaPackages:
    def test_a_pin_is_voided_and_recorded(self, solver: CondaSolver) -> None:
        lock = solver(_body('"scipy", "pandas"'))
        assert conda(lock) == {
            "numpy": "1.24.4",
            "pandas": "2.2.0",
            "python": "3.12.1",
            "scipy": "1.14.0",
        }
        assert voids(lock) == [
            "conda numpy: conda scipy 1.14.0 -> numpy >=1.26,<3",
            "conda numpy: pypi scipy 1.14.0 -> numpy<2.3,>=1.26.4",
        ]
        scipy = next(a for a in lock.of_kind("conda") if a.name == "scipy")
        assert "numpy >=1.26,<3" in scipy.depends  # what upstream says stays in the lock
        assert parse_lock(dump_lock(lock), "lock") == lock
        assert lock.spec["overrides"][0]["from"] == "conda"
        assert unmet_entries(lock) == []
        assert dump_lock(solver(_body('"scipy", "pandas"'), previous=lock)) == dump_lock(lock)

    @pytest.mark.parametrize(
        "claim", ["numpy >=1.26,<3", "numpy<3,>=1.26", "numpy[version='>=1.26,<3']"]
    )
    def test_the_claim_may_be_written_in_other_ways(self, solver: CondaSolver, claim: str) -> None:
        assert conda(solver(_body(against=f'{{scipy: "{claim}"}}')))["numpy"] == "1.24.4"

    def test_upstream_says_something_else(self, solver: CondaSolver) -> None:
        with pytest.raises(OverrideError) as caught:
            solver(_body(against='{scipy: "numpy >=1.25"}'))
        assert caught.value.message == (
            "the override of numpy: scipy 1.14.0 requires numpy >=1.26,<3 and "
            "numpy<2.3,>=1.26.4, not numpy >=1.25"
        )
        assert caught.value.where == "envs/one.yaml:10:5"
        assert 'against: {scipy: "numpy >=1.26,<3"}' in (caught.value.hint or "")

    def test_it_changes_nothing(self, solver: CondaSolver) -> None:
        with pytest.raises(OverrideError, match="it changes nothing: scipy 1"):
            solver(_body(version="1.26.4"))

    def test_a_dependent_that_does_not_depend(self, solver: CondaSolver) -> None:
        against = '{scipy: "numpy >=1.26,<3", bare: "numpy >=1"}'
        with pytest.raises(OverrideError, match=r"bare 3\.0 does not require numpy"):
            solver(_body('"scipy", "bare"', against=against))

    def test_a_dependent_that_is_not_there(self, solver: CondaSolver) -> None:
        against = '{scipy: "numpy >=1.26,<3", gone: "numpy >=1"}'
        with pytest.raises(OverrideError, match="gone is not among the packages"):
            solver(_body(against=against))

    def test_a_pin_that_is_not_listed(self, solver: CondaSolver) -> None:
        with pytest.raises(OverrideError) as caught:
            solver(_body('"scipy", "pandas"', against='{pandas: "numpy >=1.19"}'))
        assert caught.value.message == (
            "the override of numpy would void a pin that it does not list: "
            "scipy 1.14.0 requires numpy >=1.26,<3"
        )
        assert 'scipy: "numpy >=1.26,<3"' in (caught.value.hint or "")

    def test_constrains_can_be_voided(self, solver: CondaSolver) -> None:
        body = _body(
            '"numpy", "old-numpy-please"', version="2.0.0", against='{old-numpy-please: "numpy<2"}'
        )
        lock = solver(body)
        assert voids(lock) == ["conda numpy: conda old-numpy-please 1.0 -> numpy <2"]
        assert unmet_entries(lock) == []

    def test_no_such_version(self, solver: CondaSolver) -> None:
        with pytest.raises(UnsatisfiableError) as caught:
            solver(_body(version="1.25.0"))
        assert "numpy ==1.25.0" in "\n".join(caught.value.details)

    def test_until(self, solver: CondaSolver) -> None:
        later = '    until: "scipy>=1.15"\n'
        assert conda(solver(_body(more=later)))["numpy"] == "1.24.4"
        with pytest.raises(OverrideError, match=r"stale: scipy 1\.14\.0 is here"):
            solver(_body(more='    until: "scipy>=1.14"\n'))
        with pytest.raises(OverrideError, match="waits for gone"):
            solver(_body(more='    until: "gone>=1"\n'))

    def test_adds(self, solver: CondaSolver) -> None:
        lock = solver(_body(more="    adds: [bare]\n"))
        assert "bare" in conda(lock)
        assert lock.roots == ()

    def test_nobody_wants_it(self, solver: CondaSolver) -> None:
        with pytest.raises(OverrideError, match="nothing in the environment requires it"):
            solver(_body('"bare"', against='{bare: "numpy >=1"}'))

    def test_without_a_conda_section(self, solver: CondaSolver) -> None:
        body = _body().partition("overrides:")
        with pytest.raises(SpecError, match="no conda section"):
            solver(f"{body[1]}{body[2]}")

    def test_a_wheels_pin_is_voided(self, solver: CondaSolver, index: Index) -> None:
        index.wheel("wants-new", "1.0", ["numpy>=2"], offer={"metadata": True})
        pypi = "pypi:\n  dependencies: [wants-new]\n"
        body = _body(against='{scipy: "numpy >=1.26,<3", wants-new: "numpy>=2"}', pypi=pypi)
        lock = solver(body)
        assert conda(lock)["numpy"] == "1.24.4"
        assert wheels(lock) == {"wants-new": "1.0"}
        assert voids(lock)[-1] == "conda numpy: pypi wants-new 1.0 -> numpy>=2"
        assert len(lock.overrides) == 1


class TestWheelsOverCondaPackages:
    @pytest.fixture(autouse=True)
    def _numpy(self, index: Index) -> None:
        for version in ("1.24.4", "1.26.4", "2.1.0"):
            index.wheel("numpy", version, offer={"metadata": True})

    def test_a_wheel_in_place_of_a_package(self, solver: CondaSolver) -> None:
        lock = solver(_body(source="pypi"))
        assert conda(lock)["numpy"] == "2.0.0"
        assert wheels(lock) == {"numpy": "1.24.4"}
        (override,) = lock.overrides
        assert (override.kind, override.replaces) == ("pypi", "numpy")
        assert voids(lock) == [
            "pypi numpy: conda scipy 1.14.0 -> numpy >=1.26,<3",
            "pypi numpy: pypi scipy 1.14.0 -> numpy<2.3,>=1.26.4",
        ]
        assert parse_lock(dump_lock(lock), "lock") == lock
        assert unmet_entries(lock) == []

    @pytest.mark.parametrize("folder", ["/PKG-INFO", ""])
    def test_an_egg_info_has_no_list_of_files(
        self, tmp_path: Path, index: Index, folder: str
    ) -> None:
        files = {
            f"{SITE}/legacy.py": "",
            f"{SITE}/legacy-1.0-py3.12.egg-info{folder}": "Metadata-Version: 1.0\nName: legacy\n",
        }
        channel = tmp_path / "main"
        make_conda(channel, "legacy", "1.0", files=files)
        make_conda(channel, "user", "1.0", depends=["legacy =1"])
        index.wheel("legacy", "2.0", offer={"metadata": True})
        access = {"main": ChannelAccess(urls=(index_channel(channel),))}
        body = (
            "conda:\n  channels: [main]\n  dependencies: [user]\noverrides:\n"
            '  - package: legacy\n    version: "==2.0"\n    against: {user: "legacy =1"}\n'
            "    because: newer\n"
        )
        with pytest.raises(OverrideError, match="brings legacy without a RECORD") as caught:
            CondaSolver(tmp_path / "solver", index, access)(body)
        assert caught.value.where == "envs/one.yaml:10:5"
        assert "from: conda" in (caught.value.hint or "")

    def test_from_pypi_is_the_default(self, solver: CondaSolver) -> None:
        body = _body(source="pypi")
        plain = body.replace("    from: pypi\n", "")
        assert dump_lock(solver(plain)) == dump_lock(solver(body))

    def test_upstream_says_something_else(self, solver: CondaSolver) -> None:
        with pytest.raises(OverrideError, match="not numpy >=5"):
            solver(_body(source="pypi", against='{scipy: "numpy >=5"}'))

    def test_it_changes_nothing(self, solver: CondaSolver) -> None:
        with pytest.raises(OverrideError, match="it changes nothing"):
            solver(_body(source="pypi", version="1.26.4"))

    def test_a_pin_that_is_not_listed(self, solver: CondaSolver) -> None:
        with pytest.raises(OverrideError, match=r"does not list: scipy 1\.14\.0 requires numpy"):
            solver(_body('"scipy", "pandas"', source="pypi", against='{pandas: "numpy >=1.19"}'))

    def test_wheels_and_packages_as_dependents(self, solver: CondaSolver, index: Index) -> None:
        index.wheel("wants-new", "1.0", ["numpy>=2"], offer={"metadata": True})
        lock = solver(
            _body(
                source="pypi",
                against='{scipy: "numpy >=1.26,<3", wants-new: "numpy>=2"}',
                pypi="pypi:\n  dependencies: [wants-new]\n",
            )
        )
        assert wheels(lock) == {"numpy": "1.24.4", "wants-new": "1.0"}
        assert voids(lock)[-1] == "pypi numpy: pypi wants-new 1.0 -> numpy>=2"
