"""Bills of materials: outside validators judge them, and they say what the lock says."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from envlock.exchange import cyclonedx, spdx
from envlock.exchange.bill import purl
from envlock.exchange.licences import Licence, of_conda, of_wheel
from envlock.exchange.provenance import provenance
from envlock.lock.codec import dump_lock, load_lock, lock_digest

from ..lock.locks import BELOW, LOCK, conda

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.lock.model import Artifact

    from ..makers.machine import Machine

SPEC = {
    **LOCK.spec,
    "overrides": [{"package": "triton", "version": "==2.3.1", "because": "an older one is needed"}],
}
WHOLE = dataclasses.replace(
    LOCK,
    spec=SPEC,
    artifacts=(*LOCK.artifacts, conda("zlib", license="Zlib"), conda("odd", license="Our own")),
)


def _metadata(artifact: Artifact) -> bytes:
    field = {"numpy": "License: BSD-3-Clause\n", "torch": "License-Expression: mit OR apache-2.0\n"}
    return f"Name: {artifact.name}\n{field.get(artifact.name, '')}".encode()


def _component(bill: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [one for one in bill["components"] if one["name"] == name]
    return found  # type: ignore[no-any-return]


def test_cyclonedx_is_valid_and_whole() -> None:
    text = cyclonedx.write(WHOLE, _metadata)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    assert {c["name"] for c in bill["components"]} == {a.name for a in WHOLE.artifacts}
    torch = _component(bill, "torch")
    assert torch["purl"] == torch["bom-ref"] == "pkg:pypi/torch@2.6.0"
    assert torch["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    triton = _component(bill, "triton")
    assert triton["hashes"][0]["content"] == LOCK.artifacts[-1].sha256
    notes = {p["name"]: p["value"] for p in triton["properties"]}
    assert notes["envlock:override:because"] == "an older one is needed"
    assert notes["envlock:override:voids"] == "torch 2.6.0 requires triton==3.2.0"
    assert _component(bill, "odd")["licenses"] == [{"license": {"name": "Our own"}}]
    assert bill["metadata"]["timestamp"] == "1970-01-01T00:00:00+00:00"
    properties = {p["name"]: p["value"] for p in bill["metadata"]["component"]["properties"]}
    assert properties["envlock:lock"] == lock_digest(WHOLE)
    needs = {d["ref"]: d.get("dependsOn", []) for d in bill["dependencies"]}
    assert needs["environment"] == ["pkg:pypi/torch@2.6.0"]
    assert needs["pkg:deb/debian/gcc@1.0-1?arch=amd64&distro=bookworm"] == [
        "pkg:deb/debian/libc6@1.0-1?arch=amd64&distro=bookworm"
    ]


def test_a_base_image_is_named_everywhere() -> None:
    lock = dataclasses.replace(WHOLE, base=BELOW)
    named = f"{BELOW.reference} {BELOW.manifest}"
    bill = cyclonedx.write(lock, _metadata)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None
    properties = json.loads(bill)["metadata"]["component"]["properties"]
    assert {"name": "envlock:base", "value": named} in properties
    assert f"upon the base image {named}" in spdx.write(lock, _metadata)
    made = json.loads(provenance(lock, f"sha256:{'1' * 64}"))["predicate"]["buildDefinition"]
    hexadecimal = BELOW.manifest.removeprefix("sha256:")
    assert made["resolvedDependencies"][-1] == {
        "name": BELOW.reference,
        "digest": {"sha256": hexadecimal},
    }


def test_spdx_is_valid_and_whole(tmp_path: Path) -> None:
    text = spdx.write(WHOLE, _metadata)
    file = tmp_path / "a.spdx.json"
    file.write_text(text)
    document = parse_file(str(file))
    assert validate_full_spdx_document(document) == []
    found = {package.name: package for package in document.packages}
    assert set(found) == {"a", *(artifact.name for artifact in WHOLE.artifacts)}
    assert str(found["torch"].license_declared) == "MIT OR Apache-2.0"
    assert str(found["zlib"].license_declared) == "Zlib"
    assert found["odd"].license_comment == "declared as: Our own"
    assert "torch 2.6.0 requires triton==3.2.0" in str(found["triton"].comment)
    assert found["numpy"].external_references[0].locator == "pkg:pypi/numpy@1.0"


@pytest.mark.parametrize("form", [cyclonedx, spdx])
def test_a_bill_is_the_locks_alone(form: Any) -> None:
    text = form.write(WHOLE, _metadata)
    mixed = dataclasses.replace(WHOLE, artifacts=WHOLE.artifacts[::-1], built=None)
    assert form.write(mixed, _metadata) == text
    other = dataclasses.replace(WHOLE, artifacts=WHOLE.artifacts[:-1])
    assert form.write(other, _metadata) != text


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ("", Licence()),
        ("License: UNKNOWN\n", Licence()),
        ("License-Expression: MIT\nLicense: other\n", Licence("MIT")),
        ("License: apache-2.0\n", Licence("Apache-2.0")),
        ("License: Apache 2.0\n", Licence(None, "Apache 2.0")),
        ("License: The\n  whole\n  text\nClassifier: License :: OSI Approved :: MIT License\n",
         Licence(None, "MIT License")),
        (f"License: {'long ' * 30}\n", Licence()),
        ("Classifier: License :: OSI Approved\n", Licence()),
        ("License: MIT AND (\n", Licence(None, "MIT AND (")),
    ],
)  # fmt: skip
def test_licences_of_wheels(fields: str, licence: Licence) -> None:
    assert of_wheel(f"Metadata-Version: 2.4\nName: a\n{fields}\n".encode()) == licence


def test_licences_of_conda_packages() -> None:
    assert of_conda(None) == Licence()
    assert of_conda("BSD-3-Clause") == Licence("BSD-3-Clause")


def test_purls_of_conda_packages() -> None:
    assert purl(LOCK, conda("_libgcc_mutex", "0.1", build="main")) == (
        "pkg:conda/_libgcc_mutex@0.1?build=main&channel=conda-forge&subdir=linux-64&type=conda"
    )


def test_a_locks_digest_is_its_files_until_a_build_is_recorded() -> None:
    import hashlib

    bare = dataclasses.replace(LOCK, built=None)
    assert lock_digest(bare) == f"sha256:{hashlib.sha256(dump_lock(bare).encode()).hexdigest()}"
    assert lock_digest(LOCK) == lock_digest(bare)


def test_provenance_is_a_statement_that_its_owners_read() -> None:
    from google.protobuf.json_format import Parse, ParseDict
    from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
    from in_toto_attestation.v1.statement import Statement
    from in_toto_attestation.v1.statement_pb2 import Statement as Message

    manifest = f"sha256:{'1' * 64}"
    text = provenance(LOCK, manifest)
    value = json.loads(text)
    statement = Statement.copy_from_pb(Parse(text, Message()))  # refuses keys it does not know
    statement.validate()
    assert dict(statement.pb.subject[0].digest) == {"sha256": "1" * 64}
    read = ParseDict(value["predicate"], Provenance())
    assert len(read.build_definition.resolved_dependencies) == len(LOCK.artifacts)
    definition = value["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["lock"] == lock_digest(LOCK)
    assert provenance(dataclasses.replace(LOCK, built=None), manifest) == text
    assert (
        json.loads(provenance(LOCK, manifest, 5))["predicate"]["buildDefinition"][
            "externalParameters"
        ]["created"]
        == 5
    )


@pytest.mark.parametrize("form", ["cyclonedx", "spdx"])
def test_the_command(solved: Machine, form: str, tmp_path: Path) -> None:
    file = tmp_path / "bill.json"
    first = solved.run("export", "one", "-f", form, "-o", str(file), "--offline")
    assert first.returncode == 0, first.stderr  # the solve has read the METADATA
    again = solved.run("export", "one", "-f", form, "--platform", "linux-64")
    assert again.stdout == file.read_text()
    lock = load_lock(solved.lock("one"))
    assert all(artifact.sha256 in again.stdout for artifact in lock.artifacts)
    assert "127.0.0.1" not in again.stdout


def test_metadata_that_is_not_at_hand(solved: Machine, tmp_path: Path) -> None:
    cold = {"ENVLOCK_CACHE_DIR": str(tmp_path / "cold")}
    offline = solved.run("export", "one", "-f", "spdx", "--offline", environ=cold)
    assert offline.returncode == 3
    assert "METADATA of app-1.0-py3-none-any.whl is not on this machine" in offline.stderr
    fetched = solved.run("export", "one", "-f", "spdx", environ=cold)
    assert fetched.stdout == solved.run("export", "one", "-f", "spdx").stdout


def test_without_the_libraries_the_error_says_what_to_install(solved: Machine) -> None:
    import subprocess
    import sys

    code = (
        "import sys\n"
        "sys.modules['cyclonedx'] = sys.modules['spdx_tools'] = None\n"
        "from envlock.cli import main\n"
        "main()\n"
    )
    for form in ("cyclonedx", "spdx"):
        done = subprocess.run(
            [sys.executable, "-c", code, "export", "one", "-f", form],
            cwd=solved.project,
            env=solved.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert "envlock[sbom]" in done.stderr
