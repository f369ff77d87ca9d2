"""What every command needs: the project, the machine's configuration, the output."""

from __future__ import annotations

import atexit
import os
import re
import sys
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from envlock.project import find_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from envlock.channels import ChannelAccess
    from envlock.cli.output import Output
    from envlock.config import Config
    from envlock.debian_archive import Archive
    from envlock.fetch.artifacts import Fetcher
    from envlock.fetch.http import Http
    from envlock.fetch.indexes import Locator
    from envlock.lock.model import Lock
    from envlock.project import Project
    from envlock.registry.open import Access
    from envlock.solve import Solvers
    from envlock.solve.conda import CondaMeans
    from envlock.solve.pypi.metadata import MetadataReader
    from envlock.solve.pypi.uv import Uv
    from envlock.solve.python import PythonSolvers
    from envlock.spec.model import Spec

_CHILD_DROPS = ("UV_", "PIP_", "PYTHON", "VIRTUAL_ENV", "CONDA")
_CHILD_KEEPS = re.compile(
    r"UV_INDEX_.+_(USERNAME|PASSWORD)|UV_KEYRING_PROVIDER|UV_NATIVE_TLS|UV_SYSTEM_CERTS|"
    r"UV_HTTP_TIMEOUT|UV_HTTP_RETRIES|UV_CONCURRENT_DOWNLOADS"
)


