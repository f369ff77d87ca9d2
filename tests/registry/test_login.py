"""Who is asked for a login gets it, and nobody else, and no text does."""

from __future__ import annotations

import base64
import json
import stat
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envlock.errors import EnvlockError, UsageError
from envlock.registry.auth import challenges
from envlock.registry.credentials import Logins, login_files
from envlock.registry.errors import DeniedError, RegistryError

from ..makers.proxy import Fault
from .conftest import SMALL, Blob, Place

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[[int], Blob]

SECRET = "s3cr3t-of-anna"
BASIC = base64.b64encode(f"anna:{SECRET}".encode()).decode()
KNOWN = json.dumps({"auths": {"HOST": {"auth": BASIC}}})


def helper(folder: Path, script: str) -> None:
    program = folder / "docker-credential-test"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def test_basic(place: Place, blob: Make, tmp_path: Path) -> None:
    place.proxy.basic = ("anna", SECRET)
    one = blob(SMALL)
    place.logged_in(tmp_path, KNOWN).upload(one.digest, SMALL, one.open)
    assert place.proxy.authorizations.count(None) == 1


def test_a_token_of_ones_own(place: Place, blob: Make, tmp_path: Path) -> None:
    place.proxy.tokens, place.proxy.users = True, {"anna": SECRET}
    one = blob(SMALL)
    place.logged_in(tmp_path, KNOWN).upload(one.digest, SMALL, one.open)
    assert place.proxy.count("/token") == 1
    query = next(path for _, path in place.proxy.seen if path.startswith("/token"))
    assert "service=here" in query
    assert "repository%3Ateam%2Fapp%3Apull%2Cpush" in query


def test_a_token_for_nobody(place: Place, blob: Make) -> None:
    place.proxy.tokens = True
    one = blob(SMALL)
    place.repository().upload(one.digest, SMALL, one.open)
    assert all(not (shown or "").startswith("Basic") for shown in place.proxy.authorizations)


def test_an_identity_token(place: Place, blob: Make, tmp_path: Path) -> None:
    place.proxy.tokens, place.proxy.users = True, {"refresh-me": ""}
    entry = {"auths": {"HOST": {"identitytoken": "refresh-me"}}}
    one = blob(SMALL)
    place.logged_in(tmp_path, json.dumps(entry)).upload(one.digest, SMALL, one.open)
    assert place.proxy.count("POST /token") == 1


def test_a_token_that_ends_is_fetched_anew(place: Place, blob: Make) -> None:
    place.proxy.tokens, place.proxy.expire = True, 2
    one = blob(450_000)
    place.repository().upload(one.digest, 450_000, one.open)
    assert place.proxy.count("/token") > 2
    assert place.repository().has(one.digest) == 450_000


def test_mounting_asks_for_both_repositories(place: Place, blob: Make) -> None:
    place.proxy.tokens = True
    one = blob(SMALL)
    place.repository("team/other").upload(one.digest, SMALL, one.open)
    done = place.repository().upload(one.digest, SMALL, one.open, mount_from=["team/other"])
    assert done.way == "mounted"


@pytest.mark.parametrize("way", ["basic", "tokens"])
@pytest.mark.parametrize("document", ["{}", json.dumps({"auths": {"HOST": {"auth": BASIC}}})])
def test_who_is_not_let_in_hears_why(way: str, document: str, place: Place, tmp_path: Path) -> None:
    if way == "basic":
        place.proxy.basic = ("anna", "another")
    else:
        place.proxy.tokens, place.proxy.users = True, {"anna": "another"}
    with pytest.raises(DeniedError) as caught:
        place.logged_in(tmp_path, document).has("sha256:" + "0" * 64)
    assert SECRET not in str(caught.value)
    assert BASIC not in str(caught.value)
    assert f"login {place.proxy.address}" in str(caught.value)
    assert caught.value.exit_code == 3
    assert place.waits == []


def test_a_registry_that_repeats_a_secret_is_not_quoted(
    place: Place, blob: Make, tmp_path: Path
) -> None:
    place.proxy.basic = ("anna", SECRET)
    told = json.dumps({"errors": [{"code": "NO", "message": f"{BASIC} is {SECRET}"}]}).encode()
    place.proxy.faults.append(Fault("POST", "status", status=400, body=told))
    one = blob(SMALL)
    with pytest.raises(RegistryError) as caught:
        place.logged_in(tmp_path, KNOWN).upload(one.digest, SMALL, one.open)
    assert "NO: **** is ****" in str(caught.value)


