"""``kill -9`` at twenty moments of running a notebook: its copy is whole or absent, and the next run goes through."""

from __future__ import annotations

import time
from pathlib import Path

import nbformat
import papermill
import pytest
from kills import kill, moments
from scapre.workbook.runner import run_notebook


def test_running_a_notebook_survives_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def execute(path: str, output: str, *_: object, **__: object) -> None:
        text = Path(path).read_text()
        for end in range(0, len(text), 4096):  # papermill writes as the cells end
            time.sleep(0.002)
            Path(output).write_text(text[:end])
        Path(output).write_text(text)

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    new = nbformat.v4
    cells = [new.new_code_cell("n = 1", metadata={"tags": ["parameters"]}), new.new_markdown_cell("text " * 20_000)]
    nbformat.write(new.new_notebook(cells=cells), tmp_path / "01.ipynb")
    output = tmp_path / "out" / "01.ipynb"
    # in the order in which one becomes the next, so that a look in between finds one of them
    ways = [output.with_name(f"01.ipynb.partial{end}") for end in (".ipynb", "")] + [output]
    for seconds in moments(0.1):
        for left in ways[:2]:
            left.unlink(missing_ok=True)
        kill(lambda: run_notebook(tmp_path / "01.ipynb", output), lambda: any(w.exists() for w in ways), seconds)
        if output.is_file():
            nbformat.read(output, as_version=4)
    run_notebook(tmp_path / "01.ipynb", output)
    assert [p.name for p in output.parent.iterdir()] == ["01.ipynb"]
