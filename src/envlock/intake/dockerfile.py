"""A Dockerfile: its pip and apt lines, and how its image presents itself.

A step that forces a version (``--force-reinstall``, ``--no-deps``) becomes an override; commands
that run Python become checks.  All else is told with its line.
"""

from __future__ import annotations

import json
import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from envlock.errors import SpecError, UsageError
from envlock.intake.docker_base import read_base
from envlock.intake.docker_pip import PipSteps
from envlock.intake.docker_syntax import instructions, substitute
from envlock.intake.draft import SECRET_NAME, Draft
from envlock.intake.installers import installs_otherwise
from envlock.intake.shell_lines import apt_packages, commands, is_python, pip_call

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from envlock.intake.docker_syntax import Instruction
    from envlock.intake.readers import Choices
    from envlock.intake.shell_lines import Command

_QUIET = frozenset({"apt", "apt-get", "rm", "mkdir", "cd", "set", "true", ":", "export", "clean"})
_MACHINES = re.compile(r"(PIP|UV|DEBIAN|CONDA)_|PATH$|PYTHONDONTWRITEBYTECODE$|NVIDIA_")
_PYTHON_PACKAGE = re.compile(r"python(3(?:\.\d+)?)?(?:-(minimal|full|pip|venv|distutils|wheel))?")
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_SHELL = re.compile(r"[;&|<>$`*?(){}]")
_IMPORT = re.compile(r"import ([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")
_LEFT = {
    "COPY": "files of your own: mount them, or build FROM the image",
    "ADD": "files of your own: mount them, or build FROM the image",
    "EXPOSE": "ports are the container's: say them where it is started",
    "VOLUME": "volumes are the container's: say them where it is started",
    "HEALTHCHECK": "it is the container's; checks: run when the image is built",
    "ONBUILD": "nothing is built on top of the image",
    "STOPSIGNAL": "it is the container's: say it where it is started",
    "SHELL": "no shell runs while the image is built",
    "MAINTAINER": "write it as a label",
}


def read(path: Path, shown: str, choices: Choices) -> Draft:
    """Read a Dockerfile and the requirements files that it installs; raises SpecError, UsageError.

    Of several stages the last one is read, with what it is built on and the pip lines of the
    stages that it copies from.
    """
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise UsageError(f"the file cannot be read: {error.strerror}", where=shown) from None
    except UnicodeDecodeError:
        raise UsageError("this is not UTF-8", where=shown) from None
    found = list(instructions(text, shown))
    if all(one.keyword != "FROM" for one in found):
        raise SpecError(
            "this is no Dockerfile: it has no FROM",
            hint="envlock init --help names the files that can be read",
        )
    draft = Draft(platforms=list(choices.platforms))
    _Reader(draft, path.parent, shown).all(found)
    return draft


@dataclass(frozen=True, slots=True)
class _Stage:
    base: str
    name: str
    lines: list[Instruction] = field(default_factory=list)


