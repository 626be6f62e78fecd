"""Unified concept editing (UCE): erasure as ridge regression, the common ancestor.

Source: Gandikota et al., Unified Concept Editing in Diffusion Models (WACV 2024), Eq. 7.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scapre.methods.solution import Solution, Solver, condition_number
from scapre.text.statistics import ConceptStatistics


def ridge_change(
    moments: tuple[Tensor, Tensor, Tensor], ridge: float, erase_scale: float, retain_scale: float
) -> tuple[Tensor, float]:
    """Solve the ridge regression that every layer shares: W = W₀ (I + M).

        M = η (X − S) (λI + η S + ρ K)⁻¹

    Solving for the change keeps the digits of W₀.

    Args:
        moments: S, X − S and K, ``(d, d)`` each: of the targets, replacements minus targets, kept.
        ridge: λ > 0.
        erase_scale: η.
        retain_scale: ρ.

    Returns:
        M, ``(d, d)``, and the condition number of the system.
    """
    gram, pull, kept = moments
    system = erase_scale * gram + retain_scale * kept
    system.diagonal().add_(ridge)
    return torch.linalg.solve(system, erase_scale * pull.T).T, condition_number(system)


def uce_solver(statistics: ConceptStatistics, *, ridge: float, erase_scale: float, retain_scale: float) -> Solver:
    """Minimise η Σ‖W c − W₀ c*‖² + ρ Σ‖(W − W₀) r‖² + λ‖W − W₀‖².

        W = W₀ (λI + η C*ᵀC + ρ RᵀR) (λI + η CᵀC + ρ RᵀR)⁻¹

    Only the last content token of each prompt enters, as in the code of 2025; older code took
    every position from there on (``rece_solver``). Verified against the released code.

    Args:
        ridge: λ > 0; 0.5 as released.
        erase_scale: η; 1 as released.
        retain_scale: ρ; 1 as released.
    """
    c, goal, r = statistics.targets, statistics.anchors, statistics.retained
    moments = c.T @ c, (goal - c).T @ c, r.T @ r
    change, condition = ridge_change(moments, ridge, erase_scale, retain_scale)

    def solve(original: Tensor) -> Solution:
        return Solution(original + original @ change, {"condition": condition})

    return solve
