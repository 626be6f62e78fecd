"""Erasers that train, as cases: what is tried of each on the validation concepts, each at its best on the stage."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from scapre.experiments.case import UNEDITED, Case
from scapre.experiments.cases import GALLERY_STYLE, HELD, scaling_cases, vocabulary
from scapre.experiments.tries import validation_cases
from scapre.paths import data_folder
from scapre.pictures.evaluation import plan_sides

#: operating points: the weights that the method's paper trains; the keys and values that closed forms edit; of
#: Forget-Me-Not, which attends here to the concept's tokens, the end tokens that its code adds; of the restricted
#: gradient, which is released with Adam, the plain steps that its theorem is about; of SPM, whose ρ as published lets
#: nothing be forgotten in few steps, a hundredth of it
OWN, KV, ENDS, PLAIN, LIGHT = "own weights", "keys and values", "end tokens too", "plain steps", "a hundredth of ρ"
DIFFER: dict[str, dict[str, Any]] = {
    OWN: {},
    KV: {"trained": "kv"},
    ENDS: {"use_pooler": True},
    PLAIN: {"rule": "gradient"},
    LIGHT: {"retain_scale": 10.0},
}
#: of plain steps; at 0.1 the loss is no number after ten steps
PLAIN_RATES = (0.03,)
#: the notebook that chooses the settings
BOOK = "08_trained_erasers"

_DRAWN = {"pictures": 4, "drawing_steps": 8}
_WALKED = {"batch": 4, "drawing_steps": 20, "reuse": 10}
#: method → what all its tries have in common: the budget of two cores, not the paper's
FIXED: dict[str, dict[str, Any]] = {
    "forget-me-not": _DRAWN | {"use_pooler": False},
    "sculpting-memory": _DRAWN | {"epochs": 5, "renew_every": 5},
    "surgun": _DRAWN | {"batch": 4},
    "restricted-gradient": _DRAWN | {"batch": 4, "rule": "adam"},
    "esd": _WALKED,
    "concept-ablation": _DRAWN | {"batch": 4},
    "spm": _WALKED | {"batch": 1},
    "mace": _DRAWN,
    "salun": _DRAWN | {"batch": 4},
}
#: method → learning rates, and steps (of each target where targets come one after another): six tries
TRIES: dict[str, tuple[tuple[float, ...], tuple[int, ...]]] = {
    "forget-me-not": ((3e-5, 1e-4), (35, 60, 100)),
    "sculpting-memory": ((1e-4, 3e-4, 1e-3), (10, 20)),
    "surgun": ((1e-4, 3e-4, 1e-3), (30, 100)),
    "restricted-gradient": ((3e-5, 1e-4, 3e-4), (30, 100)),
    "esd": ((1e-4, 3e-4, 1e-3), (30, 100)),
    "concept-ablation": ((1e-4, 3e-4, 1e-3), (30, 100)),
    "spm": ((3e-3, 1e-2, 3e-2), (10, 20)),  # at 1e-3 every target is recognised after 20
    "mace": ((1e-3, 3e-3, 1e-2), (10, 30)),
    "salun": ((1e-4, 3e-4, 1e-3), (10, 20)),
}
#: method → of what it draws pictures
READS: dict[str, tuple[str, ...]] = {
    "forget-me-not": ("targets",),
    "sculpting-memory": ("targets", "anchors"),
    "surgun": ("targets", "retained"),
    "restricted-gradient": ("targets", "retained"),
    "concept-ablation": ("anchors",),
    "mace": ("targets",),
    "salun": ("targets", "retained"),
}


def tries(
    methods: Sequence[str], counts: Sequence[int], orders: Sequence[int], limit: int, point: str = OWN
) -> list[Case]:
    """Learning rate × steps of each method on the validation concepts; ``KV``: its two largest rates at its most steps;
    ``LIGHT``: these at its fewest.

    Args:
        methods: of ``TRIES``.
        counts, orders, limit: see ``tries.validation_cases``.
        point: of ``DIFFER``.
    """
    grids = {}
    for method in methods:
        rates, steps = TRIES[method]
        knobs = {"learning_rate": rates, "steps": steps}
        if point in (KV, LIGHT):
            knobs = {"learning_rate": rates[-2:], "steps": steps[-1:] if point == KV else steps[:1]}
        if point == PLAIN:
            knobs["learning_rate"] = PLAIN_RATES
        grids[method] = knobs | {name: (value,) for name, value in (FIXED[method] | DIFFER[point]).items()}
    cases = validation_cases(grids, counts, orders, limit)
    return [replace(case, labels=case.labels | {"point": point}) for case in cases]


def chosen(method: str, point: str = OWN) -> dict[str, Any]:
    """Settings of a method's best try.

    Raises:
        FileNotFoundError: the tries have not been made.
        ValueError: the method was not tried at this point.
    """
    path = data_folder() / "results" / BOOK / "best.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} of {BOOK} is missing; run `scapre run 08 --profile full` first")
    best = pd.read_csv(path).set_index(["method", "point"])["settings"]
    if (method, point) not in best:
        raise ValueError(f"{method} was not tried with {point}; it is known for {', '.join(map(str, best.index))}")
    return json.loads(best[method, point])


def stage(
    methods: Sequence[str], counts: Sequence[int], orders: Sequence[int], limit: int, point: str = OWN
) -> list[Case]:
    """The cases of the scaling curves (``cases.scaling_cases``), each method at its best try."""
    return [
        replace(case, settings=chosen(case.method, point), labels=case.labels | {"point": point})
        for case in scaling_cases(methods, counts, orders, limit)
    ]


def strips(methods: Sequence[str], n: int, order: int, parts: Sequence[float], point: str = OWN) -> list[Case]:
    """The stage's case of ``n`` targets after parts of its steps: one target, one named and one bystander are drawn.

    The first case is the unedited model; the label ``steps`` counts.
    """
    mixed = np.random.default_rng(order).permutation(vocabulary()[0]).tolist()
    sides = {"unlearn": mixed[:1], "preserve": [mixed[-2 * HELD]], "bystander": mixed[-HELD:][:1]}
    pictures = plan_sides(sides, [GALLERY_STYLE], [order])
    cases = [Case(UNEDITED, mixed[:n], pictures, labels={"steps": 0})]
    for case in stage(methods, [n], [order], 1, point):
        for steps in (round(part * case.settings["steps"]) for part in parts):
            settings = case.settings | {"steps": steps}
            cases.append(replace(case, pictures=pictures, settings=settings, labels={"steps": steps}))
    return cases


def needed(case: Case) -> int:
    """Pictures that the frozen model draws before a method's first step; none where it trains on its own walks."""
    each = {"targets": len(case.targets), "anchors": len(case.targets), "retained": len(case.retained)}
    return sum(each[side] for side in READS.get(case.method, ())) * int(case.settings.get("pictures", 0))
