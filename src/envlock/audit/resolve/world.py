"""All modules of a locked set, and who has them."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Literal

from envlock.audit.model import normalize
from envlock.audit.resolve.stdlib import StandardLibrary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from envlock.audit.index.model import WheelIndex
    from envlock.audit.model import Target
    from envlock.audit.resolve.notes import Notes, Watch

Existence = Literal["module", "space", "stdlib", "unknown", "missing", "stranger"]


class World:
    """The locked set and the target.

    ``find`` answers ``missing`` for a module that its distribution lacks and ``stranger``
    for one whose distribution is not there at all.  Within an ``era`` its answers stay the same.
    """

    def __init__(
        self, indexes: Sequence[WheelIndex], target: Target, cache: Path | None = None
    ) -> None:
        self.target = target
        self.indexes = list(indexes)
        self.stdlib = StandardLibrary(target, cache / "stubs" if cache is not None else None)
        self.modules: dict[str, Mapping[str, Any]] = {}
        self.owner: dict[str, WheelIndex] = {}
        self.spaces: set[str] = set()
        self.injected: dict[str, None] = {}
        self.gifts: dict[str, None] = {}
        self.versions: dict[str, str] = {}
        self.tails: dict[str, set[str]] = {}
        self.searching: dict[str, set[str]] = {}
        self.inner: dict[str, list[str]] = {}
        self.hits: set[str] = set()
        self.watches: list[Watch] = []
        self.notes: Notes | None = None
        self._shims: set[str] = set()
        self.hooked: set[str] = set()
        self._paths: list[str] = []
        self._aliases: list[str] = []
        self.found: dict[str, Existence] = {}
        self.era = 0
        for index in self.indexes:
            self._add(index)
        self.names = sorted(self.modules)

    def below(self, package: str) -> list[str]:
        """Return the modules below a package, sorted; a slash is what follows a dot."""
        places = (bisect_left(self.names, f"{package}{end}") for end in "./")
        return self.names[slice(*places)]

    def _add(self, index: WheelIndex) -> None:
        self.versions[normalize(index.name)] = index.version
        tails = self.tails.setdefault(normalize(index.name), set())
        for name, entry in index.modules.items():
            if name not in self.modules:
                self.modules[name] = entry
                self.owner[name] = index
            above, _, tail = name.rpartition(".")
            tails.add(tail)
            self.inner.setdefault(above, []).append(tail)
            if entry.get("children") or entry.get("searches"):
                searching = self.searching.setdefault(normalize(index.name), set())
                searching.add(name.rpartition(".")[2])
            if entry.get("hook") and self._asked(entry):
                package = entry["kind"] == "pkg"
                self.hooked.update({name.rpartition(".")[0], *([name] if package else ())})
            self._aliases.extend(f"{prefix}." for prefix in entry.get("aliases", ()))
        self.spaces.update(index.namespaces)
        for folder in index.namespaces:
            tails.add(folder.rpartition(".")[2])
        self._paths.extend(path.strip("/").replace("/", ".") for path in index.paths)
        for top in index.pth:
            for name in (top, *(m for m in index.modules if m.startswith(f"{top}."))):
                if name in index.modules:
                    self._shims.update(_texts(index.modules[name]))

    def canonical(self, name: str) -> str:
        """Return the module that stands behind another name, in ``sys.modules`` or as a file."""
        package = name.removesuffix(".__init__")
        if package != name and self.modules.get(package, {}).get("kind") == "pkg":
            return package  # a second copy of it, with the same names
        for prefix in self._aliases:
            if name.startswith(prefix) and name not in self.modules:
                rest = name[len(prefix) :]
                if self.find(rest) in {"module", "space"}:
                    return rest
        return name

    def find(self, name: str) -> Existence:
        """Tell what is known of a module."""
        known = self.found.get(name)
        if known is None:
            known = self.found[name] = self._look(name)
        if self.notes is not None:
            self.notes.finds[name] = known
        return known

    def _look(self, name: str) -> Existence:
        parent, _, _ = name.rpartition(".")
        if parent:
            above = self.find(parent)
            if above in {"missing", "stranger", "unknown"}:
                return "unknown" if name in self.injected else above
        elif (own := self._standard(name)) is not None:
            return own
        if name in self.modules:
            return "module"
        if name in self.spaces:
            return "space"
        if name in self.injected:
            return "unknown"
        if not parent:
            return self._top(name)
        return self._child(name, parent)

    def _standard(self, name: str) -> Existence | None:
        has = self.stdlib.has(name)
        if has:
            return "stdlib"
        if has is None:
            return "unknown" if name not in self.modules else None
        return None

    def _top(self, name: str) -> Existence:
        if name in self._shims or any(f"{path}.{name}" in self.modules for path in self._paths):
            return "unknown"
        return "missing" if self.stdlib.ever(name) else "stranger"

    def _child(self, name: str, parent: str) -> Existence:
        if self.find(parent) == "stdlib":
            has = self.stdlib.has(name)
            return "stdlib" if has else "unknown" if has is None else "missing"
        if parent in self.spaces and parent not in self.modules:
            return "stranger"
        entry = self.modules[parent]
        if (
            entry["kind"] in {"so", "so-pkg", "skip"}
            or (entry.get("children") and self._asked(entry))
            or parent in self.hooked
        ):
            return "unknown"
        return "missing"

    def _asked(self, entry: Mapping[str, Any]) -> bool:
        """Tell whether the target asks an importer: since 3.12 only ``find_spec`` counts."""
        return not (entry.get("stale") and self.target.version >= (3, 12))

    def inject(self, name: str) -> None:
        """Note that some code puts a module into ``sys.modules`` under this name."""
        if self.notes is not None:
            self.notes.safe = False
        if name not in self.injected:
            self.injected[name] = None
            self._forget()

    def take_back(self, injected: int, gifts: int) -> None:
        """Forget all but the first modules and names that were put somewhere."""
        if len(self.injected) > injected:
            self._forget()
        for known, length in ((self.injected, injected), (self.gifts, gifts)):
            while len(known) > length:
                known.popitem()

    def _forget(self) -> None:
        """Look for every module anew."""
        self.found.clear()
        self.era += 1

    def give(self, name: str) -> None:
        """Note that some code sets a module's attribute from outside."""
        self.gifts[name] = None
        if self.notes is not None:
            self.notes.sets[name] = None

    def given(self, name: str) -> bool:
        """Tell whether some code puts a name there from outside."""
        if self.ask("j", name) == "yes":
            return True
        self.seen(self.watches, name)
        return False

    def seen(self, watches: Sequence[Watch], name: str) -> None:
        """Tell those who wait for it that somebody looked at something."""
        for watch in watches:
            watch.tripped = watch.tripped or name in watch.names

    def ask(self, kind: str, name: str) -> str:
        """Answer a question that rarely comes: whose version, whose module, who gave a name."""
        if kind == "j":
            answer = "yes" if name in self.gifts or name in self.injected else "no"
            if answer == "yes":
                self.hits.add(name)
        elif kind == "v":
            answer = self.versions.get(name, "")
        elif kind == "o":
            owner = self.owner.get(name)
            answer = owner.version if owner is not None else ""
        elif kind == "w":
            answer = "yes" if self._own(*name.split()) else "no"
        elif kind == "t":
            user, top = name.split()
            own = self.key(self.owner[user])
            puts = self.searching.get(own, set()) - {top}  # a vendored six puts its own parts only
            answer = "yes" if puts and top in self.tails[own] else "no"
        else:
            answer = "yes" if name in self.spaces else "no"
        if self.notes is not None:
            self.notes.events[kind, name, answer] = None
        return answer

    def own(self, user: str, module: str) -> bool:
        """Tell whether a module belongs to its user's distribution, which has C code.

        Extension modules put names into Python modules of their own distribution.
        """
        return self.ask("w", f"{user} {module}") == "yes"

    def _own(self, user: str, module: str) -> bool:
        owner = self.owner.get(user)
        return owner is not None and owner is self.owner.get(module) and owner.native

    def key(self, index: WheelIndex) -> str:
        """Return a distribution's normalized name."""
        return normalize(index.name)

    def provider(self, name: str) -> str:
        """Return who has a module: a distribution, ``stdlib``, or nobody."""
        current = name
        while current:
            if current in self.owner:
                return self.owner[current].name
            current = current.rpartition(".")[0]
        return "stdlib" if self.stdlib.ever(name.partition(".")[0]) else ""

    def version_of(self, module: str) -> str | None:
        """Return the locked version of the distribution that has a module."""
        return self.ask("o", module) or None


def _texts(entry: Mapping[str, Any]) -> set[str]:
    """Return the texts that stand in a module's skeleton: what a start-up hook may put there."""
    found: set[str] = set(entry.get("strings", ()))
    stack: list[Any] = [entry.get("body", []), *entry.get("functions", {}).values()]
    while stack:
        part = stack.pop()
        if isinstance(part, list):
            stack.extend(part)
        elif isinstance(part, str) and part.isidentifier():
            found.add(part)
    return found
