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


def ridge_by_sum(weight, contexts, anchors, kept, ridge, scale, retain) -> Tensor:
    """min λ‖W − W₀‖² + ρ Σ‖(W − W₀) p‖² + η Σ‖W c − W₀ a‖², both factors summed pair by pair."""
    left, right = ridge * weight, ridge * torch.eye(weight.shape[1], dtype=weight.dtype)
    for c, a in zip(contexts, anchors, strict=True):
        left = left + scale * torch.outer(weight @ a, c)
        right = right + scale * torch.outer(c, c)
    for p in kept:
        left = left + retain * torch.outer(weight @ p, p)
        right = right + retain * torch.outer(p, p)
    return torch.linalg.solve(right.T, left.T).T


def rece_by_layers(weights, first, again, kept, ridges, scale, retains, gamma, epochs) -> list[Tensor]:
    """Erase ``first`` on every layer; then derive ``again`` from sums over layers and erase it in what is edited."""
    edited = [ridge_by_sum(w, *first, kept, ridges[0], scale, retains[0]) for w in weights]
    for _ in range(epochs):
        left = gamma * torch.eye(weights[0].shape[1], dtype=weights[0].dtype)
        right = torch.zeros_like(left)
        for w, w0 in zip(edited, weights, strict=True):
            left = left + w.T @ w
            right = right + w.T @ w0
        derived = [torch.linalg.solve(left, right @ c) for c in again[0]]
        edited = [ridge_by_sum(w, derived, again[1], kept, ridges[1], scale, retains[1]) for w in edited]
    return edited


def kept_moment_by_copies(weight, kept, provisional, noise, prior_filter) -> Tensor:
    """mean p pᵀ over influential concepts and their influential copies p + g v, each copy formed."""
    change = weight @ provisional

    def strong(points: Tensor) -> Tensor:
        influence = torch.stack([(change @ p).norm() for p in points])
        return influence >= influence.mean() - 1e-12

    _, _, right = torch.linalg.svd(weight, full_matrices=False)
    if prior_filter and noise.numel():
        chosen = strong(kept)
        kept, noise = kept[chosen], noise[chosen]
    v = right[-1] if kept.sum(0) @ right[-1] >= 0 else -right[-1]
    points = list(kept)
    if noise.numel():
        copies = torch.stack([p + g * v for p, row in zip(kept, noise, strict=True) for g in row])
        points += list(copies[strong(copies)])
    return torch.stack([torch.outer(p, p) for p in points]).mean(0)


def speed_by_formula(weight, targets, anchors, kept_moment, fixed, tau, zeta) -> Tensor:
    """W₀ + W₀ (X − T) N (I − M K₂ (K₂ᵀ N M K₂)⁺ K₂ᵀ N) M with M = (T N + ζI)⁻¹, as written."""
    eye = torch.eye(weight.shape[1], dtype=weight.dtype)
    moment = torch.stack([torch.outer(c, c) for c in targets]).mean(0)
    cross = torch.stack([torch.outer(a, c) for a, c in zip(anchors, targets, strict=True)]).mean(0)
    values, vectors = torch.linalg.eigh(kept_moment)
    null = vectors @ torch.diag((values < tau).to(weight.dtype)) @ vectors.T
    m = torch.linalg.inv(moment @ null + zeta * eye)
    inner = torch.linalg.pinv(fixed.T @ null @ m @ fixed, rtol=1e-10)
    return weight + weight @ (cross - moment) @ null @ (eye - m @ fixed @ inner @ fixed.T @ null) @ m


def cure_by_svd(weight, forget, keep, alpha) -> Tensor:
    """W₀ − W₀ (P_f − P_f P_r) with P = V diag(αr / ((α − 1) r + 1)) Vᵀ from the singular values of the rows."""

    def soft(rows: Tensor) -> Tensor:
        if len(rows) == 0:
            return torch.zeros(weight.shape[1], weight.shape[1], dtype=weight.dtype)
        _, values, right = torch.linalg.svd(rows, full_matrices=False)
        share = values**2 / (values**2).sum()
        return right.T @ torch.diag(alpha * share / ((alpha - 1) * share + 1)) @ right

    return weight - weight @ (soft(forget) - soft(forget) @ soft(keep))


def token_moment_by_prompt(kept, last) -> Tensor:
    """mean c cᵀ over positions 0 … last + 1 of every prompt."""
    tokens = [c for prompt, end in zip(kept, last, strict=True) for c in prompt[: end + 2]]
    return torch.stack([torch.outer(c, c) for c in tokens]).mean(0)


