"""Tidy tables and pictures → matplotlib axes. Draws, never computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH = 8.0  # inches; every figure of the workbook
INK, GOOD, BAD, SOFT = "#222222", "#1b7f5c", "#c0392b", "#8a8f98"
#: one colour a method for the whole workbook
METHOD_COLOURS = {
    "unedited": SOFT,
    "uce": "#3b6fb6",
    "rece": "#5bb8d4",
    "speed": "#8a5a2b",
    "cure": "#d16ba5",
    "oce": "#a3a52a",
    "dp": "#4b4fa0",
    "fia": "#2f9e9e",
    "staged": "#c0392b",
    "confined": "#e2857b",
    "scapre-paper": "#8e5bb0",
    "scapre-scale": "#e08e2b",
    "scapre-basic": "#1b7f5c",
}


def theme() -> None:
    """Set the workbook's look once."""
    sns.set_theme(
        context="notebook",
        style="whitegrid",
        rc={
            "figure.dpi": 100,
            "savefig.dpi": 120,
            "axes.edgecolor": SOFT,
            "grid.color": "#e6e8eb",
            "text.color": INK,
            "axes.labelcolor": INK,
            "font.size": 10,
            "axes.titlesize": 10,
            "axes.labelsize": 10,
            "xtick.labelsize": 9,
            "ytick.labelsize": 9,
            "svg.hashsalt": "scapre",
        },
    )


