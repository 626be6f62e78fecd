"""``kill -9`` at twenty moments of drawing: nothing finished is lost, nothing half-written is read."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import torch
from kills import kill, moments
from PIL import Image
from scapre.pictures.generation import generate
from scapre.pictures.places import LIST, RECORD
from toys import tiny_pipe

COUNT = 60
STYLE = {"steps": 1, "guidance": 1.0, "batch": 2, "progress": False}


class Slow(SimpleNamespace):
    """A pipeline of a toy's parts that takes its time and draws what the seeds say."""

    def __call__(self, prompts: list[str], generator: list[torch.Generator], **_: Any) -> SimpleNamespace:
        time.sleep(0.005)
        return SimpleNamespace(images=torch.stack([torch.rand(3, 64, 64, generator=g) for g in generator]))


def test_drawing_survives_kills(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    pipe = Slow(**vars(tiny_pipe()), name_or_path="")
    prompts = pd.DataFrame({"case_number": range(COUNT), "prompt": "cat", "evaluation_seed": range(COUNT)})
    prompts = prompts.assign(**{"class": "", "evaluation_guidance": float("nan")})
    whole = generate(pipe, prompts, tmp_path / "whole", **STYLE)
    folder, before = tmp_path / "cut", dict[str, int]()

    def drawn(count: int) -> bool:
        return len(list(folder.glob("*.png"))) >= count

    for seconds in moments(0.02):
        target = min(len(before) + 1, COUNT)
        kill(lambda: generate(pipe, prompts, folder, **STYLE), lambda target=target: drawn(target), seconds)
        now = {p.name: p.stat().st_mtime_ns for p in folder.glob("*.png")}
        assert before.items() <= now.items()  # what was drawn is there and was not drawn again
        for name in now:
            Image.open(folder / name).load()
        if (folder / RECORD).is_file():
            json.loads((folder / RECORD).read_text())
        before = now
    generate(pipe, prompts, folder, **STYLE)
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in whole.iterdir())
    for name in [LIST, RECORD, *before]:
        assert (folder / name).read_bytes() == (whole / name).read_bytes()
