"""Conda packages in the audit: what is read of them, and who owns which distribution."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING

import pytest

from envlock.audit import Audit, Finding, Target, audit_lock, audit_wheels, index_wheel
from envlock.audit.index.model import Distribution
from envlock.audit.obtain import Looked, Means, indexes_of, known_keys, unknown_of
from envlock.errors import ArtifactError
from envlock.fetch.artifacts import Fetcher
from envlock.fetch.http import Http
from envlock.fetch.store import Store
from envlock.lock.model import Artifact, CondaRecord, Lock
from envlock.progress import SILENT

from ..makers.conda import Content, Link, distribution, make_conda
from .making import make_wheel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SITE = "lib/python3.12/site-packages"
TARGET = Target(python="3.12")


def noarch(
    folder: Path,
    name: str,
    files: dict[str, str | bytes],
    *,
    depends: Sequence[str] = ("python",),
    requires: Sequence[str] = (),
    version: str = "1.0",
    suffix: str = ".conda",
) -> Path:
    """Make a noarch Python package that brings the distribution of its name."""
    content = distribution(name, version, files=files, requires=requires)
    return make_conda(
        folder, name, version, noarch="python", depends=depends, files=content, suffix=suffix
    )


def audited(*paths: Path) -> Audit:
    return audit_wheels(paths, TARGET, jobs=1)


def texts(audit: Audit, *severities: str) -> list[str]:
    return [f.text for f in audit.findings if f.severity in severities]


@pytest.mark.parametrize("suffix", [".conda", ".tar.bz2"])
def test_a_platform_package(tmp_path: Path, suffix: str) -> None:
    files = distribution(
        "Fast-Lib",
        "1.0",
        requires=["other>=1"],
        extras=["x"],
        site=SITE,
        files={"fast_lib/__init__.py": "import other\n", "fast_lib/_c.abi3.so": b"ELF"},
    )
    files |= {
        f"{SITE}/Fast_Lib-1.0.dist-info/entry_points.txt": "[console_scripts]\nf = fast_lib:f\n",
        f"{SITE}/space/part.pyi": "",
        f"{SITE}/fast.pth": "import fast_lib\n",
        "lib/libfast.so": b"ELF",
        "bin/fast.py": "import nothing\n",
    }
    path = make_conda(
        tmp_path, "fast-lib", "1.0", depends=["python >=3.12", "main::other-py 1.*"],
        files=files, suffix=suffix,
    )  # fmt: skip
    index = index_wheel(path)
    assert {name: entry["kind"] for name, entry in index.modules.items()} == {
        "fast_lib": "pkg",
        "fast_lib._c": "so",
    }
    assert (index.name, index.version, index.package) == ("fast-lib", "1.0", "fast-lib")
    assert index.depends == ("other-py", "python")
    assert index.distributions == (
        Distribution(
            name="Fast-Lib",
            version="1.0",
            requires=("other>=1",),
            extras=("x",),
            modules=("fast_lib", "fast_lib._c"),
            entry_points=("2 console_scripts: f = fast_lib:f",),
        ),
    )
    assert index.namespaces == ("space",)
    assert index.pth == ("fast_lib",)
    assert index.entry_points == ()


@pytest.mark.parametrize("suffix", [".conda", ".tar.bz2"])
def test_a_noarch_package(tmp_path: Path, suffix: str) -> None:
    files: dict[str, Content] = {
        **distribution("tool", "1.0", files={"tool/__init__.py": ""}),
        f"{SITE}/elsewhere.py": "",
        "python-scripts/tool.py": "import nothing\n",
    }
    path = make_conda(
        tmp_path, "tool", "1.0", noarch="python", files=files, entry_points=["t = tool:main"],
        suffix=suffix,
    )  # fmt: skip
    index = index_wheel(path)
    assert list(index.modules) == ["tool"]
    assert index.entry_points == ("0 console_scripts: t = tool:main",)


def test_python_itself_is_the_target(tmp_path: Path) -> None:
    path = make_conda(
        tmp_path, "python", "3.12.1",
        files={"lib/python3.12/os.py": "", f"{SITE}/README.py": "import nothing\n"},
    )  # fmt: skip
    audit = audited(path)
    assert audit == Audit(findings=())


def test_an_egg(tmp_path: Path) -> None:
    folder = f"{SITE}/old_egg-2.0-py3.12.egg-info"
    path = make_conda(
        tmp_path, "old-egg", "2.0", depends=["python"],
        files={
            f"{folder}/PKG-INFO": "Metadata-Version: 1.0\nName: old-egg\nVersion: 2.0\n",
            f"{folder}/requires.txt": (
                'one>=1\n\n[:python_version < "3"]\ntwo\n\n[x:os_name == "nt"]\nthree\n'
            ),
            f"{SITE}/old_egg.py": "",
        },
    )  # fmt: skip
    (one,) = index_wheel(path).distributions
    assert (one.name, one.version, one.modules) == ("old-egg", "2.0", ())
    assert one.requires == (
        "one>=1",
        'two ; (python_version < "3")',
        'three ; (os_name == "nt") and extra == "x"',
    )
    assert audited(path).importable == {"old-egg": (1, 1)}


def test_links_lead_to_sources(tmp_path: Path) -> None:
    path = make_conda(
        tmp_path, "linked", "1.0", depends=["python"],
        files={
            f"{SITE}/real.py": "import nothing\n",
            f"{SITE}/same.py": Link("real.py"),
            f"{SITE}/lost.py": Link("../../../bin/nowhere"),
            f"{SITE}/round.py": Link("round.py"),
        },
    )  # fmt: skip
    index = index_wheel(path)
    assert index.modules["same"]["body"] == index.modules["real"]["body"]
    assert [index.modules[name]["kind"] for name in ("lost", "round")] == ["skip", "skip"]
    assert [note.partition(":")[0] for note in index.notes] == ["lost.py", "round.py"]


def test_one_package_with_several_distributions(tmp_path: Path) -> None:
    path = make_conda(
        tmp_path, "both", "3.0", depends=["python"],
        files={
            **distribution("one", "1.0", site=SITE, files={"one.py": "", "space/one.py": ""}),
            **distribution("two", "2.0", site=SITE, files={"two.py": "", "space/two.py": ""}),
            f"{SITE}/loose.py": "",
        },
    )  # fmt: skip
    assert audited(path).importable == {"both": (1, 1), "one": (2, 2), "two": (2, 2)}
    wheel = make_wheel(tmp_path, "one", {"one.py": "", "more.py": ""}, version="9")
    app = make_wheel(tmp_path, "app", {"app.py": "import more, space.two, loose, space.one\n"})
    found = audited(path, wheel, app)
    assert found.importable == {"app": (1, 0), "both": (1, 1), "one": (2, 2), "two": (2, 2)}
    assert texts(found, "breaks-import") == ["app needs space.one"]


def test_a_wheel_hides_the_copy_of_a_conda_package(tmp_path: Path) -> None:
    lib = noarch(tmp_path, "lib", {"lib/__init__.py": "old = 1\n", "lib/gone.py": ""})
    app = noarch(tmp_path, "app", {"app.py": "import lib.gone\nfrom lib import new\n"},
                 depends=["python", "lib"])  # fmt: skip
    assert texts(audited(lib, app), "breaks-import") == ["app needs lib.new"]
    wheel = make_wheel(tmp_path, "lib", {"lib/__init__.py": "new = 1\n"}, version="2.0")
    (finding,) = audited(lib, app, wheel).of("breaks-import")
    assert (finding.text, finding.needs.provider) == ("app needs lib.gone", "lib")


def test_programs(tmp_path: Path) -> None:
    """conda makes programs of link.json; the distribution may tell the same, once is enough."""
    files = distribution("tool", "1.0", files={"tool.py": ""})
    path = make_conda(tmp_path, "tool", "1.0", noarch="python", files=files,
                      entry_points=["t = tool:main"])  # fmt: skip
    assert texts(audited(path), "breaks-call") == ["console_scripts.t needs tool.main"]
    files["site-packages/tool-1.0.dist-info/entry_points.txt"] = "[console_scripts]\nt=tool:main\n"
    both = make_conda(tmp_path, "tool", "1.0", noarch="python", files=files,
                      entry_points=["t = tool:main"])  # fmt: skip
    assert texts(audited(both), "breaks-call") == ["console_scripts.t needs tool.main"]
    wheel = make_wheel(tmp_path, "tool", {"tool.py": ""}, version="2.0")
    assert not texts(audited(both, wheel), "breaks-call")


def test_files_that_no_record_lists_stay_beside_the_wheel(tmp_path: Path) -> None:
    files = {
        **distribution("lib", "1.0", files={"lib/__init__.py": ""}),
        "site-packages/loose.py": "",
    }
    path = make_conda(tmp_path, "lib", "1.0", noarch="python", files=files)
    wheel = make_wheel(tmp_path, "lib", {"lib/__init__.py": ""}, version="2.0")
    app = make_wheel(tmp_path, "app", {"app.py": "import loose, lib\n"}, requires=["lib"])
    assert audited(path).importable == {"lib": (2, 2)}
    assert audited(path, wheel, app).importable == {
        "app": (1, 1),
        "lib": (1, 1),
        "lib-conda": (1, 1),
    }


def test_declared_by_depends_or_by_metadata(tmp_path: Path) -> None:
    """Conda's name of a package stands for the distributions that it brings."""
    lib = make_conda(
        tmp_path, "py-lib", "1.0", depends=["python"],
        files=distribution("Real.Lib", "1.0", site=SITE, files={"lib.py": ""}),
    )  # fmt: skip
    meta = make_conda(tmp_path, "everything", "1.0", noarch="generic", depends=["py-lib >=1"])
    code: dict[str, str | bytes] = {"app.py": "import lib\n"}

    def undeclared(depends: Sequence[str], requires: Sequence[str]) -> list[Finding]:
        app = noarch(tmp_path, "app", code, depends=depends, requires=requires)
        return [f for f in audited(lib, meta, app).findings if f.severity == "undeclared"]

    (finding,) = undeclared(["python"], [])
    assert (finding.who.distribution, finding.add) == ("app", "real-lib")
    assert not undeclared(["python", "py-lib 1.*"], [])
    assert not undeclared(["python", "main::everything"], [])
    assert not undeclared(["python"], ["real.lib>=1"])


