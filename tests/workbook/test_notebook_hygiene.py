from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from hygiene import complaints
from scapre.workbook.runner import notebooks


@pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
def test_grammar(path: Path) -> None:
    assert complaints(path) == []


def test_there_are_notebooks() -> None:
    assert [p.stem[:2] for p in notebooks()][:2] == ["00", "01"]


def test_a_broken_notebook_is_noticed(tmp_path: Path) -> None:
    new = nbformat.v4
    path = tmp_path / "00_broken.ipynb"
    book = new.new_notebook(
        cells=[
            new.new_markdown_cell("A topic\n```python\nx\n```"),
            new.new_code_cell("def f():\n    return '/home/me'", execution_count=3),
            new.new_code_cell("\n".join(["x = 1"] * 20)),
        ],
        metadata={"kernelspec": {"name": "other", "display_name": "x"}, "papermill": {}},
    )
    nbformat.write(book, path)
    found = " | ".join(complaints(path))
    for part in (
        "long cells",
        "defines a function",
        "words for",
        "not executed",
        "parameters",
        "contract",
        "timings",
        "python3",
        "absolute path",
        "fenced",
        "does not open",
        "learned",
        "seed and out_dir",
    ):
        assert part in found, part
