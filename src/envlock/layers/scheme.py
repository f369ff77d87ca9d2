"""Where an environment keeps things, and how its distributions are called."""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST_SHEBANG = 127
"""Characters of a ``#!`` line that every Linux reads (BINPRM_BUF_SIZE was 128 before 5.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """Where an environment keeps things; paths relative to the image's root.

    prefix: ``opt/env``; python: feature version, ``3.11``; site: site-packages relative to the
    prefix where an interpreter has them elsewhere (CEP 17).
    """

    prefix: str
    python: str
    site: str = ""

    @property
    def site_packages(self) -> str:
        return f"{self.prefix}/{self.site or usual_site(self.python)}"

    @property
    def scripts(self) -> str:
        return f"{self.prefix}/bin"

    @property
    def shebang(self) -> str:
        """The first line(s) of a Python script of the environment."""
        return shebang(f"/{self.scripts}/python3")

    def data(self, name: str) -> dict[str, str]:
        """Return the folder of each ``.data`` key for the distribution ``name``."""
        return {
            "purelib": self.site_packages,
            "platlib": self.site_packages,
            "scripts": self.scripts,
            "headers": f"{self.prefix}/include/site/python{self.python}/{name}",
            "data": self.prefix,
        }


def usual_site(python: str) -> str:
    """Return where a Python has its site-packages, relative to its prefix (sysconfig's posix)."""
    return f"lib/python{python}/site-packages"


def normalized(name: str) -> str:
    """Return a distribution's normalized name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def shebang(program: str, arguments: str = "") -> str:
    """Return the first line(s) of a Python script that ``program``, an absolute path, runs.

    A kernel reads but so much of a ``#!`` line and no quotes in it; where that is not enough,
    /bin/sh runs the second line, which is a text to Python.
    """
    line = f"#!{program}{arguments}"
    if len(line.encode("utf-8", "surrogateescape")) <= LONGEST_SHEBANG and " " not in program:
        return f"{line}\n"
    return f"#!/bin/sh\n'''exec' \"{program}\"{arguments} \"$0\" \"$@\" #'''\n"
