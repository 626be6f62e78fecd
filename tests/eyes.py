"""What judging is tested with: networks of a line behind the code that asks real ones, and plain pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
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


def drawn(
    folder: Path,
    reds: list[int],
    targets: list[str],
    classes: tuple[str, ...] = ("red", "red", "blue", "blue"),
    size: int = 4,
):
    """Make a folder of plain pictures, as ``generate`` leaves one."""
    folder.mkdir()
    rows = pd.DataFrame({"case_number": range(len(classes)), "prompt": [f"a {c}" for c in classes], "class": classes})
    rows.assign(evaluation_seed=0).to_csv(folder / "prompts.csv", index=False)
    patch = {"targets": targets} if targets else None
    (folder / "generation.json").write_text(json.dumps({"samples": 1, "edits": [], "patch": patch}))
    for i, red in enumerate(reds):
        Image.new("RGB", (size, size), (red, 9, 9)).save(folder / f"{i}_0.png")
    return folder
