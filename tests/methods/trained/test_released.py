"""One step beside released code: losses and gradient norms computed with it on the same toy (conformance/README)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from scapre.methods.trained.concept_ablation import ConceptAblation
from scapre.methods.trained.esd import Esd
from scapre.methods.trained.forget_me_not import ForgetMeNot
from scapre.methods.trained.loop import gradients
from scapre.methods.trained.lora import composed
from scapre.methods.trained.salun import SalUn
from scapre.methods.trained.spm import Spm
from scapre.methods.trained.student import apprentice, trained_names
from torch import Tensor
from trained_toys import first_batch, opened, tiny_pipeline

RELEASED = json.loads((Path(__file__).parents[2] / "conformance" / "trained.json").read_text())
CASES: dict[str, tuple[type, dict[str, Any], float]] = {
    "forget-me-not use_pooler=True": (ForgetMeNot, {"batch": 1}, 0.0),
    "forget-me-not use_pooler=False": (ForgetMeNot, {"batch": 1, "use_pooler": False}, 0.0),
    "concept-ablation prior=0.0": (ConceptAblation, {}, 0.0),
    # the released code sums the first term over four channels, so its prior weight 1 is a quarter of ours
    "concept-ablation prior=1.0": (ConceptAblation, {"prior": 0.25}, 0.0),
    "spm": (Spm, {"surrogates": 4}, 0.05),
    "salun": (SalUn, {}, 0.02),  # masked, so that the mask is theirs too
    "esd code-2025": (Esd, {"formula": "code-2025", "eta": 2.0}, 0.02),
}


def noise(like: dict[str, Tensor], size: float, seed: int) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {name: size * torch.randn(p.shape, generator=draw, dtype=p.dtype) for name, p in like.items()}


@pytest.mark.parametrize("name", CASES)
def test_a_step_is_that_of_the_released_code(name: str) -> None:
    kind, settings, size = CASES[name]
    eraser = opened(kind, tiny_pipeline(torch.float64), **settings)
    eraser.begin()
    batch = first_batch(eraser)
    with torch.no_grad():  # moved, so that no difference is zero; adapters start from the noise itself
        for key, part in noise(dict(eraser.parameters), size, 3).items() if size else ():
            eraser.parameters[key].copy_(part if kind is Spm else eraser.parameters[key] + part)
    losses = eraser.losses(batch)
    assert sum(float(loss.detach()) for loss in losses) == pytest.approx(RELEASED[name]["loss"], rel=1e-6)
    found = dict(zip(eraser.parameters, eraser.combine(gradients(eraser, losses)), strict=True))
    norms = {key: float(part.norm()) for key, part in found.items() if part is not None}
    expected = RELEASED[name]["gradient_norms"]
    assert norms == {key: pytest.approx(expected[key], rel=1e-5, abs=1e-12) for key in norms}
    assert all(value < 1e-12 for key, value in expected.items() if key not in norms)


@torch.no_grad()
def test_composition_as_released_is_that_of_the_released_code() -> None:
    eraser = opened(Spm, tiny_pipeline(torch.float64))
    eraser.begin()
    batch, states = first_batch(eraser), [noise(dict(eraser.parameters), 0.05, seed) for seed in (5, 6)]
    unet = eraser.denoiser.unet
    for summed in (True, False):
        merged = apprentice(unet, set(trained_names(unet, "unet")))
        for module in eraser.modules:
            ups, downs = ([state[f"{module}.{side}"] for state in states] for side in ("up", "down"))
            weight = merged.get_parameter(f"{module}.weight")
            weight += composed(ups, downs, [0.7, 0.9], summed=summed).view_as(weight)
        answer = eraser.denoiser.predict(merged, batch["x"], batch["t"], eraser.denoiser.text(batch["c"]))
        right = float(answer.norm()) == pytest.approx(RELEASED["spm composition"]["output_norm"], rel=1e-7)
        assert right == summed
