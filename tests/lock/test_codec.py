"""The lock's text: canonical, complete, and no edit goes unnoticed."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.errors import EnvlockError, LockError, StaleLockError
from envlock.lock.codec import dump_lock, load_lock, parse_lock
from envlock.lock.model import (
    AcceptedBreakage,
    Artifact,
    AuditSection,
    BuiltImage,
    CondaRecord,
    DebianIndex,
    DebianSection,
    Kind,
    Lock,
    LockedExclude,
    LockedOverride,
    MaintainerScript,
    VoidedRequirement,
)

from .locks import LOCK, VOID, conda, deb, wheel

SHOWN = "locks/a.linux-64.lock.json"
TEXT = dump_lock(LOCK)

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_name = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,8}", fullmatch=True)
_hex = st.text("0123456789abcdef", min_size=64, max_size=64)
_file = _text.filter(lambda text: "/" not in text and text not in {"", ".", ".."}).filter(
    str.isprintable
)
_kind: st.SearchStrategy[Kind] = st.sampled_from(["pypi", "conda"])
_void = st.builds(VoidedRequirement, dependent=_name, version=_text, requirement=_text, kind=_kind)
_voids = st.lists(_void, max_size=2).map(tuple)
_records = st.builds(
    CondaRecord,
    build=_name,
    build_number=st.integers(0, 1000),
    subdir=st.just("noarch"),
    md5=st.none() | st.text("0123456789abcdef", min_size=32, max_size=32),
    constrains=st.lists(_text, max_size=2).map(tuple),
    noarch=st.sampled_from([None, "python", "generic"]),
    provides=st.lists(st.tuples(_name, _text), max_size=2).map(tuple),
    track_features=st.lists(_text, max_size=2).map(tuple),
    license=st.none() | _text,
    python_site_packages_path=st.sampled_from([None, "lib/python3.14t/site-packages"]),
)


@st.composite
def _artifacts(draw: st.DrawFn) -> Artifact:
    kind = draw(st.sampled_from(get_args(Kind)))
    name, version, file = draw(_name), draw(_text), draw(_file)
    folders = draw(st.lists(_name, max_size=3))
    record = None
    if kind == "conda":
        name, version, record = f"_{name}", draw(_name), draw(_records)
        file, folders = f"{name}-{version}-{record.build}.tar.bz2", [record.subdir]
    return Artifact(
        kind=kind,
        name=name,
        version=version,
        source=draw(_name),
        file=file,
        path="/".join([*folders, file]),
        sha256=draw(_hex),
        size=draw(st.integers(0, 2**53)),
        depends=tuple(draw(st.lists(_text, max_size=2))),
        conda=record,
    )


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _text,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_text, inner, max_size=2),
    max_leaves=6,
)
_debian = st.builds(
    DebianSection,
    suite=_text,
    architecture=_text,
    indexes=st.lists(
        st.builds(DebianIndex, archive=_text, suite=_text, date=_text, sha256=_hex), max_size=2
    ).map(tuple),
    scripts=st.lists(
        st.builds(
            MaintainerScript,
            package=_text,
            script=_text,
            handled=st.lists(_text, max_size=2).map(tuple),
            unhandled=st.lists(_text, max_size=2).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
)
_audit = st.builds(
    AuditSection,
    accepted=st.lists(
        st.builds(
            AcceptedBreakage,
            override=st.none() | _name,
            pattern=_text,
            findings=st.lists(_text, max_size=2).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
)
_digest = _hex.map(lambda text: f"sha256:{text}")
_locks = st.builds(
    Lock,
    name=_name,
    platform=st.sampled_from(["linux-64", "linux-aarch64"]),
    spec=st.dictionaries(_text, _json, max_size=3).map(
        lambda more: {
            **{f"x-{key}": value for key, value in more.items()},  # known keys have shapes
            "python": "3.11",
            "platform": {"glibc": "2.36"},
        }
    ),
    artifacts=st.lists(_artifacts(), max_size=4, unique_by=lambda a: (a.kind, a.name, a.file)).map(
        lambda found: tuple(sorted(found, key=lambda a: (a.kind, a.name, a.file)))
    ),
    debian=st.none() | _debian,
    overrides=st.lists(
        st.builds(
            LockedOverride,
            package=_name,
            version=_text,
            voids=_voids,
            kind=_kind,
            replaces=st.none() | _name,
        ),
        max_size=2,
    ).map(tuple),
    excludes=st.lists(st.builds(LockedExclude, package=_name, voids=_voids), max_size=2).map(tuple),
    audit=st.none() | _audit,
    built=st.none() | st.builds(BuiltImage, manifest=_digest, config=_digest),
    merged=st.booleans(),
)


@given(_locks)
def test_round_trip(lock: Lock) -> None:
    text = dump_lock(lock)
    again = parse_lock(text, SHOWN)
    assert again == lock
    assert dump_lock(again) == text


def test_the_order_in_memory_does_not_matter() -> None:
    backwards = replace(LOCK, artifacts=LOCK.artifacts[::-1])
    assert dump_lock(backwards) == TEXT


def test_canonical() -> None:
    value = json.loads(TEXT)
    assert json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n" == TEXT
    assert [a["name"] for a in value["artifacts"]] == ["gcc", "libc6", "numpy", "torch", "triton"]
    assert value["artifacts"][4]["index"] == "extra"
    assert value["artifacts"][0]["archive"] == "debian"
    assert "://" not in TEXT


def test_one_artifact_changes_one_block() -> None:
    """What people see in a diff: the block, and the file's own seal."""
    newer = replace(
        LOCK,
        artifacts=tuple(wheel("numpy", "2.0") if a.name == "numpy" else a for a in LOCK.artifacts),
    )
    old, new = TEXT.splitlines(), dump_lock(newer).splitlines()
    assert len(old) == len(new)
    changed = [
        line.strip().split('"')[1] for line, other in zip(old, new, strict=True) if line != other
    ]
    assert changed == ["file", "path", "seal", "sha256", "version", "seal"]