def test_hostile_packages_are_left_out_with_a_note(tmp_path: Path) -> None:
    good = noarch(tmp_path, "good", {"good.py": "", "bad.py": "(" * 3000})
    torn = tmp_path / "torn-1.0-h0_0.conda"
    torn.write_bytes(good.read_bytes()[:-200])
    renamed = tmp_path / "renamed-1.0-h0_0.conda"
    noarch(tmp_path, "other", {"other.py": ""}).rename(renamed)
    odd = make_conda(tmp_path, "odd", "1.0", info={"index.json": "[1]"})
    here = f"{sys.version_info.major}.{sys.version_info.minor}"  # whose grammar counts
    audit = audit_wheels([good, torn, renamed, odd], Target(python=here), jobs=1)
    assert audit.importable == {"good": (2, 1)}
    notes = "\n".join(audit.notes)
    assert "torn-1.0-h0_0.conda: " in notes
    assert "renamed-1.0-h0_0.conda: the package has no member" in notes
    assert "odd-1.0-h0_0.conda: info/index.json does not tell which package this is" in notes
    assert "good: bad.py: not understood as Python" in notes
    with pytest.raises(ArtifactError, match="does not tell which package this is"):
        index_wheel(odd)


def artifact(path: Path, *provides: tuple[str, str], depends: Sequence[str] = ()) -> Artifact:
    """Return a noarch package as a lock has it."""
    import hashlib

    name, version, build = path.name.removesuffix(".conda").rsplit("-", 2)
    return Artifact(
        kind="conda",
        name=name,
        version=version,
        source="main",
        file=path.name,
        path=f"noarch/{path.name}",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        size=path.stat().st_size,
        depends=tuple(depends),
        conda=CondaRecord(
            build=build, build_number=0, subdir="noarch", noarch="python", provides=provides
        ),
    )


