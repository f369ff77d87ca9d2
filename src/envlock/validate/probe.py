"""Runs on the *image's* Python (3.8 or later) inside the sandbox; never imported there.

The host passes this file's source by ``python -c`` and a JSON request on stdin::

    {"mark": "...", "site_packages": null or ["/path", ...]}

and finds the reply in stdout, on a line of its own behind the mark, whatever ``.pth`` files
or ``sitecustomize`` printed before::

    {"python": "3.11.2", "executable": "/usr/bin/python3.11", "distributions": [
        {"name": "torch", "version": "2.6.0", "requires": ["sympy==1.13.1", ...],
         "location": "/usr/local/lib/python3.11/dist-packages"}, ...]}

Standard library only.
"""

from __future__ import annotations

import sys

# The working directory comes first with -c; a json.py there is not ours to run.
sys.path[:] = [entry for entry in sys.path if entry]

import json  # noqa: E402
import os  # noqa: E402
from importlib import metadata  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def describe(distribution: metadata.Distribution) -> dict[str, object]:
    """Return one distribution as the reply shows it; name None where METADATA is unreadable."""
    message: Any = distribution.metadata or {}
    return {
        "name": message.get("Name"),
        "version": message.get("Version"),
        "requires": list(distribution.requires or []),
        "location": os.path.abspath(str(distribution.locate_file(""))),  # noqa: PTH100
    }


def main() -> None:
    """Answer the request on stdin."""
    request = json.loads(sys.stdin.read())
    paths = request.get("site_packages")
    found = metadata.distributions(path=paths) if paths else metadata.distributions()
    reply = {
        "python": "{}.{}.{}".format(*sys.version_info[:3]),
        "executable": sys.executable,
        "distributions": [describe(distribution) for distribution in found],
    }
    data = "\n{}{}\n".format(request["mark"], json.dumps(reply))
    sys.stdout.flush()
    with os.fdopen(1, "wb", closefd=False) as out:
        out.write(data.encode("ascii"))


if __name__ == "__main__":
    main()
