"""Tidy tables → matplotlib axes: curves, spectra, bars, tables. Draws, never computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scapre.workbook.labels import name_ends, name_points
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
    logarithmic,
    whole_ticks,
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
    floor: float | None = None,
    rule: tuple[float, str] | None = None,
) -> Figure:
    """Plot one named line a ``hue``, in one panel a value of ``panel``.

    Args:
        ylabel: what the height is; None: ``y``.
        title: the figure's message.
        coloured: the lines that are coloured and named, at most five; the others are grey. None: the first five.
        log: axes that are logarithmic: ``""``, ``"x"``, ``"y"`` or ``"xy"``.
        floor: lines are drawn down to here.
        rule: height of a dotted line across, and its name.
    """
    table = table if floor is None else table[table[y] >= floor]
    parts = [("", table)] if panel is None else list(table.groupby(panel, sort=False))
    names = [str(name) for name in table[hue].unique()]
    colours = _palette(names, few(coloured if coloured is not None else names[: len(COLOURS)]))
    fig, axes = canvas(1, len(parts), 3.4)
    for ax, (name, part) in zip(axes, parts, strict=True):
        draw_lines(ax, part, x=x, y=y, hue=hue, colours=colours, log=log)
        ax.set(xlabel=xlabel, ylabel=(y if ylabel is None else ylabel) if ax is axes[0] else "", title=str(name))
        if floor is not None:
            ax.set_ylim(bottom=floor)
        if rule is not None:
            ax.axhline(rule[0], color=INK, lw=1, ls=":")
    headline(fig, title)
    ends = {ax: line_ends(part, x=x, y=y, hue=hue) for ax, (_, part) in zip(axes, parts, strict=True)}
    named = axes if len(parts) < 3 else axes[-1:]
    name_ends({ax: {name: xy for name, xy in ends[ax].items() if name in colours} for ax in named}, colours)
    if rule is not None:
        name_points({ax: {rule[1]: [(ax.get_xlim()[0], rule[0])]} for ax in axes}, {rule[1]: INK})
    return fig


def draw_lines(
    ax: Axes, table: pd.DataFrame, *, x: str, y: str, hue: str, colours: Mapping[str, str], log: str = ""
) -> None:
    """Draw one line a ``hue``; of lines that lie on one another the earlier ones are wider, so that all are seen."""
    marker = "o" if table.groupby(hue)[x].nunique().max() < 30 else ""
    kinds = [(str(kind), line.sort_values(x)) for kind, line in table.groupby(hue, sort=False)]
    for i, (kind, line) in enumerate(kinds):
        above = sum(_together(line, other, x, y) for name, other in kinds[i + 1 :] if name in colours)
        colour, height = colours.get(kind, FAINT), 3 if kind in colours else 1
        ax.plot(line[x], line[y], marker=marker, ms=4 + 2.5 * above, lw=2 + 2.5 * above, color=colour, zorder=height)
    logarithmic(ax, log)
    whole_ticks(ax, table[x].tolist(), log="x" in log)


def _together(line: pd.DataFrame, other: pd.DataFrame, x: str, y: str) -> bool:
    """Whether two lines cannot be told apart."""
    one, two = line[[x, y]].to_numpy(float), other[[x, y]].to_numpy(float)
    return one.shape == two.shape and bool(np.allclose(one, two, rtol=0.02, atol=1e-9))


def line_ends(table: pd.DataFrame, *, x: str, y: str, hue: str) -> dict[str, tuple[float, float]]:
    """Where the lines of ``draw_lines`` end."""
    last = table.sort_values(x, kind="stable").groupby(hue, sort=False)[[x, y]].last()
    return {str(name): (row[x], row[y]) for name, row in last.iterrows()}


def _palette(names: Sequence[str], coloured: Sequence[str]) -> dict[str, str]:
    """Colours by name: a method's own, shades of one colour for numbers, else five that all can tell apart."""
    if all(name in METHOD_COLOURS for name in names):
        return {name: METHOD_COLOURS[name] for name in coloured}
    if len(names) > 2 and all(name.lstrip("n =").replace(".", "", 1).isdigit() for name in names):
        shades = sns.color_palette("blend:#6fa8d0,#062f52", len(coloured)).as_hex()
        return dict(zip(coloured, shades, strict=True))
    return dict(zip(coloured, COLOURS, strict=False))


def spectrum(
    table: pd.DataFrame,
    *,
    ylabel: str = r"singular value $\sigma_i$",
    title: str = "",
    floor: float | None = None,
    rule: tuple[float, str] | None = None,
) -> Figure:
    """Plot the columns ``index, value`` (and ``kind``) of a spectrum, both axes logarithmic; see ``lines``."""
    tidy, look = table if "kind" in table else table.assign(kind=""), {"xlabel": "direction $i$", "log": "xy"}
    return lines(tidy, x="index", y="value", hue="kind", ylabel=ylabel, title=title, floor=floor, rule=rule, **look)


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
    lowest = 10 * np.floor(table["low"].min() / 10)  # dots, no bars: what is far from all of them is left out
    ax.set(xlim=(lowest, 101.5), yticks=range(len(groups)), yticklabels=groups, xlabel="percent")
    ax.set_ylim(len(groups) - 0.5, -0.5)
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
    ax.set(xlim=(-2, 104), yticks=rows, yticklabels=table[y], ylim=(len(table) - 0.5, -0.5))
    ax.grid(False, axis="y")
    return headline(fig, title)


def table_of_colours(
    table: pd.DataFrame, label: str, *, title: str = "", low: float = 0, high: float = 100, rules: Sequence[int] = ()
) -> Figure:
    """Draw a table of numbers as shaded cells, dark where high; an empty cell was not measured.

    Args:
        table: two levels of columns are drawn as groups, each with its head below it.
        label: what the numbers are.
        rules: rows above which a line is drawn.
    """
    groups = list(table.columns.get_level_values(0)) if table.columns.nlevels == 2 else []
    words = [str(word) for word in table.columns.get_level_values(-1)]
    tilted = len(words) > 6 and max(map(len, words)) > 7
    size = (WIDTH, 0.32 * len(table) + (1.9 if tilted else 1.3))
    fig, ax = plt.subplots(figsize=size, layout="constrained")
    cells = table.set_axis(words, axis=1)
    sns.heatmap(cells, vmin=low, vmax=high, cmap=SHADES, annot=True, fmt=".0f", ax=ax, cbar=False, linewidths=1)
    ax.set(xlabel=f"{label}; dark is high", ylabel="")
    for group in dict.fromkeys(groups):
        inside = [i for i, other in enumerate(groups) if other == group]
        ax.text(sum(inside) / len(inside) + 0.5, len(table) + 0.12, group, ha="center", va="top", fontsize=SMALL)
        ax.axvline(inside[0], color="white", lw=8)
    ax.xaxis.labelpad = 20 if groups else 4
    ax.grid(False)  # it would show through the empty cells
    ax.set_facecolor("white")
    ax.hlines(rules, *ax.get_xlim(), color=INK, lw=1)
    ax.tick_params(length=0)
    ax.tick_params("y", rotation=0)
    ax.tick_params("x", rotation=45 if tilted else 0, labeltop=True, labelbottom=False)
    if tilted:
        plt.setp(ax.get_xticklabels(), ha="left", rotation_mode="anchor")
    return headline(fig, title)
