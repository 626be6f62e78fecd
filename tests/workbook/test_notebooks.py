"""Every notebook runs by papermill from another folder, with another seed, and writes its results."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pandas as pd
import pytest
from PIL import Image
from scapre.paths import repository
from scapre.workbook.runner import check_parameters, find, notebooks, profile_values, run_notebook

#: notebooks whose figures are drawn from published tables, whatever the seed: the same bytes every time
FROM_TABLES = {"09", "10", "11", "12", "13", "14", "20", "21"}


@pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
def test_notebook_runs_elsewhere(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "executed" / path.name
    seconds = run_notebook(path, out, {"seed": 5, "out_dir": str(tmp_path)})
    assert seconds > 0
    figures = list((tmp_path / "figures" / path.stem).glob("*.png"))
    tables = list((tmp_path / "data" / "results" / path.stem).glob("*.csv"))
    assert figures
    assert tables
    for figure in figures:
        with Image.open(figure) as picture:
            assert min(picture.size) > 100
    for table in tables:
        assert len(pd.read_csv(table)) > 0
    if path.stem[:2] in FROM_TABLES:
        for figure in figures:
            committed = repository() / "figures" / path.stem / figure.name
            assert figure.read_bytes() == committed.read_bytes(), f"{figure.name} is not what its table gives"
    assert (tmp_path / "data" / "results" / path.stem / "provenance.json").is_file()
    assert not list(tmp_path.rglob("*.partial"))


def test_your_own_model_takes_the_papers_protocol(tmp_path: Path) -> None:
    protocol = {"scheduler": "PNDMScheduler", "steps": 4, "guidance": 7.5, "dtype": "bfloat16", "pictures": 1}
    few = {"targets": ["dog"], "kept": ["wolf"], "out_dir": str(tmp_path)}
    run_notebook(find("30"), tmp_path / "30.ipynb", protocol | few)
    facts = nbformat.read(tmp_path / "30.ipynb", as_version=4).cells[-2].outputs[0].text
    assert "undone_bit_for_bit: True" in facts
    assert "the_file_is_the_edit: True" in facts


@pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
def test_profiles_name_known_parameters(path: Path) -> None:
    for file in path.parent.glob(f"profiles/{path.stem}.*.yaml"):
        check_parameters(path, profile_values(path, file.stem.partition(".")[2]))
