"""Post-link scripts that the spec wants run: in the sandbox, twice, into a layer of their own."""

from __future__ import annotations

import os
import shutil
import tarfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from backports import zstd  # noqa: F401 - packages are made with it

from envlock.errors import ArtifactError, LockError, UsageError
from envlock.image.build import Workshop
from envlock.layers.plan import plan_layers
from envlock.limits import Limits
from envlock.lock.linking import scripts_to_run, undone
from envlock.lock.model import BuiltImage, BuiltLayer
from envlock.pipeline import Running, build
from envlock.progress import SilentReporter
from envlock.validate.linking import LIMITS, linker
from envlock.validate.sandbox import Bubblewrap, find_bwrap

from ..container.judges import need
from ..image.making import Environment, environment_of
from ..layers_deb.making import Item, write_deb
from ..makers.conda import Content, Link, Program, make_conda
from ..makers.cpython import linked_libraries
from .building import with_conda

if TYPE_CHECKING:
    from envlock.pipeline import Built

pytestmark = pytest.mark.container
PROGRAMS = ("sh", "cat", "date", "ln", "mkdir", "mkfifo", "rm", "truncate", "env")
WRITES = """\
#!/bin/sh
set -eu
cat "$PREFIX/share/base" > "$PREFIX/share/made"
echo "$PKG_NAME $PKG_VERSION $PKG_BUILDNUM $PREFIX $HOME" >> "$PREFIX/share/made"
mkdir -p "$PREFIX/etc/conda/env_vars.d" "$PREFIX/empty"
echo '{"TOOL_LINKED": "yes"}' > "$PREFIX/etc/conda/env_vars.d/tool.json"
echo changed > "$PREFIX/share/changed"
cat "$PREFIX/share/base" > "$PREFIX/share/touched" && echo same > "$PREFIX/share/same"
ln -s ../share/made "$PREFIX/bin/made"
echo "Read the terms." >> "$PREFIX/.messages.txt"
: > /tmp/scratch
"""


@dataclass
class Heard(SilentReporter):
    """What a build told."""

    notes: list[str]
    warnings: list[str]

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """This machine's shell and a few programs as the OS layer."""
    need("bwrap")
    folder = tmp_path_factory.mktemp("base")
    programs = [Path(shutil.which(name) or f"/usr/bin/{name}").resolve() for name in PROGRAMS]
    items = [
        Item(f"./usr/bin/{name}", program.read_bytes(), 0o755)
        for name, program in zip(PROGRAMS, programs, strict=True)
    ]
    items += [
        Item(f".{place}", place.resolve().read_bytes(), 0o755)
        for place in sorted(set(linked_libraries(programs)))
    ]
    return environment_of(write_deb(folder, items, "machine"), python="3.12")


def environment(base: Environment, folder: Path, script: str, action: str = "run") -> Environment:
    """Return an environment whose package ``tool`` has this post-link script."""
    files: dict[str, Content] = {
        "bin/.tool-post-link.sh": Program(script),
        "share/changed": "as it was\n",
        "share/same": "same\n",
        "share/x": Link("same"),
    }
    packages = [
        make_conda(folder, "base-data", "1.0", files={"share/base": "base\n"}),
        make_conda(folder, "tool", "1.2", build_number=3, depends=["base-data >=1"], files=files),
    ]
    found = with_conda(base, packages)
    spec = {**found.lock.spec, "conda": {"channels": ["main"], "link-scripts": {"tool": action}}}
    return Environment(replace(found.lock, spec=spec), found.paths)


def made(
    one: Environment,
    place: Path,
    heard: Heard | None = None,
    *,
    fresh: bool = False,
    limits: Limits = LIMITS,
) -> Built:
    reporter = heard or Heard([], [])
    workshop = Workshop(cache=place / "cache", workers=1, fresh=fresh)

    def sandbox() -> Bubblewrap:
        return Bubblewrap(find_bwrap(os.environ["PATH"]))

    link = linker(one.lock, one.paths, sandbox, reporter, limits)
    running = Running(link=link)
    target = place / "image"
    return build(one.lock, one.paths, target, workshop, reporter, prove=None, running=running)


def test_what_a_script_leaves(base: Environment, tmp_path: Path) -> None:
    one, heard = environment(base, tmp_path / "main", WRITES), Heard([], [])
    built = made(one, tmp_path, heard)
    assert [plan.kind for plan in plan_layers(one.lock)] == ["os", "conda", "linked", "rest"]
    blob = built.digests.layers[2].digest.removeprefix("sha256:")
    found: dict[str, tuple[str, int, bytes | str]] = {}
    with tarfile.open(tmp_path / "image" / "blobs" / "sha256" / blob) as tar:
        for member in tar:
            assert (member.mtime, member.uid) == (315_532_800, 0)  # 1980, as everywhere
            file = tar.extractfile(member) if member.isreg() else None
            content = file.read() if file else member.linkname
            found[member.name] = (member.type.decode(), member.mode, content)
    assert {path: item for path, item in found.items() if item[0] != "5"} == {
        "opt/env/share/made": ("0", 0o644, b"base\ntool 1.2 3 /opt/env /tmp\n"),
        "opt/env/share/changed": ("0", 0o644, b"changed\n"),
        "opt/env/share/touched": ("0", 0o644, b"base\n"),
        "opt/env/etc/conda/env_vars.d/tool.json": ("0", 0o644, b'{"TOOL_LINKED": "yes"}\n'),
        "opt/env/bin/made": ("2", 0o777, "../share/made"),
    }
    assert "opt/env/empty" in found
    assert heard.notes == ["tool says: Read the terms."]
    assert heard.warnings == []
    config = (tmp_path / "image" / "blobs" / "sha256" / built.digests.config[7:]).read_text()
    assert "TOOL_LINKED=yes" in config
    again = made(one, tmp_path, heard)
    assert again.digests == built.digests
    assert len(heard.notes) == 1  # a known layer needs no script
    (tmp_path / "image").rename(tmp_path / "first")
    assert made(one, tmp_path, fresh=True).digests == built.digests
    elsewhere = made(one, tmp_path / "elsewhere")
    assert elsewhere.digests == built.digests


