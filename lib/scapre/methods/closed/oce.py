"""Orthogonal concept erasure (OCE): turn a layer's answers instead of adding to them.

Source: Sun et al., Orthogonal Concept Erasure for Diffusion Models (ICML 2026, arXiv 2605.28902). Its code,
HansSunY/OCE, has no licence: equations and settings are taken from it, nothing else.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scapre.maths.linalg import orthonormal_basis
from scapre.methods.solution import Solution, Solver
from scapre.text.statistics import ConceptStatistics, second_moment


def token_moment(statistics: ConceptStatistics) -> Tensor:
    """K₀ = mean c cᵀ over the tokens of all kept prompts, from start to end token, ``(d, d)``; padding left out.

    With nothing kept: over the two tokens of the empty prompt.
    """
    kept = statistics.kept
    if len(kept) == 0:
        ends = statistics.blank[:2]
        return ends.T @ ends / 2
    inside = torch.arange(kept.shape[1], device=kept.device) <= statistics.kept_last[:, None] + 1
    # contexts carry 1 / share in every product
    return second_moment(kept * inside[..., None]) * statistics.share / inside.sum()


def nearest_rotation(goal: Tensor) -> Tensor:
    """P = argmax ⟨P, M⟩ over PᵀP = I: UVᵀ of M = UΣVᵀ (orthogonal Procrustes), ``(k, k)``."""
    left, _, right = torch.linalg.svd(goal)
    return left @ right


def oce_solver(
    statistics: ConceptStatistics,
    *,
    erase_scale: float,
    prior_scale: float,
    retain_scale: float,
    ridge: float,
    as_released: bool,
) -> Solver:
    """Turn what the targets answer out of what is not their anchors', and nothing else: W = P W₀ with PᵀP = I.

        min_P −s_e ‖P G − (I − G*)‖² + tr (P − I) W₀ (s_g K₀ + s_c RᵀR + λI) W₀ᵀ (P − I)ᵀ
        P = nearest rotation to M = −s_e (I − G*) G + W₀ (s_g K₀ + s_c RᵀR + λI) W₀ᵀ

    G and G* project on the answers W₀Cᵀ and W₀C*ᵀ, in ``d_out`` dimensions. WᵀW = W₀ᵀW₀: every answer keeps
    its length, every two their angle. n ≥ d_out targets give G = I, and no answer is told from another: where
    s_e is large, W = −W₀ outside the anchors' span.

    Differences. The released code multiplies the projectors the other way round, G (I − G*), which turns P into
    Pᵀ, and where det P < 0 negates the last column of P, after which P is not the objective's best:
    ``as_released``. It spans by QR, which for repeated anchors fills G* with directions of round-off;
    here the rank is counted. It edits ``to_v`` only, the paper keys and values. K₀ is over 30,000 captions
    there, here over the prompts of the kept concepts.

    Args:
        statistics: of every position of the prompts.
        erase_scale: s_e; 2000 as released for one object, 800 for 100 celebrities.
        prior_scale: s_g ≥ 0 of the tokens' mean; 10 and 70.
        retain_scale: s_c ≥ 0 of the kept concepts' sum; 0 and 2.
        ridge: λ > 0; 10.
        as_released: False solves the stated objective.
    """
    kept = prior_scale * token_moment(statistics) + retain_scale * statistics.retained.T @ statistics.retained
    kept.diagonal().add_(ridge)
    anchors = statistics.anchors.unique(dim=0)

    def solve(original: Tensor) -> Solution:
        spanned = orthonormal_basis(statistics.targets @ original.T)
        safe = orthonormal_basis(anchors @ original.T)
        outside = spanned - safe @ (safe.T @ spanned)
        erase = outside @ spanned.T
        turn = nearest_rotation(original @ kept @ original.T - erase_scale * (erase.T if as_released else erase))
        if as_released and torch.linalg.slogdet(turn).sign < 0:
            turn[:, -1] *= -1
        return Solution(turn @ original, {"spanned": spanned.shape[1] / len(original)})

    return solve
