"""The image's own Python at work in the sandbox."""

from __future__ import annotations

import dataclasses
from importlib import resources
from typing import TYPE_CHECKING

from envlock.errors import ArtifactError
from envlock.validate.inside import enter
from envlock.validate.lookup import require_runnable
from envlock.validate.sandbox import Bind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from envlock.limits import Limits
    from envlock.validate.layout import Config
    from envlock.validate.sandbox import Sandbox

STANDARD_LIBRARY = "stdlib"
"""What stands for the modules of Python itself among the folders to compile."""

_OUT = "/tmp/compiled"  # noqa: S108 - inside
_SHARES = 16
"""Processes that compile, as many at once as there are workers; what each is given is fixed."""
_OTHERS = 4
"""Processes of the sandbox's own that count towards the limit, and some to spare."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Compiler:
    """How modules are compiled: by ``python`` of an image with ``config``, ``workers`` at once."""

    config: Config
    sandbox: Sandbox
    limits: Limits
    workers: int
    python: str = "python3"

    def run(
        self, rootfs: Path, roots: Sequence[str], place: Path, binds: Sequence[Bind] = ()
    ) -> list[Path]:
        """Return new files in ``place`` with what was compiled in order (see ``records``).

        roots: folders of the image, or :data:`STANDARD_LIBRARY`; binds: what else is seen there.
        Raises SandboxError where the image's Python cannot run here, ArtifactError.
        """
        outs = [place / f"compiled-{share}" for share in range(_SHARES)]
        for out in outs:
            out.touch()
            out.chmod(0o666)  # whoever the image's user is
        limits = dataclasses.replace(self.limits, seconds=None)
        inside = enter(rootfs, self.config, self.sandbox, limits=limits)
        require_runnable(
            inside,
            self.config.architecture,
            hint="its own Python compiles (image.precompile): build on such a machine, or "
            "without it",
        )
        env = {"PATH": inside.env["PATH"], "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        inside = dataclasses.replace(inside, env=env)
        script = resources.files("envlock.bytecode").joinpath("inside.py").read_text("utf-8")
        writable = tuple(
            Bind(source=out, target=f"{_OUT}-{share}", writable=True)
            for share, out in enumerate(outs)
        )
        room = len(outs) if limits.processes is None else limits.processes - _OTHERS
        jobs = str(max(1, min(self.workers, len(outs), room)))
        targets = (bind.target for bind in writable)
        argv = (self.python, "-S", "-c", script, jobs, *targets, "--", *roots)
        done = inside.run(argv, binds=(*binds, *writable))
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").splitlines()[-5:]
            raise ArtifactError(
                "the image's Python could not compile the modules",
                details=[f"  {line}" for line in said],
                hint="leave image.precompile out, or see what python3 in the image lacks",
            )
        return outs
