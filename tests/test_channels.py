"""Where channels are: config.toml, variables, the spec, the usual place; and no secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from envlock.config import load_config
from envlock.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from envlock.channels import ChannelSettings

TABLE = """\
channel-alias = "https://alias.example.com/"
[channels]
plain = "https://one.example.com/plain/"
several = ["https://one.example.com/s", "https://two.example.com/s"]
[channels.internal]
urls = ["https://conda.example.com/internal"]
token = "s3cret"
headers = {X-Team = "ml"}
[channels.headers-only]
token = "other"
"""


def _load(tmp_path: Path, text: str = TABLE, **environ: str) -> ChannelSettings:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return load_config({"ENVLOCK_CONFIG": str(path), **environ}).channels


def _usual(name: str) -> str:
    return f"https://usual.example.com/{name}/"


def test_the_table(tmp_path: Path) -> None:
    found = _load(tmp_path)
    assert found.channels["plain"].urls == ("https://one.example.com/plain",)
    assert found.channels["several"].urls == (
        "https://one.example.com/s",
        "https://two.example.com/s",
    )
    internal = found.channels["internal"]
    assert internal.headers == {"X-Team": "ml", "Authorization": "Bearer s3cret"}


def test_who_decides(tmp_path: Path) -> None:
    found = _load(tmp_path)
    of_spec = "https://spec.example.com/x"
    assert found.access("plain", of_spec, _usual).urls == ("https://one.example.com/plain",)
    assert found.access("new", of_spec, _usual).urls == (of_spec,)
    assert found.access("new", None, _usual).urls == ("https://alias.example.com/new",)
    bare = _load(tmp_path, "")
    assert bare.access("new", None, _usual).urls == ("https://usual.example.com/new",)
    only = found.access("headers-only", of_spec, _usual)
    assert (only.urls, only.headers) == ((of_spec,), {"Authorization": "Bearer other"})


def test_variables_win(tmp_path: Path) -> None:
    found = _load(
        tmp_path,
        ENVLOCK_CHANNELS="https://a.example.com https://b.example.com/",
        ENVLOCK_CHANNEL_CONDA_FORGE="https://c.example.com/cf file:///srv/cf",
        ENVLOCK_CHANNEL_INTERNAL="https://d.example.com/i",
        ENVLOCK_TOKEN_CONDA_FORGE="t0ken",
    )
    assert found.alias == ("https://a.example.com", "https://b.example.com")
    forge = found.channels["conda-forge"]
    assert forge.urls == ("https://c.example.com/cf", "file:///srv/cf")
    assert forge.headers == {"Authorization": "Bearer t0ken"}
    internal = found.channels["internal"]
    assert internal.urls == ("https://d.example.com/i",)
    assert internal.headers["Authorization"] == "Bearer s3cret"


def test_a_variable_finds_the_channel_that_the_table_names(tmp_path: Path) -> None:
    text = '[channels]\n"Team.X/label/dev" = "https://one.example.com/x"\n'
    found = _load(tmp_path, text, ENVLOCK_TOKEN_TEAM_X_LABEL_DEV="t")
    assert set(found.channels) == {"Team.X/label/dev"}
    assert found.channels["Team.X/label/dev"].headers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('channels = "x"', "channels must be a table"),
        ('[channels]\na = "nowhere"', "channels.a is no URL"),
        ("[channels]\na = 5", "channels.a is no URL"),
        ("[channels]\na = []", "channels.a is no URL"),
        ('[channels]\na = "https://u:s3cret@e.example.com/a"', "with a credential in it"),
        ('[channels]\na = "https://e.example.com/t/s3cret/a"', "with a credential in it"),
        ('[channels.a]\nurl = "https://e.example.com/a"', "unknown setting channels.a.url"),
        ("[channels.a]\ntoken = 5", "channels.a.token is no token"),
        ('[channels.a]\ntoken = "s3cret\\nX: y"', "channels.a.token is no token"),
        ('[channels.a]\nheaders = "s3cret"', "headers must be a table"),
        ('[channels.a.headers]\n"X Y" = "s3cret"', "is no HTTP header"),
        ('[channels.a.headers]\nX = "s3cret\\u00e9"', "is no HTTP header"),
        ('channel-alias = "nowhere"', "channel-alias is no URL"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        _load(tmp_path, text)
    assert message in caught.value.message
    assert caught.value.exit_code == 2
    assert "s3cret" not in str(caught.value)
    assert caught.value.where == str(tmp_path / "config.toml")


@pytest.mark.parametrize("name", ["ENVLOCK_CHANNEL_A", "ENVLOCK_CHANNELS"])
@pytest.mark.parametrize(
    "url",
    [
        "https://u:s3cret@e.example.com",
        "s3cret",
        "https://e.example.com/s3cret,https://f.example.com",
        "https://e.example.com/s3cret, https://f.example.com",
    ],
)
def test_mistakes_in_variables(tmp_path: Path, name: str, url: str) -> None:
    with pytest.raises(UsageError, match=name) as caught:
        _load(tmp_path, "", **{name: url})
    assert "s3cret" not in str(caught.value)
