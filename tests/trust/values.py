"""Values that nobody means well with, in every place of specs and locks, for every command.

``scripts/hostile`` runs it until the time is up.  The commands run in this process, as
``envlock`` runs them.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import re
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

from envlock.cli import ending, main
from envlock.lock.plain import seal

from ..makers.machine import NOWHERE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from envlock.cli.context import Context

ROOT = Path(__file__).resolve().parents[2]
PLACE = "bnb-cu124"
"""The environment that is changed: it has an override, and most of what a spec can have."""

VALUES: tuple[Any, ...] = (
    None, True, -1, 10**400, 1e308, "", " ", "\x1b[31m", "..", "../../etc/passwd", "/etc/passwd",
    "a\nb", "\ud800", "\u202e", "x" * 70_000, "*", "%s{}", "a >", [], {}, [[]], {"a": None},
    "https://me:word@example.com/",
)  # fmt: skip
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("solve", "--check"),
    ("list", "one"),
    ("why", "one", "torch"),
    ("outdated", "--offline"),
    ("build", "one", "--offline", "--no-validate"),
    ("audit", "one"),
    ("bundle", "one", "-o", "one.tar"),
    ("report", "one", "-o", "one.html"),
    *(
        ("export", "one", "--format", name, "-o", "one.out")
        for name in ("requirements", "cyclonedx", "spdx", "dockerfile")
    ),
)
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_DEEP = 400
SPECS: tuple[bytes, ...] = (
    b"",
    b"\x00" * 10,
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"&a [*a]",
    b"[" * _DEEP,
    b"{" * _DEEP,
    b"k: " * _DEEP,
    b"'" * _DEEP,
    b"x: " + b"9" * _DEEP,
    b'a: "\\ud800"',
    b"\x1b[2J: x",
    b"%YAML 9.9\n---\n",
    b"--- a\n--- b\n",
    b"? [a]\n: b",
    b"<<: {a: b}",
    b"!!python/object:os.system x",
    b"version: 1\nversion: 1\n",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One command with one change; wrong: what must not be, empty where all is well."""

    place: tuple[str | int, ...]
    value: str
    command: tuple[str, ...]
    wrong: str


Change = tuple[str, tuple[str | int, ...], Any]
"""``spec`` or ``lock``, where in it, and what stands there now."""


class Bench:
    """A project with one environment, whose spec and lock are changed at will."""

    def __init__(self, root: Path, setenv: Callable[[str, str], None]) -> None:
        self._root = root
        for folder in ("envs", "locks", "home"):
            (root / folder).mkdir()
        for name, value in {
            "HOME": str(root / "home"),
            "XDG_CONFIG_HOME": str(root / "home"),
            "ENVLOCK_CACHE_DIR": str(root / "cache"),
            "ENVLOCK_INDEX_PYPI": "file:///nowhere/",  # fails at once
            "ENVLOCK_MIRROR_DEBIAN": NOWHERE,
            "ENVLOCK_MIRROR_DEBIAN_SECURITY": NOWHERE,
        }.items():
            setenv(name, value)
        self._reset()

    def _reset(self) -> None:
        self.spec(json.dumps({**_document(), "name": "one"}).encode())
        self._write(_locked())

    def spec(self, text: bytes) -> None:
        """Make this the spec."""
        (self._root / "envs" / "one.yaml").write_bytes(text)

    def lock(self, place: Sequence[str | int], value: object) -> None:
        """Put a value into the lock, and seal it anew."""
        self._write(_with(_locked(), place, value))

    def _write(self, lock: Any) -> None:
        path = self._root / "locks" / "one.linux-64.lock.json"
        path.write_text(json.dumps(_sealed(lock)))

    def run(self, *words: str) -> tuple[int, str]:
        """Run a command; returns its exit code and what it said."""
        said = io.StringIO()
        before, leave = sys.argv, ending._leave
        sys.argv = ["envlock", "--project", str(self._root), *words]
        ending._leave = _leave  # it may end the process at once, for rattler's threads
        try:
            with (
                contextlib.redirect_stdout(said),
                contextlib.redirect_stderr(said),
                contextlib.chdir(self._root),
            ):
                main()
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else int(left.code is not None)
            return code, said.getvalue()
        finally:
            sys.argv, ending._leave = before, leave
        return 0, said.getvalue()

    def sweep(self, changes: Iterable[Change], most: int) -> Iterator[Tried]:
        """Try commands with each of the first changes, in turns."""
        for number, (what, place, value) in enumerate(changes):
            if number >= most:
                return
            self._reset()
            if what == "lock":
                self.lock(place, value)
            else:
                self.spec(json.dumps(_with({**_document(), "name": "one"}, place, value)).encode())
            command = COMMANDS[number % len(COMMANDS)]
            yield Tried(
                place=place, value=repr(value)[:40], command=command, wrong=self._wrong(command)
            )

    def _wrong(self, command: tuple[str, ...]) -> str:
        try:
            code, said = self.run(*command)
        except Exception:  # noqa: BLE001  it is what is looked for
            return traceback.format_exc()
        if code not in {0, 1, 2, 3}:
            return f"exit code {code}: {said[-300:]}"
        if "the system refused" in said:  # nobody has thought of it
            return said[-300:]
        if _STEERING.search(said):
            return f"a control character: {said!r}"
        return "a password" if "me:word@" in said else ""


