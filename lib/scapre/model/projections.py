"""Name, read and write the cross-attention projections: the only weights that change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from scapre.model.places import refusal

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def unet_of(pipe: Any) -> nn.Module:
    """Return the UNet of a Stable Diffusion 1.x, 2.x or SDXL pipeline.

    SDXL also reads the pooled text through ``add_embedding``. That path is not edited: it is one
    vector a prompt, where a change for one concept would change every prompt that names it among others.

    Raises:
        ValueError: see ``places.refusal``.
    """
    if getattr(pipe, "unet", None) is None:
        raise ValueError(refusal(type(pipe).__name__, getattr(pipe, "transformer", None) is not None))
    # what torch.compile wraps keeps its names
    return getattr(pipe.unet, "_orig_mod", pipe.unet)


def projection_names(unet: nn.Module, kinds: Sequence[str] = ("to_v", "to_k")) -> list[str]:
    """List the projections: ``to_v`` of all blocks, then ``to_k``; blocks down, up, mid.

    The order is that of the released code's random draws.

    Raises:
        ValueError: the model has no cross-attention (``attn2``), or an edit of it would be without
            effect (fused projections) or ambiguous (an adapter is loaded).
    """
    blocks = {plain_name(name): module for name, module in unet.named_modules() if name.endswith("attn2")}
    if not blocks:
        raise ValueError("this UNet has no cross-attention (attn2) to edit")
    for name, block in blocks.items():
        # the processor, not block.fused_projections, which stays set after unfusing
        if type(getattr(block, "processor", None)).__name__.startswith("Fused"):
            raise ValueError(
                f"{name} has fused projections, so an edit of to_k and to_v would change nothing; "
                "call pipe.unet.unfuse_qkv_projections() first"
            )
        for kind in kinds:
            if hasattr(getattr(block, kind), "base_layer"):
                raise ValueError(f"{name}.{kind} carries an adapter; {remedy(getattr(block, kind))}")
    return [f"{block}.{kind}.weight" for kind in kinds for block in blocks]


def read_projections(unet: nn.Module, kinds: Sequence[str] = ("to_v", "to_k")) -> dict[str, Tensor]:
    """Copy the weights, ``(d_out, d)`` each, by parameter name.

    Raises:
        ValueError: see ``projection_names``; or a weight is quantised, offloaded, or holds NaN or infinity.
    """
    found = held_by(unet)
    return {name: plain(name, found.get(name)) for name in projection_names(unet, kinds)}


def plain(name: str, weight: Tensor | None) -> Tensor:
    """Copy a weight that can be edited, to a device with float64.

    Raises:
        ValueError: it is quantised, packed, offloaded, or holds NaN or infinity.
    """
    if weight is not None and weight.is_meta:
        raise ValueError(f"{name} is offloaded; call pipe.remove_all_hooks() or load without offloading")
    if weight is None or weight.dtype not in DTYPES or type(weight.data) is not Tensor:
        held = "no plain matrix" if weight is None else f"{type(weight.data).__name__} of {weight.dtype}"
        raise ValueError(
            f"{name} is quantised or packed ({held}); load the model unquantised, or load the edit "
            "as an adapter (scapre export --form lora)"
        )
    if not torch.isfinite(weight).all():
        raise ValueError(f"{name} holds NaN or infinity; load an intact model")
    return weight.detach().clone().to(exact_device(weight.device))


def held_by(module: nn.Module) -> dict[str, Tensor]:
    """Name every weight of a module, and its buffers: quantisers keep packed weights there."""
    held = dict(module.named_parameters()) | dict(module.named_buffers())
    return {plain_name(name): weight for name, weight in held.items()}


def plain_name(name: str) -> str:
    """Name a weight as before ``torch.compile`` wrapped a part of the model."""
    return name.replace("_orig_mod.", "")


def remedy(layer: nn.Module) -> str:
    """Say how to take an adapter off a layer that has one."""
    if getattr(layer, "merged", False):
        return "it is fused: call pipe.unfuse_lora(), then pipe.unload_lora_weights(), edit, and load it again on top"
    return "call pipe.unload_lora_weights(), edit, and load the adapter again on top"


def exact_device(device: torch.device) -> torch.device:
    """Name the device on which float64 of this device's numbers is computed: Apple's has none."""
    return torch.device("cpu") if device.type == "mps" else device
