"""Our formulation: ScaPre confined to the rows that know the concepts (reference section 7)."""

from __future__ import annotations

import torch
from torch import Tensor

from scapre.maths.bures import row_step
from scapre.maths.linalg import generalised_eigh, nearest
from scapre.maths.row_gates import gaussian_information, soft_mask
from scapre.methods.solution import Solution, Solver, condition_number
from scapre.text.statistics import CHUNK, ConceptStatistics


def matched_neutrals(targets: Tensor, retained: Tensor, null: Tensor) -> Tensor:
    """Give each target the nearest concept that must stay, else the empty prompt.

    Args:
        targets: C, ``(m, d)``.
        retained: R, ``(r, d)``; r = 0 is legal.
        null: e₀, ``(d,)``.

    Returns:
        ``(m, d)``: the nearest retained feature (``linalg.nearest``) of each target.
    """
    return retained[nearest(targets, retained)] if len(retained) else null.expand_as(targets)


def noise_of_rows(weight: Tensor, targets: Tensor, noise_sigma: float) -> Tensor:
    """Spread of each row's answer to noise on its input, σ · rms(C) · ‖w_i‖, ``(d_out,)``, > 0.

    Args:
        weight: W₀, ``(d_out, d)``.
        targets: C, ``(m, d)``; their root mean square a dimension is the unit of the noise.
        noise_sigma: σ.
    """
    sigma = noise_sigma * targets.square().mean().sqrt()
    return (sigma * weight.norm(dim=1)).clamp(min=torch.finfo(weight.dtype).tiny)


def confined_gate(
    weight: Tensor,
    targets: Tensor,
    neutrals: Tensor,
    *,
    noise_sigma: float,
    p: float,
    temperature: float,
    threshold: float,
) -> Tensor:
    """m_i = max_k of the soft mask of exact Gaussian information; 0 below the threshold.

    Args:
        weight: W₀, ``(d_out, d)``.
        targets: C, ``(m, d)``.
        neutrals: the y = 0 input of each target, ``(m, d)``.
        noise_sigma: σ, as a fraction of the root mean square norm of the targets per dimension.
        p: power of the soft mask; 0 opens every row.
        temperature: of the soft mask's sigmoid, in standard deviations of the information over rows.
        threshold: rows whose m is smaller stay untouched; 0 leaves none out.

    Returns:
        m, ``(d_out,)``, 0 or in [threshold, 1].
    """
    spread = noise_of_rows(weight, targets, noise_sigma)
    gate = torch.zeros(len(weight), dtype=weight.dtype, device=weight.device)
    for concept, neutral in zip(targets.split(CHUNK), neutrals.split(CHUNK), strict=True):
        information = gaussian_information(concept @ weight.T, neutral @ weight.T, spread)
        gate = torch.maximum(gate, soft_mask(information, p, temperature).amax(0))
    return torch.where(gate >= threshold, gate, 0)


def solve_confined(weight: Tensor, gate: Tensor, basis: tuple[Tensor, Tensor], pull: Tensor, scale: float) -> Tensor:
    """Solve every row of the confined objective with one shared eigenbasis.

        min_w λ‖w − w₀‖² + ρ Σ_r ((w − w₀)·r)² + η m_i Σ_t (w·c_t − w₀·ñ_t)²

    For B = λI + ρRᵀR and SV = BV diag(θ), VᵀBV = I, the change is
    δ_i = V diag(η m_i / (1 + η m_i θ)) Vᵀ (X − S)ᵀ w₀_i, X = Σ ñ cᵀ; m_i = 0 gives δ_i = 0.

    Args:
        weight: W₀, ``(d_out, d)``.
        gate: m, ``(d_out,)``, ≥ 0.
        basis: θ ``(d,)`` and V ``(d, d)``.
        pull: (X − S) V, ``(d, d)``.
        scale: η.
    """
    values, vectors = basis
    strength = scale * gate[:, None]
    return weight + (weight @ pull * (strength / (1 + strength * values))) @ vectors.T


def confined_solver(
    statistics: ConceptStatistics,
    *,
    ridge: float,
    erase_scale: float,
    retain_scale: float,
    p: float,
    noise_sigma: float,
    temperature: float,
    threshold: float,
    use_mask: bool,
    bures_iters: int,
    alignment: float,
) -> Solver:
    """Erase in gated rows only, keep retained contexts, align lengths and directions.

    Rows whose gate is exactly zero stay bit-identical. Targets and retained concepts enter by their
    means, η/n and ρ/r each: summed, many targets would pull n times as hard on the directions they
    share, a single one too weakly to be forgotten, and few retained concepts would hardly be held.

    Args:
        ridge: λ > 0.
        erase_scale: weight of the targets' mean.
        retain_scale: weight of the retained concepts' mean.
        p: power of the soft mask.
        noise_sigma: σ relative to the size of the target features.
        temperature: of the soft mask.
        threshold: rows with a smaller gate are closed.
        use_mask: False opens every row.
        bures_iters: repetitions of the row step; 0 leaves it out.
        alignment: μ of the row step.
    """
    eye = torch.eye(statistics.width, dtype=torch.float64, device=statistics.targets.device)
    base = ridge * eye + retain_scale / max(1, len(statistics.retained)) * statistics.kept_gram
    scale = erase_scale / len(statistics.targets)
    basis = generalised_eigh(statistics.gram, base)
    pull = (statistics.cross - statistics.gram) @ basis[1]
    targets = statistics.targets
    neutrals = matched_neutrals(targets, statistics.retained, statistics.null)
    mask = {"noise_sigma": noise_sigma, "p": p, "temperature": temperature, "threshold": threshold}
    facts = {"condition": condition_number(base + scale * statistics.gram), "alignment": alignment}

    def solve(original: Tensor) -> Solution:
        gate = torch.ones(len(original), dtype=original.dtype, device=original.device)
        if use_mask:
            gate = confined_gate(original, targets, neutrals, **mask)
        weight = solve_confined(original, gate, basis, pull, scale)
        weight = row_step(weight, original, ridge, alignment, bures_iters)
        weight = torch.where(gate[:, None] > 0, weight, original)
        return Solution(weight, facts | {"open": float((gate > 0.5).double().mean())})

    return solve
