"""A base image held against a spec and against what was locked upon it."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from envlock.errors import UnsatisfiableError
from envlock.layers.plan import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from envlock.base.obtain import Obtained
    from envlock.lock.model import Lock
    from envlock.spec.model import Spec

_OTHER_NAMES = {"runtime": "cudart", "nvtx": "nvtoolsext"}
"""What NVIDIA's wheels call themselves, where their libraries are called otherwise."""

_LEAST = 1 << 20  # bytes that are worth a word
_PYTHON_VARIABLES = ("PYTHONHOME", "PYTHONPATH")


def check_user(spec: Spec, obtained: Obtained) -> None:
    """Refuse a user by a name that the base image does not know; raises UnsatisfiableError."""
    user = (spec.image.user or "").partition(":")[0]
    if not user or user.isdigit() or user in obtained.facts.users:
        return
    raise UnsatisfiableError(
        f"image.user is {user}, and the base image has no such user",
        where=obtained.base.reference,
        hint='write a number, which needs none: user: "65532"',
    )


def remarks(obtained: Obtained, lock: Lock) -> Iterator[str]:
    """Yield what a person should know of a base image below these packages."""
    facts, base = obtained.facts, obtained.base
    names = {artifact.name for artifact in lock.artifacts}
    repeated = dict(_repeated(facts.libraries, names))
    twice, size = set(repeated.values()), sum(facts.libraries[path] for path in repeated)
    if size >= _LEAST:
        yield (
            f"the base image repeats {size / 1e6:.0f} MB that the locked packages bring: "
            f"{', '.join(sorted(twice))}; a base without them, NVIDIA's -base- for instance, "
            "makes the image smaller"
        )
    compiled = [a.name for a in lock.of_kind("pypi") if not a.file.endswith("-any.whl")]
    has_cxx = any(path.rpartition("/")[2].startswith("libstdc++.so") for path in facts.libraries)
    if compiled and not has_cxx and not names & {"libstdcxx", "libstdcxx-ng"}:
        yield (
            f"compiled code (in {', '.join(compiled[:3])}{', …' if len(compiled) > 3 else ''}) "
            "often needs the C++ library, and the base image has no libstdc++"
        )
    if "triton" in names and not facts.compiler and not names & {"gcc", "clang", "tcc"}:
        yield (
            "triton compiles C at run time, and the base image has no compiler: "
            "kernels will not launch"
        )
    for name in _PYTHON_VARIABLES:
        if obtained.foundation.env.get(name) and name not in lock.spec["image"].get("env", {}):
            yield (
                f"the base image sets {name}, with which Python may import other modules than "
                f'the locked ones; image.env: {{{name}: ""}} takes it away'
            )
    yield from _preferred(obtained, lock, repeated)
    yield from _volumes(obtained)
    if obtained.foundation.settings.get("OnBuild"):
        yield f"{base.reference} has ONBUILD instructions, which are not carried out"


def _preferred(obtained: Obtained, lock: Lock, repeated: Mapping[str, str]) -> Iterator[str]:
    """Say which repeated libraries, by their paths, the image's loader finds before ours."""
    set_anew = lock.spec.get("image", {}).get("env", {})
    first = {
        package
        for path, package in repeated.items()
        if posixpath.dirname(path) in obtained.facts.searched
    }
    if first and "LD_LIBRARY_PATH" not in set_anew:
        yield (
            "the base image's LD_LIBRARY_PATH leads to libraries of its own, which may be loaded "
            f"instead of what {', '.join(sorted(first))} bring; "
            'image.env: {LD_LIBRARY_PATH: ""} takes that away'
        )
    if obtained.foundation.env.get("LD_PRELOAD") and "LD_PRELOAD" not in set_anew:
        yield (
            "the base image sets LD_PRELOAD, and what it names is in every program; "
            'image.env: {LD_PRELOAD: ""} takes it away'
        )


def _volumes(obtained: Obtained) -> Iterator[str]:
    """Say which volumes hide the environment, or a part of it, from a container."""
    place = f"/{PREFIX}/"
    volumes = obtained.foundation.settings.get("Volumes")
    for volume in sorted(volumes) if isinstance(volumes, dict) else ():
        folder = posixpath.normpath(f"/{volume.lstrip('/')}").rstrip("/") + "/"
        if place.startswith(folder) or folder.startswith(place):
            yield (
                f"the base image has {volume} as a volume, and the environment lies at /{PREFIX}: "
                "engines mount something over it, some of them an empty folder"
            )


def _repeated(libraries: Mapping[str, int], names: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the paths of libraries in the base that packages bring as well, and which do."""
    stems = {stem: name for name in names if (stem := _stem(name))}
    for path in libraries:
        library = path.rpartition("/")[2].lower().removeprefix("lib")
        stem = next((stem for stem in stems if library.startswith(stem)), None)
        if stem is not None:
            yield path, stems[stem]


def _stem(name: str) -> str | None:
    """Return how the libraries of an NVIDIA package begin, behind ``lib``; None for others."""
    if not name.startswith("nvidia-"):
        return None
    bare = re.sub(r"-cu\d+$", "", name.removeprefix("nvidia-")).removeprefix("cuda-")
    return _OTHER_NAMES.get(bare, bare) if bare.isalnum() else None
