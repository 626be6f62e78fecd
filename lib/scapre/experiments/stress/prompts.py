"""Prompts of real words, searched with the gradient of the model under test.

Source: Zhang et al., To Generate or Not? (UnlearnDiffAtk, arXiv 2310.11868), from summaries and what is known of its
release.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scapre.experiments.stress.budget import Budget
from scapre.experiments.stress.probe import (
    PICTURE,
    CannotApply,
    Found,
    Target,
    check_gradient,
    drawn,
    rounds,
    tabled,
)
from scapre.experiments.stress.search import Latents, denoising_loss
from scapre.experiments.stress.words import embeddings, read, room, spelt, standing_for
from scapre.methods.trained.denoiser import Denoiser

PREFIX = 3  # tokens before a prompt


def unlearn_diff_attack(pipe: Any, target: Target, budget: Budget, seed: int) -> Found:
    """Put tokens before the name, so that the model under test denoises the concept's pictures.

        min_θ E ‖ε(x_t, [a, prompt]) − noise‖²,  a_i ~ θ_i on the simplex over the vocabulary

    A token is drawn a step; the gradient goes straight through the draw, held to [−1, 1]; Adam, then projection onto
    the simplex. Times go from the noisiest to the cleanest; after each a picture is drawn of the likeliest tokens.

    Raises:
        CannotApply: no gradient passes, or the prompt leaves no room.
    """
    check_gradient(pipe, text=True)
    prompt = PICTURE.format(target.name)
    count = min(PREFIX, room(pipe, prompt))
    if count < 1:
        raise CannotApply(f"{prompt!r} fills the window of the text encoder; no token fits before it")
    denoiser, table = Denoiser(pipe), embeddings(pipe)
    latents, draw = Latents(denoiser, target.pictures, seed), torch.Generator().manual_seed(seed)
    weights = torch.full((count, len(table)), 1 / len(table), device=table.device)
    optimiser = torch.optim.AdamW([weights], lr=0.01, weight_decay=0.1)
    ends, said, images = rounds(budget), [], []
    levels = torch.linspace(len(denoiser.noise.betas) - 1, 0, len(ends) + 2).long().tolist()[1:-1]
    with standing_for(pipe, count, prompt) as (words, held), torch.enable_grad():
        held.append(table[:count])
        step = 0
        for i, end in enumerate(ends):
            while step < end:
                tokens = torch.multinomial(weights.cpu(), 1, generator=draw).to(table.device)
                hot = torch.zeros_like(weights).scatter_(1, tokens, 1.0).requires_grad_()
                held[0] = hot @ table
                _, at = latents.noised(1, levels[i])
                (slope,) = torch.autograd.grad(denoising_loss(denoiser, at, read(pipe, [f"{words} {prompt}"])), [hot])
                weights.grad = slope.clamp(-1, 1)
                optimiser.step()
                weights.copy_(on_simplex(weights))
                step += 1
            likeliest = weights.argmax(1)
            held[0] = table[likeliest]
            images.append(drawn(pipe, [f"{words} {prompt}"], seed, i))
            said.append(f"{spelt(pipe, likeliest.tolist())} {prompt}")
    return Found(torch.cat(images), tabled(said, target, steps=ends))


def on_simplex(rows: Tensor) -> Tensor:
    """The nearest point of the probability simplex to every row: max(v − τ, 0), τ so that the sum is 1.

    Source: Duchi et al. 2008, figure 1.
    """
    ordered = rows.sort(1, descending=True).values
    excess = ordered.cumsum(1) - 1
    place = torch.arange(1, rows.shape[1] + 1, device=rows.device)
    last = (ordered - excess / place > 0).sum(1, keepdim=True)
    return (rows - excess.gather(1, last - 1) / last).clamp(min=0)
