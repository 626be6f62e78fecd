"""Networks that judge pictures: what and in which style, and how well a caption fits."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from scapre.paths import judge_folder


class Trunk(nn.Module):
    """Convolutions 32×32 → one feature vector ``(B, width · 4)``."""

    def __init__(self, width: int = 40) -> None:
        super().__init__()
        sizes = (3, width, width * 2, width * 3, width * 4)
        layers: list[nn.Module] = []
        for i, (a, b) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
            layers += [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU()]
            layers += [nn.Conv2d(b, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU()] if i else []
            layers += [nn.MaxPool2d(2)] if i < 3 else []
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 3, 32, 32)`` in [−1, 1] → ``(B, features)``; larger images are averaged down."""
        if images.shape[-1] != 32:
            images = nn.functional.interpolate(images, size=32, mode="area")
        return self.layers(images).mean(dim=(2, 3))


class Judge(nn.Module):
    """One trunk, two heads: the object and the style of a picture."""

    def __init__(self, objects: int, styles: int, width: int = 40) -> None:
        super().__init__()
        self.trunk = Trunk(width)
        self.object, self.style = nn.Linear(width * 4, objects), nn.Linear(width * 4, styles)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, 3, H, W)`` → object logits ``(B, objects)`` and style logits ``(B, styles)``."""
        features = self.trunk(images)
        return self.object(features), self.style(features)


class ImageTower(nn.Module):
    """The image half of the contrastive pair: picture → point on the sphere."""

    def __init__(self, dim: int = 256, width: int = 40) -> None:
        super().__init__()
        self.trunk, self.project = Trunk(width), nn.Linear(width * 4, dim)

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)`` → unit vectors ``(B, dim)``."""
        return nn.functional.normalize(self.project(self.trunk(images)), dim=-1)
