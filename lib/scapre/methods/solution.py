"""What every solver returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from scapre.text.statistics import ConceptStatistics

#: a solver of one prompt set: original weight (d_out, d) in float64 → its edit
Solver = Callable[[Tensor], "Solution"]


@dataclass(frozen=True)
class Solution:
    """An edited weight ``(d_out, d)`` and what the solver knows about it."""

    weight: Tensor
    facts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Read:
    """Features behind an edited encoder: targets ``(m, d)``, some kept concepts ``(r, d)`` before and now."""

    targets: Tensor
    kept: Tensor
    kept_now: Tensor


@dataclass(frozen=True)
class Wish:
    """What is asked of a method that edits a pipeline as a whole.

    Attributes:
        targets: names to forget, m.
        anchors: what replaces each, m prompts; a blank is ``" "``.
        retained: names to keep.
        sentences: what every name is put into, with a ``{}`` for the name.
    """

    targets: tuple[str, ...]
    anchors: tuple[str, ...]
    retained: tuple[str, ...]
    sentences: tuple[str, ...]


#: ``(pipe, wish, *, seed, progress, **settings)`` → edited weights by name (``scapre.model.weights``);
#: the pipeline is as it was when the call returns
Editor = Callable[..., dict[str, Tensor]]


def diagnose(
    original: Tensor, solution: Solution, statistics: ConceptStatistics, now: Read | None = None
) -> dict[str, float]:
    """Describe an edit in relative numbers.

    drift = ‖W − W₀‖ / ‖W₀‖; residual = ‖W Cᵀ − W₀ C*ᵀ‖ / ‖W₀ Cᵀ − W₀ C*ᵀ‖ (1: nothing
    forgotten, 0: targets answer exactly as their anchors); retained drift =
    ‖W Rᵀ − W₀ Rᵀ‖ / ‖W₀ Rᵀ‖. Behind an edited text encoder W reads what is in ``now``.
    """
    edited, told = solution.weight, statistics.targets
    kept = kept_now = statistics.retained
    if now is not None:
        told, kept, kept_now = now.targets, now.kept, now.kept_now
    goal = original @ (statistics.targets - statistics.anchors).T
    facts = {
        "drift": _ratio(edited - original, original),
        "residual": _ratio(edited @ told.T - original @ statistics.anchors.T, goal),
    }
    if len(kept):
        facts["retained_drift"] = _ratio(edited @ kept_now.T - original @ kept.T, original @ kept.T)
    return facts | solution.facts


def _ratio(part: Tensor, whole: Tensor) -> float:
    return float(part.norm() / whole.norm().clamp(min=torch.finfo(whole.dtype).tiny))


def condition_number(matrix: Tensor) -> float:
    """κ = σ_max / σ_min of a symmetric positive definite matrix."""
    values = torch.linalg.eigvalsh(matrix)
    return float(values[-1] / values[0].clamp(min=torch.finfo(values.dtype).tiny))
