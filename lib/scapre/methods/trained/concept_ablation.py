"""Concept Ablation: on pictures of the anchor, the target's prompt learns to predict what the anchor's does."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scapre.methods.trained.eraser import Batch
from scapre.methods.trained.knobs import ConceptAblationSettings
from scapre.methods.trained.on_pictures import PictureEraser


class ConceptAblation(ConceptAblationSettings, PictureEraser):
    """‖ε(x_t^a, c) − sg ε(x_t^a, a)‖² + prior · ‖ε(x_t^a, a) − noise‖².

    The teacher is the current student, as released: it drifts. The gradient through the start token's key and
    value is cut. Pictures of the anchor are drawn; of the released code's augmentation (random resizing, with a
    mask of the valid region) there is none. Every picture of a batch belongs to a target drawn at random.

    Source: Kumari et al. 2023 (arXiv 2303.13516), Eq. 6, and its released code.
    """

    published: ClassVar[str] = "kv"

    def enrol(self) -> None:
        """Let no gradient through the keys and values of the start token."""
        super().enrol()
        for name, module in self.student.named_modules():
            if name.endswith((".attn2.to_k", ".attn2.to_v")):
                module.register_forward_hook(_start_detached)

    def read(self) -> None:
        """Draw the anchors; encode targets in the same sentences."""
        self.anchors = self.pool(self.wish.anchors)
        # the picture's sentence, with the target's name in place of the anchor's
        self.captions = self.sentences(self.wish.targets)[:, self.anchors.forms]

    def sample(self, draw: torch.Generator) -> Batch:
        """Draw pictures of anchors, the two captions, noise and times."""
        which, picture = self.pick(len(self.captions), self.anchors, draw)
        pairs = {"c": self.captions[which, picture], "a": self.anchors.ids[which, picture]}
        return {"x": self.anchors.latents[which, picture], **pairs, **self.noisy(draw)}

    def losses(self, batch: Batch) -> tuple[Tensor, ...]:
        """The regression on the teacher and, if asked for, the anchor's denoising loss."""
        x = self.denoiser.noised(batch["x"], batch["noise"], batch["t"])
        if self.teacher == "frozen":
            goal = self.denoiser.frozen(x, batch["t"], batch["a"])
        else:
            with torch.no_grad():
                goal = self.current(x, batch["t"], batch["a"])
        loss = F.mse_loss(self.current(x, batch["t"], batch["c"]), goal)
        if self.prior:
            aim = self.denoiser.goal(batch["x"], batch["noise"], batch["t"])
            loss = loss + self.prior * F.mse_loss(self.current(x, batch["t"], batch["a"]), aim)
        return (loss,)


def _start_detached(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    return torch.cat([output[:, :1].detach(), output[:, 1:]], 1)
