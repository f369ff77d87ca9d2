from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.errors import ArtifactError
from envlock.solve.debian.effects import NEUTRAL, SETTLED, TOOLS
from envlock.solve.debian.findings import Findings, Image
from envlock.solve.debian.scripts import classify_scripts

from ..makers.debs import make_ar
from .solving import solve

if TYPE_CHECKING:
    from ..makers.debs import Repository

PIECES = [
    *("if ", "then ", "else ", "elif ", "fi ", "case ", "in ", "esac ", "for ", "while ", "do "),
    *("done ", "{ ", "} ", "(", ")", ";", ";;", "&", "&&", "|", "||", "!", " ", "\n", "\\"),
    *('"', "'", "`", "$", "$(", "${", "$((", "$1", "$@", "${2:-x}", "#", "<<EOF\n", "EOF\n", ">"),
    *(">>", "<", "2>&1", "a", "x=1", "f() ", "f ", "[ ", "] ", "test ", "-n ", "=", "eval ", "* "),
    *("update-alternatives ", "--install ", "command ", "dpkg ", "--compare-versions ", "set "),
    *("shift ", "return ", "exit ", "local ", "read ", "chmod ", "/etc/passwd ", "dpkg-trigger "),
]


def _classify(
    text: str,
    alternatives: dict[str, str] | None = None,
    *,
    name: str = "postinst",
    package: str = "pkg",
    packages: tuple[str, ...] = (),
    **members: str,
) -> tuple[list[str], list[str]]:
    """Return what is handled and what is not in a shell script."""
    archive = {key: value.encode() for key, value in members.items()}
    archive[name] = f"#!/bin/sh\nset -e\n{text}\n".encode()
    image = Image(alternatives=alternatives or {}, packages=frozenset(packages))
    found = classify_scripts(package, archive, image)
    assert len(found) <= 1
    return (list(found[0].handled), list(found[0].unhandled)) if found else ([], [])


def test_long_words_take_no_time() -> None:
    findings = Findings("pkg", Image(), None)
    before = time.process_time()
    findings.miss("tool " + "a." * 100_000)
    findings.miss("tool " + "1" * 200_000)
    assert time.process_time() - before < 1
    assert [len(line) for line in findings.unhandled] == [243, 243]


def test_effects_that_every_image_has_are_not_told() -> None:
    script = """
case "$1" in
    configure)
        ldconfig
        update-ca-certificates --fresh >/dev/null
        py3compile -p foo
        if [ -d /run/systemd/system ]; then deb-systemd-invoke start foo.service || true; fi
        update-rc.d foo defaults
        dpkg-maintscript-helper rm_conffile /etc/foo 1.0 -- "$@"
        dpkg-trigger --no-await foo
        ;;
    abort-upgrade|abort-remove) rm -rf /srv ;;
    *) echo "unknown" >&2; exit 1 ;;
esac
"""
    assert _classify(script) == (["update-ca-certificates"], [])
    assert _classify(script.replace("update-ca-certificates", ":")) == ([], [])


