"""SPEED: erase inside the null space of what must stay.

Source: Li et al., SPEED: Scalable, Precise, and Efficient Concept Erasure for Diffusion Models
(ICLR 2026, arXiv 2503.07392).
"""

from __future__ import annotations

import torch
from torch import Tensor

from scapre.methods.solution import Solution, Solver, condition_number
from scapre.text.statistics import ConceptStatistics

CENTRES, ROUNDS = 3, 100  # k-means of the empty prompt's tokens
AT_ONCE = 128  # concepts whose copies are compared with one another, in the order they are named


def k_means(points: Tensor, count: int) -> Tensor:
    """Find cluster centres by Lloyd's rule, each start the point farthest from those before.

    Args:
        points: ``(t, d)``, t ≥ 1; duplicates are legal and give equal centres.

    Returns:
        ``(count, d)``; the same for the same points, whatever the basis of space.
    """
    centres = points[:1]
    while len(centres) < count:
        far = _distances(points, centres).amin(1).argmax()
        centres = torch.cat([centres, points[far : far + 1]])
    for _ in range(ROUNDS):
        member = torch.nn.functional.one_hot(_distances(points, centres).argmin(1), count).to(points)
        size = member.sum(0)[:, None]
        moved = torch.where(size > 0, member.T @ points / size.clamp(min=1), centres)
        if torch.equal(moved, centres):
            break
        centres = moved
    return centres


def _distances(points: Tensor, centres: Tensor) -> Tensor:
    return (points[:, None] - centres).norm(dim=2)


def above_mean(influence: Tensor) -> Tensor:
    """Mark what lies above the mean, ``(...)`` booleans; of equal values all, of none none."""
    if influence.numel() == 0:
        return influence.bool()
    # clamp: round-off must not lift the mean of equal values above them all
    return influence >= influence.mean().clamp(max=influence.max())


def kept_moment(weight: Tensor, kept: Tensor, provisional: Tensor, noise: Tensor, prior_filter: bool) -> Tensor:
    """Average p pᵀ over the kept concepts that an edit would move, and noisy copies of them.

    Influence is ‖W₀ E p‖; of the concepts, and then of the copies of every 128 of them, what lies above the mean
    enters. Copies are p + g v, g normal, v the right singular vector of W₀ with the least singular value: they
    differ where W₀ answers least. No copy is ever formed: influences and moment are quadratic in g.

    Args:
        weight: W₀, ``(d_out, d)``.
        kept: P, ``(r, d)``, r ≥ 1.
        provisional: E, ``(d, d)``: the unconstrained edit is W₀E.
        noise: g, ``(r, copies)``. Without copies every concept enters.
        prior_filter: False lets every concept enter, copies as before.

    Returns:
        R, ``(d, d)``.
    """
    moved = kept @ (weight @ provisional).T
    if prior_filter and noise.shape[1]:
        strong = above_mean(moved.norm(dim=1))
        kept, moved, noise = kept[strong], moved[strong], noise[strong]
    # Of min(d_out, d) singular vectors, so that v is one direction and not any of a null space.
    least = torch.linalg.svd(weight, full_matrices=False).Vh[-1]
    least = torch.where(kept.sum(0) @ least < 0, -least, least)  # a sign that turns with text space
    aside = weight @ (provisional @ least)
    square = moved.square().sum(1, keepdim=True) + 2 * noise * (moved @ aside)[:, None]
    square += (noise * aside.norm()) ** 2
    influence = square.clamp(min=0).sqrt()  # clamp: round-off may leave −1e-17
    chosen = torch.cat([above_mean(part) for part in influence.split(AT_ONCE)]).to(kept)
    mixed = torch.outer(kept.T @ (chosen * noise).sum(1), least)
    total = kept.T @ ((1 + chosen.sum(1, keepdim=True)) * kept) + mixed + mixed.T
    total += (chosen * noise.square()).sum() * torch.outer(least, least)
    return total / (len(kept) + chosen.sum())


