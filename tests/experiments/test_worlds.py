from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from scapre.experiments.case import UNEDITED
from scapre.experiments.cases import PUBLISHED, VALIDATED, scaling_cases
from scapre.experiments.tries import validation_cases
from scapre.experiments.worlds import (
    HERE,
    ONE,
    SEVERAL,
    TRANSFORMER,
    UNET,
    best_tries,
    piece_cases,
    transformer_cases,
    transformer_tries,
    unet_rows,
)
from scapre.methods.closed.names import CLOSED
from scapre.model.places import DIT, EMOJI

ARMS = [(UNEDITED, PUBLISHED), ("uce", VALIDATED)]


def test_the_other_world_differs_in_the_model_alone() -> None:
    there = transformer_cases(ARMS, [10], [0], 48)
    here = [case for method, point in ARMS for case in scaling_cases([method], [10], [0], 48, point)]
    assert [case.model for case in there] == [DIT, DIT]
    assert [case.model for case in here] == [EMOJI, EMOJI]
    for one, other in zip(there, here, strict=True):
        assert (one.targets, one.retained, one.settings) == (other.targets, other.retained, other.settings)
        pd.testing.assert_frame_equal(one.pictures, other.pictures)
        assert one.labels == {"world": TRANSFORMER, **other.labels}
        assert one.key != other.key


def test_what_is_tried_there_is_what_notebook_09_tries() -> None:
    there = transformer_tries(["uce"], [20], [0], 18)
    here = validation_cases({"uce": CLOSED["uce"].grids}, [20], [0], 18)
    assert {case.model for case in there} == {DIT}
    assert [(case.targets, case.settings) for case in there] == [(case.targets, case.settings) for case in here]


def test_the_best_try_is_that_of_the_mean_and_of_equal_ones_the_gentlest() -> None:
    rows = [("a", "1", 0, 90, 0.1), ("a", "1", 20, 90, 0.5), ("a", "2", 10, 90, 0.2), ("a", "2", 10, 90, 0.2)]
    rows += [("a", "3", 10, 80, 0.0), ("b", "1", 50, 50, 0.3)]
    best = best_tries(pd.DataFrame(rows, columns=["method", "settings", "unlearn", "preserve", "retained_drift"]))
    assert best[["method", "settings"]].to_numpy().tolist() == [["a", "2"], ["b", "1"]]
    assert best["overall"].tolist() == pytest.approx([90, 50])


def test_settings_found_there_are_put_into_the_same_cases() -> None:
    (own,) = transformer_cases([("uce", HERE)], [10], [0], 48, {"uce": '{"ridge": 7.0}'})
    (brought,) = transformer_cases([("uce", VALIDATED)], [10], [0], 48)
    assert own.settings == {"ridge": 7.0}
    assert own.labels["point"] == HERE
    assert (own.targets, own.retained) == (brought.targets, brought.retained)
    with pytest.raises(KeyError, match="uce"):
        transformer_cases([("uce", HERE)], [10], [0], 48)


def test_names_of_one_token_are_drawn_beside_those_of_several() -> None:
    (case,) = piece_cases([("uce", HERE)], 10, [0], 48, {"uce": "{}"})
    drawn = case.pictures.groupby("side")["concept"].unique()
    assert sorted([*drawn[ONE], *drawn[SEVERAL]]) == sorted(case.targets)
    assert all(" " not in name for name in drawn[ONE])
    assert len(case.pictures[case.pictures["side"] == SEVERAL]) <= 48


def test_what_notebook_10_published_is_read_and_nothing_else() -> None:
    found = unet_rows(ARMS, [10], [0, 1])
    assert len(found) == 4
    assert set(found["world"]) == {UNET}
    keys = {case.key for method, point in ARMS for case in scaling_cases([method], [10], [0, 1], 48, point)}
    assert set(found["case"]) == keys


def test_without_its_table_the_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scapre.experiments.worlds.data_folder", lambda: tmp_path)
    with pytest.raises(FileNotFoundError, match="run `scapre run 10 --profile full` first"):
        unet_rows(ARMS, [10], [0])
