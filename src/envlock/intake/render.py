"""A draft as the text of ``envs/<name>.yaml``."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from envlock.intake.draft import Draft, Forced, Item
    from envlock.intake.settle import Settled

_WIDTH = 96


def render(name: str, draft: Draft, settled: Settled, sources: Sequence[str]) -> str:
    """Return the spec's text; sources: the names of the files that it was made of."""
    origin = f" from {', '.join(sources)}" if sources else ""
    blocks = [
        [f"# Begun by envlock init{origin}; next: envlock solve {name}"],
        [
            "version: 1",
            f"name: {scalar(name)}",
            "platforms:                       # what packages may count on; no machine is asked",
            *(
                f"  {platform}: {_platform(draft, settled)}"
                for platform in draft.platforms or ["linux-64"]
            ),
            f'python: "{settled.python}"',
        ],
        _indexes(draft),
        [
            "debian:                          # the OS layer",
            f"  suite: {settled.suite}",
            *_listed("packages", settled.packages),
        ],
        _conda(draft),
        _pypi(draft),
        [line for one in draft.forced for line in _override(one)],
        _image(draft),
        _checks(draft),
    ]
    if draft.forced:
        blocks[-3].insert(0, "overrides:")
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def scalar(text: str) -> str:
    """Return a text as a plain scalar where YAML reads it back as that, else in quotes."""
    plain = re.fullmatch(r"[A-Za-z0-9_][^:#\x00-\x1f\"'{}\\]*", text) and not text.endswith(" ")
    if plain and len(text) < 500 and _reads_as(text):
        return text
    return json.dumps(text, ensure_ascii=False)


def _reads_as(text: str) -> bool:
    try:
        return bool(yaml.safe_load(f"- {text}") == [text])
    except yaml.YAMLError:
        return False


def _platform(draft: Draft, settled: Settled) -> str:
    cuda = f'cuda: "{draft.cuda}", ' if draft.cuda else ""
    return f'{{{cuda}glibc: "{settled.glibc}"}}'


def _indexes(draft: Draft) -> list[str]:
    if not draft.indexes:
        return []
    lines = ["indexes:                         # asked before the default one, in this order"]
    for name, url in draft.indexes.items():
        packages = list(dict.fromkeys(draft.index_packages.get(name, ())))
        if packages:
            listed = f"packages: [{', '.join(packages)}]"
            lines.append(f"  {name}: {{url: {json.dumps(url)}, {listed}}}")
        else:
            lines.append(f"  {name}: {json.dumps(url)}")
    return lines


def _override(one: Forced) -> list[str]:
    pins = ", ".join(f"{name}: {json.dumps(said)}" for name, said in one.against.items())
    because = one.because or f"{one.where} forces it"
    return [
        f"  - package: {one.package}",
        f'    version: "=={one.version}"',
        f"    against: {{{pins}}}",
        f"    because: {scalar(because)}"
        + ("" if one.because else "   # say what needs this version"),
        "    checks:",
        f"      - version: {json.dumps(one.version)}",
    ]


def _image(draft: Draft) -> list[str]:
    command = draft.command or ([] if draft.entrypoint else ["python3"])
    return [
        "image:",
        *_mapping("env", draft.env),
        f"  user: {draft.user or 'nonroot'}",
        f"  workdir: {scalar(draft.workdir or '/app')}",
        *([f"  entrypoint: {_flow(draft.entrypoint)}"] if draft.entrypoint else []),
        *([f"  command: {_flow(command)}"] if command else []),
        *_mapping("labels", draft.labels),
    ]


def _checks(draft: Draft) -> list[str]:
    if not draft.checks:
        return [
            "# checks:                        # what must work in the image",
            "#   - import: numpy",
        ]
    return [
        "checks:                          # what must work in the image",
        *(
            f"  - import: {scalar(one)}" if isinstance(one, str) else f"  - run: {_flow(one)}"
            for one in draft.checks
        ),
    ]


def _flow(words: Sequence[str]) -> str:
    """Return a list in brackets; a word is plain where YAML reads it back so in brackets, too."""
    return f"[{', '.join(_word(word) for word in words)}]"


def _word(text: str) -> str:
    plain = re.fullmatch(r"[A-Za-z0-9_./-]+", text) and text[0] != "-" and _reads_as(text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def _conda(draft: Draft) -> list[str]:
    if not draft.conda and not draft.conda_constraints:
        return []
    channels = [
        scalar(name) if url is None else f"{{name: {scalar(name)}, url: {json.dumps(url)}}}"
        for name, url in draft.channels.items()
    ]
    return [
        "conda:",
        f"  channels: [{', '.join(channels)}]   # in order of priority",
        *_items("dependencies", draft.conda),
        *_items("constraints", draft.conda_constraints),
    ]


def _pypi(draft: Draft) -> list[str]:
    if not draft.pypi and not draft.pypi_constraints and draft.conda:
        return []
    return [
        "pypi:",
        *(
            _items("dependencies", draft.pypi)
            or ['  dependencies: []               # what you need: [numpy, "torch>=2.6"]']
        ),
        *_items("constraints", draft.pypi_constraints),
        *([f"  exclude: {_flow(list(dict.fromkeys(draft.exclude)))}"] if draft.exclude else []),
    ]


def _items(key: str, items: Iterable[Item]) -> list[str]:
    lines = [f"    - {scalar(item.text)}" for item in items]
    return [f"  {key}:", *lines] if lines else []


def _listed(key: str, values: Sequence[str]) -> list[str]:
    line = f"  {key}: [{', '.join(values)}]"
    return [line] if len(line) <= _WIDTH else [f"  {key}:", *(f"    - {v}" for v in values)]


def _mapping(key: str, values: Mapping[str, str]) -> list[str]:
    lines = [f"    {scalar(name)}: {json.dumps(value)}" for name, value in values.items()]
    return [f"  {key}:", *lines] if lines else []
