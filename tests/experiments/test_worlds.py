from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from scapre.experiments.case import UNEDITED
from scapre.experiments.cases import PUBLISHED, VALIDATED, scaling_cases
from scapre.experiments.worlds import TRANSFORMER, UNET, transformer_cases, unet_rows
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
