"""Wheels with different files at one path: refused, or settled by the spec."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from envlock.audit.index.model import WheelIndex
from envlock.audit.packages import fitted, key_of
from envlock.cli.reviewing import unsaid_lines
from envlock.errors import FetchError, SpecError, UnsatisfiableError
from envlock.fetch.artifacts import Fetcher
from envlock.fetch.http import Http
from envlock.fetch.store import Store
from envlock.progress import SILENT
from envlock.review.review import _alike
from envlock.solve.pypi.clobbers import settled
from envlock.solve.pypi.contents import ContentsReader
from envlock.spec.document import parse_document
from envlock.spec.parse import parse_spec

from ..makers.images import files_of
from ..makers.machine import HEAD
from .solving import SHOWN, Solver

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.lock.model import Artifact

    from ..makers.index import Index
    from ..makers.machine import Machine

SITE = "lib/python3.11/site-packages"
BODY = "pypi:\n  dependencies: [one, two]\n"
KEEP = "  clobbers:\n    - {path: PATH, keep: Two, because: one's is a leftover}\n"
NOISE = random.Random(1).randbytes(400_000)
"""What makes a wheel so large that only its end is read."""

Gone = dict[str, tuple[tuple[str, str], ...]]


def offer(index: Index) -> None:
    """Offer wheels with different files, and an equal one, at the same paths."""
    for name, text in (("one", "1"), ("two", "22")):
        index.wheel(
            name, "1.0", offer={"metadata": True},
            files={f"{name}.py": "def main(): ...\n", "same.py": "", "LICENSE": text,
                   "tests/__init__.py": text, "noise": NOISE},
            data={"data/etc/conf": text},
            entry_points={"console_scripts": {"tool": f"{name}:main", name: f"{name}:main"}},
        )  # fmt: skip


@dataclass
class Settle:
    """Solves, and reads what the chosen wheels would install as a machine with a cache does."""

    index: Index
    root: Path
    offline: bool = False

    def __call__(self, body: str = BODY, head: str = HEAD) -> tuple[Artifact, ...]:
        solution = Solver(self.root, self.index)(body)
        spec = parse_spec(parse_document(head.format(name="one") + body, SHOWN), SHOWN)
        http = Http(offline=self.offline)
        reader = ContentsReader(http, Fetcher(self.store, http), self.root / "contents")
        reporter: Any = SILENT
        return settled(spec, solution.artifacts, solution.urls, reader, reporter)

    @property
    def store(self) -> Store:
        return Store(self.root / "cache")


@pytest.fixture
def settle(tmp_path: Path, index: Index) -> Settle:
    offer(index)
    return Settle(index, tmp_path / "solver")


def gone(artifacts: tuple[Artifact, ...]) -> Gone:
    return {one.name: one.clobbered for one in artifacts if one.clobbered}


def test_different_files_are_refused_with_what_to_write(settle: Settle) -> None:
    with pytest.raises(UnsatisfiableError) as caught:
        settle()
    assert caught.value.message == "wheels install different files at 4 paths: one, two"
    assert caught.value.where == "envs/one.yaml:7:3"
    assert [line.split()[0] for line in caught.value.details] == [
        "bin/tool", "etc/conf", f"{SITE}/LICENSE", f"{SITE}/tests/__init__.py",
    ]  # fmt: skip
    assert caught.value.hint is not None
    assert "exclude" not in caught.value.hint  # the spec asks for both
    pasted = caught.value.hint.partition("pypi:\n")[2].replace("<why that one is right>", "so")
    assert gone(settle(f"{BODY}{pasted}\n")) == {
        "two": tuple((line.split()[0], "one") for line in caught.value.details)
    }


def test_one_of_the_two_can_go_where_nobody_asks_for_it(settle: Settle, index: Index) -> None:
    index.wheel("needs", "1", ["two"], offer={"metadata": True})
    body = BODY.replace("two", "needs")
    with pytest.raises(UnsatisfiableError) as caught:
        settle(body)
    assert (caught.value.hint or "").startswith("leave one of the two out:\npypi:\n  exclude: [two")
    assert gone(settle(f"{body}  exclude: [two]\n")) == {}


def test_the_first_entry_that_fits(settle: Settle) -> None:
    body = (
        BODY + KEEP.replace("PATH", "'**/LICENSE'") + "    - {path: '**', keep: one, because: x}\n"
    )
    assert gone(settle(body)) == {
        "one": ((f"{SITE}/LICENSE", "two"),),
        "two": tuple((p, "one") for p in ("bin/tool", "etc/conf", f"{SITE}/tests/__init__.py")),
    }


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (f"{{path: {SITE}/same.py, keep: two, because: x}}", "no other wheel has a different file"),
        (f"{{path: {SITE}/none.py, keep: two, because: x}}", "none.py settles nothing"),
        ("{path: '**', keep: three, because: x}", "three is not among the wheels"),
        ("{path: /etc/x, keep: two, because: x}", "'/etc/x' is no path below an environment's"),
        ("{path: etc/x, keep: -two, because: x}", "'-two' is no name of a distribution"),
        ("{path: '**', keep: tWo, because: x}", "of two stands twice"),
    ],
)
def test_an_entry_that_nothing_needs_or_nobody_understands(
    settle: Settle, entry: str, message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        settle(BODY + KEEP.replace("PATH", "'**'") + f"    - {entry}\n")
    assert message in str(caught.value)
    assert str(caught.value.where).startswith("envs/one.yaml:10:")


def test_paths_that_lead_elsewhere_are_left_to_the_build(settle: Settle, index: Index) -> None:
    """No lock may name them: the build refuses the wheel."""
    for name in ("evil", "wicked"):
        index.wheel(name, "1", files={"../../x": name, "a": name}, offer={"metadata": True})
    body = BODY.replace("one, two", "evil, wicked")
    assert gone(settle(body + KEEP.replace("PATH", "'**'").replace("Two", "evil"))) == {
        "wicked": ((f"{SITE}/a", "evil"),)
    }


def test_a_reason_that_was_only_pasted() -> None:
    body = BODY + KEEP.replace("PATH", "'**'").replace("one's is a leftover", "<why>")
    (line,) = unsaid_lines(parse_spec(parse_document(HEAD.format(name="one") + body, SHOWN), SHOWN))
    assert line.startswith("envs/one.yaml:9:7: because is still <why>")


def test_only_the_ends_of_wheels_are_read_and_only_once(settle: Settle, index: Index) -> None:
    body = BODY + KEEP.replace("PATH", "'**'")
    index.asked.clear()
    first = settle(body)
    assert 0 < sum(asked.sent for asked in index.requests(".whl")) < 2 * 70_000
    assert not [one for one in first if settle.store.get(one.sha256, one.size)]
    index.asked.clear()
    settle.offline = True  # what was read is kept
    assert settle(body) == first
    assert not index.requests(".whl")


def test_what_cannot_be_read_is_left_to_the_build(settle: Settle) -> None:
    """But not where the spec says whose file is kept: the lock would forget it."""
    settle.offline = True
    assert gone(settle()) == {}
    with pytest.raises(FetchError, match="what one, two would install cannot be read"):
        settle(BODY + KEEP.replace("PATH", "'**'"))


def test_a_server_without_ranges_and_one_that_sends_nonsense(settle: Settle, index: Index) -> None:
    from ..makers.index import Fault

    index.faults["two-1.0-py3-none-any.whl"] = Fault(content=b"x" * len(NOISE))
    assert gone(settle()) == {}
    index.faults.clear()
    index.faults[".whl"] = Fault(ranges=False)
    with pytest.raises(UnsatisfiableError, match="at 4 paths"):
        settle()


def test_the_wheel_itself_is_believed_more_than_the_server(settle: Settle, index: Index) -> None:
    body = BODY + KEEP.replace("PATH", "'**'")
    for one in settle(body):
        place = settle.root / "contents" / f"{one.sha256}.files"
        place.write_bytes(b"damaged" if one.name == "one" else place.read_bytes())
        settle.store.add([(index.folder / "files" / one.file).read_bytes()], one.sha256, one.size)
    index.asked.clear()
    settle.offline = True
    assert len(gone(settle(body))["one"]) == 4
    assert not index.requests(".whl")


def test_what_the_audit_sees_and_caches_know_it_by(settle: Settle) -> None:
    body = BODY + KEEP.replace("PATH", "'**'")
    loser, winner = settle(body)
    files = {"tests": {"file": "one-1.0.data/purelib/tests/__init__.py"}, "one": {"file": "one.py"}}
    points = ("0 console_scripts: tool = one:main", "0 console_scripts: one = one:main")
    index = WheelIndex(name="one", version="1.0", modules=files, entry_points=points)
    assert set(fitted(index, loser).modules) == {"one"}
    assert fitted(index, loser).entry_points == points[1:]
    assert fitted(index, winner) is index
    assert key_of(loser, "k") != key_of(winner, "k") == "k"


def test_an_override_is_judged_with_the_same_files(settle: Settle) -> None:
    body = BODY + KEEP.replace("PATH", "'**'")
    loser, winner = settle(body)
    natural = [*Solver(settle.root, settle.index)(BODY).artifacts]
    assert not natural[0].clobbered
    assert _alike(natural, (loser, winner)) == (loser, winner)
    assert _alike(natural[:1], (loser, winner)) == (natural[0],)  # whoever kept it is not there


# --- to the image ---


def test_from_the_spec_to_the_image(machine: Machine, index: Index, tmp_path: Path) -> None:
    offer(index)
    machine.write_spec("one", BODY)
    refused = machine.run("solve", "--no-audit")
    assert refused.returncode == 1
    assert "error: envs/one.yaml:10:3: wheels install different files at 4 paths" in refused.stderr
    machine.write_spec("one", BODY + KEEP.replace("PATH", "'**'"))
    done = machine.run("solve", "--json")
    assert done.returncode == 0, done.stderr
    assert "clobber: two's bin/tool is kept, one's left out (and 3 more)" in done.stderr
    (document,) = json.loads(done.stdout)["environments"]
    assert {"path": "etc/conf", "kept": "two", "lost": "one"} in document["clobbered"]
    built = machine.run("build", "one", "-o", str(tmp_path / "one.tar"), "--no-validate")
    assert built.returncode == 0, built.stderr
    files = files_of(tmp_path / "one.tar", tmp_path / "layout")
    assert files["opt/env/etc/conf"] == files[f"opt/env/{SITE}/LICENSE"] == b"22"
    assert b"from two import main" in files["opt/env/bin/tool"]
    assert b"from one import main" in files["opt/env/bin/one"]
    records = [_record(files, name) for name in ("one", "two")]
    assert not records[0] & records[1] - {"same.py", "noise"}, "a file has one owner"
    assert {"tests/__init__.py", "../../../bin/tool", "../../../etc/conf"} <= records[1]
    told = machine.run("export", "one", "--format", "dockerfile")
    assert "pip decides by its own order whose of 4 files is kept" in told.stderr


def _record(files: dict[str, bytes], name: str) -> set[str]:
    text = files[f"opt/env/{SITE}/{name}-1.0.dist-info/RECORD"].decode()
    return {line.split(",")[0] for line in text.splitlines()}


@pytest.mark.network
def test_two_distributions_with_one_module(machine: Machine) -> None:
    """PyJWT and jwt are two projects whose module has one name."""
    del machine.environ["ENVLOCK_INDEX_PYPI"]
    body = "pypi:\n  dependencies: [PyJWT==2.9.0, jwt==1.3.1]\n  exclude: [cryptography]\n"
    machine.write_spec("one", body)
    done = machine.run("solve", "--no-audit")
    assert done.returncode == 1
    assert f"  {SITE}/jwt/__init__.py (jwt, pyjwt)\n" in done.stderr
    entry = f"  clobbers: [{{path: {SITE}/jwt/*, keep: PyJWT, because: it is imported}}]\n"
    machine.write_spec("one", body + entry)
    done = machine.run("solve", "--no-audit")
    assert done.returncode == 0, done.stderr
    assert "clobber: pyjwt's " in done.stderr
