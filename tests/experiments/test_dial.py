"""The dial turned in advance: what is drawn, what is read, and that the two are kept apart."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from scapre.experiments import dial
from scapre.experiments.case import UNEDITED, Case
from scapre.experiments.dial import dial_cases, dial_results, turn
from scapre.workbook.workbook import Workbook

LISTS = {"dog": (["dog"], ["wolf", "lemon"])}


@pytest.fixture
def cases() -> list[Case]:
    return [replace(c, pictures=c.pictures.iloc[[0, 2]]) for c in dial_cases(["confined"], LISTS, [])]


def test_a_case_a_method_and_list() -> None:
    every = dial_cases(["staged", "uce"], LISTS, [50])
    assert [(c.labels["targets"], c.method) for c in every[:3]] == [("dog", m) for m in (UNEDITED, "staged", "uce")]
    assert {c.labels["targets"]: c.labels["erased"] for c in every} == {"dog": 1, "50 concepts": 50}
    crowd = every[-1]
    assert len(crowd.targets) + len(crowd.retained) == 400
    assert len(crowd.pictures) == 12
    assert set(crowd.pictures[crowd.pictures["side"] == "unlearn"]["concept"]) <= set(crowd.targets)
    assert set(crowd.pictures[crowd.pictures["side"] == "preserve"]["concept"]) <= set(crowd.retained)
    assert every[1].settings == {}
    assert every[2].settings  # a peer's best ones


def test_a_sheet_holds_the_pictures_of_its_table(cases: list[Case]) -> None:
    table, sheets = turn(cases, [0.0, 0.5, 1.0])
    assert table[["method", "strength"]].drop_duplicates().to_numpy().tolist() == [
        [UNEDITED, 0.0],
        ["confined", 0.5],
        ["confined", 1.0],
    ]
    assert table["concept"].tolist() == ["dog", "wolf"] * 3
    assert table["right"].tolist()[:2] == [True, True]
    assert not table["right"].tolist()[4]  # forgotten at full strength
    assert sheets["targets"].tolist() == ["dog"]
    with Image.open(io.BytesIO(sheets["webp"][0])) as sheet:
        assert sheet.size == (2 * 32, 3 * 32)


def test_what_is_published_is_read_and_only_the_rest_drawn(
    cases: list[Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def drawn(some: list[Case], strengths: list[float]) -> tuple[pd.DataFrame, pd.DataFrame]:
        name = some[0].labels["targets"]
        asked.append(name)
        rows = [case.labels | {"key": case.key, "strength": s} for case in some for s in dial._stops(case, strengths)]
        return pd.DataFrame(rows), pd.DataFrame({"targets": [name], "webp": [name.encode()]})

    monkeypatch.setattr(dial, "turn", drawn)
    monkeypatch.setattr(dial, "data_folder", lambda: tmp_path / "data")
    book = Workbook("22_explorer", out_dir=str(tmp_path))
    with pytest.raises(ValueError, match="the dial of dog is not published; run with `--profile full`"):
        dial_results(book, cases, [0.0, 1.0])
    first = dial_results(book, cases, [0.0, 1.0], profile="full")
    pd.testing.assert_frame_equal(dial_results(book, cases, [0.0, 1.0]), first)
    assert asked == ["dog"]
    more = [*dial_cases(["uce"], {"lemon": (["lemon"], ["dog"])}, []), *cases]
    both = dial_results(book, more, [0.0, 1.0], profile="full")
    assert asked == ["dog", "lemon"]
    assert both["targets"].unique().tolist() == ["lemon", "dog"]
    dial_results(book, cases, [0.0, 0.3, 1.0], profile="full")  # another stop: the list is drawn anew, once
    assert asked == ["dog", "lemon", "dog"]
    assert len(dial_results(book, cases, [0.0, 0.3, 1.0])) == 3
