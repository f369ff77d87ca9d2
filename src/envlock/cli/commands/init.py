"""``envlock init``: a spec begun from other tools' files, or from nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envlock.cli.app import command
from envlock.cli.context import Context
from envlock.cli.locks import check_platform
from envlock.errors import UsageError
from envlock.project import NAME_RULE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.intake.draft import Draft
    from envlock.intake.readers import Choices
    from envlock.intake.settle import Settled
    from envlock.project import Project


_SCHEMA = "spec.schema.json"
"""Beside the specs, where envlock schema was written to it."""


_Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME", help="The environment's name. [default: the file's]"),
]
_Sources = Annotated[
    list[Path] | None,
    typer.Option(
        "--from",
        metavar="FILE...",
        help="Dockerfile, requirements.txt, pyproject.toml, uv.lock, pylock.toml, "
        "environment.yml, conda-lock.yml, pixi.toml, or the folder of a virtual environment; "
        "several are joined.",
    ),
]
_Platform = Annotated[
    list[str] | None,
    typer.Option(metavar="PLATFORM", help="A platform. [default: the file's, or linux-64]"),
]
_Python = Annotated[str | None, typer.Option(metavar="VERSION", help="The Python's version: 3.12.")]
_Extra = Annotated[
    list[str] | None, typer.Option(metavar="EXTRA", help="An extra of pyproject.toml, besides.")
]
_Group = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GROUP",
        help="A group of pyproject.toml or conda-lock.yml, a feature or environment of "
        "pixi.toml, besides.",
    ),
]
_Force = Annotated[bool, typer.Option("--force", help="Replace the spec if there is one.")]
_Offline = Annotated[
    bool, typer.Option("--offline", help="Do not ask an index whose pins are overridden.")
]


@command("init")
def init_command(
    context: typer.Context,
    words: _Words = None,
    sources: _Sources = None,
    platform: _Platform = None,
    python: _Python = None,
    extra: _Extra = None,
    group: _Group = None,
    force: _Force = False,
    offline: _Offline = False,
) -> None:
    """Begin a spec (envs/NAME.yaml), and tell what of the files it does not say."""
    from envlock.files import write_atomically
    from envlock.intake.readers import Choices
    from envlock.intake.render import render
    from envlock.intake.settle import settle
    from envlock.spec.document import parse_document
    from envlock.spec.parse import parse_spec

    state: Context = context.obj
    named, files = _sort(words or [], sources)
    choices = Choices(
        platforms=_platforms(platform or ()), extras=tuple(extra or ()), groups=tuple(group or ())
    )
    draft = _read(files, choices)
    project = _project(state)
    name = _name(named or draft.name or project.root.name, given=named is not None)
    path = project.root / "envs" / f"{name}.yaml"
    if path.exists() and not force:
        raise UsageError(
            f"{project.shown(path)} is there already",
            hint="choose another name, or replace it with --force",
        )
    shown_files = [file.name for file in files]
    settled = settle(draft, python)
    if any(not one.against for one in draft.forced):
        state.offline = offline
        _settle_forced(state, draft, name, settled)
    text = _schema_line(project) + render(name, draft, settled, shown_files)
    parse_spec(parse_document(text, project.shown(path)), project.shown(path))
    write_atomically(path, text.encode())
    _tell(state, draft, name, project.shown(path))


def _tell(state: Context, draft: Draft, name: str, shown: str) -> None:
    """Tell what a spec does not say of the files, and what is next."""
    for note in draft.notes:
        state.output.message(f"  {note}")
    wanted = draft.pypi or draft.conda
    first = "" if wanted else "write what you need under dependencies, then "
    state.output.message(f"{name}: written to {shown}; next: {first}envlock solve {name}")
    state.output.document(
        {
            "name": name,
            "spec": shown,
            "notes": [{"where": note.where, "text": note.text} for note in draft.notes],
        }
    )


def _schema_line(project: Project) -> str:
    """Return the comment by which editors find the schema, where the project keeps it."""
    if not (project.root / "envs" / _SCHEMA).is_file():
        return ""
    return f"# yaml-language-server: $schema={_SCHEMA}\n"


def _settle_forced(state: Context, draft: Draft, name: str, settled: Settled) -> None:
    """Ask the index whose pins the forced versions are against."""
    from dataclasses import replace

    from envlock.errors import EnvlockError
    from envlock.intake.forced import natural, settle_forced
    from envlock.intake.render import render
    from envlock.spec.document import parse_document
    from envlock.spec.parse import parse_spec

    bare = render(name, replace(draft, forced=[]), settled, [])
    spec = parse_spec(parse_document(bare, name), name)
    try:
        found = natural(spec, state.python_solvers(spec), state.output)
    except EnvlockError as error:
        settle_forced(draft, error)
    else:
        settle_forced(draft, found)


def _sort(words: Sequence[str], sources: Sequence[Path] | None) -> tuple[str | None, list[Path]]:
    """Return the name, if one is given, and the files: behind --from there may be several."""
    files = list(sources or ())
    more = [word for word in words if files and _is_source(Path(word))]
    names = [word for word in words if word not in more]
    if len(names) > 1:
        raise UsageError(
            f"more than one name: {' and '.join(names)}",
            hint="a file is read where it stands behind --from and is there",
        )
    return (names[0] if names else None), [*files, *map(Path, more)]


def _is_source(path: Path) -> bool:
    """Tell whether a word is a file or a virtual environment, and not a name."""
    return path.is_file() or (path / "pyvenv.cfg").is_file()


def _platforms(asked: Sequence[str]) -> tuple[str, ...]:
    for name in asked:
        check_platform(name)
    return tuple(dict.fromkeys(asked))


def _read(files: Sequence[Path], choices: Choices) -> Draft:
    from envlock.intake.draft import Draft
    from envlock.intake.readers import read_file

    draft = Draft(platforms=list(choices.platforms))
    for file in files:
        draft.add(read_file(file, str(file), choices))
    draft.check()
    return draft


def _project(state: Context) -> Project:
    """Return the project, or what will be one once it has a spec."""
    from envlock.project import Project

    try:
        return state.project
    except UsageError:
        if not state.folder.is_dir():
            raise
        state.project = Project(root=state.folder.resolve())
        return state.project


def _name(text: str, *, given: bool) -> str:
    """Return a name as specs have them; one that was given must be one already."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:64].rstrip("-._")
    if not plain or (given and plain != text):
        raise UsageError(
            f"{text!r} cannot be the name of an environment",
            hint=NAME_RULE + (f": {plain}" if plain else ""),
        )
    return plain
