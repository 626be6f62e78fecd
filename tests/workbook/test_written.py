"""After its cells ran under nbval, a notebook has written its figures and tables, and nothing half."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from scapre.paths import repository
from scapre.workbook.runner import notebooks

#: notebooks whose figures are drawn from published tables: the same bytes every time
FROM_TABLES = {"09", "10", "11", "12", "13", "14", "15", "16", "17", "20", "21", "31", "32"}


@pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
def test_a_notebook_writes_its_results(path: Path) -> None:
    out = Path(os.environ["SCAPRE_OUT"])
    figures, tables = out / "figures" / path.stem, out / "data" / "results" / path.stem
    assert list(figures.glob("*.png"))
    assert list(tables.glob("*.csv"))
    for figure in figures.glob("*.png"):
        with Image.open(figure) as picture:
            assert min(picture.size) > 100
        committed = repository() / "figures" / path.stem / figure.name
        if path.stem[:2] in FROM_TABLES:
            assert figure.read_bytes() == committed.read_bytes(), f"{figure.name} is not what its table gives"
        assert committed.is_file(), f"{figure.name} is not committed"
    for table in tables.glob("*.csv"):
        assert len(pd.read_csv(table)) > 0
        assert (repository() / "data" / "results" / path.stem / table.name).is_file(), f"{table.name} is not committed"
    assert (tables / "provenance.json").is_file()
    assert not [*figures.rglob("*.partial"), *tables.rglob("*.partial")]