@dataclass(slots=True)
class _Reader:
    draft: Draft
    folder: Path
    shown: str
    known: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    copied: dict[str, str] = field(default_factory=dict)
    """Files of the context by the paths and names that they have in the image."""

    def all(self, found: Sequence[Instruction]) -> None:
        stages = self._stages(found)
        chain, lenders = _chosen(stages)
        for stage in stages:
            if stage not in chain and stage not in lenders:
                self.draft.note(
                    stage.lines[0].at(), f"the stage {stage.name or stage.base} is left out"
                )
        steps = PipSteps(self.draft, self.folder, self.copied)
        names = {stage.name for stage in stages}
        for stage in stages:
            whole = stage in chain
            if whole and stage.base not in names:
                read_base(self.draft, stage.base, stage.lines[0].at())
            for line in stage.lines if whole or stage in lenders else ():
                self._line(line, steps, whole=whole)
        steps.finish()
        if self.draft.user is None:
            self.draft.note(self.shown, "no USER: the image runs as nonroot, and not as root")

    def _stages(self, found: Sequence[Instruction]) -> list[_Stage]:
        stages: list[_Stage] = []
        for one in found:
            if one.keyword == "FROM":
                text, _ = substitute(one.text, self.known)
                words = text.split()
                named = len(words) == 3 and words[1].upper() == "AS"
                stages.append(_Stage(words[0] if words else "", words[2] if named else ""))
            elif not stages:
                self._arg(one)
                continue
            stages[-1].lines.append(one)
        return stages

    def _arg(self, one: Instruction) -> None:
        name, equals, value = one.text.partition("=")
        if equals:
            self.known.setdefault(name.strip(), substitute(value.strip("\"' "), self.known)[0])

    def _line(self, one: Instruction, steps: PipSteps, *, whole: bool) -> None:
        """Take one instruction; whole: not only its pip lines."""
        match one.keyword:
            case "FROM":
                pass
            case "ARG":
                self._arg(one)
            case "ENV":
                self._env(one, whole=whole)
            case "COPY" | "ADD" if "from" in one.flags:
                pass
            case "COPY" | "ADD":
                self._copy(one)
            case "RUN":
                self._run(one, steps, whole=whole)
            case _ if whole:
                self._presents(one)

    def _presents(self, one: Instruction) -> None:
        """Take what the image's configuration has."""
        text, missing = substitute(one.text, self.known)
        if one.keyword in _LEFT:
            self.draft.note(one.at(), f"{one.keyword} {one.text}: {_LEFT[one.keyword]}")
        elif one.keyword in ("CMD", "ENTRYPOINT"):
            words = self._argv(one)
            setattr(self.draft, "command" if one.keyword == "CMD" else "entrypoint", words)
        elif missing is not None:
            self.draft.note(one.at(), f"{one.keyword}: the value of ${missing} is not known")
        elif one.keyword == "WORKDIR":
            self.workdir = posixpath.normpath(posixpath.join(self.workdir, text.strip("\"'")))
            self.draft.workdir = None if self.workdir == "/" else self.workdir
        elif one.keyword == "USER":
            self._user(one, text)
        elif one.keyword == "LABEL":
            self.draft.labels |= dict(_pairs(text))
        else:
            self.draft.note(one.at(), f"{one.keyword} is not known here")

    def _user(self, one: Instruction, text: str) -> None:
        name = text.partition(":")[0]
        self.draft.user = "root" if name in ("root", "0") else "nonroot"
        if name not in ("root", "0", "nonroot"):
            self.draft.note(one.at(), f"the image has no user {name}: it runs as nonroot (65532)")

    def _env(self, one: Instruction, *, whole: bool) -> None:
        for name, value in _pairs(one.text):
            text, missing = substitute(value, self.known)
            if missing is None:
                self.known[name] = text
            if not whole:
                continue
            if SECRET_NAME.search(name):
                self.draft.note(one.at(name), f"{name}: give it to the container when it starts")
            elif _MACHINES.match(name):
                self.draft.note(
                    one.at(name), f"{name}: it is for the build, or the image has its own"
                )
            elif missing is not None:
                self.draft.note(one.at(name), f"{name}: the value of ${missing} is not known")
            else:
                self.draft.env[name] = text

    def _copy(self, one: Instruction) -> None:
        words = _exec_form(one.text) or one.text.split()
        needed = False
        for source in words[:-1]:
            target = posixpath.join(self.workdir, words[-1])
            base = posixpath.basename(source)
            places = (target, posixpath.join(target, base), base, posixpath.join(words[-1], base))
            self.copied |= dict.fromkeys(places, source)
            needed = needed or base.endswith((".txt", ".in"))
        if not needed:
            self.draft.note(one.at(), f"{one.keyword} {one.text}: {_LEFT['COPY']}")

    def _argv(self, one: Instruction) -> list[str]:
        """Return a command's words; what only a shell understands is given to one."""
        words = _exec_form(one.text)
        if words is None and not _SHELL.search(one.text):
            words = [word for command in commands(one.text) for word in command.words]
        if not words:
            self.draft.note(one.at(), f"{one.keyword}: it needs a shell, so the image gets dash")
            self.draft.debian.append("dash")
            return ["/bin/sh", "-c", one.text]
        return ["python3", *words[1:]] if words[0] == "python" else words

    def _run(self, one: Instruction, steps: PipSteps, *, whole: bool) -> None:
        for body in one.heredocs or (one.text,):
            text, _ = substitute(body, self.known)
            try:
                found = list(commands(text))
            except ValueError as error:
                self.draft.note(one.at(), f"RUN is not understood: {str(error).lower()}")
                continue
            for command in found:
                self._command(one, command, steps, whole=whole)

    def _command(self, one: Instruction, command: Command, steps: PipSteps, *, whole: bool) -> None:
        call = pip_call(command)
        packages = apt_packages(command)
        if call is not None:
            steps.take(one, call, command)
        elif (advice := installs_otherwise(command.words)) is not None:
            place = one.at(command.words[0])
            self.draft.note(place, f"left out: {_short(str(command))}: {advice}")
        elif not whole:
            return
        elif packages is not None:
            self._packages(one, packages)
        elif is_python(command) and command.words[1:2] == ("-c",):
            self._check(command)
        elif command.words[0].rpartition("/")[2] not in _QUIET:
            self.draft.note(one.at(command.words[0]), f"left out: {_short(str(command))}")

    def _check(self, command: Command) -> None:
        code = command.words[2] if len(command.words) > 2 else ""
        plain = _IMPORT.fullmatch(code.strip())
        self.draft.checks.append(plain[1] if plain else ["python3", *command.words[1:]])

    def _packages(self, one: Instruction, packages: Sequence[str]) -> None:
        for package in packages:
            name, _, version = package.partition("=")
            python = _PYTHON_PACKAGE.fullmatch(name)
            if version:
                self.draft.note(one.at(package), f"{package}: the version is left to the lock")
            if python:
                if python[1] and "." in python[1]:
                    self.draft.pythons.append((f"=={python[1]}.*", str(one.at(name)), False))
            elif _NAME.fullmatch(name):
                self.draft.debian.append(name)
            else:
                self.draft.note(one.at(package), f"{package}: it is no name of a Debian package")


