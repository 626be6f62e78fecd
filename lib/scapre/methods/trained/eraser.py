"""What every eraser that trains is: settings, a batch, losses, and what becomes of their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from scapre.methods.solution import Wish
from scapre.methods.trained.denoiser import Denoiser
from scapre.methods.trained.settings import EraserSettings
from scapre.methods.trained.student import apprentice, trained_names

#: tensors whose first dimension is the batch
Batch = dict[str, Tensor]
#: one tensor a trained parameter; None where a loss does not reach it
Gradient = list[Tensor | None]


class Eraser(EraserSettings):
    """A method at work. Its fields are its settings."""

    #: the selection that the paper trains
    published: ClassVar[str] = "cross-attention"
    #: concepts are taken one after another, each from where the last one ended
    sequential: ClassVar[bool] = False
    #: the norm gradients are cut to; None: never
    clip: ClassVar[float | None] = None

    def open(self, pipe: Any, wish: Wish, seed: int = 0, *, progress: bool = False) -> None:
        """Meet a pipeline: encode prompts, draw pictures, make the student. The pipeline is not changed.

        Raises:
            ValueError: the pipeline lacks what the method needs.
        """
        self.wish, self.seed, self.progress = wish, seed, progress
        #: which target is at work, and at which step; the loop counts them
        self.concept, self.step = 0, 0
        self.denoiser = Denoiser(pipe)
        self.history: list[float] = []
        #: what the method carries from step to step besides weights; kept with them when an edit is interrupted
        self.state: dict[str, Tensor] = {}
        self.enrol()
        if self.denoiser.device.type == "cuda":
            self.student.enable_gradient_checkpointing()  # type: ignore[operator]
        self.read()

    # --- what a method says ---

    def enrol(self) -> None:
        """Make the student and name the parameters that learn."""
        unet = self.denoiser.unet
        self.student: nn.Module = apprentice(unet, set(trained_names(unet, self.selection)))
        self.parameters: dict[str, nn.Parameter] = {n: p for n, p in self.student.named_parameters() if p.requires_grad}

    def read(self) -> None:
        """Encode prompts and draw pictures."""

    def begin(self) -> None:
        """Prepare a target before its first step (joint methods: all of them, once)."""

    def sample(self, draw: torch.Generator) -> Batch:
        """Draw a batch."""
        raise NotImplementedError

    def losses(self, batch: Batch) -> tuple[Tensor, ...]:
        """The scalar losses of a batch; their gradients go to ``combine``."""
        raise NotImplementedError

    def combine(self, gradients: Sequence[Gradient]) -> Gradient:
        """Make one gradient of those of the losses: their sum."""
        return [added(parts) for parts in zip(*gradients, strict=True)]

    def rate(self) -> float:
        """The share of the learning rate at this step."""
        return 1.0

    def after(self, losses: Sequence[float]) -> None:
        """Follow a step: its losses are known and its weights written."""

    def end(self) -> None:
        """Finish a target after its last step."""

    def weights(self) -> dict[str, Tensor]:
        """The edited weights by parameter name."""
        return {name: parameter.detach() for name, parameter in self.parameters.items()}

    # --- what they share ---

    @property
    def selection(self) -> str:
        """What is trained: as published, or as the setting says."""
        return self.published if self.trained == "as-published" else self.trained

    @property
    def concepts(self) -> int:
        """How many times the loop starts over: once a target, or once."""
        return len(self.wish.targets) if self.sequential else 1

    def optimiser(self) -> torch.optim.Optimizer:
        """A fresh optimiser of the parameters."""
        kind = torch.optim.AdamW if self.weight_decay else torch.optim.Adam
        return kind(list(self.parameters.values()), lr=self.learning_rate, weight_decay=self.weight_decay)

    def current(self, x: Tensor, t: Tensor, ids: Tensor) -> Tensor:
        """ε(x_t, t, prompt) of the student."""
        return self.denoiser.predict(self.student, x, t, self.denoiser.text(ids))

    def sentences(self, names: Sequence[str]) -> Tensor:
        """Put names into the wish's sentences and encode them, ``(names, sentences)``; a blank stays blank."""
        forms = self.wish.sentences
        prompts = [said(form, name) for name in names for form in forms]
        return self.denoiser.say(prompts).unflatten(0, (len(names), len(forms)))


def said(form: str, name: str) -> str:
    """Put a name into a sentence; a blank stays blank.

    >>> said("a picture of a {}", "dog"), said("a picture of a {}", " ")
    ('a picture of a dog', '')
    """
    return form.format(name) if name.strip() else ""


def added(parts: Sequence[Tensor | None]) -> Tensor | None:
    """Add gradients up; None where no loss reaches the parameter."""
    found = [part for part in parts if part is not None]
    return torch.stack(found).sum(0) if len(found) > 1 else found[0] if found else None
