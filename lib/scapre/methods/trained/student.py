"""The copy of the UNet that learns: its trained weights are its own, all others share the original's memory."""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy

import torch
from torch import Tensor, nn

from scapre.methods.trained.settings import SELECTIONS

HALF = (torch.float16, torch.bfloat16)


def trained_names(unet: nn.Module, selection: str) -> list[str]:
    """List the parameters of a selection.

    ``kv``: ``to_k`` and ``to_v`` of every cross-attention; ``cross-attention``: all of ``attn2`` (adds ``to_q``
    and ``to_out``); ``outside-cross-attention``: everything else; ``unet``: everything.

    Raises:
        ValueError: unknown selection, or one that is empty in this UNet.
    """
    if selection not in SELECTIONS:
        raise ValueError(f"unknown selection {selection!r} of weights to train; known: {', '.join(SELECTIONS)}")
    names = [name for name, _ in unet.named_parameters() if SELECTIONS[selection](name)]
    if not names:
        raise ValueError(f"this UNet has no weights in {selection!r}; train another selection")
    return names


def apprentice(unet: nn.Module, names: Collection[str]) -> nn.Module:
    """Copy a UNet for training.

    Args:
        names: parameters to train; copied, in float32 at least, so that small steps are not rounded away.

    Returns:
        a module of its own in evaluation mode; parameters not named need no gradient and share their memory with
        ``unet``, whose own parameters are never written.
    """
    memo: dict[int, Tensor] = {id(buffer): buffer for buffer in unet.buffers()}
    for name, parameter in unet.named_parameters():
        held = parameter.detach()
        own = name in names
        memo[id(parameter)] = nn.Parameter(_wide(held).clone() if own else held, requires_grad=own)
    return deepcopy(unet, memo).eval()


def widened(unet: nn.Module) -> nn.Module:
    """Return the UNet itself, or a float32 copy of one in half precision."""
    if not any(parameter.dtype in HALF for parameter in unet.parameters()):
        return unet
    memo: dict[int, Tensor] = {id(p): nn.Parameter(_wide(p.detach()), requires_grad=False) for p in unet.parameters()}
    return deepcopy(unet, memo).float()


def _wide(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in HALF else tensor


def footprint(unet: nn.Module, selection: str, *, optimiser: str = "adam") -> dict[str, int]:
    """Count what training a selection costs in memory, activations aside.

    Returns:
        ``weights``, how many numbers are trained, and ``bytes``: float32 weight, gradient and, for Adam, two moments.
    """
    names = set(trained_names(unet, selection))
    count = sum(p.numel() for name, p in unet.named_parameters() if name in names)
    return {"weights": count, "bytes": count * 4 * (4 if optimiser == "adam" else 2)}
