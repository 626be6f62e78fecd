from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from scapre.experiments import sweep
from scapre.experiments.case import UNEDITED, Case, measure
from scapre.experiments.cases import gallery_cases
from scapre.experiments.sweep import check_sample, drawn_results, results, run_sweep
from scapre.pictures.evaluation import plan_sides
from scapre.workbook.workbook import Workbook


@pytest.fixture(scope="module")
def case() -> Case:
    pictures = plan_sides({"unlearn": ["dog"], "preserve": ["rose", "pizza"]}, ["flat", "ink"], [0])
    return Case("uce", ["dog"], pictures, ["rose", "pizza"], labels={"method": "uce", "n": 1})


def test_the_key_is_of_what_the_result_depends_on(case: Case) -> None:
    assert replace(case, labels={"other": 1}).key == case.key
    assert replace(case, settings={"ridge": 0.5}).key == case.key  # the default, spelled out
    others = [
        replace(case, settings={"ridge": 0.6}),
        replace(case, method="rece"),
        replace(case, targets=["fox"]),
        replace(case, retained=["rose"]),
        replace(case, options={"templates": "name"}),
        replace(case, pictures=case.pictures.head(3)),
        replace(case, method=UNEDITED),
    ]
    assert len({case.key, *(other.key for other in others)}) == 1 + len(others)
    ours = replace(case, method="confined")
    assert ours.key != replace(ours, options={"anchors": " "}).key
    with pytest.raises(ValueError, match="uce has no setting rigde"):
        _ = replace(case, settings={"rigde": 1.0}).key


def test_a_finished_case_is_read_and_not_repeated(case: Case, tmp_path: Path) -> None:
    first = measure(case, tmp_path)
    assert {"unlearn", "preserve", "preserve_style", "overall", "clip", "fid", "drift", "seconds"} <= set(first)
    assert [p.suffix for p in tmp_path.iterdir()] == [".json"]
    (tmp_path / f"{case.key}.json").write_text(json.dumps({"unlearn": 42.0}))
    assert measure(case, tmp_path) == {"unlearn": 42.0}
    table = run_sweep([case, case], tmp_path)  # nothing is left to do, so no process is started
    assert table[["method", "n", "case", "unlearn"]].to_numpy().tolist() == [["uce", 1, case.key, 42.0]] * 2


def test_an_honest_table_agrees_and_a_forged_one_does_not(case: Case, tmp_path: Path) -> None:
    table = pd.DataFrame([{**case.labels, "case": case.key, **measure(case, tmp_path)}])
    honest = check_sample([case], table, 1)
    assert honest["agrees"].all()
    assert {"unlearn", "preserve", "drift", "residual"} <= set(honest["measure"])
    forged = check_sample([case], table.assign(preserve=table["preserve"] - 50), 1).set_index("measure")
    assert not forged.loc["preserve", "agrees"]
    assert forged.loc["drift", "agrees"]
    with pytest.raises(ValueError, match=r"1 of 1 cases are not in the published table.*profile full"):
        check_sample([replace(case, settings={"ridge": 9.0})], table, 1)


def test_a_notebook_without_a_published_table_says_how_to_make_it(case: Case, tmp_path: Path) -> None:
    book = Workbook("99_none", out_dir=str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"scaling\.csv of 99_none is not published.*--profile full"):
        results(book, [case], "scaling")
    with pytest.raises(FileNotFoundError, match=r"pictures\.parquet of 99_none is not published"):
        drawn_results(book, [case], "pictures")


def test_the_full_profile_publishes_what_it_measured(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "data_folder", lambda: tmp_path)
    measure(case, tmp_path / "cache" / "sweeps")
    book = Workbook("99_some", out_dir=str(tmp_path / "out"))
    table, check = results(book, [case], "scaling", profile="full", checked=1)
    assert check["agrees"].all()
    monkeypatch.setenv("SCAPRE_SCHEDULER", "tcp://127.0.0.1:1")
    monkeypatch.setattr("scapre.pool.CONNECT", 1)
    with pytest.raises(ConnectionError, match="no Dask scheduler answers"):
        results(book, [replace(case, settings={"ridge": 7.0})], "other", profile="full")
    written = pd.read_csv(tmp_path / "out" / "data" / "results" / "99_some" / "scaling.csv")
    assert written["case"].tolist() == [case.key]
    assert written["unlearn"].tolist() == table["unlearn"].tolist()


def test_what_is_published_is_not_measured_again(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "data_folder", lambda: tmp_path / "data")
    folder = tmp_path / "data" / "cache" / "sweeps"
    measure(case, folder)
    first = run_sweep([case], folder).round(4)
    book = Workbook("99_more", out_dir=str(tmp_path))
    book.table(first, "scaling")
    (folder / f"{case.key}.json").unlink()
    other = replace(case, method="rece", labels={"method": "rece", "n": 1})
    measure(other, folder)
    table, _ = results(book, [case, other], "scaling", profile="full", checked=0)
    assert {path.stem for path in folder.iterdir()} == {other.key}  # the first came from the table
    pd.testing.assert_frame_equal(table.head(1)[list(first)], first, check_dtype=False)
    table, _ = results(book, [other], "scaling", profile="full", checked=0)
    assert table["method"].tolist() == ["rece"]  # who is not asked for any more leaves the table


def test_pictures_return_as_they_were_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "data_folder", lambda: tmp_path)
    cases = gallery_cases([UNEDITED], 2, 1, 0)
    book = Workbook("99_gallery", out_dir=str(tmp_path))
    drawn, images = drawn_results(book, cases, "pictures", profile="full")
    monkeypatch.setattr(sweep, "data_folder", lambda: tmp_path / "data")
    table, again = drawn_results(book, cases, "pictures")
    assert images.equal(again)
    assert table.equals(drawn)
    assert table["side"].tolist() == ["unlearn", "preserve", "bystander"]
    assert table["right"].mean() > 0.5
    monkeypatch.setattr(sweep, "_judged", lambda case: pytest.fail("drawn before"))
    table, again = drawn_results(book, cases, "pictures", profile="full")
    assert images.equal(again)
    pd.testing.assert_frame_equal(table, drawn)
