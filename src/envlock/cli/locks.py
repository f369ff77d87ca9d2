"""The locks that a command is about, by their environments' names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.errors import UsageError
from envlock.sizes import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.cli.context import Context
    from envlock.lock.model import Lock


def load_named(state: Context, name: str, platform: str | None, *, verb: str = "builds") -> Lock:
    """Return the lock of an environment; warns where its spec has moved on."""
    from envlock.lock.check import differences
    from envlock.project import usual_platform
    from envlock.spec.projection import project

    platforms = state.project.locked_platforms(name)
    chosen = platform or usual_platform(platforms)
    if chosen not in platforms:
        raise UsageError(
            f"{name} is not locked for {chosen}", hint=f"it is for {', '.join(platforms)}"
        )
    if platform is None and len(platforms) > 1:
        state.output.message(
            f"{name} is locked for {' and '.join(platforms)}; this takes {chosen}, --platform "
            "chooses another"
        )
    lock = state.lock(name, chosen)
    spec = state.optional_spec(name)
    if spec is not None and chosen in {target.name for target in spec.targets}:
        found = differences(project(spec, chosen), lock)
        if found:
            state.output.warn(
                f"{spec.file} has changed since it was locked "
                f"({counted(len(found), 'difference')}, the first: {found[0]}); "
                f"this {verb} the lock. envlock solve {name} renews it"
            )
    if lock.merged:
        state.output.warn(
            f"the lock was joined by a merge and not solved since; this {verb} it as it is. "
            f"envlock solve {name} looks whether its packages fit together"
        )
    return lock


def load_all(state: Context, name: str, platform: str | None, *, every: bool) -> list[Lock]:
    """Return the locks that are built: a registry's tag can name an image for each platform."""
    if platform is None and every:
        return [load_named(state, name, one) for one in state.project.locked_platforms(name)]
    return [load_named(state, name, platform)]


def check_platform(name: str) -> None:
    """Refuse what is no platform at all; raises UsageError."""
    from envlock.platforms import PLATFORMS

    if name not in PLATFORMS:
        raise UsageError(f"there is no platform {name!r}", hint=f"one of {', '.join(PLATFORMS)}")


def check_one_platform(state: Context, names: Sequence[str]) -> None:
    """Refuse to put the images of several platforms where one has room."""
    for name in names:
        if len(state.project.locked_platforms(name)) > 1:
            raise UsageError(
                f"{name} is locked for several platforms, and only a registry takes them all",
                hint="choose one for -o and --load: --platform linux-64",
            )