def _chosen(stages: Sequence[_Stage]) -> tuple[list[_Stage], list[_Stage]]:
    """Return the last stage with what it is built on, and the stages that these copy from."""
    by_name = {stage.name.lower(): stage for stage in stages if stage.name}
    by_name |= {str(number): stage for number, stage in enumerate(stages)}
    chain = [stages[-1]]
    while (base := by_name.get(chain[-1].base.lower())) is not None and base not in chain:
        chain.append(base)
    queue, lenders = list(chain), []
    while queue:
        for line in queue.pop().lines:
            lender = by_name.get(line.flags.get("from", "").lower())
            if lender is not None and lender not in chain and lender not in lenders:
                lenders.append(lender)
                queue.append(lender)
    return chain, lenders


def _pairs(text: str) -> list[tuple[str, str]]:
    """Return the pairs of ENV and LABEL: ``a=b c="d e"``, or the old ``a b``."""
    import shlex

    try:
        words = shlex.split(text)
    except ValueError:
        return []
    if words and "=" not in words[0]:
        return [(words[0], " ".join(words[1:]))]
    return [(name, value) for name, _, value in (word.partition("=") for word in words)]


def _exec_form(text: str) -> list[str] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    texts = isinstance(value, list) and all(isinstance(word, str) and word for word in value)
    return value if texts and value else None


def _short(text: str) -> str:
    return text if len(text) < 90 else f"{text[:86]} ..."
