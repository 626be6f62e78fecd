"""What attacks that optimise share: a target's pictures as latents, and losses of a denoiser at them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from scapre.methods.trained.denoiser import Denoiser, Text
from scapre.methods.trained.drawing import encoded


@dataclass(frozen=True)
class Noised:
    """Noised pictures: ``x`` and ``noise (n, C, h, w)``, ``t (n,)``, and ``goal``, what a denoiser should say."""

    x: Tensor
    noise: Tensor
    t: Tensor
    goal: Tensor


class Latents:
    """Pictures as the latents of a pipeline, noised at random or given times."""

    def __init__(self, denoiser: Denoiser, pictures: Tensor, seed: int) -> None:
        self.denoiser = denoiser
        self.clean = encoded(denoiser.pipe, pictures, denoiser.shape[1:]).to(denoiser.dtype)
        self.draw = torch.Generator().manual_seed(seed)

    def noised(self, count: int, t: int | None = None) -> tuple[Tensor, Noised]:
        """Draw ``count`` pictures with noise; returns their places and what was made of them."""
        which = torch.randint(len(self.clean), (count,), generator=self.draw)
        noise = self.denoiser.gauss(count, self.draw)
        times = self.denoiser.times(count, self.draw) if t is None else torch.full((count,), t, device=noise.device)
        clean = self.clean[which.to(self.clean.device)]
        x = self.denoiser.noised(clean, noise, times)
        return which, Noised(x, noise, times, self.denoiser.goal(clean, noise, times))


def denoising_loss(denoiser: Denoiser, at: Noised, hidden: Tensor) -> Tensor:
    """‖ε(x_t, text) − goal‖², mean; ``hidden (n or 1, T, d)``."""
    text = Text(hidden.expand(len(at.x), -1, -1).to(denoiser.dtype))
    return F.mse_loss(denoiser.predict(denoiser.unet, at.x, at.t, text), at.goal)
