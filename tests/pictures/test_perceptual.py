"""LPIPS by path: its formula, and what is said where its weights are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from eyes import drawn
from PIL import Image
from safetensors.torch import save_file
from scapre.pictures.looking import PairJudge, load_judge
from scapre.pictures.perceptual import BACKBONE, HEADS, SCALE, SHIFT, STAGES, PerceptualJudge
from scapre.pictures.places import GenerationError
from scapre.pictures.scoring import compare
from torch import nn

WIDTHS = (3, 4, 6, 5, 7, 8)  # of VGG-16: 3, 64, 128, 256, 512, 512


def vgg() -> nn.Sequential:
    """VGG-16's features, narrow, as torchvision numbers them."""
    layers: list[nn.Module] = []
    for number, (stage, before, width) in enumerate(zip(STAGES, WIDTHS, WIDTHS[1:], strict=False)):
        layers += [nn.MaxPool2d(2)] if number else []
        for i in range(len(stage)):
            layers += [nn.Conv2d(width if i else before, width, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    weights = {f"features.{name}": weight.data for name, weight in vgg().named_parameters()}
    (tmp_path / "lpips").mkdir()
    save_file(weights | {"head.fc.weight": torch.zeros(2, 2)}, tmp_path / "lpips" / BACKBONE)
    heads = {f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1) for i, c in enumerate(WIDTHS[1:])}
    save_file(heads, tmp_path / "lpips" / HEADS)
    return tmp_path / "lpips"


def pictures(count: int, seed: int) -> list[Image.Image]:
    chance = np.random.default_rng(seed)
    return [Image.fromarray(chance.integers(0, 255, (32, 32, 3), dtype=np.uint8)) for _ in range(count)]


def by_hand(judge: PerceptualJudge, one: Image.Image, other: Image.Image) -> float:
    network = vgg()
    for stage, places in zip(judge.stages, STAGES, strict=True):
        for (weight, bias), place in zip(stage, places, strict=True):
            network[place].weight.data, network[place].bias.data = weight, bias
    total, both = 0.0, []
    for picture in (one, other):
        x = torch.tensor(np.array(picture), dtype=torch.float32).permute(2, 0, 1)[None] / 255 * 2 - 1
        both.append((x - torch.tensor(SHIFT).view(1, 3, 1, 1)) / torch.tensor(SCALE).view(1, 3, 1, 1))
    for layer, module in enumerate(network):
        both = [module(x) for x in both]
        for number, stage in enumerate(STAGES):
            if layer == stage[-1] + 1:  # behind its rectifier
                a, b = (x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10) for x in both)
                total += float(((a - b).square() * judge.heads[number].view(1, -1, 1, 1)).sum(1).mean())
    return total


def test_the_distance_is_that_of_the_paper(folder: Path) -> None:
    judge = load_judge(str(folder))
    assert isinstance(judge, PerceptualJudge)
    assert isinstance(judge, PairJudge)
    one, other = pictures(10, 0), pictures(10, 1)  # more than are compared at once
    found = judge.apart(one, other)
    assert found.shape == (10,)
    with torch.no_grad():
        assert np.allclose(found, [by_hand(judge, a, b) for a, b in zip(one, other, strict=True)], rtol=1e-4)
    assert torch.allclose(found, judge.apart(other, one))
    assert not judge.apart(one, one).any()
    assert judge.look(one, pd.DataFrame()).shape == (10, 0)


def test_folders_are_compared_picture_by_picture_and_side_by_side(folder: Path, tmp_path: Path) -> None:
    edited = drawn(tmp_path / "ours", [10, 20, 200, 60], ["red"], size=32)
    before = drawn(tmp_path / "before", [200, 210, 200, 60], [], size=32)
    table = compare(edited, [before], load_judge(str(folder)))
    assert table.columns.tolist() == ["folder", "unlearn LPIPS", "preserve LPIPS", "judge"]
    assert table["unlearn LPIPS"].iloc[0] > 0
    assert table["preserve LPIPS"].tolist() == [0, 0]
    assert table["unlearn LPIPS"].iloc[1] == 0


def test_what_lpips_needs_is_said(folder: Path) -> None:
    with pytest.raises(GenerationError, match=r"timm/vgg16.tv_in1k.*lpips_models/vgg.pth.*give --judge that folder"):
        load_judge("lpips")
    save_file({"lin0.model.1.weight": torch.rand(1, 9, 1, 1)}, folder / HEADS)
    with pytest.raises(GenerationError, match="no LPIPS can be read from"):
        load_judge(str(folder))
    (folder / BACKBONE).unlink()
    with pytest.raises(GenerationError, match="no LPIPS can be read from"):
        load_judge(str(folder))
