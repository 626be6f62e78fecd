"""Draw, judge, tabulate: from a pipeline and names to tidy rows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from scapre.embeddings import encode
from scapre.judges import Judges
from scapre.metrics import overall
from scapre.patch import Patch
from scapre.sampling import GUIDANCE, STEPS, sample

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
        ``right_style`` (booleans), ``confidence`` and ``clip`` (score against the prompt).
    """
    verdicts = judges.verdicts(images)
    sentences = encode(pipe, table["prompt"].tolist())
    end = sentences.hidden[torch.arange(len(table)), sentences.last + 1].cpu()
    return table.assign(
        seen=verdicts["object"].to_numpy(),
        seen_style=verdicts["style"].to_numpy(),
        right=verdicts["object"].to_numpy() == table["concept"].to_numpy(),
        right_style=verdicts["style"].to_numpy() == table["style"].to_numpy(),
        confidence=verdicts["confidence"].to_numpy(),
        clip=judges.clip_scores(images, end).numpy(),
    )


def accuracy(table: pd.DataFrame, column: str = "right") -> float:
    """Share of true rows in percent."""
    return 100.0 * float(table[column].mean())


def two_sides(
    targets: Sequence[str], kept: Sequence[str], styles: Sequence[str], seeds: Sequence[int], limit: int | None = None
) -> pd.DataFrame:
    """Plan pictures of targets (side ``unlearn``) and of kept concepts (side ``preserve``).

    Args:
        limit: at most this many pictures a side, spread evenly over concepts and styles.
    """
    parts = []
    for side, names in (("unlearn", targets), ("preserve", kept)):
        table = plan(names, styles, seeds).assign(side=side)
        if limit is not None and len(table) > limit:
            # Each concept keeps a few styles, starting one further for the next concept.
            place = np.arange(len(table))
            turn = (place % len(styles) - place // len(styles)) % len(styles)
            table = table[turn < max(1, limit // (len(names) * len(seeds)))]
            table = table.iloc[np.unique(np.linspace(0, len(table) - 1, limit).round().astype(int))]
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def trial(pipe: Any, judges: Judges, patch: Patch | None, pictures: pd.DataFrame) -> dict[str, float]:
    """Draw and judge two sides under an edit (None: unedited).

    Returns:
        ``unlearn`` and ``preserve`` accuracies in percent, their ``overall``, the
        ``style`` accuracy and the CLIP score ``clip`` of the kept side.
    """
    with patch.applied(pipe) if patch else nullcontext():
        judged = assess(pipe, judges, pictures, draw(pipe, pictures, progress=False))
    forgotten, kept = (judged[judged["side"] == side] for side in ("unlearn", "preserve"))
    unlearn, preserve = accuracy(forgotten), accuracy(kept)
    return {
        "unlearn": unlearn,
        "preserve": preserve,
        "overall": overall(unlearn, preserve),
        "style": accuracy(kept, "right_style"),
        "clip": float(kept["clip"].mean()),
    }
