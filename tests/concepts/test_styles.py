"""Styles among concepts: recognised, said as captions do, replaced by others."""

from __future__ import annotations

import pytest
from scapre.concepts.emoji import STYLES
from scapre.concepts.styles import in_captions, odd_styles, other_styles, styles_of


@pytest.mark.parametrize(
    ("phrases", "styles"),
    [
        (["ink style"], ["ink"]),
        (["Ink  Style", "claude monet style"], ["ink", "claude monet"]),
        (["ink style", "crown"], []),  # the others are objects
        (["ink"], []),  # may be what is in a bottle
        (["hair style"], []),  # nobody listed it
        ([], []),
    ],
)
def test_styles_are_known_names_and_the_word(phrases: list[str], styles: list[str]) -> None:
    assert styles_of(phrases) == styles


def test_a_style_is_replaced_by_one_that_is_kept_or_else_by_the_rest_of_its_list() -> None:
    assert other_styles(["ink"], []) == [style for style in STYLES if style != "ink"]
    assert other_styles(["ink"], ["crown", "flat style", "Noto style"]) == ["flat", "noto"]
    assert other_styles(list(STYLES), []) == []


def test_a_style_is_said_behind_objects_and_by_its_word_alone() -> None:
    said = in_captions("ink")
    assert "a picture of a crown in ink style" in said
    assert "a picture of a crown in ink" in said
    assert len(set(said)) == len(said)


@pytest.mark.parametrize("targets", [["ink style", "ink"], ["ink", "a crown in ink style", "in ink"], ["ink"]])
def test_a_style_beside_its_own_word_is_no_object(targets: list[str]) -> None:
    assert odd_styles(targets, ["flat style"], "name", nearest=True) == []


def test_objects_beside_styles_are_said() -> None:
    (line,) = odd_styles(["ink style", "bottle of ink"], ["flat"], "name", nearest=True)
    assert line.startswith("ink style is a style and others are not")
