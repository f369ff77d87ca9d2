"""Overrides and exclusions: what they void, and each way in which they are no longer true."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from envlock.errors import OverrideError, UnsatisfiableError

from .solving import Solver, sources, versions, voids

if TYPE_CHECKING:
    from ..makers.index import Index

OVERRIDE = """\
pypi:
  dependencies: [torch, vision]
overrides:
  - package: triton
    version: "==2.3.1"
    against: {torch: "triton==3.2.0"}
    because: the other needs it
"""
MARKER = 'platform_system == "Linux" and platform_machine == "x86_64"'


@pytest.fixture
def torch(index: Index) -> Index:
    """torch pins triton under a marker; vision pins torch."""
    index.wheel("torch", "2.6.0", [f"triton==3.2.0 ; {MARKER}", "sympy", "cuda ; extra == 'x'"])
    index.wheel("vision", "0.21.0", ["torch==2.6.0"])
    index.wheel("sympy", "1.13")
    for version in ("2.3.1", "3.1.0", "3.2.0", "3.3.0"):
        index.wheel("triton", version, files={f"triton/v{version[0]}.py": ""})
    index.wheel("setuptools", "80.0")
    index.wheel("setuptools", "81.0")
    return index


def test_without_override(torch: Index, solver: Solver) -> None:
    solution = solver("pypi: {dependencies: [vision]}\n")
    assert versions(solution) == {
        "sympy": "1.13",
        "torch": "2.6.0",
        "triton": "3.2.0",
        "vision": "0.21.0",
    }
    assert voids(solution) == []


def test_scoped_to_one_dependent_with_its_marker(torch: Index, solver: Solver) -> None:
    solution = solver(OVERRIDE)
    assert versions(solution)["triton"] == "2.3.1"
    assert voids(solution) == [f"triton: torch 2.6.0 -> triton==3.2.0; {MARKER}"]
    pins = {artifact.name: artifact.depends for artifact in solution.artifacts}
    assert pins["torch"] == ("sympy", f"triton==3.2.0; {MARKER}")


def test_adds(torch: Index, solver: Solver) -> None:
    solution = solver(OVERRIDE + "    adds: ['setuptools<81']\n")
    assert versions(solution)["setuptools"] == "80.0"


def test_the_order_of_things_does_not_matter(torch: Index, solver: Solver) -> None:
    assert solver(OVERRIDE) == solver(OVERRIDE.replace("torch, vision", "vision, torch"))


def test_the_wrong_pin(torch: Index, solver: Solver) -> None:
    with pytest.raises(OverrideError) as caught:
        solver(OVERRIDE.replace("triton==3.2.0", "triton==3.1.0"))
    error = caught.value
    assert "torch 2.6.0 requires triton==3.2.0, not triton==3.1.0" in error.message
    assert error.where == "envs/one.yaml:9:5"
    assert 'against: {torch: "triton==3.2.0"}' in (error.hint or "")
    assert error.exit_code == 1


def test_no_longer_required(torch: Index, solver: Solver) -> None:
    torch.wheel("torch", "2.7.0", ["sympy"])
    torch.wheel("vision", "0.22.0", ["torch==2.7.0"])
    with pytest.raises(OverrideError, match=r"torch 2.7.0 does not require triton"):
        solver(OVERRIDE)


def test_a_dependent_that_is_not_there(torch: Index, solver: Solver) -> None:
    with pytest.raises(OverrideError, match="gone is not among the packages") as caught:
        solver(OVERRIDE.replace("{torch:", '{gone: "triton==1", torch:'))
    assert "remove gone from against" in (caught.value.hint or "")
    with pytest.raises(OverrideError, match="troch is not among the packages") as caught:
        solver(OVERRIDE.replace("{torch:", "{troch:"))
    assert caught.value.hint == "did you mean torch?"


def test_it_changes_nothing(torch: Index, solver: Solver) -> None:
    with pytest.raises(OverrideError, match=r"it changes nothing: torch 2.6.0 .* 3.2.0 meets"):
        solver(OVERRIDE.replace("==2.3.1", "==3.2.0"))


def test_until_is_met(torch: Index, solver: Solver) -> None:
    assert versions(solver(OVERRIDE + "    until: vision>=0.22\n"))["triton"] == "2.3.1"
    with pytest.raises(OverrideError, match=r"it is stale: vision 0.21.0 is here") as caught:
        solver(OVERRIDE + "    until: vision>=0.21\n")
    assert "remove the override" in (caught.value.hint or "")


def test_a_pin_that_is_not_listed(torch: Index, solver: Solver) -> None:
    torch.wheel("inductor", "1.0", ["triton>=3"])
    body = OVERRIDE.replace("vision]", "vision, inductor]")
    with pytest.raises(OverrideError) as caught:
        solver(body)
    assert "would void a pin that it does not list: inductor 1.0 requires triton>=3" in (
        caught.value.message
    )
    found = re.search(r"against: \{.*\}", caught.value.hint or "")
    assert found
    pasted = re.sub(r"against: \{.*\}", lambda _: found[0], body)
    solution = solver(pasted)
    assert versions(solution)["triton"] == "2.3.1"
    assert len(voids(solution)) == 2


def test_a_forced_version_that_does_not_exist(torch: Index, solver: Solver) -> None:
    with pytest.raises(UnsatisfiableError) as caught:
        solver(OVERRIDE.replace("==2.3.1", "==9.9"))
    assert "triton" in str(caught.value)
    assert "9.9" in str(caught.value)


def test_a_conflict_and_the_way_out(torch: Index, solver: Solver) -> None:
    """What the error proposes is YAML; pasted, it solves."""
    body = "pypi:\n  dependencies: [torch]\n  constraints: ['triton<3']\n"
    with pytest.raises(UnsatisfiableError) as caught:
        solver(body)
    error = caught.value
    assert "pypi.constraints asks for triton<3" in error.message
    assert "torch 2.6.0 requires triton==3.2.0" in error.message
    assert error.where == "envs/one.yaml:8:17"
    assert error.details[0] == "uv's explanation:"
    text = (error.hint or "").partition("\n")[2]
    text = text.replace("<what needs triton 2.3.1>", "the test needs it")
    (proposed,) = yaml.safe_load(text)["overrides"]
    assert proposed["version"] == "==2.3.1"
    assert proposed["against"] == {"torch": "triton==3.2.0"}
    assert proposed["checks"] == [{"version": "2.3.1"}, {"import": "torch"}]
    pasted = solver("pypi:\n  dependencies: [torch]\n" + text + "\n")
    assert versions(pasted)["triton"] == "2.3.1"


def test_a_conflict_of_dependencies(torch: Index, solver: Solver) -> None:
    with pytest.raises(UnsatisfiableError) as caught:
        solver("pypi:\n  dependencies: [torch, 'triton==2.3.1']\n")
    assert "pypi.dependencies asks for triton==2.3.1, but torch 2.6.0 requires" in (
        caught.value.message
    )


def test_the_version_to_force_is_one_that_others_take(index: Index, solver: Solver) -> None:
    """Else what is proposed would void another pin, and the next solve refuse it."""
    index.wheel("gen", "1.0", ["num<2", "sci"])
    index.wheel("sci", "1.0", ["num<2.3"])
    for version in ("1.9.1", "2.2.6", "2.4.6"):
        index.wheel("num", version)
    body = "pypi:\n  dependencies: [gen, 'num>=2']\n"
    with pytest.raises(UnsatisfiableError, match="asks for num>=2, but gen") as caught:
        solver(body)
    text = (caught.value.hint or "").partition("\n")[2]
    (proposed,) = yaml.safe_load(text)["overrides"]
    assert (proposed["version"], proposed["against"]) == ("==2.2.6", {"gen": "num<2"})
    pasted = solver(body + text.replace("<what needs num 2.2.6>", "the test needs it"))
    assert versions(pasted)["num"] == "2.2.6"


def test_where_no_version_suits_all_others_they_are_listed(index: Index, solver: Solver) -> None:
    index.wheel("gen", "1.0", ["num<2", "sci", "fit"])
    index.wheel("sci", "1.0", ["num<2.3"])
    index.wheel("fit", "1.0", ["num!=2.2.6"])
    for version in ("1.9.1", "2.2.6", "2.4.6"):
        index.wheel("num", version)
    body = "pypi:\n  dependencies: [gen, 'num>=2']\n"
    with pytest.raises(UnsatisfiableError) as caught:
        solver(body)
    text = (caught.value.hint or "").partition("\n")[2]
    (proposed,) = yaml.safe_load(text)["overrides"]
    assert (proposed["version"], proposed["against"]) == (
        "==2.4.6",
        {"gen": "num<2", "sci": "num<2.3"},
    )
    assert versions(solver(body + text.replace("<what needs num 2.4.6>", "x")))["num"] == "2.4.6"


def test_excluded(torch: Index, solver: Solver) -> None:
    solution = solver("pypi: {dependencies: [vision], exclude: [SymPy, triton]}\n")
    assert set(versions(solution)) == {"torch", "vision"}
    assert voids(solution) == [
        "sympy: torch 2.6.0 -> sympy",
        f"triton: torch 2.6.0 -> triton==3.2.0; {MARKER}",
    ]


def test_overridden_with_extras(index: Index, solver: Solver) -> None:
    """The forced version gets the extras that the voided pin asked for."""
    index.wheel("app", "1.0", ["lib[fast]==1.0"])
    for version in ("1.0", "2.0"):
        index.wheel("lib", version, ["speed ; extra == 'fast'"], extras=["fast"])
    index.wheel("speed", "1.0")
    body = OVERRIDE.replace("torch, vision", "app").replace("triton==3.2.0", "lib[fast]==1.0")
    body = body.replace("triton", "lib").replace("2.3.1", "2.0").replace("torch", "app")
    assert versions(solver(body)) == {"app": "1.0", "lib": "2.0", "speed": "1.0"}


def test_nothing_asked(solver: Solver) -> None:
    assert solver("").artifacts == ()


def test_sources(torch: Index, solver: Solver) -> None:
    assert set(sources(solver(OVERRIDE)).values()) == {"pypi"}
