"""Any weight of a pipeline by name: the denoiser's own names, a text encoder's behind the name of its part."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from scapre.model.families import BEGINNINGS
from scapre.model.projections import denoiser_of, held_by, plain, projection_names

#: what stands before the names of a text encoder's weights, and of no weight of a denoiser
ENCODERS = ("text_encoder", "text_encoder_2", "text_encoder_3")
DENOISERS = ("unet", "transformer")
WRAPPER = "text_model."


def part_of(name: str) -> tuple[str, str]:
    """Split a weight's name into the pipeline's part and the name inside it.

    >>> part_of("text_encoder.layers.0.mlp.fc2.weight")
    ('text_encoder', 'layers.0.mlp.fc2.weight')
    >>> part_of("mid_block.attentions.0.proj_in.weight")
    ('unet', 'mid_block.attentions.0.proj_in.weight')
    >>> part_of("transformer_blocks.0.attn2.to_k.weight")
    ('transformer', 'transformer_blocks.0.attn2.to_k.weight')
    """
    part, _, inner = name.partition(".")
    if part in ENCODERS:
        return part, inner
    return ("transformer" if part in BEGINNINGS else "unet"), name


def parts_of(pipe: Any) -> dict[str, nn.Module]:
    """The denoiser and the text encoders of a pipeline, by the pipeline's own names of them."""
    denoiser = denoiser_of(pipe)
    modules = {"transformer" if getattr(pipe, "unet", None) is None else "unet": denoiser}
    return modules | {part: module for part in ENCODERS if (module := getattr(pipe, part, None)) is not None}


def _known(names: Container[str], inner: str) -> str:
    """The name by which a text encoder knows a weight: transformers 5 leaves CLIP's ``text_model.`` out."""
    other = inner.removeprefix(WRAPPER) if inner.startswith(WRAPPER) else WRAPPER + inner
    return other if inner not in names and other in names else inner


def read_weights(pipe: Any, names: Iterable[str]) -> dict[str, Tensor]:
    """Copy the named weights; names that the pipeline does not have are left out.

    Raises:
        ValueError: the pipeline has nothing that can be edited (``denoiser_of``); or a weight cannot be edited as it
            is (fused, under an adapter, quantised, offloaded, NaN or infinity).
    """
    names = list(names)
    denoiser = denoiser_of(pipe)
    projections: set[str] = set()
    if any(".attn2.to_" in name or part_of(name)[0] == "transformer" for name in names):
        projections = set(projection_names(denoiser))
    modules = parts_of(pipe)
    held = {part: held_by(module) for part, module in modules.items()}
    found: dict[str, Tensor] = {}
    for name in names:
        part, inner = part_of(name)
        inner = _known(held.get(part, {}), inner)
        # a projection without its weight is packed, not another architecture
        if inner in held.get(part, {}) or (part in held and name in projections):
            found[name] = plain(name, held[part].get(inner))
    return found


@torch.no_grad()
def write_weights(pipe: Any, weights: Mapping[str, Tensor]) -> None:
    """Overwrite the named weights in place, keeping the model's device and type."""
    for name, weight in weights.items():
        part, inner = part_of(name)
        held = held_by(parts_of(pipe)[part])
        held[_known(held, inner)].copy_(weight)
