"""Reliable concept erasing (RECE): erase, look for what still answers, erase that too.

Source: Gong et al., Reliable and Efficient Concept Erasure of Text-to-Image Diffusion Models
(ECCV 2024), Eq. 8–10; released code CharlesGong12/RECE (Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from scapre.methods.closed.uce import ridge_change
from scapre.methods.solution import Solution, Solver
from scapre.text.statistics import ConceptStatistics


def derived_embedding(factor: Tensor, layers: Tensor, gamma: float) -> Tensor:
    """Map a feature to the one through which the edited layers answer as the originals did.

        c' = argmin Σ_l ‖W_l c' − W0_l c‖² + γ‖c'‖² = (Fᵀ H F + γI)⁻¹ Fᵀ H c

    Every layer's edit is W_l = W0_l F with one F, so the layers enter only through
    H = Σ_l W0_lᵀ W0_l: Σ W_lᵀW_l = FᵀHF and Σ W_lᵀW0_l = FᵀH.

    Args:
        factor: F, ``(d, d)``.
        layers: H, ``(d, d)``.
        gamma: γ > 0 pulls c' to zero, so that erasing it stays a small edit.

    Returns:
        D, ``(d, d)``: c' = D c.
    """
    seen = factor.T @ layers
    system = seen @ factor
    system.diagonal().add_(gamma)
    return torch.linalg.solve(system, seen)


def reproduction(factor: Tensor, layers: Tensor, gram: Tensor, gamma: float) -> dict[str, float]:
    """Say how much of the original answers derived embeddings bring back, and at what length.

    reproduced = 1 − Σ_l Σ‖W_l c' − W0_l c‖² / Σ_l Σ‖W0_l c‖²; stretch = ‖C'‖ / ‖C‖.
    """
    derive = derived_embedding(factor, layers, gamma)
    gap = factor @ derive - torch.eye(len(factor), dtype=factor.dtype, device=factor.device)
    left = ((layers @ gap) * (gap @ gram)).sum() / ((layers * gram).sum())
    stretch = ((derive @ gram) * derive).sum() / gram.trace()
    return {"reproduced": float(1 - left), "stretch": float(stretch.clamp(min=0).sqrt())}


def rece_solver(
    statistics: ConceptStatistics,
    weights: Sequence[Tensor],
    *,
    first_ridge: float,
    ridge: float,
    erase_scale: float,
    retain_scale: float,
    gamma: float,
    epochs: int,
) -> Solver:
    """Erase as UCE once did; then ``epochs`` times erase what would still bring the targets back, from where one is.

        F₀ = (λ₀I + ηX₀ + ρ₀K) (λ₀I + ηS₀ + ρ₀K)⁻¹,  ρ₀ = max(0.1, 1 / (1 + number kept))
        F ← F (λI + ηX' + ρK) (λI + ηS' + ρK)⁻¹,  C' = C Dᵀ,  W_l = W0_l F

    S₀ and X₀ hold the positions from the last content token on; K every position of the empty prompt and of
    the kept ones; S' = Σ c'c'ᵀ and X' = Σ a c'ᵀ every position of target and replacement, paired as they
    stand. D derives from the F before. c' = D c is linear, so an epoch needs second moments alone:
    S' = D S Dᵀ and X' = X Dᵀ.

    Reproduces the released code's weights. It is published with γ = 0.1 and one epoch for easy objects, 1e-3 and
    one for hard objects and styles, 0.1 and three for nudity. Difference: the released code sums over layers
    anew in every epoch, where H serves all. An epoch solves for C' alone, so what was erased before
    may come back with it.

    Args:
        statistics: of every position of the prompts.
        weights: W0_l, ``(d_out, d)`` each, of all layers to be edited.
        first_ridge: λ₀ > 0; 0.5 as released.
        ridge: λ > 0 of the epochs; 0.1 as released.
        erase_scale: η; 1 as released.
        retain_scale: ρ of the epochs; 0.1 as released. That of the first stage is a rule.
        gamma: γ > 0.
        epochs: rounds after the first erasure; 0 leaves the first stage.
    """
    first, kept = statistics.from_content(), statistics.kept_gram + statistics.blank.T @ statistics.blank
    held = round(max(0.1, 1 / (1 + len(statistics.retained))), 3)  # rounded as released
    pull = first.cross - first.gram
    change, condition = ridge_change((first.gram, pull, kept), first_ridge, erase_scale, held)
    layers = torch.stack([weight.T @ weight for weight in weights]).sum(0)
    eye = torch.eye(statistics.width, dtype=torch.float64, device=kept.device)
    for _ in range(epochs):
        derive = derived_embedding(eye + change, layers, gamma)
        gram = derive @ statistics.gram @ derive.T
        pull = statistics.cross @ derive.T - gram
        step, condition = ridge_change((gram, pull, kept), ridge, erase_scale, retain_scale)
        change = change + step + change @ step
    facts = {"condition": condition, **reproduction(eye + change, layers, statistics.gram, gamma)}

    def solve(original: Tensor) -> Solution:
        return Solution(original + original @ change, facts)

    return solve
