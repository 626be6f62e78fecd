"""Sculpting Memory: concepts one after another, each through a mask that moves with the gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from scapre.methods.trained.eraser import Batch, Gradient
from scapre.methods.trained.knobs import SculptingMemorySettings
from scapre.methods.trained.masks import largest, renewed
from scapre.methods.trained.on_pictures import PictureEraser


class SculptingMemory(SculptingMemorySettings, PictureEraser):
    """‖ε(x_t^c, c) − sg ε(x_t^c, a)‖² + ρ‖ε(x_t^a, a) − noise‖² + κ‖ε(x_t^a, a) − ε_prev(x_t^a, a)‖².

    The first epoch of a target only sums gradients of ‖ε(x_t^c, c) − noise‖²; half of each weight's entries, those
    of largest sum, may move afterwards (biases always). In the first 0.8 of the epochs, at intervals, the share
    τ = 0.2 · ½(1 + cos(π · epoch / epochs)) of them is exchanged by the sums since the last exchange. The epoch of
    least first loss is kept, the first epoch standing for unchanged weights, and the next target starts there.

    Source: Li et al. 2025 (arXiv 2504.09039) and its released code. The paper's distillation, the third term, is
    computed there but overwritten before the gradient; so κ = 0 is as released, κ > 0 as the paper describes.
    """

    sequential: ClassVar[bool] = True

    def read(self) -> None:
        """Draw targets, and anchors guided away from their targets."""
        self.forget = self.pool(self.wish.targets)
        self.keep = self.pool(self.wish.anchors, negatives=self.wish.targets)
        self.anchors = self.sentences(self.wish.anchors)[:, self.forget.forms]

    @property
    def epoch(self) -> int:
        """Counted from 0; the first is the warm-up."""
        return self.step * self.epochs // self.steps

    def begin(self) -> None:
        """Start a target without a mask, from the weights the last one ended with."""
        for name, parameter in self.parameters.items():
            self.state[f"sum/{name}"] = torch.zeros_like(parameter)
            self.state[f"best/{name}"] = parameter.detach().clone()
            self.state[f"before/{name}"] = parameter.detach().clone()
        self.state["score"] = torch.tensor([math.inf, 0.0, 0.0])  # best epoch's mean, this epoch's sum and count

    def sample(self, draw: torch.Generator) -> Batch:
        """Draw pictures of the target and of its anchor, noise and times for both."""
        _, picture = self.pick(1, self.forget, draw)
        _, other = self.pick(1, self.keep, draw)
        k = self.concept
        drawn = {"x": self.forget.latents[k, picture], "c": self.forget.ids[k, picture], "a": self.anchors[k, picture]}
        kept = {"x": self.keep.latents[k, other], "p": self.keep.ids[k, other]} | self.noisy(draw)
        return drawn | self.noisy(draw) | {f"kept_{name}": tensor for name, tensor in kept.items()}

    def losses(self, batch: Batch) -> tuple[Tensor, ...]:
        """Warm-up: the target's denoising loss; then forget, retain and, if asked for, distil."""
        x = self.denoiser.noised(batch["x"], batch["noise"], batch["t"])
        guess = self.current(x, batch["t"], batch["c"])
        if self.epoch == 0:
            return (F.mse_loss(guess, self.denoiser.goal(batch["x"], batch["noise"], batch["t"])),)
        with torch.no_grad():
            goal = self.current(x, batch["t"], batch["a"])
        clean, noise, t, p = (batch[f"kept_{name}"] for name in ("x", "noise", "t", "p"))
        x = self.denoiser.noised(clean, noise, t)
        kept = self.current(x, t, p)
        retain = self.retain_scale * F.mse_loss(kept, self.denoiser.goal(clean, noise, t))
        if self.distillation:
            retain = retain + self.distillation * F.mse_loss(kept, self._previous(x, t, p))
        return F.mse_loss(guess, goal), retain

    @torch.no_grad()
    def _previous(self, x: Tensor, t: Tensor, ids: Tensor) -> Tensor:
        """ε_prev: the student as it was before this target."""
        before = {name: self.state[f"before/{name}"] for name in self.parameters}

        def model(*inputs: Tensor, **options: Tensor) -> Tensor:
            return functional_call(self.student, before, inputs, options)

        return self.denoiser.predict(model, x, t, self.denoiser.text(ids))

    def combine(self, gradients: Sequence[Gradient]) -> Gradient:
        """Sum the gradient; move nothing in the warm-up, later what the mask allows."""
        total = super().combine(gradients)
        for name, part in zip(self.parameters, total, strict=True):
            if part is not None:
                self.state[f"sum/{name}"] += part
        if self.epoch == 0:
            return [None] * len(total)
        masks = [self.state.get(f"mask/{name}") for name in self.parameters]
        return [p if p is None or m is None else p * m for p, m in zip(total, masks, strict=True)]

    def rate(self) -> float:
        """One cycle over the steps after the warm-up: from 1/25 up in 0.3 of them, then down to nearly nothing."""
        warm = -(-self.steps // self.epochs)
        return one_cycle(self.step - warm, self.steps - warm)

    def after(self, losses: Sequence[float]) -> None:
        """At the end of an epoch keep the best weights; after the warm-up make the mask; at intervals renew it."""
        epoch, following = self.epoch, (self.step + 1) * self.epochs // self.steps
        score = self.state["score"]
        score[1] += losses[0]
        score[2] += 1
        if following > epoch:
            if float(score[1] / score[2]) < float(score[0]):
                score[0] = score[1] / score[2]
                for name, parameter in self.parameters.items():
                    self.state[f"best/{name}"] = parameter.detach().clone()
            score[1:] = 0
        if epoch == 0 and following > 0:
            self._remask(None)
        elif epoch > 0 and (self.step + 1) % self.renew_every == 0 and epoch < 0.8 * self.epochs:
            self._remask(0.1 * (1 + math.cos(math.pi * epoch / self.epochs)))

    def _remask(self, exchange: float | None) -> None:
        """Make every mask, or exchange a share of it; the sums start over."""
        for name, parameter in self.parameters.items():
            total = self.state[f"sum/{name}"]
            if parameter.ndim > 1 and exchange is None:
                self.state[f"mask/{name}"] = largest(total.abs(), round(self.density * total.numel()))
            elif parameter.ndim > 1 and exchange is not None:
                self.state[f"mask/{name}"] = renewed(self.state[f"mask/{name}"], total, exchange)
            total.zero_()

    @torch.no_grad()
    def end(self) -> None:
        """Go back to the best epoch."""
        for name, parameter in self.parameters.items():
            parameter.copy_(self.state[f"best/{name}"])


def one_cycle(step: int, steps: int) -> float:
    """The learning rate's share in one cycle: 1/25 → 1 → 4·10⁻⁶ by cosines, the top at 0.3 of the steps."""
    top, last = 0.3 * steps - 1, max(steps - 1, 1)
    low, high, end = (0, top, last)
    start, goal, share = (1 / 25, 1.0, (step - low) / max(high, 1e-9)) if step <= top else (1.0, 4e-6, 0.0)
    if step > top:
        share = (step - high) / max(end - high, 1e-9)
    return goal + (start - goal) / 2 * (1 + math.cos(math.pi * min(max(share, 0.0), 1.0)))
