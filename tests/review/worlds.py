"""Made-up distributions that break each other, and hints pasted into specs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..makers.index import Index

APP = {
    "app/__init__.py": "from lib import old\n",
    "app/more.py": "def f():\n    import lib.new\n",
}
OLD = {"lib/__init__.py": "old = 1\n"}
NEW = {"lib/__init__.py": "", "lib/new.py": ""}

NATURAL = "pypi:\n  dependencies: [app]\n"
OVERRIDE = """\
overrides:
  - package: lib
    version: "==1.0"
    against: {app: "lib==2.0"}
    because: app imports lib.old
"""
ACCEPTS = "    accepts:\n      - app.more needs lib.new\n"


def offer(index: Index, name: str, version: str, files: dict[str, str], *requires: str) -> None:
    """Offer a wheel made of these files."""
    index.wheel(name, version, requires, files=files, offer={"metadata": True})


def offer_world(index: Index) -> None:
    """app pins lib 2.0 and needs what only lib 1.0 has; a function of it needs the new one."""
    offer(index, "app", "1.0", dict(APP), "lib==2.0")
    offer(index, "lib", "1.0", dict(OLD))
    offer(index, "lib", "2.0", dict(NEW))


def blocks_of(stderr: str) -> dict[str, str]:
    """Return the YAML of an error's hint by the place where it is to go."""
    found: dict[str, list[str]] = {}
    place = ""
    for line in stderr[stderr.index("hint: ") :].splitlines():
        match = re.search(r"(?:write,? |^and )((?:under|at) .*?)(?:, in place of .*)?$", line)
        if match:
            place = match[1]
            found[place] = []
        else:
            found[place].append(line)
    return {place: "\n".join(lines) + "\n" for place, lines in found.items()}


def pasted(body: str, stderr: str) -> str:
    """Return the body of a spec with each block of a hint where it belongs."""
    for place, block in blocks_of(stderr).items():
        if place.startswith("at the top level"):
            body = _without(body, "", block) + block
        elif place == "under pypi.dependencies (inside its brackets)":
            body = body.replace("dependencies: [app]\n", f"dependencies: [app,\n{block}  ]\n")
        elif place == "under pypi.dependencies":
            body = body.replace("    - app\n", f"    - app\n{block}")
        else:
            package = place.rpartition(" ")[2]
            head, mark, tail = body.partition(f"- package: {package}\n")
            mine, dash, rest = tail.partition("  - package: ")
            body = head + mark + _without(mine, "    ", block) + block + dash + rest
    return body


def _without(body: str, indent: str, block: str) -> str:
    """Return a body without the keys that a block brings anew."""
    for key in re.findall(rf"^{indent}(\w+):", block, re.MULTILINE):
        body = re.sub(rf"^{indent}{key}:.*\n(?:{indent} +- .*\n)*", "", body, flags=re.MULTILINE)
    return body
