"""Settings of ``staged`` against learned words, on the validation concepts alone: what they win, what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import cycle, product
from typing import Any

import pandas as pd

from scapre.experiments.case import Case
from scapre.experiments.stress.matrix import CELL, Attack
from scapre.experiments.tries import crowd_cases

METHOD = "staged"


def cost_cases(
    variants: Mapping[str, Mapping[str, Any]], n: int, orders: Sequence[int], limit: int, method: str = METHOD
) -> list[Case]:
    """``n`` validation concepts forgotten at other settings, and what is drawn of them, of named and of bystanders.

    Args:
        variants: name → settings that differ from the method's own.
        n: targets; up to half of the validation concepts, so that all are of them.
        orders: seeds of the choice of targets and of who stays.
        limit: pictures a side.
    """
    plain = crowd_cases({method: {}}, [n], orders, limit)
    told = [(case, name) for case, name in product(plain, variants)]
    return [
        replace(case, settings=dict(variants[name]), labels={"variant": name, "order": case.labels["order"]})
        for case, name in told
    ]


def gain_cases(cases: Sequence[Case], probes: Sequence[str], asked: int, seeds: Sequence[int]) -> list[Attack]:
    """Probes of the first targets of every edit of ``cost_cases``.

    Args:
        probes: names of ``probes.PROBES``.
        asked: targets that are probed; each has one of ``seeds``, in turn.
    """
    nothing, found = pd.DataFrame({"prompt": []}), []
    for case in cases:
        pairs = zip(case.targets[:asked], cycle(seeds), strict=False)
        for (concept, seed), probe in product(pairs, probes):
            labels = case.labels | {"target": concept, "probe": probe, "seed": seed}
            about: dict[str, Any] = {"probe": probe, "concept": concept, "budget": CELL, "seed": seed}
            found.append(Attack(case.method, case.targets, nothing, case.retained, case.settings, {}, labels, **about))
    return found
