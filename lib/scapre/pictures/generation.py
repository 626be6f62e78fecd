"""Draw a prompt list into a folder, resuming where it was interrupted; judge such a folder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from scapre.concepts.names import same_name
from scapre.files import replacing, write_text
from scapre.model.sampling import sample
from scapre.patch.patch import Patch
from scapre.pictures.judges import Judges
from scapre.pictures.metrics import interval, overall, proportion
from scapre.pictures.places import LIST, SCORES, GenerationError, find_drawn
from scapre.pictures.record import erased, listing, open_folder, read_record
from scapre.text.embeddings import beyond_window, encode

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


def score(folder: str | Path, judges: Judges, pipe: Any) -> pd.DataFrame:
    """Judge a folder of ``generate`` and write ``scores.csv`` into it.

    Args:
        folder: complete, with classes that the judges know.
        judges: the shipped judges; they know emoji-sd's names and nothing else.
        pipe: emoji-sd, whose text encoder the CLIP score reads prompts with.

    Returns:
        columns ``metric, value, low, high, pictures`` (percent; 95 % intervals): accuracy on targets of
        the edit (``unlearn accuracy``, lower is better) and on other classes (``preserve accuracy``),
        their ``overall``, and the CLIP score.

    Raises:
        GenerationError: not such a folder, pictures missing or of another size, or classes the judges do not know.
    """
    folder = find_drawn(folder)
    record = read_record(folder)
    table = pd.read_csv(folder / LIST, keep_default_na=False, dtype={"prompt": str, "class": str})
    objects = {same_name(name): name for name in judges.objects}
    unknown = sorted({name for name in table["class"] if same_name(name) not in objects})
    if unknown:
        strange = ", ".join(map(repr, unknown[:3]))
        raise GenerationError(f"the shipped judges know emoji-sd's {len(judges.objects)} names only, not {strange}")
    table = listing(table, record["samples"])
    files = [folder / name for name in table["file"]]
    absent = sum(not f.is_file() for f in files)
    if absent:
        raise GenerationError(f"{absent} of {len(files)} pictures are missing in {folder}; run scapre generate again")
    images = _read_pictures(files)
    if black := int((images.flatten(1).amax(1) == 0).sum()):
        log.warning("%d pictures are black, as a safety checker or half precision leaves them; draw them anew", black)
    classes = table["class"].map(same_name)
    right = judges.verdicts(images)["object"].to_numpy() == classes.map(objects).to_numpy()
    forgotten = classes.isin(erased(record)).to_numpy()
    rows: list[tuple[str, float, float, float, int]] = []
    sides = {}
    for name, side in (("unlearn accuracy", forgotten), ("preserve accuracy", ~forgotten)):
        if side.any():
            rows.append((name, *proportion(right[side].sum(), side.sum()), int(side.sum())))
            sides[name] = rows[-1][1]
    if len(sides) == 2:
        rows.append(("overall", overall(*sides.values()), np.nan, np.nan, len(table)))
    sentences = encode(pipe, table["prompt"].tolist())
    end = sentences.hidden[torch.arange(len(table)), sentences.last + 1].cpu()
    rows.append(("CLIP score", *interval(judges.clip_scores(images, end).numpy()), len(table)))
    scores = pd.DataFrame(rows, columns=["metric", "value", "low", "high", "pictures"])
    write_text(folder / SCORES, scores.to_csv(index=False, float_format="%.4f"))
    return scores


def _read_pictures(files: list[Path]) -> Tensor:
    pictures = []
    for file in files:
        try:
            with Image.open(file) as image:
                pictures.append(torch.from_numpy(np.array(image.convert("RGB"))))
        except OSError as error:
            raise GenerationError(f"{file} is damaged; remove it and run scapre generate again") from error
        if pictures[-1].shape != pictures[0].shape:
            raise GenerationError(f"{file} has another size than {files[0].name}; draw the folder anew")
    return torch.stack(pictures)
