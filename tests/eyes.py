"""Judges for tests: networks of a line, behind the code that asks real ones."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from scapre.pictures.hub_judges import ClassJudge

NAMES = ["cat", "dog", "sun"]


class Labels:
    """Stands where a classifier's model stands: says the first label of dark pictures, else the second."""

    config = type("Config", (), {"id2label": dict(enumerate(NAMES)), "num_labels": len(NAMES)})
    device = torch.device("cpu")

    def __call__(self, pixels: torch.Tensor) -> Any:
        dark = (pixels.flatten(1).mean(1) < 0.5).float()
        return type("Output", (), {"logits": torch.stack([dark, 1 - dark, dark * 0], 1)})


def processor(images: list[Image.Image], return_tensors: str) -> dict[str, torch.Tensor]:
    rows = [torch.frombuffer(bytearray(i.tobytes()), dtype=torch.uint8).float() / 255 for i in images]
    return {"pixel_values": torch.stack(rows)}


def toy_judge() -> ClassJudge:
    return ClassJudge("toy judge", Labels(), processor)
