"""Two images, layer by layer and member by member."""

from __future__ import annotations

import json
from contextlib import ExitStack
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, BinaryIO

from envlock.errors import EnvlockError
from envlock.files import PIECE
from envlock.imagediff.model import FileDifference, ImageDifference, LayerDifference, Range
from envlock.imagediff.tars import read_table, spool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from envlock.imagediff.model import LayerKind
    from envlock.imagediff.tars import TarMember
    from envlock.validate.layout import Image, Layer

SHOWN = 20
"""Files of a layer that are told one by one."""

RANGES = 3
SAMPLE = 16
"""Differing ranges of a file, and bytes of each, that are told."""

_DOCUMENT = 4 << 20


def compare(recorded: Image, built: Image) -> ImageDifference:
    """Return what two images have otherwise; both were opened by ``validate.layout``.

    Raises OSError where they cannot be read any more.
    """
    one, two = _documents(recorded), _documents(built)
    pairs = zip_longest(
        zip(recorded.layers, _titles(one, len(recorded.layers)), strict=True),
        zip(built.layers, _titles(two, len(built.layers)), strict=True),
    )
    layers = []
    for number, (before, after) in enumerate(pairs, 1):
        difference = _layer(number, recorded, built, before, after)
        layers += [] if difference is None else [difference]
    return ImageDifference(
        recorded=recorded.manifest,
        built=built.manifest,
        settings=tuple(_settings("", _without_layers(one), _without_layers(two))),
        layers=tuple(layers),
    )


def _documents(image: Image) -> dict[str, Any]:
    """Return the image's manifest and configuration, which were verified when it was opened."""
    manifest = _json(image, image.manifest)
    return {"manifest": manifest, "config": _json(image, manifest["config"]["digest"])}


def _json(image: Image, digest: str) -> dict[str, Any]:
    with image.blobs.open(f"blobs/{digest.replace(':', '/')}") as stream:
        value: dict[str, Any] = json.loads(stream.read(_DOCUMENT))
    return value


def _titles(documents: Mapping[str, Any], count: int) -> list[str]:
    """Return what the history says of each layer (config.md, ``history``)."""
    history = documents["config"].get("history") or []
    told = [
        str(line.get("created_by", ""))
        for line in history
        if isinstance(line, dict) and not line.get("empty_layer")
    ]
    return told if len(told) == count else [""] * count


