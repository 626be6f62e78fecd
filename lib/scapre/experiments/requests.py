"""Targets asked for over time: the same concepts in one request or in many, by every way to meet them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

from scapre.experiments.case import Case
from scapre.experiments.cases import PUBLISHED, scaling_cases


def request_cases(
    ways: Mapping[str, Sequence[str]],
    n: int,
    sizes: Sequence[int],
    orders: Sequence[int],
    limit: int,
    point: str = PUBLISHED,
) -> list[Case]:
    """Take the ``n`` targets of the scaling curves and ask for them ``size`` at a time.

    Args:
        ways: method → ways to meet its requests (``editing.sequence.WAYS``).
        n: targets.
        sizes: targets a request; ``n`` is all at once.
        orders: seeds of the choice of targets and of their order.
        limit: pictures a side.
        point: operating point of every method.
    """
    cases = []
    for case, size in product(scaling_cases(list(ways), [n], orders, limit, point), sizes):
        for way in ways[case.method]:
            labels = case.labels | {"size": size, "way": way}
            cases.append(replace(case, options=case.options | {"size": size, "way": way}, labels=labels))
    return cases
