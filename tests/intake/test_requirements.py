"""``init --from requirements.txt``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from envlock.errors import EnvlockError

from .drafting import asked, draft, notes, spec_of

if TYPE_CHECKING:
    from pathlib import Path

FILE = "requirements.txt"


def test_what_pip_would_read(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "base.txt").write_text("jinja2\n-r ../requirements.txt\n")
    (tmp_path / "pins.txt").write_text("werkzeug<3\n")
    text = """\
# a comment
numpy==1.26.4 \\
    --hash=sha256:aaaa \\
    --hash=sha256:bbbb
flask[async] >= 2   # web
colorama; sys_platform == "win32"
-r more/base.txt
--constraint=pins.txt
-e .
./dist/x-1.0-py3-none-any.whl
git+https://me:s3cret@git.example.com/a.git
--no-binary :all:
--extra-index-url https://index.example.com/cu124
odd==${VERSION}
"""
    found = draft(tmp_path, FILE, text)
    spec = spec_of(found)
    assert asked(spec)[1] == [
        "numpy==1.26.4",
        "flask[async]>=2",
        'colorama; sys_platform == "win32"',
        "jinja2",
    ]
    assert [str(one.requirement) for one in spec.pypi.constraints] == ["werkzeug<3"]
    assert [(one.name, one.url) for one in spec.indexes] == [
        ("example-cu124", "https://index.example.com/cu124")
    ]
    told = notes(found)
    assert [note.split(":")[1] for note in told[:-1]] == ["2", "9", "10", "11", "12", "13", "14"]
    assert not [note for note in told if "s3cret" in note]


def test_a_file_of_constraints(tmp_path: Path) -> None:
    found = draft(tmp_path, "constraints.txt", "numpy<2\n")
    assert [item.text for item in found.pypi_constraints] == ["numpy<2"]
    assert found.pypi == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("numpy =>1\n", "requirements.txt:1:1: 'numpy =>1' is not a requirement"),
        ("\n\n-r lost.txt\n", "lost.txt: the file cannot be read"),
        ("a==1\nA==2\n", "a is asked for twice: a==1 and A==2"),
        ("-i https://me:s3cret@index.example.com\n", "the URL of an index carries a credential"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(EnvlockError) as caught:
        draft(tmp_path, FILE, text)
    assert said in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert caught.value.exit_code == 2
