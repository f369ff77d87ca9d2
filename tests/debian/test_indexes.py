from __future__ import annotations

import gzip
import lzma
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from envlock.errors import ArtifactError, FetchError, IntegrityError, UsageError
from envlock.layers.unpacked import inflate
from envlock.platforms import PLATFORMS
from envlock.progress import SILENT
from envlock.solve.debian import DebianRequest, solve_debian
from envlock.solve.debian.packages import parse_package
from envlock.solve.debian.release import read_release

from ..makers.debs import DATE, FolderTransport, Repository, make_key, sign
from .solving import URL, Listener, archive, chosen, solve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def _inrelease(repository: Repository) -> Path:
    return repository.root / "dists" / repository.suite / "InRelease"


def _packages(repository: Repository) -> Path:
    return _inrelease(repository).parent / "main/binary-amd64/Packages.xz"


def test_a_changed_inrelease_is_refused(repository: Repository) -> None:
    repository.publish()
    _rewrite(_inrelease(repository), lambda data: data.replace(b"Debian", b"Debiam"))
    with pytest.raises(IntegrityError, match="signature is not good") as caught:
        solve(repository)
    assert "\n" not in caught.value.message
    assert "backtrace" not in str(caught.value)
    assert caught.value.where == f"{URL}/dists/bookworm/InRelease"


def test_text_around_the_signed_part_is_not_read(repository: Repository) -> None:
    repository.publish()
    path = _inrelease(repository)
    before = read_release(path.read_bytes(), _keyring(repository))
    forged = b"Suite: forged\nSHA256:\n " + b"0" * 64 + b" 1 main/binary-amd64/Packages\n\n"
    _rewrite(path, lambda data: forged + data)
    try:
        after = read_release(path.read_bytes(), _keyring(repository))
    except IntegrityError:
        return
    assert (after.suite, after.files) == (before.suite, before.files)


def _keyring(repository: Repository) -> bytes:
    return repository.write_keyring(repository.root.parent / "k").read_bytes()


def test_an_unsigned_or_foreign_release_is_refused(repository: Repository) -> None:
    repository.publish()
    text = b"Suite: bookworm\nCodename: bookworm\n"
    for data in (b"", b"<html>hello</html>", text, sign(text, make_key())):
        _inrelease(repository).write_bytes(data)
        with pytest.raises(IntegrityError):
            solve(repository)


def test_changed_packages_are_refused(repository: Repository) -> None:
    repository.publish()
    good = _packages(repository).read_bytes()
    changed = bytearray(good)
    changed[-20] ^= 1
    for data, message in ((bytes(changed), "sha256"), (good[:-1], "bytes instead of")):
        _packages(repository).write_bytes(data)
        with pytest.raises(IntegrityError, match=message):
            solve(repository)
    _packages(repository).write_bytes(good + b"\0")
    with pytest.raises(IntegrityError):
        solve(repository)


def test_another_suite_is_refused(repository: Repository) -> None:
    repository.publish()
    other = archive(repository, suites=("trixie",))
    (repository.root / "dists/trixie").symlink_to(repository.root / "dists/bookworm")
    with pytest.raises(IntegrityError, match="asked for the suite 'trixie'"):
        solve(repository, archives=(other,))


def test_an_expired_release_is_refused(repository: Repository) -> None:
    repository.publish(valid_until=DATE + timedelta(days=7))
    with pytest.raises(FetchError, match="valid until 20250527T120000Z only"):
        solve(repository)
    relaxed = archive(repository, check_valid_until=False)
    assert len(solve(repository, archives=(relaxed,)).artifacts) == 4
    repository.publish(valid_until=datetime.now(UTC) + timedelta(days=7))
    assert len(solve(repository).artifacts) == 4


def test_reads_by_hash_where_the_archive_offers_it(repository: Repository) -> None:
    repository.publish(by_hash=True)
    _packages(repository).write_bytes(b"already the next one")
    transport = FolderTransport({URL: repository.root})
    solve(repository, transport=transport)
    assert any("/by-hash/SHA256/" in url for url in transport.asked)


def test_falls_back_to_the_plain_name(repository: Repository) -> None:
    repository.publish(by_hash=True)
    for path in _packages(repository).parent.glob("by-hash/SHA256/*"):
        path.unlink()
    assert len(solve(repository).artifacts) == 4


def test_the_next_mirror_is_tried(repository: Repository, tmp_path: Path) -> None:
    repository.publish()
    bad = tmp_path / "bad/dists/bookworm"
    bad.mkdir(parents=True)
    (bad / "InRelease").write_bytes(b"out of order")
    mirrors = ("https://gone.example.com", "https://bad.example.com", URL)
    transport = FolderTransport({mirrors[1]: tmp_path / "bad", URL: repository.root})
    listener = Listener()
    solution = solve(
        repository,
        archives=(archive(repository, urls=mirrors),),
        transport=transport,
        listener=listener,
    )
    assert len(solution.artifacts) == 4
    assert len(listener.warnings) == 1
    assert "bad.example.com" in listener.warnings[0]