def spectrum(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Plot the columns ``index, value`` (and ``kind``) of a spectrum on logarithmic axes."""
    ax = ax or plt.subplots(figsize=(WIDTH, 3.2), layout="constrained")[1]
    sns.lineplot(table, x="index", y="value", hue="kind" if "kind" in table else None, ax=ax)
    if "kind" in table:
        ax.legend(title=None, frameon=False)
    ax.set(xscale="log", yscale="log", xlabel="direction $i$", ylabel=r"singular value $\sigma_i$")
    return ax


def similarity(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw a square table of cosines."""
    ax = ax or plt.subplots(figsize=(WIDTH, 6.4), layout="constrained")[1]
    sns.heatmap(table, vmin=0, vmax=1, cmap="rocket_r", square=True, ax=ax, cbar_kws={"label": "cosine", "shrink": 0.7})
    ax.tick_params(length=0)
    return ax


def shares(table: pd.DataFrame, *, x: str, y: str, hue: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw horizontal bars of percentages with their 95 % intervals (columns ``low, high``)."""
    ax = ax or plt.subplots(figsize=(WIDTH, 0.35 * len(table) + 1.2), layout="constrained")[1]
    sns.barplot(table, x=x, y=y, hue=hue, ax=ax, color=None if hue else SOFT)
    if hue:
        ax.legend(title=None, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    if {"low", "high"} <= set(table) and hue is None:
        reach = [table[x] - table["low"], table["high"] - table[x]]
        ax.errorbar(table[x], range(len(table)), xerr=reach, fmt="none", color=INK, lw=1.2)
    ax.set(xlim=(0, 100), xlabel="percent", ylabel="")
    return ax


def panels(
    table: pd.DataFrame,
    labels: Mapping[str, str],
    *,
    x: str = "n",
    xlabel: str = "erased concepts $n$",
    dashed: str | None = None,
    log: bool = True,
    columns: int = 2,
) -> Figure:
    """Draw one panel a measure, one line a method, with its 95 % band.

    Args:
        table: ``metrics.summarise``: ``method``, ``x``, ``measure, mean, low, high``.
        labels: measure → label of its panel.
        dashed: value of the column ``point`` whose lines are dashed.
        log: logarithmic ``x``; otherwise only the values themselves are marked.
    """
    rows = -(-len(labels) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(WIDTH, 2.9 * rows + 0.7), squeeze=False, layout="constrained")
    for ax in axes.flat[len(labels) :]:
        ax.remove()
    for ax, (measure, label) in zip(axes.flat, labels.items(), strict=False):
        part = table[table["measure"] == measure]
        solid = set(part.loc[part["point"] != dashed, "method"])
        for (method, point), line in part.groupby(["method", "point"], sort=False):
            colour = METHOD_COLOURS.get(str(method), INK)
            name = str(method) if point != dashed or method not in solid else None
            style = "--" if point == dashed else "-"
            ax.plot(line[x], line["mean"], style, color=colour, marker="o", ms=3, lw=1.6, label=name)
            ax.fill_between(line[x], line["low"], line["high"], color=colour, alpha=0.06, lw=0)
        ax.set(xscale="log" if log else "linear", xlabel=xlabel, ylabel=label)
        if not log:
            ax.set_xticks(sorted(part[x].unique()))
        if "%" in label:
            ax.set_ylim(-3, 103)
    handles, names = axes.flat[0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=min(5, len(names)), frameon=False)
    return fig


def trade_off(curves: pd.DataFrame, marks: pd.DataFrame, tries: pd.DataFrame) -> Figure:
    """Draw unlearning against preserving, one line a method along its best settings, one panel a count.

    Args:
        curves: columns ``method, n, unlearn, preserve``, in the order of the line (``metrics.frontier``).
        marks: the same: where a method stands at its published settings, drawn as a star.
        tries: the same: all that was tried, drawn as faint dots.
    """
    counts = sorted(curves["n"].unique())
    fig, axes = plt.subplots(1, len(counts), figsize=(WIDTH, 4.4), sharey=True, squeeze=False, layout="constrained")
    for ax, n in zip(axes.flat, counts, strict=True):
        for method, line in curves[curves["n"] == n].groupby("method", sort=False):
            ax.plot(
                line["unlearn"],
                line["preserve"],
                "o-",
                ms=3,
                color=METHOD_COLOURS.get(str(method), INK),
                label=str(method),
            )
        for table, look in ((tries, {"marker": "o", "ms": 3, "alpha": 0.3}), (marks, {"marker": "*", "ms": 13})):
            for _, row in table[table["n"] == n].iterrows():
                colour = METHOD_COLOURS.get(str(row["method"]), INK)
                ax.plot(row["unlearn"], row["preserve"], color=colour, mec="white", **look)
        ax.set(title=f"$n = {n}$", xlabel="accuracy on targets (%), lower is better", xlim=(-3, 103), ylim=(-3, 103))
    axes.flat[0].set_ylabel("accuracy on what stays (%)")
    handles, names = axes.flat[0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=5, frameon=False)
    return fig


def table_of_colours(table: pd.DataFrame, label: str, *, low: float = 0, high: float = 100) -> Figure:
    """Draw a table of numbers as coloured cells, green where high."""
    size = (WIDTH, 0.36 * len(table) + 1.4)
    fig, ax = plt.subplots(figsize=size, layout="constrained")
    sns.heatmap(table, vmin=low, vmax=high, cmap="RdYlGn", annot=True, fmt=".0f", ax=ax, cbar_kws={"label": label})
    ax.set(xlabel="", ylabel="")
    ax.tick_params(length=0)
    ax.tick_params("x", rotation=90 if len(table.columns) > 6 else 0)
    return fig


def lines(
    table: pd.DataFrame, *, x: str, y: str, hue: str, xlabel: str, log: bool = False, ax: Axes | None = None
) -> Axes:
    """Plot one line a ``hue`` of a tidy table."""
    ax = ax or plt.subplots(figsize=(WIDTH, 3.4), layout="constrained")[1]
    sns.lineplot(table, x=x, y=y, hue=hue, marker="o", palette="dark", ax=ax)
    ax.set(xlabel=xlabel, xscale="log" if log else "linear")
    ax.legend(title=None, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def adapter_error(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Plot ``error`` against ``rank``: a colour a ``method``, a dash a ``form``."""
    ax = ax or plt.subplots(figsize=(WIDTH, 3.4), layout="constrained")[1]
    palette = {m: METHOD_COLOURS.get(m, INK) for m in table["method"].unique()}
    sns.lineplot(table, x="rank", y="error", hue="method", style="form", palette=palette, markers=True, ax=ax)
    ax.set(xscale="log", yscale="log", xlabel="rank of every matrix", ylabel="share of the edit that is lost")
    ax.legend(title=None, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def bars(table: pd.DataFrame, *, y: str, values: Sequence[str], ax: Axes | None = None) -> Axes:
    """Draw several percentages of every row side by side."""
    ax = ax or plt.subplots(figsize=(WIDTH, 0.5 * len(table) + 1.2), layout="constrained")[1]
    tidy = table.melt(y, list(values), var_name="quantity", value_name="percent")
    palette = [BAD, GOOD, SOFT, INK][: len(values)] if len(values) > 1 else [GOOD]
    sns.barplot(tidy, x="percent", y=y, hue="quantity", palette=palette, ax=ax, legend=len(values) > 1)
    ax.set(xlim=(0, 100), ylabel="", xlabel="percent" if len(values) > 1 else f"{values[0]} (%)")
    if len(values) > 1:
        handles, names = ax.get_legend_handles_labels()
        ax.legend_ = None  # the figure's, outside the axes, takes its place
        ax.figure.legend(handles, names, loc="outside lower center", ncols=len(values), frameon=False)
    return ax
