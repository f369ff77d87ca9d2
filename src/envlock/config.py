"""What belongs to the machine, not to the project: where things are fetched and kept.

Read from ``config.toml`` and ``ENVLOCK_*``; where neither speaks, uv's and pip's own
settings do, and last the default of the libraries.  No URL from here reaches a lock.
"""

from __future__ import annotations

import functools
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from envlock.channels import HOW_URL, HOW_URLS, ChannelSettings, channel_settings
from envlock.errors import UsageError
from envlock.home import user_cache, user_config
from envlock.limits import Limits, limits_from
from envlock.usual_index import usual_index

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SEVERAL = re.compile(r"[,;](?:(?:https?|file):|$)")
"""What people put between URLs, and URLs may hold elsewhere."""

_TABLES = {"indexes", "mirrors", "registries", "snapshots", "keyrings"}
_KEYS = _TABLES | {
    "cache-dir",
    "channel-alias",
    "channels",
    "checks",
    "conda-names",
    "driver-root",
    "insecure-registries",
    "jobs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The machine's settings.

    indexes: URL of each package index by name; mirrors: URLs of each Debian archive by
    name, in order of preference; snapshots: URL template of a snapshot archive by
    distribution, with ``{archive}`` and ``{timestamp}``; keyrings: OpenPGP keyring by
    distribution; default_index: finds the URL of ``pypi`` where ``indexes`` has none (asked
    only then, because a library must be loaded for it); channels: where conda channels are;
    jobs: how many downloads run at once; driver_root: below which the GPU driver's files and
    devices lie; insecure_registries: ``host[:port]`` of those to which plain http is spoken;
    conda_names: a table of the distributions that conda packages stand for; registries: what is
    asked for base images instead of a registry, by its name with ``-`` for all but letters and
    digits; checks: what a check may use up.
    """

    cache_dir: Path
    default_index: Callable[[], str]
    indexes: Mapping[str, str] = field(default_factory=dict)
    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    snapshots: Mapping[str, str] = field(default_factory=dict)
    keyrings: Mapping[str, Path] = field(default_factory=dict)
    channels: ChannelSettings = field(default_factory=ChannelSettings)
    jobs: int = 8
    driver_root: Path = Path("/")
    insecure_registries: frozenset[str] = frozenset()
    conda_names: Path | None = None
    registries: Mapping[str, str] = field(default_factory=dict)
    checks: Limits = field(default_factory=Limits)

    def index_urls(self) -> dict[str, str]:
        """Return the URL of each index; ``pypi`` is among them."""
        default = {} if "pypi" in self.indexes else {"pypi": self.default_index()}
        return {**default, **self.indexes}


def load_config(environ: Mapping[str, str]) -> Config:
    """Return the settings of a machine with these environment variables.

    Raises UsageError for a file that cannot be understood.
    """
    named = environ.get("ENVLOCK_CONFIG")
    path = Path(named) if named else user_config("envlock") / "config.toml"
    if named and not path.is_file():
        raise UsageError("ENVLOCK_CONFIG names a file that is not there", where=str(path))
    table = _read(path)
    _check_urls(table, path, environ)
    names = environ.get("ENVLOCK_CONDA_NAMES") or table.get("conda-names")
    cache = environ.get("ENVLOCK_CACHE_DIR") or table.get("cache-dir")
    return Config(
        cache_dir=_home(cache) if cache else user_cache(),
        indexes=table.get("indexes", {}) | _from_environ(environ, "ENVLOCK_INDEX_"),
        default_index=functools.partial(usual_index, environ, _is_url),
        mirrors={name: _urls(value) for name, value in table.get("mirrors", {}).items()}
        | {n: _urls(v) for n, v in _from_environ(environ, "ENVLOCK_MIRROR_").items()},
        snapshots=table.get("snapshots", {}) | _from_environ(environ, "ENVLOCK_SNAPSHOT_"),
        keyrings={
            name: _home(value)
            for name, value in (
                table.get("keyrings", {}) | _from_environ(environ, "ENVLOCK_KEYRING_")
            ).items()
        },
        driver_root=Path(
            environ.get("ENVLOCK_DRIVER_ROOT") or table.get("driver-root") or "/"
        ).absolute(),
        channels=channel_settings(
            table.get("channels", {}),
            table.get("channel-alias"),
            environ,
            where=str(path),
            is_url=_is_url,
        ),
        conda_names=_home(names) if names else None,
        registries={
            re.sub(r"[^a-z0-9]", "-", name.lower()): place
            for name, place in table.get("registries", {}).items()
        }
        | _from_environ(environ, "ENVLOCK_REGISTRY_"),
        checks=limits_from(table.get("checks", {}), environ, str(path)),
        jobs=_jobs(environ.get("ENVLOCK_JOBS"), table.get("jobs", 8), path),
        insecure_registries=frozenset(
            environ.get("ENVLOCK_INSECURE_REGISTRIES", "").split()
            or table.get("insecure-registries", [])
        ),
    )


def _home(text: str) -> Path:
    """Return a path whose ``~`` or ``~user`` is the folder that it means; raises UsageError."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UsageError(
            f"{text}: nobody here has this name, or no home", hint="write the path from / on"
        ) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"the configuration cannot be read: {error}", where=str(path)) from error
    unknown = sorted(table.keys() - _KEYS)
    if unknown:
        raise UsageError(
            f"unknown setting {unknown[0]!r}",
            where=str(path),
            hint=f"known settings: {', '.join(sorted(_KEYS))}",
        )
    _check_types(table, path)
    return table


