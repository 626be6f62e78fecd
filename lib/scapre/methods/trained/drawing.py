"""Pictures to train on: latents drawn by the frozen pipeline, kept on disk by hash, or encoded from the emoji."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F
from tqdm.auto import tqdm

from scapre.concepts.emoji import load_emoji
from scapre.concepts.names import known
from scapre.files import WriteError, write_tensors
from scapre.paths import data_folder

log = logging.getLogger(__name__)

AT_ONCE = 32


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
def draw(pipe: Any, model: str, orders: Sequence[Order], *, progress: bool = False) -> list[Tensor]:
    """Draw the pictures of prompts as latents; those drawn before are read.

    Picture i starts from ``seed · 10⁶ + i``, whatever the prompt, so two prompts' pictures are pairs; it depends on
    its batch by rounding alone.

    Args:
        model: hash of the pipeline (``Denoiser.mark``).
        orders: all of the same steps and guidance.

    Returns:
        x_0 of each order, ``(count, C, h, w)`` float32 on the pipeline's device.
    """
    places = {order: _place(model, order) for order in orders}
    kept = {order: latents for order, place in places.items() if (latents := _kept(place)) is not None}
    missing = [(order, place) for order, place in places.items() if order not in kept]
    wanted = [(order, i) for order, _ in missing for i in range(order.count)]
    open_orders, drawn = iter(missing), torch.empty(0)
    current = next(open_orders, None)
    with tqdm(total=len(wanted), desc="drawing pictures to train on", disable=not progress or not wanted) as bar:
        for start in range(0, len(wanted), AT_ONCE):
            part = wanted[start : start + AT_ONCE]
            fresh = _draw(pipe, part)
            drawn = torch.cat([drawn, fresh]) if len(drawn) else fresh
            while current is not None and len(drawn) >= current[0].count:
                order, place = current
                kept[order] = drawn[: order.count]
                _keep(place, kept[order], order)
                drawn, current = drawn[order.count :], next(open_orders, None)
            bar.update(len(part))
    return [kept[order].to(pipe.device) for order in orders]


def _keep(place: Path, latents: Tensor, order: Order) -> None:
    """Keep latents for the next edit; a folder that cannot be written costs time, nothing else."""
    try:
        write_tensors(place, {"latents": latents}, {"order": json.dumps(asdict(order))})
    except WriteError as error:
        log.info("drawn pictures are not kept on disk (%s)", error)


def _kept(place: Path) -> Tensor | None:
    """Read the latents drawn before; None where there are none, or a damaged file."""
    try:
        return load_file(place)["latents"]
    except (SafetensorError, OSError, KeyError):
        return None


def _place(model: str, order: Order) -> Path:
    key = hashlib.sha256(json.dumps([model, asdict(order)]).encode()).hexdigest()[:32]
    return data_folder() / "cache" / "drawn" / f"{key}.safetensors"


def _draw(pipe: Any, wanted: Sequence[tuple[Order, int]]) -> Tensor:
    """Draw some pictures in one batch, ``(n, C, h, w)``."""
    drawn = pipe(
        [order.prompt for order, _ in wanted],
        negative_prompt=[order.negative for order, _ in wanted],
        num_inference_steps=wanted[0][0].steps,
        guidance_scale=wanted[0][0].guidance,
        generator=[torch.Generator().manual_seed(order.seed * 1_000_000 + i) for order, i in wanted],
        output_type="latent",
    ).images
    return drawn.float().cpu()


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
    return encoded(pipe, table, size).unflatten(0, (len(names), len(styles)))


@torch.no_grad()
def encoded(pipe: Any, pictures: Tensor, size: tuple[int, ...]) -> Tensor:
    """Encode uint8 pictures ``(N, H, W, 3)`` as latents.

    Args:
        size: edges of the latents, h and w; pictures are brought to theirs.

    Returns:
        x_0, ``(N, C, h, w)`` float32 on the pipeline's device.
    """
    pixels = pictures.permute(0, 3, 1, 2).float() / 127.5 - 1
    edges = [edge * pipe.vae_scale_factor for edge in size]
    pixels = F.interpolate(pixels, edges, mode="bilinear", antialias=True).to(pipe.device, pipe.vae.dtype)
    latents = torch.cat([pipe.vae.encode(part).latent_dist.mean for part in pixels.split(AT_ONCE)])
    return latents.float() * pipe.vae.config.scaling_factor
