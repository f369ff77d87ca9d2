"""What ``--help`` shows besides the options: a line about each command, and lines to copy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shown:
    """about: one line in the list of commands; examples: command lines."""

    about: str
    examples: tuple[str, ...]

    def epilog(self) -> str:
        """Return the text below the options; the mark at its head keeps lines as they are."""
        return "\n".join(["\b", "Examples:", *(f"  {line}" for line in self.examples)])


COMMANDS: dict[str, Shown] = {
    "init": Shown(
        "Begin a spec, also from other tools' files.",
        (
            "envlock init web",
            "envlock init bnb --from Dockerfile",
            "envlock init app --from requirements.txt constraints.txt",
        ),
    ),
    "solve": Shown(
        "Solve specs into locks, and judge what overrides break.",
        (
            "envlock solve web",
            "envlock solve web -P numpy",
            "envlock solve --check",
        ),
    ),
    "audit": Shown(
        "Tell which imports will not work, without installing.",
        (
            "envlock audit web",
            "envlock audit web --advise",
            "envlock audit --artifacts one.whl two.whl --python 3.12",
        ),
    ),
    "build": Shown(
        "Build locks into proven, reproducible OCI images.",
        (
            "envlock build web",
            "envlock build web --record",
            "envlock build --all",
            "envlock build web -o web.tar",
            "envlock build web --push registry.example.com/team/web:v1",
        ),
    ),
    "validate": Shown(
        "Run the checks of an image that is there.",
        (
            "envlock validate web",
            "envlock validate web --gpu --record",
            "envlock validate web.tar --lock locks/web.linux-64.lock.json",
        ),
    ),
    "run": Shown(
        "Run a command in a built image.",
        (
            "envlock run web",
            "envlock run web -- python3 -c 'import sys; print(sys.version)'",
            "envlock run --bind src:/app web -- python3 /app/main.py",
        ),
    ),
    "why": Shown("Show who asked for a package.", ("envlock why web numpy",)),
    "diff": Shown(
        "Show what changed in locks.",
        (
            "envlock diff",
            "envlock diff web --rev main --format markdown",
            "envlock diff old.lock.json new.lock.json",
        ),
    ),
    "list": Shown(
        "List environments, or the packages of one.", ("envlock list", "envlock list web")
    ),
    "outdated": Shown(
        "Show newer versions, and overrides that are stale.",
        ("envlock outdated", "envlock outdated web --strict"),
    ),
    "report": Shown(
        "Write one HTML page about an environment.",
        (
            "envlock report web",
            "envlock report web -o web.html --against main",
        ),
    ),
    "install": Shown(
        "Install a lock into a folder, without a container.",
        (
            "envlock install web --prefix .envs/web",
            "envlock install web --prefix .envs/web --python /usr/bin/python3.11",
        ),
    ),
    "export": Shown(
        "Write locks as other tools' files.",
        (
            "envlock export web --format pylock -o pylock.toml",
            "envlock export web --format cyclonedx -o web.cdx.json",
            "envlock export web --format dockerfile -o Dockerfile",
        ),
    ),
    "bundle": Shown(
        "Write a lock and its artifacts into one file.", ("envlock bundle web -o web.tar",)
    ),
    "merge-driver": Shown(
        "Merge locks, for git.",
        ("git config merge.envlock.driver 'envlock merge-driver %O %A %B %P'",),
    ),
    "nix-seed": Shown("Put artifacts into the Nix store.", ("envlock nix-seed web",)),
    "cache": Shown(
        "Tell what the cache holds, and prune it.",
        (
            "envlock cache info",
            "envlock cache prune --keep-days 30",
            "envlock cache prune --max-size 20GB --dry-run",
        ),
    ),
    "schema": Shown(
        "Print a JSON Schema: of specs, locks, or --json.",
        ("envlock schema", "envlock schema lock"),
    ),
}
"""By command; they are listed in this order, and others behind them."""
