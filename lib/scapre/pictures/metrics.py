"""Numbers the field reports: accuracies, Overall, UQ, FID, and their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import binomtest, bootstrap, t
from torch import Tensor, nn

Column = Mapping[str, float] | Sequence[float] | NDArray[np.floating]


def frontier(table: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows that no other of the same method and count beats, from the least of the targets on.

    Args:
        table: columns ``method, n, unlearn, preserve``, and any others.
    """
    ordered = table.sort_values(["unlearn", "preserve"], ascending=[True, False], kind="stable")
    before = ordered.groupby(["method", "n"])["preserve"].transform(lambda kept: kept.cummax().shift(fill_value=-1))
    return ordered[ordered["preserve"] > before]


def overall(unlearn: float, preserve: float) -> float:
    """Harmonic mean of forgetting and keeping: 2(100 − A)P / ((100 − A) + P).

    Args:
        unlearn: A, accuracy on targets in percent (lower is better).
        preserve: P, accuracy on kept concepts in percent.

    Raises:
        ValueError: a number is outside [0, 100].

    >>> round(overall(5.8, 76.3), 1)
    84.3
    """
    for name, value in (("unlearn", unlearn), ("preserve", preserve)):
        if not 0 <= value <= 100:
            raise ValueError(f"{name} must be a percentage, got {value}")
    forgotten = 100 - unlearn
    return 0.0 if forgotten + preserve == 0 else 2 * forgotten * preserve / (forgotten + preserve)


def unlearning_quality(accuracies: Column, clip_scores: Column) -> pd.Series | NDArray[np.float64]:
    """UQ of every method of one table, the unedited model among them (paper section 4).

        Ã = sigmoid((mean A − A) / std A),  C̃ = sigmoid((C − mean C) / std C),
        UQ = 100 · 2ÃC̃ / (Ã + C̃)

    with the population standard deviation. UQ depends on which methods stand in the
    table: always show A and C beside it.

    Args:
        accuracies: A of each method in percent, as a sequence or {method: A}.
        clip_scores: C of each method, in the same order or with the same names.

    Returns:
        UQ: an array for sequences, a Series for mappings.

    Raises:
        ValueError: fewer than two methods, methods that differ, or no spread to standardise by.
    """
    names: list[str] | None = None
    columns: list[Any] = [accuracies, clip_scores]
    if isinstance(accuracies, Mapping) or isinstance(clip_scores, Mapping):
        if not (isinstance(accuracies, Mapping) and isinstance(clip_scores, Mapping)):
            raise ValueError("give both columns as mappings or both as sequences")
        if set(accuracies) != set(clip_scores):
            raise ValueError(f"the columns name different methods: {sorted(set(accuracies) ^ set(clip_scores))}")
        names = list(accuracies)
        columns = [[column[n] for n in names] for column in (accuracies, clip_scores)]
    a, c = (np.asarray(column, dtype=float) for column in columns)
    if a.shape != c.shape or a.ndim != 1 or len(a) < 2:
        raise ValueError(f"UQ compares at least two methods with one A and one C each, got {a.shape} and {c.shape}")
    if not (np.isfinite(a).all() and np.isfinite(c).all()):
        raise ValueError("UQ needs finite accuracies and CLIP scores")
    if a.std() == 0 or c.std() == 0:
        raise ValueError("all methods have the same accuracy or the same CLIP score, so UQ is undefined")
    forget, keep = expit((a.mean() - a) / a.std()), expit((c - c.mean()) / c.std())
    quality = 200 * forget * keep / (forget + keep)
    return quality if names is None else pd.Series(quality, index=names, name="UQ")


