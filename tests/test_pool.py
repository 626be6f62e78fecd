from __future__ import annotations

import os
import sys
from pathlib import Path
from unittest.mock import MagicMock

import distributed
import pytest
from errands import numbered, square, square_or_die, threads
from scapre.pool import TRIES, JobError, _on_dask, cores, scatter, worker_number


def starts(folder: Path) -> dict[int, int]:
    numbers = [int(p.stem) for p in folder.iterdir()]
    return {n: numbers.count(n) for n in numbers}


def test_results_come_with_their_index() -> None:
    assert sorted(scatter(square, [3, 1, 2], workers=2)) == [(0, 9), (1, 1), (2, 4)]
    assert list(scatter(square, [])) == []


def test_a_killed_worker_loses_no_result_and_repeats_none(tmp_path: Path) -> None:
    jobs = [(str(tmp_path), n, 1) for n in range(6)]
    assert dict(scatter(square_or_die, jobs, workers=2)) == {n: n**2 for n in range(6)}
    assert starts(tmp_path) == {n: 2 if n == 3 else 1 for n in range(6)}


def test_failed_jobs_are_named_after_the_others_are_done(tmp_path: Path) -> None:
    jobs = [(str(tmp_path), n, TRIES) for n in (1, 3, -1, 4)]
    results = []
    with pytest.raises(JobError, match=rf"job 1, \('.*its process died {TRIES} times.*1 more failed: 2") as caught:
        results.extend(scatter(square_or_die, jobs, workers=2))
    assert sorted(results) == [(0, 1), (3, 16)]
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert starts(tmp_path)[3] == TRIES


def test_cores_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert dict(scatter(threads, range(2), workers=2)) == dict.fromkeys(range(2), max(1, cores() // 2))
    assert dict(scatter(threads, [0], workers=1)) == {0: cores()}
    assert "OMP_NUM_THREADS" not in os.environ
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert dict(scatter(threads, [0], workers=1)) == {0: 1}


def test_processes_side_by_side_have_numbers(tmp_path: Path) -> None:
    assert {number for _, number in scatter(numbered, range(8), workers=2)} == {0, 1}
    assert worker_number() == 0


def test_leaving_early_ends_the_workers() -> None:
    stream = scatter(square, range(50), workers=2)
    next(stream)
    stream.close()
    assert list(stream) == []


def test_dask_gives_the_same_and_survives_a_killed_worker(tmp_path: Path) -> None:
    jobs, before = [(str(tmp_path), n, 1) for n in range(6)], dict(os.environ)
    assert dict(scatter(square_or_die, jobs, workers=2, scheduler="local")) == {n: n**2 for n in range(6)}
    assert starts(tmp_path)[3] == 2
    assert dict(os.environ) == before
    with pytest.raises(JobError, match=r"job 0, -1: ValueError\('-1 is negative'\)"):
        list(scatter(square, [-1], scheduler="local"))


def test_a_result_lost_with_its_worker_is_no_failure() -> None:
    # Dask computes it again: the future is pending, and has no exception in the end
    lost = MagicMock(key="lost", status="pending", **{"exception.return_value": None, "result.return_value": 4})
    dask = MagicMock(as_completed=list)
    dask.Client.return_value.__enter__.return_value.map.return_value = [lost]
    assert list(_on_dask(dask, square, [2], 1, "tcp://127.0.0.1:1")) == [(0, 4)]


def test_a_running_scheduler_is_used_and_left_running() -> None:
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster:
        for _ in range(2):
            assert dict(scatter(square, [2, 3], scheduler=cluster.scheduler_address)) == {0: 4, 1: 9}


def test_bad_calls_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match="top of a module"):
        scatter(lambda x: x, [1])
    with pytest.raises(ValueError, match="at least one"):
        scatter(square, [1], workers=0)
    with pytest.raises(ValueError, match="its own workers"):
        scatter(square, [1], workers=2, scheduler="tcp://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ModuleNotFoundError, match=r"scapre\[cluster\]"):
        scatter(square, [1], scheduler="local")


def test_a_silent_scheduler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scapre.pool.CONNECT", 1)
    with pytest.raises(ConnectionError, match=r"127\.0\.0\.1:1; start"):
        list(scatter(square, [1], scheduler="tcp://127.0.0.1:1"))
