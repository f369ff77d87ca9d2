"""Environments with conda packages in them, for tests of images and prefixes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_STORED

from ..image.making import Environment, environment_of
from ..layers_deb.making import Item, write_deb
from ..makers.conda import distribution, make_conda
from ..makers.cpython import FEATURE, make_python, needed_libraries
from ..makers.wheels import make_wheel
from .making import conda_artifact, make_zoo, uncompressed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envlock.lock.model import LockedOverride


def with_conda(
    environment: Environment, packages: Sequence[Path], *overrides: LockedOverride
) -> Environment:
    """Return an environment with these conda packages besides."""
    more = {path: conda_artifact(path) for path in packages}
    artifacts = sorted(
        (*environment.lock.artifacts, *more.values()), key=lambda a: (a.kind, a.name, a.file)
    )
    lock = replace(environment.lock, artifacts=tuple(artifacts), overrides=tuple(overrides))
    paths = {item.sha256: path for path, item in more.items()}
    return Environment(lock, {**environment.paths, **paths})


def zoo(folder: Path, *files: Path, **image: Any) -> Environment:
    """Return the made-up packages and a wheel as one environment; the same bytes everywhere."""
    wheel = make_wheel(
        folder, "wheel-one", "1.0", requires=["pure>=2"],
        files={"wheel_one/__init__.py": "def main(): print('one')\n"},
        entry_points={"console_scripts": {"one": "wheel_one:main"}}, compression=ZIP_STORED,
    )  # fmt: skip
    bare = environment_of(wheel, *files, python="3.12", image=image)
    packages = make_zoo(folder / "channel")
    return with_conda(bare, [uncompressed(path) for path in packages])


def whole(folder: Path, **spec: Any) -> Environment:
    """Return an environment that runs: this machine's libraries, its Python from conda."""
    shell = Path("/bin/sh").resolve()
    program = Path(shutil.which("env") or "/usr/bin/env").resolve()
    items = [
        Item("./usr/bin/sh", shell.read_bytes(), 0o755),
        Item("./usr/bin/env", program.read_bytes(), 0o755),
    ]
    items += [
        Item(f".{place}", place.resolve().read_bytes(), 0o755)
        for place in needed_libraries(shell, program)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    deb = write_deb(folder, items, "machine")
    wheel = make_wheel(
        folder, "wheel-one", "1.0", requires=["pure>=2"],
        files={"wheel_one/__init__.py": "import pure\ndef main(): print(pure.main())\n"},
        entry_points={"console_scripts": {"one": "wheel_one:main"}},
    )  # fmt: skip
    channel = folder / "channel"
    site = f"lib/python{FEATURE}/site-packages"
    packages = [
        make_python(channel),
        make_conda(
            channel, "pure", "2.5", noarch="python", build="py_0", depends=["python"],
            files=distribution("pure", "2.5", files={"pure/__init__.py": "def main(): return 3\n"}),
            entry_points=["pure = pure:main"],
        ),
        make_conda(
            channel, "native", "1.0", build="py_0", depends=["python"],
            files={
                **distribution("native", "1.0", files={"native.py": "VALUE = 1\n"}, site=site),
                "etc/conda/env_vars.d/native.json": b'{"NATIVE": "yes"}',
                "share/native/data": b"data",
            },
        ),
    ]  # fmt: skip
    bare = environment_of(wheel, deb, python=FEATURE, **spec)
    environment = with_conda(bare, packages)
    provides = {"pure": (("pure", "2.5"),), "native": (("native", "1.0"),)}
    artifacts = [
        replace(item, conda=replace(item.conda, provides=provides[item.name]))
        if item.conda and item.name in provides
        else item
        for item in environment.lock.artifacts
    ]
    return Environment(replace(environment.lock, artifacts=tuple(artifacts)), environment.paths)
