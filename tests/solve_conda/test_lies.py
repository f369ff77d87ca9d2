"""A channel whose lists of paths are not those of its packages."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import pytest
from backports import zstd

from envlock.channels import ChannelAccess
from envlock.errors import ArtifactError
from envlock.lock.codec import load_lock

from ..makers.conda import distribution, index_channel, make_conda
from ..makers.index import Fault
from .solving import CondaSolver

if TYPE_CHECKING:
    from pathlib import Path

    from ..makers.index import Index
    from ..makers.machine import Machine

SPEC = """\
version: 1
name: one
platforms:
  linux-64: {glibc: "2.36"}
python: "3.12"
conda:
  channels: [main]
  dependencies: [quiet]
"""


def test_what_was_decided_by_them_is_looked_at_again(
    machine: Machine, index: Index, tmp_path: Path
) -> None:
    lie = distribution("requests", "2.0")
    true = make_conda(tmp_path / "conda" / "main", "quiet", "1.0", noarch="generic")
    lying = make_conda(tmp_path / "lies", "quiet", "1.0", noarch="generic", files=lie)
    index_channel(true.parents[1])
    index.folders["conda"] = tmp_path / "conda"
    machine.environ["ENVLOCK_CHANNELS"] = f"{index.base}/conda"
    (machine.project / "envs" / "one.yaml").write_text(SPEC)
    index.faults[true.name] = Fault(content=lying.read_bytes())
    solved = machine.run("solve")
    assert solved.returncode == 0, solved.stderr
    assert _provides(machine) == (("requests", "2.0"),)
    del index.faults[true.name]
    built = machine.run("build", "one", "--no-validate")
    assert built.returncode == 1
    for said in (
        "quiet-1.0-h0_0.conda: its distributions are not those that the lock was solved with",
        "told:  requests 2.0",
        "found: none",
        "solve again",
    ):
        assert said in built.stderr
    assert machine.run("solve").returncode == 0  # the package is here by now
    assert _provides(machine) == ()


def _provides(machine: Machine) -> tuple[tuple[str, str], ...]:
    (quiet,) = load_lock(machine.lock("one")).of_kind("conda")
    assert quiet.conda is not None
    return quiet.conda.provides


def test_a_list_that_fills_the_memory(tmp_path: Path, index: Index) -> None:
    """One PAX header may claim to be as large as it likes; tarfile would read it all."""
    path = make_conda(tmp_path / "main", "huge", "1.0", noarch="generic")
    part = f"info-{path.name.removesuffix('.conda')}.tar.zst"
    header = bytearray(512)
    header[:1], header[156:157] = b"x", b"x"
    header[124:136] = f"{1 << 30:011o}\0".encode()
    header[148:156] = f"{sum(header) + 8 * 32:06o}\0 ".encode()
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    url = index_channel(tmp_path / "main")
    hostile = io.BytesIO()
    with zipfile.ZipFile(hostile, "w") as archive:
        for name, data in {**members, part: zstd.compress(bytes(header) + bytes(4096))}.items():
            archive.writestr(name, data)
    index.folders["conda"] = tmp_path
    index.faults[path.name] = Fault(content=hostile.getvalue())
    access = {"main": ChannelAccess(urls=(url.replace(tmp_path.as_uri(), f"{index.base}/conda"),))}
    solve = CondaSolver(tmp_path / "solver", index, access)
    with pytest.raises(ArtifactError, match="PAX header of 1073741824 bytes") as caught:
        solve("conda:\n  channels: [main]\n  dependencies: [huge]\n")
    assert caught.value.where == path.name
