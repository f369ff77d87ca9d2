"""Overrides that are no longer needed: what is said of them, and which lines to delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envlock.cli.context import Context
    from envlock.errors import StaleOverrideError
    from envlock.lock.model import Lock
    from envlock.spec.model import Spec


def deletion(file: str, lines: tuple[int, int]) -> str:
    """Return ``lines 27 to 50 of envs/NAME.yaml``."""
    first, last = lines
    which = f"lines {first} to {last}" if last > first else f"line {first}"
    return f"{which} of {file}"


def with_lines(state: Context, spec: Spec, error: StaleOverrideError) -> StaleOverrideError:
    """Return the error with the lines of the spec that make the override."""
    from envlock.spec.lines import item_lines

    override = next((o for o in spec.overrides if str(o.location) == error.where), None)
    if override is None or error.hint is None:
        return error
    text = state.project.spec(spec.name).read_text("utf-8-sig")
    lines = item_lines(text, override.location)
    if lines is not None:
        error.hint += f"\nthe override is {deletion(spec.file, lines)}"
        error.data = {"override": override.package, "lines": list(lines)}
    return error


def tell_waiting(state: Context, spec: Spec, lock: Lock) -> None:
    """Say of overrides that upstream has what their ``until`` waits for.

    That is news, not a condition: what cannot be asked now is not said.
    """
    if state.offline or not any(one.until or one.conda_until for one in spec.overrides):
        return
    from envlock.errors import FetchError
    from envlock.fetch.indexes import SimpleIndex
    from envlock.outdated import Upstream, outlived

    solvers = state.python_solvers(spec)
    upstream = Upstream(
        spec=spec,
        target=next(target for target in spec.targets if target.name == lock.platform),
        lock=lock,
        index=SimpleIndex(state.index_urls(spec), state.http),
        metadata=solvers.metadata,
        conda=solvers.conda,
    )
    for override in spec.overrides:
        try:
            news = outlived(override, upstream)
        except FetchError as error:
            state.output.note(f"until of {override.package}: {error.message}")
            continue
        for line in news:
            state.output.message(f"  override {override.package} {override.version}: {line}")
