"""What the commands of maintainer scripts do to an image.

Tables only.  A command in neither of them is reported as not handled; so is any command whose
output goes to a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NEUTRAL = frozenset(
    {
        # the shell itself: nothing outside the script changes
        *("set", ":", "true", "false", "test", "[", "[[", "exit", "return", "local", "export"),
        *("unset", "shift", "read", "readonly", "umask", "break", "continue", "cd"),
        *("getopts", "wait", "type", "hash"),
        # print on the terminal or into a pipe
        *("echo", "printf", "cat", "head", "tail", "seq"),
        # filters: standard input to standard output
        *("grep", "egrep", "fgrep", "awk", "cut", "tr", "sort", "uniq", "wc", "expr", "rev"),
        # look at files and accounts
        *("ls", "stat", "readlink", "realpath", "basename", "dirname", "cmp", "diff", "file"),
        *("md5sum", "sha256sum", "getent", "id", "which", "test", "pwd", "du", "df", "mountpoint"),
        # look at the system
        *("uname", "hostname", "date", "ischroot", "pidof", "pgrep", "ps", "lsof", "arch", "nproc"),
        # look at the package database
        *("dpkg-query", "dpkg-architecture", "dpkg-vendor", "debconf-show"),
        *("dpkg-realpath",),
        # a temporary file of the script's own
        *("mktemp", "tempfile"),
        # wait
        "sleep",
    }
)
"""Commands that leave nothing behind."""

NEUTRAL_FORMS = (
    ("dpkg", "--compare-versions"),  # compares two versions
    ("dpkg", "--print-architecture"),
    ("dpkg", "--print-foreign-architectures"),
    ("dpkg", "--assert-multi-arch"),
    ("dpkg", "-L"),  # lists
    ("dpkg", "-l"),
    ("dpkg", "-s"),
    ("dpkg", "--verify"),
    ("command", "-v"),  # looks for a program
    ("command", "-V"),
    ("dpkg-divert", "--list"),
    ("dpkg-divert", "--listpackage"),
    ("dpkg-divert", "--truename"),
    ("dpkg-statoverride", "--list"),
    ("update-alternatives", "--query"),
    ("update-alternatives", "--list"),
    ("update-alternatives", "--display"),
    ("update-alternatives", "--remove"),  # nothing was there before a first installation
    ("update-alternatives", "--remove-all"),
)
"""Commands that leave nothing behind when their first arguments are these."""

HANDLED = {
    # ld.so.cache is written for the whole image
    "ldconfig": "ldconfig",
    # the CA bundle is written for the whole image
    "update-ca-certificates": "update-ca-certificates",
    # passwd and group are written from base-passwd's masters
    "update-passwd": "passwd and group",
    # /etc/shells is written from the packages' lists
    "update-shells": "shells",
    # byte code is optional: Python compiles what it imports
    "py3compile": "py3compile",
    "py3clean": "py3clean",
    "pycompile": "py3compile",
    "pyclean": "py3clean",
    # only changes what an older version of the package left behind
    "dpkg-maintscript-helper": "dpkg-maintscript-helper",
    # an image has no init: nothing is started at boot, nothing runs that could be restarted
    "deb-systemd-helper": "systemd units",
    "deb-systemd-invoke": "systemd units",
    "systemctl": "systemd units",
    "update-rc.d": "init scripts",
    "invoke-rc.d": "init scripts",
    "service": "init scripts",
}
"""Commands whose effect the builder writes itself, or that have none in an image."""

WRITTEN: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "*": {
        "passwd and group": ("/etc/passwd", "/etc/group"),
        "nsswitch.conf": ("/etc/nsswitch.conf",),
        "ldconfig": ("/etc/ld.so.cache",),
        "update-ca-certificates": ("/etc/ssl/certs/ca-certificates.crt",),
        "merged /usr": ("/lib64", "/usr/lib64", "/var/run", "/var/lock", "/run/lock"),
    },
    "base-files": {
        "files of /etc and /root": (
            *("/etc/dpkg/origins/default", "/etc/profile", "/etc/motd", "/usr/share/info/dir"),
            *("/root/.profile", "/root/.bashrc"),
        ),
        "directories": (
            *("/mnt", "/srv", "/opt", "/etc/opt", "/var/opt", "/media", "/var/mail"),
            *("/var/spool/mail", "/usr/local", "/usr/local/*"),
        ),
        "logs": ("/var/log/wtmp", "/var/log/btmp", "/var/log/lastlog"),
    },
    "ca-certificates": {
        "update-ca-certificates": ("/etc/ca-certificates.conf", "/etc/ca-certificates.conf.dpkg-*")
    },
    "debianutils": {"shells": ("/etc/shells",)},
    "readline-common": {"inputrc": ("/etc/inputrc",)},
    "tzdata": {"time zone": ("/etc/localtime", "/etc/timezone")},
    "python3.*-minimal": {"directories": ("/usr/local/lib/python3.*",)},
}
"""Package to effect to the files that the builder writes whatever that package's scripts do."""

ALTERNATIVES = {
    "cpp": ("/lib/cpp",),
    "debianutils": ("/usr/bin/which",),
    "g++": ("/usr/bin/c++",),
    "gawk": ("/usr/bin/awk",),
    "gcc": ("/usr/bin/cc", "/usr/bin/c89", "/usr/bin/c99"),
    "mawk": ("/usr/bin/awk",),
    "tar": ("/usr/sbin/rmt",),
    "tcc": ("/usr/bin/cc",),
}
"""Package to the links that the builder makes without being asked."""

FILE_COMMANDS = frozenset({"cp", "install", "ln", "mkdir", "mv", "rm", "rmdir", "touch"})
"""Commands that change the file named last."""

MODE_COMMANDS = frozenset({"chmod", "chown", "chgrp"})
"""Commands that change every file named after the first word that is no option."""

DEBCONF_QUESTIONS = frozenset({"db_input", "db_get", "db_text", "db_beginblock"})
"""debconf commands whose answer decides something; there is nobody to answer."""

ANSWERED = {"ca-certificates/enable_crts": "update-ca-certificates"}
"""Questions that the builder answers, with debconf's default: every certificate is enabled."""

DEBCONF = frozenset(
    {
        # talk about debconf's own database, which an image need not have
        *("db_version", "db_capb", "db_title", "db_settitle", "db_stop", "db_go", "db_fset"),
        *("db_fget", "db_set", "db_reset", "db_subst", "db_register", "db_unregister"),
        *("db_purge", "db_metaget", "db_info", "db_progress", "db_endblock", "db_clear"),
    }
)

BYTE_COMPILERS = ("py_compile.py", "compileall.py", "compileall", "py_compile")
"""Words that show that a command only compiles Python's byte code, as py3compile does."""

TRIGGERS = {
    "ldconfig": "ldconfig",
    "update-ca-certificates": "update-ca-certificates",
    "update-ca-certificates-fresh": "update-ca-certificates",
    "/usr/share/debianutils/shells.d": "shells",
}
"""Triggers whose effect is written anyway."""
