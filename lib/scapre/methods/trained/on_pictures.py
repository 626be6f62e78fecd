"""Erasers that train on pictures: those of every concept in every sentence, noised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scapre.methods.trained.drawing import Order, check_drawing, draw, real
from scapre.methods.trained.eraser import Batch, Eraser, said
from scapre.methods.trained.settings import PictureSettings


@dataclass(frozen=True)
class Pool:
    """Pictures of k concepts, N each.

    ``latents (k, N, C, h, w)``; the sentence that each was drawn for, ``forms (N,)``, and its prompt, ``ids (k, N)``.
    """

    latents: Tensor
    forms: Tensor
    ids: Tensor


class PictureEraser(PictureSettings, Eraser):
    """A method that trains on pictures that the frozen pipeline draws."""

    def pool(self, names: Sequence[str], *, negatives: Sequence[str] | None = None) -> Pool:
        """Draw the pictures of concepts; the i-th pictures of any two concepts start from the same noise.

        Args:
            names: k concepts.
            negatives: what the drawings are guided away from, one a concept; None: the empty prompt.
        """
        pipe, templates = self.denoiser.pipe, self.wish.sentences
        check_drawing(pipe, self.method)
        counts = [len(range(i, self.pictures, len(templates))) for i in range(len(templates))]
        orders = [
            Order(said(form, name), count, self.drawing_steps, self.drawing_guidance, negative, seed=i)
            for name, negative in zip(names, negatives or [""] * len(names), strict=True)
            for i, (form, count) in enumerate(zip(templates, counts, strict=True))
            if count
        ]
        drawn = torch.cat(draw(pipe, self.denoiser.mark, orders, progress=self.progress))
        forms = torch.repeat_interleave(torch.arange(len(templates)), torch.tensor(counts)).to(self.denoiser.device)
        return Pool(
            drawn.unflatten(0, (len(names), -1)).to(self.denoiser.dtype), forms, self.sentences(names)[:, forms]
        )

    def real_pool(self, names: Sequence[str]) -> Pool:
        """Take the emoji of concepts, one a style, instead of drawings.

        Raises:
            ConceptError: a name is no emoji.
        """
        check_drawing(self.denoiser.pipe, self.method)
        latents = real(self.denoiser.pipe, names, self.denoiser.shape[1:]).to(self.denoiser.dtype)
        ids = self.sentences(names)
        forms = torch.arange(latents.shape[1], device=ids.device) % ids.shape[1]
        return Pool(latents, forms, ids[:, forms])

    def pick(self, concepts: int, pool: Pool, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw ``batch`` places in a pool: which concept, which picture."""
        device = pool.ids.device
        which = torch.randint(concepts, (self.batch,), generator=draw).to(device)
        return which, torch.randint(pool.ids.shape[1], (self.batch,), generator=draw).to(device)

    def noisy(self, draw: torch.Generator) -> Batch:
        """Draw ``noise`` and ``t`` of a batch."""
        return {"noise": self.denoiser.gauss(self.batch, draw), "t": self.denoiser.times(self.batch, draw)}
