"""Name, read and write the cross-attention projections: the only weights that change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


def projection_names(unet: nn.Module, kinds: Sequence[str] = ("to_v", "to_k")) -> list[str]:
    """List the projections: ``to_v`` of all blocks, then ``to_k``; blocks down, up, mid.

    The order is that of the released code's random draws.

    Raises:
        ValueError: the model has no cross-attention (``attn2``).
    """
    blocks = [name for name, _ in unet.named_modules() if name.endswith("attn2")]
    if not blocks:
        raise ValueError("this UNet has no cross-attention (attn2) to edit")
    return [f"{block}.{kind}.weight" for kind in kinds for block in blocks]


def read_projections(unet: nn.Module, kinds: Sequence[str] = ("to_v", "to_k")) -> dict[str, Tensor]:
    """Copy the weights, ``(d_out, d)`` each, by parameter name.

    Raises:
        ValueError: a weight holds NaN or infinity.
    """
    parameters = dict(unet.named_parameters())
    weights = {name: parameters[name].detach().clone() for name in projection_names(unet, kinds)}
    for name, weight in weights.items():
        if not torch.isfinite(weight).all():
            raise ValueError(f"{name} holds NaN or infinity; load an intact model")
    return weights


@torch.no_grad()
def write_projections(unet: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Overwrite the named weights in place, keeping the model's device and type."""
    parameters = dict(unet.named_parameters())
    for name, weight in weights.items():
        parameters[name].copy_(weight)
