"""Worker processes that end when the command does.

They are spawned, not forked: the parent has threads.  Ctrl-C goes to a terminal's whole
process group, and workers must not each answer it with a traceback: they are started with
SIGINT blocked, and the parent ends them.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from envlock.errors import DiskError, EnvlockError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


def usable_cpus() -> int:
    """Return how many processes this machine runs at once."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def started(
    work: Callable[_Given, _Result], *given: _Given.args, **more: _Given.kwargs
) -> Future[_Result]:
    """Run ``work`` in a thread beside this one; its result, or its error, can be waited for."""
    thread = ThreadPoolExecutor(1)
    future = thread.submit(work, *given, **more)
    thread.shutdown(wait=False)
    return future


@contextlib.contextmanager
def worker_pool(
    workers: int, prepare: Callable[[], object] | None = None
) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of ``workers`` processes; whatever ends the body early ends them, too.

    prepare: what each of them does first; it must not raise.
    """
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(prepare,))
    try:
        _start(pool, workers)
        yield pool
    except EnvlockError:
        pool.shutdown(cancel_futures=True)
        raise
    except BaseException:
        for process in list((pool._processes or {}).values()):  # noqa: SLF001  # public in 3.14
            process.terminate()
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()


@contextlib.contextmanager
def killed_workers() -> Iterator[None]:
    """Turn the sudden end of a worker process into an error that says so."""
    try:
        yield
    except BrokenProcessPool as error:
        raise DiskError(
            "a worker process was killed, perhaps for want of memory",
            hint="the system's log may say why; run the command again",
        ) from error


def _start(pool: ProcessPoolExecutor, workers: int) -> None:
    """Start all processes now, while this thread's signal mask is the one they inherit."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        for _ in range(workers):
            pool.submit(int)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(prepare: Callable[[], object] | None) -> None:
    _end_with_parent()
    if prepare is not None:
        prepare()


def _end_with_parent() -> None:
    """Let a worker end when its parent was killed; it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