def means(root: Path, *, offline: bool = False) -> Means:
    http = Http(offline=offline)
    return Means(
        fetcher=Fetcher(Store(root / "cache"), http),
        http=http,
        locate=lambda one: [(root / one.path).as_uri()],
        cache=root / "cache" / "audit",
    )


def look(root: Path, *artifacts: Artifact, offline: bool = False) -> Looked:
    return indexes_of(artifacts, means(root, offline=offline), SILENT)


def test_fetched_whole_and_indexed_once(tmp_path: Path) -> None:
    one = artifact(noarch(tmp_path, "one", {"one.py": ""}), ("one", "1.0"))
    assert look(tmp_path, one, offline=True).unread == ("one 1.0",)
    assert unknown_of([one], tmp_path / "cache" / "audit") == (one,)
    assert known_keys([one], means(tmp_path)) is None
    looked = look(tmp_path, one)
    assert looked.moved == one.size
    assert Store(tmp_path / "cache").get(one.sha256, one.size)
    assert known_keys([one], means(tmp_path)) == tuple(looked.keys.values())
    (tmp_path / one.path).unlink()
    Store(tmp_path / "cache").path(one.sha256).unlink()
    again = look(tmp_path, one, offline=True)
    assert again.indexes == looked.indexes
    assert (again.unread, again.moved) == ((), 0)


