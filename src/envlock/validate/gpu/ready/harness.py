"""Runs one ready-made check on the *image's* Python (3.8 or later); never imported on the host.

The folder of this file is shown to the sandbox and this file is run; stdin has a request::

    {"mark": "...", "module": "torch_cuda", "needs": ["torch"], "compiler": false}

The reply is a line of stdout behind the mark, whatever the libraries print::

    {"ok": true, "says": "largest error 3e-07 ...", "trace": []}

What a check needs and does not find is said in a sentence, not by a traceback from deep inside
a compiler's cache.  Standard library only.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import traceback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SOURCE = "#include <Python.h>\n#include <stdlib.h>\nint answer(void) { return abs(-42); }\n"
_TRACE_LINES = 60


class LackingError(Exception):
    """Something that the check needs is not there; the text says what."""


def require_modules(names: list[str]) -> None:
    """Raise LackingError unless every distribution's module can be found."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        what = " and ".join(missing)
        raise LackingError(f"this check needs {what}, not installed in this environment")


def find_compiler() -> list[str]:
    """Return the C compiler that Triton would call: CC, else gcc, else clang."""
    named = os.environ.get("CC")
    if named:
        return shlex.split(named)
    for name in ("gcc", "clang"):
        found = shutil.which(name)
        if found:
            return [found]
    other = next((name for name in ("tcc", "cc") if shutil.which(name)), None)
    hint = f"; {other} is here: set CC={other}" if other else ""
    raise LackingError(
        "Triton needs a C compiler at run time and there is none: neither CC, gcc nor clang" + hint
    )


def require_compiler(folder: str) -> None:
    """Compile a small extension module as Triton does; raise LackingError if that fails."""
    words = find_compiler()
    headers = sysconfig.get_path("include")
    if not os.path.isfile(os.path.join(headers, "Python.h")):  # noqa: PTH113, PTH118
        raise LackingError(f"Triton needs Python's headers and {headers}/Python.h is not there")
    source = os.path.join(folder, "probe.c")  # noqa: PTH118
    with open(source, "w") as out:  # noqa: PTH123
        out.write(_SOURCE)
    argv = [*words, source, "-I", headers, "-shared", "-fPIC", "-o", source + ".so"]
    try:
        done = subprocess.run(argv, capture_output=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LackingError(
            f"Triton needs a C compiler, and {words[0]} does not run: {error}"
        ) from None
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["nothing"]
        told = next((line for line in lines if "error" in line), lines[-1])
        raise LackingError(
            f"Triton needs a C compiler with the C library's headers; {words[0]} says: {told}"
        )


def _first_sentence(message: str) -> str:
    """The first line, with the next one that says something where it only announces that."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return " ".join(lines[:2] if lines and lines[0].endswith(":") else lines[:1])


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Run the check and return the reply without letting anything escape but signals."""
    try:
        require_modules(request["needs"])
        # Nothing that an earlier run compiled may stand in for what is to be shown.
        with tempfile.TemporaryDirectory() as folder:
            os.environ["TRITON_CACHE_DIR"] = os.path.join(folder, "triton")  # noqa: PTH118
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.path.join(folder, "inductor")  # noqa: PTH118
            if request["compiler"]:
                require_compiler(folder)
            says = importlib.import_module(request["module"]).check()
    except LackingError as error:
        return {"ok": False, "says": str(error), "trace": []}
    except BaseException as error:  # noqa: BLE001 - told, with its traceback
        trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        first = _first_sentence(str(error))
        name = "" if isinstance(error, AssertionError) else type(error).__name__ + ": "
        return {
            "ok": False,
            "says": name + first if first else type(error).__name__,
            "trace": trace.splitlines()[-_TRACE_LINES:],
        }
    return {"ok": True, "says": str(says), "trace": []}


def main() -> None:
    """Answer the request on stdin, and leave without the libraries' own ways to end."""
    request = json.loads(sys.stdin.read())
    reply = json.dumps(run(request))
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(1, "\n{}{}\n".format(request["mark"], reply).encode("ascii"))
    os._exit(0)


if __name__ == "__main__":
    main()
