"""One command for many environments: what goes wrong with one does not keep the others waiting."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import typer

from envlock.cli.output import error_document, megabytes
from envlock.errors import EnvlockError, UsageError
from envlock.sizes import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from envlock.cli.output import Output

_T = TypeVar("_T")

_GRAVEST = (2, 1, 3)
"""Exit codes: a retry may mend only what fails with 3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What one environment's look found for machines, and what is wrong with it."""

    document: dict[str, Any]
    problem: EnvlockError | None = None


@dataclass(slots=True)
class Outcome(Generic[_T]):
    """What became of the environments; an error by the name of each that failed."""

    documents: list[_T] = field(default_factory=list)
    errors: dict[str, EnvlockError] = field(default_factory=dict)

    @property
    def failed(self) -> list[dict[str, Any]]:
        """What is told to machines of those that failed."""
        return [{"name": n, "error": error_document(e)} for n, e in self.errors.items()]

    def leave(self, *more: int) -> None:
        """End with the gravest exit code if anything failed; more: codes of other failures."""
        codes = {*more, *(error.exit_code for error in self.errors.values())}
        if codes:
            raise typer.Exit(next((code for code in _GRAVEST if code in codes), max(codes)))


def check_all(names: Sequence[str] | None, everything: bool) -> None:
    """Refuse names beside ``--all``."""
    if everything and names:
        raise UsageError("--all means all environments, and some are named", hint="leave one out")


def each(output: Output, names: Sequence[str], one: Callable[[str], list[_T]]) -> Outcome[_T]:
    """Do ``one`` for each environment and return what there is to tell of all.

    Of several, one that fails is told and the others are gone on with; of a single one the error
    goes up.
    """
    outcome: Outcome[_T] = Outcome()
    for name in names:
        try:
            outcome.documents += one(name)
        except EnvlockError as error:
            if len(names) == 1:
                raise
            if name not in error.message:
                error.where = error.where or name
            output.problem(error)
            outcome.errors[name] = error
    return outcome


def settle(output: Output, outcome: Outcome[Judged], key: str) -> None:
    """Tell what is wrong, and the whole for machines below ``key``; leave where anything is."""
    errors = [one.problem for one in outcome.documents if one.problem is not None]
    for error in errors:
        output.problem(error)
    document: dict[str, Any] = {
        key: [one.document for one in outcome.documents],
        "failed": outcome.failed,
    }
    if errors:
        document["error"] = error_document(errors[0])
    output.document(document)
    outcome.leave(*(error.exit_code for error in errors))


def tell(output: Output, outcome: Outcome[Any], rows: Sequence[Sequence[str]], head: str) -> None:
    """Tell people in a table what became of several environments."""
    failed = [(name, "", f"failed: {error.message}") for name, error in outcome.errors.items()]
    if len(rows) + len(failed) < 2:
        return
    output.message(head)
    lines = [*rows, *failed]
    widths = [max((len(line[i]) for line in lines if i < len(line) - 1), default=0)
              for i in range(max(map(len, lines)))]  # fmt: skip
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        output.message("  " + "  ".join(cells).rstrip())


def tell_built(output: Output, outcome: Outcome[dict[str, Any]]) -> None:
    """Tell what images were built, what each added, and what they share."""
    rows: list[tuple[str, ...]] = []
    seen: set[str] = set()
    apart = together = 0
    for image in outcome.documents:
        fresh = {layer["digest"]: layer["bytes"] for layer in image["layers"]}
        fresh = {digest: size for digest, size in fresh.items() if digest not in seen}
        seen |= fresh.keys()
        apart += sum(layer["bytes"] for layer in image["layers"])
        together += sum(fresh.values())
        layers = f"{counted(len(image['layers']), 'layer')}, {len(fresh)} not in those above"
        seconds = f"{sum(image['seconds'].values()):.1f} s"
        rows.append((image["name"], image["platform"], layers, megabytes(image["bytes"]), seconds))
    shared = f", {megabytes(together)} (each apart: {megabytes(apart)})" if rows else ""
    failed = f", {len(outcome.errors)} failed" if outcome.errors else ""
    tell(output, outcome, rows, f"{counted(len(rows), 'image')}{shared}{failed}")


def tell_solved(output: Output, outcome: Outcome[dict[str, Any]]) -> None:
    """Tell what locks were written, and how much of them is the same."""
    rows = [
        (
            lock["name"],
            lock["platform"],
            "changed" if lock["changed"] else "unchanged",
            counted(lock["artifacts"], "artifact"),
            megabytes(lock["bytes"]),
        )
        for lock in outcome.documents
    ]
    failed = f", {len(outcome.errors)} failed" if outcome.errors else ""
    tell(output, outcome, rows, f"{counted(len(rows), 'lock')}{failed}")