def speed_solver(
    statistics: ConceptStatistics,
    generator: torch.Generator,
    *,
    tau: float,
    retain_scale: float,
    prior_filter: bool,
    aug_num: int,
) -> Solver:
    """Minimise mean‖(W₀ + Δ) c − W₀ a‖² + ζ‖Δ‖² over Δ = ΔN with Δ K₂ = 0.

        Δ = W₀ (X − T) (B − B K₂ (K₂ᵀ B K₂)⁺ K₂ᵀ B),  B = N (N T N + ζI)⁻¹ N

    T = mean c cᵀ, X = mean a cᵀ; N projects on the eigenvectors of R = mean p pᵀ with
    eigenvalue below τ, so a kept p without a part there does not move; K₂ is the start token
    and three k-means centres of the empty prompt's other tokens. For N = U Uᵀ and
    Uᵀ T U + ζI = L Lᵀ the bracket is Gᵀ (I − Y Y⁺) G with G = L⁻¹Uᵀ and Y = G K₂: symmetric,
    and exact where N kills K₂. As τ → 0 or kept concepts fill the space, N → 0 and W = W₀.

    With nothing kept, R is that of the empty prompt's tokens after the first.

    Reproduces the released code's weights, which are ``to_v`` only. Published for few concepts are τ = 1e-1, ζ = 1
    and the filter; for ten to a hundred τ = 1e-4, ζ = 0.05 and no filter of concepts, with a hundred
    kept in 768 dimensions. Differences: the released code inverts the 4 × 4 matrix (with λ = 0) and starts
    k-means at random, here pseudo-inverse and farthest points; it shuffles the kept concepts, whose copies are
    compared 128 concepts at a time, here in the order they are named; one draw of noise serves every layer; for
    unsafe content it takes all tokens of a target, here the last content token.

    Args:
        generator: draws the noise of the copies.
        tau: τ > 0, in units of squared features; what it means depends on their length.
        retain_scale: ζ > 0.
        prior_filter: only concepts that the edit would move most enter; False: all. Copies always do so.
        aug_num: noisy copies of each kept concept, 10 as released; 0 also leaves out the filter.

    Raises:
        ValueError: ζ is not positive.
    """
    if not retain_scale > 0:
        raise ValueError(f"retain_scale must be positive for speed, got {retain_scale}: it keeps the solution unique")
    c = statistics.targets
    moment, pull = c.T @ c / len(c), (statistics.anchors - c).T @ c / len(c)
    eye = torch.eye(statistics.width, dtype=torch.float64, device=c.device)
    provisional = torch.linalg.solve(eye + moment, pull.T).T
    fixed = torch.cat([statistics.blank[:1], k_means(statistics.blank[1:], CENTRES)]).T
    retained = statistics.retained if len(statistics.retained) else statistics.blank[1:]
    noise = torch.randn((len(retained), aug_num), generator=generator, dtype=torch.float64).to(c.device)

    def solve(original: Tensor) -> Solution:
        kept = kept_moment(original, retained, provisional, noise, prior_filter)
        values, vectors = torch.linalg.eigh(kept)
        free = vectors[:, values < tau]
        system = free.T @ moment @ free + retain_scale * eye[: free.shape[1], : free.shape[1]]
        half = torch.linalg.solve_triangular(torch.linalg.cholesky(system), free.T, upper=False)
        # Y Y⁺ is the projector on the columns of Y; the scale of its factors says what is round-off.
        left, sizes, _ = torch.linalg.svd(half @ fixed, full_matrices=False)
        left = left[:, sizes > len(eye) * torch.finfo(sizes.dtype).eps * half.norm() * fixed.norm()]
        change = pull @ half.T
        change = (change - (change @ left) @ left.T) @ half
        condition = condition_number(system) if free.shape[1] else 1.0
        return Solution(original + original @ change, {"condition": condition, "free": float(free.shape[1])})

    return solve
