"""``kill -9`` at random moments of the real commands on emoji-sd; each next call goes on.

Moments are drawn over the seconds that a step takes, loading included, so that some fall before, between and inside
of what is written. A sweep is measured case after case, as one of its workers does; a fork begins with what the
tests have imported, so that no kill waits for torch.
"""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import torch
from kills import REAL, kill, moments
from scapre.cli import app
from scapre.experiments.case import Case, measure
from scapre.experiments.sweep import run_sweep
from scapre.files import PARTIAL
from scapre.pictures.evaluation import plan_sides
from typer.testing import CliRunner

pytestmark = pytest.mark.slow
NAMES = ("dog", "lemon", "rose", "sun", "cat", "snake", "rocket", "banana", "star", "ghost", "crown", "cloud")


def run(*words: str | Path) -> str:
    result = CliRunner().invoke(app, [str(w) for w in words])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def whole(folder: Path, ending: str = "") -> dict[str, tuple[bytes, int]]:
    """Finished files with the moment they were written."""
    files = [p for p in folder.glob(f"*{ending}") if not p.name.endswith(PARTIAL)]
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def pace(folder: Path, ending: str, start: float) -> tuple[float, float]:
    """Seconds until the first file of a run was there, and from each to the next."""
    written = sorted(p.stat().st_mtime for p in folder.glob(f"*{ending}"))
    return written[0] - start, (written[-1] - written[0]) / (len(written) - 1)


def test_generate(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    prompts, count = tmp_path / "p.csv", 4 * REAL + 4
    prompts.write_text("prompt\n" + "a picture of a fox in flat style\n" * count)
    words = ("generate", "--prompts", prompts, "--steps", "2", "--batch", "1", "--workers", "1", "--out")
    start = time.time()
    run(*words, tmp_path / "whole")
    loading, each = pace(tmp_path / "whole", ".png", start)
    expected = {name: data for name, (data, _) in whole(tmp_path / "whole").items()}
    before: dict[str, tuple[bytes, int]] = {}
    draw, at_work, struck = random.Random(0), 0, 0

    def drawn(wanted: int) -> bool:
        return len(list((tmp_path / "cut").glob("*.png"))) >= wanted

    for share in moments(1, REAL):
        new = draw.randrange(4)  # 0: while the model is loaded
        wanted = min(len([name for name in before if name.endswith(".png")]) + new, count - 1) if new else 0
        seconds = share * (1.5 * each if new else loading)
        at_work += kill(lambda: run(*words, tmp_path / "cut"), lambda wanted=wanted: drawn(wanted), seconds)
        now = whole(tmp_path / "cut")
        assert before.items() <= now.items()  # what was finished is there and was not drawn again
        assert all(expected[name] == data for name, (data, _) in now.items())
        struck += len(now) > len(before)
        before = now
    print(f"generate: {at_work} of {REAL} kills while at work, {struck} after new pictures, {len(before)} files kept")
    assert at_work > REAL / 2
    run(*words, tmp_path / "cut")
    assert {name: data for name, (data, _) in whole(tmp_path / "cut").items()} == expected
    assert not list((tmp_path / "cut").glob(f"*{PARTIAL}*"))


def test_a_sweep(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    cases = [
        Case("confined", [name], plan_sides({"unlearn": [name], "preserve": ["fox"]}, ["flat"], (0,)), ["fox"])
        for name in NAMES[: max(3, 3 * REAL // 5)]
    ]
    measure(cases[0], tmp_path / "warm")  # model and judges are loaded once
    start = time.time()
    expected = run_sweep_here(cases, tmp_path / "whole")
    _, each = pace(tmp_path / "whole", ".json", start)
    before: dict[str, tuple[bytes, int]] = {}
    at_work = 0
    for seconds in moments(1.5 * each, REAL):
        at_work += kill(lambda: run_sweep_here(cases, tmp_path / "cut"), lambda: True, seconds)
        now = whole(tmp_path / "cut", ".json")
        assert before.items() <= now.items()
        assert all(json.loads(data) for data, _ in now.values())
        before = now
    print(f"sweep: {at_work} of {REAL} kills while at work, {len(before)} of {len(cases)} cases kept")
    assert at_work >= REAL / 2
    table = run_sweep_here(cases, tmp_path / "cut")
    assert before.items() <= whole(tmp_path / "cut", ".json").items()
    pd.testing.assert_frame_equal(table.drop(columns=CLOCKS), expected.drop(columns=CLOCKS))
    assert {p.suffix for p in (tmp_path / "cut").iterdir()} == {".json"}


#: what no two runs have the same
CLOCKS = ["seconds", "processor"]


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
    at_work = finished = 0
    for share in moments(1, REAL):
        hit = kill(lambda: run("run", "01", "--update"), lambda: True, share * longest)
        at_work, finished = at_work + hit, finished + output.exists()
        longest *= 1 if hit else 0.7  # a machine that has less to do than when the whole was timed
        for path in (output, book):
            if path.exists():
                assert [c.source for c in nbformat.read(path, as_version=4).cells][-1] == writes
        assert all(p.read_text() == "x\n" * 50_000 for p in root.glob("*.csv"))
        output.unlink(missing_ok=True)
        book.write_bytes(given)
    print(f"run: {at_work} of {REAL} kills while at work, {finished} after the executed copy was written")
    assert at_work >= REAL / 2
    run("run", "01", "--update")
    assert [c.source for c in nbformat.read(book, as_version=4).cells] == [c.source for c in stored]
    assert [p.name for p in output.parent.iterdir()] == [book.name]
    assert sorted(p.name for p in root.iterdir() if PARTIAL in p.name) == []
