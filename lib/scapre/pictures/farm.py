"""Draw a prompt list on many processes or machines: every batch by whoever is free."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tqdm.auto import tqdm

from scapre.model.backbones import load_pipeline
from scapre.patch.patch import Patch
from scapre.pictures.generation import batches, draw_batch, generate, say_cut
from scapre.pictures.record import open_folder
from scapre.pool import cores, scatter, worker_number


@dataclass(frozen=True)
class Studio:
    """A model with an edit in effect, by names that every worker can open.

    Attributes:
        model: a diffusers folder or hub id.
        device: where it runs.
        dtype: type of its weights.
        variant: files of the model, for example ``fp16``.
        patch: a patch file to apply, or None.
        strength: part of the edit, 0 to 1.
    """

    model: str
    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    variant: str | None = None
    patch: str | None = None
    strength: float = 1.0


@lru_cache(maxsize=1)
def _open(studio: Studio) -> tuple[Any, Patch | None]:
    """Load model and edit once a process."""
    place, patch = own_device(studio.device), None
    pipe = load_pipeline(studio.model, device=place, dtype=studio.dtype, variant=studio.variant)
    if studio.patch:
        patch = Patch.load(studio.patch)
        patch.remember(pipe)
        patch = patch.scaled(studio.strength) if studio.strength != 1 else patch
    return pipe, patch


def accelerators(device: str) -> int:
    """Count the accelerators a device's name stands for: all of that kind, or the one with a number."""
    return max(1, torch.cuda.device_count()) if device == "cuda" else 1


def own_device(device: str) -> str:
    """Choose this process's accelerator where there are several and none is named."""
    count = accelerators(device)
    return f"{device}:{worker_number() % count}" if count > 1 else device


@dataclass(frozen=True)
class _Errand:
    studio: Studio
    part: pd.DataFrame
    folder: Path
    steps: int


def _run(errand: _Errand) -> int:
    pipe, patch = _open(errand.studio)
    with patch.applied(pipe) if patch else nullcontext():
        draw_batch(pipe, errand.part, errand.folder, errand.steps)
    return len(errand.part)


def draw_list(
    studio: Studio,
    prompts: pd.DataFrame,
    folder: str | Path,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    samples: int = 1,
    batch: int = 16,
    **settings: Any,
) -> Path:
    """Draw a list here, or apart where it is long and there are several cores, accelerators or machines.

    Args:
        workers: None: one a core on the CPU, one an accelerator.
        scheduler: address of a Dask scheduler, or ``local``.
        studio, prompts, folder, samples, batch, **settings: see ``generate_apart``.
    """
    usual = cores() if studio.device == "cpu" else accelerators(studio.device)
    usual = usual if len(prompts) * samples > batch else 1
    common: dict[str, Any] = {"samples": samples, "batch": batch, **settings}
    if scheduler or (workers or usual) > 1:
        many = None if scheduler and scheduler != "local" else workers or usual
        return generate_apart(studio, prompts, folder, workers=many, scheduler=scheduler, **common)
    pipe, patch = _open(studio)
    with patch.applied(pipe) if patch else nullcontext():
        return generate(pipe, prompts, folder, patch=patch, **common)


def generate_apart(
    studio: Studio,
    prompts: pd.DataFrame,
    folder: str | Path,
    *,
    steps: int,
    guidance: float,
    samples: int = 1,
    batch: int = 16,
    workers: int | None = None,
    scheduler: str | None = None,
) -> Path:
    """Draw what ``generation.generate`` draws, batch by batch on a pool; what is drawn is never drawn again.

    Args:
        studio: the model and edit; patch and model must be readable where the workers run.
        workers, scheduler: see ``pool.scatter``. A worker that dies loses its batch only, which
            another draws again.

    Raises:
        GenerationError, ValueError: see ``generation.generate``.
        JobError: a batch failed; the pictures of all others are there.
    """
    pipe, patch = _open(studio)
    missing = open_folder(folder, prompts, pipe, patch, samples=samples, steps=steps, guidance=guidance)
    say_cut(pipe, missing)
    errands = [_Errand(studio, part, Path(folder).resolve(), steps) for part in batches(missing, batch)]
    with tqdm(total=len(missing), desc="pictures") as bar:
        for _, drawn in scatter(_run, errands, workers=workers, scheduler=scheduler):
            bar.update(drawn)
    return Path(folder)