def test_a_registry_that_answers_nonsense(place: Place, blob: Make, tmp_path: Path) -> None:
    place.proxy.faults.append(Fault("POST", "status", status=400, body=b"[" * 60_000))
    one = blob(SMALL)
    with pytest.raises(RegistryError, match="the registry answered 400"):
        place.logged_in(tmp_path, KNOWN).upload(one.digest, SMALL, one.open)


def test_another_host_sees_no_login(own: Place, blob: Make, tmp_path: Path) -> None:
    """Registries redirect to stores of others, with signatures in the URL."""
    from ..makers.proxy import Proxy

    own.proxy.basic = ("anna", SECRET)
    one = blob(SMALL)
    repository = own.logged_in(tmp_path, KNOWN)
    repository.upload(one.digest, SMALL, one.open)
    assert own.registry is not None
    with Proxy(own.registry.address) as other:
        place = f"http://{other.address}/v2/team/app/blobs/{one.digest}?signature=abc"
        redirect = Fault("GET .*blobs", "status", status=307, headers={"Location": place})
        own.proxy.faults.append(redirect)
        assert b"".join(repository.blob(one.digest)[1]) == one.data
        assert other.authorizations == [None]
        begun = f"http://{other.address}/v2/team/app/blobs/uploads/x"
        own.registry.repository("team/app").uploads["x"] = bytearray()
        own.proxy.faults.append(Fault("POST", "status", status=202, headers={"Location": begun}))
        two = blob(SMALL + 1)
        repository.upload(two.digest, SMALL + 1, two.open)
        assert other.authorizations == [None, None]


def test_a_token_server_without_https_is_refused() -> None:
    from envlock.registry.auth import Authorizer

    def ask(method: str, url: str, options: object) -> dict[str, object]:
        raise AssertionError(url)

    one = Authorizer("registry.example.com", lambda: None, ask, insecure=False)
    with pytest.raises(RegistryError, match="https"):
        one.answer('Bearer realm="http://token.example.com/"', (), None)


@pytest.mark.parametrize(
    "answer",
    [
        b"{}",
        b"[]",
        b"nothing",
        b'{"token": "a b"}',
        b'{"token": 1}',
        b"[" * 100_000,
        b'{"token": "x"}' + b" " * (2 << 20),
    ],
    ids=["empty", "list", "text", "blank", "number", "deep", "large"],
)
def test_a_token_server_that_sends_no_token(answer: bytes, own: Place) -> None:
    own.proxy.tokens = True
    own.proxy.users = {"x": "y"}
    refusal = {
        "WWW-Authenticate": f'Bearer realm="http://{own.proxy.address}/v2/other/blobs/uploads/t"'
    }
    own.proxy.faults.append(Fault("GET .*/t", "status", status=200, body=answer))
    own.proxy.tokens = False
    own.proxy.faults.append(Fault("HEAD", "status", status=401, headers=refusal))
    with pytest.raises(RegistryError, match="token server"):
        own.repository().has("sha256:" + "0" * 64)


# --- where logins are kept ---


def find(folder: Path, document: object, registry: str, path: str = "team/app") -> str | None:
    file = folder / "config.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    login = Logins([folder / "none.json", file], path=str(folder)).find(registry, path)
    return None if login is None else f"{login.user}{login.identity}{login.bearer}"


def entry(user: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:x".encode()).decode()}


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        ("registry.example.com", "registry.example.com"),
        ("https://registry.example.com", "registry.example.com"),
        ("https://registry.example.com/v2/", "registry.example.com"),
        ("registry.example.com/team", "registry.example.com"),
        ("registry.example.com/team/app", "registry.example.com"),
        ("registry.example.com:5000", "registry.example.com:5000"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
    ],
)
def test_the_keys_of_docker_and_podman(key: str, registry: str, tmp_path: Path) -> None:
    assert find(tmp_path, {"auths": {key: entry("anna")}}, registry) == "anna"
    assert find(tmp_path, {"auths": {key: entry("anna")}}, "other.example.com") is None


def test_the_most_exact_key_wins(tmp_path: Path) -> None:
    keys = {"r.example.com": entry("all"), "r.example.com/team": entry("team")}
    assert find(tmp_path, {"auths": keys}, "r.example.com") == "team"
    assert find(tmp_path, {"auths": keys}, "r.example.com", "others/app") == "all"


def test_other_forms_of_an_entry(tmp_path: Path) -> None:
    for form in ({"username": "anna", "password": "x"}, {"identitytoken": "anna"},
                 {"registrytoken": "anna"}):  # fmt: skip
        assert find(tmp_path, {"auths": {"r.example.com": form}}, "r.example.com") == "anna"
    assert find(tmp_path, {"auths": {"r.example.com": {}}}, "r.example.com") is None


