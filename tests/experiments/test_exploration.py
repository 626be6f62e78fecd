from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch
from scapre import load_pipeline
from scapre.concepts.names import ConceptError
from scapre.experiments.exploration import CHANGE, GATE, Choices, Exploration, explore, remembering
from scapre.experiments.explorer import SILENCE, STALE, Explorer, debounced
from scapre.methods.registry import SOLVERS
from scapre.model.projections import read_projections
from scapre.pictures.judges import Judges, load_judges
from scapre.text.embeddings import remember_prompts
from scapre.workbook.look import theme

CHOICES = Choices(("dog",), ("wolf",), keep_all=False, styles=("fluent",))
NAMES = ("dog", "wolf", "lemon")


@pytest.fixture(autouse=True)
def no_loop() -> Iterator[None]:
    """Where the browser's tests came first, their event loop still runs in this thread; it is not the explorer's."""
    others = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    yield
    asyncio._set_running_loop(others)


@pytest.fixture(scope="module")
def stage() -> tuple[Any, Judges]:
    theme()
    pipe = load_pipeline()
    remember_prompts(pipe)
    return pipe, load_judges()


class Look:
    """Note what the widgets ask for and answer without drawing."""

    def __init__(self, answer: Exploration) -> None:
        self.answer, self.asked = answer, list[Choices]()

    def __call__(self, choices: Choices) -> Exploration:
        self.asked.append(choices)
        if not choices.targets:
            raise ConceptError("the list of targets is empty")
        return replace(self.answer, choices=choices)


@pytest.fixture(scope="module")
def answer(stage: tuple[Any, Judges]) -> Exploration:
    return explore(*stage, CHOICES)


@pytest.fixture
def look(answer: Exploration) -> Iterator[Look]:
    yield Look(answer)
    assert not plt.get_fignums()


def test_exploring_is_pure(stage: tuple[Any, Judges]) -> None:
    before = read_projections(stage[0].unet)
    one, two = (explore(*stage, CHOICES) for _ in range(2))
    assert all(torch.equal(w, before[n]) for n, w in read_projections(stage[0].unet).items())
    assert all(torch.equal(a, b) for a, b in zip(one.drawn, two.drawn, strict=True))
    pd.testing.assert_frame_equal(one.gates, two.gates)
    assert not torch.equal(*one.drawn)
    assert one.judged[0]["concept"].tolist() == ["dog", "wolf"]


@pytest.mark.parametrize("method", SOLVERS)
def test_every_method_can_be_explored(stage: tuple[Any, Judges], method: str) -> None:
    found = explore(*stage, replace(CHOICES, method=method))
    kinds = dict(list(found.gates.groupby("kind")["value"]))
    assert (GATE in kinds) == ("noise_sigma" in SOLVERS[method].defaults)
    if GATE in kinds:
        assert kinds[GATE].between(0, 1).all()
    assert all(values.is_monotonic_decreasing for values in kinds.values())
    assert (kinds[CHANGE] > 0).any()
    assert set(found.recognised()) == {"targets", "kept"}


def test_no_strength_changes_nothing_and_full_strength_is_the_edit(stage: tuple[Any, Judges]) -> None:
    found = explore(*stage, replace(CHOICES, strength=0.0))
    assert torch.equal(*found.drawn)
    assert (found.gates.loc[found.gates["kind"] == CHANGE, "value"] == 0).all()
    assert found.pictures().axes
    assert found.curves().axes
    plt.close("all")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": ("dgo",)}, "did you mean .*dog"),
        ({"targets": ()}, "targets is empty"),
        ({"kept": ("dog",)}, "both target and retained"),
        ({"strength": 1.5}, r"must lie in \[0, 1\], got 1.5"),
        ({"method": "magic"}, "unknown method"),
        ({"settings": (("sigma", 1.0),)}, "no setting sigma"),
        ({"styles": ("oil",)}, r"unknown styles \['oil'\]"),
        ({"styles": ()}, "choose from"),
    ],
)
def test_bad_choices_are_refused(stage: tuple[Any, Judges], change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        explore(*stage, replace(CHOICES, **change))


def test_results_are_remembered_by_their_choices(stage: tuple[Any, Judges]) -> None:
    look = remembering(*stage)
    assert look(CHOICES) is look(replace(CHOICES))
    assert look(replace(CHOICES, seed=1)) is not look(CHOICES)


def test_controls_stand_for_the_choices(look: Look) -> None:
    first = replace(CHOICES, settings=(("noise_sigma", 0.1), ("p", 2.0), ("erase_scale", 10.0), ("ridge", 5.0)))
    panel = Explorer(look, NAMES, first)
    assert bytes(panel.views["pictures"].value).startswith(b"\x89PNG")
    assert look.asked == [panel.choices] == [first]
    panel.controls["strength"].value = 0.5
    assert look.asked[-1] == replace(first, strength=0.5)
    panel.controls["method"].value = "uce"
    assert panel.controls["p"].disabled
    assert panel.choices.settings == (("erase_scale", 1.0), ("ridge", 0.5))
    panel.controls["method"].value = "scapre-basic"
    assert panel.choices.settings == (("noise_sigma", 0.01), ("p", 2.0), ("erase_scale", 1.0), ("ridge", 0.5))


def test_a_wrong_choice_is_said_and_leaves_the_picture_grey(look: Look) -> None:
    panel = Explorer(look, NAMES, CHOICES)
    panel.controls["targets"].value = []
    assert "the list of targets is empty" in panel.status.value
    assert STALE in panel.views["pictures"]._dom_classes
    panel.controls["targets"].value = ["dog"]
    assert "recognised after the edit" in panel.status.value
    assert STALE not in panel.views["pictures"]._dom_classes


def test_a_burst_of_changes_costs_one_computation(look: Look) -> None:
    panel = Explorer(look, NAMES, CHOICES)

    async def drag() -> None:
        for strength in (0.9, 0.8, 0.7):
            panel.controls["strength"].value = strength
            await asyncio.sleep(0.01)
        assert STALE in panel.views["curves"]._dom_classes
        assert len(look.asked) == 1
        await asyncio.sleep(SILENCE + 0.2)

    asyncio.run(drag())
    assert [c.strength for c in look.asked] == [1.0, 0.7]


def test_without_an_event_loop_a_trigger_works_at_once() -> None:
    seen: list[int] = []
    trigger = debounced(lambda: seen.append(1), 10.0)
    trigger()
    trigger()
    assert seen == [1, 1]


def test_an_error_of_any_kind_is_shown_and_waited_for_no_longer(look: Look, answer: Exploration) -> None:
    def fail(choices: Choices) -> Exploration:
        raise RuntimeError("out of <memory>")

    shown = Explorer(look, ["dog", "wolf"], CHOICES)
    shown._look = fail
    shown.controls["strength"].value = 0.5
    assert shown.status.value == "<b>RuntimeError: out of &lt;memory&gt;</b>"
