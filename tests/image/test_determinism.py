"""One manifest digest, whatever the machine, its settings and its Python are."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .making import (
    SOURCE,
    Environment,
    check_blob,
    check_layout,
    drive,
    driver_command,
    driver_environment,
    make_environment,
    read_json,
    write_job,
)

GOLDEN = "sha256:d53f7f2a3e1f331508ceb94e9d0ceacfe302fbc96247301e073a69700b9a6078"
"""A change of this digest is a change of every image: raise ``lock.model.PACKER`` with it."""

LARGE = "100000"  # alpha has a layer of its own


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return make_environment(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture
def job(environment: Environment, tmp_path: Path) -> Path:
    return write_job(environment, tmp_path / "job.json", tmp_path / "image", tmp_path / "cache")


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"UMASK": "000"},
        {"UMASK": "077"},
        {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0"},
        {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "TZ": "America/St_Johns"},
        {"PYTHONHASHSEED": "0", "PYTHONOPTIMIZE": "0"},
        {"PYTHONHASHSEED": "4242", "PYTHONUTF8": "1"},
        {"SOURCE_DATE_EPOCH": "1700000000"},  # only the command line reads it
        {"STDLIB_ONLY": "1"},
    ],
    ids=str,
)
def test_settings_of_the_machine(variables: dict[str, str], job: Path, tmp_path: Path) -> None:
    assert drive(job, LARGE=LARGE, **variables) == GOLDEN
    assert check_layout(tmp_path / "image") == GOLDEN


def test_workers_and_warm_and_cold_caches(environment: Environment, tmp_path: Path) -> None:
    def at(place: str, cache: str, workers: int) -> Path:
        return write_job(
            environment, tmp_path / f"{place}.json", tmp_path / place, tmp_path / cache,
            workers=workers,
        )  # fmt: skip

    first = at("one", "cache", 3)
    assert drive(first, LARGE=LARGE, UMASK="077") == GOLDEN  # cold
    kept = [one for one in (tmp_path / "cache" / "segments").iterdir() if one.suffix == ".gz"]
    assert kept
    assert {one.stat().st_mode & 0o777 for one in kept} == {0o644}  # for all who share the cache
    assert drive(first, LARGE=LARGE) == GOLDEN  # everything is there
    assert drive(at("two", "cache", 2), LARGE=LARGE) == GOLDEN  # digests, but no layers
    shutil.rmtree(tmp_path / "cache" / "layers")
    assert drive(first, LARGE=LARGE) == GOLDEN  # packed packages only
    shutil.rmtree(tmp_path / "cache" / "segments")
    (next((tmp_path / "one" / "blobs" / "sha256").iterdir())).unlink()
    assert drive(first, LARGE=LARGE) == GOLDEN  # layers gone


def test_another_folder_with_odd_names(environment: Environment, tmp_path: Path) -> None:
    place = tmp_path / "with space" / "[brackets] ünï *"
    place.mkdir(parents=True)
    paths = {}
    for number, (sha256, path) in enumerate(reversed(list(environment.paths.items()))):
        paths[sha256] = place / f"{number} of them"
        shutil.copyfile(path, paths[sha256])
        paths[sha256].chmod(0o400)
        os.utime(paths[sha256], (number, number))
    moved = Environment(environment.lock, paths)
    job = write_job(moved, place / "job.json", place / "image", place / "cache")
    assert drive(job, LARGE=LARGE) == GOLDEN


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_as_nobody(environment: Environment, tmp_path: Path) -> None:
    """In a sandbox where nobody finds an interpreter and the source, whoever owns them."""
    bwrap, setpriv = shutil.which("bwrap"), shutil.which("setpriv")
    if not bwrap or not setpriv:
        pytest.skip("no bwrap and setpriv here")
    work = tmp_path / "work"
    work.mkdir()
    for path in environment.paths.values():
        shutil.copy(path, work / path.name)
    inside = Path("/mnt")
    paths = {sha256: inside / path.name for sha256, path in environment.paths.items()}
    write_job(
        Environment(environment.lock, paths),
        work / "job.json", inside / "out" / "image", inside / "out" / "cache",
    )  # fmt: skip
    job = (work / "job.json").read_text().replace(f"{work}/", "/mnt/")
    (work / "job.json").write_text(job)
    (work / "out").mkdir()
    shutil.chown(work / "out", 65534, 65534)
    prefix = Path(sys.base_prefix).resolve()
    before = [bwrap, "--dev-bind", "/", "/", "--tmpfs", "/root", "--bind", str(work), "/mnt"]
    for folder in (prefix, SOURCE, SOURCE.parent / "tests"):
        for parent in reversed(folder.parents):
            if parent.is_relative_to("/root"):
                before += ["--perms", "0755", "--dir", str(parent)]
        before += ["--ro-bind", str(folder), str(folder)]
    before += [setpriv, "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    python = prefix / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    done = drive(inside / "job.json", before=before, python=python, LARGE=LARGE)
    assert done == GOLDEN
    assert (work / "out" / "image" / "index.json").stat().st_uid == 65534
    assert check_layout(work / "out" / "image") == GOLDEN


def other_pythons() -> list[Path]:
    """Return interpreters of other feature versions that envlock supports."""
    folders = (Path.home() / ".pyenv" / "versions", Path("/usr"), Path("/usr/local"))
    found: dict[str, Path] = {}
    for folder in folders:
        for binary in [*folder.glob("*/bin/python3.*"), *folder.glob("bin/python3.*")]:
            match = re.fullmatch(r"python3\.(\d+)", binary.name)
            if match and int(match[1]) >= 11 and int(match[1]) != sys.version_info[1]:
                found.setdefault(match[1], binary)
    return [found[version] for version in sorted(found)]


@pytest.mark.parametrize("python", other_pythons() or [None], ids=str)
def test_other_pythons(python: Path | None, job: Path) -> None:
    if python is None:
        pytest.skip("no other Python here")
    assert drive(job, python=python, LARGE=LARGE, STDLIB_ONLY="1") == GOLDEN


def test_an_archive_is_the_same_bytes(environment: Environment, tmp_path: Path) -> None:
    made = []
    for number, umask in enumerate(("022", "077")):
        target = tmp_path / f"{number}" / "image.tar"
        job = write_job(environment, tmp_path / f"{number}.json", target, tmp_path / f"c{number}")
        assert drive(job, LARGE=LARGE, UMASK=umask) == GOLDEN
        made.append(target.read_bytes())
    assert made[0] == made[1]


def test_the_driver_would_notice_a_compressor(tmp_path: Path) -> None:
    script = "import sys; sys.path.insert(0, sys.argv[1]); import driver, zlib; zlib.compressobj()"
    folder = Path(driver_command(tmp_path)[1]).parent
    done = subprocess.run(
        [sys.executable, "-c", script, folder],
        env=driver_environment(),
        capture_output=True,
        check=False,
    )
    assert b"must not come from a library" in done.stderr


def test_source_date_epoch_changes_created_alone(environment: Environment, tmp_path: Path) -> None:
    def config(layout: Path) -> tuple[dict[str, object], list[object]]:
        (descriptor,) = read_json(layout / "index.json")["manifests"]
        manifest = json.loads(check_blob(layout, descriptor))
        return json.loads(check_blob(layout, manifest["config"])), manifest["layers"]

    environment.build(tmp_path / "a", tmp_path / "cache")
    environment.build(tmp_path / "b", tmp_path / "cache", created=1_700_000_000)
    (one, layers), (two, others) = config(tmp_path / "a"), config(tmp_path / "b")
    assert layers == others
    assert one["created"] == "1970-01-01T00:00:00Z"
    assert two["created"] == "2023-11-14T22:13:20Z"
    text = json.dumps(two).replace("2023-11-14T22:13:20Z", "1970-01-01T00:00:00Z")
    assert json.loads(text) == one
