"""CURE: remove the directions of the forget prompts, weighted by their share of energy.

Source: CURE: Concept Unlearning via Orthogonal Representation Editing (NeurIPS 2025,
arXiv 2505.12677).
"""

from __future__ import annotations

import torch
from torch import Tensor

from scapre.methods.solution import Solution, Solver
from scapre.text.statistics import ConceptStatistics


def spectral_eraser(gram: Tensor, alpha: float, concepts: int = 1) -> Tensor:
    """Project softly onto the directions of the rows of F, given FᵀF = V diag(σ²) Vᵀ.

        P = V diag(f(r)) Vᵀ,  r_i = min(1, n σ_i² / Σσ²),  f(r) = α r / ((α − 1) r + 1)

    Args:
        gram: FᵀF, ``(d, d)``; zero gives P = 0.
        alpha: α > 0; 1 weighs by energy, ∞ is the orthogonal projector.
        concepts: n, whose energy together is Σσ².

    Returns:
        P, ``(d, d)`` symmetric with eigenvalues in [0, 1].

    >>> spectral_eraser(torch.diag(torch.tensor([3.0, 1.0])), 2.0).diagonal()
    tensor([0.8571, 0.4000])
    """
    values, vectors = torch.linalg.eigh(gram)
    share = (concepts * values / values.sum().clamp(min=torch.finfo(values.dtype).tiny)).clamp(0, 1)
    return (vectors * (alpha * share / ((alpha - 1) * share + 1))) @ vectors.T


def cure_solver(statistics: ConceptStatistics, *, alpha: float, per_concept: bool) -> Solver:
    """Subtract what the forget prompts span and the kept prompts do not.

        W = W₀ (I − P_f + P_f P_r)

    F holds every position of every forget prompt, the start token and padding included, P_r
    is the same of the retained prompts. What all prompts share is spared only when
    there are any: without retained concepts P_r = 0 and the shared directions go first.
    There is no replacement: anchors enter the diagnostics alone.

    From summaries of the paper; its repository holds no code of the eraser, so this is checked on paper
    only, against nothing its authors ran. Published for one concept
    in 3–10 phrasings (here ``templates``), where both values of ``per_concept`` agree; for
    several the paper repeats the edit, whose outcome depends on their order. Stacked with shares of
    one concept's energy, orthogonal concepts give just that product, and order never matters.

    Args:
        alpha: α > 0; 2 as published for objects and styles, 5 for explicit content.
        per_concept: count r in the energy of one forget concept (n of them); False: of the whole
            stack, so that each of many concepts is hardly touched.
    """
    forget = spectral_eraser(statistics.gram, alpha, len(statistics.targets) if per_concept else 1)
    change = forget @ spectral_eraser(statistics.kept_gram, alpha) - forget
    facts = {"removed": -float(change.trace())}

    def solve(original: Tensor) -> Solution:
        return Solution(original + original @ change, facts)

    return solve
