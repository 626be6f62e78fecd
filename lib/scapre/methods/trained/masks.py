"""Which entries of a weight may move: chosen by the size of their gradient."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def largest(scores: Tensor, count: int) -> Tensor:
    """Mark the ``count`` largest entries, exactly that many (ties: the first), as booleans of the same shape."""
    flat = scores.flatten()
    if count == 0:
        return torch.zeros_like(scores, dtype=torch.bool)
    # the entry of that rank, not a sort of millions: three times as fast on ten million
    least = flat.kthvalue(len(flat) - count + 1).values
    above, level = flat > least, flat == least
    return (above | (level & (level.cumsum(0) <= count - above.sum()))).view_as(scores)


def salient(gradients: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Mark the given share of all entries with the largest |G|, over all weights jointly (SalUn)."""
    flat = torch.cat([gradient.abs().flatten() for gradient in gradients.values()])
    marks = largest(flat, round(share * len(flat))).split([gradient.numel() for gradient in gradients.values()])
    return {name: mark.view_as(gradients[name]) for name, mark in zip(gradients, marks, strict=True)}


def renewed(mask: Tensor, gradient: Tensor, share: float) -> Tensor:
    """Drop a share of the active entries, those of least |G|, and add as many inactive ones of largest |G|.

    As many stay active as were; less are exchanged where fewer are inactive.
    """
    size = gradient.abs()
    count = min(int(share * int(mask.sum())), int((~mask).sum()))
    never = torch.full_like(size, -torch.inf)
    dropped = largest(torch.where(mask, -size, never), count)
    added = largest(torch.where(mask, never, size), count)
    return (mask & ~dropped) | added
