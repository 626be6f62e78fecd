"""Draw a prompt list into a folder, resuming where it was interrupted."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image
from tqdm.auto import tqdm

from scapre.files import replacing
from scapre.model.sampling import sample
from scapre.patch.patch import Patch
from scapre.pictures.record import open_folder
from scapre.text.embeddings import beyond_window

log = logging.getLogger(__name__)


def generate(
    pipe: Any,
    prompts: pd.DataFrame,
    folder: str | Path,
    *,
    steps: int,
    guidance: float,
    patch: Patch | None = None,
    samples: int = 1,
    batch: int = 16,
    progress: bool = True,
) -> Path:
    """Draw ``{case_number}_{k}.png`` for every prompt; pictures already there are kept.

    Picture k of a case starts from seed ``evaluation_seed + k`` and depends on neither its batch nor
    its neighbours (up to the rounding of convolutions, one grey level).

    Args:
        pipe: a text-to-image pipeline; the patch is applied to it already.
        prompts: see ``prompts.read_prompts``.
        folder: receives the pictures, the prompts and a record of the settings.
        steps: denoising steps.
        guidance: guidance scale of prompts that bring none of their own.
        patch: the edit in effect, for the record.
        samples: pictures a prompt.
        batch: pictures at once; progress is kept after each.

    Raises:
        GenerationError: the folder holds pictures of other prompts or settings.
        ValueError: fewer than one step, sample or picture a batch.
    """
    missing = open_folder(folder, prompts, pipe, patch, samples=samples, steps=steps, guidance=guidance)
    say_cut(pipe, missing)
    parts = batches(missing, batch)
    with tqdm(total=len(missing), desc="pictures", disable=not progress) as bar:
        for part in parts:
            draw_batch(pipe, part, folder, steps)
            bar.update(len(part))
    return Path(folder)


def say_cut(pipe: Any, pictures: pd.DataFrame) -> None:
    """Say which prompts are longer than the model reads; their ends are not drawn."""
    if cut := beyond_window(pipe, pictures["prompt"].drop_duplicates().tolist()):
        log.warning(
            "%d prompts are longer than the %d tokens the model reads and are cut, as %r",
            *(len(cut), pipe.tokenizer.model_max_length - 2, cut[0]),
        )


def batches(missing: pd.DataFrame, size: int) -> list[pd.DataFrame]:
    """Split pictures to draw into batches of one guidance scale each.

    Raises:
        ValueError: fewer than one picture a batch.
    """
    if size < 1:
        raise ValueError(f"batch must be at least 1, got {size}")
    groups = [group for _, group in missing.groupby("scale", sort=True)]
    return [group.iloc[start : start + size] for group in groups for start in range(0, len(group), size)]


def draw_batch(pipe: Any, part: pd.DataFrame, folder: str | Path, steps: int) -> None:
    """Draw one of ``batches`` into the folder, every picture atomically."""
    drawn = sample(
        pipe,
        part["prompt"].tolist(),
        [int(seed) + int(k) for seed, k in zip(part["evaluation_seed"], part["k"], strict=True)],
        steps=steps,
        guidance=float(part["scale"].iloc[0]),
        batch=len(part),
        progress=False,
    )
    for name, picture in zip(part["file"], drawn, strict=True):
        image = Image.fromarray(picture.numpy())
        with replacing(Path(folder) / name) as partial:
            image.save(partial, format="PNG")
