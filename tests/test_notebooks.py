"""Every notebook runs by papermill from another folder, with another seed, and writes its results."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pandas as pd
import pytest
from PIL import Image
from scapre.runner import NotebookError, find, notebooks, run_notebook, scrub


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
    assert (tmp_path / "data" / "results" / path.stem / "provenance.json").is_file()
    assert not list(tmp_path.rglob("*.partial"))


def test_unknown_parameters_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotebookError, match=r"no parameter sed; it knows .*seed"):
        run_notebook(notebooks()[0], tmp_path / "x.ipynb", {"sed": 1})


def test_unknown_notebooks_are_refused() -> None:
    with pytest.raises(NotebookError, match="no notebook named '99'"):
        find("99")
    assert find("00") == notebooks()[0]


def test_a_failing_cell_is_named_and_leaves_no_result(tmp_path: Path) -> None:
    new = nbformat.v4
    book = new.new_notebook(
        cells=[new.new_code_cell("seed = 1", metadata={"tags": ["parameters"]}), new.new_code_cell("1 / 0")],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    nbformat.write(book, tmp_path / "09_fails.ipynb")
    with pytest.raises(NotebookError, match="09_fails, cell 2: ZeroDivisionError"):
        run_notebook(tmp_path / "09_fails.ipynb", tmp_path / "out.ipynb")
    assert not (tmp_path / "out.ipynb").exists()


def test_scrubbing_removes_what_differs_between_runs(tmp_path: Path) -> None:
    new = nbformat.v4
    book = new.new_notebook(
        cells=[new.new_code_cell("seed = 1\nprint(seed)", metadata={"tags": ["parameters"]})],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    nbformat.write(book, tmp_path / "09_fine.ipynb")
    run_notebook(tmp_path / "09_fine.ipynb", tmp_path / "out.ipynb", {"seed": 2})
    scrub(tmp_path / "out.ipynb")
    done = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert "papermill" not in done.metadata
    assert [c.metadata for c in done.cells] == [{"tags": ["parameters"]}]
    assert done.cells[0].execution_count == 1
