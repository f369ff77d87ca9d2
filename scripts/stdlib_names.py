# ruff: noqa: PTH118, PTH120, PTH123, BLE001, B905, RUF007
"""Write src/envlock/audit/resolve/gone.json: names that left the standard library, by version.

    python scripts/stdlib_names.py dump OUT.json [OLDER.json]   (each interpreter, old to new)
    python scripts/stdlib_names.py join 3.6=A.json 3.7=B.json ...

``dump`` runs on any Python 3.6 or newer and imports the whole standard library.  OLDER.json is
the dump of the version before: its names are asked for, too, since ``dir`` does not show what
a module's ``__getattr__`` still gives.
"""

import importlib
import json
import os
import pkgutil
import sys
import warnings

SKIPPED = {"antigravity", "this", "idlelib", "test", "turtledemo", "lib2to3", "tkinter",
           "__main__", "ensurepip", "pydoc_data", "site-packages", "turtle", "site"}  # fmt: skip


def dump(target, older=None):
    warnings.simplefilter("ignore")
    found = {}
    folder = os.path.dirname(os.__file__)
    names = set(sys.builtin_module_names)
    for place in (folder, os.path.join(folder, "lib-dynload")):
        names.update(module.name for module in pkgutil.iter_modules([place]))

    def visit(name, depth):
        if name.split(".")[0] in SKIPPED or name.endswith("__main__") or ".test" in name:
            return
        try:
            module = importlib.import_module(name)
        except BaseException:
            return
        found[name] = sorted(n for n in dir(module) if not (n[:2] == "__" and n[-2:] == "__"))
        if depth < 2:
            for inner in pkgutil.iter_modules(getattr(module, "__path__", [])):
                visit(name + "." + inner.name, depth + 1)

    for name in sorted(names):
        if not name.startswith("_"):
            visit(name, 0)
    if older is not None:
        with open(older) as stream:
            before = json.load(stream)
        for name in set(before) & set(found):
            module = sys.modules[name]
            found[name] += [n for n in before[name] if n not in found[name] and hasattr(module, n)]
    with open(target, "w") as stream:
        json.dump(found, stream)


def join(pairs):
    dumps = []
    for pair in pairs:
        version, _, path = pair.partition("=")
        with open(path) as stream:
            dumps.append((version, json.load(stream)))
    gone = {}
    last = dumps[-1][1]
    for (_, before), (version, after) in zip(dumps, dumps[1:]):
        for module, names in before.items():
            if module in after:
                left = set(names) - set(after[module]) - set(last.get(module, ()))
                for name in left:
                    gone.setdefault(module, {})[name] = version
    path = "src/envlock/audit/resolve/gone.json"
    with open(path, "w") as stream:
        json.dump(gone, stream, sort_keys=True, separators=(",", ":"))
        stream.write("\n")


if __name__ == "__main__":
    dump(*sys.argv[2:]) if sys.argv[1] == "dump" else join(sys.argv[2:])
