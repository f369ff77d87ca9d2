"""Finding the driver: by names and folders, by CDI; what is said where it is not there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from envlock.errors import GpuError
from envlock.validate.gpu.driver import INSIDE, access, describe, find_driver, is_visible
from envlock.validate.gpu.libraries import cached, candidates, library

from .making import LIB, VERSION, Machine, cdi

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path.resolve())


def test_by_names(machine: Machine) -> None:
    machine.driver().devices().module().cache(LIB)
    (machine.root / "usr/bin").mkdir()
    (machine.root / "usr/bin/nvidia-smi").write_bytes(b"\x7fELF")
    driver = find_driver(machine.root)
    assert driver.version == VERSION
    assert [one.names for one in driver.libraries] == [
        ("libcuda.so", "libcuda.so.1", f"libcuda.so.{VERSION}"),
        ("libnvidia-ml.so.1", f"libnvidia-ml.so.{VERSION}"),
        ("libnvidia-ptxjitcompiler.so.1", f"libnvidia-ptxjitcompiler.so.{VERSION}"),
        ("libnvidia-nvvm.so.4", f"libnvidia-nvvm.so.{VERSION}"),
    ]
    gpu = access(driver)
    shown = {bind.target: bind for bind in gpu.binds}
    assert shown[f"{INSIDE}/lib/libcuda.so.1"].source.name == f"libcuda.so.{VERSION}"
    assert not shown[f"{INSIDE}/lib/libcuda.so.1"].writable
    assert shown["/dev/nvidia0"].device
    assert shown["/dev/nvidia-uvm"].device
    assert f"{INSIDE}/bin/nvidia-smi" in shown
    assert (gpu.library_path, gpu.program_path) == (f"{INSIDE}/lib", f"{INSIDE}/bin")
    told = "\n".join(describe(driver))
    assert f"driver {VERSION}" in told
    assert "libcuda.so.1" in told


@pytest.mark.parametrize(
    "folder", ["usr/lib64", "usr/local/nvidia/lib64", "run/nvidia/driver/usr/lib64"]
)
def test_known_folders_need_no_cache(machine: Machine, folder: str) -> None:
    machine.driver(folder=folder).devices()
    assert find_driver(machine.root).libraries[0].path.parent == machine.root / folder


def test_a_library_of_another_machine_is_passed_over(machine: Machine) -> None:
    machine.library(f"libcuda.so.{VERSION}", "libcuda.so.1", "usr/lib64", machine=3)
    machine.driver(folder="usr/lib").devices()
    assert find_driver(machine.root).libraries[0].path.parent.name == "lib"


def test_the_library_of_the_loaded_module_is_taken(machine: Machine) -> None:
    """An update leaves the old libraries in one folder and puts the new ones into another."""
    machine.driver("570.10.01", "usr/lib64").driver(folder="usr/lib").devices().module()
    assert find_driver(machine.root).version == VERSION


def test_libraries_that_do_not_fit_the_module(machine: Machine) -> None:
    machine.driver("570.10.01", "usr/lib64").devices().module()
    with pytest.raises(GpuError, match="no GPU was found") as caught:
        find_driver(machine.root)
    assert "libcuda.so.1" in "\n".join(caught.value.details)


def test_a_cdi_file_older_than_the_driver(machine: Machine) -> None:
    machine.driver().devices().module("590.1.1")
    write_cdi(machine, cdi())
    with pytest.raises(GpuError, match=rf"{VERSION}, its kernel module is 590\.1\.1") as caught:
        find_driver(machine.root)
    assert "started again" in (caught.value.hint or "")


def test_nothing_there(machine: Machine) -> None:
    with pytest.raises(GpuError, match="no GPU was found") as caught:
        find_driver(machine.root)
    told = "\n".join(caught.value.details)
    for word in ("/dev/nvidia0", "libcuda.so.1", "/etc/cdi", "/etc/ld.so.cache", "/usr/lib64"):
        assert word in told
    assert caught.value.exit_code == 1
    assert not is_visible(machine.root)


def test_libraries_without_devices(machine: Machine) -> None:
    machine.driver(folder="usr/lib64")
    (machine.root / "dev").mkdir()
    (machine.root / "dev/nvidia0").write_text("no node")
    with pytest.raises(GpuError) as caught:
        find_driver(machine.root)
    assert "  not found: a device: /dev/nvidia0 and so on" in caught.value.details
    assert "modprobe" in (caught.value.hint or "")


def test_a_gpu_without_its_control_device(machine: Machine) -> None:
    machine.driver(folder="usr/lib64").devices("nvidia0")
    assert is_visible(machine.root)
    with pytest.raises(GpuError) as caught:
        find_driver(machine.root)
    assert "  not found: the control device: /dev/nvidiactl" in caught.value.details


def test_the_loaders_cache(machine: Machine) -> None:
    machine.cache("opt/driver")
    assert cached(machine.root) == {
        "libcuda.so.1": ["/opt/driver/libcuda.so.1"],
        "libc.so.6": ["/lib/libc.so.6"],
    }
    assert candidates(machine.root)[0] == machine.root / "opt/driver"
    whole = (machine.root / "etc/ld.so.cache").read_bytes()
    for damaged in (whole[:60], b"", b"garbage" * 9, whole[:20] + b"\xff" * 8 + whole[28:]):
        (machine.root / "etc/ld.so.cache").write_bytes(damaged)
        assert cached(machine.root) == {}
    old = b"ld.so-1.7.0\0" + bytes(36)  # the format before it may stand in front
    (machine.root / "etc/ld.so.cache").write_bytes(old + whole)
    assert cached(machine.root)["libcuda.so.1"] == ["/opt/driver/libcuda.so.1"]


@given(st.binary() | st.binary().map(lambda data: b"glibc-ld.so.cache1.1" + data))
def test_any_bytes_for_a_cache(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    root = tmp_path_factory.getbasetemp() / "any"
    (root / "etc").mkdir(parents=True, exist_ok=True)
    (root / "etc/ld.so.cache").write_bytes(data)
    found = cached(root)
    assert all(isinstance(path, str) for paths in found.values() for path in paths)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just("/a/libcuda.so.1"),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["name", "containerEdits", "deviceNodes", "mounts", "hooks", "path", "hostPath",
             "containerPath", "args"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["containerEdits", "devices"]), VALUES))
def test_any_cdi_file(tmp_path_factory: pytest.TempPathFactory, value: dict[str, Any]) -> None:
    """It is used or refused with its name, and what is bound has an ordinary name."""
    root = tmp_path_factory.getbasetemp() / "any-cdi"
    write_cdi(Machine(root), {"kind": "nvidia.com/gpu", **value})
    try:
        gpu = access(find_driver(root))
    except GpuError:
        return
    assert all(bind.target.startswith("/") for bind in gpu.binds)


def test_an_empty_file_is_no_library(machine: Machine) -> None:
    path = machine.root / "libcuda.so.1"
    path.touch()
    assert library(path) is None


def write_cdi(machine: Machine, value: Any, name: str = "nvidia.json", folder: str = "etc") -> Path:
    place = machine.root / folder / "cdi" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(value) if name.endswith("yaml") else json.dumps(value)
    place.write_text(text)
    return place


@pytest.mark.parametrize("name", ["nvidia.json", "nvidia.yaml"])
def test_by_cdi(machine: Machine, name: str) -> None:
    machine.driver().devices()
    (machine.root / "usr/bin").mkdir()
    (machine.root / "usr/bin/nvidia-smi").write_bytes(b"\x7fELF")
    write_cdi(machine, {"cdiVersion": "0.5.0", "kind": "example.com/nic"}, "a.json")
    place = write_cdi(machine, cdi(), name)
    driver = find_driver(machine.root, yaml.safe_load)
    assert str(place) in driver.source
    assert driver.version == VERSION
    (cuda,) = driver.libraries  # what the file lists and nothing else
    assert "libcuda-extra.so" in cuda.names
    assert [inside for _, inside in driver.devices] == [
        "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia0"
    ]  # fmt: skip
    assert [path.name for path in driver.programs] == ["nvidia-smi"]
    assert any("gone" in note for note in driver.notes)
    assert any("disable-device-node-modification" in note for note in driver.notes)


def test_run_wins_over_etc(machine: Machine) -> None:
    machine.driver().devices()
    write_cdi(machine, cdi())
    place = write_cdi(machine, cdi(), folder="var/run")
    assert str(place) in find_driver(machine.root).source


def test_yaml_without_a_reader_is_told_and_names_are_used(machine: Machine) -> None:
    machine.driver(folder="usr/lib64").devices()
    write_cdi(machine, cdi(), "nvidia.yaml")
    driver = find_driver(machine.root)
    assert "names" in driver.source
    assert "PyYAML" in driver.notes[0]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ([], "no mapping"),
        (cdi(containerEdits=[1]), "containerEdits is no mapping"),
        (cdi(devices={"name": "all"}), "devices is no list"),
        (cdi(devices=[{}]), "'name' is missing"),
        (cdi(containerEdits={"deviceNodes": [{"path": "dev/x"}]}), "no absolute path"),
        (cdi(containerEdits={"mounts": [{"hostPath": "/a"}]}), "'containerPath' is missing"),
        (
            cdi(containerEdits={"mounts": [{"hostPath": "/a/../../b", "containerPath": "/b"}]}),
            "no absolute path",
        ),
        (cdi(containerEdits={"hooks": [3]}), "not understood"),
    ],
)
def test_a_cdi_file_of_wrong_shape(machine: Machine, value: Any, told: str) -> None:
    place = write_cdi(machine, value)
    with pytest.raises(GpuError, match=told) as caught:
        find_driver(machine.root)
    assert caught.value.where == str(place)
    assert "nvidia-ctk" in (caught.value.hint or "")


@pytest.mark.parametrize("text", ["{", "{]: *"])
@pytest.mark.parametrize("name", ["n.json", "n.yaml"])
def test_a_cdi_file_that_cannot_be_parsed(machine: Machine, name: str, text: str) -> None:
    write_cdi(machine, {}, name).write_text(text)
    with pytest.raises(GpuError, match="cannot be read"):
        find_driver(machine.root, yaml.safe_load)


def test_a_wrapper_in_shell_is_no_program_for_an_image(machine: Machine) -> None:
    machine.driver().devices().module().cache(LIB)
    wrapper = machine.root / "usr/bin/nvidia-smi"
    wrapper.parent.mkdir(parents=True, exist_ok=True)
    wrapper.write_text("#!/bin/sh\n")
    assert find_driver(machine.root).programs == ()
    real = machine.root / "usr/local/nvidia/bin/nvidia-smi"
    real.parent.mkdir(parents=True)
    real.write_bytes(b"\x7fELF")
    assert find_driver(machine.root).programs == (real,)