def _without_layers(documents: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what only follows from the layers."""
    manifest = {k: v for k, v in documents["manifest"].items() if k not in {"config", "layers"}}
    config = {k: v for k, v in documents["config"].items() if k != "rootfs"}
    return {"manifest": manifest, "config": config}


def _settings(place: str, one: Any, two: Any) -> Iterator[tuple[str, str, str]]:
    if one == two and type(one) is type(two):
        return
    if isinstance(one, dict) and isinstance(two, dict):
        for key in sorted({*one, *two}):
            inner = f"{place}.{key}" if place else key
            yield from _settings(inner, one.get(key), two.get(key))
    elif isinstance(one, list) and isinstance(two, list):
        for number, (before, after) in enumerate(zip_longest(one, two)):
            yield from _settings(f"{place}[{number}]", before, after)
    else:
        yield place, _shown(one), _shown(two)


def _shown(value: Any) -> str:
    return "-" if value is None else json.dumps(value, ensure_ascii=False)[:200]


def _layer(
    number: int,
    recorded: Image,
    built: Image,
    before: tuple[Layer, str] | None,
    after: tuple[Layer, str] | None,
) -> LayerDifference | None:
    title = (after or before or (None, ""))[1]
    if before is None or after is None:
        only: LayerKind = "only built" if before is None else "only recorded"
        return LayerDifference(
            number=number,
            title=title,
            kind=only,
            recorded=before[0].blob.digest if before else None,
            built=after[0].blob.digest if after else None,
        )
    one, two = before[0], after[0]
    if one.blob.digest == two.blob.digest:
        return None
    told = partial(
        LayerDifference,
        number=number,
        title=title,
        recorded=one.blob.digest,
        built=two.blob.digest,
    )
    if one.diff_id == two.diff_id:
        at = _first_difference(recorded, one, built, two)
        note = f"the same tar; its compressed bytes differ from byte {at} on"
        return told(kind="compression", note=note)
    try:
        files, note = _files(recorded, one, built, two)
    except EnvlockError as error:
        return told(kind="unreadable", note=str(error))
    return told(
        kind="content",
        files=tuple(files[:SHOWN]),
        more=max(0, len(files) - SHOWN),
        note=note,
    )


def _first_difference(recorded: Image, one: Layer, built: Image, two: Layer) -> int:
    with recorded.blobs.open(one.blob.name) as left, built.blobs.open(two.blob.name) as right:
        return next((found.start for found in _ranges(left, right)), 0)


def _files(
    recorded: Image, one: Layer, built: Image, two: Layer
) -> tuple[list[FileDifference], str]:
    """Return the members that differ, and a note on what is none of theirs."""
    old, new = read_table(recorded.blobs, one), read_table(built.blobs, two)
    found = [FileDifference(path=path, kind="only recorded") for path in old if path not in new]
    found += [FileDifference(path=path, kind="only built") for path in new if path not in old]
    changed = [
        path
        for path in old
        if path in new and (old[path].sha256, old[path].size) != (new[path].sha256, new[path].size)
    ]
    ranges = _contents(recorded, one, built, two, changed[:SHOWN])
    for path in changed:
        spots = ranges.get(path, [])
        found.append(
            FileDifference(
                path=path,
                kind="content",
                fields=_fields(old[path], new[path]),
                sizes=(old[path].size, new[path].size),
                ranges=tuple(spots[:RANGES]),
                spots=len(spots),
            )
        )
    same = [path for path in old if path in new and path not in set(changed)]
    found += [
        FileDifference(path=path, kind="header", fields=_fields(old[path], new[path]))
        for path in same
        if old[path].raw != new[path].raw
    ]
    if not found:
        found = _moved(list(old), list(new))
    note = "" if found else "the members are equal: what is behind the last of them differs"
    return found, note


def _fields(one: TarMember, two: TarMember) -> tuple[tuple[str, str, str], ...]:
    """Return the fields that differ; where none that has a name does, the header's bytes."""
    named = tuple(
        (name, before, after)
        for (name, before), (_, after) in zip(one.fields, two.fields, strict=True)
        if before != after
    )
    if named or one.raw == two.raw or one.size != two.size:
        return named
    at = next(
        (n for n, (a, b) in enumerate(zip(one.raw, two.raw, strict=False)) if a != b),
        min(len(one.raw), len(two.raw)),
    )
    pieces = (one.raw[at : at + SAMPLE].hex(" "), two.raw[at : at + SAMPLE].hex(" "))
    return ((f"byte {at} of the header", *pieces),)


def _moved(old: list[str], new: list[str]) -> list[FileDifference]:
    """Return the first path that stands elsewhere; the paths are the same."""
    for number, (before, after) in enumerate(zip(old, new, strict=True)):
        if before != after:
            places = (("place", str(number), str(new.index(before))),)
            return [FileDifference(path=before, kind="moved", fields=places)]
    return []


def _contents(
    recorded: Image, one: Layer, built: Image, two: Layer, paths: list[str]
) -> dict[str, list[Range]]:
    """Return where the contents of a few files differ."""
    if not paths:
        return {}
    with ExitStack() as stack:
        left = spool(recorded.blobs, one, set(paths))
        right = spool(built.blobs, two, set(paths))
        for stream in (*left.values(), *right.values()):
            stack.enter_context(stream)
        return {
            path: list(_ranges(left[path], right[path]))
            for path in paths
            if path in left and path in right
        }


def _ranges(left: BinaryIO, right: BinaryIO) -> Iterator[Range]:
    """Yield where two streams differ; what one has more is the last range."""
    place, open_at = 0, -1
    samples = (b"", b"")
    while True:
        one, two = left.read(PIECE), right.read(PIECE)
        common = min(len(one), len(two))
        for at in _borders(one[:common], two[:common]):
            differs = one[at : at + 1] != two[at : at + 1]
            if differs and open_at < 0:
                open_at, samples = place + at, (one[at : at + SAMPLE], two[at : at + SAMPLE])
            elif not differs and open_at >= 0:
                yield _range(open_at, place + at, samples)
                open_at = -1
        place += common
        if len(one) != len(two) or not one:
            end = place + max(len(one), len(two)) - common
            if end > place and open_at < 0:
                open_at = place
                samples = (one[common : common + SAMPLE], two[common : common + SAMPLE])
            if open_at >= 0:
                yield _range(open_at, end, samples)
            return


def _range(start: int, end: int, samples: tuple[bytes, bytes]) -> Range:
    length = end - start
    return Range(start=start, end=end, recorded=samples[0][:length], built=samples[1][:length])


def _borders(one: bytes, two: bytes) -> Iterator[int]:
    """Yield each place where equal bytes turn to different ones, or back; 0 is one."""
    if one == two:
        yield 0
        return
    before: bool | None = None
    for start in range(0, len(one), 4096):
        left, right = one[start : start + 4096], two[start : start + 4096]
        if left == right:
            if before is not True:
                yield start
            before = True
            continue
        for at, (a, b) in enumerate(zip(left, right, strict=True)):
            if (a == b) is not before:
                yield start + at
                before = a == b
