"""Differences between locks, for a terminal and for a pull request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from envlock.cli.clobbers import clobber_data, clobber_lines
from envlock.cli.output import megabytes
from envlock.layers.changed import artifact_bytes
from envlock.lock.attested import plain, said

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from envlock.layers.changed import LayerChanges
    from envlock.layers.plan import LayerPlan
    from envlock.lock.compare import Change, Difference, OverrideChange
    from envlock.lock.model import Artifact, LockedOverride

_TICKS = re.compile("`+")
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_FOLDED = 25
"""From how many rows on a table is folded away in a pull request."""
_NAMED = 6
"""How many new layers are named."""


def as_text(title: str, difference: Difference, layers: LayerChanges) -> Iterator[str]:
    """Yield lines for a terminal."""
    if not difference:
        yield f"{title}: no difference"
        return
    yield f"{title}: {_summary(difference)}"
    for change in difference.packages:
        yield f"  {_SIGNS[_sort(change)]} {change.name} {_versions(change)}{_grown(change.bytes)}"
    for line in _publishers(difference):
        yield f"  {line}"
    for override in difference.overrides:
        for line in _override(override):
            yield f"  {line}"
    for line in _clobbers(difference):
        yield f"  {line}"
    for line in difference.spec:
        yield f"  spec: {line}"
    for line in _base(difference):
        yield f"  {line}"
    if _moves_image(layers):
        yield f"  image: {_layers(layers)}"
    if difference.image[0] != difference.image[1]:
        yield f"  image: {difference.image[0] or 'not recorded'} -> {_recorded(difference)}"


def as_markdown(title: str, difference: Difference, layers: LayerChanges) -> Iterator[str]:
    """Yield Markdown for a pull request: a heading, a sentence, a table, the rest as lists."""
    yield f"### {_escaped(title)}"
    yield ""
    if not difference:
        yield "No difference."
        yield ""
        return
    yield f"{_summary(difference)[0].upper()}{_summary(difference)[1:]}."
    yield ""
    yield from _list("Overrides", [line for one in difference.overrides for line in _override(one)])
    yield from _list("Publishers", _publishers(difference))
    yield from _list("Files at one path", _clobbers(difference))
    yield from _fenced("Spec", difference.spec)
    yield from _list("Image", _image(difference, layers))
    if difference.packages:
        folded = len(difference.packages) >= _FOLDED
        if folded:
            yield f"<details><summary>{len(difference.packages)} packages</summary>"
            yield ""
        yield "| package | kind | before | after | size |"
        yield "| --- | --- | --- | --- | ---: |"
        yield from map(_row, difference.packages)
        yield ""
        if folded:
            yield "</details>"
            yield ""


def _image(difference: Difference, layers: LayerChanges) -> Iterator[str]:
    """Yield what the image gains and loses, and its digests."""
    yield from _base(difference)
    if _moves_image(layers):
        yield _layers(layers)
        yield from (f"new: {_layer(one)}" for one in _largest(layers.new))
        yield from (f"gone: {_layer(one)}" for one in _largest(layers.gone))
    if difference.image[0] != difference.image[1]:
        yield f"{difference.image[0] or 'not recorded'} -> {_recorded(difference)}"


def _base(difference: Difference) -> Iterator[str]:
    before, after = difference.base
    if before != after:
        yield f"base image: {before or 'none'} -> {after or 'none'}"


def _moves_image(layers: LayerChanges) -> bool:
    return bool(layers.new or layers.gone)


def _layers(layers: LayerChanges) -> str:
    """Say how much of an image is new; sizes are those of the artifacts in the layers."""
    new, kept, gone = (_sum(each) for each in (layers.new, layers.kept, layers.gone))
    text = f"{len(layers.new)} of {layers.total} layers are new ({megabytes(new)})"
    if layers.kept:
        text += f", {len(layers.kept)} stay ({megabytes(kept)})"
    if layers.gone:
        text += f", {len(layers.gone)} of before are gone ({megabytes(gone)})"
    return text


def _layer(layer: LayerPlan) -> str:
    size = f" ({megabytes(artifact_bytes(layer))})" if layer.counted else ""
    return f"{layer.title}{size}"


def _largest(layers: Iterable[LayerPlan]) -> list[LayerPlan]:
    return sorted(layers, key=artifact_bytes, reverse=True)[:_NAMED]


def _sum(layers: Iterable[LayerPlan]) -> int:
    return sum(map(artifact_bytes, layers))


def _fenced(heading: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield changes of the spec as a block that is coloured by its signs."""
    shown = [line.replace("\n", " ") for line in lines]
    if shown:
        ticks = max((len(run) for line in shown for run in _TICKS.findall(line)), default=0)
        fence = "`" * max(3, ticks + 1)
        yield from (f"**{heading}**", "", f"{fence}diff", *shown, fence, "")