def test_credential_helpers(tmp_path: Path) -> None:
    answer = '{"ServerURL": "", "Username": "anna", "Secret": "x"}'
    helper(tmp_path, f"read -r server; test $server = r.example.com && echo '{answer}'")
    document = {"credHelpers": {"r.example.com": "test"}, "auths": {"r.example.com": entry("no")}}
    assert find(tmp_path, document, "r.example.com") == "anna"
    assert find(tmp_path, {"credsStore": "test"}, "r.example.com") == "anna"


def test_a_helper_may_have_a_token_or_nothing(tmp_path: Path) -> None:
    helper(tmp_path, """echo '{"Username": "<token>", "Secret": "refresh"}'""")
    assert find(tmp_path, {"credsStore": "test"}, "r.example.com") == "refresh"
    helper(tmp_path, "echo credentials not found in native keychain; exit 1")
    assert find(tmp_path, {"credsStore": "test"}, "r.example.com") is None


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "not JSON"),
        ("[]", "JSON object"),
        ({"auths": [1]}, "auths is not an object"),
        ({"auths": {"r.example.com": {"auth": "%%%"}}}, "not base64"),
        ({"credsStore": "absent"}, "docker-credential-absent, which is not there"),
        ({"credsStore": "../evil"}, "which is not there"),
        ({"credHelpers": {"r.example.com": "fails"}}, "failed for r.example.com: the vault"),
        ({"credHelpers": {"r.example.com": "odd"}}, "did not answer"),
    ],
)
def test_logins_that_cannot_be_used_are_named(
    document: object, message: str, tmp_path: Path
) -> None:
    helper(tmp_path, "echo the vault is shut >&2; exit 1")
    (tmp_path / "docker-credential-test").rename(tmp_path / "docker-credential-fails")
    helper(tmp_path, f"echo {SECRET}")
    (tmp_path / "docker-credential-test").rename(tmp_path / "docker-credential-odd")
    with pytest.raises(UsageError, match=message) as caught:
        find(tmp_path, document, "r.example.com")
    assert "config.json" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_which_files_are_read(tmp_path: Path) -> None:
    home = tmp_path
    names = [str(file.relative_to(home)) for file in login_files({}, home)]
    assert names == [".config/containers/auth.json", ".docker/config.json"]
    one = login_files({"XDG_RUNTIME_DIR": str(home / "run")}, home)
    assert one[0] == home / "run/containers/auth.json"
    assert login_files({"DOCKER_CONFIG": "/d"}, home)[0].as_posix() == "/d/config.json"
    both = {"DOCKER_CONFIG": "/d", "REGISTRY_AUTH_FILE": "/a.json"}
    assert [file.as_posix() for file in login_files(both, home)] == ["/a.json"]


def test_a_login_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"auths": {"r.example.com": {"auth": BASIC}}}))
    login = Logins([file]).find("r.example.com", "a")
    assert login is not None
    assert SECRET not in repr(login)
    assert BASIC in login.secrets


# --- challenges ---


def test_challenges() -> None:
    header = 'Bearer realm="https://t.example.com/a,b",service="x y", scope="a:b:pull,push"'
    assert challenges(header) == {
        "bearer": {"realm": "https://t.example.com/a,b", "service": "x y", "scope": "a:b:pull,push"}
    }
    both = challenges('Negotiate, Basic realm="Bearer x=1, y", Bearer realm=plain')
    assert both == {
        "negotiate": {}, "basic": {"realm": "Bearer x=1, y"}, "bearer": {"realm": "plain"}
    }  # fmt: skip
    assert challenges('BASIC realm="a \\"b\\""') == {"basic": {"realm": 'a "b"'}}


def test_a_long_header_does_not_take_long() -> None:
    begun = time.process_time()
    challenges('Bearer "\\' + '"\\' * 30_000)
    assert time.process_time() - begun < 2


@given(st.text())
def test_no_header_is_too_odd(text: str) -> None:
    challenges(text)


@given(st.dictionaries(st.sampled_from(["realm", "service", "scope"]), st.text(
    st.characters(min_codepoint=32, max_codepoint=126)), min_size=1))  # fmt: skip
def test_parameters_come_back(parameters: dict[str, str]) -> None:
    def quoted(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"')

    header = "Bearer " + ",".join(f'{key}="{quoted(text)}"' for key, text in parameters.items())
    assert challenges(header) == {"bearer": parameters}


def test_errors_of_registries_are_ours() -> None:
    assert issubclass(RegistryError, EnvlockError)
    assert RegistryError.exit_code == 3
