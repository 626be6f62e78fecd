"""Pictures to train on: latents drawn by the frozen pipeline, kept on disk by hash, or encoded from the emoji."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional as F

from scapre.concepts.emoji import load_emoji
from scapre.concepts.names import known
from scapre.files import write_tensors
from scapre.paths import data_folder

AT_ONCE = 16


@dataclass(frozen=True)
class Order:
    """One prompt's pictures: everything that decides them besides the model."""

    prompt: str
    count: int
    steps: int
    guidance: float
    negative: str = ""
    seed: int = 0


def check_drawing(pipe: Any, method: str) -> None:
    """Refuse a pipeline that cannot draw.

    Raises:
        ValueError: it lacks its VAE or cannot be called.
    """
    if getattr(pipe, "vae", None) is None or not callable(pipe):
        raise ValueError(f"{method} draws pictures, and this pipeline has no vae; load a whole pipeline")


@torch.no_grad()
def draw(pipe: Any, model: str, order: Order) -> Tensor:
    """Draw a prompt's pictures as latents, or read them if the same were drawn before.

    Picture i starts from ``seed · 10⁶ + i``, whatever the prompt, so two prompts' pictures are pairs.

    Args:
        model: hash of the pipeline (``Denoiser.print``).

    Returns:
        x_0, ``(count, C, h, w)`` float32 on the pipeline's device.
    """
    key = hashlib.sha256(json.dumps([model, asdict(order)]).encode()).hexdigest()[:32]
    place = data_folder() / "cache" / "drawn" / f"{key}.safetensors"
    if place.is_file():
        with safe_open(place, "pt") as stored:
            return stored.get_tensor("latents").to(pipe.device)
    seeds = [order.seed * 1_000_000 + i for i in range(order.count)]
    parts = []
    for start in range(0, order.count, AT_ONCE):
        some = seeds[start : start + AT_ONCE]
        drawn = pipe(
            [order.prompt] * len(some),
            negative_prompt=[order.negative] * len(some),
            num_inference_steps=order.steps,
            guidance_scale=order.guidance,
            generator=[torch.Generator().manual_seed(s) for s in some],
            output_type="latent",
        ).images
        parts.append(drawn.float().cpu())
    latents = torch.cat(parts)
    write_tensors(place, {"latents": latents}, {"order": json.dumps(asdict(order))})
    return latents.to(pipe.device)


@torch.no_grad()
def real(pipe: Any, names: Sequence[str], size: tuple[int, int]) -> Tensor:
    """Encode the emoji of every name in every style.

    Args:
        size: edges of the latents, h and w.

    Returns:
        x_0, ``(names, styles, C, h, w)`` float32 on the pipeline's device.

    Raises:
        ConceptError: a name is no emoji.
    """
    images, concepts, styles = load_emoji()
    places = known(names, concepts)
    table = torch.from_numpy(images).unflatten(0, (len(concepts), len(styles)))[places].flatten(0, 1)
    pixels = table.permute(0, 3, 1, 2).float() / 127.5 - 1
    edges = [edge * pipe.vae_scale_factor for edge in size]
    pixels = F.interpolate(pixels, edges, mode="bilinear", antialias=True).to(pipe.device, pipe.vae.dtype)
    latents = torch.cat([pipe.vae.encode(part).latent_dist.mean for part in pixels.split(AT_ONCE)])
    return (latents.float() * pipe.vae.config.scaling_factor).unflatten(0, (len(names), len(styles)))
