from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from envlock.errors import UnsatisfiableError, UsageError

from .solving import BASE, chosen, solve

if TYPE_CHECKING:
    from ..makers.debs import Repository


def test_takes_dependencies_and_the_base(repository: Repository) -> None:
    repository.add("app", depends="lib (>= 1.0), data")
    repository.add("lib", "1.2", pre_depends="tool")
    repository.add("tool")
    repository.add("data", architecture="all")
    repository.add("unrelated")
    repository.publish()
    solution = solve(repository, "app")
    names = [artifact.name for artifact in solution.artifacts]
    assert names == sorted({"app", "lib", "tool", "data"} | BASE)
    lib = next(artifact for artifact in solution.artifacts if artifact.name == "lib")
    assert lib.path == "pool/main/l/lib/lib_1.2_amd64.deb"
    assert lib.file == "lib_1.2_amd64.deb"
    assert (lib.kind, lib.source, lib.depends) == ("debian", "debian", ("tool",))
    assert solution.section.architecture == "amd64"
    assert solution.section.indexes[0].date == "20250520T120000Z"


def test_does_not_take_recommends(repository: Repository) -> None:
    repository.add("app", recommends="extra", suggests="more")
    repository.add("extra")
    repository.add("more")
    repository.publish()
    assert chosen(solve(repository, "app")) == {"app": "1.0"}


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("1.9", "1.10"),
        ("9", "1:1"),
        ("1.0~rc1", "1.0"),
        ("1.0-1~deb12u1", "1.0-1"),
        ("2.36-9", "2.36-9+deb12u1"),
        ("1.0", "1.0-1"),
    ],
)
def test_takes_the_highest_version(repository: Repository, lower: str, higher: str) -> None:
    repository.add("app", higher)
    repository.add("app", lower)
    repository.add("wants-lower", depends=f"app (<< {higher})")
    repository.publish()
    assert chosen(solve(repository, "app")) == {"app": higher}
    assert chosen(solve(repository, "wants-lower"))["app"] == lower


def test_a_revision_of_zero_is_none(repository: Repository) -> None:
    repository.add("app", depends="lib (= 1.0-0)")
    repository.add("lib", "1.0")
    repository.publish()
    assert chosen(solve(repository, "app"))["lib"] == "1.0"


def test_takes_the_first_alternative(repository: Repository) -> None:
    repository.add("app", depends="zeta | alpha")
    repository.add("other", depends="missing | alpha | zeta")
    repository.add("alpha")
    repository.add("zeta")
    repository.publish()
    assert chosen(solve(repository, "app")) == {"app": "1.0", "zeta": "1.0"}
    assert chosen(solve(repository, "other")) == {"other": "1.0", "alpha": "1.0"}


def test_an_alternative_that_is_there_is_enough(repository: Repository) -> None:
    repository.add("app", depends="zeta | alpha")
    repository.add("zeta")
    repository.add("alpha")
    repository.publish()
    assert chosen(solve(repository, "app", "alpha")) == {"app": "1.0", "alpha": "1.0"}


def test_prefers_the_provider_with_the_highest_priority(repository: Repository) -> None:
    repository.add("app", depends="awk")
    repository.add("gawk", provides="awk", priority="optional")
    repository.add("mawk", provides="awk", priority="required")
    repository.publish()
    assert chosen(solve(repository, "app")) == {"app": "1.0", "mawk": "1.0"}


def test_prefers_the_real_package_to_its_substitute(repository: Repository) -> None:
    repository.add("app", depends="tool")
    repository.add("a-tool", provides="tool", priority="required")
    repository.add("tool", priority="extra")
    repository.publish()
    assert chosen(solve(repository, "app")) == {"app": "1.0", "tool": "1.0"}


def test_versioned_provides(repository: Repository) -> None:
    repository.add("app", depends="api (>= 2)")
    repository.add("old", provides="api (= 1)")
    repository.add("plain", provides="api")
    repository.add("new", provides="api (= 2.1)")
    repository.publish()
    assert chosen(solve(repository, "app")) == {"app": "1.0", "new": "1.0"}


def test_an_unversioned_provides_meets_no_version(repository: Repository) -> None:
    repository.add("app", depends="api (>= 2)")
    repository.add("plain", provides="api")
    repository.publish()
    with pytest.raises(UnsatisfiableError) as caught:
        solve(repository, "app")
    assert caught.value.message == "no set of packages installs app"
    assert caught.value.details == ("app 1.0 depends on api (>= 2), which no package meets",)


def test_a_conflict_names_both_sides(repository: Repository) -> None:
    repository.add("app", depends="left, right")
    repository.add("left")
    repository.add("right", breaks="left (<< 2)")
    repository.publish()
    with pytest.raises(UnsatisfiableError) as caught:
        solve(repository, "app")
    assert "app" in caught.value.message
    assert "right 1.0 conflicts with left (<< 2), as which left 1.0 counts" in caught.value.details
    assert "app 1.0 depends on left" in caught.value.details