@dataclass
class Context:
    """One run of the command line."""

    output: Output
    folder: Path = field(default_factory=Path)
    offline: bool = False
    bundled: bool = False
    """Whether lock and artifacts come from a bundle: as offline, but registries take images."""
    insecure: bool = False
    headers: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """What is shown to the servers of channels, by URL; filled as channels are named."""
    endings: list[Callable[[], None]] = field(default_factory=list)
    """What is to be done at the end."""

    def apply(self, *, project: Path | None, json: bool, quiet: bool, verbose: bool) -> None:
        """Take over the shared options; what was asked for once stays asked for."""
        self.folder = project or self.folder
        self.output.json |= json
        self.output.quiet |= quiet
        self.output.verbose |= verbose

    @cached_property
    def project(self) -> Project:
        return find_project(self.folder.resolve())

    @cached_property
    def config(self) -> Config:
        from envlock.config import load_config

        return load_config(os.environ)

    @cached_property
    def cache(self) -> Path:
        """The folder of store and caches, of which nothing that this run uses is pruned."""
        from envlock.leases import Lease

        lease = Lease.take(self.config.cache_dir)
        self.endings.append(lease.give_back)
        atexit.register(self.close)
        return self.config.cache_dir

    def close(self) -> None:
        """Give back what was held; to be called where a process ends without its exit handlers."""
        while self.endings:
            self.endings.pop()()

    @cached_property
    def http(self) -> Http:
        from envlock.fetch.http import Http

        return Http(
            offline=self.offline or self.bundled,
            logins=lambda: self.config.index_urls().values(),
            headers=self.headers,
        )

    @cached_property
    def registries(self) -> Access:
        from envlock.home import home_folder
        from envlock.registry.credentials import Logins, login_files
        from envlock.registry.open import Access

        files = login_files(os.environ, home_folder())
        return Access(
            logins=Logins(files, path=os.environ.get("PATH", os.defpath)),
            insecure=self.config.insecure_registries,
            all_insecure=self.insecure,
            offline=self.offline,
        )

    @cached_property
    def fetcher(self) -> Fetcher:
        from envlock.fetch.artifacts import Fetcher
        from envlock.fetch.store import Store

        return Fetcher(Store(self.cache), self.http, jobs=self.config.jobs)

    def index_urls(self, spec: Spec | None) -> dict[str, str]:
        """Return the URL of each index: the machine's where it has one, else the spec's."""
        from envlock.fetch.folders import index_of

        named = {index.name: index.url for index in spec.indexes} if spec else {}
        return {
            name: index_of(name, url, self.project.root, self.cache / "folders")
            for name, url in {**named, **self.config.index_urls()}.items()
        }

    def channels(self, names: Iterable[str], spec: Spec | None) -> dict[str, ChannelAccess]:
        """Return how each channel is reached: the machine's way where it has one, else the spec's.

        A channel that neither knows is where conda's tools look for its name.
        """
        from envlock.solve.conda.channels import usual_place

        conda = spec.conda if spec else None
        urls = {channel.name: channel.url for channel in conda.channels} if conda else {}
        settings = self.config.channels
        found = {n: settings.access(n, urls.get(n), usual_place) for n in dict.fromkeys(names)}
        for one in found.values():
            if one.headers:
                self.headers.update(dict.fromkeys(one.urls, one.headers))
        return found

    def archives(self, suite: str) -> list[Archive]:
        """Return where Debian's archives are: configured mirrors, else the apt sources."""
        from envlock.apt_sources import apt_archives

        configured = _configured_archives(self.config, suite)
        names = {archive.name for archive in configured}
        if "debian" in names and "debian-security" not in names:
            self.output.warn(
                "a mirror of debian is configured and none of debian-security, so its updates "
                "are not considered: set ENVLOCK_MIRROR_DEBIAN_SECURITY"
            )
        if configured:
            return configured
        found = apt_archives(Path("/"), suite=suite, check_valid_until=_apt_checks_dates())
        return with_keyring(found, self.config.keyrings.get("debian"))

    def locators(self, lock: Lock, spec: Spec | None) -> dict[str, Locator]:
        """Return how to find the artifacts of each kind on this machine."""
        from envlock.fetch.indexes import CondaChannels, DebianMirrors, SimpleIndex

        section = lock.debian
        sources = [artifact.source for artifact in lock.of_kind("conda")]
        return {
            "conda": CondaChannels(self.channels(sources, spec) if sources else {}),
            "pypi": SimpleIndex(self.index_urls(spec), self.http),
            "debian": DebianMirrors(
                self.archives(section.suite) if section else [],
                section.indexes if section else [],
                self.config.snapshots.get("debian"),
            ),
        }

    def uv(self, spec: Spec) -> Uv:
        """Return the PyPI solver with the indexes of a spec."""
        from envlock.leases import used
        from envlock.solve.pypi.uv import Uv

        used(self.cache / "uv")
        return Uv(
            index_urls=self.index_urls(spec),
            environ=_child_environ(),
            cache=self.cache / "uv",
            python=Path(sys.executable),
            offline=self.offline,
        )

    @cached_property
    def metadata(self) -> MetadataReader:
        from envlock.solve.pypi.metadata import MetadataReader

        return MetadataReader(self.http, self.fetcher, self.cache / "metadata")

    def python_solvers(self, spec: Spec) -> PythonSolvers:
        from envlock.solve.python import PythonSolvers

        return PythonSolvers(uv=self.uv(spec), metadata=self.metadata, conda=self._conda(spec))

    def solvers(self, spec: Spec) -> Solvers:
        from envlock.fetch.transport import NetworkTransport
        from envlock.solve import Solvers
        from envlock.solve.pypi.contents import ContentsReader

        return Solvers(
            uv=self.uv(spec),
            metadata=self.metadata,
            contents=ContentsReader(self.http, self.fetcher, self.cache / "metadata"),
            conda=self._conda(spec),
            archives=self.archives(spec.debian.suite) if spec.debian else [],
            transport=NetworkTransport(self.http, self.fetcher),
            snapshot=self.config.snapshots.get("debian"),
        )

    def _conda(self, spec: Spec) -> CondaMeans | None:
        if spec.conda is None:
            return None
        from envlock.leases import used
        from envlock.solve.conda import CondaMeans

        used(self.cache / "conda" / "repodata")
        return CondaMeans(
            access=self.channels([channel.name for channel in spec.conda.channels], spec),
            http=self.http,
            fetcher=self.fetcher,
            cache=self.cache / "conda",
            offline=self.offline,
            table=self.config.conda_names,
        )

    def spec(self, name: str) -> Spec:
        """Return the spec of an environment; raises UsageError, SpecError."""
        from envlock.spec.parse import load_spec

        path = self.project.spec(name)
        return load_spec(path, self.project.shown(path))

    def optional_spec(self, name: str) -> Spec | None:
        """Return the spec if there is one: a lock alone is enough to build."""
        return self.spec(name) if name in self.project.names() else None

    def lock(self, name: str, platform: str) -> Lock:
        """Return an environment's lock; raises LockError, StaleLockError with the path as shown.

        A lock of another environment or platform under this one's file name is refused.
        """
        from envlock.errors import StaleLockError
        from envlock.lock.codec import load_lock

        path = self.project.lock(name, platform)
        shown = self.project.shown(path)
        lock = load_lock(path, shown)
        if (lock.name, lock.platform) != (name, platform):
            raise StaleLockError(
                f"this is the lock of {lock.name} for {lock.platform}",
                where=shown,
                hint=f"run envlock solve {name}, or remove the file",
            )
        return lock

    def names(self, asked: Sequence[str] | None, *, specs: bool = True) -> list[str]:
        """Return the asked environments, or all; raises UsageError for an unknown one.

        specs: an asked one must have one; for some commands a lock alone is enough.  Of all, a
        file that cannot be one is told by what reads it: the others may go on.
        """
        from envlock.errors import UsageError

        names = list(dict.fromkeys(asked or self.project.names()))
        if not names:
            raise UsageError(
                "there is no spec in envs/", hint="envlock init NAME begins envs/NAME.yaml"
            )
        for name in (asked or ()) if specs else ():
            self.project.spec(name)
        return names


def _child_environ() -> dict[str, str]:
    """Return the variables that uv gets: none that change what it resolves."""
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(_CHILD_DROPS) or _CHILD_KEEPS.fullmatch(key)
    }


def _configured_archives(config: Config, suite: str) -> list[Archive]:
    from envlock.apt_sources import DEFAULT_KEYRING
    from envlock.debian_archive import Archive

    suites = {"debian": (suite, f"{suite}-updates"), "debian-security": (f"{suite}-security",)}
    keyring = config.keyrings.get("debian", Path("/") / DEFAULT_KEYRING)
    return [
        Archive(name=name, suites=suites[name], urls=config.mirrors[name], keyring=keyring)
        for name in suites
        if name in config.mirrors
    ]


def with_keyring(archives: Sequence[Archive], keyring: Path | None) -> list[Archive]:
    """Return the archives with the configured keyring, which wins over what apt would trust."""
    return [replace(one, keyring=keyring) if keyring else one for one in archives]


def _apt_checks_dates() -> bool:
    import shutil
    import subprocess

    from envlock.apt_sources import parse_check_valid_until

    if shutil.which("apt-config") is None:
        return True
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False)
    return parse_check_valid_until(dump.stdout)
