"""An image into podman or docker, by their own ``load`` and from a stream."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

from envlock.errors import EnvlockError, UsageError
from envlock.image.archive import stream_archive

if TYPE_CHECKING:
    from envlock.image.layout import Staging
    from envlock.progress import Reporter

Engine = Literal["podman", "docker"]


class EngineError(EnvlockError):
    """A container engine did not take the image."""

    exit_code = 3


class Load:
    """Gives images to an engine's ``load``; its store gets them, no file does."""

    def __init__(self, engine: Engine, name: str, path: str | None, reporter: Reporter) -> None:
        """``path``: where the program is looked for; raises UsageError where it is not there."""
        program = shutil.which(engine, path=path)
        if program is None:
            raise UsageError(
                f"--load {engine}: there is no program {engine} on this machine",
                hint=f"install it, or write a file with -o {name}.tar and take it to where "
                f"{engine} is: {engine} load -i {name}.tar",
            )
        self.engine = engine
        self.image = f"localhost/{name}:latest" if engine == "podman" else f"{name}:latest"
        self._program = program
        self._reporter = reporter

    def has(self, digest: str, size: int) -> bool:  # noqa: ARG002
        """An engine's load takes whole images only."""
        return False

    def take(self, place: Staging) -> None:
        """Load an image and see that the engine has just that; raises EngineError."""
        with tempfile.TemporaryFile() as told:
            process = subprocess.Popen(
                [self._program, "load"], stdin=subprocess.PIPE, stdout=told, stderr=told
            )
            assert process.stdin is not None
            try:
                # an engine that gives up early says why, which is more than a broken pipe
                with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
                    stream_archive(place.folder, cast("BinaryIO", pipe))
            except BaseException:
                process.kill()
                process.wait()
                raise
            if process.wait():
                told.seek(0)
                lines = told.read().decode(errors="replace").strip().splitlines()
                raise EngineError(
                    f"{self.engine} load failed with exit code {process.returncode}",
                    details=[f"  {line[:300]}" for line in lines[-10:]],
                    hint="the image was built; -o writes it to a layout or a tar file",
                )
        self._check(place)

    def _check(self, place: Staging) -> None:
        (entry,) = json.loads((place.folder / "index.json").read_bytes())["manifests"]
        blob = place.blobs / entry["digest"].removeprefix("sha256:")
        config = json.loads(blob.read_bytes())["config"]["digest"]
        done = subprocess.run(
            [self._program, "image", "inspect", "--format", "{{.Id}}", self.image],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        found = done.stdout.strip().removeprefix("sha256:")
        # docker names an image by its manifest where containerd keeps it
        if found not in {config.removeprefix("sha256:"), blob.name}:
            self._reporter.warn(
                f"{self.engine} has {self.image} as {found or 'nothing'}, and the image that was "
                f"built is {config}"
            )
