from __future__ import annotations

import pandas as pd
import pytest
from scapre.pictures.metrics import reach
from scapre.pictures.threshold import first_to_give_out, kept_shares

BASE = pd.DataFrame({"preserve": [100.0, 80.0], "bystander": [100.0, 50.0]}, index=[0, 1])


def rows(*values: tuple[int, int, float, float, float]) -> pd.DataFrame:
    table = pd.DataFrame(values, columns=["n", "order", "unlearn", "preserve", "bystander"])
    return table.assign(method="a", point="published")


def test_shares_are_relative_to_the_unedited_model_of_the_same_order() -> None:
    shares = kept_shares(rows((10, 0, 4, 90, 70), (10, 1, 6, 80, 50)), BASE)
    assert shares[["targets", "named", "bystanders"]].values.tolist() == [[5, 95, 85]]


@pytest.mark.parametrize(
    ("unlearn", "preserve", "bystander", "verdict", "share"),
    [
        (15, 80, 80, "inside", 80),
        (16, 80, 80, "targets", 16),
        (15, 79, 95, "named", 79),
        (40, 79, 10, "bystanders", 10),
        (90, 79, 10, "targets", 90),
    ],
)
def test_what_lies_furthest_beyond_its_bound(
    unlearn: float, preserve: float, bystander: float, verdict: str, share: float
) -> None:
    table = rows((10, 0, unlearn, preserve, bystander))
    found = first_to_give_out(kept_shares(table, BASE), most=15, least=80).iloc[0]
    assert (found["verdict"], found["share"]) == (verdict, share)
    carried = reach(table, BASE, most=15, least=80)["largest"].item()
    assert (verdict == "inside") == (carried == 10)


def test_an_order_without_the_unedited_model_is_named() -> None:
    with pytest.raises(ValueError, match=r"not measured in the orders \[7\]"):
        kept_shares(rows((10, 7, 0, 0, 0)), BASE)
