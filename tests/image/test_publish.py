"""An image's name always holds a whole image, whatever happens on the way."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import tarfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from envlock.errors import CheckFailedError, DiskError, IntegrityError, LockError, UsageError
from envlock.files import sync
from envlock.image import layout as layout_module
from envlock.image.layout import project_folder, staging
from envlock.pipeline import ProofError
from envlock.validate.results import Report, Result

from ..layers.making import make_wheel
from .making import (
    Environment,
    blobs,
    check_layout,
    drive,
    driver_command,
    driver_environment,
    environment_of,
    leftovers,
    make_environment,
    pack,
    write_job,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return make_environment(tmp_path_factory.mktemp("artifacts"))


def simple(folder: Path, version: str = "1.0") -> Environment:
    """Return an environment of one wheel, whose image depends on the version."""
    files = {"demo.py": f"V = '{version}'\n".encode()}
    return environment_of(make_wheel(folder, "demo", version, files, pack=pack), name="demo")


def report_of(ok: bool) -> Callable[[Path], Report]:
    def prove(layout: Path) -> Report:
        check_layout(layout)
        result = Result(kind="run", subject="x", status="passed" if ok else "failed")
        return Report(
            name="demo", platform="linux-64", image="", overrides=(), results=(result,), seconds=0
        )

    return prove


def test_an_image_is_published_whole(tmp_path: Path) -> None:
    built = simple(tmp_path).build(tmp_path / "out" / "image", tmp_path / "cache")
    assert check_layout(tmp_path / "out" / "image") == built.digests.manifest
    assert leftovers(tmp_path / "out") == []
    assert set(built.seconds) == {"pack", "publish"}


def test_an_empty_folder_may_become_the_image(tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    built = simple(tmp_path).build(tmp_path / "image", tmp_path / "cache")
    assert check_layout(tmp_path / "image") == built.digests.manifest


def test_the_same_image_again_changes_nothing(tmp_path: Path) -> None:
    environment = simple(tmp_path)
    environment.build(tmp_path / "image", tmp_path / "cache")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "image").rglob("*") if p.is_file()}
    layer = max(before, key=lambda path: path.stat().st_size).stat().st_ino
    environment.build(tmp_path / "image", tmp_path / "cache")
    after = [p for p in (tmp_path / "image").rglob("*") if p.is_file()]
    assert set(after) == set(before)
    assert layer in {path.stat().st_ino for path in after}


def test_unreferenced_blobs_are_pruned(tmp_path: Path) -> None:
    target = tmp_path / "image"
    simple(tmp_path, "1.0").build(target, tmp_path / "cache")
    old = blobs(target)
    (target / "blobs" / "sha256" / ("0" * 64)).write_bytes(b"of nobody")
    built = simple(tmp_path, "2.0").build(target, tmp_path / "cache")
    assert check_layout(target) == built.digests.manifest
    assert len(blobs(target)) == 3
    assert not blobs(target) & old


@pytest.mark.parametrize("older", [True, False])
def test_a_failed_check_leaves_what_was_there(older: bool, tmp_path: Path) -> None:
    target = tmp_path / "out" / "image"
    first = None
    if older:
        first = simple(tmp_path, "1.0").build(target, tmp_path / "cache", prove=report_of(True))
    with pytest.raises(ProofError) as caught:
        simple(tmp_path, "2.0").build(target, tmp_path / "cache", prove=report_of(False))
    assert not caught.value.report.ok
    assert caught.value.exit_code == 1
    assert target.exists() == older
    if first is not None:
        assert check_layout(target) == first.digests.manifest
    assert leftovers(tmp_path / "out") == []


def test_a_failed_check_leaves_no_archive(tmp_path: Path) -> None:
    target = tmp_path / "out" / "image.tar"
    with pytest.raises(ProofError):
        simple(tmp_path).build(target, tmp_path / "cache", prove=report_of(False))
    assert list((tmp_path / "out").iterdir()) == []


def test_an_unexpected_digest_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(CheckFailedError, match="not the recorded one") as caught:
        simple(tmp_path).build(tmp_path / "image", tmp_path / "cache", expect="sha256:other")
    assert any("sha256:other" in line for line in caught.value.details)
    assert not (tmp_path / "image").exists()


def test_an_error_in_the_proof_leaves_nothing(tmp_path: Path) -> None:
    def prove(layout: Path) -> Report:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simple(tmp_path).build(tmp_path / "out" / "image", tmp_path / "cache", prove=prove)
    assert list((tmp_path / "out").iterdir()) == []


# --- targets that are something else ---


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("precious")
    with pytest.raises(UsageError, match="no image layout") as caught:
        simple(tmp_path).build(tmp_path / "home", tmp_path / "cache")
    assert caught.value.hint
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("own", [True, False], ids=["beside-ours", "alone"])
def test_images_of_others_are_not_replaced(tmp_path: Path, own: bool) -> None:
    """As another tool writes them: ``skopeo copy IMAGE oci:DIR:latest``."""
    layout = tmp_path / "image"
    simple(tmp_path).build(layout, tmp_path / "cache")
    index = json.loads((layout / "index.json").read_bytes())
    (ours,) = index["manifests"]
    other = {key: ours[key] for key in ("mediaType", "digest", "size")}
    other["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    images = [ours, other] if own else [other]
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": images}))
    before = {path: path.read_bytes() for path in layout.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=r"images? (is|are) in this layout already") as caught:
        simple(tmp_path, "2.0").build(layout, tmp_path / "cache")
    assert caught.value.where == str(layout)
    assert {path: path.read_bytes() for path in layout.rglob("*") if path.is_file()} == before


def test_a_layout_whose_index_nobody_can_read_is_replaced(tmp_path: Path) -> None:
    layout = tmp_path / "image"
    made = simple(tmp_path).build(layout, tmp_path / "cache")
    (layout / "index.json").write_text("{")
    assert simple(tmp_path).build(layout, tmp_path / "cache").digests == made.digests
    assert json.loads((layout / "index.json").read_bytes())["manifests"]


def test_a_file_is_refused_as_a_layout(tmp_path: Path) -> None:
    (tmp_path / "image").write_text("precious")
    with pytest.raises(UsageError):
        simple(tmp_path).build(tmp_path / "image", tmp_path / "cache")
    assert (tmp_path / "image").read_text() == "precious"


def test_a_folder_is_refused_as_an_archive(tmp_path: Path) -> None:
    simple(tmp_path).build(tmp_path / "image", tmp_path / "cache")
    (tmp_path / "image").rename(tmp_path / "image.tar")
    with pytest.raises(UsageError, match="no tar file"):
        simple(tmp_path).build(tmp_path / "image.tar", tmp_path / "cache")


def test_an_archive_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out" / "image.tar"
    simple(tmp_path, "1.0").build(target, tmp_path / "cache")
    first = target.read_bytes()
    simple(tmp_path, "2.0").build(target, tmp_path / "cache")
    assert target.read_bytes() != first
    simple(tmp_path, "1.0").build(target, tmp_path / "cache")
    assert target.read_bytes() == first
    assert leftovers(tmp_path / "out") == []
    assert target.stat().st_mode & 0o777 == 0o644


def test_an_archive_holds_both_forms(tiny: Environment, tmp_path: Path) -> None:
    """An OCI layout, and what ``docker load`` wants."""
    target = tmp_path / "image.tar"
    built = tiny.build(target, tmp_path / "cache")
    with tarfile.open(target) as archive:
        names = archive.getnames()
        assert len(names) == len(set(names))
        assert names[:2] == ["blobs", "blobs/sha256"]
        if hasattr(tarfile, "data_filter"):  # from 3.11.4 on
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(tmp_path / "out")
    assert check_layout(tmp_path / "out") == built.digests.manifest
    (image,) = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert image["RepoTags"] == ["tiny:latest"]
    assert image["Config"] == f"blobs/sha256/{built.digests.config.removeprefix('sha256:')}"
    assert image["Layers"] == [
        f"blobs/sha256/{layer.digest.removeprefix('sha256:')}" for layer in built.digests.layers
    ]
    listed = {image["Config"], *image["Layers"]}
    manifest = f"blobs/sha256/{built.digests.manifest.removeprefix('sha256:')}"
    there = {name for name in names if name.count("/") == 2}
    assert there == listed | {manifest}


def test_the_layers_hold_what_was_asked(tiny: Environment, tmp_path: Path) -> None:
    built = tiny.build(tmp_path / "image", tmp_path / "cache")
    seen: dict[str, tarfile.TarInfo] = {}
    for layer in built.digests.layers:
        path = tmp_path / "image" / "blobs" / layer.digest.replace(":", "/")
        with tarfile.open(path, "r:gz") as archive:
            inside: set[str] = set()
            for info in archive:
                parent = info.name.rpartition("/")[0]
                assert not parent or parent in inside, f"{info.name} comes before its parent"
                assert info.name not in inside
                inside.add(info.name)
                assert info.mtime == 315532800
                seen[info.name] = info
    assert seen["app"].uid == seen["app"].gid == 65532
    assert seen["opt/env/bin/python3"].linkname == "python3.11"
    assert seen["opt/env/bin/python3.11"].linkname == "/usr/bin/python3.11"
    assert seen["opt/env/bin/alpha"].mode == 0o755
    assert seen["usr/bin/tool"].mode == 0o755
    assert seen["usr/bin/tool-2"].islnk()
    assert seen["usr/bin/wall"].mode == 0o2755
    assert seen["usr/bin/wall"].gid == 5
    assert seen["tmp"].mode == 0o1777
    assert seen["lib"].linkname == "usr/lib"
    assert seen["usr/lib/x86_64-linux-gnu/libdemo.so.1.0"].isreg()


def test_the_builds_folder_is_kept_out_of_git(tmp_path: Path) -> None:
    project_folder(tmp_path / "build")
    assert (tmp_path / "build" / ".gitignore").read_text() == "*\n"
    (tmp_path / "build" / ".gitignore").write_text("mine\n")
    project_folder(tmp_path / "build")
    assert (tmp_path / "build" / ".gitignore").read_text() == "mine\n"


# --- wrong inputs ---


def test_a_lock_of_another_packer_is_refused(tmp_path: Path) -> None:
    from dataclasses import replace

    environment = simple(tmp_path)
    other = Environment(replace(environment.lock, packer=99), environment.paths)
    with pytest.raises(LockError, match="packer 99"):
        other.build(tmp_path / "image", tmp_path / "cache")


@pytest.mark.parametrize("damage", [b"", b"not a zip", None])
def test_a_damaged_artifact_is_named(damage: bytes | None, tmp_path: Path) -> None:
    environment = simple(tmp_path)
    (path,) = environment.paths.values()
    data = path.read_bytes()
    path.write_bytes(data[:-30] + b"x" + data[-29:] if damage is None else damage)
    with pytest.raises(IntegrityError) as caught:
        environment.build(tmp_path / "image", tmp_path / "cache")
    assert caught.value.hint
    assert not (tmp_path / "image").exists()


def test_damage_that_is_still_a_wheel_is_found(tmp_path: Path) -> None:
    environment = simple(tmp_path)
    (path,) = environment.paths.values()
    make_wheel(tmp_path, "demo", "1.0", {"demo.py": b"EVIL = 1\n"}, pack=pack)
    assert path.exists()
    with pytest.raises(IntegrityError):
        environment.build(tmp_path / "image", tmp_path / "cache")


def test_a_missing_artifact_is_named(tmp_path: Path) -> None:
    environment = simple(tmp_path)
    (path,) = environment.paths.values()
    path.unlink()
    with pytest.raises(DiskError, match="No such file"):
        environment.build(tmp_path / "image", tmp_path / "cache")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"digest": 1}'])
def test_a_damaged_record_of_a_layer_is_made_anew(text: str, tmp_path: Path) -> None:
    environment = simple(tmp_path)
    first = environment.build(tmp_path / "image", tmp_path / "cache")
    for record in (tmp_path / "cache" / "layers").iterdir():
        record.write_text(text)
    again = environment.build(tmp_path / "image", tmp_path / "cache")
    assert again.digests.manifest == first.digests.manifest


def test_a_damaged_packed_package_is_made_anew(tiny: Environment, tmp_path: Path) -> None:
    first = tiny.build(tmp_path / "a", tmp_path / "cache")
    for segment in (tmp_path / "cache" / "segments").glob("*.gz"):
        segment.write_bytes(b"damaged")
    shutil.rmtree(tmp_path / "a")
    again = tiny.build(tmp_path / "b", tmp_path / "cache")
    assert again.digests.manifest == first.digests.manifest
    check_layout(tmp_path / "b")


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '{"sha256": "", "facts": []}'])
def test_a_damaged_note_of_a_packed_package_is_made_anew(
    text: str, tiny: Environment, tmp_path: Path
) -> None:
    first = tiny.build(tmp_path / "a", tmp_path / "cache")
    for note in (tmp_path / "cache" / "segments").glob("*.json"):
        note.write_text(text)
    shutil.rmtree(tmp_path / "a")
    again = tiny.build(tmp_path / "b", tmp_path / "cache")
    assert again.digests.manifest == first.digests.manifest


def test_fresh_layers_are_packed_again(tmp_path: Path) -> None:
    """``build --check`` must notice a blob that rotted under its name."""
    environment = simple(tmp_path)
    built = environment.build(tmp_path / "image", tmp_path / "cache")
    digest = built.digests.layers[0].digest.replace(":", "/")
    blob = tmp_path / "image" / "blobs" / digest
    blob.write_bytes(bytes(blob.stat().st_size))
    environment.build(tmp_path / "image", tmp_path / "cache", fresh=True)
    check_layout(tmp_path / "image")


# --- killed, at every step of publishing ---


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it is cleaned up."""


