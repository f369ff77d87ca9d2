"""What is known of a base image by its name alone; no registry is asked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from envlock.intake.draft import requirement

if TYPE_CHECKING:
    from envlock.errors import Location
    from envlock.intake.draft import Draft

_SUITE_PYTHON = {
    "bookworm": "3.11",
    "12": "3.11",
    "oldstable": "3.11",
    "trixie": "3.13",
    "13": "3.13",
    "stable": "3.13",
}
_PYTHON_TAG = re.compile(r"(3\.\d+)(?:\.\d+)?(?:[a-z0-9]*)(?:-|$)")
_CUDA_TAG = re.compile(r"(?:^(?!.*cuda)|cuda)(\d+\.\d+)")
_TORCH_TAG = re.compile(r"(\d+\.\d+\.\d+)-cuda")
_CONDA = re.compile(r"(?:conda|mamba)")


def read_base(draft: Draft, image: str, location: Location) -> None:
    """Carry over what a base image stands for; notes what it does not."""
    bare = image.partition("@")[0]
    path, _, tag = bare.rpartition(":") if ":" in bare.rpartition("/")[2] else (bare, "", "")
    name = "/".join(path.split("/")[-2:])
    last = name.rpartition("/")[2]
    if last == "python":
        _python(draft, image, tag, location)
    elif name.endswith("nvidia/cuda") or last == "cuda":
        _cuda(draft, image, tag, location)
    elif name.endswith("pytorch/pytorch"):
        _cuda(draft, image, tag, location)
        if match := _TORCH_TAG.match(tag):
            draft.pypi.append(requirement(f"torch=={match[1]}", location))
            draft.note(
                location, f"torch {match[1]} is in the base image {image}, and so in the spec"
            )
    elif last == "debian":
        suite = tag.removesuffix("-slim").split(".")[0].split("-")[0]
        if suite in _SUITE_PYTHON:
            draft.pythons.append((f"=={_SUITE_PYTHON[suite]}.*", str(location), False))
        else:
            draft.note(location, f"of {image} only bookworm and trixie have a Python to lock for")
    elif last == "ubuntu":
        draft.note(location, f"{image}: Debian takes its place, whose packages may differ")
    elif _CONDA.search(name):
        draft.note(location, f"{image}: conda's packages come along with --from environment.yml")
    elif last != "scratch":
        draft.note(
            location,
            f"what {image} brings is not known: name what is missed of it, or build upon it, with "
            f"image.base: {image} in place of debian",
        )


def _python(draft: Draft, image: str, tag: str, location: Location) -> None:
    if match := _PYTHON_TAG.match(tag):
        draft.pythons.append((f"=={match[1]}.*", str(location), False))
    else:
        draft.note(location, f"{image} says no version of Python, so any may be chosen")
    if "alpine" in tag:
        draft.note(location, f"{image} has musl, and the image will have glibc: other wheels")


def _cuda(draft: Draft, image: str, tag: str, location: Location) -> None:
    match = _CUDA_TAG.search(tag)
    if match is None:
        draft.note(location, f"{image} says no version of CUDA: write it under platforms")
        return
    draft.cuda = match[1]
    draft.note(
        location,
        f"cuda: {match[1]} is taken from {image}; its CUDA libraries are left out, since wheels "
        "bring their own",
    )
