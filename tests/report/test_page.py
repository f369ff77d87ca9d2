"""The page of a report: what it says, that nothing escapes from it, and that all can read it."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import resources
from itertools import pairwise, product

import pytest

from envlock.lock.model import LockedOverride

from ..lock.locks import conda, wheel
from .pages import DEMO, EVIL, PATTERN, PROOF, Seen, hostile, page


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def test_it_shows_the_override_as_a_card() -> None:
    text = page(proof=PROOF)
    words = _plain(text[text.index("<article") : text.index("</article>")])
    assert "triton 2.3.1" in words
    assert "torch 2.6.0 requires triton==3.2.0" in words
    assert "because triton.ops is gone" in words
    assert "setuptools&lt;81" in words
    assert PATTERN in words
    assert "breaks-call torch._inductor needs triton.backends" in words
    assert "passed version 2.3.1" in words
    assert "failed import triton.ops" in words
    assert "fails, accepted run python3 -c &#39;x y&#39;" in words
    whole = _plain(text)
    assert "not run gpu torch-cuda (no GPU here)" in whole
    assert "As envlock 0.1 saw it on 2026-01-02, on Tesla X, driver 550.1." in whole


def test_files_that_give_way_are_told_with_the_reason() -> None:
    entry = {"path": "lib/**", "keep": "torch", "because": "numpy's <tests> are strays"}
    paths = (("lib/tests/a.py", "torch"), ("lib/tests/b.py", "torch"))
    lock = replace(
        DEMO,
        spec={**DEMO.spec, "pypi": {"clobbers": [{**entry, "keep": "triton"}, entry]}},
        artifacts=tuple(
            replace(one, clobbered=paths) if one.name == "numpy" else one for one in DEMO.artifacts
        ),
    )
    text = page(lock)
    section = text[text.index('<section id="settled"') :]
    words = _plain(section[: section.index("</section>")])
    assert "torch&rsquo;s, not numpy&rsquo;s: numpy&#39;s &lt;tests&gt; are strays" in words
    assert "lib/tests/a.py lib/tests/b.py" in words
    assert "settled" not in page()


def test_results_of_something_else_are_told() -> None:
    old = replace(PROOF, image=f"sha256:{'9' * 64}")
    assert "These results are about something else" in page(proof=old)
    assert "These results are about something else" not in page(proof=PROOF)
    assert "No result is recorded beside the lock" in page()
    assert "not recorded" in _plain(page())


def test_files_and_layers_that_other_environments_have() -> None:
    other = replace(DEMO, name="b", artifacts=DEMO.artifacts[:3], overrides=())
    seen = page(others=(other,))
    rows = dict(re.findall(r'<tr id="([^"]+)">(.*?)</tr>', seen, re.DOTALL))
    assert '<td data-label="also in">b</td>' in rows["pypi-numpy"]
    assert '<td data-label="also in"></td>' in rows["pypi-torch"]
    layers = re.search(r'<section id="layers".*?</section>', seen, re.DOTALL)
    assert layers is not None
    assert re.findall(r'<td data-label="the same in">(.*?)</td>', layers[0]) == ["b", ""]


def test_requirements_are_drawn_with_the_voided_one_marked() -> None:
    text = page()
    (edge,) = re.findall(r'<path class="edge voided".*?</path>', text)
    assert "torch requires triton==3.2.0; voided by the override of triton" in edge
    assert 'class="line"' in text
    plain = page(replace(DEMO, overrides=(), spec={**DEMO.spec, "overrides": []}))
    assert 'class="edge voided"' not in plain
    assert "<article" not in plain


def test_differences_to_another_lock() -> None:
    older = tuple(a for a in DEMO.artifacts if a.name not in {"triton", "numpy"})
    old = replace(DEMO, artifacts=(*older, wheel("triton", "2.0"), wheel("gone")), overrides=())
    old = replace(old, spec={**DEMO.spec, "python": "3.12"})
    text = page(against=("b", old))
    section = text[text.index('<section id="changes"') :]
    words = _plain(section[: section.index("</section>")])
    assert "Changes against b" in words
    assert "triton wheel 2.0 2.3.1" in words
    assert "numpy wheel — 1.0" in words
    assert "gone wheel 1.0 —" in words
    assert "- python: 3.12 + python: 3.11" in words
    assert "triton 2.3.1: new" in words
    assert "No difference." in page(against=("a", DEMO))


def test_nothing_hostile_leaves_its_place() -> None:
    text = page(hostile(), others=(replace(hostile(), name=EVIL),), against=(EVIL, DEMO))
    seen = Seen(text)
    assert not seen.named("script")
    assert not seen.named("img")
    assert not {tag for tag, _ in seen.tags} & {"iframe", "object", "embed", "link", "base"}
    assert "\u202e" not in text
    assert "\x07" not in text
    assert "{{ 7 * 7 }}" in text
    assert "alert(1)" in "".join(seen.words)
    assert not [key for _, attributes in seen.tags for key in attributes if key.startswith("on")]


def test_nothing_comes_from_anywhere_else() -> None:
    text = page(proof=PROOF)
    seen = Seen(text)
    assert not seen.values("src")
    assert all(link.startswith("#") for link in seen.values("href"))
    assert "@import" not in text
    assert not re.findall(r"url\((?!#)", text)
    assert "default-src 'none'" in text


def test_it_can_be_heard_and_walked_through() -> None:
    lock = replace(DEMO, artifacts=(conda("zlib"), *DEMO.artifacts))
    text = page(lock, proof=PROOF, against=("b", replace(DEMO, artifacts=DEMO.artifacts[:3])))
    seen = Seen(text)
    ids = seen.values("id")
    assert len(ids) == len(set(ids))
    wanted = {link[1:] for link in seen.values("href")} | set(seen.values("aria-labelledby"))
    assert wanted <= set(ids)
    assert [len(seen.named(tag)) for tag in ("header", "main", "footer", "h1")] == [1, 1, 1, 1]
    assert seen.named("html") == [{"lang": "en"}]
    assert all("aria-label" in nav for nav in seen.named("nav"))
    assert all("aria-labelledby" in section for section in seen.named("section"))
    assert all(head.get("scope") in {"row", "col"} for head in seen.named("th"))
    assert len(seen.named("caption")) == len(seen.named("table"))
    assert all(svg["role"] == "img" and svg["aria-labelledby"] for svg in seen.named("svg"))
    scrolling = [a for _, a in seen.tags if a.get("class") == "scroll"]
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in scrolling)
    levels = [int(tag[1]) for tag, _ in seen.tags if re.fullmatch(r"h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_two_packages_of_one_name_have_places_of_their_own() -> None:
    lock = replace(DEMO, artifacts=(conda("numpy"), *DEMO.artifacts))
    ids = Seen(page(lock)).values("id")
    assert {"conda-numpy", "pypi-numpy"} <= set(ids)


def test_an_override_without_a_lock_entry_is_still_shown() -> None:
    lock = replace(DEMO, overrides=(LockedOverride(package="other", version="1", voids=()),))
    assert "torch requires" in _plain(page(lock))


def _colours() -> list[dict[str, str]]:
    """Return the colours of the light and of the dark page, by name."""
    style = (resources.files("envlock.report") / "templates" / "style.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    light, dark, *_ = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", one)) for one in blocks]
    assert light.keys() == dark.keys()
    return [light, dark]


def _luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    bright, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("colours", _colours(), ids=["light", "dark"])
def test_contrast(colours: dict[str, str]) -> None:
    texts = ("ink", "soft", "accent", "good", "bad", "known", "quiet")
    pairs = [*product(texts, ("paper", "card")), *product(["on"], ("wheel", "conda", "debian"))]
    pairs += [("ink", "mark-soft"), ("paper", "ink")]
    for one, other in pairs:
        assert _contrast(colours[one], colours[other]) >= 4.5, (one, other)
    for one, other in [("mark", "paper"), ("mark", "card"), ("mark", "wheel"), ("edge", "card")]:
        assert _contrast(colours[one], colours[other]) >= 3, (one, other)
