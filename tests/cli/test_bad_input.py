"""Every mistake gets an error that names the thing and the remedy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import scapre
import torch
from scapre import paths
from scapre.concepts import emoji
from scapre.concepts.lists import read_concepts
from scapre.concepts.names import known
from scapre.model.sampling import sample
from scapre.pictures import judges
from toys import tiny_pipe


@pytest.mark.parametrize(
    ("targets", "retained", "words"),
    [
        ([], [], "empty"),
        (["cat", "cat"], [], "cat more than once"),
        (["cat"], ["cat", "dog"], "cat: both target and retained"),
        (["cat", " "], [], "empty name"),
    ],
)
def test_contradictory_lists(targets: list[str], retained: list[str], words: str) -> None:
    with pytest.raises(scapre.ConceptError, match=words):
        scapre.erase(tiny_pipe(), targets, retained=retained)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"method": "magic"}, "unknown method 'magic'; known: staged"),
        ({"lamb": 0.5}, "no setting lamb; it knows blocks"),
        ({"templates": "poems"}, "unknown templates"),
        ({"ridge": 0.0}, "ridge must be positive"),
        ({"method": "confined", "temperature": 0.0}, "temperature must be positive"),
        ({"anchors": ["a", "b", "c"]}, "3 anchors for 2 targets"),
    ],
)
def test_settings(arguments: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        scapre.erase(tiny_pipe(), ["cat", "dog"], progress=False, **arguments)


def test_unknown_concepts_and_files() -> None:
    with pytest.raises(scapre.ConceptError, match="did you mean"):
        known(["lemmon"], ["lemon", "rose"])
    with pytest.raises(scapre.ConceptError, match=r"known: .*imagenette"):
        read_concepts("nothing")


def test_weights_that_are_not_finite() -> None:
    pipe = tiny_pipe()
    dict(pipe.unet.named_parameters())["down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight"].data[
        0, 0
    ] = torch.nan
    with pytest.raises(ValueError, match=r"to_k.weight holds NaN"):
        scapre.erase(pipe, ["cat"], progress=False)


def test_models_missing_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no model folder"):
        scapre.load_pipeline(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match="model_index"):
        scapre.load_pipeline(tmp_path)
    with pytest.raises(ValueError, match="dtype"):
        scapre.load_pipeline(dtype=torch.int8)
    copy = shutil.copytree(paths.model_folder(), tmp_path / "cut")
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises((ValueError, FileNotFoundError), match="cut"):
        scapre.load_pipeline(copy)
    weights.unlink()
    with pytest.raises(FileNotFoundError, match="incomplete"):
        scapre.load_pipeline(copy)


def test_judges_missing_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="judge"):
        judges.load_judges(tmp_path)
    for name in ("judge", "captioner"):
        (tmp_path / f"{name}.safetensors").write_bytes(
            (paths.judge_folder() / f"{name}.safetensors").read_bytes()[:400]
        )
    with pytest.raises(ValueError, match="damaged"):
        judges.load_judges(tmp_path)


def test_emoji_missing_or_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emoji, "data_folder", lambda: tmp_path)
    with pytest.raises(FileNotFoundError, match="build-data"):
        emoji.load_emoji()
    (tmp_path / "emoji").mkdir()
    (tmp_path / "emoji" / "emoji.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(ValueError, match="restore"):
        emoji.load_emoji()


def test_prompts_without_seeds() -> None:
    with pytest.raises(ValueError, match="one seed for each"):
        sample(None, ["a"], [1, 2])
    with pytest.raises(ValueError, match="0 prompts"):
        sample(None, [], [])


def test_pictures_of_the_wrong_type() -> None:
    with pytest.raises(ValueError, match="uint8"):
        judges.to_unit(torch.zeros(2, 3, 32, 32))


def test_an_installation_away_from_the_repository(tmp_path: Path) -> None:
    code = "from scapre.paths import repository; repository()"
    env = {**os.environ, "SCAPRE_ROOT": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode != 0
    assert "not the scapre repository" in result.stderr
