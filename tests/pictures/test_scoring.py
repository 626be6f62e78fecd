"""Folders beside each other: one judge, one set of targets, one table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from eyes import drawn
from PIL import Image
from scapre.pictures.metrics import mean_discrepancy, unlearning_quality
from scapre.pictures.places import GenerationError
from scapre.pictures.scoring import compare, judged, score


class Colours:
    """Judges by the brightness of the red channel: class ``red`` is right above 100."""

    about = "colours"

    def match(self, classes):
        return {name: [name] for name in classes}

    def look(self, pictures, table):
        red = np.array([np.array(p)[..., 0].mean() for p in pictures])
        return pd.DataFrame({"right": (red > 100) == (table["class"] == "red").to_numpy(), "clip": red / 10})

    def features(self, pictures):
        return torch.tensor([np.array(p).mean((0, 1)).tolist() for p in pictures]) / 255


def test_every_folder_is_judged_by_the_targets_of_the_first(tmp_path: Path) -> None:
    edited = drawn(tmp_path / "ours", [10, 20, 30, 40], ["red"])
    before = drawn(tmp_path / "before", [200, 210, 30, 60], [])
    other = drawn(tmp_path / "other", [10, 200, 130, 90], ["red"])
    table = compare(edited, [before, other], Colours())
    table = table.set_index(table["folder"].map(lambda place: Path(place).name))
    assert table["unlearn accuracy"].tolist() == [0, 100, 50]
    assert table["preserve accuracy"].tolist() == [100, 100, 50]
    assert table["CLIP score"].tolist() == [3.5, 4.5, 11]  # of what stays
    expected = unlearning_quality([0.0, 100.0, 50.0], [3.5, 4.5, 11.0])
    assert np.allclose(table["UQ"], expected)
    assert table.loc["before", "FID"] == pytest.approx(0, abs=1e-6)
    assert table.loc["before", "CMMD"] == pytest.approx(0, abs=1e-9)
    assert table.loc["other", "CMMD"] > table.loc["ours", "CMMD"]


def test_where_nothing_stays_nothing_is_told_of_it(tmp_path: Path) -> None:
    edited, before = drawn(tmp_path / "a", [1, 2, 3, 4], ["red", "blue"]), drawn(tmp_path / "b", [5, 6, 7, 8], [])
    table = compare(edited, [before], Colours())
    assert table.columns.tolist() == ["folder", "unlearn accuracy", "judge"]


def test_folders_of_other_prompts_and_without_an_edit_are_not_compared(tmp_path: Path) -> None:
    edited, before = drawn(tmp_path / "a", [1] * 4, ["red"]), drawn(tmp_path / "b", [1] * 4, [])
    other = drawn(tmp_path / "c", [1] * 4, [], ("red", "green", "blue", "blue"))
    with pytest.raises(GenerationError, match="other prompts"):
        compare(edited, [other], Colours())
    with pytest.raises(GenerationError, match="without an edit"):
        compare(before, [edited], Colours())


def test_no_spread_is_no_uq_and_black_pictures_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    edited, before = drawn(tmp_path / "a", [1] * 4, ["red"]), drawn(tmp_path / "b", [1] * 4, [])
    assert "UQ" not in compare(edited, [before], Colours())
    assert "no UQ" in caplog.text
    Image.new("RGB", (4, 4)).save(edited / "0_0.png")
    judged(edited, Colours())
    assert "1 pictures are black" in caplog.text


def test_the_judge_stands_beside_every_number(tmp_path: Path) -> None:
    folder = drawn(tmp_path / "a", [10, 200, 30, 40], ["red"])
    score(folder, Colours())
    written = pd.read_csv(folder / "scores.csv")
    assert set(written["judge"]) == {"colours"}
    assert written.set_index("metric").loc["unlearn accuracy", "value"] == 50


def test_discrepancy_is_the_mean_over_all_pairs() -> None:
    g = torch.Generator().manual_seed(0)
    x, y = (torch.nn.functional.normalize(torch.randn(n, 5, generator=g), dim=1).double() for n in (4, 6))

    def k(a, b):
        return sum(float(torch.exp(-(p - q).square().sum() / 200)) for p in a for q in b) / (len(a) * len(b))

    assert mean_discrepancy(x, y) == pytest.approx(1000 * (k(x, x) + k(y, y) - 2 * k(x, y)), abs=1e-9)
    assert mean_discrepancy(x, x) == pytest.approx(0, abs=1e-9)
