"""Files that maintainer scripts would write; envlock never runs one.

Here is what several packages have a part in; ``package_scripts.py`` has the rest.  Left out on
purpose: /etc/hosts, /etc/hostname and /etc/resolv.conf (a container engine brings them),
/etc/machine-id and /etc/mtab (Debian's own images have none), the ``.pem`` and hash links of
/etc/ssl/certs (everything that Debian ships reads the bundle), ldconfig's aux-cache (it holds
inode numbers), compiled ``.pyc`` files, /etc/alternatives (links lead to their targets at once).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from envlock.errors import ArtifactError
from envlock.layers.deb import ALIASES, merged_path
from envlock.layers.entry import Entry, directory, regular, symlink
from envlock.layers.ldcache import cache_bytes, configured_directories, scan
from envlock.layers.package_scripts import NONROOT, System, write_package_files
from envlock.layers.written import ALTERNATIVES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from envlock.layers.debtree import PackageFacts, Tree

__all__ = ["NONROOT", "STATUS", "system_entries"]

STATUS = "var/lib/dpkg/status"


def system_entries(
    tree: Tree, *, multiarch: str, alternatives: Mapping[str, str] | None = None
) -> list[Entry]:
    """Return the entries that make the packages' tree a system, parents first, by path.

    multiarch: ``x86_64-linux-gnu``; alternatives: link to target, both as in
    ALTERNATIVES, which they override.  Together with the packages' entries no parent
    directory is missing.  Raises ArtifactError for an alternative that leads nowhere or whose
    link a package ships.
    """
    system = System(tree)
    _merged_usr(system, multiarch)
    _basics(system)
    write_package_files(system)
    _loader_cache(system, multiarch)
    _alternatives(system, multiarch, alternatives or {})
    _records(system)
    return system.finish()


def _merged_usr(system: System, multiarch: str) -> None:
    """Debian 12 is installed so (usrmerge; debootstrap's setup_merged_usr)."""
    always = {"bin", "sbin", "lib"} | ({"lib64"} if multiarch == "x86_64-linux-gnu" else set())
    for name, target in ALIASES.items():
        if name.startswith("var/"):
            system.put(symlink(name, f"/{target}"))
        elif name in always or target in system.tree:
            system.put(symlink(name, target))
            system.put(directory(target))


def _basics(system: System) -> None:
    """What programs expect of any root, should base-files be left out."""
    for path, mode in {"root": 0o700, "run": 0o755, "tmp": 0o1777, "var/tmp": 0o1777}.items():
        system.put(directory(path, mode))
    for path in ("dev", "proc", "sys"):
        system.put(directory(path))
    system.put(directory("run/lock", 0o1777))


def _loader_cache(system: System, multiarch: str) -> None:
    """libc-bin's ldconfig trigger: links for SONAMEs, and the cache."""
    directories = configured_directories(system.kept, multiarch)
    glibc = _glibc(system.tree)
    entries, links = scan(system.tree, directories, multiarch, _release(glibc))
    for link in links:
        system.put(symlink(link.path, link.target))
    if entries:
        system.put(regular("etc/ld.so.cache", cache_bytes(entries, _generator(glibc))))


def _glibc(tree: Tree) -> str:
    """Return the Debian version of glibc's tools among these packages; ``""`` without them."""
    versions = {facts.package: facts.version for facts in tree.packages}
    return versions.get("libc-bin") or versions.get("libc6") or ""


def _release(version: str) -> tuple[int, ...]:
    """Return the upstream version's numbers: (2, 41) of ``2.41-12+deb13u1``."""
    return tuple(int(number) for number in re.findall("[0-9]+", version.partition("-")[0]))


def _generator(version: str) -> str:
    """Return what Debian's ldconfig of this version calls itself (``ldconfig --version``)."""
    if not version:
        return "envlock"
    release = version.partition("-")[0]
    return f"ldconfig (Debian GLIBC {version}) stable release version {release}"


def _alternatives(system: System, multiarch: str, chosen: Mapping[str, str]) -> None:
    for link, target in chosen.items():
        path = merged_path(link.lstrip("/"))
        if path in system.tree:
            raise ArtifactError(
                f"the alternative {link!r} is a path of the package {system.tree.owners.get(path)}",
                hint="leave this alternative out",
            )
        if not system.leads_somewhere(path, target):
            raise ArtifactError(
                f"the alternative {link!r} leads to {target!r}, which no package provides",
                hint="add the package that provides it, or leave this alternative out",
            )
        system.put(symlink(path, target))
    present = (links for name, links in ALTERNATIVES.items() if name in system.tree.package_names)
    for links in present:
        for link, target in links.items():
            path = link.lstrip("/").format(multiarch=multiarch)
            if system.leads_somewhere(path, target):
                system.put(symlink(path, target))


def _records(system: System) -> None:
    """What tells scanners (and dpkg, where apt is in the image) which packages these are.

    Without apt: one file a package in status.d, the convention of distroless images.
    """
    packages = sorted(system.tree.packages, key=lambda facts: (facts.package, facts.architecture))
    if "apt" not in system.tree.package_names:
        for facts in packages:
            path = f"{STATUS}.d/{facts.package}"
            system.put(regular(path, facts.control.rstrip(b"\n") + b"\n"))
            system.put(regular(f"{path}.md5sums", facts.md5sums))
        return
    system.put(regular(STATUS, b"\n".join(_installed(facts) for facts in packages)))
    for facts in packages:
        same = b"\nMulti-Arch: same\n" in facts.control
        name = f"{facts.package}:{facts.architecture}" if same else facts.package
        listed = "".join(f"/{path}\n" for path in facts.nodes)
        system.put(regular(f"var/lib/dpkg/info/{name}.list", f"/.\n{listed}".encode()))
        system.put(regular(f"var/lib/dpkg/info/{name}.md5sums", facts.md5sums))


def _installed(facts: PackageFacts) -> bytes:
    """Return the paragraph with its Status (dpkg's lib/dpkg/fields.c)."""
    first, _, rest = facts.control.rstrip(b"\n").partition(b"\n")
    return first + b"\nStatus: install ok installed\n" + rest + b"\n"