def test_all_mirrors_failed(repository: Repository, tmp_path: Path) -> None:
    repository.publish()
    _inrelease(repository).write_bytes(b"broken")
    mirrors = (URL, "https://two.example.com")
    transport = FolderTransport(dict.fromkeys(mirrors, repository.root))
    with pytest.raises(IntegrityError, match="no mirror of debian has a usable bookworm") as caught:
        solve(repository, archives=(archive(repository, urls=mirrors),), transport=transport)
    assert len(caught.value.details) == 2


def test_updates_may_be_missing_but_not_broken(repository: Repository) -> None:
    repository.publish()
    both = (archive(repository, suites=("bookworm", "bookworm-updates")),)
    listener = Listener()
    solution = solve(repository, archives=both, listener=listener)
    assert listener.warnings == ["debian has no suite bookworm-updates: solved without it"]
    assert [index.suite for index in solution.section.indexes] == ["bookworm"]
    broken = repository.root / "dists/bookworm-updates"
    broken.mkdir()
    (broken / "InRelease").write_bytes(b"broken")
    with pytest.raises(IntegrityError):
        solve(repository, archives=both)


def test_updates_may_be_missing_on_every_mirror(repository: Repository) -> None:
    repository.publish()
    mirrors = (URL, "https://two.example.com")
    both = (archive(repository, suites=("bookworm", "bookworm-updates"), urls=mirrors),)
    transport = FolderTransport(dict.fromkeys(mirrors, repository.root))
    listener = Listener()
    solve(repository, archives=both, listener=listener, transport=transport)
    assert listener.warnings == ["debian has no suite bookworm-updates: solved without it"]


def test_security_updates_may_not_be_missing(repository: Repository) -> None:
    repository.publish()
    url = "https://mirror.example.com/debian-security"
    security = archive(
        repository, name="debian-security", suites=("bookworm-security",), urls=(url,)
    )
    transport = FolderTransport({URL: repository.root})
    listener = Listener()
    with pytest.raises(
        FetchError, match="debian-security has no suite bookworm-security"
    ) as caught:
        solve(
            repository,
            archives=(archive(repository), security),
            listener=listener,
            transport=transport,
        )
    assert caught.value.exit_code == 3
    assert caught.value.hint is not None
    assert "security updates" in caught.value.hint
    assert listener.warnings == []


def test_the_suite_itself_may_not_be_missing(repository: Repository) -> None:
    with pytest.raises(FetchError):
        solve(repository)
    repository.publish()
    with pytest.raises(UsageError, match="no contrib packages for amd64"):
        solve(repository, components=("main", "contrib"))


def test_security_updates_win(repository: Repository, tmp_path: Path) -> None:
    repository.add("lib", "1.0")
    repository.publish()
    security = Repository(tmp_path / "security", suite="bookworm-security", key=repository.key)
    security.add("lib", "1.0+deb12u1")
    security.publish(date=DATE + timedelta(days=1))
    url = "https://mirror.example.com/debian-security"
    archives = (
        archive(repository),
        archive(security, name="debian-security", urls=(url,)),
    )
    transport = FolderTransport({URL: repository.root, url: security.root})
    solution = solve(repository, "lib", archives=archives, transport=transport)
    assert chosen(solution) == {"lib": "1.0+deb12u1"}
    assert {a.name: a.source for a in solution.artifacts}["lib"] == "debian-security"
    assert [(i.archive, i.date) for i in solution.section.indexes] == [
        ("debian", "20250520T120000Z"),
        ("debian-security", "20250521T120000Z"),
    ]


