"""One loop for every eraser that trains: seeded, resumable, with a bar.

A step draws from a generator seeded with the edit's seed, the concept and the step, so an edit that was
interrupted and resumed makes the same steps as one that was not.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from tqdm.auto import tqdm

from scapre.files import WriteError, write_tensors
from scapre.methods.trained.eraser import Eraser, Gradient
from scapre.paths import data_folder

log = logging.getLogger(__name__)

#: an interrupted edit loses at most so much of its time
SAVE_SECONDS = 120.0
#: called after every step with the number of steps done
Watch = Callable[[int], None]


@torch.enable_grad()  # a notebook may have switched gradients off
def train(eraser: Eraser, *, watch: Watch | None = None) -> dict[str, Tensor]:
    """Run an opened eraser to its end.

    Returns:
        the edited weights by parameter name, in the types of the model.

    Raises:
        ValueError: the loss stopped being finite (the message names the step and the remedy).
    """
    place = _place(eraser)
    optimiser = _restore(eraser, place)
    saved = time.monotonic()
    total = eraser.concepts * eraser.steps
    with tqdm(total=total, initial=_done(eraser), desc=eraser.method, disable=not eraser.progress) as bar:
        while eraser.concept < eraser.concepts:
            if eraser.step == 0:
                optimiser = eraser.optimiser()
                eraser.begin()
            while eraser.step < eraser.steps:
                loss = one_step(eraser, optimiser)
                eraser.step += 1
                bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
                bar.update()
                if watch is not None:
                    watch(_done(eraser))
                if time.monotonic() - saved > SAVE_SECONDS and eraser.step < eraser.steps:
                    _store(eraser, optimiser, place)
                    saved = time.monotonic()
            eraser.end()
            eraser.concept, eraser.step = eraser.concept + 1, 0
            if time.monotonic() - saved > SAVE_SECONDS:
                _store(eraser, optimiser, place)
                saved = time.monotonic()
    place.unlink(missing_ok=True)
    types = {name: p.dtype for name, p in eraser.denoiser.pipe.unet.named_parameters()}
    return {name: weight.detach().to(types[name]) for name, weight in eraser.weights().items()}


def one_step(eraser: Eraser, optimiser: torch.optim.Optimizer) -> float:
    """Draw a batch, take the gradient, write the weights; return the sum of the losses."""
    draw = torch.Generator().manual_seed((eraser.seed * 100_003 + eraser.concept) * 1_000_003 + eraser.step)
    losses = eraser.losses(eraser.sample(draw))
    if not all(torch.isfinite(loss) for loss in losses):
        raise ValueError(f"the loss of {eraser.method} is no number at step {_done(eraser)}; lower learning_rate")
    gradient = eraser.combine(gradients(eraser, losses))
    for parameter, part in zip(eraser.parameters.values(), gradient, strict=True):
        parameter.grad = part
    if eraser.clip is not None:
        nn.utils.clip_grad_norm_(list(eraser.parameters.values()), eraser.clip)
    for group in optimiser.param_groups:
        group["lr"] = eraser.learning_rate * eraser.rate()
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    values = [float(loss.detach()) for loss in losses]
    eraser.history.append(sum(values))
    eraser.after(values)
    return sum(values)


def gradients(eraser: Eraser, losses: tuple[Tensor, ...]) -> list[Gradient]:
    """The gradient of every loss by itself; several losses share one graph."""
    wanted = list(eraser.parameters.values())
    return [
        list(torch.autograd.grad(loss, wanted, retain_graph=i + 1 < len(losses), allow_unused=True))
        for i, loss in enumerate(losses)
    ]


def _place(eraser: Eraser) -> Path:
    """The file an interrupted edit is kept in, named by everything that decides the edit."""
    about: list[Any] = [eraser.method, asdict(eraser), asdict(eraser.wish), eraser.seed, eraser.denoiser.mark]
    key = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:32]
    return data_folder() / "cache" / "unfinished" / f"{key}.safetensors"


def _done(eraser: Eraser) -> int:
    return eraser.concept * eraser.steps + eraser.step


def _store(eraser: Eraser, optimiser: torch.optim.Optimizer, place: Path) -> None:
    tensors = {f"weight/{name}": p.detach() for name, p in eraser.parameters.items()}
    tensors |= {f"state/{name}": tensor for name, tensor in eraser.state.items()}
    for name, p in eraser.parameters.items():
        tensors |= {f"{moment}/{name}": value for moment, value in optimiser.state.get(p, {}).items()}
    about = {"concept": str(eraser.concept), "step": str(eraser.step), "history": json.dumps(eraser.history)}
    try:
        write_tensors(place, tensors, about)
    except WriteError as error:
        log.warning("this edit would start anew if it were interrupted (%s)", error)


def _restore(eraser: Eraser, place: Path) -> torch.optim.Optimizer:
    optimiser = eraser.optimiser()
    try:
        with safe_open(place, "pt") as stored:
            about, tensors = stored.metadata(), {key: stored.get_tensor(key) for key in stored.keys()}
    except (SafetensorError, OSError):
        return optimiser  # nothing to go on from, or a damaged file
    with torch.no_grad():
        for key, value in tensors.items():
            kind, _, name = key.partition("/")
            if kind == "weight":
                eraser.parameters[name].copy_(value)
            elif kind == "state":
                eraser.state[name] = value.to(eraser.denoiser.device)
            else:
                p = eraser.parameters[name]
                optimiser.state[p][kind] = value if kind == "step" else value.to(p.device)
    eraser.history = json.loads(about["history"])
    eraser.concept, eraser.step = int(about["concept"]), int(about["step"])
    return optimiser
