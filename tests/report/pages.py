"""Pages to look at, from locks made in code; and what their HTML says."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

from envlock.lock.model import (
    AcceptedBreakage,
    AuditSection,
    Lock,
    LockedOverride,
    VoidedRequirement,
)
from envlock.lock.proof import Proof, ProofGpu, ProvenCheck
from envlock.report import Subject, gather, render

from ..lock.locks import LOCK, SPEC, conda, deb, wheel

PATTERN = "torch._inductor needs triton.backends"
OVERRIDE = {
    "package": "triton",
    "version": "==2.3.1",
    "against": {"torch": "triton==3.2.0"},
    "because": "triton.ops is gone",
    "adds": ["setuptools<81"],
    "accepts": [PATTERN, "torch-compile fails"],
    "until": "torch>=3",
    "checks": [{"version": "2.3.1"}, {"import": "triton.ops"}, {"run": ["python3", "-c", "x y"]}],
}
DEMO = replace(
    LOCK,
    spec={**SPEC, "description": "What it is for", "overrides": [OVERRIDE],
          "checks": [{"gpu": "torch-cuda"}]},
    audit=AuditSection(
        accepted=(
            AcceptedBreakage(
                override="triton",
                pattern=PATTERN,
                findings=("breaks-call torch._inductor needs triton.backends",),
            ),
        )
    ),
)  # fmt: skip
PROOF = Proof(
    name="a",
    platform="linux-64",
    image=f"sha256:{'1' * 64}",
    input=DEMO.input,
    date="2026-01-02",
    envlock="0.1",
    gpu=ProofGpu(names=("Tesla X",), driver="550.1", cuda="12.4"),
    checks=(
        ProvenCheck(kind="version", subject="version is 2.3.1", status="passed", override="triton"),
        ProvenCheck(kind="import", subject="import triton.ops", status="failed", override="triton"),
        ProvenCheck(kind="run", subject="python3 -c 'x y'", status="accepted", override="triton"),
        ProvenCheck(kind="gpu", subject="torch-cuda", status="not-run", reason="no GPU here"),
    ),
)
EVIL = '"><script>alert(1)</script><img src=//example.com/x>\u202e\x07{{ 7 * 7 }}'


def hostile() -> Lock:
    """Return a lock in which every text tries to leave its place."""
    bad = wheel("numpy", EVIL, source=EVIL, clobbered=((EVIL, EVIL),))
    clobbers = {"clobbers": [{"path": "**", "keep": EVIL, "because": EVIL}]}
    override = {**OVERRIDE, "because": EVIL, "accepts": [EVIL], "checks": [{"import": EVIL}],
                "until": EVIL, "adds": [], "against": {"torch": EVIL}}  # fmt: skip
    void = VoidedRequirement(dependent=EVIL, version=EVIL, requirement="triton==3.2.0")
    return replace(
        DEMO,
        spec={**DEMO.spec, "description": EVIL, "overrides": [override], "pypi": clobbers},
        artifacts=(conda(EVIL, EVIL), deb("gcc", EVIL), bad, *DEMO.artifacts[3:]),
        overrides=(LockedOverride(package="triton", version=EVIL, voids=(void,)),),
        audit=AuditSection(
            accepted=(AcceptedBreakage(override="triton", pattern=EVIL, findings=(EVIL,)),)
        ),
    )


def page(lock: Lock = DEMO, **more: object) -> str:
    return render(gather(Subject(lock=lock, **more)))  # type: ignore[arg-type]


@dataclass
class Seen(HTMLParser):
    """The elements and texts of a page."""

    text: str
    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def values(self, attribute: str) -> list[str]:
        return [found[attribute] for _, found in self.tags if attribute in found]
