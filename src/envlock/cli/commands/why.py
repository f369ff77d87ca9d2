"""``envlock why``: who asked for a package, and through what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from envlock.cli.app import command
from envlock.cli.complete import packages
from envlock.cli.context import Context
from envlock.cli.locks import load_named
from envlock.cli.options import NameArgument, PlatformOption
from envlock.cli.output import megabytes
from envlock.errors import UsageError

if TYPE_CHECKING:
    from rich.tree import Tree

    from envlock.graph import Edge, Graph, Node


_ENDLESS = 100_000
"""Columns: lines are the terminal's to wrap, not to be cut."""


@command("why")
def why_command(
    context: typer.Context,
    name: NameArgument,
    package: Annotated[
        str,
        typer.Argument(help="A package of its lock.", metavar="PKG", autocompletion=packages),
    ],
    platform: PlatformOption = None,
) -> None:
    """Show who asked for a package: a tree up to the spec, voided requirements marked."""
    from envlock.graph import Graph

    state: Context = context.obj
    lock = load_named(state, name, platform)
    graph = Graph(lock)
    found = graph.find(package)
    if not found:
        raise UsageError(
            f"the lock of {name} for {lock.platform} has no package {package!r}",
            hint=_meant(graph, package),
        )
    for node in found:
        _show(state, graph, node)
    state.output.document({"packages": [_document(graph, node) for node in found]})


def _meant(graph: Graph, package: str) -> str | None:
    import difflib

    names = [name for _, name in graph.artifacts]
    close = difflib.get_close_matches(package.lower(), names, n=3)
    return f"did you mean {' or '.join(close)}?" if close else None


def _show(state: Context, graph: Graph, node: Node) -> None:
    import io

    from rich.console import Console
    from rich.tree import Tree

    artifact = graph.artifacts[node]
    tree = Tree(f"{node[1]} {artifact.version} ({node[0]}, {megabytes(artifact.size)})")
    if node in graph.forced:
        tree.add(f"the override of {node[1]} forces it: {graph.forced[node]}")
    repeated = _grow(tree, graph, node, set())
    shown = io.StringIO()
    console = Console(file=shown, markup=False, highlight=False, emoji=False, width=_ENDLESS)
    console.print(tree)
    for line in shown.getvalue().splitlines():
        state.output.result(line.rstrip())
    if repeated:
        state.output.result("(*) shown above")


def _grow(tree: Tree, graph: Graph, node: Node, seen: set[Node]) -> bool:
    """Add who asks for a package; each one's own reasons only once."""
    repeated = False
    for edge in graph.into(node):
        if edge.dependent is None:
            tree.add(_line(graph, edge))
        elif edge.dependent in seen:
            repeated |= bool(graph.into(edge.dependent))
            tree.add(f"{_line(graph, edge)}{' (*)' if graph.into(edge.dependent) else ''}")
        else:
            seen.add(edge.dependent)
            branch = tree.add(_line(graph, edge))
            repeated |= _grow(branch, graph, edge.dependent, seen)
    return repeated


def _line(graph: Graph, edge: Edge) -> str:
    if edge.dependent is None:
        who = edge.via if edge.via.endswith("adds") else f"the spec ({edge.via}) asks for"
        return f"{who} {edge.requirement}"
    version = graph.artifacts[edge.dependent].version
    voided = f"; voided by {edge.voided}" if edge.voided else ""
    return f"{edge.dependent[1]} {version} requires {edge.requirement}{voided}"


def _document(graph: Graph, node: Node) -> dict[str, Any]:
    """Return a package and, flat, every requirement that leads to it."""
    edges: list[dict[str, Any]] = []
    queue, seen = [node], {node}
    while queue:
        current = queue.pop(0)
        for edge in graph.into(current):
            dependent = edge.dependent
            edges.append(
                {
                    "dependent": dependent[1] if dependent else None,
                    "version": graph.artifacts[dependent].version if dependent else None,
                    "requirement": edge.requirement,
                    "needs": current[1],
                    "via": edge.via or None,
                    "voided_by": edge.voided or None,
                }
            )
            if dependent is not None and dependent not in seen:
                seen.add(dependent)
                queue.append(dependent)
    artifact = graph.artifacts[node]
    return {"kind": node[0], "name": node[1], "version": artifact.version, "requirements": edges}
