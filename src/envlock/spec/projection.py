"""What a spec asks of one platform, in one canonical form.

The lock carries this projection and its hash (``Lock.input``).  Comments, the order of
lists that have no order, and the URLs of indexes do not count: a change of those leaves a
lock fresh.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from envlock.spec.model import Accepts, Asked, Check, Clobber, Conda, Override, Spec

VERSION = 1
"""Version of the projection; part of what is hashed."""


def project(spec: Spec, platform: str) -> dict[str, Any]:
    """Return the projection of ``spec`` for one of its platforms; plain JSON values."""
    target = next(target for target in spec.targets if target.name == platform)
    projection: dict[str, Any] = {
        "projection": VERSION,
        "name": spec.name,
        "description": spec.description,
        "python": spec.python,
        "platform": _filled(
            name=target.name,
            cuda=target.cuda,
            glibc=target.glibc,
            linux=target.linux,
            archspec=target.archspec,
        ),
        "exclude-newer": spec.exclude_newer and spec.exclude_newer.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "indexes": {index.name: list(index.packages) for index in spec.indexes},
        "indexes-undated": [index.name for index in spec.indexes if index.undated],
        "index-order": [index.name for index in spec.indexes],
        "pypi": _filled(
            dependencies=_texts(spec.pypi.dependencies),
            constraints=_texts(spec.pypi.constraints),
            exclude=list(spec.pypi.exclude),
            clobbers=_clobbers(spec.pypi.clobbers),
        ),
        "overrides": [_override(item) for item in _sorted(spec.overrides)],
        "accepts": _patterns(spec.accepts),
        "require-attestations": {name: dict(who) for name, who in spec.attestations.items()},
        "image": _image(spec),
        "checks": _checks(spec.checks),
    }
    if spec.debian is not None:
        projection["debian"] = _filled(
            suite=spec.debian.suite,
            packages=list(spec.debian.packages),
            exclude=list(spec.debian.exclude),
            alternatives=dict(spec.debian.alternatives),
        )
    if spec.conda is not None:
        projection["conda"] = _conda(spec.conda)
    return {key: value for key, value in projection.items() if value not in (None, "", [], {})}


def _conda(conda: Conda) -> dict[str, Any]:
    """Return the section; channels keep their order, which decides, and no URL."""
    section = _filled(
        channels=[channel.name for channel in conda.channels],
        dependencies=sorted(asked.spec for asked in conda.dependencies),
        constraints=sorted(asked.spec for asked in conda.constraints),
        map=dict(conda.map),
    )
    scripts = {"link-scripts": dict(conda.link_scripts)} if conda.link_scripts else {}
    settled = _filled(clobbers=_clobbers(conda.clobbers))
    priority = {} if conda.priority == "strict" else {"channel-priority": conda.priority}
    return {**section, **scripts, **settled, **priority}


def _clobbers(clobbers: Iterable[Clobber]) -> list[dict[str, str]]:
    """Return entries in their order, of which the first that fits a path holds."""
    return [{"path": one.path, "keep": one.keep, "because": one.because} for one in clobbers]


def _filled(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value not in (None, "", [], {})}


def _texts(asked: Iterable[Asked]) -> list[str]:
    return sorted(str(item.requirement) for item in asked)


def _patterns(accepts: Iterable[Accepts]) -> list[str]:
    return sorted(item.pattern for item in accepts)


def _checks(checks: Iterable[Check]) -> list[dict[str, object]]:
    return [check.plain() for check in checks]


def _sorted(overrides: Iterable[Override]) -> list[Override]:
    return sorted(overrides, key=lambda override: (override.package, override.kind))


def _override(override: Override) -> dict[str, Any]:
    against = {name: str(pin) for name, pin in override.against.items()}
    section = _filled(
        package=override.package,
        version=f"=={override.version}",
        against={**override.claims, **against},
        because=override.because,
        adds=_texts(override.adds) or sorted(asked.spec for asked in override.conda_adds),
        accepts=_patterns(override.accepts),
        until=str(override.until) if override.until else override.conda_until,
        checks=_checks(override.checks),
    )
    return section if override.kind == "pypi" else {**section, "from": override.kind}


def _image(spec: Spec) -> dict[str, Any]:
    image = spec.image
    return _filled(
        base=image.base.reference if image.base else None,
        env=dict(image.env),
        user=image.user,
        workdir=image.workdir,
        command=list(image.command),
        entrypoint=list(image.entrypoint),
        labels=dict(image.labels),
        precompile=image.precompile or None,
        layers=_filled(**{"budget": image.budget, "max-size": image.max_size}),
    )
