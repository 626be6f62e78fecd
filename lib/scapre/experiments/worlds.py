"""The same erasing in two worlds: emoji-sd's UNet behind a causal encoder, emoji-dit's transformer behind MiniLM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from scapre.experiments.case import Case
from scapre.experiments.cases import scaling_cases
from scapre.model.places import DIT
from scapre.paths import data_folder

UNET, TRANSFORMER = "emoji-sd", "emoji-dit"
#: (method, operating point); settings found best were found on emoji-sd's validation concepts
Arms = Sequence[Sequence[str]]


def transformer_cases(arms: Arms, counts: Sequence[int], orders: Sequence[int], limit: int) -> list[Case]:
    """Erase in emoji-dit what notebook 10 erases in emoji-sd: the same targets, kept concepts, seeds and settings."""
    return [
        replace(case, model=DIT, labels={"world": TRANSFORMER, **case.labels})
        for method, point in arms
        for case in scaling_cases([method], counts, orders, limit, point)
    ]


def unet_rows(arms: Arms, counts: Sequence[int], orders: Sequence[int]) -> pd.DataFrame:
    """Read the same cases of emoji-sd from what notebook 10 published.

    Raises:
        FileNotFoundError: it published nothing.
    """
    path = data_folder() / "results" / "10_scaling_curves" / "scaling.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is missing; run `scapre run 10 --profile full` first")
    table = pd.read_csv(path)
    wanted = pd.MultiIndex.from_tuples([tuple(arm) for arm in arms])
    chosen = pd.MultiIndex.from_frame(table[["method", "point"]]).isin(wanted)
    return table[chosen & table["n"].isin(counts) & table["order"].isin(orders)].assign(world=UNET)
