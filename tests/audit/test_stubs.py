"""Names of the standard library are those that typeshed-client itself tells."""

from __future__ import annotations

import pytest
import typeshed_client

from envlock.audit.resolve.stubs import Stubs


@pytest.mark.parametrize("module", ["os", "socket", "importlib.metadata", "json", "tkinter"])
def test_outlines_have_all_names(module: str) -> None:
    stubs = Stubs("linux")
    for version in ((3, 10), (3, 12), (3, 14)):
        context = typeshed_client.get_search_context(
            search_path=[], version=version, platform="linux"
        )
        names = typeshed_client.get_stub_names(module, search_context=context)
        assert names
        assert stubs.names(module, version) == frozenset(
            name
            for name, info in names.items()
            if info.is_exported or not isinstance(info.ast, typeshed_client.ImportedName)
        )


def test_no_stub_tells_nothing() -> None:
    assert Stubs("linux").names("no_such_module", (3, 11)) is None
