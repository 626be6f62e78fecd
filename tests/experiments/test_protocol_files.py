"""Protocols whose lists are not shipped: published files read as they are, cut off and continued like the others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from eyes import toy_judge
from PIL import Image
from scapre.cli import app
from scapre.concepts.prompts import PromptError, read_captions, read_sided
from scapre.experiments.protocol_run import TABLE, estimate, run_protocol, with_intervals
from scapre.experiments.protocols import HERE, find_protocol
from scapre.pictures import generation
from scapre.pictures.farm import Studio
from scapre.pictures.looking import load_judge
from scapre.pictures.places import GenerationError
from typer.testing import CliRunner

PEOPLE = """id,type,text,concept,seed
0,erase,a portrait of cat,cat,1
1,erase,cat at sea,cat,2
2,retain,a portrait of dog,dog,1
3,retain,dog at sea,dog,2
4,retain,a portrait of sun,sun,1
"""


class Eye:
    """Stands where CLIP stands: scores red, and has three features."""

    about = "eye"

    def match(self, classes: list[str]) -> dict[str, list[str]]:
        return {}

    def look(self, pictures: list[Image.Image], table: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"clip": self.features(pictures)[:, 0].tolist()})

    def features(self, pictures: list[Image.Image]) -> torch.Tensor:
        rows = [torch.frombuffer(bytearray(p.tobytes()), dtype=torch.uint8).view(-1, 3).float() for p in pictures]
        return torch.stack([row.mean(0) for row in rows]) / 255


@pytest.fixture
def people(tmp_path: Path) -> Path:
    (tmp_path / "people.csv").write_text(PEOPLE)
    return tmp_path / "people.csv"


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    rows = [(9, "a cat on a boat"), (4, " a red car \n"), (9, "a boat"), (7, "dogs in the sun"), (5, "a tree")]
    annotations = [{"image_id": image, "id": i, "caption": caption} for i, (image, caption) in enumerate(rows)]
    (tmp_path / "captions.json").write_text(json.dumps({"info": {}, "images": [], "annotations": annotations}))
    return tmp_path / "captions.json"


def cut_and_continued(monkeypatch: pytest.MonkeyPatch, limit: int, run: Any) -> tuple[pd.DataFrame, int]:
    """Kill a run after ``limit`` batches, run it again, and count the pictures drawn."""
    drawn: list[int] = []
    plain = generation.draw_batch

    def draw(pipe: Any, part: pd.DataFrame, *rest: Any) -> None:
        if len(drawn) == limit:
            drawn.append(0)
            raise KeyboardInterrupt
        plain(pipe, part, *rest)
        drawn.append(len(part))

    monkeypatch.setattr(generation, "draw_batch", draw)
    with pytest.raises(KeyboardInterrupt):
        run()
    return run(), sum(drawn)


def test_people_are_drawn_as_their_list_says(
    studio: Studio, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = find_protocol("celebrities").bring(listed=people)
    protocol = replace(protocol, steps=1)
    assert protocol.targets == ["cat"]
    out = tmp_path / "run"
    table, drawn = cut_and_continued(
        monkeypatch, 3, lambda: run_protocol(protocol, studio, ["uce"], toy_judge(), out, batch=2, workers=1)
    )
    assert drawn == 2 * 5
    listed = pd.read_csv(out / "uce" / "pictures" / "prompts.csv")
    assert listed["prompt"].tolist()[:2] == ["a portrait of cat", "cat at sea"]
    assert listed["evaluation_seed"].tolist() == [1, 2, 1, 2, 1]
    ours = table[table["source"] == HERE].set_index("method")
    assert ours.index.tolist() == ["unedited", "uce"]
    assert ours["overall"].between(0, 100).all()
    assert (ours["unlearn accuracy low"] <= ours["unlearn accuracy"]).all()
    assert with_intervals(table)["overall"].iloc[2:].tolist() == ["89.80", "87.10", "89.60", "91.80", "93.70", "95.50"]
    printed = table[table["source"] != HERE]
    assert printed["method"].tolist() == ["MACE", "MACE", "SPEED", "MACE", "SPEED", "OCE"]
    assert printed["source"].iloc[1] == "printed by SPEED (arXiv 2503.07392), 100 targets, read in the summary"
    assert pd.read_csv(out / TABLE)["method"].tolist() == table["method"].tolist()


def test_captions_cost_what_the_edit_costs_them(
    studio: Studio, captions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "erased.txt").write_text("cat\ndog\n")
    protocol = find_protocol("coco").bring(captions=captions, listed=tmp_path / "erased.txt")
    protocol = replace(protocol, steps=1)
    out = tmp_path / "run"
    table, drawn = cut_and_continued(
        monkeypatch, 1, lambda: run_protocol(protocol, studio, ["uce"], Eye(), out, pictures=3, batch=2, workers=1)
    )
    assert drawn == 2 * 3
    numbers = ["CLIP score", "CLIP score low", "CLIP score high", "FID", "CMMD"]
    assert table.columns.tolist() == ["method", *numbers, "judge", "source"]
    assert (table["CLIP score low"] < table["CLIP score"]).all()
    shown = with_intervals(table)
    assert shown.columns.tolist() == ["method", "CLIP score", "FID", "CMMD", "judge", "source"]
    low, high = table["CLIP score low"].iloc[1], table["CLIP score high"].iloc[1]
    assert shown["CLIP score"].iloc[1].endswith(f" ({low:.1f}–{high:.1f})")
    assert table["method"].tolist() == ["unedited", "uce"]
    assert table["FID"].iloc[0] == pytest.approx(0, abs=1e-6)
    scores = pd.read_csv(out / "uce" / "pictures" / "scores.csv").set_index("metric").loc["CLIP score"]
    assert scores["low"] < scores["value"] < scores["high"]
    assert protocol.prompts(3, [])["case_number"].tolist() == protocol.prompts(3, [])["case_number"].tolist()
    assert estimate(protocol, studio, ["uce"], pictures=3)["pictures"] == 6


def test_captions_stand_beside_the_printed_table_of_the_list_that_is_erased(captions: Path) -> None:
    shipped = find_protocol("coco").bring(captions=captions)
    assert len(shipped.targets) == 10
    rows = shipped.printed().set_index("method")
    assert rows.loc["ScaPre", "CLIP score"] == 30.43
    assert rows.columns.tolist() == ["CLIP score", "source"]
    fifty = find_protocol("coco").bring(captions=captions, listed="artists50")
    assert fifty.printed().set_index("method").loc["ScaPre", "COCO FID"] == 14.37


def test_what_is_missing_is_said_with_where_it_is(people: Path, captions: Path) -> None:
    with pytest.raises(ValueError, match=r"give --list: no list of people is shipped; take .*Ouxiang-Li/SPEED"):
        find_protocol("celebrities").bring()
    with pytest.raises(ValueError, match=r"give --captions: .*captions_val2014.json.*cocodataset.org"):
        find_protocol("coco").bring()
    with pytest.raises(ValueError, match="takes no --captions"):
        find_protocol("celebrities").bring(captions=captions, listed=people)
    with pytest.raises(ValueError, match="takes no --list"):
        find_protocol("imagenette").bring(listed=people)
    with pytest.raises(GenerationError, match=r"Giphy/celeb-detection-oss.*give --judge clip, or the folder"):
        load_judge("giphy")


def test_the_command_stops_before_the_work_with_one_sentence(people: Path, tmp_path: Path) -> None:
    def say(*words: str) -> str:
        result = CliRunner().invoke(app, ["protocol", *words])
        assert result.exit_code == 1
        return result.output

    assert "give --captions: COCO's are not shipped" in say("coco", "--dry")
    assert "give --list: no list of people is shipped" in say("celebrities", "--dry")
    run = tmp_path / "run"
    assert "no model that transformers reads" in say("celebrities", "--list", str(people), "--out", str(run))
    assert not (run / "unedited").exists()


def test_captions_are_read_as_they_are_published(captions: Path, tmp_path: Path) -> None:
    table = read_captions(captions)
    assert table["case_number"].tolist() == table["evaluation_seed"].tolist() == [4, 5, 7, 9]
    assert table["prompt"].tolist() == ["a red car", "a tree", "dogs in the sun", "a cat on a boat"]
    (tmp_path / "few.csv").write_text("image_id,caption,class\n3,a tree,tree\n")
    assert read_captions(tmp_path / "few.csv")[["case_number", "class"]].to_numpy().tolist() == [[3, ""]]
    (tmp_path / "boxes.json").write_text('{"annotations": [{"image_id": 1, "bbox": []}]}')
    with pytest.raises(PromptError, match=r"boxes.json holds annotations but no captions"):
        read_captions(tmp_path / "boxes.json")
    (tmp_path / "none.json").write_text('{"annotations": []}')
    with pytest.raises(PromptError, match="holds no captions"):
        read_captions(tmp_path / "none.json")
    (tmp_path / "cut.json").write_text('{"annotations": [')
    with pytest.raises(PromptError, match="no intact JSON"):
        read_captions(tmp_path / "cut.json")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("text,concept\na cat,cat\n", "a column type"),
        ("type,text,concept\nerase,a cat,\n", "a concept in every row"),
        ("type,text,concept\nerase,a cat,cat\n", "erase in some rows"),
    ],
)
def test_a_list_that_does_not_tell_its_sides_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(PromptError, match=said):
        read_sided(tmp_path / "list.csv")
