"""``python -m envlock.image``: the build without the rest of envlock.

From a lock and local artifacts to an OCI layout, with the standard library only: no network,
no index, no sandbox.  A build system that brings the artifacts itself, as Nix does, calls this.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from envlock.errors import CheckFailedError, EnvlockError, LockError, UsageError
from envlock.files import temporary_folder
from envlock.image.build import Workshop, build_image
from envlock.image.config import LATEST
from envlock.image.layout import staging
from envlock.image.mapping import read_artifact_map
from envlock.lock.codec import load_lock
from envlock.progress import SILENT
from envlock.sizes import counted
from envlock.workers import usable_cpus


def build_lock(
    lock_file: Path, artifact_map: Path, output: Path, *, expect: str | None, created: int
) -> str:
    """Build the image of a lock at ``output`` and return its manifest's digest.

    ``expect`` is the digest that must come out; ``created`` a time in seconds since 1970.
    Raises LockError, ArtifactError, IntegrityError, CheckFailedError, DiskError, UsageError.
    """
    lock = load_lock(lock_file)
    if lock.spec.get("image", {}).get("precompile"):
        raise UsageError(
            "for image.precompile the image's own Python compiles in a sandbox, and none is here",
            where=str(lock_file),
            hint="build with envlock build, or leave image.precompile out",
        )
    paths = read_artifact_map(artifact_map)
    missing = [artifact.file for artifact in lock.artifacts if artifact.sha256 not in paths]
    if missing:
        raise LockError(
            f"{counted(len(missing), 'artifact')} of the lock "
            f"{'are' if len(missing) > 1 else 'is'} not in the map: {', '.join(missing[:3])}",
            where=str(artifact_map),
        )
    with temporary_folder("envlock-image-") as folder, staging(output) as place:
        workshop = Workshop(cache=folder, workers=usable_cpus())
        digests = build_image(lock, paths, place, workshop, SILENT, created=created)
        if expect is not None and expect != digests.manifest:
            raise CheckFailedError(
                "the image is not the expected one",
                details=(f"  expected: {expect}", f"  built:    {digests.manifest}"),
            )
        place.publish()
    return digests.manifest


def _seconds(text: str) -> int:
    """Return a moment in seconds; raises ArgumentTypeError for one that no image can have."""
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= LATEST):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds since 1970")
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m envlock.image", description=__doc__)
    parser.add_argument("lock", type=Path)
    parser.add_argument("--artifact-map", type=Path, required=True, help="JSON: sha256 to file")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the OCI layout to write")
    parser.add_argument("--expect", metavar="DIGEST", help="the manifest digest that must come out")
    parser.add_argument("--created", type=_seconds, default=0, help="seconds since 1970; default 0")
    given = parser.parse_args(arguments)
    try:
        if given.output.suffix == ".tar":
            raise UsageError("this writes a layout, no tar file", where=str(given.output))
        digest = build_lock(
            given.lock,
            given.artifact_map,
            given.output.absolute(),
            expect=given.expect,
            created=given.created,
        )
    except EnvlockError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    sys.stdout.write(f"{digest}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
