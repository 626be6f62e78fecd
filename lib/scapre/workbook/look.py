"""The look of every figure: colours, headlines, names at the ends of lines. Draws, never computes."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

WIDTH = 8.0  # inches; every figure of the workbook
SMALL = 9  # points; nothing is written smaller
AT_ONCE = 5  # coloured lines in one figure
INK, SOFT, FAINT = "#222222", "#6b7079", "#cfd3d8"
GOOD, BAD = "#0b62a8", "#b8460e"  # blue and vermilion differ in every kind of colour vision
#: for lines that are no methods, told apart by everybody (Okabe and Ito)
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
SHADES = LinearSegmentedColormap.from_list("shades", ["#f3f7fb", "#8fbfe0", "#0b62a8", "#062f52"])
#: one colour a method for the whole workbook; those drawn most lie furthest apart
METHOD_COLOURS = {
    "unedited": INK,
    "staged": "#d55e00",
    "confined": "#e69f00",
    "scapre-paper": "#999933",
    "scapre-scale": "#882255",
    "scapre-basic": "#cc79a7",
    "uce": "#56b4e9",
    "rece": "#44aa99",
    "speed": "#0072b2",
    "cure": "#aa4499",
    "oce": "#8a6d3b",
    "dp": "#009e73",
    "fia": "#332288",
    "forget-me-not": "#117733",
    "sculpting-memory": "#6699cc",
    "surgun": "#c0392b",
    "restricted-gradient": "#7b4f9d",
    "esd": "#ddcc77",
    "concept-ablation": "#004488",
    "spm": "#997700",
    "mace": "#994455",
    "salun": "#5e8a5a",
}


def theme() -> None:
    """Set the workbook's look once."""
    sns.set_theme(
        context="notebook",
        style="whitegrid",
        rc={
            "figure.dpi": 100,
            "savefig.dpi": 120,
            "axes.edgecolor": FAINT,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "grid.color": "#eceef1",
            "text.color": INK,
            "axes.labelcolor": INK,
            "font.size": 10,
            "axes.titlesize": 10,
            "axes.labelsize": 10,
            "xtick.labelsize": SMALL,
            "ytick.labelsize": SMALL,
            "legend.fontsize": SMALL,
            "svg.hashsalt": "scapre",
        },
    )


def headline(figure: Figure, title: str) -> Figure:
    """Write a figure's message above it; it is the figure's title in files and pages too."""
    if title:
        lines = textwrap.wrap(title, int(9.75 * figure.get_figwidth()))
        figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=12, fontweight="bold")
    return figure


def message(figure: Figure) -> str:
    """Read a figure's message back, in one line; empty without one."""
    return " ".join(figure.get_suptitle().split())


def arm(method: object, point: object) -> str:
    """Name a method at an operating point: the method alone where it stands as published."""
    return str(method) if point == "published" else f"{method}, {point}"


def colour_of(name: str) -> str:
    """Colour of a method, at whatever operating point."""
    return METHOD_COLOURS.get(name.split(",")[0], SOFT)


def few(names: Sequence[str]) -> list[str]:
    """Hand back the names to be coloured.

    Raises:
        ValueError: more than an eye can hold apart.
    """
    if len(names) > AT_ONCE:
        raise ValueError(f"{len(names)} coloured lines; choose {AT_ONCE}, the others are drawn grey")
    return list(names)


def name_ends(
    ax: Axes, ends: Mapping[str, tuple[float, float]], colours: Mapping[str, str], *, at: float = 1.03
) -> None:
    """Write names in a column, each at the height of its point, moved apart where they would overlap.

    Args:
        ends: name → data coordinates of the point it names.
        colours: name → colour.
        at: where the column begins, as a share of the axes' width; by default right of them.
    """
    ends = {name: place for name, place in ends.items() if name}
    if not ends:
        return
    ax.figure.draw_without_rendering()  # type: ignore[union-attr] # the axes' place is known only then
    points = {name: ax.transAxes.inverted().transform(ax.transData.transform(xy)) for name, xy in ends.items()}
    order = sorted(points, key=lambda name: points[name][1])
    gap = 1.25 * SMALL / 72 * ax.figure.dpi / ax.get_window_extent().height
    steps = gap * np.arange(len(order))
    heights = isotonic_regression(np.array([points[name][1] for name in order]) - steps).x + steps
    heights += min(0.0, 1 - heights[-1]) + max(0.0, -heights[0] - min(0.0, 1 - heights[-1]))
    for name, height in zip(order, heights, strict=True):
        ax.annotate(
            name,
            tuple(points[name]),
            xytext=(at, height),
            xycoords="axes fraction",
            textcoords="axes fraction",
            color=colours[name],
            fontsize=SMALL,
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colours[name], "lw": 0.6, "alpha": 0.6, "shrinkB": 3, "shrinkA": 0},
        )


def canvas(rows: int, columns: int, height: float, *, share: bool = False) -> tuple[Figure, list[Axes]]:
    """Make a figure of the workbook's width with ``rows × columns`` axes, row by row."""
    figure, axes = plt.subplots(
        rows, columns, figsize=(WIDTH, height), squeeze=False, sharex=share, sharey=share, layout="constrained"
    )
    return figure, list(axes.flat)
