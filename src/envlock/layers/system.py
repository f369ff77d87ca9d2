"""Files that maintainer scripts would write; envlock never runs one.

Each function below names the script (of Debian 12) whose effect it writes.  Left out on
purpose: /etc/hosts, /etc/hostname and /etc/resolv.conf (a container engine brings them),
/etc/machine-id and /etc/mtab (Debian's own images have none), the ``.pem`` and hash links of
/etc/ssl/certs (everything that Debian ships reads the bundle), ldconfig's aux-cache (it holds
inode numbers), compiled ``.pyc`` files, /etc/alternatives (links lead to their targets at once).
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from envlock.errors import ArtifactError
from envlock.layers.deb import ALIASES, merged_path
from envlock.layers.entry import Bytes, Entry, directory, regular, symlink
from envlock.layers.ldcache import cache_bytes, configured_directories, scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from envlock.layers.debtree import PackageFacts, Tree

NONROOT = 65532
"""User and group number of ``nonroot``, the one that distroless images use, too."""

STATUS = "var/lib/dpkg/status"
_LOCAL = ("bin", "etc", "games", "include", "lib", "sbin", "share", "src")
_SHADOW, _UTMP, _MAIL = 42, 43, 8  # groups (base-passwd's group.master)

KNOWN_ALTERNATIVES: Mapping[str, Mapping[str, str]] = {
    "cpp": {"usr/lib/cpp": "../bin/cpp"},
    "debianutils": {"usr/bin/which": "which.debianutils"},
    "g++": {"usr/bin/c++": "g++"},
    "gawk": {"usr/bin/awk": "gawk"},
    "gcc": {"usr/bin/cc": "gcc", "usr/bin/c89": "c89-gcc", "usr/bin/c99": "c99-gcc"},
    "mawk": {"usr/bin/awk": "mawk", "usr/bin/nawk": "mawk"},
    "tar": {"usr/sbin/rmt": "rmt-tar"},
    "tcc": {"usr/bin/cc": "tcc"},
}
"""Package to what its postinst hands to update-alternatives, without the manual pages."""

HANDLED: Mapping[str, tuple[str, ...]] = {
    "base-files": ("files of /etc and /root", "directories", "/var/run and /var/lock", "logs"),
    "base-passwd": ("/etc/passwd", "/etc/group"),
    "ca-certificates": ("/etc/ca-certificates.conf", "/etc/ssl/certs/ca-certificates.crt"),
    "debianutils": ("/etc/shells",),
    "libc-bin": ("/etc/nsswitch.conf", "/etc/ld.so.cache"),
    "readline-common": ("/etc/inputrc",),
    "tzdata": ("/etc/localtime", "/etc/timezone"),
    **{name: tuple(f"/{link}" for link in links) for name, links in KNOWN_ALTERNATIVES.items()},
}
"""Package to the effects of its scripts that are written here (besides ldconfig's trigger)."""


def system_entries(
    tree: Tree, *, multiarch: str, alternatives: Mapping[str, str] | None = None
) -> list[Entry]:
    """Return the entries that make the packages' tree a system, parents first, by path.

    multiarch: ``x86_64-linux-gnu``; alternatives: link to target, both as in
    KNOWN_ALTERNATIVES, which they override.  Together with the packages' entries no parent
    directory is missing.  Raises ArtifactError for an alternative that leads nowhere or whose
    link a package ships.
    """
    system = _System(tree)
    _merged_usr(system, multiarch)
    _basics(system)
    for package, write in _SCRIPTS.items():
        if package in tree.package_names:
            write(system)
    _python(system)
    _accounts(system)
    _certificates(system)
    _loader_cache(system, multiarch)
    _alternatives(system, alternatives or {})
    _records(system)
    return system.finish()


class _System:
    """The entries so far; what a package ships stays as it is."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.kept = tree.kept()
        self._entries: dict[str, Entry] = {}

    def put(self, entry: Entry) -> None:
        if entry.path not in self.tree.nodes:
            self._entries.setdefault(entry.path, entry)

    def has(self, path: str) -> bool:
        """Tell whether there is something at ``path``, links followed."""
        return path in self._entries or self.tree.resolve(path) is not None

    def copy(self, source: str, path: str, mode: int = 0o644) -> None:
        if source in self.kept:
            self.put(regular(path, self.kept[source], mode))

    def finish(self) -> list[Entry]:
        missing = set(self.tree.implied)
        for path in self._entries:
            while path := path.rpartition("/")[0]:
                missing.add(path)
        for path in missing - self._entries.keys():
            self.put(directory(path))
        return [self._entries[path] for path in sorted(self._entries, key=_by_parts)]


def _by_parts(path: str) -> tuple[str, ...]:
    return tuple(path.split("/"))


def _merged_usr(system: _System, multiarch: str) -> None:
    """Debian 12 is installed so (usrmerge; debootstrap's setup_merged_usr)."""
    always = {"bin", "sbin", "lib"} | ({"lib64"} if multiarch == "x86_64-linux-gnu" else set())
    for name, target in ALIASES.items():
        if name.startswith("var/"):
            system.put(symlink(name, f"/{target}"))
        elif name in always or target in system.tree:
            system.put(symlink(name, target))
            system.put(directory(target))


def _basics(system: _System) -> None:
    """What programs expect of any root, should base-files be left out."""
    for path, mode in {"root": 0o700, "run": 0o755, "tmp": 0o1777, "var/tmp": 0o1777}.items():
        system.put(directory(path, mode))
    for path in ("dev", "proc", "sys"):
        system.put(directory(path))
    system.put(directory("run/lock", 0o1777))


def _base_files(system: _System) -> None:
    """base-files' postinst on a first installation."""
    share = "usr/share/base-files"
    system.copy(f"{share}/dot.profile", "root/.profile")
    system.copy(f"{share}/dot.bashrc", "root/.bashrc")
    system.copy(f"{share}/profile", "etc/profile")
    system.copy(f"{share}/motd", "etc/motd")
    system.copy(f"{share}/info.dir", "usr/share/info/dir")
    if "etc/dpkg/origins/debian" in system.tree:
        system.put(symlink("etc/dpkg/origins/default", "debian"))
    local = [f"usr/local/{name}" for name in _LOCAL]
    for path in ["mnt", "srv", "opt", "etc/opt", "var/opt", "media", *local, "usr/local/share/man"]:
        system.put(directory(path))
    system.put(symlink("usr/local/man", "share/man"))
    system.put(directory("var/mail", 0o2775, gid=_MAIL))
    system.put(symlink("var/spool/mail", "../mail"))
    for name, mode in {"wtmp": 0o664, "btmp": 0o660, "lastlog": 0o664}.items():
        system.put(_owned(f"var/log/{name}", b"", mode, _UTMP))


def _libc_bin(system: _System) -> None:
    system.copy("usr/share/libc-bin/nsswitch.conf", "etc/nsswitch.conf")


def _readline(system: _System) -> None:
    system.copy("usr/share/readline/inputrc", "etc/inputrc")


def _tzdata(system: _System) -> None:
    """tzdata's postinst with debconf's defaults."""
    if system.has("usr/share/zoneinfo/Etc/UTC"):
        system.put(symlink("etc/localtime", "/usr/share/zoneinfo/Etc/UTC"))
        system.put(regular("etc/timezone", b"Etc/UTC\n"))


def _shells(system: _System) -> None:
    """debianutils' update-shells: the default list, then each package's, with their twins."""
    shells = "usr/share/debianutils/shells"
    lines: list[str] = []
    for path in [
        shells,
        *(path for path in sorted(system.kept) if path.startswith(f"{shells}.d/")),
    ]:
        for line in system.kept.get(path, b"").decode("utf-8", "replace").splitlines():
            lines += [line, f"/usr{line}"] if line.startswith("/bin/") else [line]
    system.put(regular("etc/shells", _joined(dict.fromkeys(lines))))


_SCRIPTS: Mapping[str, Callable[[_System], None]] = {
    "base-files": _base_files,
    "debianutils": _shells,
    "libc-bin": _libc_bin,
    "readline-common": _readline,
    "tzdata": _tzdata,
}


def _python(system: _System) -> None:
    """python3.N-minimal's postinst, without its .pyc files."""
    for package in sorted(system.tree.package_names):
        if match := re.fullmatch(r"python(3\.[0-9]+)-minimal", package):
            system.put(directory(f"usr/local/lib/python{match[1]}/dist-packages"))


def _owned(path: str, data: bytes, mode: int, gid: int) -> Entry:
    return Entry(path=path, kind="file", mode=mode, content=Bytes(data), gid=gid)


def _accounts(system: _System) -> None:
    """base-passwd's masters and ``nonroot``, then what pwconv and grpconv make of them.

    The day of the last change in shadow(5) stays empty: pwconv would write today.
    """
    masters = "usr/share/base-passwd"
    users = _lines(system.kept.get(f"{masters}/passwd.master", b"root:*:0:0:root:/root:/bin/sh\n"))
    groups = _lines(system.kept.get(f"{masters}/group.master", b"root:*:0:\n"))
    home = "home/nonroot"
    users.append(f"nonroot:*:{NONROOT}:{NONROOT}:nonroot:/{home}:/usr/sbin/nologin")
    groups.append(f"nonroot:*:{NONROOT}:")
    for name, lines in {"passwd": users, "group": groups}.items():
        system.put(
            regular(f"etc/{name}", _joined(re.sub(":[^:]*", ":x", line, count=1) for line in lines))
        )
    shadow = [f"{line.split(':')[0]}:*::0:99999:7:::" for line in users]
    gshadow = [f"{line.split(':')[0]}:*::{line.split(':')[-1]}" for line in groups]
    system.put(_owned("etc/shadow", _joined(shadow), 0o640, _SHADOW))
    system.put(_owned("etc/gshadow", _joined(gshadow), 0o640, _SHADOW))
    system.put(directory(home, 0o700, NONROOT, NONROOT))


def _lines(data: bytes) -> list[str]:
    return [line for line in data.decode("utf-8").splitlines() if line.count(":") >= 3]


def _joined(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


_CONF = """\
# This file lists certificates that you wish to use or to ignore to be
# installed in /etc/ssl/certs.
# update-ca-certificates(8) will update /etc/ssl/certs by reading this file.
#
# This is autogenerated by dpkg-reconfigure ca-certificates.
# Certificates should be installed under /usr/share/ca-certificates
# and files with extension '.crt' is recognized as available certs.
#
# line begins with # is comment.
# line begins with ! is certificate filename to be deselected.
#
"""


def _certificates(system: _System) -> None:
    """ca-certificates' postinst with all of its certificates enabled, as debconf's default is.

    update-ca-certificates(8) joins those of /usr/share/ca-certificates in the order of its
    configuration (sorted bytewise), then the local ones, each with a newline at its end.
    """
    shared, local = "usr/share/ca-certificates/", "usr/local/share/ca-certificates/"
    names = [path for path in sorted(system.kept) if path.startswith(shared)]
    if not names:
        return
    chosen = names + [path for path in sorted(system.kept) if path.startswith(local)]
    texts = [system.kept[path] for path in chosen]
    bundle = b"".join(text if text.endswith(b"\n") else text + b"\n" for text in texts)
    system.put(regular("etc/ssl/certs/ca-certificates.crt", bundle))
    listed = "".join(f"{name.removeprefix(shared)}\n" for name in names)
    system.put(regular("etc/ca-certificates.conf", (_CONF + listed).encode()))
    system.put(directory(local.rstrip("/")))
    # libssl looks below /usr/lib/ssl; the links there are openssl's, which may be left out.
    system.put(symlink("usr/lib/ssl/certs", "/etc/ssl/certs"))
    system.put(symlink("usr/lib/ssl/cert.pem", "/etc/ssl/certs/ca-certificates.crt"))


def _loader_cache(system: _System, multiarch: str) -> None:
    """libc-bin's ldconfig trigger: links for SONAMEs, and the cache."""
    directories = configured_directories(system.kept, multiarch)
    entries, links = scan(system.tree, directories, multiarch)
    for link in links:
        system.put(symlink(link.path, link.target))
    if entries:
        system.put(regular("etc/ld.so.cache", cache_bytes(entries, _generator(system.tree))))


def _generator(tree: Tree) -> str:
    """Return what Debian's ldconfig of these packages calls itself (``ldconfig --version``)."""
    versions = {facts.package: facts.version for facts in tree.packages}
    version = versions.get("libc-bin") or versions.get("libc6")
    if not version:
        return "envlock"
    release = version.partition("-")[0]
    return f"ldconfig (Debian GLIBC {version}) stable release version {release}"


def _alternatives(system: _System, chosen: Mapping[str, str]) -> None:
    for link, target in chosen.items():
        path = merged_path(link.lstrip("/"))
        if path in system.tree:
            raise ArtifactError(
                f"the alternative {link!r} is a path of the package {system.tree.owners.get(path)}",
                hint="leave this alternative out",
            )
        if not _leads_somewhere(system, path, target):
            raise ArtifactError(
                f"the alternative {link!r} leads to {target!r}, which no package provides",
                hint="add the package that provides it, or leave this alternative out",
            )
        system.put(symlink(path, target))
    for package in sorted(KNOWN_ALTERNATIVES.keys() & system.tree.package_names):
        for path, target in KNOWN_ALTERNATIVES[package].items():
            if _leads_somewhere(system, path, target):
                system.put(symlink(path, target))


def _leads_somewhere(system: _System, path: str, target: str) -> bool:
    where = posixpath.normpath(posixpath.join("/", posixpath.dirname(path), target))
    return system.has(where.lstrip("/"))


def _records(system: _System) -> None:
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
