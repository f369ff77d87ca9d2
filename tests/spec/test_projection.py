"""What counts as a change of a spec and what does not."""

from __future__ import annotations

import pytest

from envlock.lock.check import differences
from envlock.lock.model import Lock
from envlock.spec.projection import project

from .specs import FULL, read


def _hash(text: str, platform: str = "linux-64") -> str:
    spec = project(read(text), platform)
    return Lock(name="a", platform=platform, spec=spec, artifacts=()).input


SAME = {
    "a comment": ("suite: bookworm", "suite: bookworm  # the OS"),
    "order of dependencies": ("[torch>=2.6, numpy]", "[numpy, torch>=2.6]"),
    "how a requirement is written": ("[torch>=2.6, numpy]", "[torch >= 2.6, numpy]"),
    "order of Debian packages": ("[python3.11-minimal, gcc]", "[gcc, python3.11-minimal]"),
    "order of an index's packages": ("[inner, outer]", "[outer, Inner]"),
    "where an index is": ("one.example.com", "mirror.example.org"),
    "order of variables": ("{LANG: C.UTF-8, A: b}", "{A: b, LANG: C.UTF-8}"),
    "order of labels": ("{k: v, l: w}", "{l: w, k: v}"),
    "order of what is accepted": (
        "[one needs thing, other needs thing]",
        "[other needs thing, one needs thing]",
    ),
    "order of what is added": ("[setuptools<81, wheel]", "[wheel, setuptools<81]"),
    "how the moment is written": ("2025-10-12T00:00:00Z", "2025-10-12T02:00:00+02:00"),
    "order of dependents": (
        '{torch: "triton==3.2.0", other: "triton>=3"}',
        '{other: "triton>=3", torch: "triton==3.2.0"}',
    ),
    "another platform": (
        'linux-aarch64: {glibc: "2.36"}',
        'linux-aarch64: {glibc: "2.41"}',
    ),
    "no compiled modules, said": (
        "  layers: {budget: 40}",
        "  layers: {budget: 40}\n  precompile: false",
    ),
    "spaces around a reason": ("because: the other needs it", "because: '  the other needs it '"),
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME.keys())
def test_does_not_count(change: tuple[str, str]) -> None:
    text = FULL.replace(*change)
    assert text != FULL
    assert _hash(text) == _hash(FULL)


COUNTS = {
    "name": ("name: a", "name: b", ["- name: a", "+ name: b"]),
    "description": ("What it is for", "Other", None),
    "cuda": ('cuda: "12.4", ', "", ["- platform.cuda: 12.4"]),
    "glibc": ('cuda: "12.4", glibc: "2.36"', 'cuda: "12.4", glibc: "2.35"', None),
    "python": ('python: "3.11"', 'python: "3.12"', ["- python: 3.11", "+ python: 3.12"]),
    "exclude-newer": ("2025-10-12T00", "2025-10-13T00", None),
    "name of an index": ("first:", "other:", None),
    "order of indexes": (
        (
            "  first: https://one.example.com/simple\n"
            "  second: {url: https://two.example.com/simple, packages: [inner, outer]}\n"
        ),
        (
            "  second: {url: https://two.example.com/simple, packages: [inner, outer]}\n"
            "  first: https://one.example.com/simple\n"
        ),
        ["~ index-order: the order changed"],
    ),
    "an index without times": (
        "packages: [inner, outer]",
        "packages: [inner, outer], exclude-newer: false",
        ["+ indexes-undated: second"],
    ),
    "packages of an index": ("[inner, outer]", "[inner]", ["- indexes.second: outer"]),
    "suite": ("suite: bookworm", "suite: trixie", None),
    "Debian package": (
        "[python3.11-minimal, gcc]",
        "[python3.11-minimal]",
        ["- debian.packages: gcc"],
    ),
    "Debian exclude": ("exclude: [adduser]", "exclude: [passwd]", None),
    "alternative": (
        "{/usr/bin/cc: /usr/bin/gcc}",
        "{/usr/bin/cc: /usr/bin/tcc}",
        [
            "- debian.alternatives./usr/bin/cc: /usr/bin/gcc",
            "+ debian.alternatives./usr/bin/cc: /usr/bin/tcc",
        ],
    ),
    "dependency": (
        "[torch>=2.6, numpy]",
        "[torch>=2.7, numpy]",
        ["- pypi.dependencies: torch>=2.6", "+ pypi.dependencies: torch>=2.7"],
    ),
    "constraint": ("[sympy<2]", "[]", ["- pypi.constraints: sympy<2"]),
    "exclude": ("[nvidia-nccl]", "[nvidia-nccl, x]", ["+ pypi.exclude: x"]),
    "override's version": ('"==2.3.1"', '"==2.3.0"', None),
    "override's dependent": (
        ', other: "triton>=3"',
        "",
        ["- overrides.triton.against.other: triton>=3"],
    ),
    "override's pin": ("triton==3.2.0", "triton==3.2.1", None),
    "override's reason": ("the other needs it", "because", None),
    "override's adds": ("setuptools<81, wheel", "setuptools<81", None),
    "override's accepts": ("one needs thing, other needs thing", "one needs thing", None),
    "override's until": ("other>=2", "other>=3", None),
    "override's checks": ("import: triton.ops", "import: triton", None),
    "variable": ("LANG: C.UTF-8", "LANG: C", None),
    "user": ("user: nonroot", "user: root", None),
    "workdir": ("/app", "/srv", None),
    "command": ("[python3, -V]\n  entry", "[-V, python3]\n  entry", None),
    "entrypoint": ("[/usr/bin/env]", "[/bin/env]", None),
    "label": ("k: v", "k: z", None),
    "layers": ("budget: 40", "budget: 41", None),
    "largest layer": (
        "budget: 40",
        "budget: 40, max-size: 9.5GB",
        ["+ image.layers.max-size: 9500000000"],
    ),
    "compiled modules": (
        "  layers: {budget: 40}",
        "  layers: {budget: 40}\n  precompile: true",
        ["+ image.precompile: True"],
    ),
    "check": ("import: torch\n", "import: numpy\n", None),
    "order of checks": (
        "  - import: torch\n  - run: [python3, -V]\n",
        "  - run: [python3, -V]\n  - import: torch\n",
        None,
    ),
    "gpu check": ("gpu: [python3", "run: [python3", None),
}


@pytest.mark.parametrize("change", COUNTS.values(), ids=COUNTS.keys())
def test_counts(change: tuple[str, str, list[str] | None]) -> None:
    old, new, lines = change
    text = FULL.replace(old, new)
    assert text != FULL
    assert _hash(text) != _hash(FULL)
    lock = Lock(name="a", platform="linux-64", spec=project(read(FULL), "linux-64"), artifacts=())
    found = differences(project(read(text), "linux-64"), lock)
    print(found)
    assert found
    assert lines is None or found == lines


def test_each_platform_has_its_own() -> None:
    assert _hash(FULL, "linux-64") != _hash(FULL, "linux-aarch64")


def test_no_host_is_in_it() -> None:
    assert "example.com" not in str(project(read(FULL), "linux-64"))