class _Passed(nn.Identity):
    """Hand torchmetrics' FID features that are computed already."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width


def frechet_distance(real: Tensor, drawn: Tensor) -> float:
    """FID between two sets of judge features ``(N, f)`` (torchmetrics' FID over our features).

    Raises:
        ValueError: fewer than two pictures on a side.
    """
    if min(len(real), len(drawn)) < 2:
        raise ValueError("FID needs at least two pictures on each side")
    from torchmetrics.image.fid import FrechetInceptionDistance  # takes seconds, and no other number needs it

    metric = FrechetInceptionDistance(feature=_Passed(real.shape[1])).set_dtype(torch.float64)
    metric.update(real, real=True)
    metric.update(drawn, real=False)
    return float(metric.compute())


def mean_discrepancy(real: Tensor, drawn: Tensor, width: float = 10.0) -> float:
    """CMMD between two sets of unit CLIP features ``(N, f)``: 1000 times the squared mean discrepancy (MMD).

        1000 (E k(x, x') + E k(y, y') − 2 E k(x, y)),  k(a, b) = exp(−‖a − b‖² / 2σ²)

    Source: Jayasumana et al., Rethinking FID (CVPR 2024), σ = 10; every pair counts, a picture with itself too.
    """

    def mean_of(first: Tensor, second: Tensor) -> float:
        rows = [torch.exp(torch.cdist(part, second).square() / (-2 * width**2)).sum() for part in first.split(1024)]
        return float(torch.stack(rows).sum()) / (len(first) * len(second))

    x, y = real.double(), drawn.double()
    return 1000 * (mean_of(x, x) + mean_of(y, y) - 2 * mean_of(x, y))


def interval(
    values: Sequence[float] | pd.Series | NDArray[np.floating], level: float = 0.95
) -> tuple[float, float, float]:
    """Mean and Student confidence interval over independent runs or pictures; one value has no interval."""
    data = np.asarray(values, dtype=float)
    half = t.ppf(0.5 + level / 2, len(data) - 1) * data.std(ddof=1) / np.sqrt(len(data)) if len(data) > 1 else np.nan
    return float(data.mean()), float(data.mean() - half), float(data.mean() + half)


def proportion(right: float, total: int) -> tuple[float, float, float]:
    """Share in percent with its 95 % Wilson interval."""
    bounds = binomtest(int(right), int(total)).proportion_ci(method="wilson")
    return 100 * right / total, 100 * bounds.low, 100 * bounds.high


def summarise(table: pd.DataFrame, within: Sequence[str], measures: Sequence[str]) -> pd.DataFrame:
    """Reduce repeated rows to means and 95 % intervals.

    Args:
        table: tidy, one row a run.
        within: columns that say what was repeated.
        measures: columns to reduce.

    Returns:
        one row a group and measure: ``within``, ``measure, mean, low, high, runs``.
    """
    rows = []
    for place, part in table.groupby(list(within), sort=False):
        for name in measures:
            values = part[name].dropna()
            if len(values):
                rows.append((*place, name, *interval(values), len(values)))
    return pd.DataFrame(rows, columns=[*within, "measure", "mean", "low", "high", "runs"])


def with_quality(table: pd.DataFrame, within: Sequence[str]) -> pd.DataFrame:
    """Add the column ``UQ`` to a tidy table of methods, group by group.

    Args:
        table: columns ``method, unlearn, clip``; every group has the row ``unedited``.
        within: columns that make a group; A and C of a method are its means in the group.
    """
    columns = list(within)
    means = table.groupby([*columns, "method"], sort=False)[["unlearn", "clip"]].mean().reset_index()
    parts = []
    for _, group in means.groupby(columns, sort=False):
        quality = unlearning_quality(group["unlearn"].to_list(), group["clip"].to_list())
        parts.append(group[[*columns, "method"]].assign(UQ=quality))
    return table.merge(pd.concat(parts, ignore_index=True), on=[*columns, "method"])


def largest_within(table: pd.DataFrame, passes: pd.Series, within: Sequence[str]) -> pd.DataFrame:
    """Find, for every group, the largest ``n`` up to which all counts pass.

    Args:
        table: tidy, with a column ``n``.
        passes: whether a row is of acceptable quality, aligned with ``table``.
        within: columns that make a group.

    Returns:
        the columns of ``within`` and ``largest``; 0 where already the smallest count fails.

    >>> curve = pd.DataFrame({"method": "a", "n": [1, 5, 10, 50]})
    >>> largest_within(curve, pd.Series([True, True, False, True]), ["method"])["largest"].item()
    5
    """
    rows = table[[*within, "n"]].assign(passes=passes).sort_values("n")
    going = rows["passes"].groupby([rows[c] for c in within]).cummin()
    rows["largest"] = rows["n"].where(going, 0)
    return rows.groupby(list(within), sort=False)["largest"].max().reset_index()


def bootstrap_mean(values: Sequence[float] | pd.Series, seed: int = 0) -> tuple[float, float, float]:
    """Mean and 95 % percentile bootstrap interval over independent runs, 9,999 draws; one value has no interval."""
    data = np.asarray(values, dtype=float)
    mean = float(data.mean())
    if len(data) < 2 or data.std() == 0:
        same = mean if len(data) > 1 else float("nan")
        return mean, same, same
    found = bootstrap((data,), np.mean, method="percentile", rng=np.random.default_rng(seed)).confidence_interval
    return mean, float(found.low), float(found.high)


def bootstrap_ratio(
    ours: Sequence[float] | pd.Series, theirs: Sequence[float] | pd.Series, seed: int = 0
) -> tuple[float, float, float]:
    """Ratio of two means over the same runs and its 95 % bootstrap interval; runs are drawn in pairs.

    >>> bootstrap_ratio([20.0, 40.0], [10.0, 20.0])
    (2.0, 2.0, 2.0)
    """
    pairs = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    drawn = np.random.default_rng(seed).integers(len(pairs[0]), size=(9999, len(pairs[0])))
    above, below = (values[drawn].mean(axis=1) for values in pairs)
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = np.nanpercentile(above / below, [2.5, 97.5])
        return float(pairs[0].mean() / pairs[1].mean()), float(low), float(high)


def reach(table: pd.DataFrame, base: pd.DataFrame, *, most: float, least: float) -> pd.DataFrame:
    """Largest number of concepts within a quality, for every method, point and order.

    Acceptable: at most ``most`` % of the targets recognised, and of what the unedited model draws right at least
    ``least`` % still right among the named *and* among the bystanders, for a count and every smaller one.

    Args:
        table: columns ``method, point, n, order, unlearn, preserve, bystander``.
        base: ``preserve, bystander`` of the unedited model, indexed by ``order``.
    """
    rows = table.reset_index(drop=True)
    whole = base.reindex(rows["order"]).reset_index(drop=True)
    kept = (rows[["preserve", "bystander"]] / whole * 100 >= least).all(axis=1)
    return largest_within(rows, kept & (rows["unlearn"] <= most), ["method", "point", "order"])