@pytest.mark.parametrize("key", ["file", "path", "sha256", "size", "version", "depends", "name"])
@pytest.mark.parametrize("number", range(5))
def test_an_edit_of_an_artifact_is_named(key: str, number: int) -> None:
    value = json.loads(TEXT)
    artifact = value["artifacts"][number]
    name = artifact["name"]
    old = artifact[key]
    if key in {"file", "path"}:
        for both in ("file", "path"):
            artifact[both] = artifact[both].replace(name, name + "x")
    elif key == "sha256":
        artifact[key] = "f" * 64
    elif key == "size":
        artifact[key] = old + 1
    elif key == "depends":
        artifact[key] = [*old, "more"]
    else:
        artifact[key] = old + "1"
    with pytest.raises(StaleLockError, match=r"1 artifact.* changed by hand") as caught:
        parse_lock(json.dumps(value), SHOWN)
    shown = (artifact["name"], artifact["version"])
    assert caught.value.details == (f"  {artifact['kind']} {shown[0]} {shown[1]}",)
    assert caught.value.exit_code == 1


def test_an_edit_of_a_source_is_named() -> None:
    value = json.loads(TEXT)
    value["artifacts"][4]["index"] = "pypi"
    with pytest.raises(StaleLockError) as caught:
        parse_lock(json.dumps(value), SHOWN)
    assert caught.value.details == ("  pypi triton 2.3.1",)


def test_a_missing_seal_is_an_edit() -> None:
    value = json.loads(TEXT)
    del value["artifacts"][2]["seal"]
    with pytest.raises(StaleLockError) as caught:
        parse_lock(json.dumps(value), SHOWN)
    assert caught.value.details == ("  pypi numpy 1.0",)


def _set(*path: Any, to: Any) -> Any:
    def change(value: Any) -> None:
        for step in path[:-1]:
            value = value[step]
        value[path[-1]] = to

    return change


def _drop(*path: Any) -> Any:
    def change(value: Any) -> None:
        for step in path[:-1]:
            value = value[step]
        del value[path[-1]]

    return change


