"""Low-rank adapters of a student, by peft: W₀ + BA, B zero at the start."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def add_lora(student: nn.Module, modules: Sequence[str], rank: int) -> dict[str, nn.Parameter]:
    """Give modules a trainable adapter of scale 1.

    Args:
        modules: full names of Linear and Conv2d modules.

    Returns:
        the factors by name, ``MODULE.down`` (A) and ``MODULE.up`` (B); nothing else of the student learns.
    """
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=list(modules))
    inject_adapter_in_model(config, student)
    held = dict(student.named_parameters())
    sides = {"down": "lora_A", "up": "lora_B"}
    factors = {f"{m}.{side}": held[f"{m}.{key}.default.weight"] for m in modules for side, key in sides.items()}
    for parameter in student.parameters():
        parameter.requires_grad_(False)
    for factor in factors.values():
        factor.requires_grad_(True)
    return factors


@torch.no_grad()
def restart(factors: dict[str, nn.Parameter], seed: int) -> None:
    """Set every B to zero and draw every A uniformly up to 1 / √columns, as both peft and SPM do."""
    draw = torch.Generator().manual_seed(seed)
    for name, factor in factors.items():
        if name.endswith(".up"):
            factor.zero_()
        else:
            bound = 1 / math.sqrt(factor[0].numel())
            factor.copy_((2 * torch.rand(factor.shape, generator=draw, dtype=factor.dtype) - 1) * bound)


def product(up: Tensor, down: Tensor) -> Tensor:
    """BA as a matrix: ``up (d_out, k, …)``, ``down (k, d, …)`` → ``(d_out, columns)``."""
    return up.flatten(1) @ down.flatten(1)


def composed(ups: Sequence[Tensor], downs: Sequence[Tensor], shares: Sequence[float], *, summed: bool) -> Tensor:
    """Put the adapters of several concepts together, each with its share γ.

        Σ γ_i B_i A_i        or, ``summed``,      (Σ γ_i B_i)(Σ γ_i A_i)

    The second is what SPM's released code does: its rank stays that of one adapter, it has the cross terms
    γ_i γ_j B_i A_j, and one adapter alone acts with γ².
    """
    if summed:
        up, down = (sum(g * part for g, part in zip(shares, parts, strict=True)) for parts in (ups, downs))
        return product(torch.as_tensor(up), torch.as_tensor(down))
    terms = [g * product(up, down) for g, up, down in zip(shares, ups, downs, strict=True)]
    return torch.stack(terms).sum(0)
