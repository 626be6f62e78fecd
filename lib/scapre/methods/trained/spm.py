"""SPM: a rank-one membrane a concept, on every layer of the transformer blocks."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scapre.methods.trained.denoiser import Text
from scapre.methods.trained.eraser import Batch
from scapre.methods.trained.esd import Walker
from scapre.methods.trained.knobs import SpmSettings
from scapre.methods.trained.lora import add_lora, composed, restart
from scapre.methods.trained.student import apprentice, trained_names


class Spm(SpmSettings, Walker):
    """‖ε(x_t, c) − [ε₀(x_t, ∅) − η(ε₀(x_t, c) − ε₀(x_t, ∅))]‖² + ρ‖ε(x_t, z) − ε₀(x_t, z)‖².

    Each target has an adapter of rank one on every linear layer and convolution of the transformer blocks; x_t is
    drawn with it. The z are prompts to keep: as released Gaussian noise of the size of the target's prompt, which
    is far from any text. Weights hold the static merge, every adapter at full strength; the paper's choice of
    strength by the prompt (``lora.composed`` with its shares) is a change of the pipeline, not of its weights.

    Source: Lyu et al. 2024 (arXiv 2312.16145), Eqs. 4–8, and its released code.
    """

    published: ClassVar[str] = "transformers"
    sequential: ClassVar[bool] = True

    def enrol(self) -> None:
        """Give every layer an adapter."""
        unet = self.denoiser.unet
        self.modules = layers(unet, self.selection)
        self.student = apprentice(unet, ())
        self.parameters = add_lora(self.student, self.modules, 1)

    def begin(self) -> None:
        """A new adapter."""
        super().begin()
        restart(self.parameters, self.seed * 100_003 + self.concept)

    def sample(self, draw: torch.Generator) -> Batch:
        """Draw states of the target's trajectories and prompts of noise."""
        sentences = self.targets[self.concept]
        ids = sentences[torch.randint(len(sentences), (self.batch,), generator=draw).to(sentences.device)]
        batch = self.walked(draw, ids)
        like = self.denoiser.text(batch["c"])
        batch["z"] = surrogate(like.hidden, self.surrogates, draw)
        if like.pooled is not None:
            batch["z_pooled"] = surrogate(like.pooled, self.surrogates, draw)
        return batch

    def losses(self, batch: Batch) -> tuple[Tensor, ...]:
        """Erase, and keep what noise prompts say."""
        x, t, z, pooled = batch["x"], batch["t"], batch["z"], batch.get("z_pooled")
        told, blank = (self.denoiser.frozen(x, t, ids) for ids in (batch["c"], self.blank.expand(len(x))))
        erase = F.mse_loss(self.current(x, t, batch["c"]), blank - self.eta * (told - blank))
        text = Text(z.flatten(0, 1), None if pooled is None else pooled.flatten(0, 1))
        many, when = x.repeat_interleave(z.shape[1], 0), t.repeat_interleave(z.shape[1])
        with torch.no_grad():
            before = self.denoiser.predict(self.denoiser.unet, many, when, text)
        keep = F.mse_loss(self.denoiser.predict(self.student, many, when, text), before)
        return (erase + self.retain_scale * keep,)

    def rate(self) -> float:
        """Rise over a sixth of the steps, then three cosines from 1 to 0."""
        return warm_restarts(self.step, self.steps, max(1, self.steps // 6), 3)

    def end(self) -> None:
        """Keep the adapter."""
        self.state |= {f"{self.concept}/{name}": p.detach().clone() for name, p in self.parameters.items()}

    def weights(self) -> dict[str, Tensor]:
        """Merge all adapters at full strength."""
        originals, edited, number = dict(self.denoiser.unet.named_parameters()), {}, self.concepts
        for module in self.modules:
            weight = originals[f"{module}.weight"].detach()
            ups, downs = ([self.state[f"{i}/{module}.{side}"] for i in range(number)] for side in ("up", "down"))
            change = composed(ups, downs, [1.0] * number, summed=self.composition == "released")
            edited[f"{module}.weight"] = weight + change.view_as(weight)
        return edited


def layers(unet: nn.Module, selection: str) -> list[str]:
    """List the linear layers and convolutions of a selection; ``transformers``: of every transformer block."""
    blocks = tuple(f"{name}." for name, module in unet.named_modules() if type(module).__name__ == "Transformer2DModel")
    own = set() if selection == "transformers" else set(trained_names(unet, selection))
    return [
        name
        for name, module in unet.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
        and (name.startswith(blocks) if selection == "transformers" else f"{name}.weight" in own)
    ]


def surrogate(like: Tensor, count: int, draw: torch.Generator) -> Tensor:
    """Draw Gaussian noise of a prompt's shape and 0.8 to 1.2 of its norm: ``(n, …) → (n, count, …)``."""
    shape = (len(like), count, *like.shape[1:])
    noise = torch.randn(shape, generator=draw, dtype=like.dtype).to(like.device)
    size = like.flatten(1).norm(dim=1)[:, None] * (0.8 + 0.4 * torch.rand(shape[:2], generator=draw)).to(like.device)
    share = size / noise.flatten(2).norm(dim=2)
    return noise * share.view(*shape[:2], *[1] * (like.ndim - 1))


def warm_restarts(step: int, steps: int, warm: int, cycles: int) -> float:
    """The learning rate's share: a linear rise, then cosines that start over ``cycles`` times."""
    if step < warm:
        return step / warm
    progress = (step - warm) / max(1, steps - warm)
    return 0.0 if progress >= 1 else max(0.0, 0.5 * (1 + math.cos(math.pi * (cycles * progress % 1))))
