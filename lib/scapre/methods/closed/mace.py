"""MACE's closed-form refinement of cross-attention keys.

Source: Lu et al., MACE: Mass Concept Erasure in Diffusion Models (CVPR 2024), section 4.1.
"""

from __future__ import annotations

from torch import Tensor

from scapre.methods.closed.uce import ridge_change
from scapre.methods.solution import Solution, Solver
from scapre.text.statistics import ConceptStatistics


def mace_solver(statistics: ConceptStatistics, *, ridge: float, retain_scale: float) -> Solver:
    """Minimise Σ‖W c_t − W₀ a_t‖² + ρ Σ‖(W − W₀) p_t‖² + λ‖W − W₀‖² on ``to_k``, all positions t.

        W = W₀ (λI + X + ρK) (λI + S + ρK)⁻¹

    The objective is UCE's, summed over every position of a prompt (the start token
    included) and its replacement, the concept's superclass.

    From the paper; the released code has a non-commercial licence and was not opened. Differences: the
    paper keeps a large sum over cached captions of COCO, here the retained concepts stand in
    its place; the refinement is the first of three stages, and the fine-tuned adapters and
    their fusion, which do most of MACE's erasing, are not part of it.

    Args:
        ridge: λ > 0; 0.5 as published.
        retain_scale: ρ; 1 as published.
    """
    gram, cross, kept = statistics.gram, statistics.cross, statistics.kept_gram
    change, condition = ridge_change((gram, cross - gram, kept), ridge, 1.0, retain_scale)

    def solve(original: Tensor) -> Solution:
        return Solution(original + original @ change, {"condition": condition})

    return solve