def _list(heading: str, lines: Iterable[str]) -> Iterator[str]:
    shown = [f"- {_escaped(line)}" for line in lines]
    if shown:
        yield f"**{heading}**"
        yield ""
        yield from shown
        yield ""


def _publishers(difference: Difference) -> Iterator[str]:
    """Yield whose word for who published a package is another one."""
    for change in difference.packages:
        if change.old and change.new and change.old.attested != change.new.attested:
            now, before = said(change.new.attested), said(change.old.attested)
            yield f"{change.name}: published by {now}, before by {before}"


def _clobbers(difference: Difference) -> Iterator[str]:
    """Yield which files give way to another package's, and which no longer do."""
    gone, new = difference.clobbered
    yield from clobber_lines(new)
    yield from (f"no longer so: {line}" for line in clobber_lines(gone))


def _row(change: Change) -> str:
    before = change.old.version if change.old else ""
    after = change.new.version if change.new else ""
    name = (
        f"**{change.name}**" if before.partition(".")[0] != after.partition(".")[0] else change.name
    )
    cells = [name, change.kind, before, after, _signed(change.bytes)]
    return f"| {' | '.join(_escaped(cell, keep='*') for cell in cells)} |"


def _escaped(text: str, keep: str = "") -> str:
    """Return text that Markdown shows as it is."""
    return "".join(
        f"\\{letter}" if letter in "\\`*_[]<|~" and letter not in keep else letter
        for letter in text
    )


def _summary(difference: Difference) -> str:
    counts = {sort: sum(_sort(change) == sort for change in difference.packages) for sort in _SIGNS}
    parts = [f"{count} {sort}" for sort, count in counts.items() if count]
    before, after = difference.size
    parts.append(f"{megabytes(before)} -> {megabytes(after)}")
    if difference.fetched:
        parts.append(f"{megabytes(difference.fetched)} to fetch")
    return ", ".join(parts)


def _sort(change: Change) -> str:
    if change.old is None:
        return "added"
    return "removed" if change.new is None else "changed"


def _versions(change: Change) -> str:
    versions = [artifact.version for artifact in (change.old, change.new) if artifact]
    if len(versions) == 2 and versions[0] == versions[1]:
        same = change.old and change.new and change.old.sha256 == change.new.sha256
        return f"{versions[0]}, another {'publisher' if same else 'file'}"
    return " -> ".join(versions)


def _grown(size: int) -> str:
    return f" ({_signed(size)})" if size else ""


def _signed(size: int) -> str:
    return f"{'-' if size < 0 else '+'}{megabytes(abs(size))}" if size else "0"


def _override(change: OverrideChange) -> Iterator[str]:
    if change.new is None:
        yield f"override {change.package}: gone"
        return
    head = f"override {change.package} {change.new.version}"
    if change.old is None:
        yield f"{head}: new"
    elif change.old.version != change.new.version:
        yield f"{head}: was {change.old.version}"
    before, after = _voids(change.old), _voids(change.new)
    yield from (f"{head}: voids {void}" for void in sorted(after - before))
    yield from (f"{head}: no longer voids {void}" for void in sorted(before - after))


def _voids(override: LockedOverride | None) -> set[str]:
    if override is None:
        return set()
    return {f"{void.dependent} {void.version} -> {void.requirement}" for void in override.voids}


def _recorded(difference: Difference) -> str:
    return difference.image[1] or "not recorded (envlock build --record)"


def as_data(difference: Difference, layers: LayerChanges) -> dict[str, Any]:
    """Return a difference as ``--json`` shows it."""
    return {
        "packages": [
            {
                "kind": change.kind,
                "name": change.name,
                "old": _file(change.old),
                "new": _file(change.new),
            }
            for change in difference.packages
        ],
        "overrides": [
            {
                "package": change.package,
                "old": change.old.version if change.old else None,
                "new": change.new.version if change.new else None,
                "voids": sorted(_voids(change.new)),
                "voided": sorted(_voids(change.old)),
            }
            for change in difference.overrides
        ],
        "clobbered": {
            "gone": clobber_data(difference.clobbered[0]),
            "new": clobber_data(difference.clobbered[1]),
        },
        "spec": list(difference.spec),
        "base": {"old": difference.base[0], "new": difference.base[1]},
        "bytes": {
            "old": difference.size[0],
            "new": difference.size[1],
            "fetched": difference.fetched,
        },
        "image": {"old": difference.image[0], "new": difference.image[1]},
        "layers": {
            sort: [{"title": one.title, "bytes": artifact_bytes(one)} for one in each]
            for sort, each in (
                ("kept", layers.kept),
                ("new", layers.new),
                ("gone", layers.gone),
            )
        },
    }


def _file(artifact: Artifact | None) -> dict[str, Any] | None:
    if artifact is None:
        return None
    return {
        "version": artifact.version,
        "sha256": artifact.sha256,
        "bytes": artifact.size,
        "publisher": plain(artifact.attested) or None,
    }
