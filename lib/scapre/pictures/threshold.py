"""What of an acceptable quality gives out first: the targets, what was named to keep, or what nobody named."""

from __future__ import annotations

import pandas as pd


def kept_shares(table: pd.DataFrame, base: pd.DataFrame) -> pd.DataFrame:
    """Mean over orders of what is recognised and of what stays, relative to the unedited model.

    Args:
        table: columns ``method, point, n, order, unlearn, preserve, bystander`` in percent.
        base: ``preserve, bystander`` of the unedited model, indexed by ``order``.

    Returns:
        ``method, point, n, targets, named, bystanders``: ``targets`` recognised, the others still right, in
        percent of what the unedited model draws right.

    Raises:
        ValueError: the unedited model was not measured in an order of the table.
    """
    rows = table.reset_index(drop=True)
    missing = sorted(set(rows["order"]) - set(base.index))
    if missing:
        raise ValueError(f"the unedited model was not measured in the orders {missing}")
    whole = base.loc[rows["order"]].reset_index(drop=True)
    shares = rows[["method", "point", "n"]].assign(
        targets=rows["unlearn"],
        named=100 * rows["preserve"] / whole["preserve"],
        bystanders=100 * rows["bystander"] / whole["bystander"],
    )
    return shares.groupby(["method", "point", "n"], sort=False).mean().reset_index()


def first_to_give_out(shares: pd.DataFrame, *, most: float, least: float) -> pd.DataFrame:
    """Say of every row whether it is acceptable, else which share lies furthest beyond its bound.

    Args:
        shares: ``kept_shares``.
        most: share of the targets that may be recognised, percent.
        least: share of the named and of the bystanders that must stay, percent.

    Returns:
        the rows with ``verdict`` (``inside, targets, named`` or ``bystanders``) and ``share``: the one that decided,
        where inside the smaller of the two that stay.

    >>> row = pd.DataFrame({"targets": [3.0], "named": [92.0], "bystanders": [40.0]})
    >>> first_to_give_out(row, most=15, least=80)[["verdict", "share"]].values.tolist()
    [['bystanders', 40.0]]
    """
    sides = ["targets", "named", "bystanders"]
    beyond = pd.DataFrame({"targets": shares["targets"] - most, **{s: least - shares[s] for s in sides[1:]}})
    worst = beyond.idxmax(axis=1)
    inside = beyond.max(axis=1) <= 0
    share = pd.Series([shares.at[i, side] for i, side in worst.items()], index=shares.index)
    stays = shares[sides[1:]].min(axis=1)
    return shares.assign(verdict=worst.mask(inside, "inside"), share=share.mask(inside, stays))
