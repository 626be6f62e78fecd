"""Tables of methods → verdicts: how far each goes and what gives out first. Draws, never computes."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from scapre.workbook.figures import lines
from scapre.workbook.look import BAD, GOOD, INK, SMALL, SOFT, WIDTH, colour_of, few, headline, legible, logarithmic

#: verdict of ``pictures.threshold.first_to_give_out`` → colour, and what stands in the legend
VERDICTS = {
    "inside": (GOOD, "inside the threshold"),
    "targets": (BAD, "targets still recognised"),
    "named": ("#e69f00", "named to keep, yet lost"),
    "bystanders": ("#cc79a7", "bystanders lost"),
}


def intervals(
    table: pd.DataFrame,
    *,
    name: str,
    value: str,
    coloured: Sequence[str],
    title: str,
    xlabel: str,
    log: bool = False,
    digits: int = 0,
) -> Figure:
    """Draw a number a row with its interval (columns ``low, high``, empty where there is none), the number beside it.

    Args:
        name: column with the names of ``look.arm``.
        value: column with the number.
        coloured: names that are coloured, at most five.
        digits: behind the point of the number beside a row.
    """
    chosen = few(coloured)
    fig, ax = plt.subplots(figsize=(WIDTH, 0.36 * len(table) + 1.3), layout="constrained")
    for i, (_, row) in enumerate(table.iterrows()):
        colour = colour_of(row[name]) if row[name] in chosen else SOFT
        ax.plot([row["low"], row["high"]], [i, i], color=colour, lw=3, alpha=0.45, solid_capstyle="round")
        ax.plot(row[value], i, "o", ms=8, color=colour)
        right = max(row[value], row["high"]) if row["high"] == row["high"] else row[value]
        here = (right, i)
        said = f"{row[value]:.{digits}f}"
        ax.annotate(said, here, (8, 0), textcoords="offset points", va="center", color=legible(colour))
    ax.set(yticks=range(len(table)), yticklabels=table[name], xlabel=xlabel, ylim=(len(table) - 0.5, -0.5))
    logarithmic(ax, "x" if log else "")
    ax.grid(False, axis="y")
    ax.margins(x=0.08)
    return headline(fig, title)


def verdict_map(verdicts: pd.DataFrame, numbers: pd.DataFrame, *, title: str) -> Figure:
    """Draw a map "method × count": the colour says whether it is inside the threshold or what gave out first.

    Args:
        verdicts: keys of ``VERDICTS``, rows named, columns counts; empty where nothing was measured.
        numbers: the same shape: the share that decided, written in the cell.
    """
    rows, columns = verdicts.shape
    fig, ax = plt.subplots(figsize=(WIDTH, 0.3 * rows + 1.7), layout="constrained")
    for i in range(rows):
        for j in range(columns):
            found = str(verdicts.iat[i, j])
            if found not in VERDICTS:
                ax.text(j, i, "·", ha="center", va="center", color=SOFT)
                continue
            ax.add_patch(Rectangle((j - 0.48, i - 0.45), 0.96, 0.9, color=VERDICTS[found][0], lw=0))
            text = INK if found in ("named", "bystanders") else "white"
            ax.text(
                j, i, format(float(str(numbers.iat[i, j])), ".0f"), ha="center", va="center", color=text, fontsize=SMALL
            )
    ax.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    ax.set_xlabel("erased concepts $n$ · number: the share (%) that decided")
    ax.set_xticks(range(columns), [str(c) for c in verdicts.columns])
    ax.set_yticks(range(rows), verdicts.index)
    ax.grid(False)
    ax.tick_params(length=0)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    patches = [Patch(color=colour, label=text) for colour, text in VERDICTS.values()]
    fig.legend(handles=patches, loc="outside lower center", ncols=2, frameon=False)
    return headline(fig, title)


def times(table: pd.DataFrame, model: str, method: str) -> Figure:
    """Draw a benchmark: curves over the counts, or a number a method where all were timed at a single count.

    Args:
        table: columns ``method, n, total, floor, naive``, times in seconds.
        model: whose shapes they are of.
        method: a method's name, or ``all``.
    """
    if method == "all" and table["n"].nunique() == 1:
        ranked = table.sort_values("total").assign(low=float("nan"), high=float("nan"))
        first, last = ranked.iloc[0], ranked.iloc[-1]
        title = f"{first['n']} concepts at the shapes of {model}: {first['total']:.1f} s ({first['method']}) "
        title += f"to {last['total']:.1f} s ({last['method']})"
        ours = [name for name in ("staged", "confined") if name in set(ranked["method"])]
        return intervals(
            ranked, name="method", value="total", coloured=ours, title=title, xlabel="seconds", log=True, digits=2
        )
    tidy = table.melt(["n", "method"], ["total", "floor", "naive"], "what", "seconds")
    if method == "all":
        tidy = tidy[tidy["what"] == "total"].assign(what=tidy["method"])
    by_count = table.sort_values("n").iloc[[0, -1]]
    ends = " and ".join(f"{total:.1f} s for {n}" for total, n in zip(by_count["total"], by_count["n"], strict=True))
    title = f"{method} at the shapes of {model} takes {ends} targets"
    title = f"Time of every method at the shapes of {model}" if method == "all" else title
    return lines(tidy, x="n", y="seconds", hue="what", xlabel="targets $n$", log="xy", title=title)
