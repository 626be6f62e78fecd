"""The objectives of the erasers that train, written out picture by picture."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


def predict(e: Any, model: nn.Module, x: Tensor, t: Tensor, hidden: Tensor) -> Tensor:
    return model(x[None], t[None], encoder_hidden_states=hidden[None]).sample[0]


def say(e: Any, model: nn.Module, x: Tensor, t: Tensor, prompt: Tensor) -> Tensor:
    return predict(e, model, x, t, e.denoiser.text(prompt[None]).hidden[0])


def noised(e: Any, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    kept = e.denoiser.noise.alphas_cumprod.double()[t]
    return kept.sqrt() * clean + (1 - kept).sqrt() * noise


def square(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).pow(2).sum() / a.numel()


def pictures(batch: dict[str, Tensor]) -> range:
    return range(len(batch["x"]))


def esd_goal(e: Any, x: Tensor, t: Tensor, c: Tensor) -> Tensor:
    with torch.no_grad():
        told, blank = say(e, e.denoiser.unet, x, t, c), say(e, e.denoiser.unet, x, t, e.blank)
    eta = e.eta
    if getattr(e, "formula", "paper") == "code-2025":
        return (1 - eta) * told + eta * blank
    return (1 + eta) * blank - eta * told


def esd(e: Any, model: nn.Module, teacher: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    terms = []
    for i in pictures(batch):
        x, t, c = (batch[key][i] for key in ("x", "t", "c"))
        terms.append(square(say(e, model, x, t, c), esd_goal(e, x, t, c)))
    return sum(terms) / len(terms)


def concept_ablation(e: Any, model: nn.Module, teacher: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    terms = []
    for i in pictures(batch):
        clean, noise, t, c, a = (batch[key][i] for key in ("x", "noise", "t", "c", "a"))
        x = noised(e, clean, noise, t)
        with torch.no_grad():
            goal = say(e, teacher, x, t, a)
        terms.append(square(say(e, model, x, t, c), goal) + e.prior * square(say(e, model, x, t, a), noise))
    return sum(terms) / len(terms)


def attention(e: Any, model: nn.Module, x: Tensor, t: Tensor, prompt: Tensor) -> list[Tensor]:
    """Probabilities ``(heads, pixels, T)`` of every attn2, from its own queries and keys."""
    blocks = [module for name, module in model.named_modules() if name.endswith("attn2")]
    seen: dict[int, dict[str, Tensor]] = {id(block): {} for block in blocks}
    handles = []
    for block in blocks:
        for side in ("to_q", "to_k"):
            keep = partial(_keep, seen[id(block)], side)
            handles.append(getattr(block, side).register_forward_hook(keep))
    say(e, model, x, t, prompt)
    for handle in handles:
        handle.remove()
    found = []
    for block in blocks:
        q, k = (seen[id(block)][side].unflatten(-1, (block.heads, -1)) for side in ("to_q", "to_k"))
        scores = torch.einsum("qhd,thd->hqt", q, k) / q.shape[-1] ** 0.5
        found.append(scores.exp() / scores.exp().sum(-1, keepdim=True))
    return found


def _keep(row: dict[str, Tensor], side: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
    row[side] = output[0]


def attended(e: Any, model: nn.Module, batch: dict[str, Tensor]) -> list[Tensor]:
    """Sum of squared attention to S, of every picture."""
    totals = []
    for i in pictures(batch):
        clean, noise, t, c, marks = (batch[key][i] for key in ("x", "noise", "t", "c", "marks"))
        layers = attention(e, model, noised(e, clean, noise, t), t, c)
        totals.append(sum(layer[..., marks].pow(2).sum() for layer in layers))
    return totals


def forget_me_not(e: Any, model: nn.Module, teacher: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    return sum(attended(e, model, batch)).sqrt()


def mace(e: Any, model: nn.Module, teacher: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    return sum(attended(e, model, batch)) / len(batch["x"])


def denoising(e: Any, model: nn.Module, clean: Tensor, noise: Tensor, t: Tensor, prompt: Tensor) -> Tensor:
    return square(say(e, model, noised(e, clean, noise, t), t, prompt), noise)


def warm_up(e: Any, model: nn.Module, teacher: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    terms = [denoising(e, model, *(batch[key][i] for key in ("x", "noise", "t", "c"))) for i in pictures(batch)]
    return sum(terms) / len(terms)


def reassigned(e: Any, model: nn.Module, teacher: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Forget on the target's pictures, retain on others: Sculpting Memory and SalUn."""
    terms = []
    for i in pictures(batch):
        clean, noise, t, c, a = (batch[key][i] for key in ("x", "noise", "t", "c", "a"))
        x = noised(e, clean, noise, t)
        with torch.no_grad():
            goal = say(e, teacher, x, t, a)
        kept = [batch[f"kept_{key}"][i] for key in ("x", "noise", "t", "p")]
        terms.append(square(say(e, model, x, t, c), goal) + e.retain_scale * denoising(e, model, *kept))
        if getattr(e, "distillation", 0):
            clean, noise, t, p = kept
            x = noised(e, clean, noise, t)
            with torch.no_grad():
                before = say(e, e.denoiser.unet, x, t, p)  # the first target starts from the original
            terms[-1] = terms[-1] + e.distillation * square(say(e, model, x, t, p), before)
    return sum(terms) / len(terms)


def restricted_gradient(e: Any, model: nn.Module, teacher: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    terms = []
    for i in pictures(batch):
        noise, t = batch["noise"][i], batch["t"][i]
        forget = denoising(e, model, batch["x"][i], noise, t, batch["c"][i])
        terms.append(denoising(e, model, batch["kept"][i], noise, t, batch["p"][i]) - forget)
    return sum(terms) / len(terms)


def surgun(e: Any, model: nn.Module, teacher: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    terms = []
    for i in pictures(batch):
        noise, t, c = (batch[key][i] for key in ("noise", "t", "c"))
        terms.append(-e.beta * (1 + denoising(e, model, batch["x"][i], noise, t, c) / e.ascent_scale).log())
        if e.distractors:
            terms[-1] = terms[-1] + denoising(e, model, batch["d"][i], noise, t, c)
    return sum(terms) / len(terms)


def spm(e: Any, model: nn.Module, teacher: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    terms = []
    for i in pictures(batch):
        x, t, c = (batch[key][i] for key in ("x", "t", "c"))
        term = square(say(e, model, x, t, c), esd_goal(e, x, t, c))
        for z in batch["z"][i]:
            with torch.no_grad():
                before = predict(e, e.denoiser.unet, x, t, z)
            term = term + e.retain_scale * square(predict(e, model, x, t, z), before) / len(batch["z"][i])
        terms.append(term)
    return sum(terms) / len(terms)
