"""Probes that change how a model is used: another text encoder, other strengths of guidance."""

from __future__ import annotations

from typing import Any

import torch

from scapre.experiments.stress.budget import Budget
from scapre.experiments.stress.probe import PICTURE, Found, Target, drawn, standing_in, tabled
from scapre.model.weights import ENCODERS

GUIDANCE = (1.0, 2.0, 5.0, 7.5, 12.0, 20.0)


def foreign_encoder(pipe: Any, target: Target, budget: Budget, seed: int) -> Found:
    """Draw with the original's text encoders: what is left is the edit of the UNet alone."""
    prompts = target.said(PICTURE, budget.pictures)
    encoders = {n: e for n in ENCODERS if (e := getattr(target.original, n, None)) is not None}
    with standing_in(pipe, **encoders):
        return Found(drawn(pipe, prompts, seed), tabled(prompts, target))


def guidance(pipe: Any, target: Target, budget: Budget, seed: int) -> Found:
    """Draw at strengths of guidance from none to far too much, in turn."""
    prompts, share = target.said(PICTURE, budget.pictures), max(1, budget.pictures // len(GUIDANCE))
    images, told = [], []
    for i, start in enumerate(range(0, budget.pictures, share)):
        part, scale = prompts[start : start + share], GUIDANCE[i % len(GUIDANCE)]
        images.append(drawn(pipe, part, seed, start, guidance=scale))
        told += [f"{prompt} (guidance {scale:g})" for prompt in part]
    return Found(torch.cat(images), tabled(told, target))
