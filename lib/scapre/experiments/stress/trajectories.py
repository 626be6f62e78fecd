"""Probes that reach into the drawing itself: a start that is not noise, or more noise on the way.

Sources, after summaries: When Are Concepts Erased From Diffusion Models? (arXiv 2505.17013): completion of the
original's half-finished picture, extra noise at every step; TINA (arXiv 2603.17828): inversion of a picture under the
empty prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from scapre.experiments.stress.budget import Budget
from scapre.experiments.stress.probe import PICTURE, Found, Target, tabled
from scapre.methods.trained.denoiser import Denoiser
from scapre.methods.trained.drawing import encoded
from scapre.model.places import GUIDANCE

STEPS = 20  # of DDIM
BEGUN = (0.25, 0.5)  # share of the steps that the original draws
NOISE = (0.5, 1.0, 1.4, 1.85)  # times the standard deviation of DDPM's step; 0 is DDIM


@torch.no_grad()
def completion(pipe: Any, target: Target, budget: Budget, seed: int) -> Found:
    """Let the original begin a picture of the concept and the model under test finish it."""
    prompts = target.said(PICTURE, budget.pictures)
    told: list[str] = []
    images: list[Tensor] = []
    begins, ends = Denoiser(target.original), Denoiser(pipe)
    for share, part in zip(BEGUN, _split(prompts, len(BEGUN)), strict=True):
        start, done = _noise(ends, len(part), seed + len(images)), int(share * STEPS)
        states, _ = begins.walk(begins.unet, begins.say(part), start, STEPS, GUIDANCE, far=done + 1)
        images.append(decoded(pipe, _finish(ends, part, states[-1], done, seed)))
        told += [f"{prompt} ({share:.0%} by the original)" for prompt in part]
    return Found(torch.cat(images), tabled(told, target))


@torch.no_grad()
def noisy_steps(pipe: Any, target: Target, budget: Budget, seed: int) -> Found:
    """Draw with noise at every step, from half as much as DDPM adds to nearly twice as much (``_finish``)."""
    prompts, denoiser = target.said(PICTURE, budget.pictures), Denoiser(pipe)
    told: list[str] = []
    images: list[Tensor] = []
    for eta, part in zip(NOISE, _split(prompts, len(NOISE)), strict=True):
        start = _noise(denoiser, len(part), seed + len(images))
        images.append(decoded(pipe, _finish(denoiser, part, start, 0, seed, eta=eta)))
        told += [f"{prompt} (noise {eta:g})" for prompt in part]
    return Found(torch.cat(images), tabled(told, target))


@torch.no_grad()
def picture_inversion(pipe: Any, target: Target, budget: Budget, seed: int) -> Found:
    """Walk pictures of the concept back to noise by DDIM under the empty prompt, and draw from there under it again."""
    denoiser = Denoiser(pipe)
    clean = encoded(pipe, target.pictures, denoiser.shape[1:]).to(denoiser.dtype)
    x = clean[torch.arange(budget.pictures, device=clean.device) % len(clean)]
    blank = denoiser.say([""]).expand(len(x))
    denoiser.ddim.set_timesteps(STEPS, device=denoiser.device)
    levels = [0, *reversed(denoiser.ddim.timesteps.tolist())]
    alphas = denoiser.ddim.alphas_cumprod.to(x)
    for t, later in (*pairwise(levels), *pairwise(reversed(levels))):
        level = torch.full((len(x),), t, device=x.device)
        x0, noise = _split_noise(denoiser, x, t, denoiser.predict(denoiser.unet, x, level, denoiser.text(blank)))
        x = alphas[later].sqrt() * x0 + (1 - alphas[later]).sqrt() * noise
    return Found(decoded(pipe, x), tabled(["(a picture, walked back and drawn again)"] * len(x), target))


def _split_noise(denoiser: Denoiser, x: Tensor, t: int, answer: Tensor) -> tuple[Tensor, Tensor]:
    """What the model's answer takes x_t to be made of: x_0 and noise."""
    a = denoiser.ddim.alphas_cumprod[t].to(x)
    if denoiser.kind == "v_prediction":
        return a.sqrt() * x - (1 - a).sqrt() * answer, a.sqrt() * answer + (1 - a).sqrt() * x
    return (x - (1 - a).sqrt() * answer) / a.sqrt(), answer


def _finish(denoiser: Denoiser, prompts: Sequence[str], x: Tensor, done: int, seed: int, eta: float = 0.0) -> Tensor:
    """Draw on from the state before step ``done`` of ``STEPS``, with guidance.

        x ← √ᾱ' x_0 + √max(0, 1 − ᾱ' − η²σ²) noise + η σ z,  σ² = (1 − ᾱ')/(1 − ᾱ) (1 − ᾱ/ᾱ')

    ᾱ' of the next time; η = 0 is DDIM, 1 is DDPM. No noise after the last step.
    """
    ids, draw = denoiser.say(prompts), torch.Generator().manual_seed(seed)
    denoiser.ddim.set_timesteps(STEPS, device=denoiser.device)
    alphas, times = denoiser.ddim.alphas_cumprod.to(x), denoiser.ddim.timesteps.tolist()
    for t, later in list(zip(times, [*times[1:], 0], strict=True))[done:]:
        answer = denoiser.guided(denoiser.unet, x, torch.full((len(x),), t, device=x.device), ids, GUIDANCE)
        x0, noise = _split_noise(denoiser, x, t, answer)
        a, rest = alphas[t], 1 - alphas[later]
        spread = eta * (rest / (1 - a) * (1 - a / alphas[later])).sqrt() if later else torch.zeros_like(a)
        x = alphas[later].sqrt() * x0 + (rest - spread.square()).clamp(min=0).sqrt() * noise
        x = x + spread * denoiser.gauss(len(x), draw)
    return x


def decoded(pipe: Any, latents: Tensor) -> Tensor:
    """Latents as pictures, uint8 ``(n, H, W, 3)`` on the CPU."""
    pixels = pipe.vae.decode((latents / pipe.vae.config.scaling_factor).to(pipe.vae.dtype)).sample.float()
    return ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu()


def _noise(denoiser: Denoiser, count: int, seed: int) -> Tensor:
    return denoiser.gauss(count, torch.Generator().manual_seed(seed * 1_000_003))


def _split(prompts: Sequence[str], parts: int) -> list[list[str]]:
    return [list(prompts[i * len(prompts) // parts : (i + 1) * len(prompts) // parts]) for i in range(parts)]
