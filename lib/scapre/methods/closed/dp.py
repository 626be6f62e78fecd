"""Double projections (DP): from a concept to its shadow in a safe subspace, aside from all that is kept.

Source: Zhang et al., Closed-Form Concept Erasure via Double Projections (CVPR 2026, arXiv 2604.10032);
no released code was found.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scapre.maths.linalg import leading_directions, orthonormal_basis
from scapre.methods.solution import Solution, Solver
from scapre.text.statistics import ConceptStatistics


def dp_solver(statistics: ConceptStatistics, *, energy: float, damping: float, project: bool) -> Solver:
    """Answer targets like their shadows, by a change that no kept concept sees.

        ΔW = W₀ (C* − C)ᵀ Xᵀ⁺ U₂ᵀ,  X = C U₂,  ΔW U₁ = 0

    U₁ spans what is kept, U₂ all the rest; c* is c projected on the span of the anchors. For one target this is
    the published ΔW = W₀ (c* − c) xᵀ U₂ᵀ / ‖x‖². Several at once are ours: their x are stacked, the
    pseudo-inverse is the smallest change that answers all of them, and beyond d − k targets the nearest in
    the mean. Kept concepts in the span of U₁ do not move; the others by at most ‖Z‖ σ_{k+1}, Z = ΔW U₂.

    From summaries of the paper. The count k of directions to protect is published without a rule; here
    it follows from ``energy``. Where kept concepts span the space, nothing is free and W = W₀;
    a target nearly in their span needs a large change, which ``damping`` (ours) bounds:
    min_Z ‖Z Xᵀ − W₀ (C* − C)ᵀ‖² + λ‖Z‖².

    Args:
        energy: share of the kept concepts' Σσ² that U₁ holds; 1 as published where there is room.
        damping: λ ≥ 0; 0 as published.
        project: False takes the anchors themselves for C*, as UCE does; published as optional.
    """
    c, goal = statistics.targets, statistics.anchors
    keep = leading_directions(statistics.retained, energy)
    aside = c - (c @ keep) @ keep.T
    if project:
        safe = orthonormal_basis(goal)
        goal = (c @ safe) @ safe.T
    left, sizes, right = torch.linalg.svd(aside, full_matrices=False)
    # measured against the targets: what is left of one inside the kept span is round-off
    solid = sizes > max(c.shape) * torch.finfo(c.dtype).eps * c.norm()
    left, sizes, right = left[:, solid], sizes[solid], right[solid]
    system = sizes.square() + damping
    change = (goal - c).T @ (left * (sizes / system)) @ right
    condition = float(system[0] / system[-1]) if len(system) else 1.0
    facts = {"condition": condition, "free": float(statistics.width - keep.shape[1])}

    def solve(original: Tensor) -> Solution:
        return Solution(original + original @ change, facts)

    return solve
