"""Maintainer scripts: which of their effects the image has, and which it lacks.

Nothing is executed.  Debian policy 6 (scripts), deb-triggers(5), debconf-devel(7).

Triggers need no entry of their own: to activate one only has the ``postinst`` of interested
packages called with ``triggered``, and what that does is classified as theirs.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import TYPE_CHECKING

from envlock.errors import ArtifactError
from envlock.layers.deb import merged_path
from envlock.lock.model import MaintainerScript
from envlock.solve.debian.conditions import Shipped
from envlock.solve.debian.effects import (
    BYTE_COMPILERS,
    FILE_COMMANDS,
    HANDLED,
    LEFT_BEHIND,
    MODE_COMMANDS,
    NEUTRAL,
    NEUTRAL_FORMS,
    ONE_TARGET,
    REMOVING,
    TOOLS,
    VALUED,
)
from envlock.solve.debian.expand import TEMPORARY
from envlock.solve.debian.fields import parse_fields
from envlock.solve.debian.findings import Findings, Image
from envlock.solve.debian.reach import Run, Setting, reachable
from envlock.solve.debian.shell_words import ShellError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ARGUMENTS = {"preinst": ("install",), "postinst": ("configure", "")}
"""Scripts that run in a first installation, and what dpkg passes to them (policy 6.5)."""

_SHELL = re.compile(rb"#!\s*(?:/usr)?/bin/(?:env\s+)?(?:sh|bash|dash)(?=\s)")
_WRAPPERS = {"exec", "command", "eval", "nice", "env"}
_ALTERNATIVE_LENGTH = 4000
"""Characters of an ``update-alternatives`` line that a lock repeats: it is to be copied."""


def classify_scripts(
    package: str, members: Mapping[str, bytes], image: Image
) -> list[MaintainerScript]:
    """Return what became of each script among a control archive's files.

    Scripts whose effects are nothing, or only what every image has, are left out.
    """
    shipped = _shipped(members)
    found: list[MaintainerScript] = []
    for name, arguments in ARGUMENTS.items():
        if name not in members:
            continue
        findings = Findings(package, image, shipped)
        calls = [arguments]
        if name == "postinst":
            calls += [("triggered", trigger) for trigger in _interests(members)]
        for call in calls:
            _classify_script(members[name], call, _setting(name, members, findings), findings)
        if findings.handled or findings.unhandled:
            found.append(
                MaintainerScript(
                    package=package,
                    script=name,
                    handled=tuple(findings.handled),
                    unhandled=tuple(findings.unhandled),
                )
            )
    return found


def _shipped(members: Mapping[str, bytes]) -> Shipped | None:
    """Return the files that a package brings; None for one that does not list them."""
    if "md5sums" not in members:
        return None
    lines = members["md5sums"].decode("utf-8", "replace").splitlines()
    configuration = members.get("conffiles", b"").decode("utf-8", "replace").splitlines()
    paths = [line.partition("  ")[2] for line in lines]
    return Shipped.of([*paths, *(line for line in configuration if line.startswith("/"))])


def _interests(members: Mapping[str, bytes]) -> list[str]:
    """Return the triggers for which a package's postinst is called again."""
    lines = members.get("triggers", b"").decode("utf-8", "replace").splitlines()
    words = [line.partition("#")[0].split() for line in lines]
    return [line[1] for line in words if len(line) == 2 and line[0].startswith("interest")]


def _setting(name: str, members: Mapping[str, bytes], findings: Findings) -> Setting:
    """Return what a script sees: dpkg(1)'s variables, debconf's answers, the package's files."""
    unpacked = name == "postinst"
    return Setting(
        variables={
            "DPKG_MAINTSCRIPT_PACKAGE": findings.package,
            "DPKG_MAINTSCRIPT_NAME": name,
            "DEBIAN_FRONTEND": "noninteractive",
            "DEBCONF_RECONFIGURE": "",
        },
        answers=answers(members),
        shipped=findings.shipped if unpacked and findings.shipped else Shipped(),
    )


def answers(members: Mapping[str, bytes]) -> dict[str, str]:
    """Return debconf's default answers, for packages whose ``config`` computes no others."""
    if b"db_set" in members.get("config", b"") or b"templates" in members.get("config", b""):
        return {}
    found: dict[str, str] = {}
    for stanza in members.get("templates", b"").decode("utf-8", "replace").split("\n\n"):
        try:
            fields = parse_fields(stanza)
        except ArtifactError:
            continue
        if "template" in fields:
            found[fields["template"]] = fields.get("default", "")
    return found


