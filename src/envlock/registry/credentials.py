"""Logins as ``docker login`` and ``podman login`` leave them.

Docker's config.json and containers-auth.json(5): ``auths``, ``credHelpers``, ``credsStore``, and
the protocol of credential helpers (github.com/docker/docker-credential-helpers).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from envlock.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_HELPER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HELPER_SECONDS = 60
_DOCKER_KEYS = ("https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io")


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What a registry is shown; a token, or a user with a password; never printed.

    identity: a refresh token of OAuth 2; bearer: what is sent as it is.
    """

    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identity: str = field(default="", repr=False)
    bearer: str = field(default="", repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not appear in any text."""
        basic = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        known = (self.password, self.identity, self.bearer, basic if self.password else "")
        return tuple(secret for secret in known if secret)


def login_files(environ: Mapping[str, str], home: Path) -> tuple[Path, ...]:
    """Return the files that may have logins, the first one first."""
    from pathlib import Path

    if environ.get("REGISTRY_AUTH_FILE"):
        return (Path(environ["REGISTRY_AUTH_FILE"]),)
    if environ.get("DOCKER_CONFIG"):
        return (Path(environ["DOCKER_CONFIG"]) / "config.json",)
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    runtime = environ.get("XDG_RUNTIME_DIR")
    return (
        *([Path(runtime) / "containers/auth.json"] if runtime else []),
        config / "containers/auth.json",
        home / ".docker/config.json",
    )


class Logins:
    """Finds the login for a repository; asks credential helpers at most once each."""

    def __init__(self, files: Sequence[Path] = (), *, path: str | None = None) -> None:
        """``files`` are read when first needed; ``path``: where helpers are looked for."""
        self._files = files
        self._path = path
        self._asked: dict[tuple[str, str], Login | None] = {}

    def find(self, registry: str, repository: str) -> Login | None:
        """Return the login for ``registry/repository``, None without one.

        The first file that knows the registry has the word.  Raises UsageError for a file that
        cannot be understood or a helper that is not there or fails.
        """
        for file in self._files:
            document = _read(file)
            helper = _table(document, "credHelpers", file).get(registry) or ""
            if not helper and (store := document.get("credsStore")):
                found = self._ask(str(store), _server(registry), file)
                if found is not None:
                    return found
            if helper:
                return self._ask(str(helper), registry, file)
            auths = _table(document, "auths", file)
            for key in _keys(registry, repository):
                if isinstance(auths.get(key), dict) and auths[key]:
                    return _login(auths[key], key, file)
        return None

    def _ask(self, helper: str, server: str, file: Path) -> Login | None:
        key = (helper, server)
        if key not in self._asked:
            self._asked[key] = _run_helper(helper, server, file, self._path)
        return self._asked[key]


def _read(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"the logins cannot be read: {error.strerror}", where=str(file)) from error
    except (ValueError, RecursionError):
        raise UsageError(
            "this is not JSON, and logins are kept there",
            where=str(file),
            hint="mend or remove it, then docker login or podman login writes it anew",
        ) from None  # the text may be a secret
    if not isinstance(document, dict):
        raise UsageError("logins are a JSON object", where=str(file))
    return document


def _table(document: dict[str, Any], key: str, file: Path) -> dict[str, Any]:
    table = document.get(key) or {}
    if not isinstance(table, dict):
        raise UsageError(f"{key} is not an object", where=str(file))
    return table


def _server(registry: str) -> str:
    """Return the name under which ``docker login`` stores a login in a helper."""
    return _DOCKER_KEYS[0] if registry == "docker.io" else registry


def _keys(registry: str, repository: str) -> list[str]:
    """Return the keys under which a login may lie, the most exact one first."""
    parts = [registry, *repository.split("/")]
    keys = ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
    if registry == "docker.io":
        keys += _DOCKER_KEYS
    return [*keys, f"https://{registry}", f"https://{registry}/", f"https://{registry}/v2/"]


def _login(entry: Mapping[str, Any], key: str, file: Path) -> Login:
    user, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth"):
        try:
            pair = base64.b64decode(str(entry["auth"]), validate=True).decode()
        except (binascii.Error, ValueError):
            raise UsageError(
                f"auths: {key}: auth is not base64", where=str(file), hint=f"docker login {key}"
            ) from None
        user, _, password = pair.rstrip("\0").partition(":")
    return Login(
        user=user,
        password=password,
        identity=str(entry.get("identitytoken") or ""),
        bearer=str(entry.get("registrytoken") or ""),
    )


def _run_helper(helper: str, server: str, file: Path, path: str | None) -> Login | None:
    name = f"docker-credential-{helper}"
    program = shutil.which(name, path=path) if _HELPER_NAME.fullmatch(helper) else None
    if program is None:
        raise UsageError(
            f"the login for {server} is kept by {name}, which is not there",
            where=str(file),
            hint="install it, or log in with a configuration that names no helper",
        )
    try:
        done = subprocess.run(
            [program, "get"],
            input=server.encode(),
            capture_output=True,
            check=False,
            timeout=_HELPER_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = "it did not answer" if isinstance(error, subprocess.TimeoutExpired) else str(error)
        raise UsageError(f"{name} failed: {reason}", where=str(file)) from None
    if done.returncode:
        told = (done.stdout + done.stderr).decode(errors="replace").strip()
        if "credentials not found" in told:
            return None
        first = told.splitlines()[0][:200] if told else f"exit code {done.returncode}"
        raise UsageError(f"{name} failed for {server}: {first}", where=str(file))
    try:
        answer = json.loads(done.stdout)
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{name} did not answer as a helper should", where=str(file)) from None
    return Login(identity=secret) if user == "<token>" else Login(user=user, password=secret)
