"""Who published a wheel (PEP 740), by attestations that were really made.

``attestations/`` has the provenance of two releases as their index has it: one of a project on
GitHub, one on CircleCI.  A signature cannot be made up, and so neither can the files' sha256.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from envlock.attestations import AttestationError, attest
from envlock.errors import FetchError
from envlock.fetch.http import Http
from envlock.fetch.indexes import SimpleIndex
from envlock.lock.attested import unattested
from envlock.lock.codec import dump_lock, load_lock, parse_lock
from envlock.lock.model import Artifact, Attested, Lock
from envlock.progress import SILENT

from ..makers.fixtures import index, machine, mirror
from ..makers.index import Fault
from ..makers.wheels import make_wheel, metadata_text

if TYPE_CHECKING:
    from ..makers.index import Index
    from ..makers.machine import Machine

__all__ = ["index", "machine", "mirror"]

HERE = Path(__file__).parent / "attestations"
GITHUB = (HERE / "github.json").read_bytes()
CIRCLECI = (HERE / "circleci.json").read_bytes()
RELEASE = "pypi_attestations-0.0.19.tar.gz"
SHA = "9bb1add04b1b4e182be6b0b80931593f7a291eb49d69b4fd728a5d4cbcdc4bd3"
WHO = Attested(
    publisher="GitHub", repository="trailofbits/pypi-attestations", workflow="release.yml"
)
NAME = "circleci-sign-publish-example"
VERSION = "0.0.1.dev137"
WHEEL_SHA = "8cb34da1e27336f11a2c43f3f9c7433bd76f24f470c904724f06ad7f131d9e9f"
REPOSITORY = "github.com/CircleCI-Public/sign-and-publish-examples"


@pytest.fixture(autouse=True)
def cached_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sigstore's own cache is no other test's."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def _offer(index: Index, provenance: bytes | None, *, digest: str = SHA) -> None:
    folder = index.folder / "released"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RELEASE).write_bytes(b"its bytes are not looked at")
    index.withdraw("pypi-attestations")
    index.add(folder / RELEASE, digest=digest, provenance=provenance)


def _lock(identity: dict[str, str] | None, *, name: str = "pypi-attestations") -> Lock:
    asked: dict[str, Any] = {} if identity is None else {name: identity}
    one = Artifact(
        kind="pypi",
        name="pypi-attestations",
        version="0.0.19",
        source="pypi",
        file=RELEASE,
        path=f"x/{RELEASE}",
        sha256=SHA,
        size=27,
    )
    spec = {"name": "one", "python": "3.11", "platform": {}, "require-attestations": asked}
    return Lock(name="one", platform="linux-64", spec=spec, artifacts=(one,))


def _attest(index: Index, lock: Lock, **options: Any) -> Lock:
    http = Http(offline=options.pop("offline", False))
    return attest(lock, SimpleIndex({"pypi": index.url}, http), http, SILENT, **options)


@pytest.mark.parametrize(
    "identity",
    [
        {},
        {"publisher": "GitHub"},
        {"publisher": "GitHub", "repository": "TrailOfBits/pypi-attestations"},
        {"repository": "trailofbits/pypi-attestations", "workflow": "release.yml"},
    ],
)
def test_the_publisher_is_verified_and_recorded(index: Index, identity: dict[str, str]) -> None:
    _offer(index, GITHUB)
    lock = _lock(identity)
    assert unattested(lock) == ["pypi-attestations 0.0.19: no publisher is recorded"]
    done = _attest(index, lock)
    assert done.artifacts[0].attested == WHO
    assert unattested(done) == []
    assert parse_lock(dump_lock(done), "it") == done
    assert done.image_inputs == lock.image_inputs
    assert _attest(index, _lock(identity, name="*")).artifacts[0].attested == WHO


@pytest.mark.parametrize(
    ("identity", "problem"),
    [
        ({"repository": "somebody/else"}, "its repository is trailofbits/pypi-attestations, and"),
        ({"publisher": "GitLab"}, "its publisher is GitHub, and GitLab is required"),
        ({"workflow": "Release.yml"}, "its workflow is release.yml, and Release.yml is required"),
        ({"email": "me@example.com"}, "its email is not told, and me@example.com is required"),
    ],
)
def test_another_publisher_is_refused(index: Index, identity: dict[str, str], problem: str) -> None:
    _offer(index, GITHUB)
    with pytest.raises(AttestationError, match="1 of 1 wheels are not attested") as caught:
        _attest(index, _lock(identity))
    assert problem in caught.value.details[0]
    assert RELEASE in caught.value.details[0]


def _forged(**changes: Any) -> bytes:
    """Return the provenance with another publisher, or attestation, than was signed."""
    document = json.loads(GITHUB)
    (bundle,) = document["attestation_bundles"]
    bundle["publisher"] |= changes.get("publisher", {})
    for attestation in bundle["attestations"]:
        attestation["envelope"] |= changes.get("envelope", {})
    if "attestations" in changes:
        bundle["attestations"] = changes["attestations"]
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("provenance", "problem"),
    [
        (None, "pypi has no attestations of it"),
        (b"[]", "its provenance is not understood"),
        (b"{", "its provenance is not understood"),
        (b'{"version": 1, "attestation_bundles": []}', "its provenance has no attestation"),
        (_forged(attestations=[]), "there is no attestation of its publication"),
        (_forged(publisher={"repository": "some/other"}), "its attestation does not hold"),
        (_forged(publisher={"workflow": "evil.yml"}), "its attestation does not hold"),
        (_forged(envelope={"signature": "AAAA"}), "its attestation does not hold"),
        (CIRCLECI, "subject does not match distribution name"),
    ],
    ids=["none", "list", "broken", "empty", "bare", "repository", "workflow", "signature", "other"],
)
def test_what_does_not_prove_it_is_refused(
    index: Index, provenance: bytes | None, problem: str
) -> None:
    _offer(index, provenance)
    with pytest.raises(AttestationError) as caught:
        _attest(index, _lock({}))
    assert problem in caught.value.details[0]


def test_another_file_of_that_name_is_refused(index: Index) -> None:
    _offer(index, GITHUB, digest="0" * 64)
    lock = _lock({})
    other = dataclasses.replace(lock.artifacts[0], sha256="0" * 64)
    with pytest.raises(AttestationError) as caught:
        _attest(index, dataclasses.replace(lock, artifacts=(other,)))
    assert "subject does not match distribution digest" in caught.value.details[0]


def test_a_provenance_without_end(index: Index) -> None:
    _offer(index, GITHUB)
    index.faults[".provenance"] = Fault(endless=True)
    with pytest.raises(FetchError, match="more than"):
        _attest(index, _lock({}))


def test_offline_what_was_verified_before_counts(index: Index) -> None:
    lock = _lock({"repository": "trailofbits/pypi-attestations"})
    done = _attest(index, lock, offline=True, known={SHA: WHO})
    assert done.artifacts[0].attested == WHO
    for known in ({}, {SHA: dataclasses.replace(WHO, repository="somebody/else")}):
        with pytest.raises(AttestationError):
            _attest(index, lock, offline=True, known=known)


def _spec(machine: Machine, required: str) -> None:
    body = f"pypi: {{dependencies: ['{NAME}=={VERSION}']}}\nrequire-attestations: {required}\n"
    machine.write_spec("web", body)


def test_from_the_spec_to_the_lock(machine: Machine, index: Index) -> None:
    wheel = make_wheel(index.folder / "files", NAME, VERSION)
    text = metadata_text(NAME, VERSION).encode()
    index.add(wheel, digest=WHEEL_SHA, metadata=text, provenance=CIRCLECI)
    words = ("solve", "web", "--no-audit")
    _spec(machine, f"[{NAME}, absent]")
    done = machine.run(*words)
    assert done.returncode == 0, done.stderr
    assert f"{NAME} {VERSION}: published by CircleCI {REPOSITORY}" in done.stderr
    assert "require-attestations names absent, which is no wheel of the lock" in done.stderr
    attested = load_lock(machine.lock("web")).of_kind("pypi")[0].attested
    assert attested is not None
    assert attested.repository == REPOSITORY
    assert machine.run("solve", "web", "--check").returncode == 0
    before = machine.lock("web").read_text()
    _spec(machine, f"{{'*': true, {NAME}: {{publisher: CircleCI, repository: some/other}}}}")
    assert machine.run("solve", "web", "--check").returncode == 1
    refused = machine.run(*words)
    assert refused.returncode == 1
    assert f"its repository is {REPOSITORY}, and some/other is required" in refused.stderr
    assert machine.lock("web").read_text() == before
    _spec(machine, f"{{{NAME}: {{repo: some/other}}}}")
    wrong = machine.run(*words)
    assert wrong.returncode == 2
    assert "envs/web.yaml:" in wrong.stderr
