"""A Dockerfile that makes much the same image with apt and pip, for those who must.

The same packages, versions and hashes, without hosts: base image, indexes and a snapshot archive
are arguments of its build.  What the base image brings besides stays in it, and the bytes are
others each time.  Instructions are those of Docker's reference; here-documents are left out, so
that older builders read it, too.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

from envlock.errors import UsageError
from envlock.exchange.formats import Export
from envlock.image.config import environment
from envlock.layers.pack import owner_of
from envlock.layers.plan import PREFIX
from envlock.layers.system import NONROOT
from envlock.lock.accepts import accepted_failures, check_words
from envlock.platforms import PLATFORMS
from envlock.sizes import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from envlock.exchange.formats import Subject
    from envlock.lock.model import DebianSection, Lock

_ENV = f"/{PREFIX}"
_NEXT = "\\\n    "
_PRINT = "printf '%s\\n'"
_APT = (
    "apt-get update",
    "DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends --allow-downgrades",
)


def export(subject: Subject) -> Export:
    """Write one lock; see :class:`envlock.exchange.formats.Exporter`."""
    (lock,) = subject.locks
    if lock.of_kind("conda"):
        raise UsageError(
            f"{lock.name} has conda packages, and apt and pip install none",
            hint="envlock build makes an image of it; --format explicit is for conda's own tools",
        )
    if lock.base is not None:
        raise UsageError(
            f"{lock.name} is built upon {lock.base.reference}, of which no apt and pip are known",
            hint="envlock build makes an image of it; --format requirements is for pip alone",
        )
    if lock.debian is None:
        raise UsageError(
            f"{lock.name} has no Debian packages to begin a Dockerfile with",
            hint="its packages for pip: --format requirements",
        )
    wheels = bool(lock.of_kind("pypi"))
    blocks = [_head(lock), _system(lock, lock.debian)]
    if wheels:
        blocks.append(_packages(lock))
    blocks.append(_image(lock, wheels=wheels))
    text = "\n\n".join("\n".join(block) for block in blocks) + "\n"
    return Export(text=text, notes=tuple(_notes(lock)))


def _notes(lock: Lock) -> Iterator[str]:
    left_out = lock.spec.get("debian", {}).get("exclude")
    if left_out:
        yield f"apt may install what debian.exclude leaves out: {', '.join(left_out)}"
    lost = sum(len(one.gives_way) for one in lock.artifacts)
    if lost:
        yield f"pip decides by its own order whose of {lost} files is kept at one path"
    gpu = sum("gpu" in check for check in _checks(lock))
    if gpu:
        yield f"{counted(gpu, 'GPU check is', 'GPU checks are')} left out"


def _head(lock: Lock) -> list[str]:
    lines = [
        f"# Written by envlock from the lock of {lock.name} for {lock.platform}. Do not edit:",
        "# change the spec, solve, export. The packages are those of envlock build, and what the",
        "# base image has; the bytes are not. SNAPSHOT names an archive of old packages, for",
        "# the day when mirrors have newer ones: SNAPSHOT=http://snapshot.example.com/archive",
    ]
    if lock.voided:
        lines.append("# --no-deps is needed, since pip knows no overrides; these are set aside:")
        lines += [f"#   {v.dependent} {v.version}: {v.requirement}" for v in lock.voided]
    suite = lock.debian.suite if lock.debian else ""
    return [*lines, f"ARG BASE=debian:{suite}-slim"]


def _system(lock: Lock, section: DebianSection) -> list[str]:
    """Return the stage with the OS layer: the locked packages by apt, and ``nonroot``."""
    sources = [
        f"deb [check-valid-until=no] $SNAPSHOT/{one.archive}/{one.date} {one.suite} main"
        for one in section.indexes
    ]
    pins = [shlex.quote(f"{one.name}={one.version}") for one in lock.of_kind("debian")]
    links = lock.spec.get("debian", {}).get("alternatives", {})
    return [
        f"FROM --platform=linux/{PLATFORMS[lock.platform].oci} ${{BASE}} AS system",
        "ARG SNAPSHOT",
        *_run(
            'if [ -n "$SNAPSHOT" ]; then rm -rf /etc/apt/sources.list.d/*',
            f"{_printed(sources, chr(34), '/etc/apt/sources.list')}; fi",
        ),
        *_run(_APT[0], _long(_APT[1], pins), "rm -rf /var/lib/apt/lists/*"),
        *_run(
            f"echo 'nonroot:x:{NONROOT}:{NONROOT}:nonroot:/home/nonroot:/usr/sbin/nologin' "
            ">> /etc/passwd",
            f"echo 'nonroot:x:{NONROOT}:' >> /etc/group",
            f"install -d -m 700 -o {NONROOT} -g {NONROOT} /home/nonroot",
            *(f"ln -sfn {shlex.quote(to)} {shlex.quote(link)}" for link, to in links.items()),
        ),
    ]


def _packages(lock: Lock) -> list[str]:
    """Return the stage in which pip, which stays there, fills the virtual environment."""
    wheels = sorted(lock.of_kind("pypi"), key=lambda one: one.name)
    others = {name: _variable(name) for name in sorted({one.source for one in wheels} - {"pypi"})}
    extra = "".join(
        f' --extra-index-url "${{{variable}:?names the URL of the index {name}}}"'
        for name, variable in others.items()
    )
    lines = [f"{one.name}=={one.version} --hash=sha256:{one.sha256}" for one in wheels]
    python = f"python{lock.python}"
    return [
        "FROM system AS packages",
        *(f"ARG {name}" for name in ("PIP_INDEX_URL", *others.values())),
        *_run(_APT[0], f"{_APT[1]} python3-pip python3-venv"),
        *_run(_printed(lines, "'", "/requirements.txt")),
        *_run(
            f"{python} -m venv --without-pip {_ENV}",
            f"python3 -m pip --python {_ENV}/bin/python --disable-pip-version-check install "
            "--no-cache-dir --no-compile --no-deps --only-binary :all: --require-hashes"
            f"{extra} -r /requirements.txt",
        ),
    ]


def _image(lock: Lock, *, wheels: bool) -> list[str]:
    image = lock.spec.get("image", {})
    lines = ["FROM system", *([f"COPY --from=packages {_ENV} {_ENV}"] if wheels else [])]
    lines += [f"ENV {_pair(*item)}" for item in sorted(environment(lock).items())]
    lines += [f"LABEL {_pair(*item)}" for item in sorted(image.get("labels", {}).items())]
    user, workdir = image.get("user"), image.get("workdir")
    if workdir:
        uid, gid = owner_of(user or "root")
        if uid or gid:
            lines.append(f"RUN install -d -o {uid} -g {gid} {shlex.quote(workdir)}")
        lines.append(f"WORKDIR {_plain(workdir)}")
    lines += [f"USER {user}"] if user else []
    lines += list(_proof(lock))
    for key, word in (("entrypoint", "ENTRYPOINT"), ("command", "CMD")):
        if image.get(key):
            lines.append(f"{word} {_words(image[key])}")
    return lines


def _proof(lock: Lock) -> Iterator[str]:
    """Yield the checks, as steps that fail where a check does."""
    accepted = {one.check for one in accepted_failures(lock.spec)}
    for check in dict.fromkeys(json.dumps(one, sort_keys=True) for one in _checks(lock)):
        value = json.loads(check)
        words = _command(value)
        if words and check_words(value) not in accepted:
            yield f"RUN {_words(words)}"


def _checks(lock: Lock) -> Iterator[dict[str, Any]]:
    """Yield the checks of overrides, with the package that a version is of, and the spec's own."""
    for override in lock.spec.get("overrides", ()):
        for check in override.get("checks", ()):
            yield {**check, "of": override["package"]} if "version" in check else check
    yield from lock.spec.get("checks", ())


