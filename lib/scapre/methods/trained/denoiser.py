"""A pipeline's denoiser as erasers that train see it: prompts, predictions, noise, trajectories.

ε stands for what the UNet predicts: the noise, or v where the pipeline is trained so. The objectives compare
predictions at one x_t, where v differs from ε by a factor that depends on t alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from scapre.methods.trained.student import widened
from scapre.model.fingerprint import fingerprint
from scapre.text.embeddings import encode

#: a UNet, or what is called like one
Model = Callable[..., Any]
PREDICTIONS = ("epsilon", "v_prediction")


@dataclass(frozen=True)
class Text:
    """What the UNet reads of n prompts: ``hidden (n, T, d)`` and, for SDXL, ``pooled (n, p)``."""

    hidden: Tensor
    pooled: Tensor | None = None

    def at(self, ids: Tensor) -> Text:
        """The prompts of these places."""
        return Text(self.hidden[ids], None if self.pooled is None else self.pooled[ids])


class Denoiser:
    """The frozen UNet ε₀ of a pipeline, its noise, and a table of encoded prompts.

    Args:
        pipe: a Stable Diffusion pipeline; never changed.

    Raises:
        ValueError: it has no scheduler, predicts neither noise nor v, or paints into pictures.
    """

    def __init__(self, pipe: Any) -> None:
        from diffusers import DDIMScheduler, DDPMScheduler

        if getattr(pipe, "scheduler", None) is None:
            raise ValueError("this pipeline has no scheduler, whose noise training needs; load a whole pipeline")
        config = dict(pipe.scheduler.config)
        kind = config.get("prediction_type", "epsilon")
        if kind not in PREDICTIONS:
            raise ValueError(f"this pipeline predicts {kind}; erasers that train know {' and '.join(PREDICTIONS)}")
        if pipe.unet.config.in_channels != pipe.unet.config.out_channels:
            raise ValueError("this UNet reads more than a noised picture (inpainting); use a text-to-image model")
        kept = {k: config[k] for k in ("beta_start", "beta_end", "beta_schedule", "trained_betas") if k in config}
        kept |= {"num_train_timesteps": config.get("num_train_timesteps", 1000), "prediction_type": kind}
        self.pipe, self.device, self.kind = pipe, pipe.device, kind
        self.noise = DDPMScheduler(**kept, clip_sample=False)
        self.ddim = DDIMScheduler(**kept, clip_sample=False, set_alpha_to_one=False, steps_offset=1)
        # on CUDA half-precision weights run under autocast; elsewhere not every layer knows them mixed
        self.unet = pipe.unet if self.device.type == "cuda" else widened(pipe.unet)
        self.dtype = torch.float64 if pipe.unet.dtype == torch.float64 else torch.float32
        size = pipe.unet.config.sample_size
        height, width = (size, size) if isinstance(size, int) else size
        self.shape = (pipe.unet.config.in_channels, height, width)
        self._ids: dict[str, int] = {}
        self._table: Text | None = None

    # --- prompts ---

    @torch.no_grad()
    def say(self, prompts: Sequence[str]) -> Tensor:
        """Encode prompts that are new and return the places of all in the table, ``(n,)``."""
        new = [p for p in dict.fromkeys(prompts) if p not in self._ids]
        if new:
            fresh = Text(encode(self.pipe, new).hidden.to(self.dtype), self._pooled(new))
            if getattr(self.pipe, "text_encoder_2", None) is not None and self._zero_blank():
                blank = torch.tensor([p == "" for p in new], device=self.device)
                fresh.hidden[blank] = 0
                fresh.pooled[blank] = 0  # type: ignore[index]
            old = self._table
            self._table = fresh if old is None else Text(*map(_joined, _parts(old), _parts(fresh)))
            self._ids |= {p: len(self._ids) + i for i, p in enumerate(new)}
        return torch.tensor([self._ids[p] for p in prompts], device=self.device)

    def text(self, ids: Tensor) -> Text:
        """Look prompts up by their places."""
        if self._table is None:
            raise ValueError("no prompt was encoded yet")
        return self._table.at(ids)

    def _zero_blank(self) -> bool:
        return bool(getattr(self.pipe, "config", {}).get("force_zeros_for_empty_prompt", False))

    def _pooled(self, prompts: Sequence[str]) -> Tensor | None:
        if getattr(self.pipe, "text_encoder_2", None) is None:
            return None
        options = {"device": self.device, "do_classifier_free_guidance": False, "num_images_per_prompt": 1}
        return self.pipe.encode_prompt(list(prompts), **options)[2].to(self.dtype)

    # --- predictions ---

    def autocast(self) -> AbstractContextManager[Any]:
        """bfloat16 on CUDA, nothing elsewhere."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda")

    def predict(self, model: Model, x: Tensor, t: Tensor, text: Text) -> Tensor:
        """ε(x_t, t, text), like ``x (n, C, h, w)``; ``t (n,)``."""
        extra: dict[str, Any] = {}
        if text.pooled is not None:
            factor = getattr(self.pipe, "vae_scale_factor", 8)
            edges = [self.shape[1] * factor, self.shape[2] * factor]
            ids = torch.tensor([*edges, 0, 0, *edges], dtype=self.dtype, device=x.device)
            extra = {"added_cond_kwargs": {"text_embeds": text.pooled, "time_ids": ids.expand(len(x), 6)}}
        with self.autocast():
            return model(x, t, encoder_hidden_states=text.hidden, **extra).sample.to(self.dtype)

    @torch.no_grad()
    def frozen(self, x: Tensor, t: Tensor, ids: Tensor) -> Tensor:
        """ε₀(x_t, t, prompt): the original model, without gradient."""
        return self.predict(self.unet, x, t, self.text(ids))

    def guided(self, model: Model, x: Tensor, t: Tensor, ids: Tensor, scale: float) -> Tensor:
        """(1 − s) ε(x_t, ∅) + s ε(x_t, prompt), both in one pass."""
        both = torch.cat([self.say([""]).expand(len(x)), ids])
        blank, told = self.predict(model, x.repeat(2, 1, 1, 1), t.repeat(2), self.text(both)).chunk(2)
        return blank + scale * (told - blank)

    # --- noise ---

    def times(self, count: int, draw: torch.Generator, below: int | None = None) -> Tensor:
        """Draw t uniformly, ``(count,)``."""
        return torch.randint(below or len(self.noise.betas), (count,), generator=draw).to(self.device)

    def gauss(self, count: int, draw: torch.Generator) -> Tensor:
        """Draw noise of the shape of ``count`` latents."""
        return torch.randn(count, *self.shape, generator=draw, dtype=self.dtype).to(self.device)

    def noised(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) noise."""
        return self.noise.add_noise(clean, noise, t)

    def goal(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """What the model was trained to predict at x_t: the noise, or v = √ᾱ_t noise − √(1 − ᾱ_t) x_0."""
        return self.noise.get_velocity(clean, noise, t) if self.kind == "v_prediction" else noise

    @torch.no_grad()
    def walk(
        self, model: Model, ids: Tensor, start: Tensor, steps: int, scale: float, *, far: int
    ) -> tuple[Tensor, Tensor]:
        """Follow DDIM from pure noise.

        Args:
            ids: prompts, ``(n,)``.
            start: noise, ``(n, C, h, w)``.
            steps: of the whole schedule.
            scale: guidance.
            far: states wanted, at most ``steps``.

        Returns:
            the first states ``(far, n, C, h, w)``, each before its step, and their times ``(far,)``.
        """
        self.ddim.set_timesteps(steps, device=self.device)
        states, x = [], start
        for t in self.ddim.timesteps[:far]:
            states.append(x)
            if len(states) == far:
                break
            guess = self.guided(model, x, t.expand(len(x)), ids, scale)
            x = self.ddim.step(guess, t, x).prev_sample
        return torch.stack(states), self.ddim.timesteps[:far]

    @cached_property
    def mark(self) -> str:
        """A hash of what decides its predictions and drawings: weights and noise."""
        parts = (self.pipe.unet, self.pipe.text_encoder, getattr(self.pipe, "text_encoder_2", None))
        marks = [fingerprint(part.state_dict()) for part in parts if part is not None]
        schedule = json.dumps(dict(self.pipe.scheduler.config), sort_keys=True, default=str)
        return hashlib.sha256(json.dumps([*marks, schedule]).encode()).hexdigest()


def _parts(text: Text) -> tuple[Tensor, Tensor | None]:
    return text.hidden, text.pooled


def _joined(first: Tensor | None, second: Tensor | None) -> Any:
    return None if first is None or second is None else torch.cat([first, second])
