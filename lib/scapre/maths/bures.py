"""Bures geometry of row Grams WWᵀ: distance, geodesic, proximal steps (paper Eq. 5, section 3.5)."""

from __future__ import annotations

import torch
from torch import Tensor


def bures_distance(weight: Tensor, original: Tensor) -> Tensor:
    """Measure how far WWᵀ and W₀W₀ᵀ are apart as Gaussian shapes.

        d² = ‖W‖² + ‖W₀‖² − 2‖W₀ᵀW‖_*

    The nuclear norm replaces every matrix square root of the usual formula
    tr A + tr B − 2 tr (A½ B A½)½, A = WWᵀ, B = W₀W₀ᵀ (Eq. 5).

    Args:
        weight: W, ``(d_out, d)``.
        original: W₀, ``(d_out, d)``.

    Returns:
        scalar d ≥ 0, in the unit of the weights.

    >>> bures_distance(torch.diag(torch.tensor([2.0, 1.0])), torch.eye(2)).item()
    1.0
    """
    overlap = torch.linalg.svdvals(original.T @ weight).sum()
    square = weight.square().sum() + original.square().sum() - 2 * overlap
    return square.clamp(min=0).sqrt()  # clamp: round-off may leave −1e-15


def procrustes_rotation(weight: Tensor, original: Tensor) -> Tensor:
    """Rotate the original onto the edit: argmin over orthogonal Q of ‖W − W₀Q‖².

    Args:
        weight: W, ``(d_out, d)``.
        original: W₀, ``(d_out, d)``.

    Returns:
        Q*, ``(d, d)``: the polar factor of W₀ᵀW.
    """
    left, _, right = torch.linalg.svd(original.T @ weight)
    return left @ right


def geodesic(weight: Tensor, original: Tensor, time: float) -> Tensor:
    """Move WWᵀ along the Bures geodesic to W₀W₀ᵀ and return weights: (1 − t) W + t W₀Q*.

    Args:
        weight: W, ``(d_out, d)``.
        original: W₀, ``(d_out, d)``.
        time: t in [0, 1]; 0 returns W, 1 returns a rotation of W₀.

    Raises:
        ValueError: t is outside [0, 1].
    """
    if not 0 <= time <= 1:
        raise ValueError(f"the geodesic time must lie in [0, 1], got {time}")
    if time == 0:
        return weight
    return torch.lerp(weight, original @ procrustes_rotation(weight, original), time)


def row_step(weight: Tensor, original: Tensor, ridge: float, alignment: float, iterations: int) -> Tensor:
    """Pull the length and direction of each row towards the original's (released step 6).

        κ = max(0, u·u₀),  r = (ρ a + μ r₀ κ) / (ρ + μ),  u ← normalise(ρ a u_a + μ r₀ κ u₀)

    with a = ‖w‖, u_a = w/a, r₀ = ‖w₀‖, ρ = ``ridge`` + μ. Zero rows are returned as they are.

    Args:
        weight: W, ``(d_out, d)``.
        original: W₀, ``(d_out, d)``.
        ridge: λ.
        alignment: μ.
        iterations: repetitions; 0 returns W.
    """
    if iterations == 0 or alignment == 0:
        return weight
    total = ridge + alignment
    length, length0 = weight.norm(dim=1, keepdim=True), original.norm(dim=1, keepdim=True)
    tiny = torch.finfo(weight.dtype).tiny
    own, old = weight / length.clamp(min=tiny), original / length0.clamp(min=tiny)
    now, radius = own, length
    for _ in range(iterations):
        pull = alignment * length0 * (now * old).sum(1, keepdim=True).clamp(min=0)
        radius = (total * length + pull) / (total + alignment)
        now = torch.nn.functional.normalize(total * length * own + pull * old, dim=1, eps=tiny)
    return radius * now


def row_step_share(weight: Tensor, original: Tensor, ridge: float, alignment: float) -> Tensor:
    """Read one row step backwards: how much of the original each row holds.

    One repetition of ``row_step`` takes w' to w = γ (ρ w' + μ κ w₀), so that w − b w₀ with
    b = γ (ρ + μκ) is a multiple of the change w' − w₀ and has its rank, which w − w₀ has not.
    In the plane of w and w₀ lengths and angles determine a = ‖w'‖ and κ:

        ρ a + μ r₀ κ = (ρ + μ) ‖w‖,  tan∠(w', w₀) = tan∠(w, w₀) (ρ a + μ r₀) / (ρ a)

    Args:
        weight: W after one repetition, ``(d_out, d)``.
        original: W₀, ``(d_out, d)``.
        ridge: λ.
        alignment: μ; 0 gives b = 1.

    Returns:
        b, ``(d_out,)``; 1 where a row is zero or turned by a right angle or more (κ = 0 is not readable).
    """
    total = ridge + alignment
    tiny = torch.finfo(weight.dtype).tiny
    length, length0 = weight.norm(dim=1), original.norm(dim=1)
    own, old = (m / n.clamp(min=tiny)[:, None] for m, n in ((weight, length), (original, length0)))
    cosine = (own * old).sum(1)
    readable = (cosine > 0) & (length > 0) & (length0 > 0)
    tangent = (own - cosine[:, None] * old).norm(dim=1) / torch.where(readable, cosine, 1)
    before, kappa = length, cosine
    for _ in range(60):  # a fixed point that contracts by μ/ρ < 1
        pushed = (total * before).clamp(min=tiny)
        kappa = (1 + (tangent * (pushed + alignment * length0) / pushed).square()).rsqrt()
        before = (length * (total + alignment) - alignment * length0 * kappa) / total
    sine = (1 - kappa.square()).clamp(min=0).sqrt()
    summed = torch.hypot(total * before * sine, kappa * (total * before + alignment * length0))
    return torch.where(readable, length * (total + alignment * kappa) / summed.clamp(min=tiny), 1)


def safety_valve(weight: Tensor, original: Tensor, entropy: Tensor) -> Tensor:
    """Hold low-entropy rows near the original in direction and length (released step 7, EGBR).

    With α_i = 1 − exp(−h_i / max h) the direction moves from u₀ to u by α_i·max(0, cos),
    and the squared norm is interpolated geometrically by α_i.

    Args:
        weight: W, ``(d_out, d)``.
        original: W₀, ``(d_out, d)``.
        entropy: h, ``(d_out,)`` in [0, 1].
    """
    tiny = torch.finfo(weight.dtype).tiny
    share = (1 - torch.exp(-entropy / entropy.max().clamp(min=tiny)))[:, None]
    length, length0 = weight.norm(dim=1, keepdim=True), original.norm(dim=1, keepdim=True)
    own, old = weight / length.clamp(min=tiny), original / length0.clamp(min=tiny)
    cosine = (own * old).sum(1, keepdim=True).clamp(min=0)
    towards = torch.nn.functional.normalize(torch.lerp(old, own, share * cosine), dim=1, eps=tiny)
    return towards * length0.clamp(min=tiny) ** (1 - share) * length.clamp(min=tiny) ** share
