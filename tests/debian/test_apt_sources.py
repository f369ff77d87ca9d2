from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from envlock.apt_sources import apt_archives, parse_check_valid_until, parse_deb822, parse_one_line
from envlock.cli.context import with_keyring
from envlock.debian_archive import parse_timestamp, snapshot_urls, timestamp
from envlock.lock.model import DebianIndex

if TYPE_CHECKING:
    from pathlib import Path

DEB822 = """\
# a comment
Types: deb deb-src
URIs: http://one.example.com/debian/ http://two.example.com/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main
# another
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://one.example.com/debian-security
Suites: bookworm-security
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
Check-Valid-Until: no

Enabled: no
Types: deb
URIs: http://off.example.com/debian
Suites: bookworm
Components: main
"""

ONE_LINE = """\
deb cdrom:[Debian GNU/Linux 12]/ bookworm main
# deb http://off.example.com/debian bookworm main
deb-src http://one.example.com/debian bookworm main
deb http://one.example.com/debian bookworm main contrib # why
deb [arch=amd64 signed-by=/k/debian-archive-a.gpg check-valid-until=no] https://two.example.com/d bookworm-security main
"""  # noqa: E501


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc/apt/sources.list.d").mkdir(parents=True)
    keyring = tmp_path / "usr/share/keyrings/debian-archive-keyring.gpg"
    keyring.parent.mkdir(parents=True)
    keyring.write_bytes(b"")
    return tmp_path


def _write(root: Path, name: str, text: str) -> None:
    (root / "etc/apt" / name).write_text(text)


def test_deb822(root: Path) -> None:
    _write(root, "sources.list.d/debian.sources", DEB822)
    _write(root, "sources.list.d/off.sources.disabled", DEB822.replace("one", "off"))
    main, security = apt_archives(root, suite="bookworm")
    assert main.name == "debian"
    assert main.suites == ("bookworm", "bookworm-updates")
    assert main.urls == ("http://one.example.com/debian", "http://two.example.com/debian")
    assert main.keyring == root / "usr/share/keyrings/debian-archive-keyring.gpg"
    assert main.check_valid_until
    assert (security.name, security.suites) == ("debian-security", ("bookworm-security",))
    assert not security.check_valid_until


def test_one_line(root: Path) -> None:
    _write(root, "sources.list", ONE_LINE)
    main, security = apt_archives(root, suite="bookworm")
    assert (main.suites, main.urls) == (("bookworm",), ("http://one.example.com/debian",))
    assert security.urls == ("https://two.example.com/d",)
    assert not security.check_valid_until


def test_aptwide_valid_until(root: Path) -> None:
    _write(root, "sources.list.d/debian.sources", DEB822)
    archives = apt_archives(root, suite="bookworm", check_valid_until=False)
    assert not any(archive.check_valid_until for archive in archives)
    assert not parse_check_valid_until('A "";\nAcquire::Check-Valid-Until "false";\n')
    assert parse_check_valid_until('Acquire::Check-Valid-Until "true";\n')
    assert parse_check_valid_until("")


@pytest.mark.parametrize(
    "text",
    [
        "deb http://ports.example.com/ubuntu jammy main universe\n",
        # other repositories that use Debian's codenames
        "deb [signed-by=/etc/apt/keyrings/vendor.gpg] https://apt.example.com bookworm main\n",
        "deb https://apt.example.com bookworm stable\n",
        "deb https://apt.example.com bookworm-pgdg main\n",
        "deb http://mirror.example.com/debian-security bookworm-security main\n",
        "deb file:/srv/debian bookworm main\n",
        "nonsense\n",
        "",
    ],
)
def test_what_is_not_debian_gives_nothing(root: Path, text: str) -> None:
    _write(root, "sources.list", text)
    assert apt_archives(root, suite="bookworm") == []


def test_other_distributions_and_machines_without_apt(root: Path, tmp_path: Path) -> None:
    _write(root, "sources.list", "deb http://one.example.com/debian bookworm main\n")
    assert apt_archives(root, suite="bookworm", distribution="ubuntu") == []
    assert apt_archives(root, suite="noble") == []
    assert apt_archives(root, suite="bookworm", components=("non-free",)) == []
    assert apt_archives(tmp_path / "nowhere", suite="bookworm") == []


