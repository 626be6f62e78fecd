"""The Informax Decoupler: which rows of a projection know a concept (paper Eq. 6–7)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scapre.maths.linalg import lower_median

#: temperature of the soft mask in the released code
MASK_TEMPERATURE = 0.7


def entropy_of_rows(activations: Tensor, bins: int) -> Tensor:
    """Measure how evenly a row spreads its activations (released step 1).

        h_i = H(histogram of min–max scaled a_i) / log(bins)

    Args:
        activations: a, ``(d_out, samples)``.
        bins: number of histogram bins on [0, 1].

    Returns:
        h, ``(d_out,)`` in [0, 1]; a constant row has entropy 0.
    """
    low, high = activations.amin(1, keepdim=True), activations.amax(1, keepdim=True)
    scaled = (activations - low) / (high - low + 1e-8)  # 1e-8: the released constant
    place = (scaled * bins).long().clamp(0, bins - 1)
    counts = torch.zeros(len(activations), bins, dtype=activations.dtype, device=activations.device)
    counts.scatter_add_(1, place, torch.ones_like(activations))
    share = counts / activations.shape[1]
    return (-torch.special.xlogy(share, share).sum(1) / math.log(bins)).clamp(0, 1)


def _information(joint: Tensor) -> Tensor:
    """Mutual information in nats of tables ``(..., 2, 2)`` that sum to one."""
    outer = joint.sum(-1, keepdim=True) * joint.sum(-2, keepdim=True)
    return (torch.special.xlogy(joint, joint) - torch.special.xlogy(joint, outer)).sum((-1, -2))


def sampled_information(positive: Tensor, negative: Tensor) -> Tensor:
    """Estimate I(z; y), z = 1{a > τ}, from activations of targets and neutrals (Eq. 6).

    τ is the lower median of all samples of a row; counts start at 1e-8 as released.

    Args:
        positive: activations with y = 1, ``(..., s)``.
        negative: activations with y = 0, ``(..., s)``, as many.

    Returns:
        ``(...)`` nats, at most log 2.
    """
    threshold = lower_median(torch.cat([positive, negative], dim=-1))[..., None]
    on, off = (positive > threshold).sum(-1), (negative > threshold).sum(-1)
    # Only (s + 1)² count pairs exist: equal counts then have equal information to the last bit.
    size = positive.shape[-1]
    fired = torch.arange(size + 1, dtype=positive.dtype, device=positive.device)
    fired = torch.stack(torch.meshgrid(fired, fired, indexing="ij"), dim=-1).flip(-1)
    table = _information((torch.stack([size - fired, fired], dim=-2) + 1e-8) / (2 * size))
    return table[on, off]


def gaussian_information(positive: Tensor, negative: Tensor, spread: Tensor) -> Tensor:
    """Compute I(z; y) exactly when both classes are normal with one spread and equal odds.

        I = log 2 − H(Φ(|μ₁ − μ₀| / 2·spread)),  H(p) = −p log p − (1 − p) log(1 − p)

    a | y ~ N(μ_y, spread²). τ is the midpoint of the means: the median of the mixture and
    at once the threshold of largest information, so no choice is left and nothing is sampled.

    Args:
        positive: μ₁, mean activation of the target, ``(...)``.
        negative: μ₀, mean activation of the neutral, ``(...)``.
        spread: standard deviation σ‖w_i‖, ``(...)``, > 0; broadcasts.

    Returns:
        ``(...)`` nats in [0, log 2].

    >>> zero = torch.zeros(())
    >>> gaussian_information(zero, zero, zero + 1).item()
    0.0
    """
    gap = (positive - negative).abs_().div_(2 * spread)
    right, wrong = torch.special.ndtr(gap), torch.special.ndtr(-gap)
    return (torch.special.xlogy(right, right) + torch.special.xlogy(wrong, wrong) + math.log(2)).clamp_(min=0)


def soft_mask(information: Tensor, power: float, temperature: float = MASK_TEMPERATURE) -> Tensor:
    """Turn information into a relevance of rows (released step 2).

        m = sigmoid(standardised I / T)^p

    Args:
        information: I, ``(concepts, d_out)``; standardised over rows (unbiased).
        power: p.
        temperature: T > 0.

    Returns:
        m, ``(concepts, d_out)`` in [0, 1].
    """
    centre, spread = information.mean(1, keepdim=True), information.std(1, keepdim=True)
    standard = (information - centre) / (spread + 1e-8)  # 1e-8: the released constant
    return torch.sigmoid(standard / temperature) ** power


def relative_gate(information: Tensor) -> Tensor:
    """Normalise as in the paper: α_i = max_k I_i^(k) / max_j max_k I_j^(k) (Eq. 7).

    Args:
        information: ``(concepts, d_out)``.

    Returns:
        α, ``(d_out,)`` in [0, 1]; all zero when nothing is informative.
    """
    most = information.amax(0)
    return most / most.max().clamp(min=torch.finfo(most.dtype).tiny)
