"""What the scripts of single packages would write, on a first installation.

Each function names the script (of Debian 12) whose effect it writes; ``written.py`` has what
is plain data.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from envlock.layers.entry import Bytes, Entry, directory, regular, symlink
from envlock.layers.written import CERTIFICATES, COPIES, DIRECTORIES, LINKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from envlock.layers.debtree import Tree

NONROOT = 65532
"""User and group number of ``nonroot``, the one that distroless images use, too."""

_SHADOW, _UTMP, _MAIL = 42, 43, 8  # groups (base-passwd's group.master)


class System:
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

    def leads_somewhere(self, path: str, target: str) -> bool:
        """Tell whether a link at ``path`` to ``target`` would not dangle."""
        where = posixpath.normpath(posixpath.join("/", posixpath.dirname(path), target))
        return self.has(where.lstrip("/"))

    def finish(self) -> list[Entry]:
        """Return the entries with the parents that are missing, parents first, by path."""
        missing = set(self.tree.implied)
        for path in self._entries:
            while path := path.rpartition("/")[0]:
                missing.add(path)
        for path in missing - self._entries.keys():
            self.put(directory(path))
        return [self._entries[path] for path in sorted(self._entries, key=_by_parts)]


def _by_parts(path: str) -> tuple[str, ...]:
    return tuple(path.split("/"))


def write_package_files(system: System) -> None:
    """Write what the scripts of the tree's packages would."""
    present = system.tree.package_names
    for package in sorted(present & {*COPIES, *DIRECTORIES, *LINKS, *_SCRIPTS}):
        for source, path in COPIES.get(package, {}).items():
            if source.lstrip("/") in system.kept:
                system.put(regular(path.lstrip("/"), system.kept[source.lstrip("/")]))
        for path in DIRECTORIES.get(package, ()):
            system.put(directory(path.lstrip("/")))
        if package in _SCRIPTS:
            _SCRIPTS[package](system)
        for path, target in LINKS.get(package, {}).items():
            if system.leads_somewhere(path, target):
                system.put(symlink(path.lstrip("/"), target))
    _python(system)
    _accounts(system)
    _certificates(system)


def _is_debian_13(system: System) -> bool:
    """Tell the release by base-files, whose version begins with it."""
    versions = [one.version for one in system.tree.packages if one.package == "base-files"]
    number = re.match(r"[0-9]+", versions[0]) if versions else None
    return number is not None and int(number[0]) >= 13


def _base_files(system: System) -> None:
    """base-files' postinst: what is not 0755 and root's, or new in Debian 13."""
    if _is_debian_13(system):
        system.put(directory("usr/local/libexec"))
    system.put(directory("var/mail", 0o2775, gid=_MAIL))
    for name, mode in {"wtmp": 0o664, "btmp": 0o660, "lastlog": 0o664}.items():
        system.put(_owned(f"var/log/{name}", b"", mode, _UTMP))


def _base_passwd(system: System) -> None:
    """base-passwd's postinst, besides the accounts."""
    if _is_debian_13(system):
        for name in ("subgid", "subuid"):
            system.put(regular(f"etc/{name}", b""))


def _tzdata(system: System) -> None:
    """tzdata's postinst with debconf's defaults."""
    if system.has("usr/share/zoneinfo/Etc/UTC"):
        system.put(regular("etc/timezone", b"Etc/UTC\n"))


def _pam(system: System) -> None:
    """libpam-modules' postinst: no old passwords, no variables for logins."""
    system.put(regular("etc/security/opasswd", b"", 0o600))
    system.put(regular("etc/environment", b""))


def _netbase(system: System) -> None:
    """netbase's postinst, without /etc/hosts, which a container engine brings."""
    networks = b"default\t\t0.0.0.0\nloopback\t127.0.0.0\nlink-local\t169.254.0.0\n\n"
    system.put(regular("etc/networks", networks))


def _python3(system: System) -> None:
    """python3's postinst."""
    config = (
        b"[DEFAULT]\n# how to byte-compile (comma separated: standard, optimize)\n"
        b"byte-compile = standard\n"
    )
    system.put(regular("etc/python3/debian_config", config))


def _shells(system: System) -> None:
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


_SCRIPTS: Mapping[str, Callable[[System], None]] = {
    "base-files": _base_files,
    "base-passwd": _base_passwd,
    "debianutils": _shells,
    "libpam-modules": _pam,
    "netbase": _netbase,
    "python3": _python3,
    "tzdata": _tzdata,
}


def _python(system: System) -> None:
    """python3.N-minimal's postinst, without its .pyc files."""
    for package in sorted(system.tree.package_names):
        if match := re.fullmatch(r"python(3\.[0-9]+)-minimal", package):
            system.put(directory(f"usr/local/lib/python{match[1]}/dist-packages"))


def _owned(path: str, data: bytes, mode: int, gid: int) -> Entry:
    return Entry(path=path, kind="file", mode=mode, content=Bytes(data), gid=gid)


def _accounts(system: System) -> None:
    """base-passwd's masters and ``nonroot``, then what passwd's shadowconfig makes of them.

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


def _certificates(system: System) -> None:
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
    system.put(regular(CERTIFICATES.lstrip("/"), bundle))
    listed = "".join(f"{name.removeprefix(shared)}\n" for name in names)
    system.put(regular("etc/ca-certificates.conf", (_CONF + listed).encode()))
    # libssl looks below /usr/lib/ssl; the links there are openssl's, which may be left out.
    system.put(symlink("usr/lib/ssl/certs", "/etc/ssl/certs"))
    system.put(symlink("usr/lib/ssl/cert.pem", CERTIFICATES))
