"""Figures of methods: what is coloured, what is grey, what is missing, and that all of it can be read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from scapre.workbook import comparisons, figures, grids, verdicts
from scapre.workbook.look import FAINT, SMALL, colour_of, message, theme

ARMS = [("unedited", "published"), ("staged", "published"), ("speed", "published"), ("speed", "validated")]
ARMS += [("speed", "published for many"), ("uce", "validated"), ("a new peer", "published")]


@pytest.fixture(autouse=True)
def _look() -> Iterator[None]:
    theme()
    yield
    plt.close("all")


def tidy() -> pd.DataFrame:
    """Means of seven arms at three counts; one arm lacks a count."""
    rows = [(m, p, n, k, 10.0 * i + n / 10) for i, (m, p) in enumerate(ARMS) for n in (10, 50, 200) for k in ("a", "b")]
    table = pd.DataFrame(rows, columns=["method", "point", "n", "measure", "mean"])
    return table[(table["point"] != "validated") | (table["n"] < 200)]


def letters(fig: Figure) -> list[Text]:
    return [t for t in fig.findobj(Text) if t.get_text().strip() and t.get_visible()]


def test_a_few_lines_are_coloured_and_named_and_the_others_are_grey() -> None:
    fig = comparisons.panels(
        tidy(), {"a": "first (%)", "b": "second"}, coloured=["staged", "speed, validated"], title="So it is"
    )
    left = fig.axes[0]
    colours = [line.get_color() for line in left.lines]
    assert colours.count(FAINT) == len(ARMS) - 3
    assert {colour_of("staged"), colour_of("speed"), colour_of("unedited")} < set(colours)
    assert {t.get_text() for t in left.texts} == {"staged", "speed, validated", "unedited"}
    assert message(fig) == "So it is"
    assert min(float(t.get_fontsize()) for t in letters(fig)) >= SMALL


def test_frontiers_shade_the_box_and_join_the_points_of_a_method() -> None:
    wide = tidy().pivot(index=["method", "point", "n"], columns="measure", values="mean").reset_index()
    table = wide.rename(columns={"a": "unlearn", "b": "preserve"})
    fig = comparisons.frontiers(table, panel="n", coloured=["staged", "speed"], title="t", box=(15, 80))
    assert [ax.get_title(loc="left") for ax in fig.axes] == ["$n = 10$", "$n = 50$", "$n = 200$"]
    box = next(p for p in fig.axes[0].patches if isinstance(p, Rectangle))
    assert tuple(box.get_bbox().extents) == (-3, 80, 15, 103)
    assert [len(line.get_xydata()) for line in fig.axes[0].lines if line.get_linestyle() == "-"].count(3) == 1
    assert {t.get_text() for t in fig.axes[2].texts} == {"staged", "speed", "unedited"}


def test_the_map_says_what_gave_out_and_leaves_holes_open() -> None:
    found = pd.DataFrame({10: ["inside", "targets"], 50: ["bystanders", None]}, index=["staged", "uce"])
    numbers = pd.DataFrame({10: [93.0, 56.0], 50: [40.0, np.nan]}, index=["staged", "uce"])
    fig = verdicts.verdict_map(found, numbers, title="t")
    assert [t.get_text() for t in fig.axes[0].texts] == ["93", "40", "56", "·"]
    assert len(fig.axes[0].patches) == 3
    legend = {t.get_text() for t in fig.legends[0].get_texts()}
    assert legend == {text for _, text in verdicts.VERDICTS.values()}


def test_intervals_write_the_number_beside_a_row_with_and_without_interval() -> None:
    table = pd.DataFrame({"who": ["staged", "uce"], "n": [160.0, 10], "low": [95, np.nan], "high": [220, np.nan]})
    fig = verdicts.intervals(table, name="who", value="n", coloured=["staged"], title="t", xlabel="n")
    assert [t.get_text() for t in fig.axes[0].texts] == ["160", "10"]


def test_times_at_one_count_are_a_number_a_method_and_at_several_a_curve() -> None:
    table = pd.DataFrame({"method": ["uce", "staged"], "n": 50, "total": [4.0, 0.25], "floor": 1.0, "naive": 9.0})
    fig = verdicts.times(table, "sd1", "all")
    assert [t.get_text() for t in fig.axes[0].texts] == ["0.25", "4.00"]
    assert message(fig) == "50 concepts at the shapes of sd1: 0.2 s (staged) to 4.0 s (uce)"
    fig = verdicts.times(table.assign(n=[1, 50]), "sd1", "staged")
    assert {t.get_text() for t in fig.axes[0].texts} == {"total", "floor", "naive"}
    assert message(fig) == "staged at the shapes of sd1 takes 4.0 s for 1 and 0.2 s for 50 targets"


def test_one_panel_a_method() -> None:
    table = pd.DataFrame({"method": ["staged", "uce", "uce"], "unlearn": [1.0, 5, 50], "preserve": [95.0, 80, 90]})
    fig = comparisons.one_by_one(table, table[:2], table, title="t", box=(15, 80))
    assert [ax.get_title(loc="left") for ax in fig.axes] == ["staged", "uce"]


def test_lines_of_many_kinds_colour_five_and_panels_stand_side_by_side() -> None:
    rows = [(f"kind {k}", x, x * k, "left" if x % 2 else "right") for k in range(1, 8) for x in range(1, 7)]
    table = pd.DataFrame(rows, columns=["kind", "x", "y", "part"])
    fig = figures.lines(table, x="x", y="y", hue="kind", xlabel="x", panel="part", title="t", log="xy")
    assert [ax.get_title(loc="left") for ax in fig.axes] == ["left", "right"]
    assert [line.get_color() for line in fig.axes[0].lines].count(FAINT) == 2
    assert {t.get_text() for t in fig.axes[1].texts} == {f"kind {k}" for k in range(1, 6)}


def test_what_became_of_concepts_one_row_a_method() -> None:
    rows = [
        (m, s, f"{s} {i}", f"word {i}", s != "unlearn") for m in ("unedited", "ours") for s in SIDES for i in (0, 1)
    ]
    table = pd.DataFrame(rows, columns=["method", "side", "concept", "seen", "right"])
    blocks = {"erased": ["unlearn"], "stays": ["preserve", "bystander"]}
    images = torch.zeros(len(table), 8, 8, 3, dtype=torch.uint8)
    fig = grids.fates(images, table, rows={"unedited": "before", "ours": "after"}, blocks=blocks, title="t")
    shown = [ax for ax in fig.axes if ax.images]
    assert len(shown) == len(table)
    words = [ax.get_xlabel().replace("\n", " ") for ax in shown]
    assert words[:4] == ["unlearn 0", "unlearn 1", "word 0", "word 1"]
    assert min(float(t.get_fontsize()) for t in letters(fig)) >= SMALL


SIDES = ("unlearn", "preserve", "bystander")


def test_captions_stay_below_their_pictures() -> None:
    images = torch.zeros(13, 8, 8, 3, dtype=torch.uint8)
    words = ["wastebasket", "computer mouse", "doughnut", "building construction", "cat", "american football", "dress"]
    fig = grids.picture_grid(images, 13, captions=[*words, *words[:6]], row_names=["octopus\n(erased)"], title="t")
    fig.draw_without_rendering()
    boxes = [ax.xaxis.label.get_window_extent() for ax in fig.axes]
    assert all(left.x1 <= right.x0 for left, right in pairwise(boxes))
    assert fig.axes[0].get_xlabel().replace("-\n", "").strip() == "wastebasket"
    assert fig.axes[4].get_xlabel() == "cat\n\n"  # all captions are as high as the highest