@pytest.mark.parametrize("older", [True, False])
def test_killed_at_every_step_of_publishing(
    older: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = simple(tmp_path, "2.0")
    before = simple(tmp_path, "1.0").build(tmp_path / "old", tmp_path / "cache").digests.manifest
    after = new.build(tmp_path / "new", tmp_path / "cache").digests.manifest
    survived = 0
    for steps in range(40):
        place = tmp_path / f"{steps}"
        target = place / "image"
        if older:
            shutil.copytree(tmp_path / "old", target)
        with monkeypatch.context() as patch:
            _die_after(steps, patch)
            try:
                new.build(target, tmp_path / "cache", prove=report_of(True))
                survived += 1
            except Killed:
                pass
        if (target / "index.json").exists():
            assert check_layout(target) in {before, after}
        else:
            assert not older
        assert new.build(target, tmp_path / "cache").digests.manifest == after
        assert check_layout(target) == after
        assert len(blobs(target)) == 3
        assert leftovers(place) == []
        if survived > 1:
            break
    assert survived
    assert steps > 4


def _die_after(steps: int, patch: pytest.MonkeyPatch) -> None:
    """Let the process "die" before the n-th change that publishing makes."""
    left = steps
    dead = False

    def before(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*arguments: Any, **options: Any) -> Any:
            nonlocal left, dead
            if dead or left <= 0:
                dead = True
                raise Killed
            left -= 1
            return change(*arguments, **options)

        return changed

    real = layout_module.Staging.publish

    def publish(self: layout_module.Staging) -> None:
        with pytest.MonkeyPatch.context() as inner:
            for name in ("replace", "mkdir", "unlink"):
                inner.setattr(Path, name, before(getattr(Path, name)))
            inner.setattr(layout_module, "sync", before(sync))
            real(self)

    def rmtree(*arguments: Any, **options: Any) -> None:
        if not dead:
            shutil_rmtree(*arguments, **options)

    shutil_rmtree = shutil.rmtree
    patch.setattr(layout_module.Staging, "publish", publish)
    patch.setattr(shutil, "rmtree", rmtree)


# --- killed for real ---


def relatives(mark: str) -> list[int]:
    """Return the processes that carry the mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def end(mark: str) -> None:
    """End what a killed build left running, so that it is no part of what comes next."""
    deadline = time.monotonic() + 20
    while (left := relatives(mark)) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def start(job: Path, mark: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        driver_command(job),
        env=driver_environment(**{mark: "1"}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")


@needs_proc
def test_a_killed_build_leaves_no_half_image(tiny: Environment, tmp_path: Path) -> None:
    mark = f"BUILD_MARK_{uuid.uuid4().hex}"
    chance = random.Random(1)
    started = time.monotonic()
    expected = drive(write_job(tiny, tmp_path / "t.json", tmp_path / "t", tmp_path / "tc"))
    usual = time.monotonic() - started
    target, cache = tmp_path / "out" / "image", tmp_path / "cache"
    job = write_job(tiny, tmp_path / "job.json", target, cache, workers=2)
    killed = 0
    for _ in range(10):
        shutil.rmtree(cache, ignore_errors=True)
        process = start(job, mark)
        time.sleep(chance.uniform(0.1, 1.1) * usual)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        end(mark)
        if (target / "index.json").exists():
            assert check_layout(target) == expected
    assert killed >= 3
    assert drive(job) == expected
    assert check_layout(target) == expected
    assert leftovers(tmp_path / "out") == []


@needs_proc
def test_a_killed_build_leaves_no_processes(tiny: Environment, tmp_path: Path) -> None:
    mark = f"BUILD_MARK_{uuid.uuid4().hex}"
    job = write_job(tiny, tmp_path / "job.json", tmp_path / "image", tmp_path / "c", workers=2)
    process = start(job, mark)
    deadline = time.monotonic() + 20
    while len(relatives(mark)) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)  # the build, two workers, and what cleans up after them
    process.kill()
    process.wait()
    try:
        deadline = time.monotonic() + 5
        while relatives(mark) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not relatives(mark)
    finally:
        end(mark)


# --- several builds at once ---


def test_two_builds_of_one_target_at_once(tiny: Environment, tmp_path: Path) -> None:
    target, cache = tmp_path / "out" / "image", tmp_path / "cache"
    job = write_job(tiny, tmp_path / "job.json", target, cache, workers=2)
    running = [
        subprocess.Popen(
            driver_command(job),
            env=driver_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    ends = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], ends
    assert len({stdout for stdout, _ in ends}) == 1
    assert check_layout(target) == ends[0][0].strip()
    assert leftovers(tmp_path / "out") == []


def test_builds_of_different_targets_share_a_cache(tiny: Environment, tmp_path: Path) -> None:
    running = []
    for number in range(3):
        target = tmp_path / f"image{number}"
        job = write_job(tiny, tmp_path / f"{number}.json", target, tmp_path / "cache", workers=2)
        running.append(
            subprocess.Popen(
                driver_command(job),
                env=driver_environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    ends = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], ends
    assert len({check_layout(tmp_path / f"image{number}") for number in range(3)}) == 1


def test_leftovers_of_a_killed_build_are_removed(tmp_path: Path) -> None:
    for name in ("image", "odd[name]"):
        target = tmp_path / "out" / name
        left = target.parent / f".{name}.staging-dead" / "blobs"
        left.mkdir(parents=True)
        (left / "x").write_text("x")
        with staging(target):
            assert not left.exists()
        assert leftovers(tmp_path / "out") == []
