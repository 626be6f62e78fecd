"""Draw, judge, tabulate: from a pipeline and names to tidy rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from scapre.concepts.emoji import load_emoji
from scapre.model.places import GUIDANCE, STEPS
from scapre.model.sampling import sample
from scapre.patch.patch import Patch
from scapre.pictures.judges import Judges
from scapre.pictures.metrics import frechet_distance, overall
from scapre.text.embeddings import causal, encode

PROMPT = "a picture of a {concept} in {style} style"


def plan(concepts: Sequence[str], styles: Sequence[str], seeds: Sequence[int], prompt: str = PROMPT) -> pd.DataFrame:
    """List pictures to draw: every concept in every style for every seed of a run.

    Returns:
        columns ``concept, style, seed, prompt``; ``seed`` differs for every picture of a run.
    """
    rows = [
        (c, s, 100_000 * run + 97 * i + j, prompt.format(concept=c, style=s))
        for run in seeds
        for i, c in enumerate(concepts)
        for j, s in enumerate(styles)
    ]
    return pd.DataFrame(rows, columns=["concept", "style", "seed", "prompt"])


def draw(
    pipe: Any, table: pd.DataFrame, *, steps: int = STEPS, guidance: float = GUIDANCE, progress: bool = True
) -> Tensor:
    """Draw the pictures of a plan, uint8 ``(N, H, W, 3)``."""
    return sample(
        pipe,
        table["prompt"].tolist(),
        table["seed"].tolist(),
        steps=steps,
        guidance=guidance,
        progress=progress,
    )


def assess(pipe: Any, judges: Judges, table: pd.DataFrame, images: Tensor) -> pd.DataFrame:
    """Judge pictures of a plan.

    Returns:
        the plan with ``seen`` and ``seen_style`` (the judge's words), ``right`` and
        ``right_style`` (booleans), ``confidence`` and ``clip`` (score against the prompt; NaN where the text encoder
        is none of CLIP's, whose features the captioner does not read).
    """
    verdicts = judges.verdicts(images)
    clip = np.full(len(table), np.nan)
    if causal(pipe):
        sentences = encode(pipe, table["prompt"].tolist())
        clip = judges.clip_scores(images, sentences.hidden[torch.arange(len(table)), sentences.last + 1].cpu()).numpy()
    return table.assign(
        seen=verdicts["object"].to_numpy(),
        seen_style=verdicts["style"].to_numpy(),
        right=verdicts["object"].to_numpy() == table["concept"].to_numpy(),
        right_style=verdicts["style"].to_numpy() == table["style"].to_numpy(),
        confidence=verdicts["confidence"].to_numpy(),
        clip=clip,
    )


def accuracy(table: pd.DataFrame, column: str = "right") -> float:
    """Share of true rows in percent."""
    return 100.0 * float(table[column].mean())


def thin(table: pd.DataFrame, limit: int) -> pd.DataFrame:
    """Keep at most ``limit`` pictures of a plan, spread evenly over its concepts and styles."""
    if len(table) <= limit:
        return table
    styles = table["style"].nunique()
    # Each concept keeps a few styles, starting one further for the next concept.
    place = np.arange(len(table))
    turn = (place % styles - place // styles) % styles
    table = table[turn < max(1, limit * styles // len(table))]
    return table.iloc[np.unique(np.linspace(0, len(table) - 1, limit).round().astype(int))]


def plan_sides(
    sides: Mapping[str, Sequence[str]], styles: Sequence[str], seeds: Sequence[int], limit: int | None = None
) -> pd.DataFrame:
    """Plan pictures of several groups of concepts; the column ``side`` names the group.

    Args:
        sides: group → concepts. Groups whose name begins with ``unlearn`` are targets, all others are to stay.
        limit: at most this many pictures a side, spread evenly over concepts and styles.
    """
    plans = {side: plan(names, styles, seeds) for side, names in sides.items()}
    parts = [thin(table, limit or len(table)).assign(side=side) for side, table in plans.items()]
    return pd.concat(parts, ignore_index=True)


@lru_cache(maxsize=1)
def real_features(judges: Judges) -> Tensor:
    """Judge features of all real emoji, the reference of FID."""
    return judges.features(torch.from_numpy(load_emoji(32)[0]))


def trial(pipe: Any, judges: Judges, patch: Patch | None, pictures: pd.DataFrame) -> dict[str, float]:
    """Draw and judge the sides of a plan under an edit (None: unedited).

    Returns:
        for every side its object accuracy (under the side's name) and style accuracy
        (``<side>_style``) in percent; ``overall`` of the sides unlearn and preserve where
        both exist; over all sides that are to stay the CLIP score ``clip`` and the FID ``fid``
        to the real emoji (few pictures bias it upwards, equally for every edit).
    """
    with patch.applied(pipe) if patch else nullcontext():
        images = draw(pipe, pictures, progress=False)
    judged = assess(pipe, judges, pictures, images)
    found: dict[str, float] = {}
    for side, part in judged.groupby("side", sort=False):
        found |= {str(side): accuracy(part), f"{side}_style": accuracy(part, "right_style")}
    if {"unlearn", "preserve"} <= set(found):
        found["overall"] = overall(found["unlearn"], found["preserve"])
    stays = ~judged["side"].str.startswith("unlearn").to_numpy()
    if stays.sum() > 1:
        found["clip"] = float(judged["clip"][stays].mean())
        found["fid"] = frechet_distance(real_features(judges), judges.features(images[torch.from_numpy(stays)]))
    return found
