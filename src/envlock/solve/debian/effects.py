"""What the commands of maintainer scripts do to an image.

Tables only.  What the builder writes itself is in :mod:`envlock.layers.written`; here is what
leaves nothing behind, and why.  A command in no table is reported as not handled; so is any
command whose output goes to a file.
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
        *("md5sum", "sha256sum", "getent", "id", "which", "pwd", "du", "df", "mountpoint"),
        # look at the system
        *("uname", "hostname", "date", "ischroot", "pidof", "pgrep", "ps", "lsof", "arch", "nproc"),
        *("ss", "getcap", "aa-enabled"),
        # look at the package database
        *("dpkg-query", "dpkg-architecture", "dpkg-vendor", "debconf-show"),
        *("dpkg-realpath",),
        # a temporary file of the script's own
        *("mktemp", "tempfile"),
        # wait
        "sleep",
        # an image has no init and no daemons: nothing is started at boot, nothing runs that
        # could be started, stopped, restarted or told to read its files again
        *("deb-systemd-helper", "deb-systemd-invoke", "systemctl", "update-rc.d", "invoke-rc.d"),
        *("service", "start-stop-daemon", "telinit", "nscd", "udevadm"),
        # the loader's cache and the links for SONAMEs are written for the whole image
        "ldconfig",
        # byte code is optional: Python compiles what it imports
        *("py3compile", "py3clean", "pycompile", "pyclean", "pypy3compile", "pypy3clean"),
        # only changes what an older version of the package left behind
        "dpkg-maintscript-helper",
        # has other packages' postinst called, whose ``triggered`` is classified as theirs
        "dpkg-trigger",
        # talk about debconf's own database, which an image need not have; questions get their
        # defaults, since there is nobody to answer (see answers() in scripts.py)
        *("db_version", "db_capb", "db_title", "db_settitle", "db_stop", "db_go", "db_fset"),
        *("db_fget", "db_set", "db_reset", "db_subst", "db_register", "db_unregister"),
        *("db_purge", "db_metaget", "db_info", "db_progress", "db_beginblock", "db_endblock"),
        *("db_clear", "db_get", "db_input", "db_text"),
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
    ("perl", "-e", ""),  # runs nothing: does perl work?
    ("systemd", "--help"),  # prints: does it work?
    ("dpkg-divert", "--list"),
    ("dpkg-divert", "--listpackage"),
    ("dpkg-divert", "--truename"),
    ("dpkg-statoverride", "--list"),
    ("update-alternatives", "--query"),
    ("update-alternatives", "--list"),
    ("update-alternatives", "--display"),
    ("update-alternatives", "--auto"),
    ("update-alternatives", "--remove"),  # nothing was there before a first installation
    ("update-alternatives", "--remove-all"),
)
"""Commands that leave nothing behind when their first arguments are these."""

HANDLED = {
    "update-ca-certificates": "update-ca-certificates",
    "update-passwd": "passwd and group",
    "update-shells": "shells",
    "shadowconfig": "shadow passwords",
    "pwconv": "shadow passwords",
    "grpconv": "shadow passwords",
}
"""Commands that do no more than what the builder writes for the whole image."""

TOOLS: Mapping[str, tuple[str, ...]] = {
    "apparmor_parser": ("apparmor",),
    "restorecon": ("policycoreutils",),
    "setcap": ("libcap2-bin",),
    "systemd-sysusers": ("systemd", "systemd-standalone-sysusers"),
    "systemd-tmpfiles": ("systemd", "systemd-standalone-tmpfiles"),
    "ucf": ("ucf",),
    "ucfr": ("ucf",),
    "update-binfmts": ("binfmt-support",),
    "update-desktop-database": ("desktop-file-utils",),
    "update-icon-caches": ("libgtk-3-bin", "libgtk2.0-bin"),
    "update-menus": ("menu",),
    "update-mime": ("mailcap", "mime-support"),
}
"""Commands that scripts call only where they are installed, and the packages that have them:
without those packages no installation would run them."""

SETTLED: tuple[tuple[str, str, str], ...] = (
    ("base-files", "ln -s* usr/lib* /lib*", "the merged /usr is made for the whole image"),
    ("base-files", "rm /lib*", "the same"),
    ("bash", "ln -s bash /bin/sh", "dash brings it, and is in every image"),
    ("dash", "* /bin/sh*", "dash ships /bin/sh as the very link that this makes"),
    ("dash", "* /usr/share/man/man1/sh.*", "so it does with its manual page"),
    ("dpkg", ". /usr/share/dpkg/sh/dpkg-error.sh", "defines functions that print"),
    ("dpkg", "setup_colors", "one of these"),
    ("dpkg", "warning *", "one of these"),
    ("dpkg", "mv * alternatives/*", "moves what an older dpkg misplaced in its database"),
    ("fontconfig-config", "ln -s * /etc/fonts/conf.d/*", "other answers than the defaults"),
    ("netbase", "cat > /etc/hosts", "a container engine brings it"),
    ("passwd", "groupadd -g 42 shadow", "base-passwd's list of groups has it"),
    ("postgresql-client-*", ". */maintscripts-functions", "defines functions"),
    ("postgresql-client-*", "configure_client_version *", "links to manual pages, no more"),
    ("python3", "$hook *rtupdate *", "compiles byte code for another version of Python"),
    ("python3.*-minimal", "mkdir -p /var/lib/python", "a note from preinst to postinst"),
    ("python3.*-minimal", "touch /var/lib/python/python3.*_installed", "the same"),
    ("python3.*-minimal", "rm -f /var/lib/python/python3.*_installed", "the same"),
    ("python3.*-minimal", "rmdir * /var/lib/python", "the same"),
    ("python3.*-minimal", "$filt", "a filter for names of files: cat or fgrep"),
    ("sudo", "chown root:root /etc/sudoers", "it is shipped as root's"),
    ("usrmerge", "/usr/lib/usrmerge/convert-*", "the image has a merged /usr from the start"),
    ("usrmerge", "rm* -v *$dir", "these folders are links into /usr already"),
)
"""Package, command and why that command changes nothing in a first installation of an image.

Packages and commands are shell patterns; variables that are not known stay as written.
"""

PASSING: Mapping[str, tuple[str, ...]] = {
    "ca-certificates": ("/etc/ca-certificates.conf.dpkg-*",),
    "tzdata": ("/etc/localtime.dpkg-new",),
}
"""Package to the names under which its scripts prepare files that the builder writes."""

FILE_COMMANDS = frozenset({"cp", "install", "ln", "mkdir", "mv", "rm", "rmdir", "touch"})
"""Commands that change the files that they name."""

ONE_TARGET = frozenset({"cp", "install", "ln", "mv"})
"""Those that change the file named last alone."""

VALUED: Mapping[str, tuple[str, ...]] = {
    "install": ("-m", "-o", "-g"),
    "mkdir": ("-m",),
    "touch": ("-d", "-r", "-t"),
}
"""Their options whose value is the next word."""

MODE_COMMANDS = frozenset({"chmod", "chown", "chgrp"})
"""Commands that change every file named after the first word that is no option."""

LEFT_BEHIND = ("*.dpkg-bak", "*.dpkg-backup", "*.dpkg-remove")
"""Names that only dpkg-maintscript-helper of an older version of the package gave."""

REMOVING = frozenset({"rm", "rmdir", "unlink"})
"""Commands that change nothing where their files are not there."""

BYTE_COMPILERS = ("py_compile.py", "compileall.py", "compileall", "py_compile")
"""Words that show that a command only compiles Python's byte code, as py3compile does."""
