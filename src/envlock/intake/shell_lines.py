"""Shell lines as other files have them: split into commands, and read as calls of pip and apt."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_OPERATORS = re.compile(r"[;&|()]+")
_REDIRECTION = re.compile(r"[<>&|]*[<>][<>&|]*")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_PIP = re.compile(r"(?:.*/)?pip[0-9.]*$")
_PYTHON = re.compile(r"(?:.*/)?python[0-9.]*$")
_APT = re.compile(r"(?:.*/)?(?:apt|apt-get|aptitude)$")
_BEFORE = frozenset(
    {"sudo", "-E", "-H", "exec", "time", "env", "command", "then", "do", "{", "if", "!"}
)

_LISTS = {
    "-r": "files",
    "--requirement": "files",
    "--requirements": "files",
    "-c": "constraints",
    "--constraint": "constraints",
    "--constraints": "constraints",
    "-i": "index",
    "--index-url": "index",
    "--default-index": "index",
    "--extra-index-url": "extra_indexes",
    "--index": "extra_indexes",
    "-e": "places",
    "--editable": "places",
}
"""Options whose value says what is wanted, by the field that keeps it."""

_FORCES = frozenset({"--force-reinstall", "--no-deps", "--reinstall"})
_TOLD = frozenset({"-f", "--find-links", "-t", "--target", "--prefix", "--root", "--override"})
_WITH_VALUE = _TOLD | frozenset(
    f"--{name}"
    for name in (
        "cache-dir", "timeout", "retries", "trusted-host", "proxy", "cert", "client-cert",
        "progress-bar", "upgrade-strategy", "only-binary", "no-binary", "python-version",
        "platform", "implementation", "abi", "src", "report", "config-settings", "log",
        "exists-action", "python", "index-strategy", "keyring-provider", "resolution",
        "prerelease", "link-mode", "exclude-newer", "torch-backend", "no-build-package",
        "reinstall-package", "upgrade-package", "root-user-action", "use-feature",
        "uploaded-prior-to", "overrides", "build-constraints", "build-constraint",
    )
) | {"-C", "-p", "-P", "-w", "--wheel-dir", "-d", "--dest"}  # fmt: skip
_FOR_LATER = frozenset({"wheel", "download"})
_VERBS = _FOR_LATER | {"install", "uninstall"}
_TELLING = frozenset(
    {"cache", "check", "compile", "config", "debug", "freeze", "hash", "help", "index", "inspect"}
    | {"list", "show", "sync", "tree"}
)
"""Commands of pip's that install nothing that they name."""
_APT_WITH_VALUE = frozenset({"-t", "--target-release", "--default-release", "-o", "--option", "-c"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command's words; torn: words that the shell tears off with an unquoted > or <."""

    words: tuple[str, ...]
    torn: tuple[str, ...] = ()

    def __str__(self) -> str:
        return shlex.join(self.words)


@dataclass(slots=True, kw_only=True)
class PipCall:
    """What a call of pip asks for.

    index: what takes the default index's place; forced: ``--force-reinstall``,
    ``--no-deps`` or a word like them was given, by that word; files and constraints: paths;
    places: wheels, folders, URLs; removed: what is uninstalled; left: options without a meaning
    here; for_later: its files are kept in a folder, for a later call to install.
    """

    requirements: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    index: str | None = None
    extra_indexes: list[str] = field(default_factory=list)
    forced: str | None = None
    places: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    for_later: bool = False


def commands(text: str) -> Iterator[Command]:
    """Yield the simple commands of a shell text; raises ValueError for an open quote."""
    for line in text.replace("\\\n", " ").split("\n"):
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>()")
        lexer.whitespace_split = True
        lexer.commenters = ""
        yield from _commands(list(lexer))


def _commands(tokens: Sequence[str]) -> Iterator[Command]:
    words: list[str] = []
    torn: list[str] = []
    skip = False
    for token in (*tokens, ";"):
        if _REDIRECTION.fullmatch(token):
            skip = True
            if words and words[-1].isdigit():
                words.pop()
            redirection = token
        elif skip:
            skip = False
            if words and token.startswith("=") and not redirection.startswith("&"):
                torn.append(f"{words[-1]}{redirection}{token}")
        elif _OPERATORS.fullmatch(token):
            if words:
                yield Command(words=_without_head(words), torn=tuple(torn))
            words, torn = [], []
        else:
            words.append(token)


def _without_head(words: list[str]) -> tuple[str, ...]:
    """Return the words without ``sudo`` and variables for the one command."""
    position = 0
    while position < len(words) - 1 and (
        words[position] in _BEFORE or _ASSIGNMENT.fullmatch(words[position])
    ):
        position += 1
    return tuple(words[position:])


def pip_call(command: Command) -> PipCall | None:
    """Return what pip is asked to install, to uninstall or to make wheels of, by pip or by uv."""
    words = list(_pip_words(command.words) or ())
    verb = next((word for word in words if word in _VERBS | _TELLING), None)
    if verb not in _VERBS:  # "wheel" may be what is shown
        return None
    words.remove(verb)
    found = _install(words)
    if verb == "uninstall":
        return PipCall(removed=found.requirements)
    if verb in _FOR_LATER:
        found.forced, found.for_later = None, True
    return found


def _pip_words(words: Sequence[str]) -> Sequence[str] | None:
    if _PIP.match(words[0]):
        return words[1:]
    if _PYTHON.match(words[0]) and "-m" in words:
        position = words.index("-m") + 1
        return words[position + 1 :] if words[position : position + 1] == ("pip",) else None
    if words[0].rpartition("/")[2] == "uv" and "pip" in words[1:3]:
        return words[words.index("pip") + 1 :]
    return None


def _install(words: list[str]) -> PipCall:
    found = PipCall()
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            _named(found, word)
            continue
        option, equals, value = word.partition("=")
        if re.match(r"-[rcie][^-]", word):
            option, equals, value = word[:2], "=", word[2:].removeprefix("=")
        if option in _FORCES:
            found.forced = found.forced or option
        elif option in _LISTS or option in _WITH_VALUE:
            argument = value if equals else (words.pop(0) if words else "")
            _told(found, option, argument)
    return found


def _told(found: PipCall, option: str, argument: str) -> None:
    """Take an option that has a value."""
    meaning = _LISTS.get(option)
    if meaning == "index":
        found.index = argument
    elif meaning is not None:
        shown = f"-e {argument}" if meaning == "places" else argument
        getattr(found, meaning).append(shown)
    elif option in _TOLD:
        found.left.append(f"{option} {argument}")


def _named(found: PipCall, word: str) -> None:
    by_place = "://" in word or " @ " in word or word.startswith((".", "/", "~"))
    if by_place or word.endswith((".whl", ".tar.gz", ".zip")):
        found.places.append(word)
    else:
        found.requirements.append(word)


def apt_packages(command: Command) -> list[str] | None:
    """Return what ``apt-get install`` is asked for, None for any other command."""
    words = list(command.words)
    if not _APT.match(words[0]) or "install" not in words:
        return None
    found: list[str] = []
    rest = words[1:]
    rest.remove("install")
    while rest:
        word = rest.pop(0)
        if word in _APT_WITH_VALUE and rest:
            rest.pop(0)
        elif not word.startswith("-"):
            found.append(word)
    return found


def is_python(command: Command) -> bool:
    """Tell whether a command runs a Python of the image."""
    return _PYTHON.match(command.words[0]) is not None
