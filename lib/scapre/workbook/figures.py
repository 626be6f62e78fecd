"""Tidy tables → matplotlib axes: curves, spectra, bars, tables. Draws, never computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from scapre.workbook.look import (
    BAD,
    COLOURS,
    FAINT,
    GOOD,
    INK,
    METHOD_COLOURS,
    SHADES,
    SMALL,
    SOFT,
    WIDTH,
    canvas,
    few,
    headline,
    name_ends,
)


def lines(
    table: pd.DataFrame,
    *,
    x: str,
    y: str,
    hue: str,
    xlabel: str,
    ylabel: str | None = None,
    title: str = "",
    panel: str | None = None,
    coloured: Sequence[str] | None = None,
    log: str = "",
) -> Figure:
    """Plot one named line a ``hue``, in one panel a value of ``panel``.

    Args:
        title: the figure's message.
        coloured: the lines that are coloured and named, at most five; the others are grey. None: the first five.
        log: axes that are logarithmic: ``""``, ``"x"``, ``"y"`` or ``"xy"``.
    """
    parts = [("", table)] if panel is None else list(table.groupby(panel, sort=False))
    names = [str(name) for name in table[hue].unique()]
    colours = _palette(names, few(coloured if coloured is not None else names[: len(COLOURS)]))
    fig, axes = canvas(1, len(parts), 3.4)
    marker = "o" if table.groupby(hue)[x].nunique().max() < 30 else ""
    for ax, (name, part) in zip(axes, parts, strict=True):
        for kind, line in part.groupby(hue, sort=False):
            colour = colours.get(str(kind), FAINT)
            ax.plot(line[x], line[y], color=colour, marker=marker, ms=4, lw=2, zorder=3 if str(kind) in colours else 1)
        ax.set(xlabel=xlabel, ylabel=(ylabel or y) if ax is axes[0] else "", title=str(name))
        _scale(ax, log)
    headline(fig, title)
    for ax, (_, part) in zip(axes, parts, strict=True):
        last = part.sort_values(x).groupby(part[hue].astype(str), sort=False)[[x, y]].last()
        ends = {name: tuple(last.loc[name]) for name in colours if name in last.index}
        if ax is axes[-1] or len(parts) < 3:
            name_ends(ax, ends, colours)
    return fig


def _palette(names: Sequence[str], coloured: Sequence[str]) -> dict[str, str]:
    """Colours by name: a method's own, shades of one colour for numbers, else five that all can tell apart."""
    if all(name in METHOD_COLOURS for name in names):
        return {name: METHOD_COLOURS[name] for name in coloured}
    if len(names) > 2 and all(name.lstrip("n =").replace(".", "", 1).isdigit() for name in names):
        shades = sns.color_palette("blend:#8fbfe0,#062f52", len(coloured)).as_hex()
        return dict(zip(coloured, shades, strict=True))
    return dict(zip(coloured, COLOURS, strict=False))


def _scale(ax: Axes, log: str) -> None:
    """Make axes logarithmic with whole numbers at the ticks."""
    if "x" in log:
        ax.set_xscale("log")
    if "y" in log:
        ax.set_yscale("log")
    for axis, name in ((ax.xaxis, "x"), (ax.yaxis, "y")):
        if name in log:
            axis.set_minor_formatter(NullFormatter())


def spectrum(table: pd.DataFrame, *, ylabel: str = r"singular value $\sigma_i$", title: str = "") -> Figure:
    """Plot the columns ``index, value`` (and ``kind``) of a spectrum on logarithmic axes."""
    tidy = table if "kind" in table else table.assign(kind="")
    look = {"xlabel": "direction $i$", "ylabel": ylabel, "title": title, "log": "xy"}
    return lines(tidy, x="index", y="value", hue="kind", **look)


