"""``envlock solve``: from specs to locks, and whether locks are fresh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from envlock.cli.app import command
from envlock.cli.context import Context
from envlock.cli.freshness import check_fresh
from envlock.cli.many import check_all, each, tell_solved
from envlock.cli.options import AllOption, NamesArgument, OfflineOption
from envlock.cli.solving import Wish, solve_one

if TYPE_CHECKING:
    from collections.abc import Sequence


_Check = Annotated[
    bool, typer.Option("--check", help="Only tell whether the locks are fresh; offline.")
]
_Upgrade = Annotated[bool, typer.Option("--upgrade", "-U", help="Take the newest of everything.")]
_UpgradePackage = Annotated[
    list[str] | None,
    typer.Option("--upgrade-package", "-P", metavar="PKG", help="Take the newest of one package."),
]
_NoAudit = Annotated[bool, typer.Option("--no-audit", help="Do not look into the locked code.")]
_Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Fail for every import that cannot work and for yanked files; with --check, "
        "also for a proof of another image.",
    ),
]


@command("solve")
def solve_command(
    context: typer.Context,
    names: NamesArgument = None,
    everything: AllOption = False,
    check: _Check = False,
    upgrade: _Upgrade = False,
    upgrade_package: _UpgradePackage = None,
    offline: OfflineOption = False,
    no_audit: _NoAudit = False,
    strict: _Strict = False,
) -> None:
    """Solve specs into locks (locks/NAME.PLATFORM.lock.json).

    The locked code is audited: what an override breaks and nobody accepted fails the solve.
    Of several environments, one that fails does not stop the others.
    """
    state: Context = context.obj
    state.offline = offline
    check_all(names, everything)
    if check:
        check_fresh(state, state.names(names), strict=strict)
        return
    wish = Wish(
        upgrade=upgrade,
        packages=_names(upgrade_package or ()),
        audit=not no_audit,
        strict=strict,
    )

    def one(name: str) -> list[dict[str, Any]]:
        spec = state.spec(name)
        return [solve_one(state, spec, target, wish) for target in spec.targets]

    outcome = each(state.output, state.names(names), one)
    tell_solved(state.output, outcome)
    state.output.document({"environments": outcome.documents, "failed": outcome.failed})
    outcome.leave()


def _names(written: Sequence[str]) -> frozenset[str]:
    """Return package names as PyPI normalizes them and as Debian knows them."""
    from packaging.utils import canonicalize_name

    return frozenset({*written, *map(canonicalize_name, written)})
