"""What an image takes over of its base's configuration."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.errors import ArtifactError, LockError, UnsatisfiableError
from envlock.image.base import Foundation, merged_settings, parse_config, read_foundation
from envlock.image.config import config_blob, environment
from envlock.layers.plan import MOST_LAYERS, plan_layers
from envlock.lock.base import GZIP, BaseBlob, BaseLayer
from envlock.progress import SILENT
from envlock.solve.solve import solve
from envlock.spec.document import parse_document
from envlock.spec.parse import parse_spec

from ..lock.locks import BELOW, LOCK, wheel
from ..makers.bases import digest_of

if TYPE_CHECKING:
    from pathlib import Path


def settings(below: dict[str, Any], **image: Any) -> dict[str, Any]:
    return merged_settings(Foundation(settings=below), image, {})


def test_a_command_belongs_to_its_entrypoint() -> None:
    below = {"Entrypoint": ["/start"], "Cmd": ["bash"]}
    assert settings(below) == {"Env": [], "Entrypoint": ["/start"], "Cmd": ["bash"]}
    assert settings(below, command=["x"]) == {"Env": [], "Entrypoint": ["/start"], "Cmd": ["x"]}
    assert settings(below, entrypoint=["y"]) == {"Env": [], "Entrypoint": ["y"]}
    both = settings(below, entrypoint=["y"], command=["x"])
    assert both == {"Env": [], "Entrypoint": ["y"], "Cmd": ["x"]}


def test_the_spec_goes_over_the_base() -> None:
    below = {
        "User": "app", "WorkingDir": "/app", "Labels": {"a": "1", "b": "1"},
        "ExposedPorts": {"80/tcp": {}}, "StopSignal": "SIGINT", "OnBuild": ["RUN x"],
        "Hostname": "x", "Image": "y",
    }  # fmt: skip
    kept = settings(below)
    assert kept.keys() == {
        "Env", "User", "WorkingDir", "Labels", "ExposedPorts", "StopSignal",
    }  # fmt: skip
    ours = settings(below, user="1000", workdir="/srv", labels={"b": "2", "c": "2"})
    assert (ours["User"], ours["WorkingDir"]) == ("1000", "/srv")
    assert ours["Labels"] == {"a": "1", "b": "2", "c": "2"}


def test_variables() -> None:
    spec = {**LOCK.spec, "platform": {**LOCK.spec["platform"], "cuda": "12.4"}}
    lock = replace(LOCK, spec={**spec, "image": {"env": {"MINE": "1", "THEIRS": "2"}}})
    below = {"PATH": "/x:/y", "THEIRS": "1", "LD_LIBRARY_PATH": "/z", "NVIDIA_REQUIRE_CUDA": "c"}
    found = environment(lock, {"OF_A_PACKAGE": "1"}, below)
    assert found == {
        "PATH": "/opt/env/bin:/x:/y", "THEIRS": "2", "MINE": "1", "LD_LIBRARY_PATH": "/z",
        "OF_A_PACKAGE": "1", "NVIDIA_REQUIRE_CUDA": "c", "NVIDIA_VISIBLE_DEVICES": "all",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
    }  # fmt: skip
    assert environment(lock, below={"A": ""})["PATH"].startswith("/opt/env/bin:/usr/local/sbin:")


def layers(count: int) -> tuple[BaseLayer, ...]:
    return tuple(
        BaseLayer(digest=f"sha256:{n:064}", size=1, diff_id=f"sha256:{n:064}", media_type=GZIP)
        for n in range(count)
    )


def based(config: dict[str, Any], folder: Path, count: int = 2) -> tuple[Any, dict[str, Path]]:
    """Return a base image with this configuration, and where that is."""
    ids = [layer.diff_id for layer in layers(count)]
    data = json.dumps({"rootfs": {"diff_ids": ids}, **config}).encode()
    blob = BaseBlob(digest=digest_of(data), size=len(data))
    (folder / blob.sha256).write_bytes(data)
    return replace(BELOW, config=blob, layers=layers(count)), {blob.sha256: folder / blob.sha256}


def test_the_history_goes_on(tmp_path: Path) -> None:
    told = [{"created_by": "a"}, {"created_by": "b", "empty_layer": True}, {"created_by": "c"}]
    base, paths = based({"history": told, "variant": "v8"}, tmp_path)
    found = read_foundation(base, paths)
    assert list(found.history) == told
    config = json.loads(config_blob(LOCK, [], foundation=found).data)
    assert (config["variant"], config["history"]) == ("v8", told)
    assert config["rootfs"]["diff_ids"] == [layer.diff_id for layer in base.layers]
    base, paths = based({"history": told[:2]}, tmp_path)
    assert [line["created_by"] for line in read_foundation(base, paths).history] == [
        "layer 1 of the base image", "layer 2 of the base image",
    ]  # fmt: skip


def test_a_configuration_of_other_layers_is_refused(tmp_path: Path) -> None:
    base, paths = based({}, tmp_path)
    with pytest.raises(ArtifactError, match="not those that its configuration names"):
        read_foundation(replace(base, layers=layers(1)), paths)
    with pytest.raises(LockError, match="not among the given files"):
        read_foundation(base, {})


_TEXTS = st.text(max_size=5) | st.none() | st.integers()
_VALUES = _TEXTS | st.lists(_TEXTS, max_size=3) | st.dictionaries(st.text(max_size=3), _TEXTS)
_KEYS = st.sampled_from(
    ["Env", "Cmd", "Entrypoint", "User", "WorkingDir", "Labels", "Volumes", "OnBuild"]
)


@given(
    st.dictionaries(_KEYS, _VALUES),
    st.lists(_VALUES | st.dictionaries(st.just("empty_layer"), st.booleans()), max_size=3) | _TEXTS,
)
def test_any_configuration_is_taken_or_refused(below: dict[str, Any], history: Any) -> None:
    document = {"config": below, "history": history, "rootfs": {"diff_ids": []}}
    try:
        told = parse_config(json.dumps(document).encode(), "here")
    except ArtifactError:
        return
    merged = settings(told["config"])
    assert all(
        isinstance(text, str) for key in ("Cmd", "Entrypoint") for text in merged.get(key, ())
    )
    assert all(isinstance(merged.get(key, ""), str) for key in ("User", "WorkingDir"))
    assert isinstance(Foundation(settings=told["config"]).env, dict)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"{", b"[" * 100_000, b" " * (5 << 20)])
def test_what_is_no_configuration(data: bytes) -> None:
    with pytest.raises(ArtifactError, match="configuration"):
        parse_config(data, "here")


def test_the_layers_leave_room_for_each_other() -> None:
    wheels = [replace(wheel(f"w{n}"), size=9 << 20) for n in range(50)]
    base = replace(BELOW, layers=layers(MOST_LAYERS - 10), python="/usr/bin/python3.11")
    spec = {**LOCK.spec, "image": {"base": BELOW.reference, "workdir": "/app"}}
    plans = plan_layers(replace(LOCK, artifacts=tuple(wheels), debian=None, spec=spec, base=base))
    assert len(plans) == 10
    assert dict(plans[-1].settings).keys() == {"prefix", "python", "interpreter"}


@pytest.mark.parametrize(
    ("glibc", "cuda", "message"),
    [
        ("2.31", None, "promises glibc 2.36, and the base image has 2.31"),
        ("2.9", None, "promises glibc 2.36, and the base image has 2.9"),
        ("2.36", "11.8", "promises cuda 12.4, and the base image has 11.8"),
    ],
)
def test_a_base_that_is_too_old(glibc: str, cuda: str | None, message: str) -> None:
    text = (
        "version: 1\nname: one\nplatforms:\n  linux-64: {glibc: '2.36', cuda: '12.4'}\n"
        "python: '3.11'\nimage:\n  base: x\n"
    )
    spec = parse_spec(parse_document(text, "one.yaml"), "one.yaml")
    means: Any = None  # nothing is asked before the base is looked at
    base = replace(BELOW, glibc=glibc, cuda=cuda)
    with pytest.raises(UnsatisfiableError, match=message) as caught:
        solve(spec, spec.targets[0], means, SILENT, base=base)
    assert caught.value.where == "one.yaml:7:9"
