"""Train the object-and-style judge on augmented real emoji."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from scapre.pictures.judges import Judge
from scapre.training.augment import jitter
from scapre.training.loop import Schedule, train

SCHEDULE = Schedule(steps=1800, lr=2e-3, warmup=100, ema=0.99, save_every=500, weight_decay=0.05)
BATCH = 128
#: what the judge sees in training and in its own examination
AUGMENT = {"shift": 0.1, "turn": 0.15, "colour": 0.12, "blur": 0.4, "noise": 0.15}


def train_judge(views: Tensor, styles: int, folder: Path, schedule: Schedule = SCHEDULE) -> Judge:
    """Classify object and style of augmented pictures.

    Args:
        views: ``(V, concepts · styles, 3, 32, 32)`` in [−1, 1], style fastest: the real pictures
            and the same as the autoencoder gives them back, whose loss of detail is not an error
            of what is drawn.
    """
    torch.manual_seed(schedule.seed)
    judge = Judge(views.shape[1] // styles, styles)

    def step(number: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        chosen = torch.randint(views.shape[1], (BATCH,), generator=generator)
        view = torch.randint(len(views), (BATCH,), generator=generator)
        seen = jitter(views[view, chosen], generator, **AUGMENT).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            what, how = judge(seen)
        what, how = what.float(), how.float()
        loss = F.cross_entropy(what, chosen // styles, label_smoothing=0.05)
        loss = loss + 0.5 * F.cross_entropy(how, chosen % styles, label_smoothing=0.05)
        return loss, {"object": (what.argmax(1) == chosen // styles).float().mean().item()}

    train(judge, step, schedule, folder)
    return judge


@torch.no_grad()
def examine(judge: Judge, images: Tensor, styles: int, seed: int, repeats: int = 4) -> dict[str, float]:
    """Measure object and style accuracy on fresh augmentations of every picture."""
    generator = torch.Generator().manual_seed(seed)
    right = torch.zeros(2)
    for _ in range(repeats):
        for chosen in torch.arange(len(images)).split(256):
            what, how = judge(jitter(images[chosen], generator, **AUGMENT))
            right[0] += (what.argmax(1) == chosen // styles).sum()
            right[1] += (how.argmax(1) == chosen % styles).sum()
    return dict(zip(("object", "style"), (right / (repeats * len(images))).tolist(), strict=True))
