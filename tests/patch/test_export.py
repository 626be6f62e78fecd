"""What leaves the workbook is loaded by stock diffusers, with no scapre on that side."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import scapre
from huggingface_hub import ModelCard
from safetensors.torch import load_file
from scapre.patch.card import base_licence
from scapre.patch.export import error_curve, export
from scapre.paths import model_folder

LOAD = """
import sys
from diffusers import DiffusionPipeline
from safetensors.torch import save_file
base, folder, form, out = sys.argv[1:]
pipe = DiffusionPipeline.from_pretrained(folder if form == "pipeline" else base, use_safetensors=True)
if form in ("lora", "dora", "webui"):
    pipe.load_lora_weights(folder, weight_name="scapre-webui.safetensors" if form == "webui" else None)
    pipe.fuse_lora()
    pipe.unload_lora_weights()
text = {f"text_encoder.{k}": v.clone() for k, v in pipe.text_encoder.state_dict().items()}
save_file({k: v.contiguous() for k, v in (pipe.unet.state_dict() | text).items()}, out)
assert "scapre" not in sys.modules
"""


@pytest.fixture(scope="module")
def pipe() -> Any:
    return scapre.load_pipeline()


@pytest.fixture(scope="module")
def patch(pipe: Any) -> scapre.Patch:
    return scapre.erase(pipe, ["dog", "lemon"], retained=["cat"], method="confined", templates="name", progress=False)


@pytest.fixture(scope="module")
def both(pipe: Any) -> scapre.Patch:
    return scapre.erase(pipe, ["dog", "lemon"], retained=["cat"], progress=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("made", "form", "tolerance"),
    [
        ("patch", "lora", 0.05),
        ("patch", "dora", 1e-5),
        ("both", "lora", 0.05),
        ("both", "webui", 0.05),
        ("both", "pipeline", 1e-6),
    ],
)
def test_stock_diffusers_loads_it(
    pipe: Any, made: str, request: pytest.FixtureRequest, tmp_path: Path, form: str, tolerance: float
) -> None:
    patch = request.getfixturevalue(made)
    folder, out = tmp_path / "shared", tmp_path / "loaded.safetensors"
    table = export(patch, folder, form, pipe=pipe, tolerance=tolerance)
    env = {**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", LOAD, model_folder(), folder, form, out]
    subprocess.run(command, env=env, cwd=tmp_path, check=True, capture_output=True)
    text = {f"text_encoder.{name}": weight for name, weight in pipe.text_encoder.state_dict().items()}
    loaded, before = load_file(out), pipe.unet.state_dict() | text
    assert set(patch.changed) <= set(loaded)
    for name, weight in loaded.items():
        wanted = patch.edited.get(name, before[name])
        if name not in patch.edited:
            assert weight.equal(wanted), name
            continue
        error = float((weight - wanted).norm() / (wanted - before[name]).norm())
        assert error <= 2 * tolerance, f"{name}: {error:.1e}"
    if table is None:
        assert all(weight.equal(patch.edited[name]) for name, weight in loaded.items() if name in patch.edited)
    else:
        assert table["error"].max() <= tolerance
        if made == "patch":
            # dora: the contexts of two targets span at most 2 · 15 directions
            assert table["rank"].max() <= (30 if form == "dora" else 10)


def test_the_card_names_what_matters(pipe: Any, patch: scapre.Patch, tmp_path: Path) -> None:
    metrics = pd.DataFrame([("unlearn accuracy", 1.5)], columns=["metric", "value"])
    export(patch, tmp_path / "shared", "patch", pipe=pipe, metrics=metrics)
    card = ModelCard.load(tmp_path / "shared" / "README.md")
    assert card.data.license == base_licence(model_folder()) == "mit"
    assert card.data.base_model == "emoji-sd"
    assert card.data.base_model_relation == "adapter"
    assert card.data.eval_results[0].metric_value == 1.5
    for words in (
        "dog, lemon",
        f"ridge {patch.provenance['settings']['ridge']}",
        "IP-Adapter",
        "undoes the edit exactly",
        "torch 2.",
    ):
        assert words in card.text
    assert "add_embedding" not in card.text  # only SDXL has that path
    assert not list((tmp_path / "shared").glob("*.undo.*"))
    scapre.Patch.load(tmp_path / "shared" / "patch.safetensors").remember(pipe)


def test_an_unknown_licence_is_said(patch: scapre.Patch, tmp_path: Path) -> None:
    export(patch, tmp_path / "shared", "lora", rank=1)
    card = ModelCard.load(tmp_path / "shared" / "README.md")
    assert card.data.license == "other"
    assert "look it up" in card.text


def test_a_weaker_edit_is_exact_at_the_same_rank(pipe: Any, patch: scapre.Patch, tmp_path: Path) -> None:
    whole = export(patch, tmp_path / "whole", "dora", tolerance=1e-5)
    half = export(patch.scaled(0.5), tmp_path / "half", "dora", tolerance=1e-5)
    assert half is not None
    assert whole is not None
    assert half["error"].max() <= 1e-5
    assert half["rank"].max() <= whole["rank"].max() + 1


def test_errors_fall_with_the_rank(patch: scapre.Patch) -> None:
    table = error_curve(patch, [1, 4, 16])
    for _, part in table.groupby("form"):
        assert part["error"].is_monotonic_decreasing
        assert part["error"].iloc[0] > 0.1


def test_exports_that_cannot_be_made(pipe: Any, patch: scapre.Patch, tmp_path: Path) -> None:
    for arguments, words in (
        ({"form": "onnx"}, "unknown form 'onnx'; known: patch"),
        ({"form": "pipeline"}, "needs the base model"),
        ({"rank": 0}, "at least 1"),
        ({"tolerance": 0.0}, "between 0 and 1"),
    ):
        with pytest.raises(ValueError, match=words):
            export(patch, tmp_path / "shared", **arguments)
    (tmp_path / "taken").mkdir()
    with pytest.raises(FileExistsError, match="exists already"):
        export(patch, tmp_path / "taken")
    with pytest.raises(scapre.PatchError, match="changes nothing"):
        export(patch.scaled(0), tmp_path / "nothing")
    file = patch.save(tmp_path / "p.safetensors", undo=False)
    with pytest.raises(scapre.PatchError, match="not at hand"):
        export(scapre.Patch.load(file), tmp_path / "bare")
    export(scapre.Patch.load(file), tmp_path / "met", pipe=pipe)
    assert (tmp_path / "met" / "README.md").is_file()
