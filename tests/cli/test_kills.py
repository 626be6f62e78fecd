"""``kill -9`` at twenty random moments of the real commands on emoji-sd; each next call goes on.

Moments are drawn over the seconds that a step takes, loading included, so that some fall before, between and inside
of what is written. A sweep is measured case after case, as one of its workers does; a fork begins with what the
tests have imported, so that no kill waits for torch.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import torch
from kills import KILLS, kill_after, moments
from scapre.cli import app
from scapre.experiments.sweep import Case, measure, run_sweep
from scapre.files import PARTIAL
from scapre.pictures.evaluation import plan_sides
from typer.testing import CliRunner

pytestmark = pytest.mark.slow
DRAWN = 60


def run(*words: str | Path) -> str:
    result = CliRunner().invoke(app, [str(w) for w in words])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def whole(folder: Path, ending: str) -> dict[str, tuple[bytes, int]]:
    """Finished files with the moment they were written."""
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.glob(f"*{ending}")}


def pace(folder: Path, ending: str, start: float) -> tuple[float, float]:
    """Seconds until the first file of a run was there, and from each to the next."""
    written = sorted(p.stat().st_mtime for p in folder.glob(f"*{ending}"))
    return written[0] - start, (written[-1] - written[0]) / (len(written) - 1)


def test_generate(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    prompts = tmp_path / "p.csv"
    prompts.write_text("prompt\n" + "a picture of a fox in flat style\n" * DRAWN)
    words = ("generate", "--prompts", prompts, "--steps", "2", "--batch", "1", "--workers", "1", "--out")
    start = time.time()
    run(*words, tmp_path / "whole")
    loading, each = pace(tmp_path / "whole", ".png", start)
    expected = {name: data for name, (data, _) in whole(tmp_path / "whole", "").items()}
    before: dict[str, tuple[bytes, int]] = {}
    cut = struck = 0
    for seconds in moments(loading + 6 * each):
        cut += kill_after(lambda: run(*words, tmp_path / "cut"), seconds)
        now = {name: found for name, found in whole(tmp_path / "cut", "").items() if not name.endswith(PARTIAL)}
        assert before.items() <= now.items()  # what was finished is there and was not drawn again
        assert all(expected[name] == data for name, (data, _) in now.items())
        struck += len(now) > len(before)
        before = now
    print(f"generate: {cut} of {KILLS} kills while at work, {struck} after new pictures, {len(before)} files kept")
    assert cut > KILLS / 2
    run(*words, tmp_path / "cut")
    assert {name: data for name, (data, _) in whole(tmp_path / "cut", "").items()} == expected


def test_a_sweep(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    names = ("dog", "lemon", "rose", "sun", "cat", "snake", "rocket", "banana", "star", "ghost", "crown", "cloud")
    cases = [
        Case("confined", [name], plan_sides({"unlearn": [name], "preserve": ["fox"]}, ["flat"], (0,)), ["fox"])
        for name in names
    ]
    measure(cases[0], tmp_path / "warm")  # model and judges are loaded once
    start = time.time()
    expected = run_sweep_here(cases, tmp_path / "whole")
    _, each = pace(tmp_path / "whole", ".json", start)
    before: dict[str, tuple[bytes, int]] = {}
    cut = 0
    for seconds in moments(1.5 * each):
        cut += kill_after(lambda: run_sweep_here(cases, tmp_path / "cut"), seconds)
        now = whole(tmp_path / "cut", ".json")
        assert before.items() <= now.items()
        assert all(json.loads(data) for data, _ in now.values())
        before = now
    print(f"sweep: {cut} of {KILLS} kills while at work, {len(before)} of {len(cases)} cases kept")
    assert cut > KILLS / 2
    table = run_sweep(cases, tmp_path / "cut", workers=1)
    assert before.items() <= whole(tmp_path / "cut", ".json").items()
    pd.testing.assert_frame_equal(table.drop(columns="seconds"), expected.drop(columns="seconds"))
    assert {p.suffix for p in (tmp_path / "cut").iterdir()} == {".json"}


def run_sweep_here(cases: list[Case], folder: Path) -> pd.DataFrame:
    """Measure in this process what ``run_sweep`` measures in others."""
    for case in cases:
        measure(case, folder)
    return run_sweep(cases, folder)


def test_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "root"
    (root / "notebooks").mkdir(parents=True)
    (root / "environment.yml").touch()
    monkeypatch.setenv("SCAPRE_ROOT", str(root))
    new = nbformat.v4
    writes = (
        f"from scapre.files import write_text\nfor i in range(20): write_text(f'{root}/{{i}}.csv', 'x\\n' * 50_000)"
    )
    cells = [new.new_code_cell("n = 1", metadata={"tags": ["parameters"]}), new.new_code_cell(writes)]
    book = root / "notebooks" / "01_small.ipynb"
    nbformat.write(new.new_notebook(cells=cells), book)
    given = book.read_bytes()
    start = time.time()
    run("run", "01", "--update")
    longest = time.time() - start
    output = root / "data" / "cache" / "executed" / book.name
    output.unlink()
    stored = nbformat.read(book, as_version=4).cells
    cut = finished = 0
    for seconds in moments(1.1 * longest):
        cut += kill_after(lambda: run("run", "01", "--update"), seconds)
        finished += output.exists()
        for path in (output, book):
            if path.exists():
                assert [c.source for c in nbformat.read(path, as_version=4).cells][-1] == writes
        assert all(p.read_text() == "x\n" * 50_000 for p in root.glob("*.csv"))
        output.unlink(missing_ok=True)
        book.write_bytes(given)
    print(f"run: {cut} of {KILLS} kills while at work, {finished} after the executed copy was written")
    assert cut > KILLS / 2
    run("run", "01", "--update")
    assert [c.source for c in nbformat.read(book, as_version=4).cells] == [c.source for c in stored]
    assert [p.name for p in output.parent.iterdir()] == [book.name]
    assert sorted(p.name for p in root.iterdir() if PARTIAL in p.name) == []
