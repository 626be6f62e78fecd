"""Which concepts an edit will disturb, before it is made and after."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from scapre.maths.linalg import orthonormal_basis


def principal_angles(first: Tensor, second: Tensor) -> Tensor:
    """Measure the angles between the spans of two sets of features.

        cos φ_i = σ_i(U₁ᵀU₂)

    Args:
        first: ``(m, d)``, rows span the first subspace.
        second: ``(k, d)``.

    Returns:
        degrees in [0, 90], ascending, as many as the smaller rank.

    >>> x, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]])
    >>> round(principal_angles(x, y).item(), 3)
    45.0
    """
    cosines = torch.linalg.svdvals(orthonormal_basis(first).T @ orthonormal_basis(second))
    return torch.rad2deg(torch.acos(cosines.clamp(max=1)))


def conflict_score(features: Tensor, gram: Tensor, ridge: float) -> Tensor:
    """Predict how much of a concept's answer an edit of others takes along, before it is made.

        s(r) = ‖S (S + λI)⁻¹ r‖ / ‖r‖

    S (S + λI)⁻¹ is the ridge projector on what the targets occupy: an unweighted edit changes the
    answer to r by W₀ (X − S)(S + λI)⁻¹ r, which vanishes where this does.

    Args:
        features: r, ``(m, d)``.
        gram: S, ``(d, d)``, second moments of the targets.
        ridge: λ > 0, of the edit.

    Returns:
        ``(m,)`` in [0, 1]: 0 untouched, 1 entirely inside what is erased.
    """
    values, vectors = torch.linalg.eigh(gram)
    share = values.clamp(min=0) / (values.clamp(min=0) + ridge)
    return ((features @ vectors) * share).norm(dim=1) / features.norm(dim=1)


def answer_change(original: Mapping[str, Tensor], edited: Mapping[str, Tensor], features: Tensor) -> Tensor:
    """Measure how much the answers to given features changed, over all matrices of an edit.

        √(Σ_l ‖(W_l − W_{0,l}) c‖² / Σ_l ‖W_{0,l} c‖²)

    Args:
        original: W₀ by name, ``(d_out, d)`` each.
        edited: W by name.
        features: c, ``(m, d)``.

    Returns:
        ``(m,)``; 0 unchanged, 1 as large as the answer itself.
    """
    rows = features.double()
    change = sum(((edited[k].double() - w.double()) @ rows.T).square().sum(0) for k, w in original.items())
    whole = sum((w.double() @ rows.T).square().sum(0) for w in original.values())
    return (torch.as_tensor(change) / torch.as_tensor(whole)).sqrt()