@pytest.mark.parametrize(
    ("script", "unhandled"),
    [
        ("adduser --system foo", ["adduser --system foo"]),
        ("/usr/sbin/frobnicate -x", ["/usr/sbin/frobnicate -x"]),
        ("mkdir -p /var/lib/foo; chown foo: /var/lib/foo", None),
        ("echo a > /etc/foo", ["echo a > /etc/foo"]),
        ("echo a >/dev/null 2>&1", []),
        ('x=$(frobnicate "$(tool b)")', ["tool b", "frobnicate $(tool b)"]),
        ("x=`frobnicate`", ["frobnicate"]),
        ("cat <<EOF\nrm -rf /\nEOF\ntool", ["tool"]),
        ("cat <<'EOF' | tool\nx $( y\nEOF", ["tool"]),
        ("grep -q x /etc/foo || touch /etc/foo", ["touch /etc/foo"]),
        ("false && touch /a", []),
        ("sed -n p /etc/a", []),
        ("sed -i s/a/b/ /etc/a", ["sed -i s/a/b/ /etc/a"]),
        ("find /var -name x", []),
        ("find /var -name x -delete", ["find /var -name x -delete"]),
        ("exec update-things", ["update-things"]),
        ("if [ -x /bin/a ]; then a; else b; fi", ["a", "b"]),
        ("# rm -rf /\n: # touch it's", []),
        ("for i in 1 2; do touch /x$i; done", ["touch /x1", "touch /x2"]),
        ("for i in /etc/*; do touch $i; done", ["touch $i"]),
        ("while read x; do touch /y; done < /etc/list", ["touch /y"]),
        ("(cd / && tool)", ["tool"]),
        ("a() { touch $1; }\na /x\na /y", ["touch /x", "touch /y"]),
        ("a() { return 0; touch /x; }\na", []),
        ("exit 0\ntool", []),
        ("[ -f /x ] && exit 0\ntool", ["tool"]),
        ("tool https://downloads.example.com/x", ["tool <URL>"]),
        ("tool -o9https://example.com/x 'a.b+c://e/ f'", ["tool -<URL> <URL> f"]),
        ("touch \\\n  /x", ["touch /x"]),
        ("$unknown /x", ["$unknown /x"]),
        ("mkdir -p -m 755 /srv/a /srv/b", ["mkdir -p -m 755 /srv/a /srv/b"]),
        ('tmp=$(mktemp -t x.XXXX)\necho a > $tmp\nrm -f "$tmp"', []),
        ("tmp=$(mktemp /etc/x.XXXX)\nrm -f $tmp", ["rm -f $tmp"]),
        ("x=$(mktemp)\necho a > $x\nmv $x /etc/a", ["mv /tmp/mktemp /etc/a"]),
        ("sed -i s/a/b/ `mktemp`", []),
        ("if ischroot; then :; else telinit u; frob; fi", []),
        ("[ -d /run/systemd/system ] && frob", []),
        ("perl -e ''", []),
        ("perl -e 'unlink q(/x)'", ["perl -e unlink q(/x)"]),
        ("update-alternatives --auto x", []),
        ("update-alternatives --config x", ["update-alternatives --config x"]),
        ("mv /etc/a.dpkg-bak /etc/a", []),
        ("mv /etc/a.new /etc/a", ["mv /etc/a.new /etc/a"]),
        ("dpkg-divert --package x --no-rename --add /bin/a", []),
        ("dpkg-divert --package x --rename --add /a", None),
        ('which tool && [ -n "$2" ] && frob', []),
        ("which tool || true || frob", []),
        ("x=no; if tool; then x=no; fi; [ $x = yes ] && touch /x", ["tool"]),
        ("x=no; if tool; then x=yes; fi; [ $x = yes ] && touch /x", ["tool", "touch /x"]),
        ('f() { [ -z "$2" ] && return 0; return 1; }\nif f "$@"; then a; else b; fi', ["a"]),
        ("f() { if tool; then return 1; fi; return 0; }\nf && a", ["tool", "a"]),
        ('f() { tool "$2"; }\nf x "" y', ["tool"]),
        ("for i; do touch /$i; done", ["touch /configure", "touch /"]),
        ("l='a b'; for i in $l; do touch /$i; done", ["touch /a", "touch /b"]),
        ("for i in a b; do x=$i; break; done; [ $x = a ] && touch /x", ["touch /x"]),
        ("i=0; while [ $i = 0 ]; do i=1; [ $i = 1 ] && tool; done", ["tool"]),
        ("i=a; while true; do case $i in a) i=b;; b) touch /x;; esac; done", ["touch /x"]),
        ("d=${X:-$1}; touch /$d", ["touch /$d"]),
        ("d=${3:-$1}; touch /$d", ["touch /configure"]),
        ("cd ~; touch x~ ~/y", ["touch x~ ~/y"]),
        ("eval frob", ["frob"]),
        ("trap 'rm -f /x' EXIT", ["trap rm -f /x EXIT"]),
    ],
)
def test_commands(script: str, unhandled: list[str] | None) -> None:
    if unhandled is None:
        unhandled = [command.strip() for command in script.split(";")]
    assert _classify(script)[1] == unhandled