def _leave(state: Context, code: str | int | None) -> NoReturn:
    sys.exit(code)


def locks(seed: int) -> Iterator[Change]:
    """Yield changes of the lock without end."""
    yield from _changes("lock", _locked(), seed)


def specs(seed: int) -> Iterator[Change]:
    """Yield changes of the spec without end."""
    yield from _changes("spec", _document(), seed)


def _changes(what: str, document: Any, seed: int) -> Iterator[Change]:
    chance = random.Random(seed)
    places = [place for place in _places(document) if place and place != ("name",)]
    while True:
        yield what, chance.choice(places), chance.choice(VALUES)


def _places(value: Any, here: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield here
    if isinstance(value, dict):
        for key in value:
            yield from _places(value[key], (*here, key))
    elif isinstance(value, list):
        for number in range(min(len(value), 2)):
            yield from _places(value[number], (*here, number))


def _with(document: Any, place: Sequence[str | int], value: object) -> Any:
    around = document
    for part in place[:-1]:
        around = around[part]
    around[place[-1]] = value
    return document


def _document() -> dict[str, Any]:
    text = (ROOT / "envs" / f"{PLACE}.yaml").read_text()
    spec: dict[str, Any] = yaml.load(text, Loader=yaml.BaseLoader)
    whole = {"version": 1, "image": {"layers": {"budget": 40}}}
    return {
        **spec,
        **whole,
        "indexes": {"own": {"url": "https://index.example.com/", "packages": ["inner"]}},
        "require-attestations": {"torch": {"repository": "pytorch/pytorch"}},
        "vulnerabilities": {
            "accepts": [{"id": "CVE-2025-1", "because": "harmless", "until": "2027-01-01"}]
        },
    }


def _locked() -> dict[str, Any]:
    lock: dict[str, Any] = json.loads(
        (ROOT / "locks" / f"{PLACE}.linux-64.lock.json").read_text("utf-8")
    )
    lock["name"] = lock["spec"]["name"] = "one"
    return lock


def _sealed(lock: Any) -> Any:
    """Return a lock with fitting seals, as far as it still has what is sealed."""
    import hashlib

    with contextlib.suppress(TypeError, KeyError, AttributeError, ValueError):
        for artifact in lock["artifacts"]:
            artifact["seal"] = seal(artifact)
        text = json.dumps(
            lock["spec"], sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode("utf-8", "surrogatepass")
        lock["input"] = f"sha256:{hashlib.sha256(text).hexdigest()}"
        lock["seal"] = seal(lock)
    return lock


def run(arguments: Sequence[str] | None = None) -> int:
    """Sweep until the time is up; returns 1 where something was wrong."""
    parser = argparse.ArgumentParser(prog="scripts/hostile", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    asked = parser.parse_args(arguments)
    end, count, wrong = time.monotonic() + asked.seconds, 0, 0
    with tempfile.TemporaryDirectory(prefix="envlock-hostile-") as folder:
        bench = Bench(Path(folder), os.environ.__setitem__)
        print(f"seed {asked.seed}", flush=True)
        for changes in _in_turns(asked.seed):
            for tried in bench.sweep(changes, len(COMMANDS)):
                count += 1
                wrong += bool(tried.wrong)
                if tried.wrong:
                    print(tried.place, tried.value, " ".join(tried.command), tried.wrong)
            if time.monotonic() > end:
                break
    print(f"{count} commands, {wrong} of them wrong")
    return 1 if wrong else 0


def _in_turns(seed: int) -> Iterator[Iterator[Change]]:
    both = (locks(seed), specs(seed))
    while True:
        yield from both


if __name__ == "__main__":
    sys.exit(run())
