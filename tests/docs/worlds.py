"""What the made-up index has for the pages whose commands are run: name, version, requirements."""

from __future__ import annotations

SERVICE = (
    ("web", "2.1", ("tiny>=1.2",)),
    ("numbers-lib", "1.4", ()),
    ("tiny", "1.0", ()),
    ("tiny", "1.3", ()),
)

WORLDS: dict[str, tuple[tuple[str, str, tuple[str, ...]], ...]] = {
    "docs/how-to/from-dockerfile.md": (
        ("torch", "2.6.0", ("triton==3.2.0",)),
        ("torchvision", "0.21.0", ("torch==2.6.0",)),
        ("triton", "3.2.0", ()),
        ("triton", "2.3.1", ()),
        ("bitsandbytes", "0.45.0", ("torch",)),
        ("transformers", "4.57.0", ()),
        ("setuptools", "80.9.0", ()),
        ("blinker", "1.9.0", ()),
    ),
    "docs/how-to/cache.md": (),
    "docs/how-to/from-conda-lock.md": (),
    "docs/how-to/from-pixi.md": (),
    "docs/how-to/from-uv.md": SERVICE,
    "docs/how-to/from-requirements.md": (),
    "docs/how-to/report.md": (),
    "docs/how-to/team.md": (),
}
