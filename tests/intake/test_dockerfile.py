"""``init --from Dockerfile``: the pip and apt lines of a recipe as a spec."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from envlock.errors import EnvlockError
from envlock.intake.docker_syntax import instructions, substitute
from envlock.intake.shell_lines import commands, pip_call

from .drafting import asked, draft, notes, spec_of

if TYPE_CHECKING:
    from ..makers.index import Index
    from ..makers.machine import Machine

FILE = "Dockerfile"
ROOT = Path(__file__).resolve().parents[2]
RECIPE = r"""
# syntax=docker/dockerfile:1
ARG CUDA=12.4.1
FROM nvidia/cuda:${CUDA}-cudnn-runtime-ubuntu22.04 AS base
ENV DEBIAN_FRONTEND=noninteractive OMP_NUM_THREADS="4" HF_TOKEN=abc PATH=/x:$PATH
RUN apt-get update && apt-get install -y -t stable --no-install-recommends \
      python3.11 python3-pip gcc \
      # for Triton
      libc6-dev git=1:2.34 \
    && rm -rf /var/lib/apt/lists/*
FROM base
WORKDIR /srv
WORKDIR app
COPY requirements.txt constraints.txt /srv/
COPY app /srv/app
RUN --mount=type=cache,target=/root/.cache python3 -m pip install --upgrade pip && \
    pip install --index-url https://download.example.com/whl/cu124 "torch<2.7,>=2.6" torchvision
RUN pip3 install --ignore-installed blinker --constraint constraints.txt -r requirements.txt
# bitsandbytes imports triton.ops,
# which is gone
RUN pip install --no-cache-dir --force-reinstall 'triton==2.3.1'
RUN python3 -c "import triton; assert 1 > 0" && python -c "import triton.ops" && make all 2>&1
EXPOSE 8000
USER app:app
LABEL org.example.team="ml ops"
ENTRYPOINT ["python", "-m", "app"]
CMD serve --port 8000
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "requirements.txt").write_text("bitsandbytes==0.45.0\ntransformers\n")
    (tmp_path / "constraints.txt").write_text("numpy<2\ntriton<3\n")
    return tmp_path


def test_a_recipe_becomes_a_spec(folder: Path) -> None:
    found = draft(folder, FILE, RECIPE)
    (forced,) = found.forced
    assert (forced.package, forced.version) == ("triton", "2.3.1")
    assert forced.because == "bitsandbytes imports triton.ops, which is gone"
    assert str(forced.where).startswith("Dockerfile:21:")
    found.forced.clear()  # whose pin it is against is asked of an index, below
    spec = spec_of(found)
    assert asked(spec)[1] == [
        "torch<2.7,>=2.6",
        "torchvision",
        "blinker",
        "bitsandbytes==0.45.0",
        "transformers",
    ]
    assert [str(one.requirement) for one in spec.pypi.constraints] == ["numpy<2"]
    (index,) = spec.indexes
    assert (index.name, index.url) == ("example-cu124", "https://download.example.com/whl/cu124")
    assert index.packages == ("torch", "torchvision")
    assert spec.python == "3.11"
    assert spec.targets[0].cuda == "12.4"
    assert spec.debian is not None
    assert {"gcc", "libc6-dev", "git"} < set(spec.debian.packages)
    assert "python3-pip" not in spec.debian.packages
    assert spec.image.env == {"OMP_NUM_THREADS": "4"}
    assert (spec.image.user, spec.image.workdir) == ("nonroot", "/srv/app")
    assert spec.image.entrypoint == ("python3", "-m", "app")
    assert spec.image.command == ("serve", "--port", "8000")
    assert spec.image.labels == {"org.example.team": "ml ops"}
    assert [one.plain() for one in spec.checks] == [
        {"run": ["python3", "-c", "import triton; assert 1 > 0"]},
        {"import": "triton.ops"},
    ]


def test_what_is_not_carried_over_is_told_with_its_line(folder: Path) -> None:
    found = notes(draft(folder, FILE, RECIPE))
    assert not [note for note in found if "abc" in note]
    told = [(int(n.split(":")[1]), n.split(": ", 1)[1]) for n in found if n.startswith(FILE)]
    line, text = told.pop(0)
    assert (line, text[:40]) == (4, "cuda: 12.4 is taken from nvidia/cuda:12.")
    assert told == [
        (5, "DEBIAN_FRONTEND: it is for the build, or the image has its own"),
        (5, "HF_TOKEN: give it to the container when it starts"),
        (5, "PATH: it is for the build, or the image has its own"),
        (9, "git=1:2.34: the version is left to the lock"),
        (15, "COPY app /srv/app: files of your own: mount them, or build FROM the image"),
        (17, "the index is called example-cu124, and has torch, torchvision"),
        (22, "left out: make all"),
        (23, "EXPOSE 8000: ports are the container's: say them where it is started"),
        (24, "the image has no user app: it runs as nonroot (65532)"),
    ]
    assert "constraints.txt:2:1: triton<3 gives way: triton is forced" in found


def test_the_docs_tell_what_is_told(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "from-dockerfile.md").read_text()
    blocks = [block.partition("\n")[2] for block in page.split("```")[1::2]]
    (tmp_path / "requirements.txt").write_text(blocks[1])
    (tmp_path / "constraints.txt").write_text(blocks[2])
    found = draft(tmp_path, FILE, blocks[0])
    assert [line.strip() for line in blocks[3].splitlines()[1:-1]] == notes(found)
    (forced,) = found.forced
    (written,) = yaml.safe_load(blocks[4])["overrides"]
    assert (written["package"], written["because"]) == (forced.package, forced.because)
    assert written["version"] == f"=={forced.version}"
    spec = spec_of(replace(found, forced=[]))
    assert yaml.safe_load(blocks[5])["checks"] == [one.plain() for one in spec.checks]


def test_a_forced_version_becomes_an_override(machine: Machine, index: Index) -> None:
    (machine.project / "envs").rmdir()  # it begins with this
    index.wheel("torch", "2.6.0", ['triton==3.2.0; python_version >= "3"', "numpy"])
    index.wheel("numpy", "2.0")
    for version in ("2.3.1", "3.2.0"):
        index.wheel("triton", version)
    (machine.project / FILE).write_text(
        "FROM python:3.11-slim\nRUN pip install 'torch>=2.6,<3'\n"
        "RUN pip install --force-reinstall triton==2.3.1 numpy==2.0\n"
    )
    done = machine.run("init", "web", "--from", FILE)
    assert done.returncode == 0, done.stderr
    assert "numpy==2.0 is forced, but nobody's pin is against it: no override" in done.stderr
    value = yaml.safe_load((machine.project / "envs" / "web.yaml").read_text())
    assert value["pypi"]["dependencies"][0] == "torch>=2.6,<3"
    assert value["overrides"] == [
        {
            "package": "triton",
            "version": "==2.3.1",
            "against": {"torch": "triton==3.2.0"},
            "because": "Dockerfile:3:35 forces it",
            "checks": [{"version": "2.3.1"}],
        }
    ]
    assert value["pypi"]["dependencies"][1:] == ["numpy==2.0"]
    spec = machine.project / "envs" / "web.yaml"
    spec.write_text(re.sub(r"packages: \[.*", "packages: [python3.11-minimal]", spec.read_text()))
    done = machine.run("solve", "web")
    assert "voids torch 2.6.0 -> triton==3.2.0" in done.stderr


def test_without_an_index_the_solve_says_whose_pin_it_is(machine: Machine, index: Index) -> None:
    index.wheel("torch", "2.6.0", ["triton==3.2.0"])
    for version in ("2.3.1", "3.2.0"):
        index.wheel("triton", version)
    (machine.project / FILE).write_text(
        "FROM python:3.11\nRUN pip install torch\nRUN pip install --no-deps triton==2.3.1\n"
    )
    done = machine.run("init", "web", "--from", FILE, "--offline")
    assert done.returncode == 0, done.stderr
    assert "Dockerfile:3:27: triton==2.3.1 is forced, and whose pin is against it" in done.stderr
    value = yaml.safe_load((machine.project / "envs" / "web.yaml").read_text())
    assert value["pypi"] == {"dependencies": ["torch"], "constraints": ["triton==2.3.1"]}
    done = machine.run("solve", "web")
    assert done.returncode == 1
    assert 'against: {torch: "triton==3.2.0"}' in done.stderr


def test_stages(tmp_path: Path) -> None:
    found = draft(
        tmp_path,
        FILE,
        """\
FROM python:3.13-slim AS builder
RUN apt-get install -y gcc
RUN pip install numpy
FROM node:22 AS site
RUN apt-get install -y nodejs
FROM python:3.13-slim
COPY --from=builder /opt/venv /opt/venv
RUN <<END
pip install flask
apt-get install -y curl
END
""",
    )
    spec = spec_of(found)
    assert asked(spec)[1] == ["numpy", "flask"]
    assert spec.debian is not None
    assert spec.debian.suite == "trixie"
    assert {"curl", "gcc", "nodejs"} & set(spec.debian.packages) == {"curl"}
    assert "Dockerfile:4:1: the stage site is left out" in notes(found)


@pytest.mark.parametrize("line", ["cat <<<END", "echo $((1<<END))", "x=1<<END"])
def test_what_only_looks_like_a_here_document(tmp_path: Path, line: str) -> None:
    """It would take the rest of the file for its text."""
    found = draft(tmp_path, FILE, f"FROM python:3.11\nRUN {line}\nRUN pip install flask\n")
    assert asked(spec_of(found))[1] == ["flask"]


@pytest.mark.parametrize("installed", ["/wheels/*", "--no-index /wheels/*.whl"])
def test_wheels_that_a_stage_makes_for_the_next(tmp_path: Path, installed: str) -> None:
    (tmp_path / "requirements.txt").write_text("flask==3.0.3\nnumpy\n")
    found = draft(
        tmp_path,
        FILE,
        f"""\
FROM python:3.13-slim AS builder
COPY requirements.txt .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /app/wheels -r requirements.txt gunicorn==23.0
RUN pip download -d /app/wheels wheel celery
FROM python:3.13-slim
COPY --from=builder /app/wheels /wheels
RUN pip install --no-cache {installed} && rm -rf /wheels
""",
    )
    assert asked(spec_of(found))[1] == ["gunicorn==23.0", "flask==3.0.3", "numpy", "celery"]
    assert "wheels" not in "".join(notes(found))
    assert not found.forced


def test_wheels_of_unknown_origin_are_told(tmp_path: Path) -> None:
    found = draft(tmp_path, FILE, "FROM python:3.13\nRUN pip install /wheels/*\n")
    assert "Dockerfile:2:17: /wheels/*: it is no name of a package" in notes(found)


def test_what_pip_is_only_asked_about(tmp_path: Path) -> None:
    text = "FROM python:3.11\nRUN pip show wheel && pip -q freeze && uv pip list download\n"
    assert not draft(tmp_path, FILE, text).pypi


def test_installers_of_a_stage_that_is_copied_from(tmp_path: Path) -> None:
    text = """\
FROM python:3.11 AS builder
RUN pip install poetry && poetry install && make all
FROM python:3.11
COPY --from=builder /app /app
RUN poetry --version
"""
    found = draft(tmp_path, FILE, text)
    told = [note for note in notes(found) if "poetry" in note or "make" in note]
    assert [note.partition(": ")[0] for note in told] == [
        "Dockerfile:2:17", "Dockerfile:2:17", "Dockerfile:5:5"
    ]  # fmt: skip
    assert told[2].endswith("left out: poetry --version")
    assert not found.pypi


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("RUN pip install torch>=2.6", "torch>=2.6 stands without quotes: the shell takes"),
        ("RUN pip install -e .", "-e .: it is no name of a package"),
        ("RUN pip install git+https://a:s3cret@example.com/x", "https://****@example.com/x"),
        ("RUN pip install -r lost.txt", "lost.txt is not beside the Dockerfile"),
        ("RUN pip install $EXTRA", "$EXTRA: the value of the variable is not known"),
        ("RUN pip install -i https://a:s3cret@example.com/simple x", "a credential or a variable"),
        ("RUN pip install -i https://example.com/simple x", "the default index is the machine's"),
        ("RUN pip uninstall -y torchaudio", "torchaudio is uninstalled, and so is under"),
        ("RUN pip install a==1\nRUN pip install a==2", "a==2 takes the place of a==1"),
        ('RUN echo "open', "RUN is not understood: no closing quotation"),
        ("HEALTHCHECK CMD true", "HEALTHCHECK CMD true: it is the container's"),
        ("WHAT now", "WHAT is not known here"),
        ("CMD run && stop", "CMD: it needs a shell, so the image gets dash"),
        ("WORKDIR $WHERE", "WORKDIR: the value of $WHERE is not known"),
        ("RUN conda env update", "left out: conda env update: name its environment.yml with"),
        ("RUN pip install poetry==1.8 x", "poetry: it only installs others"),
        (
            "RUN poetry install --no-root",
            "poetry install --no-root: name its pyproject.toml",
        ),
        ("RUN python -m pipenv sync", "left out: python -m pipenv sync: have pipenv write"),
        ("RUN /bin/uv sync --frozen", "left out: /bin/uv sync --frozen: name its uv.lock with"),
        ("RUN micromamba -y install x", "name its environment.yml with --from, too, or write"),
    ],
)
def test_notes(tmp_path: Path, line: str, said: str) -> None:
    found = draft(tmp_path, FILE, f"FROM python:3.11\n{line}\n")
    spec_of(found)
    (note,) = [note for note in notes(found) if said in note]
    assert note.startswith(f"Dockerfile:{1 + len(line.splitlines())}:")
    assert "s3cret" not in "".join(notes(found))


@pytest.mark.parametrize(
    ("base", "python", "cuda", "said"),
    [
        ("python:3.13.1-slim-bookworm", "3.13", None, ""),
        ("python:3.11-alpine", "3.11", None, "has musl"),
        ("python:latest", "3.11", None, "says no version of Python"),
        ("docker.example.com:5000/library/debian:trixie-slim", "3.13", None, ""),
        ("debian:sid", "3.11", None, "only bookworm and trixie"),
        ("ubuntu:22.04", "3.11", None, "Debian takes its place"),
        ("pytorch/pytorch:2.6.0-cuda12.4-cudnn9-runtime", "3.11", "12.4", "torch 2.6.0 is in"),
        ("nvidia/cuda:latest", "3.11", None, "says no version of CUDA"),
        ("continuumio/miniconda3", "3.11", None, "--from environment.yml"),
        ("registry.example.com/team/base:1", "3.11", None, "brings is not known"),
        ("scratch", "3.11", None, ""),
    ],
)
def test_bases(tmp_path: Path, base: str, python: str, cuda: str | None, said: str) -> None:
    found = draft(tmp_path, FILE, f"FROM {base}\nUSER root\n")
    spec = spec_of(found)
    assert (spec.python, spec.targets[0].cuda) == (python, cuda)
    assert spec.image.user == "root"
    assert said in "".join(notes(found))
    if not said:
        assert [one for one in notes(found) if not one.startswith("python: ")] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [("RUN true\n", "it has no FROM"), ("FROM a\nRUN pip install 'a b'\n", "is not a requirement")],
)
def test_what_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(EnvlockError, match=re.escape(said)) as caught:
        draft(tmp_path, FILE, text)
    assert caught.value.exit_code == 2


def test_pip_is_called_in_many_ways() -> None:
    for line in (
        "pip install a",
        "sudo -H pip3.11 install -U a",
        "PIP_NO_CACHE_DIR=1 python3.11 -m pip --no-cache-dir install --timeout 5 a",
        "/opt/venv/bin/pip install --only-binary=:all: a > /dev/null 2>&1",
        "uv pip install --system a",
    ):
        (command,) = commands(line)
        call = pip_call(command)
        assert call is not None, line
        assert call.requirements == ["a"], line


def test_variables_and_escapes() -> None:
    assert substitute(r"${A:-b} $C \$D ${C:+x}", {"C": "c"}) == ("b c $D x", None)
    assert substitute("$E", {}) == ("$E", "E")
    (one,) = instructions("# escape=`\nRUN a `\n  # why\n  b\n", FILE)
    assert one.text.split() == ["a", "b"]
    assert str(one.at("b")) == "Dockerfile:4:3"


@given(st.text(st.sampled_from("RUNFOM pip install'\"\\\n#<>&|;$={}()[]a1-."), max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    found = list(instructions(f"FROM a\n{text}", FILE))
    assert found[0].keyword == "FROM"
    for one in found:
        try:
            list(map(pip_call, commands(one.text)))
        except ValueError as error:
            assert "quotation" in str(error) or "escaped" in str(error)  # noqa: PT017
