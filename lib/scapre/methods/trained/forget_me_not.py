"""Forget-Me-Not: starve a concept's tokens of attention."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from scapre.methods.trained.attention import Attentions, concept_tokens
from scapre.methods.trained.eraser import Batch, said
from scapre.methods.trained.knobs import ForgetMeNotSettings
from scapre.methods.trained.on_pictures import PictureEraser


class ForgetMeNot(ForgetMeNotSettings, PictureEraser):
    """‖A_{l,h}[q, i]‖₂ over every cross-attention l, head h, pixel q and the tokens i ∈ S of the concept.

    One vector and its plain norm, neither squared nor averaged, so a step does not shrink with the attention: the
    number of steps is the only brake, and nothing is retained. A batch is the root of its pictures' sum of squares.
    The released code's optional stage before, textual inversion of the concept, is not part of it.

    Source: Zhang et al. 2023 (arXiv 2303.17591), and its released code.
    """

    published: ClassVar[str] = "unet"
    clip: ClassVar[float | None] = 1.0

    def read(self) -> None:
        """Take pictures of the targets and mark S in their sentences."""
        names, forms = self.wish.targets, self.wish.sentences
        self.seen = self.real_pool(names) if self.real_pictures else self.pool(names)
        tokenizer = self.denoiser.pipe.tokenizer
        marks = [[concept_tokens(tokenizer, said(f, n), n, ends=self.use_pooler) for f in forms] for n in names]
        self.marks = torch.stack([torch.stack(row) for row in marks]).to(self.denoiser.device)
        self.attention = Attentions(self.student)

    def sample(self, draw: torch.Generator) -> Batch:
        """Draw pictures of targets, S in their prompts, noise and times."""
        which, picture = self.pick(len(self.marks), self.seen, draw)
        marks = self.marks[which, self.seen.forms[picture]]
        drawn = {"x": self.seen.latents[which, picture], "c": self.seen.ids[which, picture], "marks": marks}
        return drawn | self.noisy(draw)

    def losses(self, batch: Batch) -> tuple[Tensor, ...]:
        """The norm of the attention to S."""
        self.attention.take()
        self.current(self.denoiser.noised(batch["x"], batch["noise"], batch["t"]), batch["t"], batch["c"])
        shares = [seen.square().sum((1, 2)) for seen in self.attention.take()]
        return ((torch.stack(shares).sum(0) * batch["marks"]).sum().to(self.denoiser.dtype).sqrt(),)
