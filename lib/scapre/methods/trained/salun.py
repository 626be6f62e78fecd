"""SalUn: reassign a concept, moving only the weights its loss depends on most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from scapre.methods.trained.eraser import Batch, Gradient
from scapre.methods.trained.knobs import SalUnSettings
from scapre.methods.trained.masks import salient
from scapre.methods.trained.on_pictures import PictureEraser


class SalUn(SalUnSettings, PictureEraser):
    """‖ε(x_t^c, c) − sg ε(x_t^c, a)‖² + ρ‖ε(x_t^p, p) − noise‖² on the weights of largest saliency.

    Saliency is |Σ ∇‖noise − [(1 − s) ε(x_t^c, ∅) + s ε(x_t^c, c)]‖²| before a target's first step; its largest
    share over all trained weights jointly may move, and the mask stays. The anchor a stands where the released
    code takes the next class of its list. Targets come one after another.

    Source: Fan et al. 2024 (arXiv 2310.12508), Eqs. 3–6, and its released code.
    """

    published: ClassVar[str] = "unet"
    sequential: ClassVar[bool] = True

    def read(self) -> None:
        """Take pictures of targets and kept concepts."""
        if not self.wish.retained:
            raise ValueError(f"{self.method} keeps what it is told to; name concepts to keep in retained")
        take = self.real_pool if self.real_pictures else self.pool
        self.forget, self.keep = take(self.wish.targets), take(self.wish.retained)
        self.anchors = self.sentences(self.wish.anchors)[:, self.forget.forms]

    def begin(self) -> None:
        """Find the mask on as many batches as hold the target's pictures once."""
        total = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        for number in range(-(-self.forget.ids.shape[1] // self.batch)):
            draw = torch.Generator().manual_seed((self.seed * 100_003 + self.concept) * 1_000_003 + 500_000 + number)
            batch = self.sample(draw)
            found = torch.autograd.grad(self.saliency(batch), list(self.parameters.values()), allow_unused=True)
            for name, part in zip(total, found, strict=True):
                total[name] += 0 if part is None else part
        self.state |= {f"mask/{name}": mask for name, mask in salient(total, self.density).items()}

    def saliency(self, batch: Batch) -> Tensor:
        """The guided denoising loss of the target."""
        x = self.denoiser.noised(batch["x"], batch["noise"], batch["t"])
        guess = self.denoiser.guided(self.student, x, batch["t"], batch["c"], self.saliency_guidance)
        return F.mse_loss(guess, self.denoiser.goal(batch["x"], batch["noise"], batch["t"]))

    def sample(self, draw: torch.Generator) -> Batch:
        """Draw pictures of the target and of kept concepts, noise and times for both."""
        _, picture = self.pick(1, self.forget, draw)
        which, other = self.pick(len(self.keep.ids), self.keep, draw)
        k = self.concept
        drawn = {"x": self.forget.latents[k, picture], "c": self.forget.ids[k, picture], "a": self.anchors[k, picture]}
        kept = {"x": self.keep.latents[which, other], "p": self.keep.ids[which, other]} | self.noisy(draw)
        return drawn | self.noisy(draw) | {f"kept_{name}": tensor for name, tensor in kept.items()}

    def losses(self, batch: Batch) -> tuple[Tensor, ...]:
        """Reassign and retain."""
        x = self.denoiser.noised(batch["x"], batch["noise"], batch["t"])
        with torch.no_grad():
            goal = self.current(x, batch["t"], batch["a"])
        clean, noise, t, p = (batch[f"kept_{name}"] for name in ("x", "noise", "t", "p"))
        kept = self.current(self.denoiser.noised(clean, noise, t), t, p)
        retain = F.mse_loss(kept, self.denoiser.goal(clean, noise, t))
        return F.mse_loss(self.current(x, batch["t"], batch["c"]), goal), self.retain_scale * retain

    def combine(self, gradients: Sequence[Gradient]) -> Gradient:
        """The sum, where the mask allows."""
        masks = [self.state[f"mask/{name}"] for name in self.parameters]
        return [p if p is None else p * m for p, m in zip(super().combine(gradients), masks, strict=True)]
