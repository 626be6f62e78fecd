"""What notebooks write is looked at where they run: under ``--nbval``."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave ``test_written.py`` to the runs that execute the notebooks; None: as usual."""
    return True if collection_path.name == "test_written.py" and not config.getoption("nbval") else None
