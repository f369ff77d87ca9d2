"""The store: nothing unverified under a name, downloads that go on where they stopped."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from envlock.errors import DiskError, FetchError, IntegrityError
from envlock.fetch import http as http_module
from envlock.fetch import sessions
from envlock.fetch.artifacts import Fetcher
from envlock.fetch.http import Http, NotFoundError
from envlock.fetch.indexes import SimpleIndex
from envlock.fetch.store import Store
from envlock.progress import SILENT

from ..lock.locks import wheel
from ..makers.index import Fault, Index

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envlock.lock.model import Artifact

DATA = os.urandom(300_000)
SHA = sha256(DATA).hexdigest()
NAME = "big-1.0-py3-none-any.whl"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry at once, and not often."""
    monkeypatch.setattr(sessions, "_RETRIES", 2)
    monkeypatch.setattr("urllib3.util.Retry.get_backoff_time", lambda _: 0)


@pytest.fixture(autouse=True)
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the sessions that a test opened."""
    opened: list[Any] = []
    original = sessions.new_session

    def new_session(*arguments: Any) -> Any:
        opened.append(original(*arguments))
        return opened[-1]

    monkeypatch.setattr(http_module, "new_session", new_session)
    yield
    for session in opened:
        session.close()


@pytest.fixture
def served(index: Index) -> Index:
    """The index offers a file of 300 kB."""
    index.folder.mkdir(parents=True)
    path = index.folder / NAME
    path.write_bytes(DATA)
    index.add(path)
    return index


def _fetcher(root: Path) -> Fetcher:
    return Fetcher(Store(root), Http(), jobs=2)


def _get(fetcher: Fetcher, *urls: str) -> Path:
    return fetcher.one(urls, name=NAME, sha256=SHA, size=len(DATA))


def _url(index: Index) -> str:
    return f"{index.base}/files/{NAME}"


def test_fetched_once(served: Index, tmp_path: Path) -> None:
    fetcher = _fetcher(tmp_path)
    path = _get(fetcher, _url(served))
    assert path.read_bytes() == DATA
    assert path.stat().st_mode & 0o777 == 0o444
    assert _get(fetcher, _url(served)) == path
    assert served.count(NAME) == 1
    assert [p.name for p in (tmp_path / "partial").iterdir()] == []


def test_resumed_not_repeated(served: Index, tmp_path: Path) -> None:
    """A cut connection: the same run goes on with a Range request."""
    served.faults[NAME] = Fault(cut=200_000)
    _get(_fetcher(tmp_path), _url(served))
    first, second = served.requests(NAME)
    assert (first.status, second.status) == (200, 206)
    assert "range" not in first.headers
    start = int(second.headers["range"].removeprefix("bytes=").removesuffix("-"))
    assert 0 < start <= 200_000
    assert second.sent == len(DATA) - start


def test_resumed_by_the_next_run(served: Index, tmp_path: Path) -> None:
    part = tmp_path / "partial" / f"{SHA}.part"
    part.parent.mkdir()
    part.write_bytes(DATA[:123_456])
    assert _get(_fetcher(tmp_path), _url(served)).read_bytes() == DATA
    (asked,) = served.requests(NAME)
    assert asked.headers["range"] == "bytes=123456-"
    assert asked.sent == len(DATA) - 123_456


def test_a_partial_that_is_all_there(served: Index, tmp_path: Path) -> None:
    part = tmp_path / "partial" / f"{SHA}.part"
    part.parent.mkdir()
    part.write_bytes(DATA)
    part.chmod(0o444)  # as it is left by who is killed before its last step
    assert _get(_fetcher(tmp_path), _url(served)).read_bytes() == DATA
    assert served.count(NAME) == 0


@pytest.mark.parametrize("length", [100, 150_000, len(DATA), len(DATA) + 5])
def test_a_corrupt_partial_is_dropped_and_tried_once_more(
    served: Index, tmp_path: Path, length: int
) -> None:
    part = tmp_path / "partial" / f"{SHA}.part"
    part.parent.mkdir()
    part.write_bytes(b"?" * length)
    assert _get(_fetcher(tmp_path), _url(served)).read_bytes() == DATA
    assert len([a for a in served.requests(NAME) if a.sent > 0]) <= 2


def test_without_ranges_it_begins_anew(served: Index, tmp_path: Path) -> None:
    served.faults[NAME] = Fault(ranges=False)
    part = tmp_path / "partial" / f"{SHA}.part"
    part.parent.mkdir()
    part.write_bytes(b"?" * 1000)
    assert _get(_fetcher(tmp_path), _url(served)).read_bytes() == DATA
    assert served.count(NAME) == 1


def test_cut_for_ever_fails_and_keeps_what_came(served: Index, tmp_path: Path) -> None:
    served.faults[NAME] = Fault(cut=70_000, times=2)
    served.faults[NAME].ranges = False
    with pytest.raises(FetchError) as caught:
        _get(_fetcher(tmp_path), _url(served))
    assert caught.value.exit_code == 3
    assert (tmp_path / "partial" / f"{SHA}.part").stat().st_size > 0
    assert not (tmp_path / "artifacts").exists()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(content=b"x" * len(DATA)),
        Fault(content=b"short"),
        Fault(content=DATA + b"x"),
        Fault(content=b""),
        Fault(endless=True),
        Fault(content=b"<html>please log in</html>"),
    ],
    ids=["wrong bytes", "too short", "too long", "nothing", "endless", "a page"],
)
def test_what_is_not_promised_is_dropped(served: Index, tmp_path: Path, fault: Fault) -> None:
    served.faults[NAME] = fault
    with pytest.raises(IntegrityError) as caught:
        _get(_fetcher(tmp_path), _url(served))
    assert caught.value.exit_code == 3
    assert NAME in caught.value.message
    assert any(_url(served) in line for line in caught.value.details)
    assert not list(tmp_path.glob("artifacts/*/*"))
    assert not list(tmp_path.glob("partial/*"))
    assert served.count(NAME) == 1


def test_an_endless_stream_is_stopped_at_the_size(served: Index, tmp_path: Path) -> None:
    served.faults[NAME] = Fault(endless=True)
    with pytest.raises(IntegrityError, match="more than the promised 300000 bytes"):
        _get(_fetcher(tmp_path), _url(served))


@pytest.mark.parametrize("length", [len(DATA) + 1000, 1000])
def test_a_wrong_length(served: Index, tmp_path: Path, length: int) -> None:
    served.faults[NAME] = Fault(length=length)
    with pytest.raises(FetchError) as caught:
        _get(_fetcher(tmp_path), _url(served))
    assert caught.value.exit_code == 3
    assert not list(tmp_path.glob("artifacts/*/*"))


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_tried_again(served: Index, tmp_path: Path, status: int) -> None:
    served.faults[NAME] = Fault(fail=2, status=status, retry_after="0")
    assert _get(_fetcher(tmp_path), _url(served)).read_bytes() == DATA
    assert [asked.status for asked in served.requests(NAME)] == [status, status, 200]


def test_a_server_cannot_make_us_wait_for_a_day(
    served: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_LONGEST_WAIT", 0.01)
    served.faults[NAME] = Fault(fail=1, status=429, retry_after="86400")
    assert _get(_fetcher(tmp_path), _url(served)).read_bytes() == DATA


@pytest.mark.parametrize("told", ["soon", "9" * 5000, f"Mon, 20 Nov 2023 19:12:08 +{'9' * 30}"])
def test_a_server_that_tells_no_time(served: Index, tmp_path: Path, told: str) -> None:
    served.faults[NAME] = Fault(fail=1, status=503, retry_after=told)
    assert _get(_fetcher(tmp_path), _url(served)).read_bytes() == DATA


@pytest.mark.parametrize("status", [400, 401, 403, 418, 429, 500, 503])
def test_an_answer_that_stays(served: Index, tmp_path: Path, status: int) -> None:
    served.faults[NAME] = Fault(fail=-1, status=status, retry_after="0")
    with pytest.raises(FetchError) as caught:
        _get(_fetcher(tmp_path), _url(served))
    assert caught.value.exit_code == 3
    assert f"the server answered {status}" in str(caught.value)
    assert _url(served) in str(caught.value)


def test_gone(served: Index, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="it is gone from every place") as caught:
        _get(_fetcher(tmp_path), f"{served.base}/files/a.whl", f"{served.base}/files/b.whl")
    assert len(caught.value.details) == 2
    with pytest.raises(FetchError, match="no index or mirror of this machine has it"):
        _get(_fetcher(tmp_path))


def test_the_next_place_is_tried(served: Index, tmp_path: Path) -> None:
    served.faults["/bad/" + NAME] = Fault(content=b"?" * len(DATA))
    served.faults["/down/" + NAME] = Fault(fail=-1, status=403)
    urls = [f"{served.base}/files/{place}/{NAME}" for place in ("down", "bad", "good")]
    urls.insert(0, f"http://127.0.0.1:9/{NAME}")
    urls.insert(0, f"file:///nonexistent/{NAME}")
    assert _get(_fetcher(tmp_path), *urls).read_bytes() == DATA


def test_a_redirect_is_followed(served: Index, tmp_path: Path) -> None:
    served.faults["/old/" + NAME] = Fault(redirect=_url(served))
    assert _get(_fetcher(tmp_path), f"{served.base}/files/old/{NAME}").read_bytes() == DATA


def test_a_redirect_in_a_circle(served: Index, tmp_path: Path) -> None:
    served.faults[NAME] = Fault(redirect=f"/files/{NAME}")
    with pytest.raises(FetchError) as caught:
        _get(_fetcher(tmp_path), _url(served))
    assert caught.value.exit_code == 3


def test_files_of_this_machine(tmp_path: Path) -> None:
    path = tmp_path / "a file.whl"
    path.write_bytes(DATA)
    assert _get(_fetcher(tmp_path / "s"), path.as_uri()).read_bytes() == DATA
    with pytest.raises(NotFoundError):
        Http().stream("file:///nonexistent")
    with pytest.raises(FetchError, match="cannot be read"):
        Http().stream(tmp_path.as_uri())


def test_limits_of_documents(served: Index) -> None:
    assert Http().read(_url(served), limit=len(DATA)) == DATA
    with pytest.raises(FetchError, match="more than 10 bytes"):
        Http().read(_url(served), limit=10)


def test_offline(served: Index, tmp_path: Path) -> None:
    fetcher = Fetcher(Store(tmp_path), Http(offline=True))
    with pytest.raises(FetchError, match="--offline was given"):
        _get(fetcher, _url(served))
    Store(tmp_path).add([DATA], SHA, len(DATA))
    assert _get(fetcher, _url(served)).read_bytes() == DATA
    assert not served.asked


def test_bytes_at_hand_are_checked(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError):
        Store(tmp_path / "s").add([b"other"], SHA, len(DATA))
    with pytest.raises(ValueError, match="not a sha256"):
        Store(tmp_path).path("../" + SHA)


def test_a_login_goes_to_its_host_only(served: Index, tmp_path: Path) -> None:
    """An index's files often stand by absolute URLs without its userinfo."""
    served.login = ("user", "secret")
    login = served.url_with("user:secret")
    fetcher = Fetcher(Store(tmp_path), Http(logins=lambda: [login]))
    assert _get(fetcher, _url(served)).read_bytes() == DATA
    with Index(tmp_path / "other") as other:
        other.folder.mkdir()
        (other.folder / NAME).write_bytes(DATA)
        other.add(other.folder / NAME)
        Http(logins=lambda: [login]).read(f"{other.base}/files/{NAME}", limit=len(DATA))
        served.faults["/away/" + NAME] = Fault(redirect=f"{other.base}/files/{NAME}")
        Http(logins=lambda: [login]).read(f"{served.base}/files/away/{NAME}", limit=len(DATA))
        assert all("authorization" not in asked.headers for asked in other.asked)


