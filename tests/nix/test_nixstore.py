from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock import nixstore
from envlock.lock.model import Artifact
from envlock.nixstore import NAME_LIMIT, NixError, seed, store_name, store_path
from envlock.progress import SILENT

from ..makers.fixtures import index, machine, mirror

if TYPE_CHECKING:
    from pathlib import Path

    from ..makers.index import Index
    from ..makers.machine import Machine

__all__ = ["index", "machine", "mirror"]


def test_paths_are_those_that_nix_gives() -> None:
    # nix-store --print-fixed-path sha256 <hash in base 16> <name>, of Nix 2.8
    digest = "8c2698d420ad0dba894b08121d30a22104f670f851729c250775d71dc112b1f6"
    assert (
        store_path("envlock_fixture-1.0-py3-none-any.whl", digest)
        == "/nix/store/98vyfc9fa8p8x9729r6xn2wwhsgn043w-envlock_fixture-1.0-py3-none-any.whl"
    )


@given(st.text(min_size=1, max_size=400))
def test_any_file_name_gives_a_store_name(file: str) -> None:
    name = store_name(file)
    assert 1 <= len(name) <= NAME_LIMIT
    assert not name.startswith(".") or len(file) > NAME_LIMIT
    assert all(letter.isascii() and (letter.isalnum() or letter in "+._?=-") for letter in name)
    assert store_name(name) == name or name.startswith(".")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("libc6_2.36-9+deb12u10_amd64.deb", "libc6_2.36-9+deb12u10_amd64.deb"),
        ("ca-certificates_20250419~deb12u2_all.deb", "ca-certificates_20250419_deb12u2_all.deb"),
        ("a_1%3a2.0_all.deb", "a_1_3a2.0_all.deb"),
        (".hidden", "_.hidden"),
        ("x" * 300 + ".whl", "x" * (NAME_LIMIT - 4) + ".whl"),
    ],
)
def test_store_names(file: str, name: str) -> None:
    assert store_name(file) == name


def test_without_nix_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NixError, match="no nix-store") as caught:
        seed([_artifact()], {"0" * 64: tmp_path}, SILENT, scratch=tmp_path)
    assert caught.value.exit_code == 1
    assert caught.value.hint is not None


def test_without_nix_nothing_is_fetched(machine: Machine, index: Index) -> None:
    index.wheel("app", "1.0")
    machine.write_spec("web", "pypi: {dependencies: [app]}\n")
    assert machine.run("solve", "--no-audit", "web").returncode == 0
    before = index.count(".whl")
    shutil.rmtree(machine.cache)
    done = machine.run("nix-seed", PATH=str(machine.root))
    assert (done.returncode, "there is no nix-store" in done.stderr) == (1, True)
    assert index.count(".whl") == before


def test_large_artifacts_and_many_ones_go_in_several_batches() -> None:
    sizes = [nixstore._AT_ONCE, 1, *[10] * (nixstore._MANY + 1)]
    wanted = {str(number): _artifact(size) for number, size in enumerate(sizes)}
    batches = list(nixstore._batches(list(wanted), wanted))
    assert [path for batch in batches for path in batch] == list(wanted)
    assert [len(batch) for batch in batches] == [1, nixstore._MANY, 2]


def _artifact(size: int = 1) -> Artifact:
    return Artifact(
        kind="pypi", name="demo", version="1", source="pypi", file="demo-1-py3-none-any.whl",
        path="demo-1-py3-none-any.whl", sha256="0" * 64, size=size,
    )  # fmt: skip
