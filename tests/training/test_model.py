"""What the model card promises of text space, judges and pictures, from the shipped files."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
import scapre
import torch
from diffusers import StableDiffusionPipeline
from scapre.concepts.emoji import STYLES
from scapre.model.sampling import sample
from scapre.paths import data_folder, judge_folder, model_folder
from scapre.pictures.evaluation import accuracy, assess, draw, plan
from scapre.pictures.judges import Judges, load_judges
from scapre.training.card import energy_shares, judge_examination, text_geometry, uce_behaviour


@pytest.fixture(scope="module")
def pipe() -> Any:
    return scapre.load_pipeline()


@pytest.fixture(scope="module")
def judges() -> Judges:
    return load_judges()


def size(folder) -> float:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 2**20


def test_it_is_a_plain_diffusers_pipeline_in_safetensors() -> None:
    plain = StableDiffusionPipeline.from_pretrained(model_folder(), use_safetensors=True)
    assert type(plain).__name__ == "StableDiffusionPipeline"
    assert all("attn2" in "".join(n for n, _ in b.named_modules()) for b in plain.unet.down_blocks)
    assert plain.text_encoder.config.hidden_size >= 384
    assert size(model_folder()) <= 40
    assert size(judge_folder()) <= 5
    assert not [p for p in model_folder().rglob("*") if p.suffix in {".bin", ".pt", ".ckpt", ".pkl"}]


def test_text_space_has_room(pipe: Any, judges: Judges) -> None:
    facts = text_geometry(pipe, judges.objects).set_index("quantity")["value"]
    assert facts["participation ratio"] >= 30
    assert facts["mean pairwise cosine"] <= 0.6
    shares = facts[[k for k in facts.index if k.startswith("energy")]]
    assert abs(shares.sum() - 1) < 1e-6
    assert shares.max() < 0.9


def test_collapsed_features_would_be_noticed() -> None:
    hidden = torch.zeros(5, 4, 3)
    hidden[:, 1] = torch.randn(5, 3)
    assert energy_shares(hidden, torch.ones(5, dtype=torch.long))["content"] == 1


@pytest.mark.slow
def test_judges_know_real_emoji(judges: Judges) -> None:
    table = judge_examination(judges).set_index("head")
    assert table.loc["object", "accuracy"] >= 97
    assert table.loc["style", "accuracy"] >= 97


@pytest.mark.slow
def test_pictures_are_right(pipe: Any, judges: Judges) -> None:
    table = plan(judges.objects[3::25], list(STYLES), [77])
    table = assess(pipe, judges, table, draw(pipe, table, progress=False))
    # a sample of 96; the card has the full count
    assert accuracy(table) >= 80
    assert accuracy(table, "right_style") >= 80


@pytest.mark.slow
def test_a_known_edit_behaves_as_on_stable_diffusion(pipe: Any, judges: Judges) -> None:
    cases = ((True, "styled", (10,)), (False, "name", (10, 50)))
    table = uce_behaviour(pipe, judges, cases, most=1, limit=24).set_index(["kept", "n"])
    # one choice of targets, 24 pictures a side; the committed table, compared below, has them all
    assert table.loc[(True, 10), "unlearn"] <= 25
    assert table.loc[(True, 10), "preserve"] >= 85
    assert table.loc[(False, 50), "preserve"] <= 50
    assert table.loc[(False, 50), "preserve"] < table.loc[(False, 10), "preserve"]


def test_the_whole_measurement_of_that_edit_is_within_the_literature() -> None:
    table = pd.read_csv(data_folder() / "results" / "emoji-sd" / "uce.csv")
    mean = table.groupby(["kept", "templates", "n"])[["unlearn", "preserve"]].mean()
    for n in (1, 5, 10):
        assert mean.loc[(True, "styled", n), "unlearn"] <= 15
        assert mean.loc[(True, "styled", n), "preserve"] >= 90
    declining = mean.loc[(False, "name")]["preserve"]
    assert declining.is_monotonic_decreasing
    assert declining[50] <= 25


def test_a_picture_does_not_depend_on_the_batch(pipe: Any) -> None:
    prompts = ["a picture of a fox in flat style", "a picture of a rose in ink style", "pizza"]
    seeds = [3, 4, 5]
    together = sample(pipe, prompts, seeds, steps=4, progress=False)
    alone = torch.cat([sample(pipe, [p], [s], steps=4, progress=False) for p, s in zip(prompts, seeds, strict=True)])
    # convolutions add in another order in another batch: at most one grey level
    assert (together.int() - alone.int()).abs().max() <= 1
    other = sample(pipe, prompts[:1], [4], steps=4, progress=False)
    assert (other.int() - alone[:1].int()).abs().max() > 20


def test_the_card_reports_the_shipped_tables() -> None:
    card = (model_folder() / "README.md").read_text()
    table = pd.read_csv(data_folder() / "results" / "emoji-sd" / "drawing.csv").set_index("quantity")["value"]
    for quantity in ("object, by name", "style, by name", "object, by alias"):
        assert f"{table[quantity]:.2f}" in card
