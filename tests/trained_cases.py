"""Every eraser that trains, beside its formula written out and what its teacher is declared to be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import trained_formulas as formulas
from scapre.methods.trained.concept_ablation import ConceptAblation
from scapre.methods.trained.eraser import Eraser
from scapre.methods.trained.esd import Esd
from scapre.methods.trained.forget_me_not import ForgetMeNot
from scapre.methods.trained.mace import Mace
from scapre.methods.trained.restricted_gradient import RestrictedGradient
from scapre.methods.trained.salun import SalUn
from scapre.methods.trained.sculpting_memory import SculptingMemory
from scapre.methods.trained.spm import Spm
from scapre.methods.trained.surgun import SurgUn
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Case:
    kind: type[Eraser]
    formula: Callable[..., Tensor]
    teacher: str  # frozen, current, or none
    settings: dict[str, Any] = field(default_factory=dict)
    step: int = 0  # where the formula holds


CASES = {
    "esd": Case(Esd, formulas.esd, "none"),
    "esd-2025": Case(Esd, formulas.esd, "none", {"formula": "code-2025", "eta": 2.5}),
    "concept-ablation": Case(ConceptAblation, formulas.concept_ablation, "current"),
    "concept-ablation-prior": Case(
        ConceptAblation, formulas.concept_ablation, "frozen", {"teacher": "frozen", "prior": 1.0}
    ),
    "forget-me-not": Case(ForgetMeNot, formulas.forget_me_not, "none"),
    "forget-me-not-word": Case(ForgetMeNot, formulas.forget_me_not, "none", {"use_pooler": False}),
    "sculpting-memory": Case(SculptingMemory, formulas.reassigned, "current", step=1),
    "sculpting-memory-warm-up": Case(SculptingMemory, formulas.warm_up, "none"),
    "sculpting-memory-distilled": Case(SculptingMemory, formulas.reassigned, "current", {"distillation": 2.0}, step=1),
    "restricted-gradient": Case(RestrictedGradient, formulas.restricted_gradient, "none", {"bound": 9.0}),
    "surgun": Case(SurgUn, formulas.surgun, "none", {"distractors": 2}),
    "surgun-ascent": Case(SurgUn, formulas.surgun, "none", {"distractors": 0}),
    "spm": Case(Spm, formulas.spm, "none"),
    "salun": Case(SalUn, formulas.reassigned, "current"),
    "mace": Case(Mace, formulas.mace, "none"),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
#: one case a method
METHODS = {case.kind.method: case for case in reversed(CASES.values())}
every_method = pytest.mark.parametrize("case", METHODS.values(), ids=METHODS)


def pin_start(eraser: Eraser) -> None:
    """Hold the start token's keys and values where they were, so that a gradient cut there is a true derivative."""
    originals = dict(eraser.denoiser.unet.named_modules())
    for name, module in eraser.student.named_modules():
        if module._forward_hooks:
            module._forward_hooks.clear()
            first = originals[name]

            def hold(module: nn.Module, inputs: Any, output: Tensor, first: nn.Module = first) -> Tensor:
                start = F.linear(inputs[0][:, :1], first.weight.detach())
                return F.pad(start, (0, 0, 0, output.shape[1] - 1)) + F.pad(output[:, 1:], (0, 0, 1, 0))

            module.register_forward_hook(hold)
