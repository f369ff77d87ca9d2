"""Target platforms and what each ecosystem calls them.

A platform is a conda subdir name (``linux-64``); nothing here looks at the host.
"""

from __future__ import annotations

from dataclasses import dataclass

_UV_GLIBC = (17, 28, *range(31, 41))
"""Minor versions of glibc that uv has a name for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """One target as the ecosystems name it.

    name: conda's subdir; machine: what ``platform.machine()`` says there;
    debian: dpkg's architecture; oci: GOARCH (OCI image-spec, config, ``architecture``);
    multiarch: Debian's library triplet; uv: uv's ``--python-platform`` architecture.
    """

    name: str
    machine: str
    debian: str
    oci: str
    multiarch: str
    loader: str

    def uv(self, glibc: str) -> str:
        """Return uv's ``--python-platform`` value that comes nearest to a glibc from below.

        The wheels are chosen by :meth:`wheel_platforms` afterwards, which is exact.
        """
        minor = int(glibc.split(".")[1])
        nearest = max((known for known in _UV_GLIBC if known <= minor), default=_UV_GLIBC[0])
        return f"{self.machine}-manylinux_2_{nearest}"

    def wheel_platforms(self, glibc: str) -> list[str]:
        """Return the platform tags this target accepts, best first (PEP 600)."""
        major, minor = (int(part) for part in glibc.split("."))
        oldest = 5 if self.machine == "x86_64" else 17
        legacy = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
        tags = []
        for version in range(minor, oldest - 1, -1):
            tags.append(f"manylinux_{major}_{version}_{self.machine}")
            if version in legacy and (version == 17 or self.machine == "x86_64"):
                tags.append(f"{legacy[version]}_{self.machine}")
        return [*tags, f"linux_{self.machine}"]

    def marker_environment(self, python: str) -> dict[str, str]:
        """Return PEP 508's environment for CPython ``python`` (``"3.11"``) on this target."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{python}.0",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{python}.0",
            "python_version": python,
            "sys_platform": "linux",
        }


PLATFORMS: dict[str, Platform] = {
    platform.name: platform
    for platform in (
        Platform(
            name="linux-64",
            machine="x86_64",
            debian="amd64",
            oci="amd64",
            multiarch="x86_64-linux-gnu",
            loader="lib64/ld-linux-x86-64.so.2",
        ),
        Platform(
            name="linux-aarch64",
            machine="aarch64",
            debian="arm64",
            oci="arm64",
            multiarch="aarch64-linux-gnu",
            loader="lib/ld-linux-aarch64.so.1",
        ),
    )
}