def test_what_the_lock_says_counts(tmp_path: Path) -> None:
    """Repodata may be mended after the build; the same file is another package then."""
    path = make_conda(tmp_path, "silent", "1.0", noarch="python",
                      files={"site-packages/silent.py": ""})  # fmt: skip
    plain = artifact(path, depends=["python"])
    named = artifact(path, ("loud", "1.0"), depends=["python", "other"])
    first, second = look(tmp_path, plain), look(tmp_path, named)
    assert first.keys != second.keys
    assert second.indexes[named.sha256].depends == ("other", "python")
    assert [one.name for one in second.indexes[named.sha256].distributions] == ["loud"]


def test_packages_without_code_are_not_fetched(tmp_path: Path) -> None:
    path = make_conda(tmp_path, "zlib", "1.0", noarch="python")
    record = CondaRecord(build="h0_0", build_number=0, subdir="linux-64")
    native = dataclasses.replace(artifact(path, depends=["libc"]), conda=record)
    python = dataclasses.replace(artifact(path), name="python")
    for one in (native, python):
        looked = look(tmp_path / "nowhere", one, offline=True)
        assert (looked.unread, looked.moved) == ((), 0)
        assert not looked.indexes[one.sha256].modules


def test_a_lock(tmp_path: Path) -> None:
    lib = noarch(tmp_path, "lib", {"lib.py": ""})
    app = noarch(tmp_path, "app", {"app.py": "import lib\nfrom lib import gone\n"})
    artifacts = (
        artifact(app, ("app", "1.0"), depends=["python", "lib"]),
        artifact(lib, ("lib", "1.0"), depends=["python"]),
    )
    lock = Lock(name="one", platform="linux-64", spec={"python": "3.12"}, artifacts=artifacts)
    stored = {}
    for one, path in zip(artifacts, (app, lib), strict=True):  # a store's files have no names
        stored[one.sha256] = path.rename(tmp_path / one.sha256)
    cache = tmp_path / "cache"
    first = audit_lock(lock, stored, cache=cache, jobs=1)
    assert texts(first, "breaks-import") == ["app needs lib.gone"]
    assert not first.notes
    assert audit_lock(lock, {}, cache=cache) == first
