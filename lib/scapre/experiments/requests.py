"""Targets asked for over time, in one request or in many, by every way to meet them; and one of them taken back."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import product
from typing import Any

import pandas as pd

from scapre.concepts.emoji import STYLES
from scapre.experiments.case import Case, edit, stage
from scapre.experiments.cases import PUBLISHED, scaling_cases
from scapre.patch.patch import Patch
from scapre.pictures.evaluation import plan
from scapre.pictures.judges import Judges

#: what was asked of a concept: to be erased with the others; to be taken back at last
ERASED, BACK = "erased", "taken back"
SAME = 16  # digits said of weights that are equal bit for bit


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


@dataclass(frozen=True, eq=False)
class Agreement(Case):
    """Two ways to what should be one edit, and to how many digits they agree; nothing is drawn.

    Attributes:
        other: the way that this one is held against.
    """

    other: Case | None = None

    @cached_property
    def key(self) -> str:
        """Hash of both edits."""
        assert self.other is not None
        return hashlib.sha256(f"digits of {super().key} and {self.other.key}".encode()).hexdigest()[:16]

    def found(self, pipe: Any, judges: Judges) -> dict[str, float]:
        """``digits``: see the function of that name."""
        assert self.other is not None
        here, there = edit(self, pipe), _kept(self.other)
        assert here is not None
        assert there is not None
        return {"digits": digits(here, there)}


def digits(here: Patch, there: Patch) -> float:
    """−log₁₀ max|W − W'| / max|W' − W₀| over all weights of two edits: digits to which the changes agree.

    ``SAME`` where the weights are equal bit for bit.
    """
    apart = moved = 0.0
    for name, weight in there.edited.items():
        apart = max(apart, float((here.edited[name].double() - weight.double()).abs().max()))
        moved = max(moved, float((weight.double() - there.originals()[name].double()).abs().max()))
    return -math.log10(max(apart / moved, 10.0**-SAME))


@lru_cache(maxsize=1)
def _kept(case: Case) -> Patch | None:
    """The edit that several rows in turn are held against."""
    return edit(case, stage()[0])


def agreement_cases(cases: Sequence[Case]) -> list[Agreement]:
    """Hold every case of ``request_cases`` against the same concepts asked for all at once.

    A case that asks for all at once itself does so in turned order (label ``turned``).
    """
    nothing, found, whole = pd.DataFrame({"prompt": []}), [], dict[tuple[Any, ...], Case]()
    for case in cases:
        about = (case.method, case.options["way"], case.labels["order"])
        other = whole.setdefault(about, replace(case, options=case.options | {"size": len(case.targets)}))
        turned = case.options["size"] == len(case.targets)
        targets, labels = case.targets[::-1] if turned else case.targets, case.labels | {"turned": turned}
        parts = (case.method, targets, nothing, case.retained, case.settings, case.options, labels)
        found.append(Agreement(*parts, other=other))
    return found


def revoke_cases(cases: Sequence[Case], place: int, runs: Sequence[int]) -> list[Case]:
    """Take one target of every case back after the last request; drawn before and after.

    The concept has a side of its own, ``revoked``, in every style; the other targets are drawn as in the case.

    Args:
        cases: of ``request_cases``.
        place: of the concept in each list of targets.
        runs: of the concept's pictures.
    """
    found = []
    for case, state in product(cases, (ERASED, BACK)):
        name = case.targets[place]
        others = case.pictures[(case.pictures["side"] == "unlearn") & (case.pictures["concept"] != name)]
        pictures = pd.concat([plan([name], list(STYLES), runs).assign(side="revoked"), others], ignore_index=True)
        options = case.options | ({"revoked": [name]} if state == BACK else {})
        labels = case.labels | {"concept": name, "state": state}
        found.append(replace(case, pictures=pictures, options=options, labels=labels))
    return found


def never_cases(cases: Sequence[Case]) -> list[Agreement]:
    """Hold every edit of ``revoke_cases`` that took a concept back against the one that was never asked for it."""
    nothing, found = pd.DataFrame({"prompt": []}), []
    for case in cases:
        if revoked := case.options.get("revoked"):
            spared = [name for name in case.targets if name not in revoked]
            plain = {key: value for key, value in case.options.items() if key != "revoked"}
            other = replace(case, targets=spared, options=plain)
            parts = (case.method, case.targets, nothing, case.retained, case.settings, case.options, case.labels)
            found.append(Agreement(*parts, other=other))
    return found