EDITS = {
    "name": _set("name", to="b"),
    "platform": _set("platform", to="linux-aarch64"),
    "packer": _set("packer", to=2),
    "input": _set("input", to=f"sha256:{'0' * 64}"),
    "spec": _set("spec", "python", to="3.12"),
    "override's version": _set("overrides", 0, "version", to="2.3.2"),
    "void": _set("overrides", 0, "voids", 0, "requirement", to="triton"),
    "exclude": _set("excludes", 0, "package", to="other"),
    "suite": _set("debian", "suite", to="trixie"),
    "script": _set("debian", "scripts", 0, "unhandled", to=[]),
    "index": _set("debian", "indexes", 0, "date", to="20250521T120000Z"),
    "an artifact less": _drop("artifacts", 2),
    "an artifact twice": lambda value: value["artifacts"].insert(2, value["artifacts"][2]),
    "another order": lambda value: value["artifacts"].reverse(),
    "an unknown key": _set("hooks", to=["rm -rf"]),
    "an unknown key inside": _set("debian", "hooks", to=["rm -rf"]),
    "no seal": _drop("seal"),
    "no overrides": _drop("overrides"),
    "no debian": _drop("debian"),
    "no spec": _drop("spec"),
    "no artifacts": _drop("artifacts"),
    "artifacts of nothing": _set("artifacts", to=None),
    "artifacts of texts": _set("artifacts", to=["a"]),
    "overrides of numbers": _set("overrides", to=[1]),
    "packer as text": _set("packer", to="1"),
    "packer as nothing": _set("packer", to=None),
    "spec as list": _set("spec", to=[]),
    "spec with a surrogate": _set("spec", to={"a": "\ud800"}),
    "debian as text": _set("debian", to="x"),
    "debian without indexes": _set("debian", "indexes", to=5),
    "void with another key": _set("overrides", 0, "voids", 0, "x", to=1),
    "built as text": _set("built", to="x"),
    "built without digest": _set("built", to={"manifest": "x"}),
    "built with no digest": _set("built", "manifest", to="../../x"),
    "built as number": _set("built", "config", to=5),
    "built of layers without digests": _set("built", "layers", to=[{"size": 1}]),
    "built of layers that are texts": _set("built", "layers", to=["x"]),
}


@pytest.mark.parametrize("change", EDITS.values(), ids=EDITS.keys())
def test_any_other_edit_is_found(change: Any) -> None:
    value = json.loads(TEXT)
    change(value)
    with pytest.raises(StaleLockError) as caught:
        parse_lock(json.dumps(value), SHOWN)
    assert caught.value.where == SHOWN
    assert "envlock solve" in (caught.value.hint or "")


def test_numbers_that_are_not() -> None:
    for packer in ("1e999", "NaN", "-Infinity", "1" * 5000):
        text = TEXT.replace('"packer": 1', f'"packer": {packer}')
        assert text != TEXT
        with pytest.raises(EnvlockError):
            parse_lock(text, SHOWN)


TRICKS: list[dict[str, Any]] = [
    {"path": "../../etc/passwd", "file": "passwd"},
    {"path": "a/../../passwd", "file": "passwd"},
    {"path": "..", "file": ".."},
    {"path": "a/.", "file": "."},
    {"path": "", "file": ""},
    {"path": "a/", "file": ""},
    {"file": "other.whl"},
    {"file": "a/b.whl", "path": "a/b.whl"},
    {"file": "a\x00b", "path": "a\x00b"},
    {"file": "a\nb", "path": "x/a\nb"},
    {"path": "x\ny/numpy-1.0-py3-none-any.whl"},
    {"path": "/etc/numpy-1.0-py3-none-any.whl"},
    {"path": "//host/numpy-1.0-py3-none-any.whl"},
    {"path": "https://example.com/numpy-1.0-py3-none-any.whl"},
    {"sha256": "A" * 64},
    {"sha256": "0" * 63},
    {"sha256": "0" * 64 + "\n"},
    {"sha256": "../" * 21 + "x"},
    {"name": "../x"},
    {"name": "numpy\n"},
    {"name": ""},
    {"index": "http://example.com"},
    {"index": "pypi\n"},
    {"size": -1},
    {"size": True},
    {"size": 1.5},
    {"size": "5"},
    {"kind": "conda"},
    {"kind": ["pypi"]},
    {"depends": "numpy"},
    {"version": None},
]