def test_credentials_reach_no_error(served: Index, tmp_path: Path) -> None:
    served.login = ("user", "other")
    bad = f"http://user:s3cr3t@{served.host}/files/{NAME}"
    for url in (bad, bad.replace(served.host, "127.0.0.1:9"), bad.replace(served.host, "[::1")):
        with pytest.raises(FetchError) as caught:
            _get(_fetcher(tmp_path), url)
        assert "s3cr3t" not in str(caught.value)
        assert "s3cr3t" not in repr(caught.value)
    index = SimpleIndex({"pypi": served.url_with("user:s3cr3t")}, Http())
    with pytest.raises(FetchError) as caught:
        index.files("pypi", "big")
    assert "s3cr3t" not in str(caught.value)
    assert "401" in str(caught.value)


def _artifact() -> Artifact:
    return wheel("big", file=NAME, path=f"x/{NAME}", sha256=SHA, size=len(DATA))


def test_located_through_the_index(served: Index, tmp_path: Path) -> None:
    locators = {"pypi": SimpleIndex({"pypi": served.url}, Http())}
    paths = _fetcher(tmp_path).all([_artifact()], locators, SILENT)
    assert paths[SHA].read_bytes() == DATA
    assert served.count("/simple/big/") == 1


def test_an_index_that_lost_the_file(served: Index, tmp_path: Path) -> None:
    served.withdraw("big")
    locators = {"pypi": SimpleIndex({"pypi": served.url}, Http())}
    with pytest.raises(FetchError, match="no index or mirror of this machine has it") as caught:
        _fetcher(tmp_path).all([_artifact()], locators, SILENT)
    assert NAME in caught.value.message


