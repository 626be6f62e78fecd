"""The two formulations of ScaPre's released code, "basic" and "scale" (reference sections 4 and 5).

Random draws follow the released stream: float32 normals from one CPU generator, per
matrix in the order stated by each function.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scapre.maths.bures import row_step, safety_valve
from scapre.maths.linalg import lower_median, orthonormal_basis, solve_rows
from scapre.maths.row_gates import entropy_of_rows, sampled_information, soft_mask
from scapre.methods.solution import Solution, Solver, condition_number
from scapre.text.statistics import ConceptStatistics

MASK_SAMPLES = 5  # of targets and of neutrals each, as released
CHUNK = 64  # concepts whose activations are held at once


def _draw(generator: torch.Generator, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Draw from the released CPU stream, then move."""
    return torch.randn(shape, generator=generator, dtype=torch.float32).to(like.device)


def sampled_masks(
    weight: Tensor, statistics: ConceptStatistics, generator: torch.Generator, *, noise_sigma: float, power: float
) -> Tensor:
    """Draw the relevance mask of every target (released step 2).

    Five perturbations of the target and five of the empty prompt each; by linearity
    W(c + σε) = Wc + σWε.

    Args:
        weight: W₀, ``(d_out, d)``.

    Returns:
        m, ``(m, d_out)``.
    """
    weight = weight.float()
    targets, null = statistics.targets.float(), statistics.null.float()
    masks = []
    for chunk in targets.split(CHUNK):
        noise = _draw(generator, (len(chunk), 2, MASK_SAMPLES, statistics.width), weight)
        inputs = torch.stack([chunk, null.expand_as(chunk)], dim=1)[:, :, None] + noise_sigma * noise
        activations = (inputs @ weight.T).movedim(-1, 1)
        information = sampled_information(activations[:, :, 0], activations[:, :, 1])
        # One reduction a concept, as released: where every row sits at the ceiling log 2 the mask
        # is the round-off of its mean divided by 1e-8, and a batched mean rounds differently.
        masks += [soft_mask(concept[None], power) for concept in information]
    return torch.cat(masks).double()


def sampled_entropy(
    weight: Tensor,
    statistics: ConceptStatistics,
    generator: torch.Generator,
    *,
    noise_sigma: float,
    samples: int,
    bins: int,
) -> Tensor:
    """Draw perturbed targets and return the entropy h of every row, ``(d_out,)`` (released step 1)."""
    weight, targets = weight.float(), statistics.targets.float()
    activations = []
    for chunk in targets.split(CHUNK):
        noise = _draw(generator, (len(chunk), samples, statistics.width), weight)
        activations.append(((chunk[:, None] + noise_sigma * noise) @ weight.T).flatten(0, 1))
    return entropy_of_rows(torch.cat(activations).T, bins).double()


def masked_cross(weight: Tensor, statistics: ConceptStatistics, masks: Tensor | None) -> Tensor:
    """V = Σ_k diag(m_k) Σ_t (W₀ ñ_t) c_{k,t}ᵀ, ``(d_out, d)``; without masks W₀X.

    Targets of one replacement share W₀Ñᵀ, so a chunk of concepts is one product of
    (d_out, chunk · L) by (chunk · L, d).
    """
    if masks is None:
        return weight @ statistics.cross
    contexts = statistics.contexts
    masks = masks.repeat_interleave(statistics.share, dim=0)  # all sentences of a concept share its mask
    total = torch.zeros_like(weight)
    for a, anchor in enumerate(contexts.anchors):
        # float32, as the contexts are: this is the only product that grows with rows × concepts × L
        answer = (weight @ anchor.double().T).float()
        for chosen in torch.nonzero(contexts.anchor_of == a)[:, 0].split(CHUNK):
            gated = masks[chosen].float().T[:, :, None] * answer[:, None]
            total += gated.flatten(1) @ contexts.targets[chosen].flatten(0, 1)
    return total


def spectral_gate(values: Tensor, temperature: float, power: float) -> Tensor:
    """g_i = sigmoid((σ_i − lower median σ) / T)^q: near 1 for directions that concepts share."""
    return torch.sigmoid((values - lower_median(values)) / temperature) ** power


