"""Any weight of a pipeline by name: the UNet's own names, a text encoder's behind the name of its part."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from scapre.model.projections import held_by, plain, projection_names, unet_of

#: what stands before the names of a text encoder's weights, and of no weight of a UNet
ENCODERS = ("text_encoder", "text_encoder_2")
WRAPPER = "text_model."


def part_of(name: str) -> tuple[str, str]:
    """Split a weight's name into the pipeline's part and the name inside it.

    >>> part_of("text_encoder.layers.0.mlp.fc2.weight")
    ('text_encoder', 'layers.0.mlp.fc2.weight')
    >>> part_of("mid_block.attentions.0.proj_in.weight")
    ('unet', 'mid_block.attentions.0.proj_in.weight')
    """
    part, _, inner = name.partition(".")
    return (part, inner) if part in ENCODERS else ("unet", name)


def _known(names: Container[str], inner: str) -> str:
    """The name by which a text encoder knows a weight: transformers 5 leaves CLIP's ``text_model.`` out."""
    other = inner.removeprefix(WRAPPER) if inner.startswith(WRAPPER) else WRAPPER + inner
    return other if inner not in names and other in names else inner


def read_weights(pipe: Any, names: Iterable[str]) -> dict[str, Tensor]:
    """Copy the named weights; names that the pipeline does not have are left out.

    Raises:
        ValueError: the pipeline has no UNet; or a weight cannot be edited as it is (fused, under an
            adapter, quantised, offloaded, NaN or infinity).
    """
    names = list(names)
    projections = set(projection_names(unet_of(pipe))) if any(".attn2.to_" in name for name in names) else set()
    modules: dict[str, nn.Module] = {"unet": unet_of(pipe)}
    modules |= {part: module for part in ENCODERS if (module := getattr(pipe, part, None)) is not None}
    held = {part: held_by(module) for part, module in modules.items()}
    found: dict[str, Tensor] = {}
    for name in names:
        part, inner = part_of(name)
        inner = _known(held.get(part, {}), inner)
        # a projection without its weight is packed, not another architecture
        if inner in held.get(part, {}) or name in projections:
            found[name] = plain(name, held[part].get(inner))
    return found


@torch.no_grad()
def write_weights(pipe: Any, weights: Mapping[str, Tensor]) -> None:
    """Overwrite the named weights in place, keeping the model's device and type."""
    for name, weight in weights.items():
        part, inner = part_of(name)
        module = unet_of(pipe) if part == "unet" else getattr(pipe, part)
        held = held_by(module)
        held[_known(held, inner)].copy_(weight)
