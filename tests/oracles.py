"""Slow, literal transcriptions that the library's fast code must equal."""

from __future__ import annotations

import math

import torch
from scipy.stats import norm
from torch import Tensor


def bures_by_roots(a: Tensor, b: Tensor) -> Tensor:
    """d² = tr A + tr B − 2 tr (A½ B A½)½ with matrix square roots."""

    def root(m: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(m)
        return vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T

    half = root(a)
    return (a.trace() + b.trace() - 2 * root(half @ b @ half).trace()).clamp(min=0).sqrt()


def sylvester_by_kronecker(alpha: Tensor, a: Tensor, right: Tensor) -> Tensor:
    """diag(α) W + W A = F as one dense system."""
    rows, d = right.shape
    eye = torch.eye
    system = torch.kron(torch.diag(alpha), eye(d, dtype=a.dtype)) + torch.kron(
        eye(rows, dtype=a.dtype), a.T.contiguous()
    )
    return torch.linalg.solve(system, right.flatten()).reshape(rows, d)


def rows_one_by_one(base: Tensor, strength: Tensor, projector: Tensor, right: Tensor) -> Tensor:
    """(G + s_i Π) w_i = b_i, factorised anew for every row."""
    return torch.stack([torch.linalg.solve(base + s * projector, b) for s, b in zip(strength, right, strict=True)])


def confined_one_by_one(weight, gate, contexts, anchors, kept, ridge, scale, retain) -> Tensor:
    """min λ‖w − w₀‖² + ρ Σ((w − w₀)·r)² + η m Σ(w·c − w₀·ñ)², row by row from its normal equations."""
    d = weight.shape[1]
    rows = []
    for w0, m in zip(weight, gate, strict=True):
        system = ridge * torch.eye(d, dtype=weight.dtype)
        right = ridge * w0
        for r in kept:
            system = system + retain * torch.outer(r, r)
            right = right + retain * (w0 @ r) * r
        for c, n in zip(contexts, anchors, strict=True):
            system = system + scale * m * torch.outer(c, c)
            right = right + scale * m * (w0 @ n) * c
        rows.append(torch.linalg.solve(system, right))
    return torch.stack(rows)


def information_at(threshold: float, positive: float, negative: float, spread: float) -> float:
    """I(1{a > τ}; y) for a | y ~ N(mean_y, spread²) and equal odds, from the four probabilities."""
    on = {1: 1 - norm.cdf(threshold, positive, spread), 0: 1 - norm.cdf(threshold, negative, spread)}
    joint = {(z, y): (on[y] if z else 1 - on[y]) / 2 for z in (0, 1) for y in (0, 1)}
    marginal = {z: joint[z, 0] + joint[z, 1] for z in (0, 1)}
    return sum(p * math.log(p / (marginal[z] * 0.5)) for (z, _), p in joint.items() if p > 0)


def masked_cross_by_sum(weight, masks, contexts, anchors) -> Tensor:
    """Σ_k diag(m_k) Σ_t (W₀ ñ_t) c_{k,t}ᵀ as a double sum."""
    total = torch.zeros_like(weight)
    for k in range(len(contexts)):
        for t in range(contexts.shape[1]):
            total += torch.outer(masks[k] * (weight @ anchors[k, t]), contexts[k, t])
    return total