def test_a_conflict_with_what_it_provides_itself_is_none(repository: Repository) -> None:
    repository.add("mta", provides="mail-agent", conflicts="mail-agent")
    repository.publish()
    assert chosen(solve(repository, "mta")) == {"mta": "1.0"}


def test_an_older_version_is_taken_where_the_newest_cannot_be(repository: Repository) -> None:
    repository.add("app", depends="lib")
    repository.add("lib", "2", depends="nowhere")
    repository.add("lib", "1")
    repository.publish()
    assert chosen(solve(repository, "app"))["lib"] == "1"


def test_qualifiers(repository: Repository) -> None:
    repository.add("app", depends="python:any (>= 3), lib:amd64, tool:native")
    repository.add("python", "3.11", multi_arch="allowed")
    repository.add("lib")
    repository.add("tool")
    repository.add("strict", depends="lib:any")
    repository.add("foreign", depends="lib:arm64")
    repository.publish()
    assert set(chosen(solve(repository, "app"))) == {"app", "python", "lib", "tool"}
    for name in ("strict", "foreign"):
        with pytest.raises(UnsatisfiableError):
            solve(repository, name)


def test_excluded_packages_count_as_met(repository: Repository) -> None:
    repository.add("app", depends="lib, awk")
    repository.add("lib", depends="big (>= 9)")
    repository.add("big", provides="huge", depends="much-more")
    repository.add("mawk", provides="awk")
    repository.add("gawk", provides="awk")
    repository.publish()
    solution = solve(repository, "app", exclude=("big", "mawk", "dash"))
    assert chosen(solution) == {"app": "1.0", "lib": "1.0"}
    assert "dash" not in {artifact.name for artifact in solution.artifacts}


def test_asked_and_excluded_is_a_mistake(repository: Repository) -> None:
    repository.publish()
    with pytest.raises(UsageError, match="asked for and excluded at the same time: dash"):
        solve(repository, "dash", exclude=("dash",))


def test_an_unknown_package_gets_a_hint(repository: Repository) -> None:
    repository.add("ca-certificates")
    repository.add("mawk", provides="awk")
    repository.publish()
    with pytest.raises(UnsatisfiableError, match="no package named ca-certificate") as caught:
        solve(repository, "ca-certificate")
    assert caught.value.hint == "did you mean ca-certificates instead of ca-certificate?"
    with pytest.raises(UnsatisfiableError) as caught:
        solve(repository, "awk")
    assert caught.value.hint == "awk is a virtual package; ask for one of: mawk"
    with pytest.raises(UnsatisfiableError) as caught:
        solve(repository, "mawk=1.0")
    assert caught.value.hint == "'mawk=1.0' is not a package name: names only, no versions"


def test_another_suites_python_gets_a_hint(repository: Repository) -> None:
    repository.add("python3", "3.11.2-1+b1")
    repository.add("python3.11-minimal", "3.11.2-6")
    repository.publish()
    with pytest.raises(UnsatisfiableError) as caught:
        solve(repository, "python3.12-minimal", "libpython3.12-stdlib")
    hint = caught.value.hint or ""
    assert hint.count("the suite's Python is 3.11") == 1
    assert "python in conda.dependencies" in hint
    assert "did you mean" not in hint
    with pytest.raises(UnsatisfiableError) as caught:
        solve(repository, "python3.11-minimla")
    assert caught.value.hint == "did you mean python3.11-minimal instead of python3.11-minimla?"


_SCRIPT = """
from envlock.solve.debian.packages import PackageIndex
from envlock.solve.debian.solver import choose
import sys
index = PackageIndex("amd64")
index.add(open(sys.argv[1], "rb").read(), 0)
print([(p.name, p.version) for p in choose(index, ["app", "app2"], (), "amd64")])
"""


def test_the_hash_seed_and_the_order_of_the_index_change_nothing(repository: Repository) -> None:
    repository.add("app", depends="virtual, one | two")
    repository.add("app2", depends="virtual2")
    for name in ("p1", "p2", "p3", "p4"):
        repository.add(name, provides="virtual, virtual2")
    for version in ("1", "2", "3"):
        repository.add("two", version)
    answers = set()
    path = repository.root / "Packages"
    for seed in ("0", "1", "2", "3"):
        repository.stanzas.reverse()
        path.write_text("\n".join(repository.stanzas))
        answers.add(
            subprocess.run(
                [sys.executable, "-c", _SCRIPT, str(path)],
                env={"PYTHONHASHSEED": seed},
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
    assert len(answers) == 1
    assert "('p1', '1.0')" in answers.pop()
