"""How a run of the command line ends: with an exit code, and what there is to say of it.

What the user or the machine did wrong never ends with a traceback: that is for our own faults.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn, cast

import typer

from envlock.errors import DiskError, EnvlockError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from envlock.cli.context import Context

_NOBODY_READS = 141
"""As a shell has it for a process that SIGPIPE ends; so do git and others."""

_STOPPED = 130
"""The same of SIGINT."""

_Misuse = cast("type[typer.BadParameter]", typer.BadParameter.__base__)
"""The UsageError of the command line's library, wherever that keeps it."""


class Interrupted(BaseException):
    """Ctrl-C, under a name that the command line's library does not take for its own."""


def run(command: Callable[[], object], state: Context) -> NoReturn:
    """Run the command line and end the process.

    command: raises what goes wrong, and returns an exit code where it ends early.
    """
    _open_streams()
    output = state.output
    try:
        code = command()
    except EnvlockError as error:
        _fail(state, error)
    except _Misuse as error:
        error.show()
        if "--json" in sys.argv:  # it is not known yet whose option that would be
            hint = f"{error.ctx.command_path if error.ctx else 'envlock'} --help tells more"
            output.json = True
            output.failure(UsageError(" ".join(error.format_message().split()), hint=hint))
        _leave(state, UsageError.exit_code)
    except (Interrupted, KeyboardInterrupt):
        output.close()
        output.message("stopped; what was fetched so far is kept for the next run")
        _flush(state)
        state.close()
        os._exit(_STOPPED)  # a thread may still wait for a server
    except SystemExit as ending:
        if isinstance(ending.__context__, BrokenPipeError):  # the library makes 1 of it
            _end_unread(state)
        _leave(state, ending.code)
    except BrokenPipeError:
        _end_unread(state)
    except OSError as error:
        _flush(state)  # it may have been about these
        _fail(state, _disk_error(error))
    _leave(state, code if isinstance(code, int) else 0)


def _open_streams() -> None:
    """Give a process that was started without one of the standard streams an empty one.

    The first file that is opened would take its place.  Text that a stream cannot hold is escaped.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


def _disk_error(error: OSError) -> DiskError:
    """Return what the operating system refused; without a name it is the terminal or a pipe."""
    names = [error.filename, error.filename2]
    where = " and ".join(os.fsdecode(name) for name in names if isinstance(name, str | bytes))
    if not where:
        return DiskError(f"what there is to print cannot be written: {error.strerror or error}")
    return DiskError(f"the system refused: {error.strerror or error}", where=where)


def _fail(state: Context, error: EnvlockError) -> NoReturn:
    state.output.close()
    state.output.error(error)
    _leave(state, error.exit_code)


def _end_unread(state: Context) -> NoReturn:
    """End: whoever read our results has gone, and there is nobody to tell."""
    state.close()
    os._exit(_NOBODY_READS)


def _leave(state: Context, code: str | int | None) -> NoReturn:
    """End with an exit code, at once where rattler was at work.

    Its threads outlive its answers for a moment, and abort a process whose interpreter is being
    taken down meanwhile: exit code 134 in place of ours.
    """
    _flush(state)
    if "rattler" in sys.modules and isinstance(code, int | None):
        sys.stderr.flush()
        state.close()
        os._exit(code or 0)
    sys.exit(code)


def _flush(state: Context) -> None:
    """Write out what is printed while an error can still be told."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _end_unread(state)
    except OSError as error:
        refused = _disk_error(error)
        state.output.close()
        state.output.problem(refused)
        state.close()
        os._exit(refused.exit_code)  # the interpreter would try to write it once more
