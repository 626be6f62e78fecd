"""Names beside what they name: at the ends of lines, or in the nearest free place. Draws, never computes."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib.patheffects as effects
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from scipy.optimize import isotonic_regression

from scapre.workbook.look import SMALL, legible

ROOM = 17  # letters of a name before it is broken
STEP, RIM = 3, 2  # pixels between the places tried; pixels around a name that stay free
CLOSE, NEAR = (
    9,
    45,
)  # pixels; a name so near needs no line to its point; one further from its line's end is in the column
#: what a covered pixel costs, in pixels of distance
LINE, POINT, NAME = 12.0, 1e3, 1e5
TRIED = 80  # places of least cost whose lines to their points are looked at
HALO = [effects.withStroke(linewidth=2.5, foreground="white")]

Place = tuple[float, float]
_Placed = tuple[np.ndarray, np.ndarray, np.ndarray]  # a name's lower left corner, its size, its point; in pixels


def name_ends(ends: Mapping[Axes, Mapping[str, Place]], colours: Mapping[str, str]) -> None:
    """Name lines at their ends: right of the axes where they end there, else in a free place near by, if there is one.

    Args:
        ends: axes of one figure → name → data coordinates of the point it names.
        colours: name → colour.
    """
    ends = {ax: {name: xy for name, xy in named.items() if name} for ax, named in ends.items()}
    _lay_out(ends)
    inside: dict[Axes, Mapping[str, Sequence[Place]]] = {}
    for ax, named in ends.items():
        shares = {name: _share(ax, xy)[0] for name, xy in named.items()}
        inside[ax] = {name: [named[name]] for name, share in shares.items() if share < max(shares.values()) - 0.05}
    moved = True
    while moved:
        columns = [
            word
            for ax, named in ends.items()
            for word in _column(ax, {name: xy for name, xy in named.items() if name not in inside[ax]}, colours)
        ]
        _lay_out(ends)  # the column takes room from its axes, so what was near may be far now
        moved = False
        for ax, near in inside.items():
            far = [name for name, placed in _place(ax, near).items() if _gap(placed) > NEAR]
            inside[ax] = {name: places for name, places in near.items() if name not in far}
            moved = moved or bool(far)
        for word in columns if moved else []:
            word.remove()
    if any(inside.values()):
        name_points(inside, colours)


def name_points(places: Mapping[Axes, Mapping[str, Sequence[Place]]], colours: Mapping[str, str]) -> None:
    """Write each name in the free place of its axes that is nearest to one of its points.

    A name covers no point and no other name, and no line where that can be helped. Call it last: it looks at what
    is drawn.

    Args:
        places: axes of one figure → name → data coordinates of the points it names.
        colours: name → colour.
    """
    _lay_out(places)
    for ax, named in places.items():
        origin = ax.get_window_extent().min
        for name, (corner, box, point) in _place(ax, named).items():
            end = np.clip(point, corner, corner + box)
            lead = tuple((end - corner) / box) if _gap((corner, box, point)) > CLOSE else None
            place, target = ax.transAxes.inverted().transform([corner + origin, point + origin])
            _write(ax, name, target, place, colours[name], lead).set(va="bottom", path_effects=HALO)


def _lay_out(axes: Mapping[Axes, object]) -> None:
    """Let the figure find the place of its axes."""
    for ax in axes:
        ax.get_figure(root=True).draw_without_rendering()  # type: ignore[union-attr]
        return


def _share(ax: Axes, xy: Place) -> np.ndarray:
    """Where a point is seen, as shares of the axes."""
    return np.clip(ax.transAxes.inverted().transform(ax.transData.transform(xy)), 0, 1)


def _gap(placed: _Placed) -> float:
    corner, box, point = placed
    return float(np.linalg.norm(np.clip(point, corner, corner + box) - point))


def _column(ax: Axes, ends: Mapping[str, Place], colours: Mapping[str, str]) -> list[Annotation]:
    """Write names right of the axes, each at the height of its point, moved apart where they would overlap."""
    shares = {name: _share(ax, xy) for name, xy in ends.items()}
    order = sorted(shares, key=lambda name: shares[name][1])
    if not order:
        return []
    line = 1.25 * SMALL / 72 * ax.get_figure(root=True).dpi / ax.get_window_extent().height  # type: ignore[union-attr]
    size = line * np.array([1 + broken(name).count("\n") for name in order])
    steps = np.concatenate([[0.0], np.cumsum((size[1:] + size[:-1]) / 2)])
    free = isotonic_regression(np.array([shares[name][1] for name in order]) - steps).x
    free = np.minimum(free, 1 - size[-1] / 2 - steps[-1])  # below the panel's title
    return [
        _write(ax, name, shares[name], np.array([1.03, height]), colours[name], (0, 0.5))
        for name, height in zip(order, np.maximum(free, size[0] / 2 - steps[0]) + steps, strict=True)
    ]


def _place(ax: Axes, places: Mapping[str, Sequence[Place]]) -> dict[str, _Placed]:
    """Find a place for every name: the later ones move the earlier ones once they are known."""
    ground, size = _ground(ax), np.asarray(ax.get_window_extent().size)
    points = {name: size * np.array([_share(ax, place) for place in xy]) for name, xy in places.items()}
    boxes = {name: _size(ax, broken(name)) for name in points}
    found: dict[str, _Placed] = {}
    for _ in range(3):
        for name in sorted(points, key=lambda name: -points[name][:, 1].max()):
            others = [found[other] for other in found if other != name]
            rivals = [points[other] for other in points if other != name]
            found[name] = _nearest(ground, points[name], boxes[name], others, rivals)
    return found


def broken(name: str) -> str:
    """Break a long name into lines of about the same length; a formula stays whole."""
    if "$" in name:
        return name
    lines = len(textwrap.wrap(name, ROOM, break_long_words=False))
    room = next(
        room for room in range(1, len(name) + 2) if len(textwrap.wrap(name, room, break_long_words=False)) <= lines
    )
    return "\n".join(textwrap.wrap(name, room, break_long_words=False))


def _write(
    ax: Axes, name: str, point: np.ndarray, place: np.ndarray, colour: str, lead: tuple[float, ...] | None
) -> Annotation:
    """Write a name, with a line to its point that begins at a place of its box; None: without."""
    arrow = {"arrowstyle": "-", "color": colour, "lw": 0.7, "alpha": 0.7, "shrinkA": 1, "shrinkB": 3, "relpos": lead}
    return ax.annotate(
        broken(name),
        (point[0], point[1]),
        xytext=(place[0], place[1]),
        xycoords="axes fraction",
        textcoords="axes fraction",
        color=legible(colour),
        fontsize=SMALL,
        va="center",
        linespacing=1.05,
        annotation_clip=False,
        zorder=6,
        arrowprops=arrow if lead else None,
    )


def _size(ax: Axes, word: str) -> np.ndarray:
    """Width and height of a name in pixels."""
    text = ax.text(0, 0, word, fontsize=SMALL, linespacing=1.05)
    box = text.get_window_extent()
    text.remove()
    return np.array([box.width, box.height])


def _ground(ax: Axes) -> np.ndarray:
    """What a pixel of the axes costs a name that covers it, ``(height, width)``, from below."""
    window = ax.get_window_extent()
    ground = np.zeros((int(window.height) + 1, int(window.width) + 1))
    for line in ax.lines:
        path = line.get_transform().transform(line.get_xydata()) - window.min
        if line.get_linestyle() not in ("None", "none", ""):
            _paint(ground, _dense(path), line.get_linewidth() / 2, LINE)
        if line.get_marker() not in ("None", "none", "", None):
            _paint(ground, path, _radius(line), POINT)
    return ground


def _radius(line: Line2D) -> float:
    return (line.get_markersize() / 2 + line.get_markeredgewidth()) * line.figure.dpi / 72 if line.figure else 0.0


def _dense(path: np.ndarray) -> np.ndarray:
    """Points along a broken line, at most a pixel apart."""
    parts = [path[:1]]
    for start, end in pairwise(path):
        if np.isfinite([start, end]).all():
            parts.append(np.linspace(start, end, int(np.abs(end - start).max()) + 2))
    return np.concatenate(parts)


def _paint(ground: np.ndarray, points: np.ndarray, radius: float, cost: float) -> None:
    """Raise squares around points to a cost."""
    for x, y in points[np.isfinite(points).all(axis=1)]:
        low, high = np.maximum([y - radius, x - radius], 0).astype(int), np.ceil([y + radius, x + radius]).astype(int)
        part = ground[low[0] : max(high[0] + 1, 0), low[1] : max(high[1] + 1, 0)]
        np.maximum(part, cost, out=part)


def _nearest(
    ground: np.ndarray, points: np.ndarray, size: np.ndarray, others: Sequence[_Placed], rivals: Sequence[np.ndarray]
) -> _Placed:
    """Find the place of least cost for a name of some size, which belongs to the nearest of its points.

    Args:
        others: names that have a place already.
        rivals: points of other names; a place nearer to one of them than to the name's own costs the difference, twice.
    """
    ground = ground.copy()
    for corner, box, point in others:
        _paint(ground, _dense(np.array([point, np.clip(point, corner, corner + box)])), 1, LINE)
        (left, low), (right, high) = np.maximum(corner - RIM, 0).astype(int), (corner + box + RIM).astype(int)
        ground[low:high, left:right] = NAME
    width, height = np.ceil(size).astype(int)
    x = np.arange(RIM, max(ground.shape[1] - width - RIM, RIM + 1), STEP)
    y = np.arange(RIM, max(ground.shape[0] - height - RIM, RIM + 1), STEP)[:, None]
    area = np.pad(ground.cumsum(0).cumsum(1), ((1, height), (1, width)), mode="edge")
    cost = area[y + height, x + width] - area[y, x + width] - area[y + height, x] + area[y, x]
    corners = np.stack(np.broadcast_arrays(x, y), axis=-1).astype(float)
    gaps, theirs = (
        np.stack([np.linalg.norm(np.clip(p, corners, corners + size) - p, axis=-1) for p in part])
        for part in (points, np.concatenate([*rivals, [[np.inf, np.inf]]]))
    )
    cost = cost + gaps.min(0) + 2 * CLOSE * (gaps.min(0) > CLOSE) + 2 * np.maximum(gaps.min(0) - theirs.min(0), 0)
    best: tuple[float, _Placed] = (np.inf, (corners[0, 0], size, points[0]))
    for place in np.argsort(cost, axis=None, kind="stable")[:TRIED]:
        i, j = np.unravel_index(place, cost.shape)
        corner, point = corners[i, j], points[gaps[:, i, j].argmin()]
        crossed = _dense(np.array([np.clip(point, corner, corner + size), point])).astype(int)[: -CLOSE - 1]
        crossed = np.clip(crossed, 0, np.array(ground.shape[::-1]) - 1)
        total = cost[i, j] + ground[crossed[:, 1], crossed[:, 0]].sum()
        best = min(best, (total, (corner, size, point)), key=lambda found: found[0])
    return best[1]
