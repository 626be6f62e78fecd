"""The styles of the experiments, erased as someone would who names nothing else."""

from __future__ import annotations

from scapre.concepts.styles import EXAMPLES
from scapre.experiments.styles import NOTHING_ELSE, plain_style_cases, style_cases


def test_a_plain_call_names_styles_and_is_judged_by_the_pictures_of_the_others() -> None:
    (plain,), (told,) = plain_style_cases([3], [1], 30), style_cases(["staged"], [3], [1], 30)
    assert plain.pictures.equals(told.pictures)
    assert set(plain.targets) == {f"{style} style" for style in told.pictures.query("side == 'unlearn'")["style"]}
    assert (list(plain.retained), plain.settings, plain.options) == ([], {}, {"templates": None})
    assert plain.labels["point"] == NOTHING_ELSE
    assert not set(plain.pictures["concept"]) & set(EXAMPLES)  # what a style is shown behind is never drawn
