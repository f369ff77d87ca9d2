"""A stack that long chains of imports fit into."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_STACK = 512 * 1024 * 1024
_RECURSION = 60_000
_T = TypeVar("_T")


def deep(action: Callable[[], _T]) -> _T:
    """Run something in a thread with a large stack; raises what it raises.

    Whoever interrupts the wait for it may leave: the thread keeps no program from ending.
    """
    result: list[Any] = []

    def work() -> None:
        try:
            result.append((True, action()))
        except BaseException as error:  # noqa: BLE001  # carried over to the caller
            result.append((False, error))

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _RECURSION))
    try:
        usual = threading.stack_size(_STACK)
        try:
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
        finally:
            threading.stack_size(usual)
        thread.join()
    finally:
        sys.setrecursionlimit(limit)
    fine, value = result[0]
    if not fine:
        raise value
    return value  # type: ignore[no-any-return]
