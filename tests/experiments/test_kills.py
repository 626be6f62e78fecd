"""``kill -9`` at twenty moments of a sweep: cases that were measured are not measured again."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pandas as pd
import pytest
from errands import wait_and_tell
from kills import kill, moments
from scapre.experiments import case as case_module
from scapre.experiments.case import UNEDITED, Case, measure
from scapre.experiments.sweep import run_sweep
from scapre.pool import scatter

CASES = [Case(UNEDITED, [], pd.DataFrame({"picture": [i]}), labels={"i": i}) for i in range(60)]


def test_a_sweep_survives_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def trial(pipe: None, judges: None, patch: None, pictures: pd.DataFrame) -> dict[str, float]:
        time.sleep(0.005)
        (tmp_path / "begun" / f"{pictures['picture'].iloc[0]}.{os.getpid()}").touch()
        return {"unlearn": float(pictures["picture"].iloc[0]), "filler": "x" * 50_000}

    monkeypatch.setattr(case_module, "stage", lambda *_: (None, None))
    monkeypatch.setattr(case_module, "trial", trial)
    (tmp_path / "begun").mkdir()
    done: set[str] = set()

    def measured() -> set[str]:
        return {p.name for p in (tmp_path / "cache").glob("*.json")}

    for seconds in moments(0.02):
        target = min(len(done) + 1, len(CASES))
        kill(
            lambda: [measure(case, tmp_path / "cache") for case in CASES],
            lambda target=target: len(measured()) >= target,
            seconds,
        )
        now = measured()
        assert done <= now
        for name in now:
            json.loads((tmp_path / "cache" / name).read_text())
        done = now
    begun = len(list((tmp_path / "begun").iterdir()))
    table = run_sweep(CASES[: len(done)], tmp_path / "cache")
    assert table["unlearn"].tolist() == list(range(len(done)))
    assert len(list((tmp_path / "begun").iterdir())) == begun  # nothing was measured again
    for case in CASES:
        measure(case, tmp_path / "cache")
    assert {p.suffix for p in (tmp_path / "cache").iterdir()} == {".json"}


def test_workers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    def work() -> None:
        list(scatter(wait_and_tell, [str(tmp_path / "worker")], workers=1))

    kill(work, (tmp_path / "worker").exists, 0)
    worker = int((tmp_path / "worker").read_text())
    deadline = time.monotonic() + 20
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()
