"""Names beside what they name: none over another, none over a point, all on the page; with the published tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
from drawn import DRAWN
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from scapre.workbook.labels import broken, name_ends, name_points
from scapre.workbook.look import CONTRAST, METHOD_COLOURS, SMALL, legible, luminance, theme


@pytest.fixture(autouse=True)
def _look() -> Iterator[None]:
    theme()
    yield
    plt.close("all")


def box(text: Text) -> Bbox:
    return Text.get_window_extent(text)  # an annotation's own extent holds its line as well


def faults(figure: Figure) -> list[str]:
    """List names that touch one another, stand on a point, leave the page or are written too small."""
    figure.draw_without_rendering()
    words = [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible()]
    names = [t for ax in figure.axes for t in ax.texts]
    heads = [t for t in [figure._suptitle, *(part for ax in figure.axes for part in (ax.title, ax._left_title))] if t]
    heads = [t for t in heads if t.get_text()]
    found = [f"{t.get_text()}: {t.get_fontsize()} pt" for t in words if float(t.get_fontsize()) < SMALL]
    for one, two in combinations([*names, *heads], 2):
        if box(one).padded(-0.5).overlaps(box(two).padded(-0.5)):
            found.append(f"{one.get_text()} on {two.get_text()}")
    for ax in figure.axes:
        for name in ax.texts:
            inner = box(name).padded(-0.5)
            found += [f"{name.get_text()} over another panel" for other in figure.axes if other is not ax
                      and inner.overlaps(other.get_window_extent())]  # fmt: skip
            dots = [line for line in ax.lines if line.get_marker() not in ("None", "", None)]
            points = [xy for line in dots for xy in line.get_transform().transform(line.get_xydata())]
            found += [f"{name.get_text()} on a point" for x, y in points if inner.contains(x, y)]
    page = figure.bbox.padded(1)
    return found + [f"{t.get_text()} leaves the page" for t in [*names, *heads] if box(t).x1 > page.x1]


@pytest.mark.parametrize("draw", DRAWN, ids=lambda draw: draw.__name__)
def test_names_of_published_tables_can_be_read(draw: Callable[[], Figure]) -> None:
    assert faults(draw()) == []


def test_a_name_on_another_and_on_a_point_is_noticed() -> None:
    figure, ax = plt.subplots(layout="constrained")
    ax.plot([0.5], [0.5], "o")
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.text(0.48, 0.49, "over a point")
    ax.text(0.49, 0.49, "small", fontsize=6)
    found = faults(figure)
    assert any("6.0 pt" in said for said in found)
    assert any(" on small" in said for said in found)
    assert any("on a point" in said for said in found)


def test_names_of_close_lines_do_not_overlap() -> None:
    figure, ax = plt.subplots(figsize=(4, 3), layout="constrained")
    ax.set(xlim=(0, 1), ylim=(0, 100))
    ends = {name: (1.0, height) for name, height in zip("abcdef", (0, 1, 2, 50, 99.5, 100), strict=True)}
    name_ends({ax: ends}, dict.fromkeys(ends, "black"))
    figure.draw_without_rendering()
    boxes = sorted((box(t) for t in ax.texts), key=lambda box: box.y0)
    assert all(below.y1 <= above.y0 + 1 for below, above in pairwise(boxes))
    assert boxes[-1].y1 <= ax.get_window_extent().y1 + 2  # not in the panel's title
    assert [t.get_text() for t in sorted(ax.texts, key=lambda t: box(t).y0)] == list("abcdef")


def test_a_line_that_ends_early_is_named_where_it_ends() -> None:
    figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
    ax.plot([0, 5], [0, 1])
    ax.plot([0, 10], [1, 0])
    name_ends({ax: {"early": (5, 1), "late": (10, 0)}}, {"early": "red", "late": "blue"})
    figure.draw_without_rendering()
    at = {t.get_text(): box(t) for t in ax.texts}
    x, y = ax.transData.transform((5, 1))
    assert np.hypot(at["early"].x0 - x, at["early"].y0 - y) < 40
    assert at["late"].x0 > ax.get_window_extent().x1


def test_a_name_goes_to_the_nearest_place_that_is_free() -> None:
    figure, ax = plt.subplots(figsize=(4, 3), layout="constrained")
    crowd = np.random.default_rng(0).uniform(0, 40, (60, 2))
    ax.plot(*crowd.T, "o")
    ax.set(xlim=(0, 100), ylim=(0, 100))
    name_points({ax: {"in the crowd": [(20, 20)], "alone": [(80, 80)]}}, {"in the crowd": "red", "alone": "blue"})
    assert faults(figure) == []
    at = {t.get_text(): t for t in ax.texts}
    assert at["in the crowd"].arrow_patch is not None  # it stands apart, joined by a line
    assert at["alone"].arrow_patch is None


def test_long_names_are_broken_in_the_middle_and_formulas_are_not() -> None:
    assert broken("rece, validated, vocabulary kept") == "rece, validated,\nvocabulary kept"
    assert broken("short") == "short"
    assert broken(r"change $\Vert w - w_0 \Vert$ of all rows") == r"change $\Vert w - w_0 \Vert$ of all rows"


@pytest.mark.parametrize("colour", METHOD_COLOURS.values(), ids=METHOD_COLOURS)
def test_words_in_a_methods_colour_can_be_read(colour: str) -> None:
    dark = legible(colour)
    assert 1.05 / (luminance(tuple(int(dark[i : i + 2], 16) / 255 for i in (1, 3, 5))) + 0.05) >= CONTRAST - 0.05
    assert legible("#222222") == "#222222"