def test_one_failure_ends_all(served: Index, tmp_path: Path) -> None:
    index = SimpleIndex({"pypi": served.url}, Http())
    artifacts = [_artifact(), *(wheel(f"missing{n}") for n in range(5))]
    with pytest.raises(FetchError):
        _fetcher(tmp_path).all(artifacts, {"pypi": index}, SILENT)


class _Counting:
    """A reporter that adds up."""

    def __init__(self) -> None:
        self.done = 0

    def advance(self, amount: int) -> None:
        self.done += amount


def test_progress_adds_up(served: Index, tmp_path: Path) -> None:
    part = tmp_path / "partial" / f"{SHA}.part"
    part.parent.mkdir()
    part.write_bytes(b"?" * 100_000)
    served.faults[NAME] = Fault(cut=130_000)
    task = _Counting()
    _fetcher(tmp_path).one([_url(served)], name=NAME, sha256=SHA, size=len(DATA), task=task)
    assert task.done == len(DATA)


_CHILD = """
import sys
from pathlib import Path
from envlock.fetch.artifacts import Fetcher
from envlock.fetch.http import Http
from envlock.fetch.store import Store
root, url, name, sha256, size = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
fetcher = Fetcher(Store(Path(root)), Http())
print(fetcher.one([url], name=name, sha256=sha256, size=int(size)))
"""


