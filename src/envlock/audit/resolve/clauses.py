"""Try statements: which handler runs, and what it leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envlock.audit.resolve.state import BranchEndError, CaughtError, Frame, Names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.audit.nodes import Node
    from envlock.audit.resolve.execute import Executor
    from envlock.audit.resolve.run import Run


def run_try(executor: Executor, run: Run, node: Node, frame: Frame) -> None:
    """Run try, the handler that catches what its body raises, else and finally."""
    _, body, handlers, other, final = node
    clause = run.new_clause(handlers)
    run.clauses.append(clause)
    depth, unsure = len(run.clauses), run.unsure
    names = frame.module.names if frame.names is None else frame.names
    logs, branches = len(names.log), frame.branches
    caught: CaughtError | None = None
    ended = False
    try:
        executor.block(body, frame)
    except CaughtError as error:
        if error.clause is not clause:
            del run.clauses[depth - 1 :]
            raise
        caught = error.with_traceback(None)  # which holds this frame, and all that it refers to
    except BranchEndError:
        ended = True
    finally:
        del run.clauses[depth - 1 :]
    if caught is not None:
        run.unsure, frame.branches = unsure, branches
        while len(names.log) > logs:
            _fold(names)
        _handle(executor, run, caught, handlers, frame)
        if caught.failure.origin.optional:
            _shadow([[None, body]], frame)
    else:
        _shadow(handlers, frame)
        executor.block([node for _, body in handlers for node in body if node[0] == "s"], frame)
        for failure in clause.maybe:
            run.treat(failure.key, "degrades", force=False)
        if not ended:
            _otherwise(executor, run, handlers, other, frame)
    settle(run, frame, unsure)
    executor.block(final, frame)
    if ended:
        raise BranchEndError


def settle(run: Run, frame: Frame, unsure: int) -> None:
    """Behind a try of a module it does not matter any more what may have been raised inside.

    In a function a branch may have returned as well, so that the rest stays unsure.
    """
    if frame.names is None:
        run.unsure = unsure


def _otherwise(
    executor: Executor, run: Run, handlers: list[Any], other: Sequence[Node], frame: Frame
) -> None:
    """Run else, which a name that only Python 2 had may have kept from being run."""
    perhaps = any("NameError" in (types or ()) for types, _ in handlers)
    run.unsure += perhaps
    try:
        executor.block(other, frame)
    finally:
        run.unsure -= perhaps


def _handle(
    executor: Executor, run: Run, caught: CaughtError, handlers: list[Any], frame: Frame
) -> None:
    body = handlers[caught.handler][1]
    imports = any(node[0] in {"i", "f"} for node in body)
    failure = caught.failure
    frame.handling.append(failure)
    before = len(run.sinks[-1]) if run.sinks else 0
    try:
        executor.block(body, frame)
    finally:
        frame.handling.pop()
    after = len(run.sinks[-1]) if run.sinks else 0
    if before == after:
        run.treat(failure.key, "falls-back" if imports else "degrades")


def _shadow(handlers: list[Any], frame: Frame) -> None:
    """Bind, uncertainly, what a handler would bind: other exceptions may come."""
    names = frame.module.names if frame.names is None else frame.names
    for _, body in handlers:
        for name in _bound(body):
            if name not in names.bound:
                names.bind(name, None, certain=False)


def _fold(names: Names) -> None:
    """Forget a fork without undoing it."""
    inner = names.log.pop()
    if names.log:
        for name, entry in inner.items():
            names.log[-1].setdefault(name, entry)


def _bound(body: Sequence[Node]) -> list[str]:
    found: list[str] = []
    for node in body:
        kind = node[0]
        if kind in {"=", "D", "k"}:
            found.append(node[1])
        elif kind in {"b", "=t"}:
            found.extend(node[1])
        elif kind == "i":
            found.append(node[3] or node[2].partition(".")[0])
        elif kind == "f":
            found.extend(alias for _, alias in node[3])
        elif kind == "?":
            found.extend((*_bound(node[2]), *_bound(node[3])))
        elif kind == "t":
            found.extend(_bound(node[1]))
            for _, inner in node[2]:
                found.extend(_bound(inner))
    return found
