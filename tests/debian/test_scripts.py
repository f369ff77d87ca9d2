from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.errors import ArtifactError
from envlock.layers.system import KNOWN_ALTERNATIVES
from envlock.solve.debian.deb import control_members
from envlock.solve.debian.effects import ALTERNATIVES
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
    text: str, alternatives: dict[str, str] | None = None, name: str = "postinst"
) -> tuple[list[str], list[str]]:
    """Return what is handled and what is not in a shell script."""
    members = {name: f"#!/bin/sh\nset -e\n{text}\n".encode()}
    found = classify_scripts("pkg", members, alternatives or {})
    assert len(found) <= 1
    return (list(found[0].handled), list(found[0].unhandled)) if found else ([], [])


def test_effects_that_the_builder_writes() -> None:
    script = """
case "$1" in
    configure)
        ldconfig
        update-ca-certificates --fresh >/dev/null
        py3compile -p foo
        if [ -d /run/systemd/system ]; then deb-systemd-invoke start foo.service || true; fi
        update-rc.d foo defaults
        dpkg-maintscript-helper rm_conffile /etc/foo 1.0 -- "$@"
        ;;
    abort-upgrade|abort-remove) rm -rf /srv ;;
    *) echo "unknown" >&2; exit 1 ;;
esac
"""
    handled, unhandled = _classify(script)
    assert unhandled == []
    assert handled == [
        "ldconfig",
        "update-ca-certificates",
        "py3compile",
        "systemd units",
        "init scripts",
        "dpkg-maintscript-helper",
    ]


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
        ("exec update-menus", ["update-menus"]),
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
        ("touch \\\n  /x", ["touch /x"]),
        ("$unknown /x", ["$unknown /x"]),
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
    assert _classify(script) == ([], [script])
    assert _classify(script, {"/usr/bin/cc": "/usr/bin/gcc"}) == (
        ["update-alternatives /usr/bin/cc"],
        [],
    )


def test_debconf_counts_where_it_asks() -> None:
    script = ". /usr/share/debconf/confmodule\ndb_version 2.0\ndb_stop"
    assert _classify(script) == (["debconf"], [])
    assert _classify(script + "\ndb_input high foo/bar || true")[1] == [
        "debconf: db_input high foo/bar"
    ]


def test_files_that_the_builder_writes_anyway() -> None:
    script = "cp /usr/share/base-passwd/passwd.master /etc/passwd\ncat x > /etc/group"
    assert _classify(script) == (["passwd and group"], [])


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
    (found,) = classify_scripts("pkg", {"postinst": script}, {})
    assert len(found.unhandled) == 1
    assert found.unhandled[0].startswith("all of it: ")
    assert reason in found.unhandled[0]


def test_triggers_and_removal_scripts() -> None:
    members = {
        "triggers": b"# comment\nactivate-noawait ldconfig\ninterest-noawait /usr/share/foo\n",
        "postrm": b"#!/bin/sh\nrm -rf /\n",
        "prerm": b"#!/bin/sh\nrm -rf /\n",
    }
    (found,) = classify_scripts("pkg", members, {})
    assert found.script == "triggers"
    assert found.handled == ("ldconfig",)
    assert found.unhandled == ("interest-noawait /usr/share/foo",)


def test_the_solve_reports_scripts(repository: Repository) -> None:
    repository.add("app", scripts={"postinst": b"#!/bin/sh\nldconfig\nfrob /x\n", "md5sums": b""})
    repository.publish()
    (found,) = solve(repository, "app").section.scripts
    assert (found.package, found.script) == ("app", "postinst")
    assert (found.handled, found.unhandled) == (("ldconfig",), ("frob /x",))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not an archive",
        b"!<arch>\nshort",
        make_ar({"debian-binary": b"2.0\n"}),
        make_ar({"control.tar.zst": b""}),
        make_ar({"control.tar": b"x" * 512}),
    ],
)
def test_damaged_packages(data: bytes) -> None:
    with pytest.raises(ArtifactError):
        control_members(io.BytesIO(data))


@given(st.lists(st.sampled_from(PIECES), max_size=25))
def test_any_text_is_classified(pieces: list[str]) -> None:
    script = b"#!/bin/sh\n" + "".join(pieces).encode()
    for found in classify_scripts("pkg", {"postinst": script}, {}):
        assert found.handled or found.unhandled


def test_the_table_of_alternatives_is_the_builders() -> None:
    links = {
        package: {f"/{link}" for link in links} for package, links in KNOWN_ALTERNATIVES.items()
    }
    for package, ours in ALTERNATIVES.items():
        assert {link.replace("/lib/", "/usr/lib/") for link in ours} <= links[package]
