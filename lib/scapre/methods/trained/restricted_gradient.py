"""Restricted gradient: forget and retain, each along what does not hurt the other to first order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from scapre.methods.trained.eraser import Batch, Gradient, added
from scapre.methods.trained.knobs import RestrictedGradientSettings
from scapre.methods.trained.on_pictures import PictureEraser


class RestrictedGradient(RestrictedGradientSettings, PictureEraser):
    """g_f' + α g_r', of g_f = −∇‖ε(x_t^c, c) − noise‖² (ascent) and g_r = ∇‖ε(x_t^p, p) − noise‖².

    Where g_f · g_r < 0, each loses its part along the other, both from the unprojected pair; then a small step
    worsens neither. That holds for plain gradient steps, the default here; Adam, as released, voids it. Pictures
    of a target and of a kept concept come in pairs: the same noise, the same sentence.

    Source: Ko et al. 2024 (arXiv 2412.07808), Eq. 5, and its released code.
    """

    published: ClassVar[str] = "unet"

    def optimiser(self) -> torch.optim.Optimizer:
        """Plain steps, or Adam."""
        if self.rule == "adam":
            return super().optimiser()
        return torch.optim.SGD(list(self.parameters.values()), lr=self.learning_rate, weight_decay=self.weight_decay)

    def read(self) -> None:
        """Draw targets and kept concepts."""
        if not self.wish.retained:
            raise ValueError(f"{self.method} keeps what it is told to; name concepts to keep in retained")
        self.forget = self.pool(self.wish.targets)
        self.keep = self.pool(self.wish.retained)

    def sample(self, draw: torch.Generator) -> Batch:
        """Draw pairs of pictures, and one noise and time for both."""
        which, picture = self.pick(len(self.forget.ids), self.forget, draw)
        other = torch.randint(len(self.keep.ids), (self.batch,), generator=draw).to(picture.device)
        drawn = {"x": self.forget.latents[which, picture], "c": self.forget.ids[which, picture]}
        kept = {"kept": self.keep.latents[other, picture], "p": self.keep.ids[other, picture]}
        return drawn | kept | self.noisy(draw)

    def denoising(self, clean: Tensor, batch: Batch, ids: Tensor) -> Tensor:
        """‖ε(x_t, prompt) − noise‖² of pictures x_0."""
        x = self.denoiser.noised(clean, batch["noise"], batch["t"])
        aim = self.denoiser.goal(clean, batch["noise"], batch["t"])
        return F.mse_loss(self.current(x, batch["t"], ids), aim)

    def losses(self, batch: Batch) -> tuple[Tensor, ...]:
        """Minus the target's bounded loss, and the kept concept's."""
        forget = self.denoising(batch["x"], batch, batch["c"])
        if float(forget.detach()) > self.bound:
            forget = forget.detach() + 0 * forget
        return -forget, self.denoising(batch["kept"], batch, batch["p"])

    def combine(self, gradients: Sequence[Gradient]) -> Gradient:
        """Project the pair and add it up."""
        forget, retain = restricted(*gradients)
        scaled = [None if part is None else self.retain_scale * part for part in retain]
        return [added(pair) for pair in zip(forget, scaled, strict=True)]


def restricted(forget: Gradient, retain: Gradient) -> tuple[Gradient, Gradient]:
    """Take from each of two gradients its part along the other, if they point against each other.

        g_f' = g_f − (g_f·g_r / ‖g_r‖²) g_r,  g_r' = g_r − (g_f·g_r / ‖g_f‖²) g_f

    Both are read as one vector over all weights. A gradient that is zero changes nothing.
    """
    product = inner(forget, retain)
    if not product < 0:
        return forget, retain
    shares = product / inner(retain, retain), product / inner(forget, forget)
    return _less(forget, retain, shares[0]), _less(retain, forget, shares[1])


def inner(first: Gradient, second: Gradient) -> float:
    """Σ first · second over all weights, in float64."""
    pairs = zip(first, second, strict=True)
    return sum(float(torch.sum(a.double() * b.double())) for a, b in pairs if a is not None and b is not None)


def _less(gradient: Gradient, other: Gradient, share: float) -> Gradient:
    pairs = zip(gradient, other, strict=True)
    return [g if o is None else -share * o if g is None else g - share * o for g, o in pairs]
