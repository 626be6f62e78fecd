"""The same erasing in two worlds: emoji-sd's UNet behind a causal encoder, emoji-dit's transformer behind MiniLM."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd

from scapre.concepts.emoji import STYLES
from scapre.experiments.case import Case
from scapre.experiments.cases import scaling_cases, vocabulary
from scapre.experiments.tries import validation_cases
from scapre.methods.closed.names import CLOSED
from scapre.model.backbones import load_pipeline
from scapre.model.places import DIT
from scapre.paths import data_folder
from scapre.pictures.evaluation import plan_sides
from scapre.pictures.metrics import overall

UNET, TRANSFORMER = "emoji-sd", "emoji-dit"
#: the best of a sweep on emoji-dit's own validation concepts, where the other points were found on emoji-sd's
HERE = "validated here"
#: (method, operating point)
Arms = Sequence[Sequence[str]]
ONE, SEVERAL = "unlearn_one", "unlearn_several"


def transformer_tries(methods: Sequence[str], counts: Sequence[int], orders: Sequence[int], limit: int) -> list[Case]:
    """Sweep in emoji-dit what notebook 09 sweeps in emoji-sd: the same knobs, values, concepts and seeds."""
    return moved(validation_cases({name: CLOSED[name].grids for name in methods}, counts, orders, limit))


def best_tries(table: pd.DataFrame) -> pd.DataFrame:
    """Of each method the settings of largest Overall, of the means over orders.

    Of equal ones, which pictures do not tell apart, the one that moves the answers of what is kept least.

    Args:
        table: ``run_sweep`` of ``transformer_tries``.

    Returns:
        columns ``method, settings, unlearn, preserve, retained_drift, overall``.
    """
    sides = ["unlearn", "preserve", "retained_drift"]
    mean = table.groupby(["method", "settings"], sort=False)[sides].mean().reset_index()
    mean["overall"] = [overall(a, p) for a, p in zip(mean["unlearn"], mean["preserve"], strict=True)]
    ranked = mean.round(4).sort_values(["overall", "retained_drift"], ascending=[False, True], kind="stable")
    first = ranked.drop_duplicates("method").set_index("method")
    return first.loc[mean["method"].unique()].reset_index()


def transformer_cases(
    arms: Arms, counts: Sequence[int], orders: Sequence[int], limit: int, best: Mapping[str, str] | None = None
) -> list[Case]:
    """Erase in emoji-dit what notebook 10 erases in emoji-sd: the same targets, kept concepts, seeds and settings.

    Args:
        best: method → settings in JSON of the point ``HERE``.
    """
    cases: list[Case] = []
    for method, point in arms:
        if point == HERE:
            cases += moved(scaling_cases([method], counts, orders, limit), {method: (best or {})[method]})
        else:
            cases += moved(scaling_cases([method], counts, orders, limit, point))
    return cases


def piece_cases(arms: Arms, n: int, orders: Sequence[int], limit: int, best: Mapping[str, str]) -> list[Case]:
    """The same edits; drawn are targets whose names MiniLM reads as one token, and those it reads as several."""
    reads, cases = load_pipeline(DIT).tokenizer, []
    for (method, point), order in product(arms, orders):
        targets = np.random.default_rng(order).permutation(vocabulary()[0]).tolist()[:n]
        tokens = [len(reads(name, add_special_tokens=False).input_ids) for name in targets]
        sides = {
            ONE: [name for name, count in zip(targets, tokens, strict=True) if count == 1],
            SEVERAL: [name for name, count in zip(targets, tokens, strict=True) if count > 1],
        }
        pictures = plan_sides(sides, list(STYLES), [order], limit)
        for case in transformer_cases([(method, point)], [n], [order], limit, best):
            cases.append(replace(case, pictures=pictures))
    return cases


def moved(cases: Iterable[Case], best: Mapping[str, str] | None = None) -> list[Case]:
    """Ask emoji-dit what emoji-sd was asked.

    Args:
        best: method → settings in JSON of the point ``HERE``; a method that is not in it keeps those it has.
    """
    there = []
    for case in cases:
        labels = {"world": TRANSFORMER, **case.labels}
        if best and case.method in best:
            settings = json.loads(best[case.method])
            there.append(replace(case, model=DIT, settings=settings, labels=labels | {"point": HERE}))
        else:
            there.append(replace(case, model=DIT, labels=labels))
    return there


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