def test_a_mirror_serves_the_other_suites_of_debian(root: Path) -> None:
    _write(root, "sources.list.d/debian.sources", DEB822)
    main, security = apt_archives(root, suite="trixie")
    assert main.suites == ("trixie", "trixie-updates")
    assert main.urls == ("http://one.example.com/debian", "http://two.example.com/debian")
    assert (security.name, security.suites) == ("debian-security", ("trixie-security",))
    _write(root, "sources.list", "deb http://three.example.com/debian trixie main\n")
    (main,) = apt_archives(root, suite="trixie")
    assert main.urls == ("http://three.example.com/debian",)


KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc/def\n=xyz\n-----END PGP PUBLIC KEY BLOCK-----\n"


def _embedded(host: str, key: str = KEY) -> str:
    lines = "".join(f" {line or '.'}\n" for line in key.splitlines())
    return (
        f"Types: deb\nURIs: http://{host}.example.com/debian\nSuites: bookworm\n"
        f"Components: main\nSigned-By:\n{lines}\n"
    )


def test_an_embedded_key_is_used(root: Path) -> None:
    (source,) = parse_deb822(_embedded("one"))
    assert (source.signed_by, source.key) == ((), KEY.encode())
    _write(root, "sources.list.d/own.sources", _embedded("own"))
    (main,) = apt_archives(root, suite="bookworm")
    assert main.keyring == KEY.encode()
    assert main.urls == ("http://own.example.com/debian",)
    again = _embedded("two", KEY.replace("abc", "ABC"))
    _write(root, "sources.list.d/own.sources", _embedded("own") + "\n" + again)
    (main,) = apt_archives(root, suite="bookworm")
    assert main.keyring == KEY.encode() + b"\n" + KEY.replace("abc", "ABC").encode()


def test_a_vendors_embedded_key_does_not_replace_debians(root: Path) -> None:
    _write(root, "sources.list.d/a-vendor.sources", _embedded("vendor"))
    _write(root, "sources.list.d/debian.sources", DEB822)
    main, _ = apt_archives(root, suite="bookworm")
    assert main.keyring == root / "usr/share/keyrings/debian-archive-keyring.gpg"
    assert main.urls == ("http://one.example.com/debian", "http://two.example.com/debian")


def test_a_named_keyring_is_not_replaced_by_another(root: Path) -> None:
    named = "deb [signed-by=/k/debian-archive-a.gpg] http://one.example.com/d bookworm main\n"
    _write(root, "sources.list", named)
    (main,) = apt_archives(root, suite="bookworm")
    assert main.keyring == root / "k/debian-archive-a.gpg"
    _write(root, "sources.list", "deb http://one.example.com/d bookworm main\n")
    (main,) = apt_archives(root, suite="bookworm")
    assert main.keyring == root / "usr/share/keyrings/debian-archive-keyring.gpg"


def test_a_configured_keyring_wins(root: Path) -> None:
    _write(root, "sources.list.d/debian.sources", DEB822)
    found = apt_archives(root, suite="bookworm")
    mine = root / "mine.gpg"
    assert [one.keyring for one in with_keyring(found, mine)] == [mine, mine]
    assert with_keyring(found, None) == found


def test_one_line_without_options() -> None:
    (source,) = parse_one_line("deb\thttp://one.example.com/debian  bookworm   main contrib\n")
    assert source.components == ("main", "contrib")


def test_snapshot_urls() -> None:
    index = DebianIndex(
        archive="debian-security", suite="bookworm-security", date="20251231T200000Z", sha256=""
    )
    template = "https://snapshot.example.com/archive/{archive}/{timestamp}/"
    base = "https://snapshot.example.com/archive/debian-security"
    assert snapshot_urls(template, index, "pool/a.deb") == [
        f"{base}/20251231T200000Z/pool/a.deb",
        f"{base}/20260101T020000Z/pool/a.deb",
        f"{base}/20260101T200000Z/pool/a.deb",
    ]
    assert timestamp(parse_timestamp(index.date)) == index.date
    with pytest.raises(ValueError, match="does not match"):
        parse_timestamp("2025-12-31")
