"""The conda solve: match specs, channels, virtual packages, what is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from envlock.channels import ChannelAccess
from envlock.errors import SpecError, UnsatisfiableError
from envlock.lock.codec import dump_lock, parse_lock
from envlock.lock.linking import scripts_to_run, undone

from ..makers.conda import Program, index_channel, make_conda
from .solving import HEAD, CondaSolver, conda

if TYPE_CHECKING:
    from pathlib import Path

    from ..makers.conda import Content
    from ..makers.index import Index

CUDA = HEAD.replace('glibc: "2.36"', 'glibc: "2.36", cuda: "12.4"')


def _section(*dependencies: str, channels: str = "[main]", more: str = "") -> str:
    listed = ", ".join(f'"{item}"' for item in dependencies)
    return f"conda:\n  channels: {channels}\n  dependencies: [{listed}]\n{more}"


def test_a_lock_of_conda_packages(solver: CondaSolver) -> None:
    lock = solver(_section("scipy", "pandas"))
    assert conda(lock) == {
        "numpy": "2.0.0",
        "pandas": "2.2.0",
        "python": "3.12.1",
        "scipy": "1.14.0",
    }
    numpy, pandas, *_ = lock.of_kind("conda")
    assert numpy.path == "linux-64/numpy-2.0.0-py312_0.conda"
    assert numpy.source == "main"
    assert numpy.depends == ("python >=3.12,<3.13.0a0", "__glibc >=2.17")
    assert numpy.conda is not None
    assert numpy.conda.provides == (("numpy", "2.0.0"),)
    assert numpy.conda.license == "BSD-3-Clause"
    assert pandas.conda is not None
    assert (pandas.conda.noarch, pandas.conda.subdir) == ("python", "noarch")
    assert pandas.file.endswith(".tar.bz2")
    text = dump_lock(lock)
    assert parse_lock(text, "lock") == lock
    assert "://" not in text
    assert str(solver.root) not in text


@pytest.mark.parametrize(
    ("spec", "version"),
    [
        ("numpy", "2.0.0"),
        ("numpy 1.26.4", "1.26.4"),
        ("numpy=1.26", "1.26.4"),
        ("numpy==1.24.4", "1.24.4"),
        ("numpy>=1.25,<2", "1.26.4"),
        ("numpy 1.24.*|1.26.*", "1.26.4"),
        ("numpy=1.26.*=py312*", "1.26.4"),
        ("numpy[version='<2', build='py312_0']", "1.26.4"),
        ("main::numpy", "2.0.0"),
        ("main::numpy<1.25", "1.24.4"),
        ("NumPy", "2.0.0"),
    ],
)
def test_match_specs_as_conda_users_write_them(
    solver: CondaSolver, spec: str, version: str
) -> None:
    assert conda(solver(_section(spec)))["numpy"] == version


def test_the_folder_of_a_channel(tmp_path: Path, index: Index) -> None:
    make_conda(tmp_path / "main", "tool", "1.0")
    make_conda(tmp_path / "main", "tool", "2.0", noarch="generic")
    access = {"main": ChannelAccess(urls=(index_channel(tmp_path / "main"),))}
    solve = CondaSolver(tmp_path / "solver", index, access)
    for asked in ("main/noarch::tool", "tool[subdir=noarch]"):
        assert conda(solve(_section(asked))) == {"tool": "2.0"}
    assert conda(solve(_section("main/linux-64::tool=1"))) == {"tool": "1.0"}
    for asked, hint in (
        ("main/linux-64::tool", "only there: tool=1.0=h0_0"),
        ("tool[subdir=linux-64]", "only there: tool=1.0=h0_0"),
        ("main/win-64::tool", "packages of win-64 are not for linux-64"),
    ):
        with pytest.raises(UnsatisfiableError, match=r"tool 2\.0, is from main/noarch") as caught:
            solve(_section(asked))
        assert hint in (caught.value.hint or "")
        assert caught.value.where == "envs/one.yaml:8:18"


def test_odd_names_and_versions(solver: CondaSolver) -> None:
    lock = solver(_section("_odd", "numpy"))
    assert conda(lock)["_odd"] == "1!2.0"
    assert conda(lock)["numpy"] == "1.26.4"  # _odd constrains it
    assert parse_lock(dump_lock(lock), "lock") == lock


def test_constraints(solver: CondaSolver) -> None:
    lock = solver(_section("scipy", more='  constraints: ["numpy<2", "accel=1"]\n'))
    assert conda(lock)["numpy"] == "1.26.4"
    assert "accel" not in conda(lock)


class TestVirtualPackages:
    def test_the_spec_decides_and_not_the_host(self, solver: CondaSolver) -> None:
        builds = {}
        for head in (HEAD, CUDA):
            (accel,) = solver(_section("accel"), head=head).of_kind("conda")
            assert accel.conda is not None
            builds[head] = accel.conda.build
        assert builds == {HEAD: "cpu_0", CUDA: "cuda_0"}

    @pytest.mark.parametrize(("cuda", "says"), [("11.8", "has cuda 11.8"), (None, "has no cuda")])
    def test_too_old_or_absent(self, solver: CondaSolver, cuda: str | None, says: str) -> None:
        head = HEAD.replace('glibc: "2.36"', f'glibc: "2.36", cuda: "{cuda}"') if cuda else HEAD
        with pytest.raises(UnsatisfiableError) as caught:
            solver(_section("bare", "needs-accel"), head=head)
        error = caught.value
        assert error.message == (f"accel 2.4.0 wants __cuda >=12.4, and platforms.linux-64 {says}")
        assert error.where == "envs/one.yaml:8:26"
        assert error.hint is not None
        assert "cuda" in error.hint

    @pytest.mark.parametrize(
        ("wanted", "says", "hint"),
        [
            ("__linux >=6", "has linux 5.10", "raise linux"),
            ("__archspec * x86_64_v3", "has archspec x86_64", "set archspec"),
            ("__osx", "has no __osx", "ask for another build"),
        ],
    )
    def test_those_that_every_platform_has(
        self, tmp_path: Path, index: Index, wanted: str, says: str, hint: str
    ) -> None:
        make_conda(tmp_path / "main", "picky", "1.0", depends=[wanted])
        access = {"main": ChannelAccess(urls=(index_channel(tmp_path / "main"),))}
        with pytest.raises(UnsatisfiableError) as caught:
            CondaSolver(tmp_path / "solver", index, access)(_section("picky"))
        assert caught.value.message == f"picky 1.0 wants {wanted}, and platforms.linux-64 {says}"
        assert (caught.value.hint or "").startswith(hint)

    def test_a_constraint_on_one(self, solver: CondaSolver) -> None:
        assert conda(solver(_section("accel-version"))) == {"accel-version": "12.4"}
        assert "accel-version" in conda(solver(_section("accel-version"), head=CUDA))
        with pytest.raises(UnsatisfiableError) as caught:
            solver(_section("accel-version"), head=CUDA.replace("12.4", "11.8"))
        assert caught.value.message == (
            "accel-version 12.4 wants __cuda >=12, and platforms.linux-64 has cuda 11.8"
        )

    def test_linux_and_archspec(self, solver: CondaSolver) -> None:
        lock = solver(
            _section("bare"),
            head=HEAD.replace(
                'glibc: "2.36"', 'glibc: "2.36", linux: "6.1", archspec: "x86_64_v3"'
            ),
        )
        assert lock.spec["platform"]["linux"] == "6.1"


class TestChannels:
    def test_the_first_channel_has_a_package_alone(self, solver: CondaSolver) -> None:
        both = "[main, other]"
        assert conda(solver(_section("only-here", channels=both)))["numpy"] == "2.0.0"
        turned = solver(_section("only-here", channels="[other, main]"))
        assert conda(turned)["numpy"] == "9.0"
        assert {a.name: a.source for a in turned.of_kind("conda")}["python"] == "main"
        free = solver(_section("only-here", channels=both, more="  channel-priority: disabled\n"))
        assert conda(free)["numpy"] == "9.0"

    def test_a_channel_by_name(self, solver: CondaSolver) -> None:
        lock = solver(_section("other::numpy", channels="[main, other]"))
        assert conda(lock)["numpy"] == "9.0"

    def test_a_channel_of_the_spec(self, solver: CondaSolver) -> None:
        url = solver.access.pop("main").urls[0]
        lock = solver(_section("numpy", channels=f'[{{name: main, url: "{url}/"}}]'))
        assert conda(lock)["numpy"] == "2.0.0"
        assert lock.spec["conda"]["channels"] == ["main"]


class TestPython:
    def test_the_spec_decides(self, solver: CondaSolver) -> None:
        head = HEAD.replace("3.12", "3.11")
        assert conda(solver(_section("fancy"), head=head))["python"] == "3.11.9"

    def test_both_must_agree(self, solver: CondaSolver) -> None:
        with pytest.raises(SpecError, match="and conda brings python 3"):
            solver(_section("bare", "python=3.11"))


class TestFailures:
    def test_no_such_package(self, solver: CondaSolver) -> None:
        with pytest.raises(UnsatisfiableError) as caught:
            solver(_section("numpy", "nothing-like-it >=3", channels="[main, other]"))
        assert caught.value.where == "envs/one.yaml:8:27"
        assert caught.value.message == (
            "no channel (main, other) has nothing-like-it >=3 for this platform"
        )

    @pytest.mark.parametrize(
        ("asked", "line", "hint"),
        [
            (
                "numpy 1.26",
                "  main has numpy 1.24.4, 1.26.4, 2.0.0",
                "for any 1.26.x write numpy=1.26.*",
            ),
            ("numpy>=3", "  other has numpy 9.0", "change one of the lines"),
            ("numpy=1.26=py312*", None, "for any 1.26.x write numpy=1.26.*=py312*"),
            ("numpy=2.*=py313*", "  main has numpy 2.0.0=py312_0", "change one of the lines"),
            ("nunpy", None, "did you mean numpy?"),
            ("requests", None, "stands under pypi.dependencies"),
        ],
    )
    def test_what_there_is_instead(
        self, solver: CondaSolver, asked: str, line: str | None, hint: str
    ) -> None:
        section = _section("bare", f"main::{asked}", channels="[main, other]")
        with pytest.raises(UnsatisfiableError) as caught:
            solver(section)
        assert caught.value.where == "envs/one.yaml:8:26"
        assert line is None or line in caught.value.details
        assert hint in (caught.value.hint or "")

    def test_what_a_dependency_finds_instead(self, tmp_path: Path, index: Index) -> None:
        make_conda(tmp_path / "main", "inner", "1.0")
        make_conda(tmp_path / "main", "outer", "1.0", depends=["inner >=3"])
        access = {"main": ChannelAccess(urls=(index_channel(tmp_path / "main"),))}
        with pytest.raises(UnsatisfiableError, match="outer cannot be had") as caught:
            CondaSolver(tmp_path / "solver", index, access)(_section("outer"))
        assert "  main has inner 1.0" in caught.value.details

    def test_only_for_another_platform(self, solver: CondaSolver) -> None:
        head = HEAD.replace("python:", '  linux-aarch64: {glibc: "2.36"}\npython:')
        with pytest.raises(UnsatisfiableError) as caught:
            solver(_section("scipy"), head=head, platform="linux-aarch64")
        assert caught.value.hint == "it is there for linux-64, and not for linux-aarch64"

    def test_a_constraint_that_cannot_hold(self, solver: CondaSolver) -> None:
        section = _section("numpy", more='  constraints: ["numpy>2,<1"]\n')
        with pytest.raises(UnsatisfiableError, match="numpy>2,<1 cannot be had") as caught:
            solver(section)
        assert caught.value.where == "envs/one.yaml:9:17"

    def test_all_is_too_new(self, solver: CondaSolver) -> None:
        head = HEAD + "exclude-newer: 2024-03-01T00:00:00Z\n"
        with pytest.raises(UnsatisfiableError) as caught:
            solver(_section("bare", "numpy"), head=head)
        assert caught.value.message in {
            f"all of {name} is newer than exclude-newer (2024-03-01T00:00:00Z)"
            for name in ("bare", "numpy")
        }

    def test_nothing_for_the_specs_python(self, solver: CondaSolver) -> None:
        with pytest.raises(UnsatisfiableError) as caught:
            solver(_section("numpy"), head=HEAD.replace("3.12", "3.10"))
        message = "numpy cannot be had for Python 3.10 together with the rest"
        assert caught.value.message == message
        assert "  main has python 3.11.9, 3.12.1" in caught.value.details
        assert 'python: is "3.10"' in (caught.value.hint or "")

    def test_many_versions(self, tmp_path: Path, index: Index) -> None:
        for number in range(12):
            make_conda(tmp_path / "main", "tool", f"1.{number}")
        access = {"main": ChannelAccess(urls=(index_channel(tmp_path / "main"),))}
        with pytest.raises(UnsatisfiableError) as caught:
            CondaSolver(tmp_path / "solver", index, access)(_section("tool>=2"))
        assert caught.value.details[0] == (
            "  main has tool 1.0, 1.1, 1.2, (4 more), 1.7, 1.8, 1.9, 1.10, 1.11"
        )

    def test_channels_are_named_and_not_their_places(self, solver: CondaSolver) -> None:
        with pytest.raises(UnsatisfiableError) as caught:
            solver(_section("numpy>=9", channels="[main, other]"), head=HEAD.replace("2.36", "2.5"))
        assert "file://" not in str(caught.value)

    def test_two_lines_that_contradict(self, solver: CondaSolver) -> None:
        with pytest.raises(UnsatisfiableError) as caught:
            solver(_section("bare", "numpy <1.25", "scipy"))
        assert caught.value.where is not None
        assert caught.value.where.startswith("envs/one.yaml:8:")
        text = "\n".join(caught.value.details)
        assert "numpy >=1.26,<3" in text

    def test_constrains(self, solver: CondaSolver) -> None:
        with pytest.raises(UnsatisfiableError, match="cannot be had together") as caught:
            solver(_section("old-numpy-please", "numpy=2"))
        assert "numpy" in "\n".join(caught.value.details)

    def test_nothing_is_asked_for(self, solver: CondaSolver) -> None:
        with pytest.raises(SpecError, match="asks for nothing"):
            solver(_section())


class TestKept:
    def test_versions_stay_until_they_are_upgraded(self, solver: CondaSolver) -> None:
        old = solver(_section("scipy", "pandas", more='  constraints: ["numpy<2"]\n'))
        body = _section("scipy", "pandas")
        assert conda(solver(body, previous=old))["numpy"] == "1.26.4"
        assert conda(solver(body, previous=old, upgrade=True))["numpy"] == "2.0.0"
        one = frozenset({"numpy"})
        assert conda(solver(body, previous=old, upgrade_packages=one))["numpy"] == "2.0.0"
        other = frozenset({"pandas"})
        assert conda(solver(body, previous=old, upgrade_packages=other))["numpy"] == "1.26.4"

    def test_what_does_not_fit_any_more_moves(self, solver: CondaSolver) -> None:
        old = solver(_section("numpy=1.24"))
        assert conda(solver(_section("numpy", "scipy"), previous=old))["numpy"] == "2.0.0"

    def test_the_same_lock_again(self, solver: CondaSolver) -> None:
        body = _section("scipy", "pandas", "accel")
        first = solver(body)
        assert dump_lock(solver(body, previous=first)) == dump_lock(first)
        assert dump_lock(solver(body)) == dump_lock(first)

    def test_a_channel_that_is_gone(self, solver: CondaSolver) -> None:
        old = solver(_section("numpy", channels="[other, main]"))
        assert conda(old)["numpy"] == "9.0"
        assert conda(solver(_section("numpy"), previous=old))["numpy"] == "2.0.0"


def test_another_platform(solver: CondaSolver) -> None:
    head = HEAD + '  linux-aarch64: {glibc: "2.36"}\n'
    head = HEAD.replace("python:", '  linux-aarch64: {glibc: "2.36"}\npython:')
    lock = solver(_section("numpy", "bare"), head=head, platform="linux-aarch64")
    assert {a.path for a in lock.of_kind("conda")} == {
        "linux-aarch64/numpy-2.0.0-py312_0.conda",
        "linux-aarch64/python-3.12.1-h0_0.conda",
        "noarch/bare-3.0-h0_0.conda",
    }
    assert parse_lock(dump_lock(lock), "lock") == lock


def test_flexible_priority_goes_on_where_the_first_channel_does_not_fit(
    tmp_path: Path, index: Index
) -> None:
    for channel, version in (("first", "1.0"), ("second", "2.0")):
        make_conda(tmp_path / channel, "both", version)
    access = {
        name: ChannelAccess(urls=(index_channel(tmp_path / name),)) for name in ("first", "second")
    }
    solve = CondaSolver(tmp_path / "solver", index, access)
    body = "conda:\n  channels: [first, second]\n  channel-priority: {}\n  dependencies: [{}]\n"
    wanted = {
        ("strict", "both"): "1.0",
        ("flexible", "both"): "1.0",
        ("disabled", "both"): "2.0",
        ("flexible", "both>=2"): "2.0",
        ("disabled", "both<2"): "1.0",
    }
    for (priority, asked), version in wanted.items():
        assert conda(solve(body.format(priority, f'"{asked}"'))) == {"both": version}, priority
    with pytest.raises(UnsatisfiableError) as caught:
        solve(body.format("strict", '"both>=2"'))
    assert caught.value.message == (
        "the channel first has no both>=2 that fits, and both 2.0 is from second, which comes "
        "after it"
    )
    assert caught.value.where == "envs/one.yaml:9:18"
    assert '"second::both>=2"' in (caught.value.hint or "")
    assert conda(solve(body.format("strict", '"second::both>=2"'))) == {"both": "2.0"}


@pytest.mark.parametrize("over_http", [True, False])
def test_link_scripts_are_in_the_lock(tmp_path: Path, index: Index, over_http: bool) -> None:
    folder = tmp_path / "main"
    files: dict[str, Content] = {
        "bin/.font-post-link.sh": Program("#!/bin/sh\nfc-cache\n"),
        "bin/.font-pre-unlink.sh": Program("#!/bin/sh\n"),
        "bin/.other-post-link.sh": Program("#!/bin/sh\n"),  # of no package here
        "share/.font-post-link.sh": "",
    }
    make_conda(folder, "font", "1.0", noarch="generic", files=files)
    make_conda(
        folder, "old-font", "1.0", suffix=".tar.bz2", files={"bin/.old-font-pre-link.sh": ""}
    )
    make_conda(folder, "plain", "1.0")
    url = index_channel(folder)
    index.folders["conda"] = tmp_path
    url = f"{index.base}/conda/main" if over_http else url
    solve = CondaSolver(tmp_path / "solver", index, {"main": ChannelAccess(urls=(url,))})
    lock = solve("conda:\n  channels: [main]\n  dependencies: [font, old-font, plain]\n")
    records = {a.name: a.conda for a in lock.of_kind("conda") if a.conda}
    found = {name: record.link_scripts for name, record in records.items()}
    assert found == {
        "font": ("bin/.font-post-link.sh", "bin/.font-pre-unlink.sh"),
        "old-font": ("bin/.old-font-pre-link.sh",),
        "plain": (),
    }
    assert {name: record.lacks for name, record in records.items()} == {
        "font": ("fc-cache",),
        "old-font": (),  # pre-link scripts are run by nobody any more
        "plain": (),
    }
    assert parse_lock(dump_lock(lock), "lock") == lock


def test_what_the_spec_says_of_link_scripts(tmp_path: Path, index: Index) -> None:
    folder = tmp_path / "main"
    script = Program('#!/bin/sh\n"$PREFIX/bin/dot" -c\n')
    make_conda(folder, "graphs", "1.0", files={"bin/.graphs-post-link.sh": script})
    make_conda(folder, "plain", "1.0")
    access = {"main": ChannelAccess(urls=(index_channel(folder),))}
    solve = CondaSolver(tmp_path / "solver", index, access)
    body = _section("graphs", "plain", more="  link-scripts: {{{}}}\n")
    for said, run, lacking in (
        ("", [], ["graphs"]),
        ("graphs: skip", [], []),
        ("graphs: run, gone: run", ["bin/.graphs-post-link.sh"], []),
    ):
        lock = solve(body.format(said))
        assert [script.path for script in scripts_to_run(lock)] == run
        assert [one.package for one in undone(lock)] == lacking
        assert parse_lock(dump_lock(lock), "lock") == lock
    with pytest.raises(SpecError, match=r"says run for plain 1\.0, which has no post-link script"):
        solve(body.format("plain: run"))
