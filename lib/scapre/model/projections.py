"""Name and read the weights that read text: cross-attention projections, or a transformer's first linear maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from scapre.model.families import FAMILIES, Family, refusal

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def unet_of(pipe: Any) -> nn.Module:
    """Return the UNet of a Stable Diffusion 1.x, 2.x or SDXL pipeline.

    SDXL also reads the pooled text through ``add_embedding``. That path is not edited: it is one
    vector a prompt, where a change for one concept would change every prompt that names it among others.

    Raises:
        ValueError: it has none.
    """
    if getattr(pipe, "unet", None) is None:
        kind = type(pipe).__name__
        raise ValueError(f"{kind} has no UNet, which this method edits; take one that edits to_k and to_v (confined)")
    # what torch.compile wraps keeps its names
    return getattr(pipe.unet, "_orig_mod", pipe.unet)


def denoiser_of(pipe: Any) -> nn.Module:
    """Return what draws: the UNet, or a transformer of a known family.

    Raises:
        ValueError: see ``families.refusal``.
    """
    if getattr(pipe, "unet", None) is not None:
        return unet_of(pipe)
    found = getattr(pipe, "transformer", None)
    found = getattr(found, "_orig_mod", found)
    if found is None or family_of(found) is None:
        raise ValueError(refusal(type(pipe).__name__, None if found is None else type(found).__name__))
    return found


def family_of(denoiser: nn.Module) -> Family | None:
    """Look up how a transformer reads text; None for a UNet and for what is not known."""
    return next((FAMILIES[kind.__name__] for kind in type(denoiser).__mro__ if kind.__name__ in FAMILIES), None)


def projection_names(denoiser: nn.Module, kinds: Sequence[str] = ("to_v", "to_k")) -> list[str]:
    """List the weights to edit: ``to_v`` of all blocks, then ``to_k``; of a UNet the blocks down, up, mid.

    The order is that of the released code's random draws. Where text and picture attend to each other it is the
    first linear maps alone, whatever the kinds.

    Raises:
        ValueError: the model has no cross-attention (``attn2``), or an edit of it would be without
            effect (fused projections) or ambiguous (an adapter is loaded).
    """
    if (family := family_of(denoiser)) is not None and family.first:
        layers = {name: denoiser.get_submodule(name) for name in family.first}
    else:
        blocks = {plain_name(name): module for name, module in denoiser.named_modules() if name.endswith("attn2")}
        if not blocks:
            raise ValueError(f"this {type(denoiser).__name__} has no cross-attention (attn2) to edit")
        for name, block in blocks.items():
            # the processor, not block.fused_projections, which stays set after unfusing
            if type(getattr(block, "processor", None)).__name__.startswith("Fused"):
                raise ValueError(
                    f"{name} has fused projections, so an edit of to_k and to_v would change nothing; "
                    "call unfuse_qkv_projections() of the denoiser first"
                )
        layers = {f"{name}.{kind}": getattr(block, kind) for kind in kinds for name, block in blocks.items()}
    for name, layer in layers.items():
        if hasattr(layer, "base_layer"):
            raise ValueError(f"{name} carries an adapter; {remedy(layer)}")
    return [f"{name}.weight" for name in layers]


def read_projections(denoiser: nn.Module, kinds: Sequence[str] = ("to_v", "to_k")) -> dict[str, Tensor]:
    """Copy the weights, ``(d_out, d)`` each, by parameter name.

    Raises:
        ValueError: see ``projection_names``; or a weight is quantised, offloaded, or holds NaN or infinity.
    """
    found = held_by(denoiser)
    return {name: plain(name, found.get(name)) for name in projection_names(denoiser, kinds)}


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