@pytest.mark.parametrize(
    ("suite", "said"),
    [
        (
            "jammy",
            "jammy is Ubuntu's, and the OS layer is Debian's: write bookworm or trixie; or name",
        ),
        ("bookwrom", "did you mean bookworm? or name a mirror"),
        ("trixie", "name a mirror: ENVLOCK_MIRROR_DEBIAN"),
        ("company", "name a mirror: ENVLOCK_MIRROR_DEBIAN"),
    ],
)
def test_suites_that_no_source_has(suite: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        solve_debian(
            DebianRequest(suite=suite, packages=()), PLATFORMS["linux-64"], (), FolderTransport({}),
            SILENT,
        )  # fmt: skip
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(said)


def test_no_archives_says_how_to_get_some(repository: Repository) -> None:
    with pytest.raises(UsageError, match="no apt sources for debian bookworm") as caught:
        solve(repository, archives=())
    assert caught.value.hint is not None
    for word in ("ENVLOCK_MIRROR_DEBIAN", "[mirrors]", "ENVLOCK_KEYRING_DEBIAN"):
        assert word in caught.value.hint


def test_a_missing_keyring_is_a_usage_error(repository: Repository, tmp_path: Path) -> None:
    repository.publish()
    with pytest.raises(UsageError, match="keyring cannot be read: No such file") as caught:
        solve(repository, archives=(archive(repository, keyring=tmp_path / "none.gpg"),))
    assert caught.value.where == str(tmp_path / "none.gpg")
    assert caught.value.hint is not None
    assert "ENVLOCK_KEYRING_DEBIAN" in caught.value.hint


def test_a_keyring_may_be_at_hand(repository: Repository) -> None:
    repository.publish()
    armored = str(repository.key.extract_certificate()).encode()
    assert armored.startswith(b"-----BEGIN PGP PUBLIC KEY BLOCK-----")
    for keyring in (_keyring(repository), armored, armored + b"\n" + armored):
        assert (
            len(solve(repository, archives=(archive(repository, keyring=keyring),)).artifacts) == 4
        )
    other = bytes(make_key().extract_certificate())
    with pytest.raises(IntegrityError, match="signature"):
        solve(repository, archives=(archive(repository, keyring=other),))
    with pytest.raises(UsageError, match="no OpenPGP data"):
        solve(repository, archives=(archive(repository, keyring=b"nothing"),))


def test_one_warning_names_the_newest_index(repository: Repository, tmp_path: Path) -> None:
    repository.publish()
    updates = Repository(repository.root, suite="bookworm-updates", key=repository.key)
    updates.publish(date=DATE + timedelta(days=3))
    both = (archive(repository, suites=("bookworm", "bookworm-updates")),)
    listener = Listener()
    options = {"exclude_newer": DATE - timedelta(days=1)}
    solve(repository, archives=both, listener=listener, options=options)
    (warning,) = listener.warnings
    assert "those of 2025-05-23," in warning


def test_an_index_newer_than_exclude_newer_is_told(repository: Repository) -> None:
    repository.publish()
    listener = Listener()
    solve(repository, listener=listener, options={"exclude_newer": DATE - timedelta(days=1)})
    (warning,) = listener.warnings
    assert "those of 2025-05-20, not of exclude-newer (2025-05-19)" in warning
    assert "ENVLOCK_SNAPSHOT_DEBIAN or [snapshots]" in warning
    assert "\n" not in warning
    listener.warnings.clear()
    solve(repository, listener=listener, options={"exclude_newer": DATE + timedelta(days=1)})
    assert listener.warnings == []


def test_solves_in_the_past(repository: Repository) -> None:
    repository.add("app", "1.0")
    repository.publish(valid_until=DATE + timedelta(days=7))
    moment = DATE + timedelta(days=2)
    base = "https://snapshot.example.com/debian/20250522T120000Z"
    options = {
        "exclude_newer": moment,
        "snapshot": "https://snapshot.example.com/{archive}/{timestamp}/",
    }
    transport = FolderTransport({base: repository.root})
    assert chosen(solve(repository, "app", transport=transport, options=options)) == {"app": "1.0"}
    repository.publish(date=moment + timedelta(hours=1))
    with pytest.raises(IntegrityError, match="newer than the moment asked for"):
        solve(repository, "app", transport=transport, options=options)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Filename", "../../etc/passwd.deb"),
        ("Filename", "/pool/a.deb"),
        ("Filename", "pool/../a.deb"),
        ("Filename", "pool/a b.deb"),
        ("SHA256", "abc"),
        ("Size", "-1"),
        ("Package", "a/b"),
        ("Version", ""),
    ],
)
def test_a_stanza_that_breaks_the_rules(field: str, value: str) -> None:
    fields = {
        "Package": "a",
        "Version": "1",
        "Architecture": "amd64",
        "Filename": "pool/a.deb",
        "Size": "1",
        "SHA256": "0" * 64,
    }
    assert parse_package(_stanza(fields), 0).name == "a"
    with pytest.raises(ArtifactError, match=f"the field {field.lower()} is"):
        parse_package(_stanza(fields | {field: value}), 0)


def _stanza(fields: dict[str, str]) -> bytes:
    return "".join(f"{name}: {value}\n" for name, value in fields.items()).encode()


def test_inflate_is_bounded() -> None:
    data = b"a" * 100_000
    for suffix, packed in ((".xz", lzma.compress(data)), (".gz", gzip.compress(data)), ("", data)):
        assert inflate(packed, suffix, 100_000) == data
        with pytest.raises(ArtifactError, match="more than the 99999 bytes"):
            inflate(packed, suffix, 99_999)
    twice = lzma.compress(b"one") + lzma.compress(b"two")
    assert inflate(twice, ".xz", 100) == b"onetwo"
    with pytest.raises(ArtifactError, match="ends too early"):
        inflate(lzma.compress(data)[:-8], ".xz", 100_000)
    with pytest.raises(ArtifactError, match="damaged"):
        inflate(b"no xz data " * 9, ".xz", 100_000)
    with pytest.raises(ArtifactError, match="cannot read"):
        inflate(b"", ".lz", 1)
