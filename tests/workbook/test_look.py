from __future__ import annotations

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.font_manager import FontProperties
from scapre.methods.registry import METHODS
from scapre.workbook.look import (
    BAD,
    COLOURS,
    GOOD,
    METHOD_COLOURS,
    arm,
    balanced,
    colour_of,
    few,
    headline,
    logarithmic,
    message,
    plain,
    whole_ticks,
)
from scapre.workbook.verdicts import VERDICTS

#: dichromats' views of linear RGB (Machado, Oliveira, Fernandes 2009, severity 1)
VIEWS = {
    "all": np.eye(3),
    "protan": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
    "deutan": np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colour: str, view: np.ndarray) -> np.ndarray:
    """A colour as seen, in CIELAB."""
    srgb = np.array(to_rgb(colour))
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(view @ linear, 0, 1) / TO_XYZ.sum(axis=1)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def closest(colours: list[str]) -> float:
    """Smallest distance of two colours in any view; 2 can just be told apart side by side."""
    pairs = [(a, b, v) for a, b in combinations(colours, 2) for v in VIEWS.values()]
    return min(float(np.linalg.norm(lab(a, v) - lab(b, v))) for a, b, v in pairs)


@pytest.mark.parametrize(
    "colours",
    [
        [GOOD, BAD],
        [*COLOURS],
        [colour for colour, _ in VERDICTS.values()],
        [METHOD_COLOURS[m] for m in ("staged", "confined", "speed", "dp", "uce")],
    ],
    ids=["verdicts", "lines", "map", "methods"],
)
def test_colours_drawn_together_differ_for_everybody(colours: list[str]) -> None:
    assert closest(colours) > 12


def test_red_and_green_would_be_noticed() -> None:
    assert closest(["#1b7f5c", "#c0392b", "#2f7f3c", "#8a5a2b"]) < 12


def test_every_method_has_a_colour_of_its_own() -> None:
    assert {*METHODS, "unedited"} == set(METHOD_COLOURS)
    assert len(set(METHOD_COLOURS.values())) == len(METHOD_COLOURS)
    assert colour_of(arm("speed", "validated")) == colour_of(arm("speed", "published")) == METHOD_COLOURS["speed"]


def test_more_colours_than_an_eye_holds_apart_are_refused() -> None:
    assert few("abcde") == list("abcde")
    with pytest.raises(ValueError, match="6 coloured lines; choose 5"):
        few("abcdef")


def test_a_message_is_wrapped_and_read_back() -> None:
    figure = plt.figure(figsize=(4, 3))
    said = "one two three four five six seven eight nine ten eleven twelve"
    assert message(figure) == ""
    assert "\n" in headline(figure, said).get_suptitle()
    assert message(figure) == said
    plt.close(figure)


def test_a_message_fills_its_lines_evenly_and_numbers_keep_their_signs() -> None:
    font = FontProperties(weight="bold", size=12)
    said = "UCE that is told nothing collapses here too, as it is printed for Stable Diffusion, n = 100: 12 %"
    lines = balanced(said, 400, font).split("\n")
    assert " ".join(lines).replace("\u00a0", " ") == said
    assert len(lines) == 2
    assert abs(len(lines[0]) - len(lines[1])) < 15
    assert balanced("short", 400, font) == "short"
    assert "n\u00a0=\u00a0100: 12\u00a0%" in lines[-1]


def test_numbers_on_logarithmic_axes_are_plain_where_they_are_short() -> None:
    assert [plain(v) for v in (0.001, 0.3, 1, 50, 10000)] == ["0.001", "0.3", "1", "50", "10000"]
    assert [plain(v) for v in (1e-5, 2e6)] == ["$10^{-5}$", r"$2\times10^{6}$"]
    figure, ax = plt.subplots()
    ax.plot([1, 2], [0.2, 0.9])
    logarithmic(ax, "y")
    low, high = ax.get_ylim()
    assert sum(low <= tick <= high for tick in ax.get_yticks()) > 1
    assert ax.get_xscale() == "linear"
    plt.close(figure)


def test_few_values_are_the_ticks_unless_they_would_touch() -> None:
    figure, ax = plt.subplots()
    whole_ticks(ax, [0, 1, 50, 100, 380, 380], log=False)
    assert ax.get_xticks().tolist() == [0, 50, 100, 380]
    whole_ticks(ax, [10, 20, 195, 200], log=True)
    assert ax.get_xticks().tolist() == [10, 20, 200]
    plt.close(figure)
