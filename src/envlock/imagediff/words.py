"""A difference of images as lines for people, and as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.imagediff.model import FileDifference, ImageDifference, LayerDifference, Range

_HINTS = {
    "mode": "a umask, or another rule for permissions",
    "mtime": "a clock or a file's own time",
    "uid": "who ran it", "gid": "who ran it", "uname": "who ran it", "gname": "who ran it",
    "pax": "another tar writer",
}  # fmt: skip


def as_lines(difference: ImageDifference) -> list[str]:
    """Return what differs, and what it points to, line by line."""
    lines = []
    for place, recorded, built in difference.settings:
        lines.append(f"  {place}: {recorded} recorded, {built} built")
    for layer in difference.layers:
        lines += _layer(layer)
    if not lines:
        lines.append(
            "  every layer and every setting is the same: only the documents' form differs"
        )
    return lines


def _layer(layer: LayerDifference) -> Iterator[str]:
    title = layer.title.removeprefix("envlock: ")
    head = f"  layer {layer.number}{f' ({title})' if title else ''}"
    if layer.kind in {"only recorded", "only built"}:
        yield f"{head}: {layer.kind}, {layer.recorded or layer.built}"
        return
    note = {"compression": f": {layer.note}", "unreadable": f": not compared ({layer.note})"}
    yield head + note.get(layer.kind, "")
    if layer.kind == "content" and layer.note:
        yield f"    {layer.note}"
    for file in layer.files:
        yield from _file(file)
    if layer.more:
        yield f"    and {layer.more} more"


def _file(file: FileDifference) -> Iterator[str]:
    if file.kind in {"only recorded", "only built"}:
        yield f"    {file.path}: {file.kind}"
        return
    if file.kind == "moved":
        _, before, after = file.fields[0]
        yield f"    {file.path}: member {before} recorded, member {after} built (another order)"
        return
    if file.kind == "content":
        yield f"    {file.path}: {_content(file)}"
        for one in file.ranges:
            samples = f"{_sample(one.recorded)} recorded, {_sample(one.built)} built"
            yield f"      {_range(one)}: {samples}"
    for name, recorded, built in file.fields:
        hint = f" ({_HINTS[name]})" if name in _HINTS else ""
        yield f"    {file.path}: {name} {recorded or '-'} recorded, {built or '-'} built{hint}"


def _content(file: FileDifference) -> str:
    assert file.sizes is not None
    before, after = file.sizes
    sizes = f"{before} bytes" if before == after else f"{before} bytes recorded, {after} built"
    if not file.spots:
        return f"another content ({sizes})"
    spots = f"{file.spots} ranges" if file.spots > 1 else "1 range"
    return f"another content ({sizes}; {spots})"


def _range(one: Range) -> str:
    return f"byte {one.start}" if one.end - one.start == 1 else f"bytes {one.start}-{one.end - 1}"


def _sample(data: bytes) -> str:
    """Return bytes as text where they are some, else in hexadecimal."""
    text = data.decode("ascii", "replace")
    return repr(text) if text.isascii() and text.isprintable() else data.hex(" ") or "nothing"


def as_data(difference: ImageDifference) -> dict[str, Any]:
    """Return the difference as JSON-able data."""
    return {
        "recorded": difference.recorded,
        "built": difference.built,
        "settings": [_triple("place", one) for one in difference.settings],
        "layers": [
            {
                "number": layer.number,
                "title": layer.title,
                "kind": layer.kind,
                "recorded": layer.recorded,
                "built": layer.built,
                "note": layer.note,
                "more": layer.more,
                "files": [_file_data(file) for file in layer.files],
            }
            for layer in difference.layers
        ],
    }


def _triple(key: str, one: tuple[str, str, str]) -> dict[str, str]:
    return {key: one[0], "recorded": one[1], "built": one[2]}


def _file_data(file: FileDifference) -> dict[str, Any]:
    return {
        "path": file.path,
        "kind": file.kind,
        "fields": [_triple("field", one) for one in file.fields],
        "sizes": list(file.sizes) if file.sizes is not None else None,
        "spots": file.spots,
        "ranges": [
            {
                "start": one.start,
                "end": one.end,
                "recorded": one.recorded.hex(),
                "built": one.built.hex(),
            }
            for one in file.ranges
        ],
    }
