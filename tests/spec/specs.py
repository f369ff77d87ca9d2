"""Specs as text, and reading them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.spec.document import parse_document
from envlock.spec.parse import parse_spec

if TYPE_CHECKING:
    from envlock.spec.model import Spec

SHOWN = "envs/a.yaml"

HEAD = """\
version: 1
name: a
platforms:
  linux-64: {glibc: "2.36"}
python: "3.11"
"""
"""The smallest spec; what a test adds begins in line 6."""

FULL = """\
version: 1
name: a
description: What it is for
platforms:
  linux-64: {cuda: "12.4", glibc: "2.36"}
  linux-aarch64: {glibc: "2.36"}
python: "3.11"
exclude-newer: 2025-10-12T00:00:00Z
indexes:
  first: https://one.example.com/simple
  second: {url: https://two.example.com/simple, packages: [inner, outer]}
debian:
  suite: bookworm
  packages: [python3.11-minimal, gcc]
  exclude: [adduser]
  alternatives: {/usr/bin/cc: /usr/bin/gcc}
pypi:
  dependencies: [torch>=2.6, numpy]
  constraints: [sympy<2]
  exclude: [nvidia-nccl]
overrides:
  - package: triton
    version: "==2.3.1"
    against: {torch: "triton==3.2.0", other: "triton>=3"}
    because: the other needs it
    adds: [setuptools<81, wheel]
    accepts: [one needs thing, other needs thing]
    until: other>=2
    checks:
      - version: 2.3.1
      - import: triton.ops
image:
  env: {LANG: C.UTF-8, A: b}
  user: nonroot
  workdir: /app
  command: [python3, -V]
  entrypoint: [/usr/bin/env]
  labels: {k: v, l: w}
  layers: {budget: 40}
checks:
  - import: torch
  - run: [python3, -V]
  - gpu: [python3, -c, "1"]
"""


def read(text: str) -> Spec:
    return parse_spec(parse_document(text, SHOWN), SHOWN)
