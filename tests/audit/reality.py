"""What Python says: wheels unpacked beside each other and imported in the sandbox.

Nothing from a wheel runs outside the sandbox: uv only unpacks, and each probe is a process
of its own that sees the interpreter and the unpacked wheels, nothing else, and no network.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from envlock.validate.sandbox import Bind, Bubblewrap, Command, find_bwrap

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from envlock.audit import Audit, Finding

_RUNNER = r"""
import json, os, signal, site, sys
given = json.loads(sys.stdin.read())
for place in given["sites"]:
    site.addsitedir(place)
def probe(code):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        signal.alarm(given["seconds"])
        silent = os.open("/dev/null", os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(silent, number)
        said = {"error": [], "text": ""}
        try:
            exec(code, {"__name__": "probe"})
        except BaseException as error:
            names = [one.__name__ for one in type(error).__mro__]
            said = {"error": names, "text": str(error)[:500]}
        os.write(writing, json.dumps(said).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        data = stream.read()
    os.waitpid(child, 0)
    return json.loads(data) if data else {"error": ["died"], "text": "no answer"}
for name, code in given["probes"].items():
    print(json.dumps([name, probe(code)]), flush=True)
"""

_NEED = {"module-missing": "ModuleNotFoundError", "name-missing": "ImportError"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a probe; error: the exception's classes, the raised one first."""

    error: tuple[str, ...]
    text: str

    @property
    def fine(self) -> bool:
        return not self.error

    def __str__(self) -> str:
        return f"{self.error[0]}: {self.text.splitlines()[0][:160] if self.text else ''}" if (
            self.error
        ) else "imports"  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A claim of the audit beside what Python says; agrees: are they the same?"""

    claim: str
    outcome: Outcome
    agrees: bool


class Reality:
    """An interpreter of the target's version and folders of unpacked wheels."""

    def __init__(self, python: str, work: Path, *sites: Path, seconds: int = 120) -> None:
        self._python = interpreter(python)
        self._sites = sites
        self._seconds = seconds
        self._root = work / "root"
        self._binds = _make_root(self._root, self._python)
        self._sandbox = Bubblewrap(find_bwrap(os.environ["PATH"]))

    def probe(self, probes: Mapping[str, str]) -> dict[str, Outcome]:
        """Run pieces of code, each in a fresh process; return how each ended."""
        if not probes:
            return {}
        places = [f"/run/site{number}" for number in range(len(self._sites))]
        given = {"sites": places, "seconds": self._seconds, "probes": dict(probes)}
        binds = [Bind(source=s, target=p) for s, p in zip(self._sites, places, strict=True)]
        done = self._sandbox.run(
            self._root,
            Command(
                argv=(str(self._python), "-I", "-S", "-c", _RUNNER),
                env={"PATH": "/usr/bin:/bin", "HOME": "/tmp", "PYTHONDONTWRITEBYTECODE": "1"},
                workdir="/tmp",
                binds=(*self._binds, *binds),
                stdin=json.dumps(given).encode(),
            ),
        )
        assert done.returncode == 0, done.stderr.decode()
        found = (json.loads(line) for line in done.stdout.decode().splitlines())
        return {
            name: Outcome(error=tuple(said["error"]), text=said["text"]) for name, said in found
        }

    def imports(self, modules: Iterable[str]) -> dict[str, Outcome]:
        """Import modules, each in a fresh process."""
        return self.probe({module: f"import {module}" for module in modules})


def interpreter(python: str) -> Path:
    """Return an interpreter of a feature version; LookupError where this machine has none."""
    name = f"python{python}"
    places = [Path(place, name) for place in os.environ["PATH"].split(os.pathsep)]
    managed = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    for path in (*places, *sorted(managed.glob(f"{python}.*/bin/{name}"))):
        if path.is_file():
            asked = [str(path), "-I", "-c", "import sys; print(sys.executable)"]
            said = subprocess.run(asked, check=False, capture_output=True, text=True)
            if said.returncode == 0:
                return Path(said.stdout.strip()).resolve()
    raise LookupError(f"no {name} on this machine")


def unpack(wheels: Iterable[Path], site: Path, python: str) -> None:
    """Unpack wheels into a folder as pip would, without running anything of them."""
    command = [_uv(), "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-config",
               "--link-mode", "copy", "--python", str(interpreter(python)),
               "--target", str(site)]  # fmt: skip
    subprocess.run([*command, *(str(wheel) for wheel in wheels)], check=True)


def verdicts(audit: Audit, reality: Reality) -> list[Verdict]:
    """Compare what an audit says of roots, modules and names with what Python says."""
    roots = {root: state for root, state in audit.roots.items() if state != "maybe"}
    serious = audit.of("breaks-import", "breaks-module")
    calls = {f"{f.kind} {f.needs.dotted}": f for f in audit.of("breaks-call")}
    seen = reality.imports({*roots, *(_failing(f) for f in serious)})
    needs = reality.probe({name: _use(finding) for name, finding in calls.items()})
    found = [
        Verdict(claim=f"import {root}: {state}", outcome=seen[root],
                agrees=seen[root].fine == (state == "ok"))
        for root, state in roots.items()
    ]  # fmt: skip
    for finding in serious:
        outcome = seen[_failing(finding)]
        claim = f"{finding.severity}: {finding.text}"
        agrees = _expected(finding, serious, outcome)
        found.append(Verdict(claim=claim, outcome=outcome, agrees=agrees))
    for finding in audit.of("breaks-call"):
        outcome = needs[f"{finding.kind} {finding.needs.dotted}"]
        agrees = _class(finding) in outcome.error
        found.append(Verdict(claim=f"breaks-call: {finding.text}", outcome=outcome, agrees=agrees))
    return found


def _failing(finding: Finding) -> str:
    """Return a module that fails: a call of another one's function breaks who calls it."""
    return finding.chain[0] if finding.severity == "breaks-module" and finding.chain else (
        finding.who.module
    )  # fmt: skip


def _expected(finding: Finding, others: Sequence[Finding], outcome: Outcome) -> bool:
    """A module fails with the class of its first break, or what a handler made of it."""
    here = {_class(other) for other in others if other.who.module == finding.who.module}
    if not here.isdisjoint(outcome.error):
        return True
    reached = {_class(other) for other in others}  # its packages may break before
    return "ImportError" in outcome.error or not reached.isdisjoint(outcome.error)


def _class(finding: Finding) -> str:
    if finding.kind == "raises":
        return finding.needs.name
    return _NEED.get(finding.kind, "AttributeError")


def _use(finding: Finding) -> str:
    needs = finding.needs
    if finding.kind == "module-missing":
        return f"import {needs.module}"
    if finding.kind == "name-missing":
        return f"from {needs.module} import {needs.name}"
    return f"import {needs.module}\n{needs.module}.{needs.name}"


def _make_root(root: Path, python: Path) -> tuple[Bind, ...]:
    """Make a root with the system's libraries and the interpreter; return what to mount."""
    for place in ("proc", "dev", "tmp", "run", "var/tmp", "usr", "etc"):
        (root / place).mkdir(parents=True, exist_ok=True)
    binds = [Bind(source=Path("/usr"), target="/usr")]
    for name in ("bin", "lib", "lib64"):
        here, there = Path("/", name), root / name
        if here.is_symlink() and not there.is_symlink():
            there.symlink_to(here.readlink())
        elif here.is_dir() and not here.is_symlink():
            there.mkdir(exist_ok=True)
            binds.append(Bind(source=here, target=str(here)))
    prefix = python.parent.parent
    if prefix != Path("/usr"):
        (root / prefix.relative_to("/")).mkdir(parents=True, exist_ok=True)
        binds.append(Bind(source=prefix, target=str(prefix)))
    return tuple(binds)


def _uv() -> str:
    import uv

    return uv.find_uv_bin()