def double_projections_of_one(weight, target, anchors, retained, project) -> Tensor:
    """W₀ + W₀ (c* − c) xᵀ U₂ᵀ / ‖x‖², U₂ from the full SVD of the kept columns, c* = S (SᵀS)⁺ Sᵀ c."""
    columns = anchors.T
    goal = columns @ torch.linalg.pinv(columns.T @ columns) @ columns.T @ target if project else anchors[0]
    basis, values, _ = torch.linalg.svd(retained.T, full_matrices=True)
    other = basis[:, int((values > 1e-9).sum()) :]
    x = other.T @ target
    return weight + torch.outer(weight @ (goal - target), other @ x) / x.square().sum()


def marked_one_by_one(weight, told, time_share, share) -> Tensor:
    """FIA's marks entry by entry: ranks are counted, none is sorted."""
    rows, columns = weight.shape
    score = torch.zeros_like(weight)
    largest = max((weight.abs() * told.sum(0)).max().item(), 1e-300)
    for step in told:
        salience = weight.abs() * step
        for i in range(rows):
            for j in range(columns):
                above = (salience > salience[i, j]).sum()
                kth = max(1, int(time_share * salience.numel()))
                score[i, j] += salience[i, j] / largest + float(above < kth - 1 and salience[i, j] > 0) / len(told)
    marks = torch.zeros_like(weight, dtype=torch.bool)
    for i in range(rows):
        for j in range(columns):
            in_row, in_all = (score[i] > score[i, j]).sum(), (score > score[i, j]).sum()
            few = in_row < max(1, int(share * columns)) and in_all < max(1, int(share * score.numel()))
            marks[i, j] = few and score[i, j] > 0
    return marks


def key_fit_row_by_row(keys: Tensor, wishes: Tensor, moment: Tensor, retain_scale: float) -> Tensor:
    """min Σ(δ·k − v)² + ρ δᵀK₀δ + ε‖δ‖² for every row δ by itself, ε a millionth of the trace."""
    system = retain_scale * moment + sum(torch.outer(k, k) for k in keys)
    system = system + 1e-6 * system.trace() * torch.eye(len(system), dtype=system.dtype)
    right = [sum(v[row] * k for k, v in zip(keys, wishes, strict=True)) for row in range(wishes.shape[1])]
    return torch.stack([torch.linalg.solve(system, b) for b in right])


def spread_over_blocks(encoder, tokenizer, wish, blocks: int, retain_scale: float, as_released: bool) -> list[Tensor]:
    """EMCID's second stage word for word: fill block after block, of what is missing its share."""
    layers = [layer for layer in encoder.modules() if type(layer).__name__ == "CLIPEncoderLayer"][:blocks]
    seen: dict[str, Tensor] = {}

    def look(sentence: str, layer) -> tuple[Tensor, Tensor, Tensor, int]:
        hooks = [
            layer.mlp.fc2.register_forward_hook(lambda _, x, y: seen.update(key=x[0][0], own=y[0])),
            layer.register_forward_hook(lambda _, x, y: seen.update(out=(y[0] if isinstance(y, tuple) else y)[0])),
        ]
        tokens = tokenizer(sentence, padding="max_length", max_length=12, return_tensors="pt")
        with torch.no_grad():
            encoder(tokens.input_ids)
        for hook in hooks:
            hook.remove()
        return *(seen[name].double() for name in ("key", "own", "out")), int(tokens.attention_mask.sum()) - 2

    def mean(name: str, layer, part: int) -> Tensor:
        read = [look(sentence.format(name), layer) for sentence in wish.sentences]
        return sum(each[part][each[3]] for each in read) / len(read)

    goals = [mean(anchor, layers[-1], 2) for anchor in wish.anchors]
    before = [layer.mlp.fc2.weight.detach().clone() for layer in layers]
    kept = [sentence.format(name) for name in wish.retained for sentence in wish.sentences]
    moments = [sum(k[:, None] * k[None] for s in kept for k in look(s, lay)[0]) / (12 * len(kept)) for lay in layers]
    edited = []
    for left, layer, moment in zip(range(blocks, 0, -1), layers, moments, strict=True):
        keys = torch.stack([mean(name, layer, 0) for name in wish.targets])
        given = [mean(name, layer, 1) if as_released else mean(name, layers[-1], 2) for name in wish.targets]
        wishes = torch.stack([(goal - now) / left for goal, now in zip(goals, given, strict=True)])
        change = key_fit_row_by_row(keys, wishes, moment, retain_scale)
        edited.append((layer.mlp.fc2.weight.double() + change).float().detach())
        layer.mlp.fc2.weight.data.copy_(edited[-1])
    for layer, weight in zip(layers, before, strict=True):
        layer.mlp.fc2.weight.data.copy_(weight)
    return edited
