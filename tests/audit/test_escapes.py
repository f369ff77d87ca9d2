"""What many modules pass on to each other costs what they are, not what they pass on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from envlock.audit import Target, audit_indexes, index_wheel
from envlock.audit.model import Need, Place
from envlock.audit.resolve.audit import trace
from envlock.audit.resolve.escapes import Escape, Escapes, Numbers, Tally, bits
from envlock.audit.resolve.keeping import Kept
from envlock.audit.resolve.state import Failure
from tests.audit.making import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.audit.index.model import WheelIndex

TARGET = Target(python="3.11")
Told = dict[str, tuple[bool, str, int, bool]]


def _failure(name: str) -> Failure:
    place = Place(distribution="d", version="1", module="m", function="", file="m.py", line=1)
    need = Need(module=name)
    return Failure("module-missing", place, need, "ImportError", optional=name < "c")


def _plain(known: Told, name: str, certain: bool, via: str, line: int, conditional: bool) -> None:
    if name not in known or (certain and not known[name][0]):
        known[name] = certain, via, line, conditional


ARRIVALS = st.one_of(
    st.tuples(st.sampled_from("abcdef"), st.booleans(), st.booleans()),
    st.tuples(st.integers(0, 100), st.booleans(), st.booleans()),
)


@settings(max_examples=60)
@given(st.lists(st.lists(ARRIVALS, max_size=8), min_size=1, max_size=12))
def test_it_is_as_if_each_failure_were_told_alone(
    bodies: list[list[tuple[int | str, bool, bool]]],
) -> None:
    numbers = Numbers()
    done: list[tuple[Escapes, Told]] = []
    for arrivals in bodies:
        body, plain = Escapes(numbers), Told()
        for line, (what, sure, env) in enumerate(arrivals):
            if isinstance(what, str):
                body.add(Escape(_failure(what), sure, "", line, env))
                _plain(plain, what, sure, "", line, env)
            elif done:
                place = what % len(done)
                source, told = done[place]
                body.take(source, str(place), line, sure=sure, env=env)
                for name, (certain, _, _, conditional) in told.items():
                    if certain or not (conditional or name < "c"):
                        surely = certain and sure
                        under = conditional or (not surely and env)
                        _plain(plain, name, surely, str(place), line, under)
        shown = {
            one.failure.need.module: (one.certain, one.via, one.line, one.conditional)
            for one in body
        }
        assert list(shown.items()) == list(plain.items())
        assert len(body) == len(plain)
        assert bool(body.certain) == any(certain for certain, *_ in plain.values())
        done.append((body, plain))


def test_a_handlers_failure_is_passed_on_as_the_handler_left_it() -> None:
    numbers, cause = Numbers(), _failure("absent")
    raised = Failure(cause.kind, cause.place, cause.need, "RuntimeError", True, root=cause)
    inner, outer = Escapes(numbers), Escapes(numbers)
    inner.add(Escape(raised, True, "", 3))
    outer.take(inner, "inner", 7, sure=True, env=False)
    (only,) = outer
    assert only.failure is raised
    assert (only.via, only.line) == ("inner", 7)
    assert outer.via(numbers.known(cause.key)) == "inner"
    assert outer.via(0) == ""


@settings(max_examples=40)
@given(st.lists(st.integers(0, 1 << 40)))
def test_bits_are_counted(masks: list[int]) -> None:
    tally = Tally()
    for mask in masks:
        tally.add(mask)
        assert sum(1 << place for place in bits(mask)) == mask
    for place in range(41):
        assert tally.count(1 << place) == sum(mask >> place & 1 for mask in masks)


def _package(folder: Path, modules: int) -> WheelIndex:
    """Return a package whose modules all miss one distribution and import each other."""
    files = {"big/__init__.py": ""}
    for number in range(modules):
        others = "".join(f"from big import m{n}\n" for n in range(max(0, number - 3), number))
        function = f"def look():\n    from big.m{number} import name\n    return name\n"
        files[f"big/m{number}.py"] = "import absent\n" + others + function
    return index_wheel(make_wheel(folder, f"big{modules}", files))


def _records(index: WheelIndex, folder: Path) -> tuple[int, int]:
    """Return how many records a run makes of what leaves modules, and how many it keeps."""
    kept = Kept(folder / "traces", "")
    run = trace([index], TARGET, kept=kept).run
    parts = [part for several in kept.of(index).modules.values() for part in several]
    parts += [part for several in kept.of(index).functions.values() for part in several]
    told = sum(len(member[4]) for part in parts for member in part.get("members", ()))
    told += sum(len(part.get("calls", ())) for part in parts)
    return sum(len(module.escapes.arrivals) for module in run.modules.values()), told


def test_records_grow_with_the_modules(tmp_path: Path) -> None:
    few = _records(_package(tmp_path, 50), tmp_path)
    many = _records(_package(tmp_path, 150), tmp_path)
    assert few[0] <= 5 * 50
    assert many[0] <= 5 * 150
    assert few[1] <= 10 * 50
    assert many[1] <= 10 * 150


def test_all_who_fail_are_counted(tmp_path: Path) -> None:
    index = _package(tmp_path, 60)
    full = audit_indexes([index], TARGET)
    absent = [finding for finding in full.findings if finding.needs.module == "absent"]
    assert [finding.affects for finding in absent if finding.who.module == "big.m0"] == [60]
    assert [finding.affects for finding in absent if finding.who.module == "big.m59"] == [1]
    for _ in range(2):
        assert audit_indexes([index], TARGET, cache=tmp_path / "cache") == full
