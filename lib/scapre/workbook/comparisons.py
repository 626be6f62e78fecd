"""Tables of methods → curves: who forgets, who keeps. Draws, never computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from scapre.workbook.labels import name_ends, name_points
from scapre.workbook.look import FAINT, arm, canvas, colour_of, few, headline, legible, whole_ticks

BOX = "#e3eef7"  # where a quality is acceptable


def panels(
    table: pd.DataFrame,
    labels: Mapping[str, str],
    *,
    coloured: Sequence[str],
    title: str,
    x: str = "n",
    xlabel: str = "erased concepts $n$",
    log: bool = True,
) -> Figure:
    """Draw one panel a measure, one line a method and operating point: a few coloured and named, the others grey.

    Args:
        table: ``metrics.summarise``: ``method, point``, ``x``, ``measure, mean``.
        labels: measure → title of its panel.
        coloured: names of ``look.arm``, at most five.
        title: the figure's message.
        log: logarithmic ``x``; otherwise only the values themselves are marked.
    """
    chosen, columns = few(coloured), min(2, len(labels))
    rows = -(-len(labels) // columns)
    fig, axes = canvas(rows, columns, 2.6 * rows + 0.7)
    ends: dict[Axes, dict[str, tuple[float, float]]] = {}
    for ax, (measure, label) in zip(axes, labels.items(), strict=False):
        part = table[table["measure"] == measure]
        ends[ax] = {}
        for (method, point), line in part.groupby(["method", "point"], sort=False):
            name = arm(method, point)
            named = name in chosen or name == "unedited"
            look: dict[str, Any] = {"color": colour_of(name) if named else FAINT, "zorder": 3 if named else 1}
            ax.plot(line[x], line["mean"], "o-", ms=4, lw=2 if name in chosen else 1.2, **look)
            if named:
                ends[ax][name] = (line[x].iloc[-1], line["mean"].iloc[-1])
        ax.set(xscale="log" if log else "linear", xlabel=xlabel if ax in axes[-columns:] else "", title=label)
        whole_ticks(ax, part[x].tolist(), log=log)
        if "%" in label:
            ax.set_ylim(-3, 103)
    for ax in axes[len(labels) :]:
        ax.remove()
    headline(fig, title)
    name_ends(ends, {name: colour_of(name) for points in ends.values() for name in points})
    return fig


def frontiers(
    table: pd.DataFrame,
    *,
    panel: str,
    coloured: Sequence[str],
    title: str,
    box: tuple[float, float] | None = None,
    labels: tuple[str, str] = ("targets recognised (%)", "what stays, kept (%)"),
    heads: str = "$n = {}$",
    dot: str = "",
) -> Figure:
    """Draw recognised against kept, one panel a count: a ring as published, a dot at another point, a line between.

    Args:
        table: ``method, point, unlearn, preserve`` and the column ``panel``.
        coloured: methods that are coloured and named, at most five.
        box: largest share recognised and smallest share kept that are acceptable; shaded.
        labels: of the two axes.
        heads: title of a panel, with its value.
        dot: what the dots are; empty: the words that the names of all their points share.
    """
    chosen = [*few(coloured), "unedited"]
    values = sorted(table[panel].unique())
    columns = 3 if len(values) % 3 == 0 else min(2, len(values))
    rows = -(-len(values) // columns)
    fig, axes = canvas(rows, columns, 2.7 * rows + 0.9, share=True)
    named_at: list[dict[str, list[tuple[float, float]]]] = []
    for ax, value in zip(axes, values, strict=False):
        part = table[table[panel] == value]
        _box(ax, box)
        named_at.append({})
        for method, line in part.groupby("method", sort=False):
            named = method in chosen
            colour = colour_of(str(method)) if named else FAINT
            ax.plot(line["unlearn"], line["preserve"], "-", color=colour, lw=1.2, zorder=2)
            for _, row in line.iterrows():
                face = "white" if row["point"] == "published" else colour
                ax.plot(row["unlearn"], row["preserve"], "o", ms=7, mfc=face, mec=colour, mew=1.6, zorder=3 + named)
            if named:
                named_at[-1][str(method)] = list(zip(line["unlearn"], line["preserve"], strict=True))
        ax.set(xlim=(-3, 103), ylim=(-3, 103), title=heads.format(value))
    for ax in axes[len(values) :]:
        ax.remove()
    fig.supxlabel(" · ".join([labels[0], *_marks(list(dict.fromkeys(table["point"])), dot)]), fontsize=10)
    fig.supylabel(labels[1], fontsize=10)
    headline(fig, title)
    name_points(dict(zip(axes, named_at, strict=False)), {name: colour_of(name) for name in chosen})
    return fig


def _marks(points: Sequence[str], dot: str) -> list[str]:
    """Say what rings and dots are, where there are any; the words that all dots share are theirs."""
    others = [point.split(", ") for point in points if point != "published"]
    shared = [word for word in others[0] if all(word in other for other in others)] if others else []
    ring = ["ring: published settings"] if "published" in points else []
    return ring + ([f"dot: {dot or ', '.join(shared) or 'other settings'}"] if others else [])


def _box(ax: Axes, box: tuple[float, float] | None) -> None:
    if box is not None:
        most, least = box
        ax.add_patch(Rectangle((-3, least), most + 3, 103 - least, color=BOX, lw=0, zorder=0))


def one_by_one(
    curves: pd.DataFrame,
    marks: pd.DataFrame,
    tries: pd.DataFrame,
    *,
    title: str,
    box: tuple[float, float] | None = None,
    ring: str = "published settings",
) -> Figure:
    """Draw unlearning against preserving, one panel a method, every other method's curve grey behind it.

    Args:
        curves: columns ``method, unlearn, preserve``, in the order of the line (``metrics.frontier``).
        marks: the same: one place of every method, drawn as a ring.
        tries: the same: all that was tried, drawn as faint dots.
        box: largest share recognised and smallest share kept that are acceptable; shaded.
        ring: what the rings say.
    """
    methods = list(dict.fromkeys(tries["method"]))
    rows = -(-len(methods) // 4)
    fig, axes = canvas(rows, 4, 1.6 * rows + 0.9, share=True)
    for ax, method in zip(axes, methods, strict=False):
        colour = colour_of(method)
        _box(ax, box)
        for other, line in curves.groupby("method", sort=False):
            own = other == method
            style: dict[str, Any] = {"color": colour if own else FAINT, "lw": 2.2 if own else 1, "zorder": 2 + own}
            ax.plot(line["unlearn"], line["preserve"], **style)
        dots: dict[str, Any] = {"ms": 4, "alpha": 0.45, "mec": "none"}
        circle: dict[str, Any] = {"ms": 9, "mfc": "white", "mew": 2}
        for table, look in ((tries, dots), (marks, circle)):
            part = table[table["method"] == method]
            ax.plot(part["unlearn"], part["preserve"], "o", color=colour, zorder=4, clip_on=False, **look)
        ax.set(xlim=(-3, 103), ylim=(-3, 103), xticks=(0, 50, 100), yticks=(0, 50, 100))
        ax.set_title(method, color=legible(colour), fontweight="bold")
    for ax in axes[len(methods) :]:
        ax.remove()
    for ax in axes[max(0, len(methods) - 4) : len(methods)]:
        ax.tick_params(labelbottom=True)
    fig.supxlabel(f"targets recognised (%) · ring: {ring}", fontsize=10)
    fig.supylabel("what stays, kept (%)", fontsize=10)
    return headline(fig, title)