def _command(check: Mapping[str, Any]) -> list[str]:
    """Return the command of a check, none for a GPU's."""
    if "import" in check:
        return ["python3", "-c", f"import {check['import']}"]
    if "version" in check:
        asked = f"from importlib.metadata import version; assert version({check['of']!r}) == "
        return ["python3", "-c", f"{asked}{check['version']!r}"]
    return list(check.get("run", ()))


def _run(*commands: str) -> list[str]:
    """Return a RUN of shell commands, one after the other."""
    return f"RUN {f' && {_NEXT}'.join(commands)}".splitlines()


def _long(command: str, words: Iterable[str]) -> str:
    """Return a command with a word a line."""
    return f" {_NEXT}".join((command, *(f"  {word}" for word in words)))


def _printed(lines: Iterable[str], quote: str, file: str) -> str:
    """Return a command that writes lines to a file."""
    return f"{_long(_PRINT, (f'{quote}{line}{quote}' for line in lines))} > {file}"


def _words(words: Iterable[str]) -> str:
    return json.dumps(list(words), ensure_ascii=False)


def _pair(key: str, value: str) -> str:
    """Return ``key="value"`` so that a builder takes the value as it is."""
    name = key if re.fullmatch(r"[\w./-]+", key) else f'"{_plain(key)}"'
    return f'{name}="{_plain(value)}"'


def _plain(text: str) -> str:
    """Return a text in which a builder finds no quote, escape or variable."""
    if re.search(r"[\x00-\x1f]", text):
        raise UsageError(
            f"{text!r} has a line break or a control character, which a Dockerfile cannot say"
        )
    return re.sub(r'([\\"$])', r"\\\1", text)


def _variable(index: str) -> str:
    return f"INDEX_{re.sub(r'[^A-Za-z0-9]', '_', index).upper()}"
