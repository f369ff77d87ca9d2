"""The packing path in any interpreter: python driver.py JOB.json with src/ on PYTHONPATH.

Nothing but the standard library, and no compression by any library: the bytes of an image
must not depend on which zlib is installed.  Worker processes import this file, too.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import zlib
from pathlib import Path
from typing import Any, NoReturn


def _refuse(*_arguments: object, **_options: object) -> NoReturn:
    raise AssertionError("an image's bytes must not come from a library that compresses")


for _module, _name in ((zlib, "compressobj"), (zlib, "compress"), (gzip, "compress")):
    setattr(_module, _name, _refuse)


class _NoOther:
    """Refuses to import what the builder must do without."""

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        top = name.partition(".")[0]
        if top != "envlock" and top not in sys.stdlib_module_names:
            raise ImportError(f"{name} is not in the standard library")


if os.environ.get("STDLIB_ONLY"):
    sys.meta_path.insert(0, _NoOther())

if "LARGE" in os.environ:
    from envlock.layers import plan

    plan.LARGE = int(os.environ["LARGE"])


def main() -> None:
    from envlock.image.build import Workshop
    from envlock.lock.codec import load_lock
    from envlock.pipeline import build
    from envlock.progress import SILENT

    os.umask(int(os.environ.get("UMASK", "022"), 8))
    job: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    workshop = Workshop(cache=Path(job["cache"]), workers=job["workers"])
    built = build(
        load_lock(Path(job["lock"])),
        {sha256: Path(path) for sha256, path in job["paths"].items()},
        Path(job["target"]),
        workshop,
        SILENT,
        prove=None,
        created=job["created"],
    )
    print(built.digests.manifest)


if __name__ == "__main__":
    main()