def _check_types(table: dict[str, Any], path: Path) -> None:
    for name in sorted(_TABLES & table.keys()):
        if not isinstance(table[name], dict):
            raise UsageError(f"{name} must be a table", where=str(path), hint=f"write [{name}]")
        for key, value in table[name].items() if name != "mirrors" else ():
            if not isinstance(value, str):
                raise UsageError(f"{name}.{key} must be a text, not {value!r}", where=str(path))
    for key, value in table.get("mirrors", {}).items():
        urls = value if isinstance(value, list) else [value]
        if not all(isinstance(url, str) for url in urls):
            raise UsageError(f"mirrors.{key} must be a URL or a list of URLs", where=str(path))
    if not isinstance(table.get("channels", {}), dict):
        raise UsageError("channels must be a table", where=str(path), hint="write [channels]")
    hosts = table.get("insecure-registries", [])
    if not isinstance(hosts, list) or not all(isinstance(host, str) for host in hosts):
        raise UsageError(
            "insecure-registries must be a list of hosts",
            where=str(path),
            hint='write insecure-registries = ["registry.example.com:5000"]',
        )
    for name in ("cache-dir", "conda-names", "driver-root"):
        if not isinstance(table.get(name, ""), str):
            raise UsageError(f"{name} must be a text", where=str(path))


def _check_urls(table: dict[str, Any], path: Path, environ: Mapping[str, str]) -> None:
    """Raise UsageError, which does not repeat the value, for a URL that is none."""
    given: list[tuple[str, str | None, Any]] = [
        (f"{name}.{key}", str(path), value)
        for name in ("indexes", "mirrors")
        for key, value in table.get(name, {}).items()
    ]
    given += [
        (key, None, value)
        for key, value in sorted(environ.items())
        if key.startswith(("ENVLOCK_INDEX_", "ENVLOCK_MIRROR_")) and value
    ]
    for name, where, value in given:
        several = name.startswith(("mirrors.", "ENVLOCK_MIRROR_"))
        urls = _urls(value) if several else (str(value),)
        if not urls or not all(map(_is_url, urls)):
            raise UsageError(
                f"{name} is no URL" + (" or list of URLs" if several else ""),
                where=where,
                hint=HOW_URLS if several else HOW_URL,
            )


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port  # a property that raises, too
    except ValueError:
        return False
    if re.search(r"[\s\x00-\x1f\x7f]", text) or _SEVERAL.search(text):
        return False
    if parts.scheme == "file":
        return parts.path.startswith("/")
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _urls(value: str | list[str]) -> tuple[str, ...]:
    return tuple(url.rstrip("/") for url in (value.split() if isinstance(value, str) else value))


def _jobs(variable: str | None, written: object, path: Path) -> int:
    value = variable or written
    try:
        jobs = int(str(value))
    except ValueError:
        jobs = 0
    if not 1 <= jobs <= 64:
        where = "ENVLOCK_JOBS" if variable else str(path)
        raise UsageError(f"jobs must be a number from 1 to 64, not {value!r}", where=where)
    return jobs


def _from_environ(environ: Mapping[str, str], prefix: str) -> dict[str, str]:
    """Return ``ENVLOCK_INDEX_PYTORCH_CU124`` as ``pytorch-cu124``, and so on."""
    return {
        key.removeprefix(prefix).lower().replace("_", "-"): value
        for key, value in environ.items()
        if key.startswith(prefix) and value
    }
