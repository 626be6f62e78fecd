"""Whether two tables put the same methods in the same order: one printed elsewhere, one measured here."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

DRAWS = 2000  # bootstrap samples of our runs


def rank_agreement(printed: pd.Series, runs: pd.DataFrame, *, seed: int = 0) -> dict[str, float]:
    """Kendall's τ of a printed column and the means of our runs, over the methods both have.

        τ_b = (agreeing pairs − opposed pairs) / √(pairs not tied in one · pairs not tied in the other)

    Args:
        printed: values by method.
        runs: a row a run, a column a method; complete.
        seed: of the bootstrap.

    Returns:
        ``methods``, ``agreeing`` and ``pairs`` (ties of either side agree with nothing), ``tau``, its 95 % percentile
        bootstrap interval ``low, high`` over our runs (the printed column has none and stands as it is), and
        ``chance``, the exact two-sided p-value of τ among all orders (asymptotic with ties); NaN where all are tied.

    Raises:
        ValueError: fewer than two methods in common.

    >>> printed, ours = {"a": 1.0, "b": 2.0, "c": 3.0}, {"a": 5.0, "b": 7.0, "c": 9.0}
    >>> found = rank_agreement(pd.Series(printed), pd.DataFrame([ours]))
    >>> found["tau"], found["agreeing"], round(found["chance"], 3)
    (1.0, 3.0, 0.333)
    """
    names = [name for name in printed.index if name in runs]
    if len(names) < 2:
        raise ValueError("an order needs two methods that both tables have")
    theirs, ours = printed[names].to_numpy(float), runs[names].to_numpy(float)
    drawn = np.random.default_rng(seed).integers(len(ours), size=(DRAWS, len(ours)))
    means = ours[drawn].mean(axis=1)
    taus = [float(kendalltau(theirs, mean).statistic) for mean in np.unique(means, axis=0)]
    weights = np.unique(means, axis=0, return_counts=True)[1]
    whole = kendalltau(theirs, ours.mean(axis=0))
    first, second = np.triu_indices(len(names), 1)
    signs = np.sign(theirs[first] - theirs[second]) * np.sign(ours.mean(axis=0)[first] - ours.mean(axis=0)[second])
    low, high = np.nanpercentile(np.repeat(taus, weights), [2.5, 97.5])
    return {
        "methods": float(len(names)),
        "agreeing": float((signs > 0).sum()),
        "pairs": float(len(first)),
        "tau": float(whole.statistic),
        "low": float(low),
        "high": float(high),
        "chance": float(whole.pvalue),
    }
