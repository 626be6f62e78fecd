"""Weights under which every target is forgotten to the same degree, however near it lies to what must stay."""

from __future__ import annotations

import torch
from torch import Tensor

ROUNDS = 20
SPAN = 100.0  # a weight stays within this factor of its start, so a goal out of reach ends somewhere
CLOSE = 0.02  # relative distance to the goal that ends the search


def equal_weights(
    targets: Tensor, changes: Tensor, base: Tensor, goal: float, *, each: bool = True
) -> tuple[Tensor, Tensor]:
    """Find η_t ≥ 0 that leave of every target the share γ of what should change.

    The edit minimising ‖Δ‖²_B + Σ_t η_t ‖(c_t − ñ_t) + Δc_t‖² over maps Δ of text space leaves

        E − C A⁻¹ CᵀHE,  A = B + CᵀHC,  H = diag η,  rows of E: c_t − ñ_t,

    and its t-th row falls as η_t grows: the multiplicative update η_t ← η_t left_t / γ meets the
    constraint left_t = γ, and η_t is its Lagrange multiplier. Alone a target needs
    η = (1/γ − 1) / (cᵀB⁻¹c), which is where the search starts. All is computed in the span of
    L⁻¹C, B = LLᵀ, so a round costs min(m, d)³ + m·d·min(m, d).

    Args:
        targets: C, ``(m, d)``, features at the last content token.
        changes: E = C − C*, ``(m, d)``.
        base: B, ``(d, d)`` symmetric positive definite.
        goal: γ in (0, 1).
        each: False: one weight for all, which leaves γ on average.

    Returns:
        η, ``(m,)``, and what is left of each change, ``(m,)``; more than γ where others stand in the way.

    >>> eta, left = equal_weights(torch.eye(2), torch.eye(2), torch.diag(torch.tensor([1.0, 4.0])), 0.5)
    >>> eta, left
    (tensor([1., 4.]), tensor([0.5000, 0.5000]))
    """
    tiny = torch.finfo(targets.dtype).tiny
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(base), targets.T, upper=False)
    if white.shape[1] < white.shape[0]:
        white = torch.linalg.qr(white).R
    size = changes.norm(dim=1).clamp(min=tiny)
    eye = torch.eye(len(white), dtype=white.dtype, device=white.device)

    def remaining(eta: Tensor) -> Tensor:
        heavy = white * eta
        moved = torch.linalg.solve(eye + heavy @ white.T, heavy @ changes)
        return (changes - white.T @ moved).norm(dim=1) / size

    start = (1 / goal - 1) / white.square().sum(0).clamp(min=tiny)
    eta = start if each else start.mean().expand_as(start)
    left = remaining(eta)
    for _ in range(ROUNDS):
        ratio = (left if each else left.mean()) / goal
        eta = (eta * ratio).clamp(min=start / SPAN, max=start * SPAN)
        left = remaining(eta)
        if bool(((ratio - 1).abs() < CLOSE).all()):
            break
    return eta, left
