"""Which concepts an edit will disturb, before it is made and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from scapre.maths.linalg import orthonormal_basis
from scapre.text.embeddings import Encoded, pair_contexts
from scapre.text.statistics import second_moment


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


def conflict_score(features: Tensor, gram: Tensor, ridge: float, kept: Tensor | None = None) -> Tensor:
    """Predict how much of a concept's answer an edit of others takes along, before it is made.

        s(r) = ‖S (S + ρK + λI)⁻¹ r‖ / ‖r‖

    S (S + λI)⁻¹ is the ridge projector on what the targets occupy: an unweighted edit changes the
    answer to r by W₀ (X − S)(S + λI)⁻¹ r, which vanishes where this does. Kept concepts stand in the system of an
    edit that is told of them, and hold what they occupy.

    Args:
        features: r, ``(m, d)``.
        gram: S, ``(d, d)``, second moments of the targets.
        ridge: λ > 0, of the edit.
        kept: ρK, ``(d, d)``, second moments of what the edit is told to keep; None: of nothing.

    Returns:
        ``(m,)``: 0 untouched, 1 entirely inside what is erased; without ``kept`` at most 1.
    """
    system = gram + ridge * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    factor = torch.linalg.cholesky(system if kept is None else system + kept)
    return (gram @ torch.cholesky_solve(features.T, factor)).norm(dim=0) / features.norm(dim=1)


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


def nearest_angles(first: Tensor, second: Tensor) -> Tensor:
    """Measure the smallest principal angle between every span of one set and every span of another.

        cos φ₁ = σ₁(U_iᵀ U_j)

    Args:
        first: ``(m, s, d)``, the s rows of each span the subspace of one concept; collinear rows are legal.
        second: ``(k, t, d)``.

    Returns:
        degrees in [0, 90], ``(m, k)``.
    """
    cosines = torch.einsum("msd,ktd->mkst", _bases(first), _bases(second))
    return torch.rad2deg(torch.acos(torch.linalg.matrix_norm(cosines, 2).clamp(max=1)))


def _bases(spans: Tensor) -> Tensor:
    """Orthonormal rows of every span, ``(m, min(s, d), d)``; zero rows where the rank is smaller."""
    _, values, right = torch.linalg.svd(spans, full_matrices=False)
    tolerance = max(spans.shape[1:]) * torch.finfo(spans.dtype).eps * values[:, :1]
    return right * (values > tolerance)[..., None]


@dataclass(frozen=True)
class Crowding:
    """How targets and kept concepts meet at one place of a model.

    Attributes:
        filled: share of the place's directions in which the targets' second moment exceeds the ridge.
        score: s(r) of every kept concept under an edit that is told to keep nothing, ``(r,)`` (``conflict_score``).
        held: the same under an edit that is told to keep all of them.
        apart: ``(m, r)`` degrees, the smallest principal angle of every target and kept concept.
        among: ``(m, m)``, the same of targets and targets; 0 on the diagonal.
    """

    filled: float
    score: Tensor
    held: Tensor
    apart: Tensor
    among: Tensor

    def summary(self, degrees: float) -> dict[str, float]:
        """Say it in percent.

        Returns:
            ``filled``; the mean ``score`` and ``held``; ``kept met``, kept concepts with a target nearer than
            ``degrees``; ``targets met``, targets with another target so near.
        """
        others = self.among + 180 * torch.eye(len(self.among), dtype=self.among.dtype, device=self.among.device)
        shares = {
            "score": self.score,
            "held": self.held,
            "kept met": self.apart.amin(0) < degrees,
            "targets met": others.amin(0) < degrees,
        }
        return {"filled": 100 * self.filled} | {k: 100 * float(v.double().mean()) for k, v in shares.items()}


def crowding(targets: Encoded, kept: Encoded, share: int, ridge: float, retain_scale: float) -> Crowding:
    """Ask how crowded a place is, from what it reads of the targets' and the kept concepts' sentences.

    Scores are taken about the mean of the kept concepts and angles about the mean of all sentences: what all
    concepts share tells none apart. S and K are means over concepts, from the last content token on. The place may be
    the text features or the keys of a feed-forward.

    Args:
        targets: m · share sentences, a concept's behind each other, as the place reads them.
        kept: r · share sentences likewise, r ≥ 1.
        share: sentences a concept.
        ridge: λ / s̄ > 0, relative to the mean diagonal s̄ of S, so that places of any scale can be compared.
        retain_scale: ρ ≥ 0.
    """
    spans = [read.features.double().unflatten(0, (-1, share)) for read in (targets, kept)]
    gram, stays = (_moment(read) / len(span) for read, span in zip((targets, kept), spans, strict=True))
    weight, names = ridge * float(gram.diagonal().mean()), spans[1].mean(1)
    names = names - names.mean(0)
    told, named = (span - torch.cat(spans).mean((0, 1)) for span in spans)
    return Crowding(
        filled=float((torch.linalg.eigvalsh(gram) > weight).double().mean()),
        score=conflict_score(names, gram, weight),
        held=conflict_score(names, gram, weight, retain_scale * stays),
        apart=nearest_angles(told, named),
        among=nearest_angles(told, told),
    )


def _moment(read: Encoded) -> Tensor:
    itself = torch.arange(len(read.last), device=read.hidden.device)
    return second_moment(pair_contexts(read, read, itself).targets)
