"""``from module import *``: what it brings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.audit.resolve.stdlib import MODULE_NAMES

if TYPE_CHECKING:
    from envlock.audit.resolve.run import Run
    from envlock.audit.resolve.state import Frame, Module


def star(run: Run, name: str, frame: Frame) -> None:
    """Bind what a module that was imported gives away."""
    target = frame.module
    module = run.imports.module(name)
    if module is not None:
        run.looks.look(module)
    if module is None or module.status == "running" or (module.loose and not module.lists):
        _foreign(run, name, target)
    if module is None:
        return
    if module.exports_unknown and not module.broken and not _makes_more(module):
        _some(module, target)
        return
    if module.broken or module.exports_unknown:
        target.open = True
    if module.exported is not None and not module.exports_unknown:
        _listed(run, module, module.exported, target)
        return
    known = module.exported or () if module.exports_unknown else module.names.bound
    for one, (certain, value) in list(module.names.bound.items()):
        if not one.startswith("_"):
            target.names.bind(one, value, certain=certain and one in known)


def _foreign(run: Run, name: str, target: Module) -> None:
    """Bind the names of a module of the standard library; others may bring any."""
    names = run.world.stdlib.names(name) if run.world.find(name) == "stdlib" else None
    for one in names or ():
        if not one.startswith("_"):
            target.names.bind(one, ("o", name, one))
    target.open = target.open or names is None


def _listed(run: Run, module: Module, exported: list[str], target: Module) -> None:
    for one in exported:
        certain, value = module.names.bound.get(one, (True, None))
        child = f"{module.name}.{one}"
        if one not in module.names.bound and run.world.find(child) == "module":
            run.imports.load(child)
            value = ("m", child)
        target.names.bind(one, value, certain=certain)


def _makes_more(module: Module) -> bool:
    """Tell whether a module may list in ``__all__`` what is not among its names."""
    if module.loose or module.status != "done" or module.entry["kind"] != "py":
        return True  # a package may list its submodules
    return bool(module.entry.get("getattr")) or "__getattr__" in module.names.bound


def _some(module: Module, target: Module) -> None:
    """Bind what a star may bring by an ``__all__`` that nobody knows: any of the names."""
    for name, (_, value) in list(module.names.bound.items()):
        if name not in MODULE_NAMES:
            certain, before = target.names.bound.get(name, (False, value))
            target.names.bind(name, value if value == before else None, certain=certain)
