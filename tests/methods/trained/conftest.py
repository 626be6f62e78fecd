"""Pictures and unfinished edits of these tests go to a folder of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from scapre.methods.trained import drawing, loop


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(autouse=True)
def own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (drawing, loop):
        monkeypatch.setattr(module, "data_folder", lambda: cache)
