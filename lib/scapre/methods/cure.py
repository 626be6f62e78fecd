"""CURE: remove the directions of the forget prompts, weighted by their share of energy.

Source: CURE: Concept Unlearning via Orthogonal Representation Editing (NeurIPS 2025,
arXiv 2505.12677).
"""

from __future__ import annotations

import torch
from torch import Tensor

from scapre.methods.solution import Solution, Solver, condition_number
from scapre.statistics import ConceptStatistics


def spectral_eraser(gram: Tensor, alpha: float) -> tuple[Tensor, float]:
    """Project softly onto the directions of the rows of F, given FᵀF = V diag(σ²) Vᵀ.

        P = V diag(f(r)) Vᵀ,  r_i = σ_i² / Σσ²,  f(r) = α r / ((α − 1) r + 1)

    f is a rational function of the share r, so P = αE ((α − 1) E + I)⁻¹ with E = FᵀF / tr FᵀF:
    one solve, no eigenvectors.

    Args:
        gram: FᵀF, ``(d, d)``; zero gives P = 0.
        alpha: α > 0; 1 weighs by energy, ∞ is the orthogonal projector.

    Returns:
        P, ``(d, d)`` symmetric with eigenvalues in [0, 1], and the condition number of the system.

    >>> spectral_eraser(torch.diag(torch.tensor([3.0, 1.0])), 2.0)[0].diagonal()
    tensor([0.8571, 0.4000])
    """
    energy = gram / gram.trace().clamp(min=torch.finfo(gram.dtype).tiny)
    system = (alpha - 1) * energy
    system.diagonal().add_(1)
    return alpha * torch.linalg.solve(system, energy), condition_number(system)


def cure_solver(statistics: ConceptStatistics, *, alpha: float) -> Solver:
    """Subtract what the forget prompts span and the kept prompts do not.

        W = W₀ (I − P_f + P_f P_r)

    F holds every position of every forget prompt, the start token and padding included, P_r
    is the same of the retained prompts. What all prompts share is spared only when
    there are any: without retained concepts P_r = 0 and the shared directions go first.
    There is no replacement: anchors enter the diagnostics alone.

    From summaries of the paper; its repository holds no code of the eraser. Published for one concept
    in 3–10 phrasings (here ``templates``); several concepts are stacked in one F, so that their
    order does not matter, where the paper repeats the edit.

    Args:
        alpha: α > 0; 2 as published for objects and styles, 5 for explicit content.
    """
    forget, condition = spectral_eraser(statistics.gram, alpha)
    keep, _ = spectral_eraser(statistics.kept_gram, alpha)
    change = forget @ keep - forget
    facts = {"condition": condition, "removed": -float(change.trace())}

    def solve(original: Tensor) -> Solution:
        return Solution(original + original @ change, facts)

    return solve
