"""Which commands of a maintainer script a first installation would run.

A script is read, never run.  Conditions on its arguments are decided as a first installation
decides them (policy 6.5: ``preinst install``, ``postinst configure ""``); where a condition
depends on anything else, all of its branches count.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from envlock.sizes import whole_number
from envlock.solve.debian.conditions import Shipped, status_of
from envlock.solve.debian.expand import Variables, substitutions
from envlock.solve.debian.shell import (
    AndOr,
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    Node,
    Pipeline,
    Redirect,
    While,
    parse,
)
from envlock.solve.debian.shell_words import ShellError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_DECLARING = {"local", "export", "readonly"}
_DEPTH = 20
"""Nested calls that are followed; deeper ones only happen in recursion."""

_STEPS = 100_000
"""Commands that are looked at in one script; the largest of Debian's need some hundred."""

_QUIET = {"/dev/null", "/dev/stderr", "/dev/stdout", "/dev/tty"}


@dataclass(frozen=True, slots=True)
class Run:
    """One command that may run.

    words: expanded as far as known; writes: files that its output is redirected to.
    """

    words: tuple[str, ...]
    writes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a script can see of a first installation, where that is the same everywhere.

    variables: of its environment; answers: debconf's, by question; shipped: what the package
    has put in place before the script runs.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    shipped: Shipped = field(default_factory=Shipped)


