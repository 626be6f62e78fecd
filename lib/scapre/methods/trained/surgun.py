"""SurgUn, as we read its abstract: ascent on the target, while distractors compete for its prompt."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from scapre.methods.trained.eraser import Batch
from scapre.methods.trained.knobs import BLOCKS, SurgUnSettings
from scapre.methods.trained.on_pictures import PictureEraser
from scapre.text.embeddings import encode


class SurgUn(SurgUnSettings, PictureEraser):
    """Mean over d of ‖ε(x_t^d, c) − noise‖² − β log(1 + ‖ε(x_t^c, c) − noise‖²/τ).

    Pictures of many distractors d are learned under the target's prompt, while the target's own pictures are
    unlearned there; the logarithm bounds the ascent. Only an abstract and summaries could be read: the objective,
    the numbers and the choice of blocks by hand are our reading, not the paper's.

    Source: arXiv 2603.00975 v2, abstract.
    """

    def enrol(self) -> None:
        """Keep to the chosen blocks."""
        super().enrol()
        inside = {n: p for n, p in self.parameters.items() if n.startswith(BLOCKS[self.blocks])}
        for name in set(self.parameters) - set(inside):
            self.parameters[name].requires_grad_(False)
        self.parameters = inside

    def read(self) -> None:
        """Draw targets and kept concepts; choose each target's distractors."""
        if self.distractors and not self.wish.retained:
            raise ValueError(f"{self.method} takes its distractors from concepts to keep; name some in retained")
        self.forget = self.pool(self.wish.targets)
        if self.distractors:
            self.others = self.pool(self.wish.retained)
            targets, kept = (
                F.normalize(encode(self.denoiser.pipe, names).features, dim=1)
                for names in (self.wish.targets, self.wish.retained)
            )
            self.far = (targets @ kept.T).sort(dim=1, stable=True).indices[:, : self.distractors]

    def sample(self, draw: torch.Generator) -> Batch:
        """Draw pictures of targets and, for each, of one of its distractors; one noise and time for both."""
        which, picture = self.pick(len(self.forget.ids), self.forget, draw)
        batch = {"x": self.forget.latents[which, picture], "c": self.forget.ids[which, picture]} | self.noisy(draw)
        if self.distractors:
            column = torch.randint(self.far.shape[1], (self.batch,), generator=draw).to(picture.device)
            batch["d"] = self.others.latents[self.far[which, column], picture]
        return batch

    def denoising(self, clean: Tensor, batch: Batch) -> Tensor:
        """‖ε(x_t, c) − noise‖² of each picture x_0, under the target's prompt, ``(n,)``."""
        x = self.denoiser.noised(clean, batch["noise"], batch["t"])
        aim = self.denoiser.goal(clean, batch["noise"], batch["t"])
        return (self.current(x, batch["t"], batch["c"]) - aim).square().flatten(1).mean(1)

    def losses(self, batch: Batch) -> tuple[Tensor, ...]:
        """Bounded ascent and, with distractors, their descent."""
        ascent = -self.beta * torch.log1p(self.denoising(batch["x"], batch) / self.ascent_scale).mean()
        return (ascent, self.denoising(batch["d"], batch).mean()) if self.distractors else (ascent,)
