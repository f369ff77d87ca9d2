"""Debian packages and signed repositories, made in code."""

from __future__ import annotations

import io
import lzma
import tarfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

import pysequoia

from envlock.errors import FetchError, IntegrityError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

DATE = datetime(2025, 5, 20, 12, 0, 0, tzinfo=UTC)


class MissingError(FetchError):
    """What a transport raises when the server says 404."""

    status = 404


def make_deb(
    path: Path,
    *,
    name: str,
    version: str,
    files: Mapping[str, bytes] | None = None,
    depends: str = "",
    scripts: Mapping[str, bytes] | None = None,
    architecture: str = "amd64",
    fields: Mapping[str, str] | None = None,
) -> Path:
    """Write a .deb (deb(5)); ``files``: path below the root -> content; ``scripts``: by name."""
    control = {"Package": name, "Version": version, "Architecture": architecture}
    control |= {"Depends": depends} if depends else {}
    control |= {"Maintainer": "Nobody <nobody@example.com>", "Description": "a test"}
    control |= dict(fields or {})
    text = "".join(f"{key}: {value}\n" for key, value in control.items())
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.xz": _tar_xz({"control": text.encode(), **(scripts or {})}),
        "data.tar.xz": _tar_xz(files or {}),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(make_ar(members))
    return path


def make_ar(members: Mapping[str, bytes]) -> bytes:
    """Return an ar archive in the form that dpkg-deb writes."""
    parts = [b"!<arch>\n"]
    for name, content in members.items():
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n"
        parts += [header.encode(), content, b"\n" * (len(content) % 2)]
    return b"".join(parts)


def _tar_xz(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            member.mode = 0o755
            archive.addfile(member, io.BytesIO(content))
    return lzma.compress(buffer.getvalue())


@dataclass(slots=True)
class Repository:
    """A folder with ``pool/`` and ``dists/<suite>/``, signed by a key of its own."""

    root: Path
    suite: str = "bookworm"
    label: str = "oldstable"
    architecture: str = "amd64"
    component: str = "main"
    key: pysequoia.Tsk = field(default_factory=lambda: make_key())
    stanzas: list[str] = field(default_factory=list)

    def add(
        self,
        name: str,
        version: str = "1.0",
        *,
        depends: str = "",
        scripts: Mapping[str, bytes] | None = None,
        architecture: str | None = None,
        **fields: str,
    ) -> None:
        """Add a package; ``fields`` like ``pre_depends`` become control fields."""
        architecture = architecture or self.architecture
        extra = {key.replace("_", "-").title(): value for key, value in fields.items()}
        plain = version.replace(":", "%3a")
        filename = f"pool/main/{name[0]}/{name}/{name}_{plain}_{architecture}.deb"
        path = make_deb(
            self.root / filename,
            name=name,
            version=version,
            depends=depends,
            scripts=scripts,
            architecture=architecture,
            fields=extra,
        )
        data = path.read_bytes()
        stanza = {"Package": name, "Version": version, "Architecture": architecture}
        stanza |= {"Depends": depends} if depends else {}
        stanza |= extra
        stanza |= {
            "Filename": filename,
            "Size": str(len(data)),
            "SHA256": sha256(data).hexdigest(),
        }
        self.stanzas.append("".join(f"{key}: {value}\n" for key, value in stanza.items()))

    def add_base(self) -> None:
        """Add the packages that every solve asks for."""
        for name in ("base-files", "base-passwd", "dash", "libc-bin"):
            self.add(name)

    def publish(
        self,
        *,
        date: datetime = DATE,
        valid_until: datetime | None = None,
        by_hash: bool = False,
        stanzas: Sequence[str] | None = None,
    ) -> None:
        """Write Packages.xz and InRelease."""
        text = "\n".join(self.stanzas if stanzas is None else stanzas).encode()
        folder = f"{self.component}/binary-{self.architecture}"
        files = {f"{folder}/Packages": text, f"{folder}/Packages.xz": lzma.compress(text)}
        dists = self.root / "dists" / self.suite
        (dists / folder).mkdir(parents=True, exist_ok=True)
        packed = files[f"{folder}/Packages.xz"]
        (dists / folder / "Packages.xz").write_bytes(packed)
        if by_hash:
            hashes = dists / folder / "by-hash/SHA256"
            hashes.mkdir(parents=True, exist_ok=True)
            (hashes / sha256(packed).hexdigest()).write_bytes(packed)
        release = [
            "Origin: Debian",
            f"Suite: {self.label}",
            f"Codename: {self.suite}",
            f"Date: {_date(date)}",
            *([f"Valid-Until: {_date(valid_until)}"] if valid_until else []),
            *(["Acquire-By-Hash: yes"] if by_hash else []),
            f"Architectures: {self.architecture}",
            f"Components: {self.component}",
            "SHA256:",
            *(f" {sha256(data).hexdigest()} {len(data):>8} {name}" for name, data in files.items()),
        ]
        signed = sign("\n".join(release).encode() + b"\n", self.key)
        (dists / "InRelease").write_bytes(signed)

    def write_keyring(self, path: Path) -> Path:
        """Write the certificate that verifies this repository."""
        path.write_bytes(bytes(self.key.extract_certificate()))
        return path


def make_key() -> pysequoia.Tsk:
    """Return a new signing key."""
    return pysequoia.Tsk.generate("Archive <archive@example.com>")


def sign(text: bytes, key: pysequoia.Tsk) -> bytes:
    """Return ``text`` in the cleartext signature framework."""
    return pysequoia.sign(key.signer(), text, mode=pysequoia.SignatureMode.CLEAR)


def _date(moment: datetime) -> str:
    return moment.strftime("%a, %d %b %Y %H:%M:%S UTC")


@dataclass(slots=True)
class FolderTransport:
    """Serves folders as if they were mirrors: URL base -> folder; remembers what was read."""

    folders: Mapping[str, Path]
    asked: list[str] = field(default_factory=list)

    def read(self, url: str, *, limit: int) -> bytes:
        """Return a file of the folder that the URL belongs to."""
        self.asked.append(url)
        data = self._path(url).read_bytes()
        if len(data) > limit:
            raise IntegrityError(f"more than {limit} bytes", where=url)
        return data

    def artifact(self, urls: Sequence[str], *, name: str, sha256: str, size: int) -> Path:
        """Return the first file that exists."""
        error: FetchError | None = None
        for url in urls:
            try:
                return self._path(url)
            except FetchError as missing:
                error = missing
        assert error is not None
        raise error

    def _path(self, url: str) -> Path:
        for base, folder in self.folders.items():
            path = folder / url.removeprefix(base + "/")
            if url.startswith(base + "/") and path.is_file():
                return path
        raise MissingError("no such file", where=url)
