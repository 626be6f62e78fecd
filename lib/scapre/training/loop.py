"""One training loop for every part of emoji-sd: resumable, logged, atomic, deterministic.

Randomness enters only as a generator seeded with ``(seed, step)``, so a run that
was interrupted and resumed makes the same steps as one that was not.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from tqdm.auto import tqdm

from scapre.files import naming, write_tensors

#: a step: (step number, generator) → (scalar loss, named numbers to log)
Step = Callable[[int, torch.Generator], tuple[Tensor, dict[str, float]]]
Named = Mapping[str, Tensor]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: AdamW, linear warm-up, cosine decay, averaged weights."""

    steps: int
    lr: float
    warmup: int = 100
    weight_decay: float = 0.01
    ema: float = 0.999
    save_every: int = 500
    seed: int = 0

    def rate(self, step: int) -> float:
        """Return the learning rate of ``step``."""
        rise = min(1.0, (step + 1) / self.warmup)
        return self.lr * rise * 0.5 * (1 + math.cos(math.pi * step / self.steps))


@torch.enable_grad()  # a notebook may have switched gradients off
def train(module: nn.Module, step_fn: Step, schedule: Schedule, folder: Path) -> None:
    """Train ``module`` in place and leave its averaged weights in it.

    ``folder`` receives ``checkpoint.safetensors`` (weights, averages, optimiser
    moments) and ``log.csv``. A finished checkpoint makes the call a no-op; a
    partial one is resumed.

    Raises:
        RuntimeError: the loss stopped being finite (the message names the step).
        ValueError: the checkpoint is damaged.
        WriteError: the folder cannot be written.
    """
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
    parameters = {k: p for k, p in module.named_parameters() if p.requires_grad}
    buffers = dict(module.named_buffers())
    average = {k: p.detach().clone() for k, p in parameters.items()}
    optimiser = torch.optim.AdamW(parameters.values(), lr=schedule.lr, weight_decay=schedule.weight_decay, fused=True)
    start = _restore(folder, parameters, buffers, average, optimiser)
    module.train()
    clock = time.perf_counter()
    bar = tqdm(range(start, schedule.steps), initial=start, total=schedule.steps, desc=folder.name, mininterval=2)
    for step in bar:
        generator = torch.Generator().manual_seed(schedule.seed * 1_000_003 + step)
        for group in optimiser.param_groups:
            group["lr"] = schedule.rate(step)
        loss, seen = step_fn(step, generator)
        if not torch.isfinite(loss):
            raise RuntimeError(f"the loss of {folder.name} is {loss.item()} at step {step}; lower the learning rate")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters.values(), 1.0)
        optimiser.step()
        # Early on the average follows closely, so short runs are not dominated by the start.
        keep = min(schedule.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.values()), [p.detach() for p in parameters.values()], 1 - keep)
        if step % 50 == 0 or step + 1 == schedule.steps:
            row = {"step": step, "loss": round(loss.item(), 5), **{k: round(v, 5) for k, v in seen.items()}}
            bar.set_postfix({k: v for k, v in row.items() if k != "step"})
            _log(folder / "log.csv", {**row, "seconds": round(time.perf_counter() - clock, 1)})
        if (step + 1) % schedule.save_every == 0 or step + 1 == schedule.steps:
            _store(folder, parameters, buffers, average, optimiser, step + 1)
    with torch.no_grad():
        for k, p in parameters.items():
            p.copy_(average[k])
    module.eval()


def _log(path: Path, row: dict[str, float]) -> None:
    new = not path.exists()
    with naming(path), path.open("a", newline="") as handle:
        writer = csv.DictWriter(handle, row.keys())
        if new:
            writer.writeheader()
        writer.writerow(row)


def _store(
    folder: Path, parameters: Named, buffers: Named, average: Named, optimiser: torch.optim.Optimizer, step: int
) -> None:
    tensors = {f"weight/{k}": p.detach() for k, p in parameters.items()}
    tensors |= {f"buffer/{k}": b.clone() for k, b in buffers.items()}
    tensors |= {f"average/{k}": a for k, a in average.items()}
    for k, p in parameters.items():
        for moment in ("exp_avg", "exp_avg_sq"):
            tensors[f"{moment}/{k}"] = optimiser.state[p][moment]
    write_tensors(folder / "checkpoint.safetensors", tensors, {"step": str(step)})


def _restore(folder: Path, parameters: Named, buffers: Named, average: Named, optimiser: torch.optim.Optimizer) -> int:
    path = folder / "checkpoint.safetensors"
    if not path.is_file():
        return 0
    try:
        with safe_open(path, "pt") as stored:
            step, held = int(stored.metadata()["step"]), {key: stored.get_tensor(key) for key in stored.keys()}
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is damaged ({error}); remove it to train {folder.name} anew") from error
    with torch.no_grad():
        for k, p in parameters.items():
            p.copy_(held[f"weight/{k}"])
            average[k].copy_(held[f"average/{k}"])
            moments = {m: held[f"{m}/{k}"].to(p.device) for m in ("exp_avg", "exp_avg_sq")}
            optimiser.state[p] = {"step": torch.tensor(float(step)), **moments}
        for k, b in buffers.items():
            b.copy_(held[f"buffer/{k}"])
    return step
