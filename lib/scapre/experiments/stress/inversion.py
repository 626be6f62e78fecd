"""Textual inversion on the model under test: does any vector of text space bring the concept back?

Source: Pham et al., Circumventing Concept Erasure Methods for Text-to-Image Generative Models (CCE, arXiv 2308.01508),
section 4: vectors v of new words that minimise ‖ε(x_t, prompt(v)) − noise‖² over pictures of the concept, everything
else frozen.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from scapre.experiments.stress.budget import Budget
from scapre.experiments.stress.probe import PICTURE, Found, Target, check_gradient, drawn, tabled
from scapre.experiments.stress.search import Latents, denoising_loss
from scapre.experiments.stress.words import embeddings, read, standing_for
from scapre.methods.trained.denoiser import Denoiser

#: in units of the vectors' own mean square; of Adam, so of every number's step
RATE = 0.1


def textual_inversion(pipe: Any, target: Target, budget: Budget, seed: int, *, vectors: int) -> Found:
    """Learn ``vectors`` new words from the pictures an attacker has, and draw them.

    Raises:
        CannotApply: no gradient passes, or no words can be lent.
    """
    check_gradient(pipe, text=True)
    denoiser = Denoiser(pipe)
    latents, table = Latents(denoiser, target.pictures, seed), embeddings(pipe)
    start = table.mean(0) + table.std(0) * torch.randn(
        vectors, table.shape[1], generator=torch.Generator().manual_seed(seed)
    ).to(table.device)
    learned = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([learned], lr=RATE * float(table.square().mean().sqrt()))
    with standing_for(pipe, vectors, " ".join([target.name, *target.captions])) as (words, held), torch.enable_grad():
        held.append(learned)
        told = PICTURE.format(words)
        captions = [caption.replace(PICTURE.format(target.name), told) for caption in target.captions]
        for _ in range(budget.steps):
            which, at = latents.noised(budget.batch)
            loss = denoising_loss(denoiser, at, read(pipe, [captions[i] for i in which.tolist()]))
            (learned.grad,) = torch.autograd.grad(loss, [learned])
            optimiser.step()
        held[0] = learned.detach()
        prompts = replace(target, name=words).said(PICTURE, budget.pictures)
        images = drawn(pipe, prompts, seed)
    shown = [prompt.replace(words, f"<{vectors} learned>") for prompt in prompts]
    return Found(images, tabled(shown, target, steps=budget.steps))


def one_vector(pipe: Any, target: Target, budget: Budget, seed: int) -> Found:
    """Textual inversion with one new word."""
    return textual_inversion(pipe, target, budget, seed, vectors=1)


def four_vectors(pipe: Any, target: Target, budget: Budget, seed: int) -> Found:
    """Textual inversion with four new words."""
    return textual_inversion(pipe, target, budget, seed, vectors=4)
