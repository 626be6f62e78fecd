"""The look of every figure: colours, headlines, scales. Draws, never computes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from scapre.files import replacing

WIDTH = 8.0  # inches; every figure of the workbook
SMALL, HEAD = 9, 11.5  # points; nothing is written smaller, a figure's message is written in the larger one
AT_ONCE = 5  # coloured lines in one figure
CONTRAST = 4.5  # of words to the page
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
    "emcid-closed": "#ee3377",
    "forget-me-not": "#117733",
    "sculpting-memory": "#6699cc",
    "surgun": "#c0392b",
    "restricted-gradient": "#7b4f9d",
    "esd": "#b8a038",
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
            "axes.titlelocation": "left",
            "figure.constrained_layout.h_pad": 0.06,
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
        font = FontProperties(weight="bold", size=HEAD)
        room = 72 * (0.98 * figure.get_figwidth())
        figure.suptitle(balanced(title, room, font), x=0.01, ha="left", fontproperties=font)
    return figure


def balanced(text: str, room: float, font: FontProperties) -> str:
    """Break a text into as few lines as fit and all about as long; a number stays with its sign.

    Args:
        room: length of a line in points.
    """
    words = text.replace(" %", "\u00a0%").replace(" = ", "\u00a0=\u00a0").split(" ")
    sizes = [measured(f"{word} |", font) - measured("|", font) for word in words]
    fewest, limit = len(_filled(sizes, room)), room
    while limit > max(sizes) and len(_filled(sizes, limit - 4)) == fewest:
        limit -= 4
    rows = np.split(np.array(words), _filled(sizes, limit)[1:])
    return "\n".join(" ".join(row) for row in rows)


def measured(text: str, font: FontProperties) -> float:
    """Width of a line of text in points."""
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])


def _filled(sizes: Sequence[float], room: float) -> list[int]:
    """Numbers of the words that begin a line."""
    begins, used = [0], 0.0
    for i, size in enumerate(sizes):
        if used + size > room and i:
            begins.append(i)
            used = 0.0
        used += size
    return begins


def message(figure: Figure) -> str:
    """Read a figure's message back, in one line; empty without one."""
    return " ".join(figure.get_suptitle().split())


def write_figure(figure: Figure, path: Path, *, title: str = "") -> None:
    """Write a figure as PNG, atomically, its message (else ``title``) as the file's title, and close it.

    Raises:
        WriteError: see ``files.replacing``.
    """
    with replacing(path) as partial:
        figure.savefig(partial, format="png", metadata={"Software": None, "Title": message(figure) or title})
    plt.close(figure)


def arm(method: object, point: object) -> str:
    """Name a method at an operating point: the method alone where it stands as published."""
    return str(method) if point == "published" else f"{method}, {point}"


def colour_of(name: str) -> str:
    """Colour of a method, at whatever operating point."""
    return METHOD_COLOURS.get(name.split(",")[0], SOFT)


def legible(colour: str) -> str:
    """Darken a colour until words written in it are read on white (a contrast of 4.5, as pages ask for)."""
    red, green, blue = to_rgb(colour)
    while 1.05 / (luminance((red, green, blue)) + 0.05) < CONTRAST:
        red, green, blue = 0.97 * red, 0.97 * green, 0.97 * blue
    return str(to_hex((red, green, blue)))


def luminance(colour: tuple[float, float, float]) -> float:
    """How light a colour is, from 0 to 1."""
    rgb = np.array(colour)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))


def few(names: Sequence[str]) -> list[str]:
    """Hand back the names to be coloured.

    Raises:
        ValueError: more than an eye can hold apart.
    """
    if len(names) > AT_ONCE:
        raise ValueError(f"{len(names)} coloured lines; choose {AT_ONCE}, the others are drawn grey")
    return list(names)


def canvas(rows: int, columns: int, height: float, *, share: bool = False) -> tuple[Figure, list[Axes]]:
    """Make a figure of the workbook's width with ``rows × columns`` axes, row by row."""
    figure, axes = plt.subplots(
        rows, columns, figsize=(WIDTH, height), squeeze=False, sharex=share, sharey=share, layout="constrained"
    )
    return figure, list(axes.flat)


def whole_ticks(ax: Axes, x: Sequence[float], *, log: bool) -> None:
    """Mark the values themselves where they are few, but not those that would touch."""
    values = np.unique(np.asarray(x, dtype=float))
    if not 1 < len(values) < 9:
        return
    places = np.log(values) if log else values
    grid = ax.get_subplotspec()
    room = (0.02 + 0.055 * (grid.get_gridspec().ncols if grid else 1)) * (places[-1] - places[0])
    shown = [0]
    for i, place in enumerate(places):
        if place - places[shown[-1]] >= room:
            shown.append(i)
    if shown[-1] != len(values) - 1:
        shown[-1:] = [len(values) - 1]
    ax.xaxis.set_major_locator(FixedLocator(values[shown].tolist()))
    ax.xaxis.set_major_formatter(FuncFormatter(plain))
    ax.xaxis.set_minor_locator(NullLocator())


def logarithmic(ax: Axes, which: str) -> None:
    """Make axes logarithmic, with plain numbers where these are short, and more than one tick."""
    for name, axis in (("x", ax.xaxis), ("y", ax.yaxis)):
        if name not in which:
            continue
        (ax.set_xscale if name == "x" else ax.set_yscale)("log")
        low, high = axis.get_view_interval()
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 30 * low else (1,)))
        axis.set_major_formatter(FuncFormatter(plain))
        axis.set_minor_locator(NullLocator())


def plain(value: float, _: object = None) -> str:
    """Write a number as one says it, as a power of ten where it would be long."""
    if value <= 0 or 1e-3 <= value < 1e5:
        return f"{value:.10g}"
    power = int(np.floor(np.log10(value) + 1e-9))
    factor = value / 10**power
    return f"$10^{{{power}}}$" if abs(factor - 1) < 1e-6 else f"${factor:.0f}\\times10^{{{power}}}$"
