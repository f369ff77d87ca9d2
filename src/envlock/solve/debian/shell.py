"""A reader for the shell of maintainer scripts: text to words, words to a tree.

POSIX.1-2017, Shell Command Language, 2.3 (tokens) and 2.10 (grammar), without aliases and job
control.  Nothing is expanded or run here.  What it cannot read raises ShellError, so that the
caller can say so instead of guessing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from envlock.solve.debian.shell_words import ShellError, Token, tokenize

_NAME = re.compile(r"[A-Za-z_][\w.\-]*")


@dataclass(frozen=True, slots=True)
class Redirect:
    """An operator such as ``>>`` and its target as written."""

    operator: str
    target: str


@dataclass(frozen=True, slots=True)
class Command:
    """A simple command: words as written, assignments in front included."""

    words: tuple[str, ...]
    redirects: tuple[Redirect, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands joined by ``|``; negated: preceded by ``!``."""

    parts: tuple[Node, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class AndOr:
    """``left && right`` or ``left || right``."""

    left: Node
    operator: str
    right: Node


@dataclass(frozen=True, slots=True)
class Group:
    """``{ ...; }``, or ``( ... )`` in a subshell."""

    body: tuple[Node, ...]
    subshell: bool
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True, slots=True)
class If:
    """Conditions with their bodies; ``else`` has the condition None."""

    branches: tuple[tuple[tuple[Node, ...] | None, tuple[Node, ...]], ...]


@dataclass(frozen=True, slots=True)
class Case:
    """A word and its arms: patterns and body."""

    word: str
    arms: tuple[tuple[tuple[str, ...], tuple[Node, ...]], ...]


@dataclass(frozen=True, slots=True)
class For:
    """A variable and the words that it goes through; None for the positional parameters."""

    variable: str
    words: tuple[str, ...] | None
    body: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class While:
    """``while`` or ``until``."""

    condition: tuple[Node, ...]
    body: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """A definition."""

    name: str
    body: Node


Node = Command | Pipeline | AndOr | Group | If | Case | For | While | Function


def parse(text: str) -> tuple[Node, ...]:
    """Return the commands of a script; ShellError if it cannot be read."""
    parser = _Parser(tokenize(text))
    try:
        body = parser.body(frozenset())
    except RecursionError as error:
        raise ShellError("nested too deeply") from error
    if parser.peek() is not None:
        raise ShellError(f"{parser.peek_text()!r} where a command should be")
    return body


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._position = 0

    def peek(self, ahead: int = 0) -> Token | None:
        position = self._position + ahead
        return self._tokens[position] if position < len(self._tokens) else None

    def peek_text(self) -> str:
        token = self.peek()
        return token.text if token is not None else ""

    def _take(self) -> Token:
        token = self.peek()
        if token is None:
            raise ShellError("it ends in the middle of a command")
        self._position += 1
        return token

    def _expect(self, text: str) -> None:
        token = self._take()
        if token.text != text:
            raise ShellError(f"{token.text!r} where {text!r} should be")

    def _skip(self, *texts: str) -> None:
        while (token := self.peek()) is not None and token.text in texts:
            self._position += 1

    def body(self, stop: frozenset[str]) -> tuple[Node, ...]:
        """Parse commands up to one of the reserved words or operators in ``stop``."""
        nodes: list[Node] = []
        while True:
            self._skip("\n", ";", "&")
            token = self.peek()
            if token is None or token.text in stop:
                return tuple(nodes)
            before = self._position
            nodes.append(self._and_or())
            if self._position == before:
                return tuple(nodes)

    def _until(self, *stop: str) -> tuple[Node, ...]:
        """Parse commands up to a stop word that has to come."""
        nodes = self.body(frozenset(stop))
        if self.peek_text() not in stop:
            raise ShellError(f"{' or '.join(stop)} is missing")
        return nodes

    def _and_or(self) -> Node:
        node = self._pipeline()
        while self.peek_text() in {"&&", "||"}:
            operator = self._take().text
            self._skip("\n")
            node = AndOr(node, operator, self._pipeline())
        return node

    def _pipeline(self) -> Node:
        negated = False
        while self.peek_text() == "!":
            self._take()
            negated = not negated
        parts = [self._command()]
        while self.peek_text() == "|":
            self._take()
            self._skip("\n")
            parts.append(self._command())
        return Pipeline(tuple(parts), negated) if negated or len(parts) > 1 else parts[0]

    def _command(self) -> Node:
        token = self.peek()
        if token is None:
            raise ShellError("a command is missing at its end")
        compound = {
            "if": self._if,
            "case": self._case,
            "for": self._for,
            "while": self._while,
            "until": self._while,
            "{": self._group,
            "(": self._group,
        }.get(token.text)
        if compound is not None:
            node = compound()
            redirects = self._redirects()
            return Group((node,), subshell=False, redirects=redirects) if redirects else node
        following = self.peek(1)
        if _NAME.fullmatch(token.text) and following == Token("operator", "("):
            return self._function()
        return self._simple()

    def _redirects(self) -> tuple[Redirect, ...]:
        found = []
        while (token := self.peek()) is not None and token.kind == "redirect":
            self._take()
            found.append(Redirect(token.text, self._take().text))
        return tuple(found)

    def _simple(self) -> Command:
        words: list[str] = []
        redirects: list[Redirect] = []
        while (token := self.peek()) is not None:
            if token.kind == "redirect":
                redirects += self._redirects()
            elif token.kind == "word":
                words.append(self._take().text)
            else:
                break
        if not words and not redirects:
            raise ShellError(f"{self.peek_text()!r} where a command should be")
        return Command(tuple(words), tuple(redirects))

    def _group(self) -> Node:
        opening = self._take().text
        closing = "}" if opening == "{" else ")"
        body = self._until(closing)
        self._take()
        return Group(body, subshell=opening == "(")

    def _function(self) -> Node:
        name = self._take().text
        self._expect("(")
        self._expect(")")
        self._skip("\n")
        return Function(name, self._command())

    def _if(self) -> Node:
        branches: list[tuple[tuple[Node, ...] | None, tuple[Node, ...]]] = []
        while self._take().text in {"if", "elif"}:
            condition = self._until("then")
            self._take()
            branches.append((condition, self._until("elif", "else", "fi")))
        if self._tokens[self._position - 1].text == "else":
            branches.append((None, self._until("fi")))
            self._take()
        return If(tuple(branches))

    def _while(self) -> Node:
        self._take()
        condition = self._until("do")
        return While(condition, self._do())

    def _do(self) -> tuple[Node, ...]:
        self._expect("do")
        body = self._until("done")
        self._take()
        return body

    def _for(self) -> Node:
        self._take()
        variable = self._take().text
        words: list[str] | None = None
        self._skip("\n")
        if self.peek_text() == "in":
            self._take()
            words = []
            while (token := self.peek()) is not None and token.kind == "word":
                words.append(self._take().text)
        self._skip("\n", ";")
        return For(variable, None if words is None else tuple(words), self._do())

    def _case(self) -> Node:
        self._take()
        word = self._take().text
        self._skip("\n")
        self._expect("in")
        arms = []
        self._skip("\n")
        while self.peek_text() != "esac":
            self._skip("(")
            patterns = [self._take().text]
            while self.peek_text() == "|":
                self._take()
                patterns.append(self._take().text)
            self._expect(")")
            arms.append((tuple(patterns), self._until(";;", "esac")))
            self._skip(";;", "\n")
        self._take()
        return Case(word, tuple(arms))