@pytest.mark.parametrize("changes", TRICKS, ids=str)
def test_tricks_fail_even_with_right_seals(changes: dict[str, Any]) -> None:
    """Seals are no signatures: whoever makes them anew still gets no path out."""
    from envlock.lock.plain import seal

    value = json.loads(TEXT)
    artifact = value["artifacts"][2]
    artifact |= changes
    artifact["seal"] = seal(artifact)
    value["seal"] = seal(value)
    with pytest.raises(StaleLockError, match="changed by hand"):
        parse_lock(json.dumps(value), SHOWN)


@pytest.mark.parametrize("key", ["name", "platform"])
@pytest.mark.parametrize("text", ["../../x", "a/b", "a\n", "", ".hidden"])
def test_where_a_lock_lies_cannot_be_forged(key: str, text: str) -> None:
    from envlock.lock.plain import seal

    value = json.loads(TEXT)
    value[key] = text
    value["seal"] = seal(value)
    with pytest.raises(StaleLockError, match="changed by hand"):
        parse_lock(json.dumps(value), SHOWN)


def test_a_merge_of_two_locks_is_found() -> None:
    """Git joins two locks without a conflict: every block is intact, the whole is not."""
    ours = json.loads(TEXT)
    theirs = json.loads(
        dump_lock(
            replace(
                LOCK,
                artifacts=tuple(
                    wheel("numpy", "2.0") if a.name == "numpy" else a for a in LOCK.artifacts
                ),
            )
        )
    )
    ours["artifacts"][2] = theirs["artifacts"][2]
    with pytest.raises(StaleLockError, match="a merge joined two locks"):
        parse_lock(json.dumps(ours), SHOWN)


def test_a_merge_that_keeps_both_names_them() -> None:
    value = json.loads(TEXT)
    two = replace(LOCK, artifacts=(wheel("numpy", "2.0"),))
    value["artifacts"].insert(3, json.loads(dump_lock(two))["artifacts"][0])
    with pytest.raises(StaleLockError) as caught:
        parse_lock(json.dumps(value), SHOWN)
    assert caught.value.details == ("  numpy is there twice: 1.0 and 2.0",)


@pytest.mark.parametrize("marker", ["<<<<<<< HEAD", "=======", ">>>>>>> theirs", "||||||| 1234567"])
def test_conflict_markers(marker: str) -> None:
    lines = TEXT.splitlines()
    lines.insert(7, marker)
    with pytest.raises(StaleLockError, match="conflict markers") as caught:
        parse_lock("\n".join(lines), SHOWN)
    assert caught.value.where == f"{SHOWN}:8"
    assert "git checkout" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a lock file"),
        ("{", "not a lock file"),
        ("[]", "not a lock file of envlock"),
        ("null", "not a lock file of envlock"),
        ("{}", "not a lock file of envlock"),
        ('{"format": 1, "format": 1}', "a key stands twice"),
        ('{"format": NaN}', "NaN is no JSON"),
        ('{"format": Infinity}', "Infinity is no JSON"),
        ('{"format": 2}', "has format 2; this envlock reads format 1"),
        ('{"format": "1"}', "has format '1'"),
        ('{"format": null}', "has format None"),
        ('{"format": true}', "has format True"),
        ('{"format": 1.0}', "has format 1.0"),
        ("[" * 100_000, "not a lock file"),
        ("\ufeff" + TEXT, "not a lock file"),
    ],
)
def test_texts_that_are_no_locks(text: str, message: str) -> None:
    with pytest.raises(LockError, match=message) as caught:
        parse_lock(text, SHOWN)
    assert caught.value.where == SHOWN


