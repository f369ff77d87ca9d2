"""Made-up distributions that import each other in all ways that matter, drawn at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

DISTRIBUTIONS = ("ant", "bee", "cat", "dog", "elk")
_PARTS = ("", ".core", ".core.deep", ".side", ".util")
_NAMES = ("alpha", "beta", "gamma", "FLAG", "helper", "core", "side", "__version__")


def make_sources(random: Random, name: str) -> dict[str, str]:
    """Return the files of one distribution; each call draws another version of it."""
    kept = [part for part in _PARTS if part in {"", ".core"} or random.random() < 0.8]
    files = {}
    for part in kept:
        package = part in {"", ".core"}
        path = (name + part).replace(".", "/") + ("/__init__.py" if package else ".py")
        lines = [_line(random, name) for _ in range(random.randrange(1, 9))]
        files[path] = "import sys\n" + "\n".join(lines) + "\n"
    return files


def _module(random: Random, own: str) -> str:
    name = own if random.random() < 0.5 else random.choice((*DISTRIBUTIONS, "absent"))
    return name + random.choice(_PARTS)


def _line(random: Random, own: str) -> str:
    module, other = _module(random, own), _module(random, own)
    name, second = random.choice(_NAMES), random.choice(_NAMES)
    top = other.partition(".")[0]
    return random.choice(
        (
            f"import {module}",
            f"import {module} as alias",
            f"from {module} import {name}",
            f"from {module} import {name} as {second}",
            f"from {module} import *",
            f"{name} = {random.randrange(3)}",
            f"{name} = sys.version_info",
            f"__all__ = ['{name}', '{second}']",
            f"try:\n    import {module}\nexcept ImportError:\n    {name} = None",
            f"try:\n    from {module} import {name}\nexcept ImportError:\n    import {other}",
            f"try:\n    from {module} import {name}\nexcept ModuleNotFoundError:\n    pass",
            f"try:\n    import {module}\nexcept ImportError as e:\n    raise RuntimeError() from e",
            f"import {top}\nif hasattr({top}, '{name}'):\n    import {module}",
            f"import {top}\nif {top}.FLAG:\n    import {module}\nelse:\n    {second} = 1",
            f"import {top}\nif {top}.__version__ == '1':\n    from {module} import {name}",
            f"import {other}\n{name} = {other}.{second}",
            f"def {name}():\n    import {module}\n    return {module}.{second}",
            (
                f"def {name}():\n    global {second}\n    {second} = {random.randrange(3)}\n"
                f"    return {second}"
            ),
            (
                f"def {name}(x):\n    try:\n        import {module}\n        return True\n"
                f"    except ImportError:\n        return False"
            ),
            f"import {top}\nif {top}.helper('{name}'):\n    import {module}",
            f"from {module} import helper\nif helper(1):\n    {second} = 2",
            f"import importlib.util\nFLAG = importlib.util.find_spec('{module}') is not None",
            f"import importlib.metadata\n__version__ = importlib.metadata.version('{top}')",
            f"sys.modules['{other}.made'] = sys",
            f"import {top}\n{top}.{name} = None",
            (
                f"def __getattr__(name):\n    if name == '{name}':\n        import {module}\n"
                f"        return {module}\n    raise AttributeError(name)"
            ),
            (
                "class Thing:\n    def method(self):\n"
                f"        from {module} import {name}\n        return {name}"
            ),
            f"raise ImportError('{name}')" if random.random() < 0.1 else f"del {name}",
        )
    )
