"""Unified concept editing (UCE): erasure as ridge regression, the common ancestor.

Source: Gandikota et al., Unified Concept Editing in Diffusion Models (WACV 2024), Eq. 7.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scapre.methods.solution import Solution, Solver, condition_number
from scapre.statistics import ConceptStatistics


def uce_solver(statistics: ConceptStatistics, *, ridge: float, erase_scale: float, retain_scale: float) -> Solver:
    """Minimise η Σ‖W c − W₀ c*‖² + ρ Σ‖(W − W₀) r‖² + λ‖W − W₀‖².

        W = W₀ (λI + η C*ᵀC + ρ RᵀR) (λI + η CᵀC + ρ RᵀR)⁻¹

    Only the last content token of each prompt enters. The right factor is the same
    for every layer, so it is solved once and a layer costs one product.

    Args:
        ridge: λ > 0.
        erase_scale: η.
        retain_scale: ρ.
    """
    c, goal, r = statistics.targets, statistics.anchors, statistics.retained
    keep = ridge * torch.eye(statistics.width, dtype=torch.float64, device=c.device) + retain_scale * r.T @ r
    system = keep + erase_scale * c.T @ c
    # W − W₀ = W₀ (η (C* − C)ᵀC) system⁻¹: solving for the change keeps the digits of W₀.
    change = torch.linalg.solve(system, erase_scale * c.T @ (goal - c)).T
    facts = {"condition": condition_number(system)}

    def solve(original: Tensor) -> Solution:
        return Solution(original + original @ change, facts)

    return solve