@pytest.mark.parametrize(
    "condition",
    [
        '[ "$1" = upgrade ]',
        '[ -n "$2" ]',
        'test -n "${2:-}"',
        '[ "$1" = configure ] && [ -n "$2" ]',
        '[ "$1" = configure -a -n "$2" ]',
        '[ "x$2" != x ]',
        'dpkg --compare-versions "$2" lt-nl 1.0',
        'dpkg --compare-versions "$2" gt 1.0',
        '! [ "$1" = configure ]',
        'test "$1" = remove || test "$1" = purge',
        '[ "$#" = 7 ]',
    ],
)
def test_branches_for_upgrades_do_not_count(condition: str) -> None:
    assert _classify(f"if {condition}; then touch /x; else touch /y; fi")[1] == ["touch /y"]


def test_variables_carry_the_arguments() -> None:
    script = (
        'action="$1"\nold=$2\nif [ "$action" = configure ] && [ -z "$old" ]; then a; else b; fi'
    )
    assert _classify(script)[1] == ["a"]
    assert _classify('if [ "$1" = install ]; then a; fi', name="preinst")[1] == ["a"]


def test_alternatives() -> None:
    script = "update-alternatives --quiet --install /usr/bin/cc cc /usr/bin/gcc 20"
    handled: tuple[list[str], list[str]] = (["update-alternatives /usr/bin/cc"], [])
    assert _classify(script) == ([], [script])
    assert _classify(script, {"/usr/bin/cc": "/usr/bin/gcc"}) == handled
    assert _classify(script, package="gcc") == handled
    assert _classify(script, md5sums="0  usr/bin/cc\n") == ([], [])
    slave = f"{script} --slave /usr/bin/c17 c17 /usr/bin/c17-gcc"
    assert _classify(slave, package="gcc") == ([], [slave])
    manual = f"{script} --slave /usr/share/man/man1/cc.1.gz cc.1.gz /x.gz"
    assert _classify(manual, package="gcc") == handled
    assert _classify("update-alternatives --install /usr/share/man/man1/a.1 a /x 1") == ([], [])
    assert _classify("update-alternatives --install")[1] == ["update-alternatives --install"]
    lib = "update-alternatives --install /usr/lib/aarch64-linux-gnu/libblas.so.3 l /x/l 10"
    assert _classify(lib, package="libblas3")[1] == []
    assert _classify(lib.replace("libblas", "other"), package="libblas3")[1] != []


TEMPLATES = (
    "Template: p/a\nType: select\nDefault: yes\nDescription: x\n y\n\nTemplate: p/b\nType: string\n"
)


@pytest.mark.parametrize(
    ("config", "unhandled"),
    [("db_input low p/a", ["yes", "b"]), ("db_set p/a no", ["yes", "other", "b", "c"])],
)
def test_debconf_answers_with_defaults(config: str, unhandled: list[str]) -> None:
    script = """. /usr/share/debconf/confmodule
db_version 2.0
db_input high p/a || true
db_go || true
db_get p/a
if [ "$RET" = yes ]; then yes; else other; fi
db_get p/b
[ -n "$RET" ] || b
[ -z "$RET" ] || c
"""
    assert _classify(script, templates=TEMPLATES, config=config) == ([], unhandled)
    unknown = _classify('db_get q/x; [ "$RET" = yes ] && a', templates=TEMPLATES)
    assert unknown == ([], ["a"])


