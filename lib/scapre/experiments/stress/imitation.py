"""Tokens among a prompt's own, searched so that the model under test answers as the original does.

Source: Chin et al., Prompting4Debugging (P4D, arXiv 2309.06135), the variant with a token after every K, from
summaries. The other, of free tokens alone, finds 3 of 36 pictures in the unedited model after 48 steps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

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
from scapre.experiments.stress.search import Latents
from scapre.experiments.stress.words import embeddings, read, room, spelt, standing_for
from scapre.methods.trained.denoiser import Denoiser, Text

EVERY = 3  # K, words of the prompt between two tokens
#: of Adam, so of every number's step, in units of the vectors' own mean square: a few steps change a token
RATE = 1.0


@torch.no_grad()
def prompting4debugging(pipe: Any, target: Target, budget: Budget, seed: int) -> Found:
    """Put tokens among those of the prompt, so that the model under test denoises as the original does by the prompt.

        min ‖ε(x_t, P*) − ε₀(x_t, prompt)‖²,  P* with the tokens nearest to vectors v

    x_t are the attacker's pictures, noised. The gradient at the tokens moves the vectors (AdamW, decay 0.1). After
    every part of the steps a picture is drawn of the tokens that fitted best in that part.

    Raises:
        CannotApply: no gradient passes, the prompt leaves no room, or no words can be lent.
    """
    check_gradient(pipe, text=True)
    prompt = PICTURE.format(target.name)
    count = min(-(-len(prompt.split()) // EVERY), room(pipe, prompt))
    if count < 1:
        raise CannotApply(f"{prompt!r} fills the window of the text encoder; no token fits among its own")
    tested, original, table = Denoiser(pipe), Denoiser(target.original), embeddings(pipe)
    asked = original.text(original.say([prompt] * budget.batch))
    latents, draw = Latents(original, target.pictures, seed), torch.Generator().manual_seed(seed)
    soft = table[torch.randint(len(table), (count,), generator=draw).to(table.device)].clone()
    optimiser = torch.optim.AdamW([soft], lr=RATE * float(table.square().mean().sqrt()), weight_decay=0.1)
    ends, said, images, step = rounds(budget), [], [], 0
    with standing_for(pipe, count, prompt) as (words, held):
        held.append(soft)
        told = mingled(prompt, words.split())
        for i, end in enumerate(ends):
            best, fit = nearest(soft, table), float("inf")
            while step < end:
                tokens = nearest(soft, table)
                _, at = latents.noised(budget.batch)
                wanted = original.predict(original.unet, at.x, at.t, asked)
                with torch.enable_grad():
                    held[0] = table[tokens].requires_grad_()
                    text = Text(read(pipe, [told]).to(tested.dtype).expand(budget.batch, -1, -1))
                    loss = F.mse_loss(tested.predict(tested.unet, at.x, at.t, text), wanted)
                    (soft.grad,) = torch.autograd.grad(loss, [held[0]])
                if (now := float(loss.detach())) < fit:
                    best, fit = tokens, now
                optimiser.step()
                step += 1
            held[0] = table[best]
            images.append(drawn(pipe, [told], seed, i))
            said.append(mingled(prompt, [spelt(pipe, [token]) for token in best.tolist()]))
    return Found(torch.cat(images), tabled(said, target, steps=ends))


def mingled(prompt: str, words: list[str]) -> str:
    """A prompt with one of ``words`` after every ``EVERY`` of its own, as far as they go, the last at its end."""
    own = prompt.split()
    parts = [own[i : i + EVERY] for i in range(0, len(own), EVERY)]
    return " ".join(word for part, more in zip(parts, words, strict=False) for word in (*part, more))


def nearest(vectors: Tensor, table: Tensor) -> Tensor:
    """Places ``(n,)`` of the rows of ``table (V, d)`` whose cosine to each of ``vectors (n, d)`` is largest."""
    return (F.normalize(vectors, dim=1) @ F.normalize(table, dim=1).T).argmax(1)
