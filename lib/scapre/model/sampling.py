"""Prompts and seeds → pictures; picture i depends on prompt i and seed i alone."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from scapre.model.places import GUIDANCE, STEPS

SEEDS = 2**64  # of torch's generators; larger ones begin anew


@torch.no_grad()
def sample(
    pipe: Any,
    prompts: Sequence[str],
    seeds: Sequence[int],
    *,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    batch: int = 64,
    progress: bool = True,
) -> Tensor:
    """Draw one picture a prompt.

    A safety checker is off meanwhile: its black squares would count as forgetting.

    Args:
        pipe: a text-to-image pipeline.
        prompts: N sentences.
        seeds: N numbers; each seeds its own CPU generator, so neither the batch size
            nor the neighbours change a picture.
        steps: denoising steps.
        guidance: classifier-free guidance scale.
        batch: pictures at once.

    Returns:
        uint8 ``(N, H, W, 3)`` on the CPU.

    Raises:
        ValueError: no prompts, or not one seed for each; or the model draws NaN.
    """
    if len(prompts) == 0 or len(prompts) != len(seeds):
        raise ValueError(f"{len(prompts)} prompts and {len(seeds)} seeds; give one seed for each prompt")
    pictures = []
    asked = as_asked(pipe)
    starts = range(0, len(prompts), batch)
    with unchecked(pipe):
        for start in tqdm(starts, desc="sampling", disable=not progress or len(starts) < 2):
            part = slice(start, start + batch)
            drawn = pipe(
                list(prompts[part]),
                num_inference_steps=steps,
                guidance_scale=guidance,
                generator=[torch.Generator().manual_seed(int(seed) % SEEDS) for seed in seeds[part]],
                output_type="pt",
                **asked,
            ).images.float()
            broken = ~drawn.isfinite().flatten(1).all(1)
            if broken.any():  # as a picture it would be black
                raise ValueError(
                    f"the model draws NaN for {prompts[start + int(broken.int().argmax())]!r}: its autoencoder "
                    "overflows in half precision; draw with --dtype float32 or bfloat16, or load an intact model"
                )
            pictures.append((drawn.cpu() * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1))
    return torch.cat(pictures)


def known_of(pipe: Any) -> set[str]:
    """Names of the arguments that a pipeline is called with."""
    return set(inspect.signature(type(pipe).__call__).parameters)


def as_asked(pipe: Any) -> dict[str, Any]:
    """Arguments for the very size asked for, no longer prompts than the tokenizer of a pipeline with one tokenizer
    reads, and no warning where what cleans prompts is not installed.
    """
    asked: dict[str, Any] = {"use_resolution_binning": False}
    length = inspect.signature(type(pipe).__call__).parameters.get("max_sequence_length")
    if length is not None and length.default and not hasattr(pipe, "tokenizer_2"):
        asked["max_sequence_length"] = min(length.default, pipe.tokenizer.model_max_length)
    if not all(find_spec(tool) for tool in ("bs4", "ftfy")):  # the pipelines then do the same, and say so each time
        asked["clean_caption"] = False
    return {name: value for name, value in asked.items() if name in known_of(pipe)}


@contextmanager
def unchecked(pipe: Any) -> Iterator[None]:
    """Switch the pipeline's safety checker off for a while; its parts and configuration stay as they are."""
    checker = vars(pipe).get("safety_checker")
    if checker is None:
        yield
        return
    vars(pipe)["safety_checker"] = None  # an assignment would rewrite the pipeline's configuration
    try:
        yield
    finally:
        vars(pipe)["safety_checker"] = checker
