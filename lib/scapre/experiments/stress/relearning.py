"""Relearning: how many steps on a few pictures bring the concept back, and do unrelated pictures bring it back too?"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch.nn import functional as F

from scapre.experiments.stress.budget import Budget
from scapre.experiments.stress.probe import (
    PICTURE,
    Found,
    Target,
    check_gradient,
    drawn,
    standing_in,
    tabled,
)
from scapre.experiments.stress.search import Latents
from scapre.methods.trained.denoiser import Denoiser
from scapre.methods.trained.lora import add_lora, restart
from scapre.methods.trained.student import apprentice, trained_names

#: what is trained → (selection of ``trained.student``, learning rate of Adam)
WAYS = {"full": ("unet", 1e-4), "attention": ("cross-attention", 3e-4), "lora": ("cross-attention", 1e-3)}
RANK = 4


def relearn(pipe: Any, target: Target, budget: Budget, seed: int, *, way: str, unrelated: bool) -> Found:
    """Train a copy of the denoiser on pictures with their captions and draw the concept after every check.

        min ‖ε(x_t, caption) − noise‖²

    The same seed draws the same pictures before training and after every check.

    Args:
        way: of ``WAYS``; ``lora`` trains adapters on the linear maps of the cross-attention.
        unrelated: on pictures of other concepts.

    Raises:
        CannotApply: no gradient passes.
    """
    check_gradient(pipe)
    denoiser, (selection, rate) = Denoiser(pipe), WAYS[way]
    pictures, captions = target.pictures, target.captions
    if unrelated:
        pictures, captions = target.unrelated, target.unrelated_captions
    latents, ids = Latents(denoiser, pictures, seed), denoiser.say(captions)
    names = trained_names(pipe.unet, selection)
    student: Any
    if way == "lora":
        student = apprentice(pipe.unet, ())
        linear = [n for n, m in student.named_modules() if isinstance(m, torch.nn.Linear) and ".attn2." in n]
        factors = add_lora(student, linear, RANK)
        restart(factors, seed)
        learned = list(factors.values())
    else:
        student = apprentice(pipe.unet, names)
        held = dict(student.named_parameters())
        learned = [held[name] for name in names]
    optimiser = torch.optim.Adam(learned, lr=rate)
    prompts, images, steps = target.said(PICTURE, budget.pictures), [], []
    for step in range(max(budget.checks) + 1):
        if step in (0, *budget.checks):
            with standing_in(pipe, unet=student):
                images.append(drawn(pipe, prompts, seed))
            steps += [step] * len(prompts)
        if step < max(budget.checks):
            with torch.enable_grad():
                which, at = latents.noised(budget.batch)
                text = denoiser.text(ids[which.to(ids.device)])
                loss = F.mse_loss(denoiser.predict(student, at.x, at.t, text), at.goal)
                for weight, slope in zip(learned, torch.autograd.grad(loss, learned, allow_unused=True), strict=True):
                    weight.grad = slope
                optimiser.step()
    return Found(torch.cat(images), tabled(prompts * len(images), target, steps=steps))


relearn_full = partial(relearn, way="full", unrelated=False)
relearn_attention = partial(relearn, way="attention", unrelated=False)
relearn_lora = partial(relearn, way="lora", unrelated=False)
unrelated_full = partial(relearn, way="full", unrelated=True)
unrelated_attention = partial(relearn, way="attention", unrelated=True)
unrelated_lora = partial(relearn, way="lora", unrelated=True)
