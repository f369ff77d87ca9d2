"""Differences between locks, for a terminal and for a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envlock.cli.output import megabytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from envlock.lock.compare import Change, Difference, OverrideChange
    from envlock.lock.model import Artifact, LockedOverride

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def as_text(title: str, difference: Difference) -> Iterator[str]:
    """Yield lines for a terminal."""
    if not difference:
        yield f"{title}: no difference"
        return
    yield f"{title}: {_summary(difference)}"
    for change in difference.packages:
        yield f"  {_SIGNS[_sort(change)]} {change.name} {_versions(change)}{_grown(change.bytes)}"
    for override in difference.overrides:
        for line in _override(override):
            yield f"  {line}"
    for line in difference.spec:
        yield f"  spec: {line}"
    if difference.image[0] != difference.image[1]:
        yield f"  image: {difference.image[0] or 'not recorded'} -> {_recorded(difference)}"


def as_markdown(title: str, difference: Difference) -> Iterator[str]:
    """Yield Markdown for a pull request: a heading, a table, the rest as lists."""
    yield f"### {_escaped(title)}"
    yield ""
    if not difference:
        yield "No difference."
        yield ""
        return
    yield f"{_summary(difference)[0].upper()}{_summary(difference)[1:]}."
    yield ""
    if difference.packages:
        yield "| package | kind | before | after | size |"
        yield "| --- | --- | --- | --- | ---: |"
        yield from map(_row, difference.packages)
        yield ""
    lines = [line for override in difference.overrides for line in _override(override)]
    if difference.image[0] != difference.image[1]:
        lines.append(f"image: {difference.image[0] or 'not recorded'} -> {_recorded(difference)}")
    yield from _list("Overrides and image", lines)
    yield from _list("The spec", difference.spec)


def _list(heading: str, lines: Iterable[str]) -> Iterator[str]:
    shown = [f"- {_escaped(line)}" for line in lines]
    if shown:
        yield f"**{heading}**"
        yield ""
        yield from shown
        yield ""


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
        return f"{versions[0]}, another file"
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


def as_data(difference: Difference) -> dict[str, Any]:
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
        "spec": list(difference.spec),
        "bytes": {
            "old": difference.size[0],
            "new": difference.size[1],
            "fetched": difference.fetched,
        },
        "image": {"old": difference.image[0], "new": difference.image[1]},
    }


def _file(artifact: Artifact | None) -> dict[str, Any] | None:
    if artifact is None:
        return None
    return {"version": artifact.version, "sha256": artifact.sha256, "bytes": artifact.size}
