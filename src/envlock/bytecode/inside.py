"""Runs on the *image's* Python (3.8 or later) inside the sandbox; never imported there.

The host passes this file's source by ``python -c``, and as arguments how many processes may run
at once, the files to write to, ``--``, and folders of the image whose modules are to be compiled,
or ``stdlib``.  Each file gets its share of the modules from a process of its own, which has seen
no module of another share: what is written does not depend on how many run at once.  It is, in
one order everywhere: lengths of path and data as two big-endian numbers of 4 bytes, the path of
the ``.pyc``, its data.

Each file is an unchecked hash-based pyc (PEP 552): its bytes are a function of the source, its
path and this Python, and the source's date, which an image does not keep, does not matter.

Standard library only.
"""

from __future__ import annotations

import sys

sys.path[:] = [entry for entry in sys.path if entry]

import importlib.util  # noqa: E402
import marshal  # noqa: E402
import os  # noqa: E402
import traceback  # noqa: E402
import warnings  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def modules(root: str) -> Iterator[str]:
    """Yield the modules' files below ``root``, in one order everywhere; no link is followed."""
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if name != "__pycache__")
        for name in sorted(files):
            path = os.path.join(folder, name)  # noqa: PTH118
            if name.endswith(".py") and not os.path.islink(path):  # noqa: PTH114
                yield path


def compiled(path: str) -> bytes | None:
    """Return the pyc of a module, None for what this Python does not understand."""
    with open(path, "rb") as file:  # noqa: PTH123
        source = file.read()
    try:
        code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # templates, tests of parsers, code for another Python
    unchecked = (1).to_bytes(4, "little")
    head = importlib.util.MAGIC_NUMBER + unchecked + importlib.util.source_hash(source)
    return head + marshal.dumps(code)


def wanted(roots: list[str]) -> Iterator[str]:
    """Yield the modules' files below all ``roots``."""
    library = os.path.dirname(os.path.abspath(os.__file__))  # noqa: PTH100, PTH120
    for root in roots:
        for path in modules(library if root == "stdlib" else root):
            if root != "stdlib" or not path.startswith(f"{library}/site-packages/"):
                yield path


def shares(paths: list[str], number: int) -> list[list[str]]:
    """Return ``paths`` in ``number`` parts, one after the other, of about the same size."""
    sizes = [os.path.getsize(path) for path in paths]  # noqa: PTH202
    total, seen = sum(sizes) + 1, 0
    parts: list[list[str]] = [[] for _ in range(number)]
    for path, size in zip(paths, sizes):  # noqa: B905 - Python 3.8
        parts[seen * number // total].append(path)
        seen += size
    return parts


def write(out: str, paths: list[str]) -> None:
    """Compile modules into the file ``out``."""
    with open(out, "wb") as file:  # noqa: PTH123
        for path in paths:
            data = compiled(path)
            if data is not None:
                place = importlib.util.cache_from_source(path, optimization="").encode()
                file.write(len(place).to_bytes(4, "big") + len(data).to_bytes(4, "big"))
                file.write(place + data)


def begin(out: str, paths: list[str]) -> None:
    """Let a new process compile ``paths``; it ends with 1 after an error."""
    if os.fork():
        return
    code = 1
    try:
        write(out, paths)
        code = 0
    finally:
        if code:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Compile everything."""
    split = sys.argv.index("--")
    outs, roots = sys.argv[2:split], sys.argv[split + 1 :]
    warnings.simplefilter("ignore")
    failed = 0
    parts = shares(list(wanted(roots)), len(outs))
    for place, (out, paths) in enumerate(zip(outs, parts)):  # noqa: B905
        if place >= int(sys.argv[1]):
            failed |= os.wait()[1]
        begin(out, paths)
    for _ in range(min(int(sys.argv[1]), len(outs))):
        failed |= os.wait()[1]
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
