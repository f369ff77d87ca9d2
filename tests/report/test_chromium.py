"""The page in a real browser: nothing is refused, nothing sticks out, light and dark differ."""

from __future__ import annotations

import re
import subprocess
import zlib
from typing import TYPE_CHECKING

import pytest

from ..container.judges import need
from .pages import PROOF, page

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.container

_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
          "--enable-logging=stderr", "--virtual-time-budget=2000")  # fmt: skip
_PROBE = """
<script>
const all = (what) => [...document.querySelectorAll(what)];
const free = (e) => !e.closest(".scroll, pre, .skip, svg, thead");
const wide = all("body *").filter(e => free(e) && e.getBoundingClientRect().right > innerWidth + 1);
const shown = all("svg.map").filter(e => e.getBoundingClientRect().width);
const out = all("svg.map text").filter(e => {
  const map = e.closest("svg").getBoundingClientRect(), box = e.getBoundingClientRect();
  return box.width && (box.right > map.right + 1 || box.bottom > map.bottom + 1);
});
const names = wide.map(e => e.outerHTML.slice(0, 200));
document.title = JSON.stringify([names, shown.length, out.length]);
</script>
"""


def _chromium(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    need("chromium")
    done = subprocess.run(
        ["chromium", *_FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def _file(tmp_path: Path, text: str) -> str:
    file = tmp_path / "page.html"
    file.write_text(text)
    return file.as_uri()


def test_the_page_breaks_no_rule_of_its_own(tmp_path: Path) -> None:
    done = _chromium(tmp_path, "--dump-dom", _file(tmp_path, page(proof=PROOF)))
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not said, said
    assert "<article" in done.stdout


@pytest.mark.parametrize("width", [500, 1280])
def test_nothing_sticks_out(tmp_path: Path, width: int) -> None:
    text = re.sub("<meta http-equiv[^>]*>", "", page(proof=PROOF))  # for the probe's script
    place = _file(tmp_path, text.replace("</body>", f"{_PROBE}</body>"))
    done = _chromium(tmp_path, f"--window-size={width},900", "--dump-dom", place)
    title = re.search("<title>(.*?)</title>", done.stdout)
    assert title is not None
    assert title[1] == "[[],1,0]"


def test_light_dark_and_print(tmp_path: Path) -> None:
    place = _file(tmp_path, page(proof=PROOF))
    pictures = {}
    for scheme, number in (("dark", 0), ("light", 1)):
        shot = tmp_path / f"{scheme}.png"
        setting = f"--blink-settings=preferredColorScheme={number}"
        _chromium(tmp_path, "--window-size=800,600", setting, f"--screenshot={shot}", place)
        pictures[scheme] = _corner(shot.read_bytes())
    assert max(pictures["dark"]) < 60
    assert min(pictures["light"]) > 230
    printed = tmp_path / "page.pdf"
    _chromium(tmp_path, f"--print-to-pdf={printed}", place)
    assert printed.read_bytes().startswith(b"%PDF-")


def _corner(png: bytes) -> tuple[int, ...]:
    """Return the first pixel of a PNG with 8 bits a channel (its filter changes nothing there)."""
    assert png[24:26] in (b"\x08\x02", b"\x08\x06")
    place, data = 8, b""
    while place < len(png):
        size = int.from_bytes(png[place : place + 4])
        if png[place + 4 : place + 8] == b"IDAT":
            data += png[place + 8 : place + 8 + size]
        place += 12 + size
    return tuple(zlib.decompress(data)[1:4])
