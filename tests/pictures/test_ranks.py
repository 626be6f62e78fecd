"""Orders of methods in two tables, against counting pairs by hand."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest
from scapre.pictures.ranks import rank_agreement

NAMES = list("abcde")


def by_hand(first: np.ndarray, second: np.ndarray) -> float:
    signs = [np.sign((first[i] - first[j]) * (second[i] - second[j])) for i, j in combinations(range(len(first)), 2)]
    return float(sum(signs) / len(signs))


def test_tau_is_that_of_counted_pairs_and_chance_that_of_all_orders() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        printed, ours = generator.permutation(5).astype(float), generator.permutation(5).astype(float)
        found = rank_agreement(pd.Series(printed, NAMES), pd.DataFrame([ours], columns=NAMES))
        assert found["tau"] == pytest.approx(by_hand(printed, ours))
        assert found["low"] == pytest.approx(found["tau"]) == found["high"]  # one run: nothing varies
        every = [abs(by_hand(np.arange(5.0), np.array(order))) for order in permutations(range(5))]
        assert found["chance"] == pytest.approx(np.mean(np.array(every) >= abs(found["tau"]) - 1e-9))


def test_methods_of_one_side_are_left_out_and_one_in_common_is_refused() -> None:
    printed = pd.Series({"a": 1.0, "z": 0.0, "b": 2.0})
    assert rank_agreement(printed, pd.DataFrame([{"b": 3.0, "a": 1.0, "c": 9.0}]))["methods"] == 2
    with pytest.raises(ValueError, match="two methods that both tables have"):
        rank_agreement(printed, pd.DataFrame([{"a": 1.0}]))


def test_the_interval_covers_what_our_runs_leave_open() -> None:
    runs = pd.DataFrame({"a": [0.0, 0.0, 0.0], "b": [1.0, 3.0, 1.0], "c": [2.0, 2.0, 2.5]})
    found = rank_agreement(pd.Series({"a": 0.0, "b": 1.0, "c": 2.0}), runs, seed=1)
    assert found["low"] < found["tau"] == 1 == found["high"]
    ties = rank_agreement(pd.Series({"a": 0.0, "b": 0.0, "c": 2.0}), runs)
    assert ties["agreeing"] == 2
    assert ties["pairs"] == 3
