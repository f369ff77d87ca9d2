"""What conda packages' post-link scripts would do: tell something, or what the image lacks.

conda runs ``bin/.NAME-post-link.sh`` when it has put a package in place.  Here such a script is
read by the same reader as Debian's maintainer scripts and never run; what no rule knows is
written down as it stands.
"""

from __future__ import annotations

import dataclasses
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from envlock.errors import SpecError
from envlock.layers.plan import PREFIX
from envlock.solve.debian.reach import Run, Setting, reachable
from envlock.solve.debian.shell_words import ShellError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from envlock.lock.model import Artifact
    from envlock.progress import Reporter
    from envlock.solve.conda import CondaMeans
    from envlock.spec.model import Spec

HANDLED = "only tells something"
"""What is noted of a script whose output alone would be seen, once, by whoever installs."""

_MESSAGES = ".messages.txt"
"""What conda shows when it is done, and removes."""

_HARMLESS = frozenset(
    {
        ":", "[", "[[", "basename", "break", "cat", "cd", "continue", "cut", "dirname",
        "echo", "exit",
        "export", "expr", "false", "grep", "head", "local", "printf", "pwd", "read", "readonly",
        "return", "set", "shift", "sleep", "sort", "tail", "test", "tr", "true", "type", "uname",
        "unset", "wc", "which",
    }
)  # fmt: skip
"""Commands that write to their output and nowhere else."""

_SHELL = re.compile(rb"#!\s*(?:/usr)?/bin/(?:env\s+)?(?:sh|bash|dash)(?:\s|$)")
_WORKERS = 4
_LONGEST = 300
"""Characters of one command that a lock repeats."""


def with_effects(
    artifacts: Sequence[Artifact], means: CondaMeans, reporter: Reporter
) -> tuple[Artifact, ...]:
    """Return the packages, those with a post-link script with what became of its effects.

    Such packages are fetched whole.  Raises FetchError, ArtifactError.
    """
    if not any(one.conda is not None and one.conda.post_links for one in artifacts):
        return tuple(artifacts)
    reader = means.reader()

    def one(artifact: Artifact) -> Artifact:
        record = artifact.conda
        if record is None or not record.post_links:
            return artifact
        scripts = reader.texts(artifact, record.post_links)
        handled, unhandled = effects(artifact, scripts.values())
        found = dataclasses.replace(record, link_handled=handled, link_unhandled=unhandled)
        return dataclasses.replace(artifact, conda=found)

    with reporter.task("reading link scripts"), ThreadPoolExecutor(_WORKERS) as pool:
        return tuple(pool.map(one, artifacts))


def check_link_scripts(spec: Spec, artifacts: Iterable[Artifact], reporter: Reporter) -> None:
    """Hold ``conda.link-scripts`` against what was solved; raises SpecError."""
    if spec.conda is None:
        return
    packages = {one.name: one for one in artifacts if one.kind == "conda"}
    for name, action in spec.conda.link_scripts.items():
        one = packages.get(name)
        if one is None:
            reporter.warn(f"conda.link-scripts: {name} is not among the packages")
        elif one.conda is not None and not one.conda.post_links:
            raise SpecError(
                f"conda.link-scripts says {action} for {name} {one.version}, which has no "
                "post-link script",
                location=spec.conda.location,
                hint=f"remove {name} there",
            )


def effects(
    artifact: Artifact, scripts: Iterable[bytes]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what of the scripts' effects needs nobody, and the commands that the image lacks."""
    prefix = f"/{PREFIX}"
    variables = {
        "PREFIX": prefix,
        "CONDA_PREFIX": prefix,
        "PKG_NAME": artifact.name,
        "PKG_VERSION": artifact.version,
        "PKG_BUILDNUM": str(artifact.conda.build_number) if artifact.conda else "",
    }
    found: dict[str, None] = {}
    for script in scripts:
        first = script.partition(b"\n")[0]
        if first.startswith(b"#!") and not _SHELL.match(first):
            found[f"all of it: not a shell script ({first[:80].decode('utf-8', 'replace')})"] = None
            continue
        try:
            runs = reachable(script.decode("utf-8", "replace"), (), Setting(variables=variables))
        except ShellError as error:
            found[f"all of it: envlock cannot read it ({error})"] = None
            continue
        found |= dict.fromkeys(_told(run) for run in runs if not _is_harmless(run))
    return (() if found else (HANDLED,)), tuple(found)


def _is_harmless(run: Run) -> bool:
    if any(not target.endswith(f"/{_MESSAGES}") for target in run.writes):
        return False
    if not run.words:
        return True
    name, options = run.words[0].rpartition("/")[2], run.words[1:]
    if name == "command":  # which runs what follows, unless it only looks for it
        return options[:1] in (("-v",), ("-V",))
    if name == "sort" and any(word.startswith("-") and "o" in word for word in options):
        return False  # its output may go to a file
    return name in _HARMLESS


def _told(run: Run) -> str:
    """Return a command as a person reads it, the prefix by its name."""
    words = [" ".join(run.words), *(f"> {target}" for target in run.writes)]
    text = " ".join(" ".join(words).split()).replace(f"/{PREFIX}", "$PREFIX")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
