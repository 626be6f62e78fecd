"""ScaPre as the paper writes it: spectral trace regulariser, Sylvester solve, Bures geodesic (Eq. 3–10)."""

from __future__ import annotations

import torch
from torch import Tensor

from scapre.maths.bures import geodesic
from scapre.maths.row_gates import gaussian_information, relative_gate
from scapre.methods.solution import Solution, Solver, condition_number
from scapre.text.statistics import ConceptStatistics


def overlap_regulariser(targets: Tensor) -> Tensor:
    """R = U diag(σ̃) Uᵀ, σ̃_i = (1 − sigmoid(σ_i)) σ_i, from C = Q diag(σ) Uᵀ (Eq. 3–4).

    The gate is one minus a sigmoid of the plain singular value, so R vanishes where σ ≫ 1.

    Args:
        targets: C, ``(m, d)``.

    Returns:
        ``(d, d)`` positive semi-definite.
    """
    _, values, right = torch.linalg.svd(targets, full_matrices=False)
    gated = (1 - torch.sigmoid(values)) * values
    return right.T @ (gated[:, None] * right)


def solve_sylvester(relevance: Tensor, system: tuple[Tensor, Tensor], right: Tensor) -> Tensor:
    """Solve diag(α) W + W A = F for W, A = Q diag(θ) Qᵀ.

        W = (F Q ⊘ (α 1ᵀ + 1 θᵀ)) Qᵀ

    Args:
        relevance: α, ``(d_out,)``, ≥ 0.
        system: θ ``(d,)`` and Q ``(d, d)``.
        right: F, ``(d_out, d)``.
    """
    values, vectors = system
    return (right @ vectors / (relevance[:, None] + values)) @ vectors.T


def target_information(weight: Tensor, statistics: ConceptStatistics, noise_sigma: float) -> Tensor:
    """I^(k)_i of every target against the empty prompt, exactly, ``(m, d_out)`` nats.

    Under s = c + σε the activation of row i is N(w_i·c, σ²‖w_i‖²).
    """
    spread = noise_sigma * weight.norm(dim=1).clamp(min=torch.finfo(weight.dtype).tiny)
    return gaussian_information(statistics.targets @ weight.T, weight @ statistics.null, spread)


def paper_solver(
    statistics: ConceptStatistics,
    *,
    ridge: float,
    erase_scale: float,
    noise_sigma: float,
    geodesic_time: float,
    spectral_gate: bool,
    use_mask: bool,
) -> Solver:
    """Minimise tr(WAWᵀ) + tr(WᵀBW) − 2 tr(WFᵀ), then step along the Bures geodesic.

        diag(α) W + W (λI + ηS + R) = λW₀ + ηW₀X,   W̃ = (1 − t) W + t W₀Q*

    The paper puts V*Cᵀ alone on the right ("often zero"), whose only solution is then
    W = 0; the anchor λW₀ stands there as in the released code. V*Cᵀ is W₀X.

    Args:
        ridge: λ.
        erase_scale: η on S and on the replacement's answer.
        noise_sigma: σ of the Informax Decoupler.
        geodesic_time: t in [0, 1].
        spectral_gate: False leaves R out.
        use_mask: False leaves the decoupler's α out.
    """
    eye = torch.eye(statistics.width, dtype=torch.float64, device=statistics.targets.device)
    system = ridge * eye + erase_scale * statistics.gram
    if spectral_gate:
        system = system + overlap_regulariser(statistics.targets)
    values, vectors = torch.linalg.eigh(system)
    facts = {"condition": condition_number(system)}

    def solve(original: Tensor) -> Solution:
        relevance = original.new_zeros(len(original))
        if use_mask:
            relevance = relative_gate(target_information(original, statistics, noise_sigma))
        right = ridge * original + erase_scale * original @ statistics.cross
        weight = solve_sylvester(relevance, (values, vectors), right)
        weight = geodesic(weight, original, geodesic_time)
        return Solution(weight, facts | {"open": float((relevance > 0.5).double().mean())})

    return solve
