"""What pictures are made from: half precision that breaks, safety checkers, models of one name, several GPUs."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import scapre
import torch
from scapre.model.fingerprint import model_sample
from scapre.model.sampling import sample
from scapre.patch.edits import EDITS, edits_of
from scapre.pictures import farm
from scapre.pictures.generation import draw_batch
from scapre.pictures.places import RECORD, GenerationError
from scapre.pictures.record import erased, open_folder, read_record
from toys import tiny_pipe

PROMPTS = pd.DataFrame(
    {
        "case_number": [0, 1],
        "prompt": ["cat", "dog"],
        "evaluation_seed": [0, 1],
        "class": ["", ""],
        "evaluation_guidance": [float("nan")] * 2,
    }
)
USUAL = {"samples": 1, "steps": 2, "guidance": 3.0}


class Stub(SimpleNamespace):
    """A pipeline of a toy's parts that draws what it is told."""

    def __call__(self, prompts: list[str], **_: Any) -> SimpleNamespace:
        self.seen = self.safety_checker
        pictures = torch.full((len(prompts), 3, 4, 4), 0.5)
        if "dog" in prompts:
            pictures[prompts.index("dog"), 0, 0, 0] = self.value
        return SimpleNamespace(images=pictures)


@pytest.fixture
def pipe() -> Stub:
    parts = vars(tiny_pipe())
    return Stub(**parts, value=torch.nan, safety_checker=None, name_or_path="")


def test_nan_is_no_black_picture(pipe: Stub, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"draws NaN for 'dog'.*--dtype float32 or bfloat16"):
        sample(pipe, ["cat", "dog"], [0, 1])
    pictures = open_folder(tmp_path, PROMPTS, pipe, None, **USUAL)
    with pytest.raises(ValueError, match="draws NaN"):
        draw_batch(pipe, pictures, tmp_path, 2)
    assert not list(tmp_path.glob("*.png"))
    pipe.value = 0.0
    draw_batch(pipe, pictures, tmp_path, 2)
    assert len(list(tmp_path.glob("*.png"))) == 2


def test_a_safety_checker_is_off_while_drawing_and_said(pipe: Stub, tmp_path: Path) -> None:
    pipe.value, checker = 0.0, object()
    pipe.safety_checker = checker
    sample(pipe, ["cat"], [0])
    assert pipe.seen is None
    assert pipe.safety_checker is checker
    open_folder(tmp_path, PROMPTS, pipe, None, **USUAL)
    assert read_record(tmp_path)["safety_checker"] == "off while drawing"


def test_resuming_notices_what_changed(pipe: Stub, tmp_path: Path) -> None:
    open_folder(tmp_path, PROMPTS, pipe, None, **USUAL)
    assert len(open_folder(tmp_path, PROMPTS, pipe, None, **USUAL)) == 2
    patch = scapre.erase(pipe, ["cat"], progress=False)
    others = {
        "weights": (Stub(**vars(tiny_pipe(seed=1)), safety_checker=None, name_or_path=""), None),
        "weights, dtype": (Stub(**vars(tiny_pipe(dtype=torch.bfloat16)), safety_checker=None, name_or_path=""), None),
        "scheduler": (Stub(**vars(pipe), scheduler=SimpleNamespace(config={"beta": 1})), None),
        "weights, patch": (pipe, patch),  # hashed without what the patch changes
    }
    for keys, (other, edit) in others.items():
        with pytest.raises(GenerationError, match=rf"other prompts or settings \({RECORD}: {keys}\)"):
            open_folder(tmp_path, PROMPTS, other, edit, **USUAL)
    with pytest.raises(GenerationError, match=r"prompts.csv"):
        open_folder(tmp_path, PROMPTS.iloc[:1], pipe, None, **USUAL)
    (tmp_path / RECORD).write_text('{"model":')
    with pytest.raises(GenerationError, match="is damaged"):
        open_folder(tmp_path, PROMPTS, pipe, None, **USUAL)


def test_an_edit_in_effect_does_not_make_another_model(pipe: Stub) -> None:
    patch = scapre.erase(pipe, ["cat"], progress=False)
    before = model_sample(pipe, patch.edited)
    with patch.applied(pipe):
        assert model_sample(pipe, patch.edited) == before
        assert model_sample(pipe) != model_sample(pipe, patch.edited)


def test_targets_of_an_edited_folder_count_as_erased(pipe: Stub, tmp_path: Path) -> None:
    assert edits_of(pipe) == []
    pipe.name_or_path = str(tmp_path)
    (tmp_path / EDITS).write_text(json.dumps([{"targets": ["Cat"], "sha256": "", "applied": 0.5}]))
    open_folder(tmp_path / "drawn", PROMPTS, pipe, None, **USUAL)
    assert erased(read_record(tmp_path / "drawn")) == {"cat"}
    for text in ("[", "{}x", '[{"targets": "cat"}]', "[3]"):
        (tmp_path / EDITS).write_text(text)
        with pytest.raises(ValueError, match="is damaged"):
            edits_of(pipe)


def test_workers_share_the_accelerators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    seen = []
    for number in range(4):
        monkeypatch.setenv("SCAPRE_WORKER", str(number))
        seen.append(farm.own_device("cuda"))
    assert seen == ["cuda:0", "cuda:1", "cuda:2", "cuda:0"]
    assert farm.own_device("cuda:1") == "cuda:1"
    assert farm.own_device("cpu") == "cpu"
    assert (farm.accelerators("cuda"), farm.accelerators("cuda:1"), farm.accelerators("cpu")) == (3, 1, 1)
