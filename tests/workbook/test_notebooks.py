"""Papermill's own path: from another folder, with another seed, into another place; nbval executes all notebooks."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pandas as pd
import pytest
from scapre.paths import repository
from scapre.workbook.profiles import check_parameters, profile_values
from scapre.workbook.runner import find, notebooks, run_notebook


@pytest.mark.slow
@pytest.mark.parametrize("number", ["00", "20"])  # one that draws, one that reads published tables
def test_notebook_runs_elsewhere(number: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = find(number)
    assert run_notebook(path, tmp_path / "executed" / path.name, {"seed": 5, "out_dir": str(tmp_path)}) > 0
    figures = list((tmp_path / "figures" / path.stem).glob("*.png"))
    tables = list((tmp_path / "data" / "results" / path.stem).glob("*.csv"))
    assert figures
    assert all(len(pd.read_csv(table)) > 0 for table in tables)
    assert (tmp_path / "data" / "results" / path.stem / "provenance.json").is_file()
    assert not list(tmp_path.rglob("*.partial"))
    same = [f.read_bytes() == (repository() / "figures" / path.stem / f.name).read_bytes() for f in figures]
    assert all(same) if number == "20" else not any(same)


@pytest.mark.slow
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