def test_files_that_the_builder_writes_anyway() -> None:
    script = "cp /usr/share/base-passwd/passwd.master /etc/passwd\ncat x > /etc/group"
    assert _classify(script, package="base-passwd") == (["passwd and group"], [])
    assert _classify(script)[0] == []  # another package's line in there is missing
    names = "cat x > /etc/ca-certificates.conf.dpkg-new\nrm /etc/ca-certificates.conf.dpkg-new"
    assert _classify(names, package="ca-certificates") == ([], [])
    assert len(_classify(names)[1]) == 2


def test_what_is_shipped_decides() -> None:
    shipped: Any = {"md5sums": "0  usr/lib/pkg/a\n0  bin/b\n", "conffiles": "/etc/pkg.conf\n"}
    assert _classify("[ ! -e /usr/lib/pkg ] && ln -s /x /usr/lib/pkg", **shipped)[1] == []
    assert _classify("[ -f /usr/bin/b ] || b; [ -d /etc ] || e", **shipped)[1] == []
    assert _classify("[ -f /etc/pkg.conf ] && b; [ -x /bin/b ] || c", **shipped)[1] == ["b", "c"]
    # before they are unpacked, files are not there
    assert _classify("[ -f /bin/b ] || b", name="preinst", **shipped)[1] == ["b"]
    assert (
        _classify("rm -f /etc/pkg.old; rmdir /var/lib/old; mkdir -p /usr/lib/pkg", **shipped)[1]
        == []
    )
    for removal in ("/etc/pkg.conf", "/usr/lib/pkg", "/usr/bin/b", "/etc/*.conf", "/srv", "$x"):
        script = f"rm -rf {removal}"
        assert _classify(script, **shipped)[1] == [script]
    assert _classify("rm -rf /etc/passwd", **shipped)[1] == ["rm -rf /etc/passwd"]
    assert _classify("rm -rf /usr/local", **shipped)[1] == ["rm -rf /usr/local"]
    assert _classify("rm -f /etc/pkg.old")[1] == ["rm -f /etc/pkg.old"]  # nothing is known of it


def test_tools_count_where_they_are_installed() -> None:
    script = "if which update-menus; then update-menus; fi; setcap x+ep /bin/ping"
    assert _classify(script) == ([], [])
    assert _classify(script, packages=("menu", "libcap2-bin"))[1] == [
        "update-menus",
        "setcap x+ep /bin/ping",
    ]


MINIMAL = """
case "$1" in configure)
    mkdir -p /usr/local/lib/pythonV/dist-packages 2>/dev/null || true
    if command -v update-binfmts >/dev/null; then update-binfmts --import pythonV; fi
esac
if [ "$1" = configure ]; then
    rm -f /etc/pythonV/sysconfig.cfg
    if ls -L /usr/lib/pythonV/sitecustomize.py; then filt=cat; else filt='fgrep -v x'; fi
    files=$(dpkg -L libpythonV-minimal | sed -n '/x/p' | $filt)
    /usr/bin/pythonV -E -S /usr/lib/pythonV/py_compile.py $files
    bc=no
    if ! grep -sq x /usr/share/python/debian_defaults; then bc=no; fi
    if [ "$bc" = yes ]; then $hook rtinstall; fi
fi
"""


@pytest.mark.parametrize("version", ["3.9", "3.11", "3.13"])
def test_any_minimal_python(version: str) -> None:
    name = f"python{version}-minimal"
    script = MINIMAL.replace("V", version)
    files = f"0  usr/bin/python{version}\n"
    assert _classify(script, package=name, md5sums=files) == (["directories"], [])
    note = f"mkdir -p /var/lib/python\ntouch /var/lib/python/python{version}_installed"
    assert _classify(note, package=name, name="preinst") == ([], [])
    assert len(_classify(note, name="preinst")[1]) == 2


