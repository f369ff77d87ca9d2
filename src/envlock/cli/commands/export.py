"""``envlock export``: locks as other tools' files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envlock.cli.app import command
from envlock.cli.context import Context
from envlock.cli.locks import load_named
from envlock.cli.options import NameArgument, OfflineOption
from envlock.errors import UsageError
from envlock.exchange.formats import FORMATS

if TYPE_CHECKING:
    from envlock.exchange.formats import Format
    from envlock.exchange.places import Places
    from envlock.lock.model import Lock

_FORMATS = "; ".join(f"{one.name}: {one.help}" for one in FORMATS.values())


_Form = Annotated[
    str,
    typer.Option(
        "--format",
        "-f",
        metavar="FORMAT",
        help=f"{_FORMATS}.",
        autocompletion=lambda incomplete: [f for f in FORMATS if f.startswith(incomplete)],
    ),
]
_Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="Where it goes. [default: standard output]",
        dir_okay=False,
    ),
]
_Platform = Annotated[
    str | None,
    typer.Option(
        metavar="PLATFORM", help="One of the locked platforms. [default: all, or linux-64]"
    ),
]
_Variables = Annotated[
    bool,
    typer.Option(
        "--variables", help="Write channels as ${ENVLOCK_CHANNEL_NAME} (conda-lock only)."
    ),
]
_Image = Annotated[
    str | None,
    typer.Option(
        metavar="REF",
        help="What the image was pushed as (devcontainer only). [default: as --load calls it]",
    ),
]


@command("export")
def export_command(
    context: typer.Context,
    name: NameArgument,
    form: _Form,
    output: _Output = None,
    platform: _Platform = None,
    variables: _Variables = False,
    image: _Image = None,
    offline: OfflineOption = False,
) -> None:
    """Write locks for other tools; the URLs in the file are those of this machine."""
    from envlock.cli.documents import metadata_of
    from envlock.exchange.formats import Subject
    from envlock.files import write_atomically

    state: Context = context.obj
    state.offline = offline
    chosen = _format(form, variables=variables, image=image)
    locks = _locks(state, name, chosen, platform)
    places = _places(state, locks, name, variables=variables)
    metadata = metadata_of(state, places)
    export = chosen.exporter()(
        Subject(name=name, locks=locks, places=places, metadata=metadata, image=image)
    )
    for note in export.notes:
        state.output.message(note)
    if output is not None:
        write_atomically(output, export.text.encode())
        state.output.message(f"{name}: {chosen.name} -> {output}")
    else:
        state.output.result(export.text.removesuffix("\n"), verbatim=True)
    document = {
        "name": name,
        "format": chosen.name,
        "platforms": [lock.platform for lock in locks],
        "notes": list(export.notes),
    }
    place = {"output": str(output)} if output else {"text": export.text}
    state.output.document({**document, **place})


def _format(name: str, *, variables: bool, image: str | None) -> Format:
    import difflib

    if name not in FORMATS:
        close = difflib.get_close_matches(name, FORMATS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"one of: {', '.join(FORMATS)}"
        raise UsageError(f"there is no format {name!r}", hint=hint)
    if variables and not FORMATS[name].variables:
        able = ", ".join(one.name for one in FORMATS.values() if one.variables)
        raise UsageError(
            f"readers of the format {name} do not look into variables",
            hint=f"--variables is for: {able}",
        )
    if image is not None and not FORMATS[name].image:
        raise UsageError(f"the format {name} names no image", hint="--image is for: devcontainer")
    return FORMATS[name]


def _locks(state: Context, name: str, chosen: Format, platform: str | None) -> tuple[Lock, ...]:
    if platform is not None or not chosen.all_platforms:
        return (load_named(state, name, platform, verb="exports"),)
    return tuple(
        load_named(state, name, one, verb="exports") for one in state.project.locked_platforms(name)
    )


def _places(state: Context, locks: tuple[Lock, ...], name: str, *, variables: bool) -> Places:
    from envlock.exchange.order import channels_of
    from envlock.exchange.places import Places
    from envlock.fetch.indexes import SimpleIndex

    spec = state.optional_spec(name)
    names = channels_of(locks)
    wheels = any(lock.of_kind("pypi") for lock in locks)
    return Places(
        channels=state.channels(names, spec) if names else {},
        indexes=SimpleIndex(state.index_urls(spec) if wheels else {}, state.http),
        store=state.fetcher.store,
        variables=variables,
    )