class _Stop(Exception):  # noqa: N818 -- not an error: control flow of the script
    """``exit`` or ``return``, where it is certain to be reached, and the status that it gives."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__(words[0])
        self.word = words[0]
        number = words[1] if len(words) > 1 else ""
        status = whole_number(number)
        self.status = None if status is None else status == 0


def reachable(script: str, arguments: Sequence[str], setting: Setting) -> list[Run]:
    """Return the commands of ``script`` in order, each once; ShellError if it is unreadable."""
    variables = Variables({"DPKG_ROOT": "", **setting.variables}, list(arguments))
    walker = _Walker(variables, setting)
    with suppress(_Stop):
        walker.body(parse(script))
    return list(dict.fromkeys(walker.runs))


@dataclass(slots=True)
class _Walker:
    """Goes through the tree; a status is True, False or None (unknown).

    uncertain: the branches around the current command that may not run; calls: for each
    running function, how many of them are around the whole call; doubtful: those functions
    that may have returned already.
    """

    variables: Variables
    setting: Setting
    runs: list[Run] = field(default_factory=list)
    functions: dict[str, Node] = field(default_factory=dict)
    uncertain: int = 0
    calls: list[int] = field(default_factory=list)
    doubtful: set[int] = field(default_factory=set)
    steps: int = 0

    def body(self, nodes: Sequence[Node]) -> bool | None:
        status: bool | None = True
        for node in nodes:
            status = self.node(node)
        return status

    def _perhaps(self, nodes: Sequence[Node]) -> bool | None:
        """Go through what may or may not run; return its status if it does."""
        self.uncertain += 1
        try:
            return self.body(nodes)
        finally:
            self.uncertain -= 1

    def _repeat(self, nodes: Sequence[Node]) -> None:
        """Go through a loop: the second time, what the first changed is not known."""
        self._perhaps(nodes)
        self._perhaps(nodes)

    def node(self, node: Node) -> bool | None:
        """Go through one node and return its status."""
        self.steps += 1
        if self.steps > _STEPS:
            raise ShellError("it runs too many commands")
        match node:
            case Command():
                return self._command(node)
            case Pipeline():
                return self._pipeline(node)
            case AndOr():
                return self._and_or(node)
            case Group():
                return self._group(node)
            case If():
                self._if(node)
            case Case():
                self._case(node)
            case For():
                self._for(node)
            case While():
                self._repeat((*node.condition, *node.body))
            case Function():
                self.functions[node.name] = node.body
        return None

    def _pipeline(self, node: Pipeline) -> bool | None:
        status: bool | None = None
        for part in node.parts:
            status = self.node(part)
        if len(node.parts) > 1 or status is None:
            return None
        return status != node.negated

    def _and_or(self, node: AndOr) -> bool | None:
        left = self.node(node.left)
        if left is None:
            right = self._perhaps((node.right,))
            # whatever is left of it: "... && false" fails, "... || true" does not
            return right if right is (node.operator == "||") else None
        return self.node(node.right) if left == (node.operator == "&&") else left

    def _group(self, node: Group) -> bool | None:
        writes = self._writes(node.redirects)
        if writes:
            self.runs.append(Run((), writes))
        if not node.subshell:
            return self.body(node.body)
        self._subshell(node.body)
        return None

    def _subshell(self, nodes: Sequence[Node]) -> None:
        """Go through commands whose ``exit`` and assignments do not reach beyond them."""
        outer = self.variables
        self.variables = Variables(dict(outer.named), outer.positional)
        try:
            self.body(nodes)
        except _Stop:
            pass
        finally:
            self.variables = outer

    def _if(self, node: If) -> None:
        doubts = 0
        try:
            for condition, body in node.branches:
                status = True if condition is None else self.body(condition)
                if status is False:
                    continue
                if status is True:
                    self.body(body)
                    return
                self._perhaps(body)
                self.uncertain += 1
                doubts += 1
        finally:
            self.uncertain -= doubts

    def _case(self, node: Case) -> None:
        self._substitutions((node.word,))
        word = self.variables.expand(node.word)
        for patterns, body in node.arms:
            expanded = [self.variables.expand(_unglobbed(pattern)) for pattern in patterns]
            hit = any(known and fnmatchcase(word.text, text) for text, known in expanded)
            if word.known and hit:
                self.body(body)
                return
            if not word.known or not all(known for _, known in expanded):
                self._perhaps(body)

    def _for(self, node: For) -> None:
        words = ('"$@"',) if node.words is None else node.words
        values = self.variables.fields(words)
        self._substitutions(words)
        if all(known for _, known in values) and not _may_leave(node.body):
            for text, _ in values:
                self._assign(node.variable, text)
                self.body(node.body)
            return
        self.variables.named.pop(node.variable, None)
        self._repeat(node.body)

    def _assign(self, name: str, value: str | None) -> None:
        if value is None or (self.uncertain and self.variables.named.get(name) != value):
            self.variables.named.pop(name, None)
        else:
            self.variables.named[name] = value

    def _substitutions(self, words: Sequence[str]) -> None:
        for word in words:
            for text in substitutions(word):
                self._subshell(parse(text))

    def _writes(self, redirects: Sequence[Redirect]) -> tuple[str, ...]:
        """Return the files that redirections change."""
        files = []
        for redirect in redirects:
            target = self.variables.expand(redirect.target).text
            if redirect.operator in {">", ">>", ">|", "<>", "&>", "&>>"} and target not in _QUIET:
                files.append(target)
        return tuple(files)

    def _command(self, node: Command) -> bool | None:
        self._substitutions(node.words)
        words = list(node.words)
        declaring = bool(words) and words[0] in _DECLARING
        for word in words[1:] if declaring else words:
            match = _ASSIGNMENT.fullmatch(word)
            if match is None:
                break
            value = self.variables.expand(match[2])
            self._assign(match[1], value.text if value.known else None)
        while words and not declaring and _ASSIGNMENT.fullmatch(words[0]):
            words.pop(0)
        expanded = self.variables.fields(words)
        run = Run(tuple(text for text, _ in expanded), self._writes(node.redirects))
        if not run.words:
            if run.writes:
                self.runs.append(run)
            return True if not any("`" in w or "$(" in w for w in node.words) else None
        return self._run(run, all(known for _, known in expanded))

    def _run(self, run: Run, known: bool) -> bool | None:
        name = run.words[0]
        if name in self.functions:
            return self._call(name, run, known)
        if name in {"exit", "return"}:
            if self.uncertain == (self.calls[-1] if self.calls and name == "return" else 0):
                raise _Stop(run.words)
            if name == "return":
                self.doubtful.add(len(self.calls))
            return None
        if name in {"shift", "set", "read", "eval", "getopts", "unset"}:
            self._forget(run.words)
        self.runs.append(run)
        if name.startswith("db_"):
            return self._debconf(run.words, known)
        return status_of(run.words, self.setting.shipped) if known else None

    def _debconf(self, words: Sequence[str], known: bool) -> bool | None:
        """Follow a debconf command, whose result is in RET (debconf-devel(7))."""
        asked = words[1] if len(words) > 1 and words[0] == "db_get" and known else ""
        self._assign("RET", self.setting.answers.get(asked))
        return True if asked in self.setting.answers else None

    def _forget(self, words: Sequence[str]) -> None:
        """Drop what a built-in command changes in ways that are not followed."""
        if words[0] == "shift" and not self.uncertain and self.variables.positional is not None:
            self.variables.positional = self.variables.positional[1:]
        elif words[0] == "shift" or (words[0] == "set" and "--" in words):
            self.variables.positional = None
        elif words[0] == "eval":
            self.variables.named.clear()
        for name in words[1:]:
            self.variables.named.pop(name, None)

    def _call(self, name: str, run: Run, known: bool) -> bool | None:
        """Follow a call of the script's own function."""
        if run.writes:
            self.runs.append(Run((), run.writes))
        if len(self.calls) >= _DEPTH:
            return None
        outer = self.variables.positional
        self.variables.positional = list(run.words[1:]) if known else None
        self.calls.append(self.uncertain)
        try:
            status = self.node(self.functions[name])
        except _Stop as stop:
            if stop.word == "exit":
                raise
            status = stop.status
        finally:
            doubtful = len(self.calls) in self.doubtful
            self.doubtful.discard(len(self.calls))
            self.calls.pop()
            self.variables.positional = outer
        return None if doubtful else status


def _may_leave(body: Sequence[Node]) -> bool:
    """Return whether a loop's body may break off; its form tells, since nodes print as written."""
    return re.search(r"words=\('(?:break|continue)'", repr(body)) is not None


def _unglobbed(pattern: str) -> str:
    """Quote a pattern's own wildcards, so that they count as known text."""
    return re.sub(r"(?<!\\)([*?\[])", r'"\1"', pattern) if '"' not in pattern else pattern
