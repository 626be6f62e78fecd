"""Weights → one hash, by which a model is known again."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping
from typing import Any

import torch
from torch import Tensor

from scapre.model.projections import denoiser_of, held_by

PARTS = ("vae", "text_encoder", "text_encoder_2", "text_encoder_3")
SAMPLED = 64  # numbers a weight


def model_sample(pipe: Any, besides: Container[str] = ()) -> str:
    """Hash a few numbers of every weight of a pipeline: another model, type or fused adapter has another hash.

    Args:
        besides: weights of the denoiser to leave out: those that an edit in effect changes.
    """
    digest = hashlib.sha256()
    # the denoiser stands under one name here, whatever it is
    parts = {"unet": denoiser_of(pipe)} | {name: getattr(pipe, name, None) for name in PARTS}
    for part, module in parts.items():
        for name, weight in sorted(held_by(module).items()) if module is not None else ():
            known = name if part == "unet" else f"{part}.{name}"
            if known not in besides:
                values = weight.detach().flatten()
                some = values[:: max(1, len(values) // SAMPLED)].cpu().contiguous()
                digest.update(f"{known}{tuple(weight.shape)}{weight.dtype}".encode())
                digest.update(some.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def fingerprint(weights: Mapping[str, Tensor]) -> str:
    """Hash names, shapes, types and bits of weights (SHA-256)."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def size_of(weights: Mapping[str, Tensor]) -> int:
    """Bytes that weights take in a file."""
    return sum(weight.numel() * weight.element_size() for weight in weights.values())
