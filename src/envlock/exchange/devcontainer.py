"""``devcontainer.json`` that opens a folder in the image; its keys are those of containers.dev.

The image is the one that was pushed or loaded; by its digest where the lock records one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from envlock.exchange.formats import Export
from envlock.layers.plan import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.exchange.formats import Subject
    from envlock.lock.model import Lock

_NEEDED = {
    "coreutils": "sleep, which keeps the container up",
    "libstdc++6": "the C++ library, for the editor's server",
    "procps": "ps, for the editor's server",
}
"""Debian packages without which editors cannot use an image, and what of them is needed."""

_SAME_USER = frozenset({"coreutils", "grep", "sed"})
"""What the tools need in an image to give its user the number of the person who works in it."""


def export(subject: Subject) -> Export:
    """Write one lock; see :class:`envlock.exchange.formats.Exporter`."""
    (lock,) = subject.locks
    image = lock.spec.get("image", {})
    there = {one.name for one in lock.of_kind("debian")}
    document: dict[str, Any] = {
        "name": lock.name,
        "image": _image(lock, subject.image),
        "customizations": {
            "vscode": {
                "extensions": ["ms-python.python"],
                "settings": {"python.defaultInterpreterPath": f"/{PREFIX}/bin/python3"},
            }
        },
    }
    if image.get("user"):
        document["remoteUser"] = image["user"].partition(":")[0]
        document["updateRemoteUserUID"] = lock.base is not None or there >= _SAME_USER
    if lock.spec["platform"].get("cuda"):
        document["hostRequirements"] = {"gpu": "optional"}
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    return Export(text=text, notes=tuple(_notes(lock, subject.image, there)))


def _image(lock: Lock, named: str | None) -> str:
    """Return the image as engines take it: what was built, if that is recorded and was pushed."""
    if named is None:
        return f"{lock.name}:latest"
    if lock.built is None or "@" in named:
        return named
    from envlock.registry.reference import parse_reference

    return str(parse_reference(named, what="--image").at(lock.built.manifest))


def _notes(lock: Lock, named: str | None, there: set[str]) -> Iterator[str]:
    if named is None:
        yield (
            f"the image is the one that envlock build {lock.name} --load docker (or podman) gives "
            "the engine; --image names one in a registry"
        )
    elif lock.built is None and "@" not in named:
        yield "by its tag: the lock has no digest, which envlock build --record writes"
    if lock.base is not None:
        yield f"what an editor needs of a system must be in the base image, {lock.base.reference}"
        return
    for package in sorted(_NEEDED.keys() - there):
        yield f"the image has no {package}: {_NEEDED[package]}; add it to debian.packages"
    if lock.spec.get("image", {}).get("user") and not there >= _SAME_USER:
        missing = ", ".join(sorted(_SAME_USER - there))
        yield f"files of the folder keep their owners: to change the user's number, add {missing}"
