"""Our formulation for many concepts: erased in stages, from the text encoder's first feed-forwards to the UNet.

A linear map on d features can tell at most d directions apart, and ``to_k``/``to_v`` read features in which a
sentence has already spread its concept over every later token. The second linear map of a feed-forward reads f = 2d
(emoji-sd) to 4d (CLIP) activations that are not yet mixed, so the first blocks have room where the UNet has none.
Each feed-forward is one closed form that takes over what those before it left; the UNet's forgets a few concepts by
itself, in case another text encoder is put in front of it.

From ScaPre: contexts from the last content token on (Eq. 4), one joint quadratic problem anchored at W₀, no pictures,
no gradient. Not taken over, since the ablation finds no effect of them: spectral gates, decoupler, Bures alignment.
Ours: the places, means instead of sums, nearest anchors, and the encoder's own vocabulary as what is to stay.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from scapre.maths.linalg import add_upper, mirrored
from scapre.methods.solution import Solution, Solver, condition_number
from scapre.text.statistics import ConceptStatistics


def key_edit(
    pairs: Iterable[tuple[Tensor, Tensor]], kept: Tensor, *, ridge: float, retain_scale: float, count: int
) -> tuple[Tensor, dict[str, float]]:
    """Change a feed-forward so that targets' tokens leave its block as their anchors' do.

        min_Δ (1/m) Σ_t ‖Δ k_t − v_t‖² + ρ tr(Δ K Δᵀ) + λ s̄ ‖Δ‖²,  s̄ = tr(S)/f,  S = (1/m) Σ_t k_t k_tᵀ
        Δ = (1/m) Σ_t v_t k_tᵀ (S + ρK + λ s̄ I)⁻¹

    Its value at the solution is at most that at Δ = 0, so no stage undoes another. At ρ = 0 and λ → 0 every wish of
    linearly independent keys is met; more than f of them cannot be.

    Args:
        pairs: sentences batch by batch, read once: k, ``(b, L, f)``, activations at the targets' positions, and v,
            ``(b, L, d)``, output of the block wanted minus output given; both zero beyond a sentence's end.
        kept: K, ``(f, f)``, mean second moment of the keys that are to stay.
        ridge: λ > 0, relative to the mean diagonal of S.
        retain_scale: ρ ≥ 0.
        count: m, the sentences of the targets that were named; those of their other words dilute nothing.

    Returns:
        Δ, ``(d, f)`` float64, and facts: ``residual`` ‖ΔK − V‖/‖V‖ over the targets' positions, ``condition``.
    """
    gram, cross, size = torch.zeros_like(kept, dtype=torch.float64), kept.new_zeros(()), 0.0
    for key, wish in pairs:
        # products in the type of the keys: summed in float64 over batches, they move Δ by less than the keys' rounding
        k, v = key.flatten(0, 1), wish.flatten(0, 1).to(key.dtype)
        add_upper(gram, k)
        cross = cross + (v.T @ k).double() / count
        size += float(v.square().sum(dtype=torch.float64) / count)
    gram = mirrored(gram) / count
    tiny = torch.finfo(gram.dtype).tiny
    weight = ridge * gram.diagonal().mean().clamp(min=tiny)
    system = gram + retain_scale * kept + weight * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    change = torch.cholesky_solve(cross.T, torch.linalg.cholesky(system)).T
    left = size - 2 * float((change * cross).sum()) + float((change @ gram * change).sum())
    return change, {"residual": math.sqrt(max(0.0, left) / max(size, tiny)), "condition": condition_number(system)}


def last_stage(
    statistics: ConceptStatistics,
    kept: Tensor,
    *,
    ridge: float,
    erase_scale: float,
    retain_scale: float,
    guarded: Tensor | None = None,
) -> Solver:
    """Solve every ``to_k`` and ``to_v`` for what an unedited text encoder tells of the targets.

        min_W λ‖W − W₀‖² + (η/m) Σ_t ‖W c_t − W₀ ñ_t‖² + ρ tr((W − W₀) K (W − W₀)ᵀ)
        W = W₀ M,  M = (λI + (η/m) X + ρK)(λI + (η/m) S + ρK)⁻¹,  S = Σ_t c_t c_tᵀ,  X = Σ_t ñ_t c_tᵀ

    One matrix M serves every layer.

    Args:
        statistics: c and ñ of the m targets that were named; their other words are left to the text encoder.
        kept: K, ``(d, d)``, mean second moment of contexts that are to stay.
        ridge, erase_scale, retain_scale: λ > 0, η, ρ.
    """
    push = erase_scale / len(statistics.targets)
    gram, cross = push * statistics.gram, push * statistics.cross
    base = ridge * torch.eye(statistics.width, dtype=torch.float64, device=kept.device) + retain_scale * kept
    if guarded is not None:
        base = base + push * guarded
    system = base + gram
    matrix = torch.cholesky_solve((base + cross).T, torch.linalg.cholesky(system)).T
    facts = {"condition": condition_number(system)}
    return lambda original: Solution(original @ matrix, dict(facts))


def falling(erase_scale: float, halfway: float, count: int) -> float:
    """Weight of the last stage behind an edited text encoder, η h / (h + m).

    That encoder hands on the anchors, so the last stage is for a foreign one. There it has room for a few concepts
    only; pushed as hard for many it would cost the kept ones and win nothing.

    Args:
        erase_scale: η, the weight for the first few.
        halfway: h ≥ 0, the number of targets at which half of it is left; 0: the UNet stays as it is.
        count: m.
    """
    return erase_scale * halfway / (halfway + count)


def staged_solver(
    statistics: ConceptStatistics,
    *,
    blocks: int,
    inner_ridge: float,
    inner_retain_scale: float,
    ridge: float,
    erase_scale: float,
    retain_scale: float,
    vocabulary: float,
    same: float,
    halfway: float,
) -> Solver:
    """The last stage alone, behind an unedited text encoder and without its vocabulary.

    ``editing.stages`` puts the other stages before it.

    Args:
        blocks: how many feed-forwards of each text encoder are edited; 0: the UNet alone.
        inner_ridge, inner_retain_scale: of ``key_edit``.
        ridge, erase_scale, retain_scale: of ``last_stage``.
        halfway: of ``falling``; nothing falls where the UNet is alone.
        vocabulary: share of the text encoder's own words in what is to stay, the rest is for the named.
        same: cosine about the vocabulary's mean from which a word of it means its target and is erased with it;
            1: none does.
    """
    kept = statistics.kept_gram / max(1, len(statistics.retained))
    settings = {"ridge": ridge, "erase_scale": erase_scale, "retain_scale": retain_scale}
    return last_stage(statistics, kept, **settings)
