"""Maintainer scripts: which of their effects the image has, and which it lacks.

Nothing is executed.  Debian policy 6 (scripts), deb-triggers(5).
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from envlock.lock.model import MaintainerScript
from envlock.solve.debian.effects import (
    ALTERNATIVES,
    ANSWERED,
    BYTE_COMPILERS,
    DEBCONF,
    DEBCONF_QUESTIONS,
    FILE_COMMANDS,
    HANDLED,
    MODE_COMMANDS,
    NEUTRAL,
    NEUTRAL_FORMS,
    TRIGGERS,
    WRITTEN,
)
from envlock.solve.debian.reach import Run, reachable
from envlock.solve.debian.shell_words import ShellError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ARGUMENTS = {"preinst": ("install",), "postinst": ("configure", "")}
"""Scripts that run in a first installation, and what dpkg passes to them (policy 6.5)."""

_SHELL = re.compile(rb"#!\s*(?:/usr)?/bin/(?:env\s+)?(?:sh|bash|dash)(?=\s)")
_WRAPPERS = {"exec", "command", "eval", "nice", "env"}
_URL = re.compile(r"\b[a-z][a-z0-9+.\-]*://[^\s'\"<>]+", re.IGNORECASE)
_LENGTH = 240
"""Characters of a command that a lock repeats."""

_ALTERNATIVE_LENGTH = 4000
"""Those of an ``update-alternatives`` line: it is to be copied."""


class Findings:
    """Effects in the order of their first appearance, each once."""

    def __init__(self, package: str, alternatives: Mapping[str, str]) -> None:
        self.package = package
        self.alternatives = alternatives
        self.handled: dict[str, None] = {}
        self.unhandled: dict[str, None] = {}

    def handle(self, effect: str) -> None:
        self.handled[effect] = None

    def miss(self, effect: str, length: int = _LENGTH) -> None:
        """Note what the image lacks, on one line; a lock names no hosts, so URLs are left out."""
        line = _URL.sub("<URL>", " ".join(effect.split()))
        self.unhandled[line if len(line) <= length else line[:length] + "..."] = None

    def written(self, path: str) -> str | None:
        """Return the effect by which the builder writes ``path`` for this package, if it does."""
        path = path.rstrip("/")
        for package, effects in WRITTEN.items():
            for effect, patterns in effects.items() if fnmatchcase(self.package, package) else ():
                if any(fnmatchcase(path, pattern) for pattern in patterns):
                    return effect
        return None

    def script(self, name: str) -> list[MaintainerScript]:
        """Return the findings as a lock has them; nothing for a script without effects."""
        if not self.handled and not self.unhandled:
            return []
        return [
            MaintainerScript(
                package=self.package,
                script=name,
                handled=tuple(self.handled),
                unhandled=tuple(self.unhandled),
            )
        ]


def classify_scripts(
    package: str, members: Mapping[str, bytes], alternatives: Mapping[str, str]
) -> list[MaintainerScript]:
    """Return what became of each script among a control archive's files.

    alternatives: link -> target that the image gets by the spec's own table.
    """
    found: list[MaintainerScript] = []
    for name, arguments in ARGUMENTS.items():
        if name in members:
            findings = classify_script(members[name], arguments, Findings(package, alternatives))
            found += findings.script(name)
    if "triggers" in members:
        found += _classify_triggers(members["triggers"], Findings(package, alternatives)).script(
            "triggers"
        )
    return found


def classify_script(script: bytes, arguments: Sequence[str], findings: Findings) -> Findings:
    """Note in ``findings`` what one script does when it is called with ``arguments``."""
    if not _SHELL.match(script):
        first = script.partition(b"\n")[0][:80].decode("utf-8", "replace")
        findings.miss(f"all of it: not a shell script ({first})")
        return findings
    try:
        runs = reachable(script.decode("utf-8", "replace"), arguments)
    except ShellError as error:
        findings.miss(f"all of it: envlock cannot read it ({error})")
        return findings
    for run in runs:
        _classify(run, findings)
    return findings


def _classify(run: Run, findings: Findings) -> None:
    """Classify one command and where its output goes; what no table knows is a miss."""
    words = run.words
    while len(words) > 1 and words[0] in _WRAPPERS and not words[1].startswith("-"):
        words = words[1:]
    for target in run.writes:
        effect = findings.written(target)
        if effect is not None:
            findings.handle(effect)
        else:
            findings.miss(f"{' '.join(words) or '...'} > {target}")
    if not words:
        return
    name = words[0].rpartition("/")[2]
    handled = _handled(name, words, findings)
    if handled is not None:
        findings.handle(handled)
    elif name == "update-alternatives" and "--install" in words:
        _classify_alternative(words, findings)
    elif name in DEBCONF_QUESTIONS:
        findings.miss(f"debconf: {' '.join(words)}")
    elif not run.writes and not _is_neutral(name, words):
        findings.miss(" ".join(words))


def _handled(name: str, words: Sequence[str], findings: Findings) -> str | None:
    """Return the effect that a command has and that the builder writes itself, or None."""
    if name == "dpkg-trigger":
        return TRIGGERS.get(words[-1])
    if name in DEBCONF or (name in {".", "source"} and words[-1].endswith("/confmodule")):
        return "debconf"
    if name in DEBCONF_QUESTIONS:
        return next((ANSWERED[word] for word in words if word in ANSWERED), None)
    if name in FILE_COMMANDS | MODE_COMMANDS:
        return _written_effect(name, words, findings)
    if any(word.rpartition("/")[2] in BYTE_COMPILERS for word in words[1:]):
        return HANDLED["py3compile"]
    return HANDLED.get(name)


def _classify_alternative(words: Sequence[str], findings: Findings) -> None:
    """Compare ``update-alternatives --install LINK NAME PATH PRIORITY`` with the spec's table."""
    at = words.index("--install")
    link = words[at + 1] if len(words) > at + 1 else ""
    if link in findings.alternatives or link in ALTERNATIVES.get(findings.package, ()):
        findings.handle(f"update-alternatives {link}")
    else:
        line = " ".join(["update-alternatives", *words[1:]])
        findings.miss(line, _ALTERNATIVE_LENGTH)


def _written_effect(name: str, words: Sequence[str], findings: Findings) -> str | None:
    """Return the effect of a command that only touches files which the builder writes anyway."""
    files = [word for word in words[1:] if not word.startswith("-")]
    targets = files[1:] if name in MODE_COMMANDS else files[-1:]
    effects = [findings.written(target) for target in targets]
    return effects[0] if effects and None not in effects else None


def _is_neutral(name: str, words: Sequence[str]) -> bool:
    if name in NEUTRAL:
        return True
    if name == "sed":
        return not any(re.match(r"-[a-zA-Z]*i|--in-place", word) for word in words[1:])
    if name == "find":
        return not {"-delete", "-exec", "-execdir", "-ok", "-fprint"} & set(words)
    return any((name, *words[1 : len(form)]) == form for form in NEUTRAL_FORMS)


def _classify_triggers(text: bytes, findings: Findings) -> Findings:
    """Classify deb-triggers(5): what this package asks of others, and waits for itself."""
    for line in text.decode("utf-8", "replace").splitlines():
        words = line.partition("#")[0].split()
        if not words:
            continue
        trigger = words[-1]
        if trigger in TRIGGERS:
            findings.handle(TRIGGERS[trigger])
        else:
            findings.miss(" ".join(words))
    return findings