def basic_solver(
    statistics: ConceptStatistics,
    generator: torch.Generator,
    *,
    ridge: float,
    erase_scale: float,
    p: float,
    noise_sigma: float,
    alpha_min: float,
    entropy_samples: int,
    entropy_bins: int,
    smooth_spectral: bool,
    gate_temperature: float,
    gate_power: float,
) -> Solver:
    """Masked ridge regression blended with the original by row entropy (released "basic").

        W' = (λW₀ + ηV − spectral) (λI + CᵀC + ηS)⁻¹,  W = αW' + (1 − α)W₀

    with α_i = α_min + (1 − α_min)(1 − h_i). Draws per matrix: masks, then entropy.
    """
    c = statistics.targets
    eye = torch.eye(statistics.width, dtype=torch.float64, device=c.device)
    system = ridge * eye + c.T @ c + erase_scale * statistics.gram
    factor = torch.linalg.cholesky(system)
    softened = None
    if smooth_spectral:
        _, values, right = torch.linalg.svd(c, full_matrices=False)
        gate = spectral_gate(values, gate_temperature, gate_power)
        softened = c - (c @ right.T * gate) @ right
    facts = {"condition": condition_number(system)}

    def solve(original: Tensor) -> Solution:
        masks = sampled_masks(original, statistics, generator, noise_sigma=noise_sigma, power=p)
        entropy = sampled_entropy(
            original, statistics, generator, noise_sigma=noise_sigma, samples=entropy_samples, bins=entropy_bins
        )
        right = ridge * original + erase_scale * masked_cross(original, statistics, masks)
        if softened is not None:
            right = right - erase_scale * (original @ softened.T) @ softened
        share = (alpha_min + (1 - alpha_min) * (1 - entropy))[:, None]
        weight = torch.lerp(original, torch.cholesky_solve(right.T, factor).T, share)
        return Solution(weight, facts | {"open": float((masks.amax(0) > 0.5).double().mean())})

    return solve


def scale_solver(
    statistics: ConceptStatistics,
    generator: torch.Generator,
    *,
    ridge: float,
    erase_scale: float,
    p: float,
    noise_sigma: float,
    use_mask: bool,
    spectral_gate: bool,
    gate_temperature: float,
    gate_power: float,
    entropy_samples: int,
    entropy_bins: int,
    bures_iters: int,
    safety_valve: bool,
) -> Solver:
    """Row systems that differ by a multiple of the concept projector, then a Bures step (released "scale").

        (G + η r_i Π) w_i = (λ + μ) w0_i + v_i,  G = (λ + μ) I + R + CᵀC + ηS

    Draws per matrix: entropy, masks for r, masks for V.
    """
    c = statistics.targets
    eye = torch.eye(statistics.width, dtype=torch.float64, device=c.device)
    moments = c.T @ c + erase_scale * statistics.gram
    basis = orthonormal_basis(c)
    shared = shared_directions(c, gate_temperature, gate_power) if spectral_gate else None
    extremes = torch.linalg.eigvalsh(moments)[[0, -1]]

    def solve(original: Tensor) -> Solution:
        entropy = sampled_entropy(
            original, statistics, generator, noise_sigma=noise_sigma, samples=entropy_samples, bins=entropy_bins
        )
        alignment = float(entropy.mean())
        relevance, masks = torch.ones_like(entropy), None
        if use_mask:
            first, masks = (
                sampled_masks(original, statistics, generator, noise_sigma=noise_sigma, power=p) for _ in range(2)
            )
            relevance = first.amax(0)
        system = (ridge + alignment) * eye + moments
        smallest, largest = (extremes + ridge + alignment).tolist()
        condition = largest / smallest
        if shared is not None:
            system = system + alignment * shared
            condition = condition_number(system)
        right = (ridge + alignment) * original + erase_scale * masked_cross(original, statistics, masks)
        weight = solve_rows(system, erase_scale * relevance, basis, right)
        weight = row_step(weight, original, ridge, alignment, bures_iters)
        if safety_valve:
            weight = _hold(weight, original, entropy)
        return Solution(
            weight,
            {
                "condition": condition,
                "alignment": alignment,
                "open": float((relevance > 0.5).double().mean()),
            },
        )

    return solve


_hold = safety_valve  # the setting of the same name hides it in scale_solver


def shared_directions(targets: Tensor, temperature: float, power: float) -> Tensor:
    """U diag(1 − g) Uᵀ of the released spectral gate (ASED): the part of R that μ multiplies.

    Args:
        targets: C = Q diag(σ) Uᵀ, ``(m, d)``.
        temperature: T.
        power: q.

    Returns:
        ``(d, d)`` with eigenvalues in [0, 1]: 1 on directions few targets share, 0 on shared ones.
    """
    _, values, right = torch.linalg.svd(targets, full_matrices=False)
    gate = spectral_gate(values, temperature, power)
    return right.T @ ((1 - gate)[:, None] * right)