def test_processes_at_once_fetch_once(served: Index, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _CHILD, str(tmp_path), _url(served), NAME, SHA]
    with contextlib.ExitStack() as stack:
        children = [
            stack.enter_context(
                subprocess.Popen(
                    [*command, str(len(DATA))],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(3)
        ]
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        told = []
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        for child in children:
            told.append(child.communicate(timeout=60)[0].strip())
    assert told == [str(Store(tmp_path).path(SHA))] * 3
    assert Path(told[0]).read_bytes() == DATA
    assert served.count(NAME) == 1
    assert not list(tmp_path.glob("partial/*"))


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for 128 kB."""
    place = tmp_path / "tiny"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mount needs root: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.container
def test_a_full_disk(served: Index, tiny_disk: Path) -> None:
    with pytest.raises(DiskError, match="No space left on device") as caught:
        _get(_fetcher(tiny_disk), _url(served))
    assert caught.value.exit_code == 3
    assert "ENVLOCK_CACHE_DIR" in (caught.value.hint or "")
    assert not list(tiny_disk.glob("artifacts/*/*"))


def test_a_folder_that_cannot_be_made(served: Index, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError) as caught:
        _get(_fetcher(tmp_path / "file" / "cache"), _url(served))
    assert caught.value.exit_code == 3
