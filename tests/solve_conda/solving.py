"""Solve specs with conda sections: the real rattler and the real uv, channels made here."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envlock.channels import ChannelAccess
from envlock.fetch.artifacts import Fetcher
from envlock.fetch.http import Http
from envlock.fetch.store import Store
from envlock.progress import SILENT
from envlock.solve import Solvers, solve
from envlock.solve.conda import CondaMeans
from envlock.solve.pypi.contents import ContentsReader
from envlock.solve.pypi.metadata import MetadataReader
from envlock.solve.pypi.uv import Uv
from envlock.spec.document import parse_document
from envlock.spec.parse import parse_spec

from ..makers.conda import distribution, index_channel, make_conda

if TYPE_CHECKING:
    from envlock.lock.model import Lock
    from envlock.spec.model import Spec

    from ..makers.index import Index

SHOWN = "envs/one.yaml"
HEAD = """\
version: 1
name: one
platforms:
  linux-64: {glibc: "2.36"}
python: "3.12"
"""
SITE = "lib/python3.12/site-packages"
PY312 = "python >=3.12,<3.13.0a0"


def make_main(folder: Path) -> None:
    """Make the channel that most tests use."""
    for subdir in ("linux-64", "linux-aarch64"):
        for version in ("3.11.9", "3.12.1"):
            make_conda(folder, "python", version, subdir=subdir)
        for version in ("1.24.4", "1.26.4", "2.0.0"):
            make_conda(
                folder,
                "numpy",
                version,
                build="py312_0",
                subdir=subdir,
                depends=[PY312, "__glibc >=2.17"],
                files=distribution("numpy", version, site=SITE),
                license="BSD-3-Clause",
            )
    make_conda(
        folder,
        "scipy",
        "1.14.0",
        build="py312_0",
        depends=[PY312, "numpy >=1.26,<3"],
        files=distribution("scipy", "1.14.0", requires=["numpy<2.3,>=1.26.4"], site=SITE),
    )
    make_conda(
        folder,
        "pandas",
        "2.2.0",
        build="pyh_0",
        noarch="python",
        depends=["python >=3.9", "numpy >=1.19"],
        files=distribution("pandas", "2.2.0", requires=["numpy>=1.22.4"]),
        suffix=".tar.bz2",
    )
    make_conda(folder, "accel", "2.4.0", build="cuda_0", build_number=1, depends=["__cuda >=12.4"])
    make_conda(folder, "accel", "2.4.0", build="cpu_0", depends=["__glibc >=2.17"])
    make_conda(folder, "accel-version", "12.4", noarch="generic", constrains=["__cuda >=12"])
    make_conda(folder, "needs-accel", "1.0", depends=["accel * cuda*"])
    make_conda(
        folder,
        "fancy",
        "1.0",
        noarch="python",
        depends=["python"],
        files=distribution(
            "fancy", "1.0", requires=['more>=1; extra == "x"', "never-asked"], extras=["x"]
        ),
    )
    make_conda(folder, "bare", "3.0", noarch="generic")
    make_conda(folder, "_odd", "1!2.0", noarch="generic", constrains=["numpy <2"])
    make_conda(folder, "old-numpy-please", "1.0", noarch="generic", constrains=["numpy <2"])


def make_other(folder: Path) -> None:
    """Make a second channel with some of the first one's names."""
    make_conda(folder, "numpy", "9.0", build="py312_0", depends=[PY312])
    make_conda(folder, "only-here", "1.0", noarch="generic", depends=["numpy"])


def read(text: str) -> Spec:
    return parse_spec(parse_document(text, SHOWN), SHOWN)


@dataclass
class CondaSolver:
    """A machine's means to solve; access: its channels by name."""

    root: Path
    index: Index
    access: dict[str, ChannelAccess] = field(default_factory=dict)
    offline: bool = False
    table: Path | None = None

    def __call__(
        self,
        body: str,
        *,
        head: str = HEAD,
        platform: str = "linux-64",
        **options: Any,
    ) -> Lock:
        """Solve a spec with this body below a head (it begins in line 6)."""
        spec = read(head + body)
        target = next(target for target in spec.targets if target.name == platform)
        reporter: Any = SILENT
        return solve(spec, target, self.solvers(spec), reporter, **options)

    def solvers(self, spec: Spec) -> Solvers:
        named = {c.name: c.url for c in spec.conda.channels if c.url} if spec.conda else {}
        access = {name: ChannelAccess(urls=(url,)) for name, url in named.items()} | self.access
        headers = {url: one.headers for one in access.values() for url in one.urls}
        http = Http(offline=self.offline, headers=headers)
        fetcher = Fetcher(Store(self.root / "cache"), http)
        return Solvers(
            uv=Uv(
                index_urls={"pypi": self.index.url},
                environ={
                    "PATH": os.environ.get("PATH", os.defpath),
                    "HOME": str(self.root),
                    "NO_PROXY": "127.0.0.1",
                    "UV_HTTP_RETRIES": "0",
                },
                cache=self.root / "uv",
                python=Path(sys.executable),
            ),
            metadata=MetadataReader(http, fetcher, self.root / "metadata"),
            contents=ContentsReader(http, fetcher, self.root / "metadata"),
            archives=[],
            transport=None,  # type: ignore[arg-type]  # nothing here is of Debian
            conda=CondaMeans(
                access=access,
                http=http,
                fetcher=fetcher,
                cache=self.root / "conda",
                offline=self.offline,
                table=self.table,
            ),
        )


def conda(lock: Lock) -> dict[str, str]:
    """Return name -> version of the conda packages."""
    return {artifact.name: artifact.version for artifact in lock.of_kind("conda")}


def wheels(lock: Lock) -> dict[str, str]:
    """Return name -> version of the wheels."""
    return {artifact.name: artifact.version for artifact in lock.of_kind("pypi")}


def voids(lock: Lock) -> list[str]:
    """Return what is voided, by whom."""
    return [
        f"{override.kind} {override.package}: {v.kind} {v.dependent} {v.version} -> {v.requirement}"
        for override in lock.overrides
        for v in override.voids
    ]


def make_channels(folder: Path) -> dict[str, str]:
    """Make both channels and return their file URLs by name."""
    make_main(folder / "main")
    make_other(folder / "other")
    return {name: index_channel(folder / name) for name in ("main", "other")}
