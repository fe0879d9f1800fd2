"""What does not depend on the version of queryfit looks the same in every version."""

from __future__ import annotations

import pytest

from queryfit.render import json, markdown, sarif, terminal


@pytest.fixture(autouse=True)
def _pinned_version(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (terminal, json, markdown, sarif):
        monkeypatch.setattr(module, "__version__", "1.2.3")