DASH = """
link() {
    dfile=$1; ltarget=$2; distrib=${3:-$dfile.distrib}
    truename=$(dpkg-divert --truename $dfile)
    if [ -n "$(dpkg-divert --listpackage $dfile)" ]; then return; fi
    dpkg-divert --package dash --no-rename --divert $distrib --add $dfile
    rm -f "$truename"
    ln -sf "$ltarget" "$dfile.tmp"
    mv -f "$dfile.tmp" "$dfile"
}
link /bin/sh dash
"""


def test_a_link_that_is_shipped() -> None:
    assert _classify(DASH, package="dash") == ([], [])
    assert _classify(DASH)[1] == [
        "rm -f /bin/sh",
        "ln -sf dash /bin/sh.tmp",
        "mv -f /bin/sh.tmp /bin/sh",
    ]


def test_the_tables_are_whole() -> None:
    assert all(package and pattern and why for package, pattern, why in SETTLED)
    assert not NEUTRAL & TOOLS.keys()
    assert not any(pattern.startswith(("*", "?", "$")) for _, pattern, _ in SETTLED[:2])


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (b"#!/usr/bin/perl\nprint 1;\n", "not a shell script (#!/usr/bin/perl)"),
        (b"\x7fELF\x00", "not a shell script"),
        (b"#!/bin/sh\nif true; then\n", "cannot read it"),
        (b"#!/bin/sh\necho 'never ends\n", "cannot read it"),
        (b"#!/bin/sh\na() { b; b; }\nb() { a; a; }\na\n", "it runs too many commands"),
        (b"#!/bin/sh\n" + b"(" * 5000, "nested too deeply"),
    ],
)
def test_what_cannot_be_read_is_told(script: bytes, reason: str) -> None:
    (found,) = classify_scripts("pkg", {"postinst": script}, Image())
    assert len(found.unhandled) == 1
    assert found.unhandled[0].startswith("all of it: ")
    assert reason in found.unhandled[0]


def test_triggers_and_removal_scripts() -> None:
    members = {
        "triggers": b"# comment\nactivate-noawait ldconfig\ninterest-noawait /usr/share/foo\n",
        "postrm": b"#!/bin/sh\nrm -rf /\n",
        "prerm": b"#!/bin/sh\nrm -rf /\n",
    }
    assert classify_scripts("pkg", members, Image()) == []
    script = b"#!/bin/sh\nif [ $1 = triggered ]; then frob $2; else :; fi\n"
    (found,) = classify_scripts("pkg", {**members, "postinst": script}, Image())
    assert (found.script, found.unhandled) == ("postinst", ("frob /usr/share/foo",))


def test_the_solve_reports_scripts(repository: Repository) -> None:
    script = b"#!/bin/sh\nldconfig\nupdate-menus\nfrob /x\n"
    repository.add("app", scripts={"postinst": script, "md5sums": b""})
    repository.add("quiet", scripts={"postinst": b"#!/bin/sh\nldconfig\n"})
    repository.add("menu")
    repository.publish()
    (found,) = solve(repository, "app", "quiet").section.scripts
    assert (found.package, found.script) == ("app", "postinst")
    assert (found.handled, found.unhandled) == ((), ("frob /x",))
    (found,) = solve(repository, "app", "menu").section.scripts
    assert found.unhandled == ("update-menus", "frob /x")


def test_a_damaged_package_is_named(repository: Repository) -> None:
    repository.add("app")
    path = next(repository.root.glob("pool/main/a/app/*.deb"))
    for data in (b"not an archive", make_ar({"debian-binary": b"2.0\n"})):
        path.write_bytes(data)
        repository.publish()
        with pytest.raises(ArtifactError) as caught:
            solve(repository, "app")
        assert caught.value.where == "pool/main/a/app/app_1.0_amd64.deb"


@given(st.lists(st.sampled_from(PIECES), max_size=25))
def test_any_text_is_classified(pieces: list[str]) -> None:
    script = b"#!/bin/sh\n" + "".join(pieces).encode()
    for found in classify_scripts("pkg", {"postinst": script}, Image()):
        assert found.handled or found.unhandled