def _classify_script(
    script: bytes, arguments: Sequence[str], setting: Setting, findings: Findings
) -> None:
    """Note in ``findings`` what one script does when it is called with ``arguments``."""
    if not _SHELL.match(script):
        first = script.partition(b"\n")[0][:80].decode("utf-8", "replace")
        findings.miss(f"all of it: not a shell script ({first})")
        return
    try:
        runs = reachable(script.decode("utf-8", "replace"), arguments, setting)
    except ShellError as error:
        findings.miss(f"all of it: envlock cannot read it ({error})")
        return
    for run in runs:
        _classify(run, findings)


def _classify(run: Run, findings: Findings) -> None:
    """Classify one command and where its output goes; what no table knows is a miss."""
    words = run.words
    while len(words) > 1 and words[0] in _WRAPPERS and not words[1].startswith("-"):
        words = words[1:]
    command = " ".join(words)
    for target in run.writes:
        effect = findings.written(target)
        if effect:
            findings.handle(effect)
        elif effect is None:
            findings.miss(f"{command or '...'} > {target}")
    if not words:
        return
    name = words[0].rpartition("/")[2]
    handled = _handled(name, words, findings)
    if handled:
        findings.handle(handled)
    elif name == "update-alternatives" and "--install" in words:
        _classify_alternative(words, findings)
    elif handled is None and not run.writes and not _is_neutral(name, words, findings):
        findings.miss(command)


def _handled(name: str, words: Sequence[str], findings: Findings) -> str | None:
    """Return the effect that a command has and that the builder writes itself.

    None where it does not; empty for a command that only touches what does not last.
    """
    if name in FILE_COMMANDS | MODE_COMMANDS:
        return _written_effect(name, words, findings)
    return HANDLED.get(name)


def _written_effect(name: str, words: Sequence[str], findings: Findings) -> str | None:
    """Return the effect of a command that only touches files which the builder writes anyway."""
    operands = _operands(words)
    if name in MODE_COMMANDS:
        targets = operands[1:]
    elif name in ONE_TARGET and "-d" not in words:
        targets = operands[-1:]
    else:
        targets = operands
    effects = [findings.written(target) for target in targets]
    if not effects or None in effects:
        return None
    return next((effect for effect in effects if effect), "")


def _operands(words: Sequence[str]) -> list[str]:
    """Return a command's words that are neither its name nor options nor their values."""
    valued = VALUED.get(words[0].rpartition("/")[2], ())
    return [
        word
        for before, word in pairwise(words)
        if not word.startswith("-") and before not in valued
    ]


def _classify_alternative(words: Sequence[str], findings: Findings) -> None:
    """Compare the links of ``update-alternatives`` with those that the image gets.

    They follow ``--install`` and ``--slave``; those of manual pages do not count.
    """
    links = [word for before, word in pairwise(words) if before in {"--install", "--slave"}]
    wanted = [link for link in links if not link.startswith("/usr/share/man/")]
    if links and not wanted:
        return
    if wanted and findings.shipped and findings.shipped.test("-f", wanted[0]):
        return  # there is no choice: the package has the very program at the link's place
    if wanted and all(findings.links(link) for link in wanted):
        findings.handle(f"update-alternatives {wanted[0]}")
    else:
        line = " ".join(["update-alternatives", *words[1:]])
        findings.miss(line, _ALTERNATIVE_LENGTH)


def _is_neutral(name: str, words: Sequence[str], findings: Findings) -> bool:
    """Return whether a command leaves nothing behind."""
    if name in NEUTRAL or any((name, *words[1 : len(form)]) == form for form in NEUTRAL_FORMS):
        return True
    if name in TOOLS:
        return not findings.image.packages & {*TOOLS[name]}
    if name in REMOVING:
        paths = _operands(words)
        return bool(paths) and all(findings.removes_nothing(path) for path in paths)
    if name == "mv":
        return any(fnmatchcase(word, left) for word in words[1:-1] for left in LEFT_BEHIND)
    if name == "mkdir" and findings.shipped is not None:
        made = {merged_path(path.strip("/")) for path in _operands(words)}
        return made <= findings.shipped.folders
    if name in {".", "source"}:
        return words[-1].endswith("/debconf/confmodule")
    if name == "dpkg-divert":
        # only notes in dpkg's database; a path of two packages is an error of the builder's
        return "--no-rename" in words
    if name == "sed":
        in_place = any(re.match(r"-[a-zA-Z]*i|--in-place", word) for word in words[1:])
        return not in_place or words[-1].startswith(TEMPORARY)
    if name == "find":
        return not {"-delete", "-exec", "-execdir", "-ok", "-fprint"} & set(words)
    return any(word.rpartition("/")[2] in BYTE_COMPILERS for word in words[1:])