def test_duplicate_keys_inside() -> None:
    with pytest.raises(LockError, match="twice"):
        parse_lock(TEXT.replace('"name": "numpy",', '"name": "numpy",\n"name": "numpy",'), SHOWN)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_lock_or_an_error(data: bytes) -> None:
    try:
        parse_lock(data.decode("utf-8", "surrogateescape"), SHOWN)
    except (LockError, StaleLockError) as error:
        str(error)


@given(st.data())
def test_any_value_anywhere_is_a_lock_or_an_error(data: st.DataObject) -> None:
    value = json.loads(TEXT)
    place: Any = value
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        inner = place[key]
        if isinstance(inner, dict | list) and inner and data.draw(st.booleans()):
            place = inner
            continue
        new = data.draw(_json)
        place[key] = new
        break
    if new == inner and type(new) is type(inner):
        return
    with pytest.raises((LockError, StaleLockError)):
        parse_lock(json.dumps(value), SHOWN)


def test_reading_files(tmp_path: Path) -> None:
    path = tmp_path / "a.linux-64.lock.json"
    with pytest.raises(LockError, match="there is no lock") as caught:
        load_lock(path)
    assert "envlock solve" in (caught.value.hint or "")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(LockError, match="cannot be read"):
        load_lock(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(LockError, match="cannot be read"):
        load_lock(path)


def test_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.linux-64.lock.json"
    path.write_bytes(TEXT.replace("\n", "\r\n").encode())
    assert load_lock(path) == LOCK


CONDA_TRICKS: list[dict[str, Any]] = [
    {"conda": None},
    {"kind": "pypi", "index": "pypi"},
    {"name": "-x"},
    {"channel": "https://example.com/c"},
    {"channel": "a//b"},
    {"channel": "../c"},
    {"version": "2.0"},
    {"path": "noarch/numpy-1.0-h0_0.conda"},
    {"path": "linux-64/numpy-1.0-h0_0.zip", "file": "numpy-1.0-h0_0.zip"},
    {"conda.build": "other"},
    {"conda.build": 5},
    {"conda.build_number": -1},
    {"conda.subdir": "../linux-64"},
    {"conda.subdir": "linux-aarch64", "path": "linux-aarch64/numpy-1.0-h0_0.conda"},
    {"conda.noarch": "java"},
    {"conda.md5": "0" * 31},
    {"conda.md5": None},
    {"conda.provides": [["numpy"]]},
    {"conda.provides": [["../numpy", "1.0"]]},
    {"conda.constrains": "numpy"},
    {"conda.license": 5},
    {"conda.python_site_packages_path": "../../etc"},
    {"conda.python_site_packages_path": "/etc"},
    {"conda.unheard": "of"},
]


@pytest.mark.parametrize("changes", CONDA_TRICKS, ids=str)
def test_tricks_with_conda_packages_fail(changes: dict[str, Any]) -> None:
    from envlock.lock.plain import seal

    value = json.loads(dump_lock(replace(LOCK, artifacts=(conda("numpy"),))))
    (artifact,) = value["artifacts"]
    for key, item in changes.items():
        block, _, inner = key.rpartition(".")
        (artifact[block] if block else artifact)[inner] = item
    artifact["seal"] = seal(artifact)
    value["seal"] = seal(value)
    with pytest.raises(StaleLockError, match="changed by hand"):
        parse_lock(json.dumps(value), SHOWN)


def test_a_kind_of_override_that_is_none() -> None:
    from envlock.lock.plain import seal

    for place in ("override", "void"):
        value = json.loads(TEXT)
        override = value["overrides"][0]
        (override if place == "override" else override["voids"][0])["kind"] = "debian"
        value["seal"] = seal(value)
        with pytest.raises(StaleLockError, match="'debian' is no kind"):
            parse_lock(json.dumps(value), SHOWN)


def test_only_conda_packages_have_what_conda_packages_have() -> None:
    """The locks of other environments, and with them their digests, stay as they are."""
    assert "conda" not in TEXT
    assert '"kind": "pypi"' in TEXT
    assert all(override.keys() == {"package", "version", "voids"} for override in _overrides(LOCK))


def _overrides(lock: Lock) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(dump_lock(lock))["overrides"]
    return found


def test_what_a_conda_package_does_not_have_is_left_out() -> None:
    lock = replace(LOCK, artifacts=(conda("numpy", provides=(("numpy", "1.0"),)),))
    (artifact,) = json.loads(dump_lock(lock))["artifacts"]
    assert artifact["channel"] == "conda-forge"
    assert artifact["conda"] == {
        "build": "h0_0",
        "build_number": 0,
        "subdir": "linux-64",
        "provides": [["numpy", "1.0"]],
    }


def test_the_record_of_a_build_breaks_no_seal() -> None:
    assert parse_lock(dump_lock(replace(LOCK, built=None)), SHOWN).built is None
    without = json.loads(dump_lock(replace(LOCK, built=None)))
    with_record = json.loads(TEXT)
    assert without["seal"] == with_record["seal"]


def test_views() -> None:
    assert [void.dependent for void in LOCK.voided] == ["torch"]
    assert LOCK.voided_conda == ()
    voids = (VOID, replace(VOID, dependent="pytorch", kind="conda"))
    both = replace(LOCK, overrides=(replace(LOCK.overrides[0], voids=voids),))
    assert [void.dependent for void in both.voided] == ["torch"]
    assert [void.dependent for void in both.voided_conda] == ["pytorch"]
    assert [a.name for a in LOCK.of_kind("debian")] == ["gcc", "libc6"]
    assert LOCK.python == "3.11"
    assert deb("gcc") in LOCK.artifacts


SHAPES: dict[str, Any] = {
    "image": "x",
    "image.env": {"A": 5},
    "image.env.": {"A=B": "c"},
    "image.labels": {"a": 5},
    "image.user": "root\nRUN evil",
    "image.workdir": ["/app"],
    "image.command": "python3",
    "image.precompile": 1,
    "image.entrypoint": [1],
    "image.layers": [],
    "image.layers.": {"budget": "40"},
    "image.layers.budget": True,
    "image.layers.max-size": "10GB",
    "platform": "linux-64",
    "platform.": {"cuda": 12.4},
    "python": "../../../etc",
    "debian": ["x"],
    "debian.suite": 12,
    "debian.packages": "gcc",
    "debian.alternatives": {"/usr/bin/cc": 1},
    "pypi": {"dependencies": "torch"},
    "conda.channels": [{"url": "https://example.com"}],
    "conda.map": ["a"],
    "conda.channel-priority": True,
    "conda.link-scripts": ["graphviz"],
    "conda.link-scripts.": {"graphviz": ["run"]},
    "description": 3,
    "checks": {"import": "torch"},
    "checks.": [{"import": 5}],
    "overrides": ["x"],
    "overrides.": [{"package": "x", "adds": "y"}],
}


@pytest.mark.parametrize("place", SHAPES)
def test_a_spec_of_wrong_shape_fails_even_with_right_seals(place: str) -> None:
    spec = json.loads(json.dumps(LOCK.spec))
    *way, last = place.rstrip(".").split(".")
    inner = spec
    for step in way:
        inner = inner.setdefault(step, {})
    inner[last] = SHAPES[place]
    with pytest.raises(StaleLockError, match=r"changed by hand: spec\.") as caught:
        parse_lock(dump_lock(replace(LOCK, spec=spec)), SHOWN)
    assert caught.value.hint


@pytest.mark.parametrize("key", ["python", "platform"])
def test_a_spec_without_what_the_builder_reads(key: str) -> None:
    spec = {name: value for name, value in LOCK.spec.items() if name != key}
    with pytest.raises(StaleLockError, match=f"spec.{key} is missing"):
        parse_lock(dump_lock(replace(LOCK, spec=spec)), SHOWN)


def test_a_lock_for_no_platform() -> None:
    with pytest.raises(StaleLockError, match="linux-65 is no platform"):
        parse_lock(dump_lock(replace(LOCK, platform="linux-65")), SHOWN)


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for place in (pipe, tmp_path, Path("/dev/zero")):
        with pytest.raises(LockError, match="no regular file") as caught:
            load_lock(place)
        assert caught.value.where == str(place)