def similarity(table: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw a square table of cosines."""
    fig, ax = plt.subplots(figsize=(WIDTH, 6.8), layout="constrained")
    bar = {"label": "cosine", "shrink": 0.7}
    sns.heatmap(table, vmin=0, vmax=1, cmap=SHADES, square=True, ax=ax, cbar_kws=bar)
    ax.tick_params(length=0)
    return headline(fig, title)


def shares(table: pd.DataFrame, *, x: str, y: str, hue: str, title: str = "") -> Figure:
    """Draw dots of percentages with their 95 % intervals (columns ``low, high``), one colour a ``hue``."""
    kinds, groups = list(table[hue].unique()), list(table[y].unique())
    fig, ax = plt.subplots(figsize=(WIDTH, 0.42 * len(groups) + 1.3), layout="constrained")
    for i, (kind, colour) in enumerate(zip(kinds, COLOURS, strict=False)):
        part = table[table[hue] == kind]
        heights = [groups.index(g) + 0.24 * (i - (len(kinds) - 1) / 2) for g in part[y]]
        reach = [part[x] - part["low"], part["high"] - part[x]]
        ax.errorbar(part[x], heights, xerr=reach, fmt="o", color=colour, ms=5, lw=1.4, label=str(kind))
    ax.set(xlim=(0, 102), yticks=range(len(groups)), yticklabels=groups, xlabel="percent")
    ax.invert_yaxis()
    fig.legend(loc="outside lower center", ncols=len(kinds), frameon=False)
    return headline(fig, title)


def bars(table: pd.DataFrame, *, y: str, values: Mapping[str, str], title: str = "") -> Figure:
    """Draw percentages of every row: a bar where there is one, dots on a line where there are several.

    Args:
        values: column → the word for it.
    """
    fig, ax = plt.subplots(figsize=(WIDTH, 0.34 * len(table) + 1.4), layout="constrained")
    rows = range(len(table))
    if len(values) == 1:
        column = next(iter(values))
        ax.barh(rows, table[column], color=GOOD, height=0.6)
        for i, value in zip(rows, table[column], strict=True):
            ax.annotate(f"{value:.0f}", (value, i), (4, 0), textcoords="offset points", va="center", fontsize=SMALL)
        ax.set_xlabel(f"{values[column]} (%)")
    else:
        part = table[list(values)]
        ax.hlines(rows, part.min(axis=1), part.max(axis=1), color=FAINT, lw=2, zorder=1)
        for (column, word), colour in zip(values.items(), (BAD, GOOD, INK, SOFT), strict=False):
            ax.plot(table[column], rows, "o", color=colour, ms=7, label=word, mec="white", zorder=2)
        ax.set_xlabel("percent")
        fig.legend(loc="outside lower center", ncols=len(values), frameon=False)
    ax.set(xlim=(-2, 104), yticks=rows, yticklabels=table[y])
    ax.invert_yaxis()
    ax.grid(False, axis="y")
    return headline(fig, title)


def table_of_colours(
    table: pd.DataFrame, label: str, *, title: str = "", low: float = 0, high: float = 100, rules: Sequence[int] = ()
) -> Figure:
    """Draw a table of numbers as shaded cells, dark where high; an empty cell was not measured.

    Args:
        label: what the numbers are.
        rules: rows above which a line is drawn.
    """
    tilted = len(table.columns) > 6 and max(len(str(c)) for c in table.columns) > 7
    size = (WIDTH, 0.32 * len(table) + (1.9 if tilted else 1.3))
    fig, ax = plt.subplots(figsize=size, layout="constrained")
    sns.heatmap(table, vmin=low, vmax=high, cmap=SHADES, annot=True, fmt=".0f", ax=ax, cbar=False, linewidths=1)
    ax.set(xlabel=f"{label}; dark is high", ylabel="")
    ax.set_facecolor("white")
    ax.hlines(rules, *ax.get_xlim(), color=INK, lw=1)
    ax.tick_params(length=0)
    ax.tick_params("y", rotation=0)
    ax.tick_params("x", rotation=45 if tilted else 0, labeltop=True, labelbottom=False)
    if tilted:
        plt.setp(ax.get_xticklabels(), ha="left", rotation_mode="anchor")
    return headline(fig, title)
