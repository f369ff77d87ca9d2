"""Look at the GPU from inside, then run GPU checks there."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from envlock.validate.gpu.catalogue import FOLDER, READY
from envlock.validate.inside import Inside, shell_quoted
from envlock.validate.outcome import explain, ran
from envlock.validate.reply import new_mark, reply_after
from envlock.validate.results import GpuFacts, Result
from envlock.validate.sandbox import NOT_FOUND, Bind
from envlock.validate.text import clean

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.validate.gpu.driver import Gpu

READY_INSIDE = "/run/envlock-ready"
"""Where the ready-made checks' scripts are shown."""


def enter_gpu(inside: Inside, gpu: Gpu) -> Inside:
    """Return ``inside`` with the GPU's variables and its folders on the search paths."""
    env = dict(gpu.env)
    if gpu.library_path:
        behind = inside.env.get("LD_LIBRARY_PATH")
        env["LD_LIBRARY_PATH"] = f"{gpu.library_path}:{behind}" if behind else gpu.library_path
    if gpu.program_path:
        env["PATH"] = f"{inside.env.get('PATH', '')}:{gpu.program_path}".lstrip(":")
    return inside.with_env(env)


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuRunner:
    """Runs GPU checks; ready: where the sandbox shows the scripts, None where it need not."""

    inside: Inside
    python: str
    gpu: Gpu
    refused: str = ""
    ready: str | None = READY_INSIDE
    folder: Path = field(default=FOLDER)

    def look(self, wanted: str | None) -> tuple[GpuFacts, GpuRunner, Result | None]:
        """Ask the driver what it is, and whether it supports CUDA ``wanted`` (``"12.4"``).

        Returns the facts, the runner to go on with (it refuses where the GPU does not fit)
        and what to report of it.
        """
        mark = new_mark()
        done = enter_gpu(self.inside, self.gpu).run(
            (self.python, self._script("look.py")),
            stdin=json.dumps({"mark": mark}).encode(),
            binds=self._binds(),
        )
        driver = self.gpu.driver.version if self.gpu.driver else None
        reply = reply_after(mark, done.stdout)
        if reply is None and done.returncode == NOT_FOUND:  # an image need not have a Python
            return GpuFacts(names=(), driver=driver), self, None
        if reply is None:
            reply = {"error": " ".join(explain(done, self.python)[-1:])}
        names = tuple(clean(str(item["name"])) for item in reply.get("devices") or ())
        version = reply.get("cuda")
        cuda = f"{version // 1000}.{version % 1000 // 10}" if isinstance(version, int) else None
        facts = GpuFacts(names=names, driver=driver, cuda=cuda)
        problem = _problem(reply, facts, wanted)
        subject = f"{', '.join(names) or 'GPU'}, driver {driver or '?'}, CUDA {cuda or '?'}"
        if problem is None:
            return facts, self, Result(kind="driver", subject=subject, status="passed")
        failed = Result(kind="driver", subject=subject, status="failed", detail=(problem,))
        return facts, replace(self, refused=problem), failed

    def check(self, check: dict[str, Any], package: str | None) -> Result:
        """Run one ``gpu`` check; its value is a ready-made check's name or a command."""
        value = check["gpu"]
        subject = value if isinstance(value, str) else shell_quoted(tuple(map(str, value)))
        if self.refused:
            return Result(
                kind="gpu",
                subject=subject,
                status="not-run",
                detail=(self.refused,),
                override=package,
            )
        if isinstance(value, str):
            return self._ready(value, package)
        argv = tuple(str(word) for word in value)
        done = enter_gpu(self.inside, self.gpu).run(argv, binds=self.gpu.binds)
        return ran("gpu", done, argv, package)

    def _ready(self, name: str, package: str | None) -> Result:
        if name not in READY:
            known = ", ".join(READY)
            return Result(
                kind="gpu",
                subject=f"not a check: {name}",
                status="failed",
                detail=(f"ready-made checks are {known}",),
                override=package,
            )
        ready, mark = READY[name], new_mark()
        request = {
            "mark": mark,
            "module": ready.module,
            "needs": list(ready.needs),
            "compiler": ready.compiler,
        }
        done = enter_gpu(self.inside, self.gpu).run(
            (self.python, self._script("harness.py")),
            stdin=json.dumps(request).encode(),
            binds=self._binds(),
        )
        reply = None if done.timed_out else reply_after(mark, done.stdout)
        if reply is None:
            said = explain(done, self.python)
            return Result(
                kind="gpu",
                subject=name,
                status="failed",
                detail=said[-1:],
                trace=said[:-1],
                seconds=done.seconds,
                override=package,
            )
        return Result(
            kind="gpu",
            subject=name,
            status="passed" if reply.get("ok") is True else "failed",
            detail=(clean(str(reply.get("says") or "")),),
            trace=tuple(clean(str(line)) for line in reply.get("trace") or ()),
            seconds=done.seconds,
            override=package,
        )

    def _script(self, name: str) -> str:
        return f"{self.ready or self.folder}/{name}"

    def _binds(self) -> tuple[Bind, ...]:
        shown = (Bind(source=self.folder, target=self.ready),) if self.ready else ()
        return (*self.gpu.binds, *shown)


def _problem(reply: dict[str, Any], facts: GpuFacts, wanted: str | None) -> str | None:
    """Return why GPU checks cannot run, None where they can."""
    if wanted and facts.cuda and _version(facts.cuda) < _version(wanted):
        return (
            f"the driver supports CUDA {facts.cuda}, and the spec's platform wants {wanted}: "
            "it needs a newer driver"
        )
    if reply.get("error"):
        return f"the driver does not start inside: {clean(str(reply['error']))}"
    if not facts.names:
        return "the driver shows no GPU inside"
    return None


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