def test_a_recorded_image_of_layers_alone(base: Environment, tmp_path: Path) -> None:
    """No package and no sandbox: layers by their digests, variables by the configuration."""
    one = environment(base, tmp_path / "main", WRITES)
    built = made(one, tmp_path)
    blobs = tmp_path / "image" / "blobs" / "sha256"
    layers = {layer.digest: blobs / layer.digest[7:] for layer in built.digests.layers}
    recorded = BuiltImage(
        manifest=built.digests.manifest,
        config=built.digests.config,
        layers=tuple(BuiltLayer(**asdict(layer)) for layer in built.digests.layers),
    )
    lock = replace(one.lock, built=recorded)
    workshop = Workshop(
        cache=tmp_path / "empty",
        workers=1,
        layers=layers,
        config=(blobs / built.digests.config[7:]).read_bytes(),
    )
    target = tmp_path / "again"
    again = build(lock, {}, target, workshop, SilentReporter(), prove=None)
    assert again.digests == built.digests
    with pytest.raises(LockError, match="2 packages are not here"):
        build(lock, {}, target, replace(workshop, config=None), SilentReporter(), prove=None)
    linked = next(digest for digest in layers if digest == built.digests.layers[2].digest)
    shutil.rmtree(target)
    shutil.rmtree(tmp_path / "empty")
    fewer = {digest: path for digest, path in layers.items() if digest != linked}
    with pytest.raises(LockError, match="no longer where it was"):
        build(lock, {}, target, replace(workshop, layers=fewer), SilentReporter(), prove=None)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo no >&2; exit 3\n", "it failed with exit code 3"),
        ("date +%s%N > $PREFIX/now\n", "does not write the same twice: /opt/env/now"),
        ("rm $PREFIX/share/base\n", "removes /opt/env/share/base"),
        ("ln -s /etc/passwd $PREFIX/out\n", "a link to /etc/passwd, which leads out"),
        ("mkfifo $PREFIX/pipe\n", "makes /opt/env/pipe, which is no file"),
        ("echo x > /usr/bin/sh\n", "it failed with exit code"),
        ("truncate -s 2G $PREFIX/huge\n", "leave more than 1073741824 bytes"),
    ],
)
def test_what_no_layer_can_hold(base: Environment, tmp_path: Path, script: str, said: str) -> None:
    one = environment(base, tmp_path / "main", script)
    with pytest.raises(ArtifactError) as caught:
        made(one, tmp_path)
    assert said in str(caught.value)
    assert "skip" in (caught.value.hint or "")
    assert not (tmp_path / "image").exists()
    assert not list((tmp_path / "cache" / "linking").iterdir())


@pytest.mark.parametrize(
    ("script", "limits", "said"),
    [
        ("while :; do :; done\n", Limits(seconds=1), "did not end within 1 s (checks.seconds)"),
        ("x=$(printf %067108864d 0) && echo > $PREFIX/x\n", Limits(memory=2**24), "exit code"),
    ],
)
def test_limits(base: Environment, tmp_path: Path, script: str, limits: Limits, said: str) -> None:
    one = environment(base, tmp_path / "main", script)
    with pytest.raises(ArtifactError) as caught:
        made(one, tmp_path, limits=limits)
    assert said in str(caught.value)


def test_nothing_is_run_unless_the_spec_says_so(base: Environment, tmp_path: Path) -> None:
    heard = Heard([], [])
    one = environment(base, tmp_path / "main", WRITES, action="skip")
    assert scripts_to_run(one.lock) == ()
    assert [plan.kind for plan in plan_layers(one.lock)] == ["os", "conda", "rest"]
    made(one, tmp_path, heard)
    spec = {**one.lock.spec, "conda": {"channels": ["main"]}}
    silent = Environment(replace(one.lock, spec=spec), one.paths)
    assert [item.package for item in undone(silent.lock)] == ["tool"]
    made(silent, tmp_path, heard)
    assert heard.warnings == ["tool: its post-link script was not run: nobody has read it"]


def test_on_another_machine_and_without_a_sandbox(base: Environment, tmp_path: Path) -> None:
    one = environment(base, tmp_path / "main", WRITES)
    with pytest.raises(LockError, match="these scripts are run in a sandbox"):
        one.build(tmp_path / "image", tmp_path / "cache", workers=1)
    other = replace(
        one.lock, platform="linux-aarch64" if os.uname().machine == "x86_64" else "linux-64"
    )
    with pytest.raises(UsageError, match="its post-link scripts cannot be run on"):
        made(Environment(other, one.paths), tmp_path)
