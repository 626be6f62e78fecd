"""Settings tried on the validation concepts alone: every value of a knob with every value of the others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd

from scapre.concepts.emoji import STYLES
from scapre.concepts.lists import read_concepts
from scapre.experiments.case import Case
from scapre.experiments.cases import PUBLISHED, anchored_at, kept_at, vocabulary
from scapre.pictures.evaluation import plan_sides
from scapre.pictures.metrics import overall

#: what is tried of a peer in a crowd while the encoder's vocabulary is kept, twelve settings as of every method; of
#: EMCID's reading of what is missing the one that the other sweep found better
WORDED: dict[str, dict[str, tuple[float, ...]]] = {
    "emcid-closed": {
        "as_released": (False,),
        "blocks": (2, 11),
        "retain_scale": (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0),
    },
}


def validation_cases(
    grids: Mapping[str, Mapping[str, Sequence[float]]], counts: Sequence[int], orders: Sequence[int], limit: int
) -> list[Case]:
    """Sweep the knobs of every method on the validation concepts alone, every value with every other.

    The label ``settings`` says in JSON what was tried.

    Args:
        grids: method → knob → values.
        counts: numbers of targets.
        orders: seeds of the choice of targets among the validation concepts.
        limit: pictures a side.
    """
    everything, cases = read_concepts("emoji")["name"], []
    for order, n in product(orders, counts):
        mixed = np.random.default_rng(order).permutation(vocabulary()[1]).tolist()
        targets, sides = mixed[:n], {"unlearn": mixed[:n], "preserve": mixed[n:]}
        pictures = plan_sides(sides, list(STYLES), [order], limit)
        kept = [name for name in everything if name not in targets]
        for method, knobs in grids.items():
            for values in product(*knobs.values()):
                settings = dict(zip(knobs, values, strict=True))
                labels = {"method": method, "settings": json.dumps(settings), "n": n, "order": order}
                cases.append(Case(method, targets, pictures, kept, settings, labels=labels))
    return cases


def crowd_cases(
    grids: Mapping[str, Mapping[str, Sequence[float]]],
    counts: Sequence[int],
    orders: Sequence[int],
    limit: int,
    point: str = PUBLISHED,
) -> list[Case]:
    """Sweep the knobs at more targets than there are validation concepts; only validation concepts are drawn.

    Half of the validation concepts are among the targets, a quarter is named to keep and a quarter is left
    unnamed; the other targets come from the rest and are not looked at. The label ``settings`` is JSON; of ``point``
    only what is kept and replaces targets counts (``cases.kept_at``, ``anchored_at``).
    """
    everything, cases = read_concepts("emoji")["name"].tolist(), []
    names, validation = vocabulary()
    half, quarter = len(validation) // 2, len(validation) // 4
    for order, n in product(orders, counts):
        chance = np.random.default_rng(1000 + order)  # not the orders of the experiments
        mixed, others = chance.permutation(validation).tolist(), chance.permutation(names).tolist()
        drawn, unnamed = mixed[: min(half, n)], mixed[half + quarter :]
        targets = drawn + others[: n - len(drawn)]
        sides = {"unlearn": drawn, "preserve": mixed[half : half + quarter], "bystander": unnamed}
        pictures = plan_sides(sides, list(STYLES), [order], limit)
        concepts = [name for name in everything if name not in {*targets, *unnamed}]
        kept = kept_at(point, targets, concepts)
        for method, knobs in grids.items():
            options = anchored_at(method, point, concepts)
            for values in product(*knobs.values()):
                settings = dict(zip(knobs, values, strict=True))
                labels = {"method": method, "settings": json.dumps(settings), "n": n, "order": order}
                cases.append(Case(method, targets, pictures, kept, settings, options, labels))
    return cases


def crowd_score(table: pd.DataFrame) -> pd.DataFrame:
    """Overall of a crowd's cases, what is kept being the weaker of the named and the unnamed; means over orders.

    Args:
        table: of ``run_sweep`` over ``crowd_cases``.

    Returns:
        columns ``method, settings, n, unlearn, preserve, bystander, overall``.
    """
    kept = table[["preserve", "bystander"]].min(axis=1)
    scored = table.assign(overall=[overall(a, p) for a, p in zip(table["unlearn"], kept, strict=True)])
    sides = ["unlearn", "preserve", "bystander", "overall"]
    return scored.groupby(["method", "settings", "n"], sort=False)[sides].mean().reset_index()


def finalist_cases(
    scored: pd.DataFrame, counts: Sequence[int], orders: Sequence[int], limit: int, point: str = PUBLISHED
) -> list[Case]:
    """Ask the settings of some rows of ``crowd_score`` again, at other counts."""
    cases = []
    for method, settings in zip(scored["method"], scored["settings"], strict=True):
        values = {knob: (value,) for knob, value in json.loads(settings).items()}
        cases += crowd_cases({method: values}, counts, orders, limit, point)
    return cases
