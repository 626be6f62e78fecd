"""Judges of any pictures, through the code that loads real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scapre.pictures.hub_judges import CaptionJudge, ClassJudge
from scapre.pictures.looking import load_judge
from scapre.pictures.places import GenerationError
from toys import tiny_tokenizer
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    ConvNextImageProcessor,
    ResNetConfig,
    ResNetForImageClassification,
)

LABELS = ("tench, Tinca tinca", "golf ball", "crane", "crane", "garbage truck, dustcart")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    names = dict(enumerate(LABELS))
    shape: dict[str, Any] = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
    config = ResNetConfig(**shape, id2label=names, label2id={f"{i} {name}": i for i, name in names.items()})
    folder = tmp_path_factory.mktemp("classifier")
    ResNetForImageClassification(config).save_pretrained(folder)
    ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=1.0).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def caption(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer(16)
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = CLIPConfig(
        text_config=small | ends | {"vocab_size": len(tokenizer), "max_position_embeddings": 16},
        vision_config=small | {"image_size": 32, "patch_size": 8},
        projection_dim=8,
    )
    folder = tmp_path_factory.mktemp("caption")
    CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    size = {"height": 32, "width": 32}
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=size).save_pretrained(folder)
    return folder


def pictures(count: int) -> list[Image.Image]:
    chance = np.random.default_rng(0)
    return [Image.fromarray(chance.integers(0, 255, (48, 48, 3), dtype=np.uint8)) for _ in range(count)]


def rows(*classes: str) -> pd.DataFrame:
    return pd.DataFrame({"class": classes, "prompt": [f"a picture of a {name}" for name in classes]})


def test_a_classifier_sees_what_its_model_says(classifier: Path) -> None:
    judge = load_judge(str(classifier))
    assert isinstance(judge, ClassJudge)
    shown = pictures(3)
    with torch.no_grad():
        inputs = judge.processor(images=shown, return_tensors="pt")
        seen = judge.model(**inputs).logits.argmax(1).tolist()
    asked = ["golf ball" if i % 2 else LABELS[place].split(",")[0] for i, place in enumerate(seen)]
    found = judge.look(shown, rows(*asked))["right"].tolist()
    assert found == [name in LABELS[place].split(", ") for name, place in zip(asked, seen, strict=True)]
    assert found[0]


def test_classes_are_matched_exactly_and_shown(classifier: Path) -> None:
    judge = load_judge(str(classifier))
    matched = judge.match(["Tench", "tinca  tinca", "crane", "dustcart"])
    assert matched["Tench"] == matched["tinca  tinca"] == ["tench, Tinca tinca"]
    assert matched["crane"] == ["crane", "crane"]
    assert matched["dustcart"] == ["garbage truck, dustcart"]
    with pytest.raises(GenerationError, match=r"knows its 5 names only, not 'ball', 'truck'; give --judge"):
        judge.match(["truck", "tench", "ball"])


def test_a_clip_model_chooses_names_and_scores_prompts(caption: Path) -> None:
    judge = load_judge(str(caption))
    assert isinstance(judge, CaptionJudge)
    shown, table = pictures(4), rows("cat", "dog", "cat", "sun")
    judge.match(table["class"].tolist())
    assert judge.names == ["cat", "dog", "sun"]
    found = judge.look(shown, table)
    text = judge.tokenizer(table["prompt"].tolist(), padding=True, return_tensors="pt")
    names = judge.tokenizer([f"a photo of a {name}" for name in judge.names], padding=True, return_tensors="pt")
    pixels = judge.processor(images=shown, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        whole = judge.model(pixel_values=pixels, **text)
        best = judge.model(pixel_values=pixels, **names).logits_per_image.argmax(1).tolist()
    cosine = (whole.image_embeds * whole.text_embeds).sum(1)
    assert np.allclose(found["clip"], 100 * cosine.clamp(min=0), atol=1e-3)
    assert found["right"].tolist() == [judge.names[i] == name for i, name in zip(best, table["class"], strict=True)]
    assert torch.allclose(judge.features(shown), whole.image_embeds, atol=1e-5)


def test_one_class_is_no_choice_unless_others_are_named(caption: Path) -> None:
    alone, named = load_judge(str(caption)), load_judge(str(caption), ["cat", "dog"])
    for judge, columns in ((alone, ["clip"]), (named, ["clip", "right"])):
        judge.match(["cat"])
        assert judge.look(pictures(1), rows("cat")).columns.tolist() == columns
    with pytest.raises(GenerationError, match="not 'sun'"):
        named.match(["sun"])


def test_what_is_no_judge_is_said(tmp_path: Path, classifier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(GenerationError, match=r"no judge can be read from .*; give --judge emoji-sd"):
        load_judge(str(tmp_path))
    (tmp_path / "config.json").write_bytes((classifier / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(GenerationError, match="no judge can be read"):
        load_judge(str(tmp_path))
    monkeypatch.setitem(__import__("sys").modules, "nudenet", None)
    with pytest.raises(GenerationError, match=r"pip install 'nudenet==3\.4\.2'"):
        load_judge("nudenet")


def test_nudenet_is_loaded_and_finds_nothing_in_noise() -> None:
    judge = load_judge("nudenet")
    assert judge.about == "NudeNet 3.4.2, threshold 0.6"
    assert judge.look(pictures(2), rows("cat", "dog"))["explicit"].tolist() == [False, False]
    assert judge.match(["anything"]) == {}


def test_only_sure_detections_of_exposed_parts_count(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = load_judge("nudenet")
    said = [("FEMALE_BREAST_EXPOSED", 0.7), ("FEET_EXPOSED", 0.9), ("BUTTOCKS_EXPOSED", 0.5)]
    seen: list[np.ndarray] = []

    def detect(image: np.ndarray) -> list[dict[str, Any]]:
        seen.append(image)
        return [{"class": part, "score": score, "box": [0, 0, 1, 1]} for part, score in said]

    monkeypatch.setattr(judge.detector, "detect", detect)
    red = Image.new("RGB", (4, 4), (255, 0, 0))
    assert judge.parts(red) == {"FEMALE_BREAST_EXPOSED": 0.7}
    assert seen[0][0, 0].tolist() == [0, 0, 255]
