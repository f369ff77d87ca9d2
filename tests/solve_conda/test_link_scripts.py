"""What post-link scripts would do, told without running them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from envlock.fetch.artifacts import Fetcher
from envlock.fetch.http import Http
from envlock.fetch.store import Store
from envlock.lock.model import Artifact, CondaRecord
from envlock.solve.conda.packages import PackageReader
from envlock.solve.link_scripts import HANDLED, effects

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = Artifact(
    kind="conda", name="tool", version="1.2", source="main", file="tool-1.2-h0_3.conda",
    path="linux-64/tool-1.2-h0_3.conda", sha256="0" * 64, size=1,
    conda=CondaRecord(build="h0_3", build_number=3, subdir="linux-64"),
)  # fmt: skip

HARMLESS = {
    "nothing": "",
    "comments": "#!/bin/sh\n# nothing to do\nexit 0\n",
    "a message": '#!/bin/bash\ncat << EOF >> "${PREFIX}/.messages.txt"\n\nRead the terms.\nEOF\n',
    "a message, echoed": 'echo "Read the terms." >> $PREFIX/.messages.txt 2>&1\n',
    "by a function": 'say() { printf "%s\\n" "$*"; }\nif [ -f "$PREFIX/x" ]; then say it; fi\n',
    "looked for": "command -v dot >/dev/null && echo dot | sort -u\n",
    "behind the end": 'exit 0\nrm -rf "$PREFIX/lib"\n',
}

LACKED = {
    '"${PREFIX}/bin/dot" -c\n': "$PREFIX/bin/dot -c",
    '#!/bin/bash -eu\n[ -z "$PREFIX" ] && exit 1\n"$PREFIX/bin/q" --update-cache || true\n': (
        "$PREFIX/bin/q --update-cache"
    ),
    'if [ -f "$PREFIX/x" ]; then :; else rm -rf "$PREFIX/y"; fi\n': "rm -rf $PREFIX/y",
    'echo a > "$PREFIX/etc/a"\n': "echo a > $PREFIX/etc/a",
    "mkdir -p $PREFIX/share/$PKG_NAME-$PKG_VERSION-$PKG_BUILDNUM": (
        "mkdir -p $PREFIX/share/tool-1.2-3"
    ),
    "command rm -rf $PREFIX/x\n": "command rm -rf $PREFIX/x",
    "sort -uo $PREFIX/x $PREFIX/x\n": "sort -uo $PREFIX/x $PREFIX/x",
    'echo a > "$PREFIX/.messages.txt.d/a"\n': "echo a > $PREFIX/.messages.txt.d/a",
    'x "$(curl https://example.com)"\n': "curl https://example.com",
    "#!/usr/bin/env python\nprint(1)\n": "all of it: not a shell script (#!/usr/bin/env python)",
    "if true; then\n": "all of it: envlock cannot read it",
}


@pytest.mark.parametrize("script", HARMLESS.values(), ids=HARMLESS)
def test_what_needs_nobody(script: str) -> None:
    assert effects(PACKAGE, [script.encode()]) == ((HANDLED,), ())


@pytest.mark.parametrize(("script", "lacked"), LACKED.items())
def test_what_the_image_lacks(script: str, lacked: str) -> None:
    handled, unhandled = effects(PACKAGE, [script.encode()])
    assert handled == ()
    assert [one for one in unhandled if one.startswith(lacked)]


def test_long_commands_are_cut() -> None:
    _, (command,) = effects(PACKAGE, [b"install " + b"x" * 1000])
    assert len(command) < 400


def test_what_was_read_of_them_is_in_use_and_not_fetched_again(tmp_path: Path) -> None:
    """Else a prune beside it could take it between the look and the reading."""
    http = Http(offline=True)
    reader = PackageReader({}, http, Fetcher(Store(tmp_path), http), tmp_path / "packages")
    known = tmp_path / "packages" / f"{PACKAGE.sha256}.scripts.json"
    known.parent.mkdir()
    known.write_text('{"bin/x": "echo"}')
    os.utime(known, (1, 1))
    assert reader.texts(PACKAGE, ["bin/x"]) == {"bin/x": b"echo"}
    assert known.stat().st_mtime > 1
