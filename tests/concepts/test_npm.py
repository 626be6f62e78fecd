from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from scapre.concepts.npm import fetch_package


def test_without_npm_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(OSError, match="it fetches x"):
        fetch_package("x", "1", tmp_path)


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_a_version_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"could not fetch mathjax@0\.0\.0"):
        fetch_package("mathjax", "0.0.0", tmp_path)
