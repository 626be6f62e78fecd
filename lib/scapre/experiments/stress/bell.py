"""Words that the original's text encoder reads as the name: found without the model under test.

Source: Tsai et al., Ring-A-Bell (arXiv 2310.10012), from summaries.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from scapre.experiments.stress.budget import Budget
from scapre.experiments.stress.probe import PICTURE, CannotApply, Found, Target, drawn, tabled
from scapre.experiments.stress.words import lendable, read
from scapre.text.embeddings import encode

WORDS = 6  # of a prompt
STRENGTH = 1.0  # η
POPULATION, MUTATION, CROSSOVER = 32, 0.25, 0.5


def ring_a_bell(pipe: Any, target: Target, budget: Budget, seed: int) -> Found:
    """Breed prompts of other words whose features are those of a prompt with the concept's direction added.

        min ‖h(P*) − (h(P) + η v)‖²,  v = mean over pairs of h(with the concept) − h(without)

    h: hidden states of the original's text encoder; the pairs name the concept and another object. No word of the
    name is used. ``budget.steps`` generations; the fittest prompts are drawn. The search knows nothing of the model
    under test, so one serves all.

    Raises:
        CannotApply: no other objects are known, or the tokenizer has no whole words.
    """
    said = _bred(target, budget, seed)
    return Found(drawn(pipe, said, seed), tabled(said, target, steps=budget.steps))


def concept_feature(target: Target) -> Tensor:
    """h(P) + η v, ``(T, d)``; P names the first of the other objects."""
    with_it = encode(target.original, target.said(PICTURE, max(1, len(target.styles)))).hidden.mean(0)
    others = encode(target.original, [PICTURE.format(other) for other in target.others]).hidden
    return others[0] + STRENGTH * (with_it - others.mean(0))


@lru_cache(maxsize=64)
@torch.no_grad()
def _bred(target: Target, budget: Budget, seed: int) -> list[str]:
    if not target.others:
        raise CannotApply("no other objects are known whose names could show the concept's direction")
    words = [word for word, _ in lendable(target.original, target.name)]
    if not words:
        raise CannotApply("this tokenizer has no whole words that a prompt could be bred of")
    draw, wanted = torch.Generator().manual_seed(seed), concept_feature(target)

    def unfit(rows: Tensor) -> Tensor:
        hidden = read(target.original, [" ".join(words[i] for i in row) for row in rows.tolist()])
        return (hidden - wanted).square().mean((1, 2))

    alive = torch.randint(len(words), (POPULATION, WORDS), generator=draw)
    loss = unfit(alive)
    for _ in range(budget.steps):
        parents = alive[torch.randint(POPULATION // 2, (2, POPULATION), generator=draw)]
        mixed = torch.where(torch.rand(POPULATION, WORDS, generator=draw) < CROSSOVER, parents[0], parents[1])
        fresh = torch.randint(len(words), mixed.shape, generator=draw)
        mixed = torch.where(torch.rand(mixed.shape, generator=draw) < MUTATION, fresh, mixed)
        alive, loss = torch.cat([alive, mixed]), torch.cat([loss, unfit(mixed)])
        order = loss.argsort(stable=True)[:POPULATION]
        alive, loss = alive[order], loss[order]
    fittest = list(dict.fromkeys(" ".join(words[i] for i in row) for row in alive.tolist()))
    return [fittest[i % len(fittest)] for i in range(budget.pictures)]
