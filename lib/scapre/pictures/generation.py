"""Draw a prompt list into a folder, resuming where it was interrupted; judge such a folder."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from scapre.files import replacing, write_text
from scapre.model.fingerprint import fingerprint
from scapre.model.sampling import sample
from scapre.patch.patch import Patch
from scapre.pictures.judges import Judges
from scapre.pictures.metrics import interval, overall, proportion
from scapre.pictures.places import LIST, RECORD, SCORES, GenerationError, find_drawn
from scapre.text.embeddings import encode


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
    missing = open_folder(
        folder, prompts, model=model_name(pipe), patch=patch, samples=samples, steps=steps, guidance=guidance
    )
    parts = batches(missing, batch)
    with tqdm(total=len(missing), desc="pictures", disable=not progress) as bar:
        for part in parts:
            draw_batch(pipe, part, folder, steps)
            bar.update(len(part))
    return Path(folder)


def model_name(pipe: Any) -> str:
    """Name the model of a pipeline, without its place."""
    return Path(str(getattr(pipe, "name_or_path", "") or "unnamed")).name


def open_folder(
    folder: str | Path,
    prompts: pd.DataFrame,
    *,
    model: str,
    patch: Patch | None,
    samples: int,
    steps: int,
    guidance: float,
) -> pd.DataFrame:
    """Write what a folder of pictures is made from, or check that it is made from the same.

    Returns:
        the pictures still to draw, one row each: the prompt's columns, ``k``, ``file`` and ``scale``.

    Raises:
        GenerationError: the folder holds pictures of other prompts or settings.
        ValueError: fewer than one step or sample.
    """
    for name, value in (("steps", steps), ("samples", samples)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    folder = Path(folder)
    record = {
        "model": model,
        "patch": None if patch is None else patch.provenance | {"sha256": fingerprint(patch.changed)},
        "steps": steps,
        "guidance": guidance,
        "samples": samples,
        "versions": {p: version(p) for p in ("scapre", "torch", "diffusers", "transformers")},
    }
    listed = prompts.to_csv(index=False, lineterminator="\n")
    for name, text in ((RECORD, json.dumps(record, indent=1) + "\n"), (LIST, listed)):
        place = folder / name
        if place.is_file() and place.read_bytes() != text.encode():
            raise GenerationError(f"{folder} holds pictures of other prompts or settings ({name}); name another folder")
        if not place.is_file():
            write_text(place, text)
    table = _listing(prompts, samples)
    table["scale"] = table["evaluation_guidance"].fillna(guidance)
    return table[[not (folder / name).is_file() for name in table["file"]]]


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
        (part["evaluation_seed"] + part["k"]).tolist(),
        steps=steps,
        guidance=float(part["scale"].iloc[0]),
        batch=len(part),
        progress=False,
    )
    for name, picture in zip(part["file"], drawn, strict=True):
        image = Image.fromarray(picture.numpy())
        with replacing(Path(folder) / name) as partial:
            image.save(partial, format="PNG")


def _listing(prompts: pd.DataFrame, samples: int) -> pd.DataFrame:
    """One row a picture: the prompt's columns, ``k`` and ``file``."""
    table = prompts.loc[prompts.index.repeat(samples)].reset_index(drop=True)
    k = table.groupby("case_number").cumcount()
    return table.assign(k=k, file=table["case_number"].astype(str) + "_" + k.astype(str) + ".png")


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
    record = json.loads((folder / RECORD).read_text())
    table = pd.read_csv(folder / LIST, keep_default_na=False)
    unknown = sorted(set(table["class"]) - set(judges.objects))
    if unknown:
        strange = ", ".join(map(repr, unknown[:3]))
        raise GenerationError(f"the shipped judges know emoji-sd's {len(judges.objects)} names only, not {strange}")
    table = _listing(table, record["samples"])
    files = [folder / name for name in table["file"]]
    absent = sum(not f.is_file() for f in files)
    if absent:
        raise GenerationError(f"{absent} of {len(files)} pictures are missing in {folder}; run scapre generate again")
    images = _read_pictures(files)
    right = judges.verdicts(images)["object"].to_numpy() == table["class"].to_numpy()
    targets = set((record["patch"] or {}).get("targets", ()))
    forgotten = table["class"].isin(targets).to_numpy()
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
