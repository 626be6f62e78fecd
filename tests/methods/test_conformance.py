"""What ``scapre.erase`` computes is what the released code computes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import scapre
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file
from transformers import CLIPTextModel, PreTrainedTokenizerFast

FOLDER = Path(os.environ.get("SCAPRE_CONFORMANCE", Path(__file__).parents[1] / "conformance"))
CASES = json.loads((FOLDER / "cases.json").read_text())
PEERS = json.loads((FOLDER / "peers.json").read_text())["cases"]
RENAMED = {
    "lamb": "ridge",
    "use_mi_softmask": "use_mask",
    "enable_ased": "spectral_gate",
    "preserve_scale": "retain_scale",
}


@pytest.fixture(scope="module")
def pipe() -> SimpleNamespace:
    folder = FOLDER / "pipeline"
    return SimpleNamespace(
        unet=UNet2DConditionModel.from_pretrained(folder / "unet", use_safetensors=True),
        text_encoder=CLIPTextModel.from_pretrained(folder / "text_encoder").eval(),
        tokenizer=PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer"),
        device=torch.device("cpu"),
    )


@pytest.mark.parametrize("name", CASES)
def test_released_results_are_reproduced(pipe: SimpleNamespace, name: str) -> None:
    case = dict(CASES[name])
    method = case.pop("formulation")
    method = method if method == "uce" else f"scapre-{method}"
    targets, anchors = case.pop("concepts"), case.pop("anchors", None) or case.pop("target", " ")
    for key in ("target", "with_to_k"):
        case.pop(key, None)
    settings = {RENAMED.get(k, k): v for k, v in case.items()}
    if method == "scapre-scale":
        settings = {"use_mask": False, "bures_iters": 0} | settings  # omitted settings are off
    retained = settings.pop("retained", ())
    patch = scapre.erase(pipe, targets, anchors=anchors, retained=retained, method=method, progress=False, **settings)
    expected = load_file(FOLDER / f"{name}.safetensors")
    assert set(patch.edited) == set(expected)
    for key, weight in patch.edited.items():
        error = (weight - expected[key]).norm() / expected[key].norm()
        assert error <= 5e-4, f"{key}: {error:.2e}"
        assert (patch.original[key] - expected[key]).norm() / expected[key].norm() > 1e-2


@pytest.mark.parametrize("name", PEERS)
def test_released_peers_are_reproduced(pipe: SimpleNamespace, name: str) -> None:
    case = PEERS[name]
    patch = scapre.erase(
        pipe,
        case["concepts"],
        anchors=case["anchors"],
        retained=case["retained"],
        method=case["method"],
        templates=case["templates"],
        seed=case.get("seed", 0),
        progress=False,
        **case["scapre_settings"],
    )
    expected = load_file(FOLDER / f"{name}.safetensors")
    assert set(patch.edited) == set(expected)
    for key, weight in patch.edited.items():
        change = (expected[key].double() - patch.original[key].double()).norm()
        error = (weight.double() - expected[key].double()).norm() / change
        assert error <= 1e-5, f"{key}: {error:.2e}"
        assert change > 1e-2 * patch.original[key].norm()
