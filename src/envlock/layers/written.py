"""What the builder writes in place of maintainer scripts: data only.

``system.py`` acts on these tables, and what judges the scripts of packages believes them; a
test holds the two against each other.  Paths of the image are absolute here, as scripts write
them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"

COPIES: Mapping[str, Mapping[str, str]] = {
    "base-files": {
        "/usr/share/base-files/dot.profile": "/root/.profile",
        "/usr/share/base-files/dot.bashrc": "/root/.bashrc",
        "/usr/share/base-files/profile": "/etc/profile",
        "/usr/share/base-files/motd": "/etc/motd",
        "/usr/share/base-files/info.dir": "/usr/share/info/dir",
    },
    "libc-bin": {"/usr/share/libc-bin/nsswitch.conf": "/etc/nsswitch.conf"},
    "readline-common": {"/usr/share/readline/inputrc": "/etc/inputrc"},
}
"""Package to the files that its postinst copies from its own share."""

LOCAL = tuple(
    f"/usr/local/{name}"
    for name in ("bin", "etc", "games", "include", "lib", "sbin", "share", "share/man", "src")
)

DIRECTORIES: Mapping[str, tuple[str, ...]] = {
    "base-files": ("/mnt", "/srv", "/opt", "/etc/opt", "/var/opt", "/media", "/usr/local", *LOCAL),
    "ca-certificates": ("/usr/local/share/ca-certificates",),
    "fontconfig-config": ("/usr/local/share/fonts",),
}
"""Package to the folders that its postinst makes, 0755 and root's."""

LINKS: Mapping[str, Mapping[str, str]] = {
    "base-files": {
        "/etc/dpkg/origins/default": "debian",
        "/usr/local/man": "share/man",
        "/var/spool/mail": "../mail",
    },
    # debconf's defaults: slight hinting, no bitmapped fonts
    "fontconfig-config": {
        f"/etc/fonts/conf.d/{name}": f"/usr/share/fontconfig/conf.avail/{name}"
        for name in ("10-hinting-slight.conf", "70-no-bitmaps.conf")
    },
    "tzdata": {"/etc/localtime": "/usr/share/zoneinfo/Etc/UTC"},
}
"""Package to the links that its postinst makes."""

ALTERNATIVES: Mapping[str, Mapping[str, str]] = {
    "cpp": {"/usr/lib/cpp": "../bin/cpp"},
    "debianutils": {"/usr/bin/which": "which.debianutils"},
    "g++": {"/usr/bin/c++": "g++"},
    "gawk": {"/usr/bin/awk": "gawk"},
    "gcc": {"/usr/bin/cc": "gcc", "/usr/bin/c89": "c89-gcc", "/usr/bin/c99": "c99-gcc"},
    "less": {"/usr/bin/pager": "less"},
    "libopenblas0-pthread": {
        f"/usr/lib/{{multiarch}}/{name}": f"openblas-pthread/{name}"
        for name in ("libblas.so.3", "liblapack.so.3", "libopenblas.so.0")
    },
    "libblas3": {"/usr/lib/{multiarch}/libblas.so.3": "blas/libblas.so.3"},
    "liblapack3": {"/usr/lib/{multiarch}/liblapack.so.3": "lapack/liblapack.so.3"},
    "mawk": {"/usr/bin/awk": "mawk", "/usr/bin/nawk": "mawk"},
    "nano": {"/usr/bin/editor": "nano", "/usr/bin/pico": "nano"},
    "tar": {"/usr/sbin/rmt": "rmt-tar"},
    "tcc": {"/usr/bin/cc": "tcc"},
    "util-linux": {"/usr/bin/pager": "more"},
    "vim": {
        f"/usr/bin/{name}": "vim.basic"
        for name in ("editor", "ex", "rview", "rvim", "vi", "view", "vim", "vimdiff")
    },
    "xz-utils": {
        "/usr/bin/lzma": "xz",
        "/usr/bin/unlzma": "unxz",
        **{
            f"/usr/bin/lz{name}": f"xz{name}"
            for name in ("cat", "cmp", "diff", "egrep", "fgrep", "grep", "less", "more")
        },
    },
}
"""Package to the links that the builder makes of what its postinst hands to update-alternatives.

Manual pages are left out, and ``/etc/alternatives``: the links lead to their targets at once.
Where several packages offer a link, the first in this table has it, as by its priority in Debian.
"""

WRITTEN: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "base-files": {
        "files of /etc and /root": (
            *COPIES["base-files"].values(),
            "/etc/dpkg/origins/default",
        ),
        "directories": (
            *DIRECTORIES["base-files"],
            *("/usr/local/libexec", "/usr/local/man", "/var/mail", "/var/spool/mail", "/run/lock"),
        ),
        "merged /usr": ("/var/run", "/var/lock"),
        "logs": ("/var/log/wtmp", "/var/log/btmp", "/var/log/lastlog"),
    },
    "base-passwd": {
        "passwd and group": (
            *("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"),
            *("/etc/subgid", "/etc/subuid"),
        ),
    },
    "ca-certificates": {
        "update-ca-certificates": (
            *(CERTIFICATES, "/etc/ca-certificates.conf"),
            *DIRECTORIES["ca-certificates"],
        ),
    },
    "debianutils": {"shells": ("/etc/shells",)},
    "fontconfig-config": {
        "fontconfig's defaults": (
            *LINKS["fontconfig-config"],
            *DIRECTORIES["fontconfig-config"],
        ),
    },
    "libc-bin": {
        "nsswitch.conf": ("/etc/nsswitch.conf",),
        "ldconfig": ("/etc/ld.so.cache",),
    },
    "libc6": {"merged /usr": ("/lib64", "/usr/lib64")},
    "libpam-modules": {"empty files": ("/etc/security/opasswd", "/etc/environment")},
    "netbase": {"networks": ("/etc/networks",)},
    "passwd": {"shadow passwords": ("/etc/shadow", "/etc/gshadow")},
    "python3": {"byte code's settings": ("/etc/python3", "/etc/python3/debian_config")},
    "python3.*-minimal": {
        "directories": ("/usr/local/lib/python3.*", "/usr/local/lib/python3.*/dist-packages"),
    },
    "readline-common": {"inputrc": ("/etc/inputrc",)},
    "tzdata": {"time zone": ("/etc/localtime", "/etc/timezone")},
}
"""Package to effect to the paths that the builder writes for it.

Packages and paths are shell patterns.  Some of the paths are in every image, whether that
package is there or not: accounts, the merged /usr, the loader's cache.
"""
