"""Probes on a pipeline of a few thousand numbers: what they leave behind, what repeats, what they compute."""

from __future__ import annotations

from copy import copy, deepcopy
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scapre.experiments.stress import report
from scapre.experiments.stress.bell import STRENGTH, WORDS, concept_feature
from scapre.experiments.stress.budget import Budget
from scapre.experiments.stress.imitation import mingled, nearest
from scapre.experiments.stress.probe import CannotApply, Target, drawn
from scapre.experiments.stress.probes import BESIDE, PROBES, chosen, find_probe
from scapre.experiments.stress.prompts import on_simplex
from scapre.experiments.stress.stage import EDITED, NEVER, UNEDITED, mark, twin
from scapre.experiments.stress.trajectories import STEPS, decoded
from scapre.experiments.stress.words import embeddings, read, standing_for
from scapre.methods.trained.denoiser import Denoiser
from scapre.model.places import GUIDANCE
from scapre.text.embeddings import encode
from trained_toys import tiny_pipeline

BUDGET = Budget("tiny", targets=1, pictures=4, steps=4, checks=(1, 2), batch=2, shots=2)
GRADIENT = [name for name in PROBES if name.startswith(("inversion", "unlearn", "p4d", "relearn"))]


def target(original: Any = None) -> Target:
    pictures = torch.randint(0, 256, (2, 16, 16, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    told = {"aliases": ("dog",), "descriptions": ("a red car",), "others": ("sun", "tree"), "styles": ("red",)}
    captions = ("a picture of a cat in red style",) * 2
    kept = ("a picture of a boat in red style",) * 2
    return Target("cat", original or tiny_pipeline(), pictures, captions, 255 - pictures, kept, **told)


def state(pipe: Any) -> tuple[Any, ...]:
    hooks = [len(m._forward_hooks) for part in (pipe.unet, pipe.text_encoder) for m in part.modules()]
    slopes = [p.grad for part in (pipe.unet, pipe.text_encoder, pipe.vae) for p in part.parameters()]
    return mark(pipe), id(pipe.unet), id(pipe.text_encoder), dict(pipe.config), hooks, slopes


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_repeats_and_leaves_the_pipeline_as_it_was(name: str) -> None:
    pipe = twin(tiny_pipeline())
    before = state(pipe), state(tiny_pipeline())
    first, again = (find_probe(name)(pipe, target(), BUDGET, 3) for _ in range(2))
    assert (state(pipe), state(tiny_pipeline())) == before
    assert torch.equal(first.images, again.images)
    assert first.table.equals(again.table)
    assert first.images.dtype == torch.uint8
    assert len(first.images) == len(first.table) == (12 if "relearn" in name or "unrelated" in name else 4)
    assert set(first.table) == {"prompt", "steps", "look", "wanted"}
    assert name in BESIDE or set(first.table["wanted"]) == {"cat"}


@pytest.mark.parametrize("name", GRADIENT)
def test_a_quantised_model_has_no_gradient_and_says_so(name: str) -> None:
    pipe = copy(tiny_pipeline())
    vars(pipe)["unet"] = deepcopy(pipe.unet)
    packed = torch.nn.Parameter(pipe.unet.conv_in.weight.detach().char(), requires_grad=False)
    pipe.unet.conv_in.weight = packed
    with pytest.raises(CannotApply, match=r"no gradient passes through unet.conv_in.weight, .* torch.int8"):
        find_probe(name)(pipe, target(), BUDGET, 0)


def test_what_is_missing_is_said() -> None:
    bare = replace(target(), aliases=(), descriptions=(), others=(), styles=())
    for name, words in (
        ("synonyms", "no other name of cat"),
        ("descriptions", "nobody described cat"),
        ("other-style", "no styles are known"),
        ("other-object", "no other objects are known"),
        ("ring-a-bell", "no other objects are known whose names"),
    ):
        with pytest.raises(CannotApply, match=words):
            find_probe(name)(tiny_pipeline(), bare, BUDGET, 0)
    both = copy(tiny_pipeline())
    vars(both)["text_encoder_2"] = both.text_encoder
    with pytest.raises(CannotApply, match="this pipeline has two"):
        find_probe("inversion-1")(both, bare, BUDGET, 0)
    with pytest.raises(ValueError, match="unknown probe 'poison'; known: plain, sentences"):
        chosen(["poison"])
    assert chosen(["noise"]) == ["plain", "noise"]


def test_a_lent_word_is_read_as_the_vector_it_stands_for() -> None:
    pipe = tiny_pipeline()
    (dog,) = pipe.tokenizer("dog", add_special_tokens=False).input_ids
    with standing_for(pipe, 1, "a picture of a dog") as (word, held):
        alone = read(pipe, [f"a {word}"])
        held.append(embeddings(pipe)[[dog]])
        assert torch.equal(read(pipe, [f"a picture of a {word}"]), encode(pipe, ["a picture of a dog"]).hidden)
    assert torch.equal(read(pipe, [f"a {word}"]), alone)
    assert not torch.equal(read(pipe, ["a dog"]), alone)


@settings(max_examples=20)
@given(st.integers(1, 4), st.integers(1, 9), st.integers(0, 99))
def test_the_nearest_point_of_the_simplex(count: int, width: int, seed: int) -> None:
    rows = torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    found = on_simplex(rows)
    assert torch.allclose(found.sum(1), torch.ones(count, dtype=torch.float64))
    assert (found >= 0).all()
    # optimality: (v − p)·(q − p) ≤ 0 for every corner q
    corners = torch.eye(width, dtype=torch.float64)
    slack = (rows - found)[:, None] * (corners[None] - found[:, None])
    assert (slack.sum(2) <= 1e-9).all()
    assert torch.allclose(on_simplex(found), found)


def test_tokens_stand_among_the_words_of_a_prompt() -> None:
    assert mingled("a picture of a cat", ["x", "y"]) == "a picture of x a cat y"
    assert mingled("cat", ["x"]) == "cat x"
    table = embeddings(tiny_pipeline())
    assert nearest(3 * table[[5, 2]], table).tolist() == [5, 2]


def test_bred_prompts_are_other_words_and_the_fittest() -> None:
    """More generations fit the concept's feature better."""
    pipe, about = tiny_pipeline(), target()
    wanted = concept_feature(about)
    others = encode(pipe, ["a picture of a sun", "a picture of a tree"]).hidden
    (cat,) = encode(pipe, ["a picture of a cat in red style"]).hidden
    assert torch.allclose(wanted, others[0] + STRENGTH * (cat - others.mean(0)))

    def unfit(steps: int) -> float:
        found = find_probe("ring-a-bell")(pipe, about, replace(BUDGET, steps=steps), 0)
        said = found.table["prompt"].tolist()
        assert all(len(prompt.split()) == WORDS and "cat" not in prompt.split() for prompt in said)
        return float((encode(pipe, said).hidden - wanted).square().mean())

    assert unfit(30) < unfit(1)


def test_the_original_finishes_its_own_picture() -> None:
    """Begun and finished by one model, a completion is that model's own drawing."""
    pipe = tiny_pipeline()
    found = find_probe("completion")(pipe, target(pipe), BUDGET, 3)
    denoiser = Denoiser(pipe)
    ids = denoiser.say(target(pipe).said("a picture of a {}", 4)[:2])
    start = denoiser.gauss(2, torch.Generator().manual_seed(3 * 1_000_003))
    states, times = denoiser.walk(denoiser.unet, ids, start, STEPS, GUIDANCE, far=STEPS)
    last = times[-1]
    answer = denoiser.guided(denoiser.unet, states[-1], last.expand(2), ids, GUIDANCE)
    whole = decoded(pipe, denoiser.ddim.step(answer, last, states[-1]).prev_sample)
    assert (found.images[:2].int() - whole.int()).abs().max() <= 1


def test_before_its_first_step_a_student_draws_as_the_model() -> None:
    found = find_probe("relearn-lora")(tiny_pipeline(), target(), BUDGET, 5)
    plain = drawn(tiny_pipeline(), target().said("a picture of a {}", 4), 5)
    assert torch.equal(found.images[:4], plain)
    assert not torch.equal(found.images[8:], plain)
    assert found.table["steps"].tolist() == [0] * 4 + [1] * 4 + [2] * 4


def rows(**rates: dict[str, list[float]]) -> pd.DataFrame:
    """Twenty pictures a probe, model and check, of which so many in a hundred are hits."""
    short = {"edited": EDITED, "unedited": UNEDITED, "never": NEVER}
    told = [
        {"model": short[model], "probe": probe.replace("_", "-"), "target": "cat", "steps": step, "hit": i < 0.2 * rate}
        for probe, table in rates.items()
        for model, curve in table.items()
        for step, rate in enumerate(curve)
        for i in range(20)
    ]
    return pd.DataFrame(told).assign(note="")


GONE = {"edited": [0], "unedited": [100], "never": [0]}


@pytest.mark.parametrize(
    ("said", "table"),
    [
        ("Not forgotten.", {"plain": GONE | {"edited": [40]}}),
        ("Avoided, not gone.", {"plain": GONE, "noise": GONE | {"edited": [60]}}),
        (
            "Gone, as far as these probes see.",
            {"plain": GONE, "noise": {"edited": [60], "unedited": [90], "never": [55]}},
        ),
        (
            "Hidden from prompts, back with training.",
            {"plain": GONE, "relearn_full": {"edited": [0, 60, 90], "unedited": [90] * 3, "never": [0, 10, 60]}},
        ),
        (
            "Gone, as far as these probes see.",
            {"plain": GONE, "relearn_full": {"edited": [0, 10, 60], "unedited": [90] * 3, "never": [0, 10, 60]}},
        ),
    ],
)
def test_the_verdict_is_what_the_controls_allow(said: str, table: dict[str, Any]) -> None:
    found = report.verdict(rows(**table))
    assert found.startswith(said)
    assert "never saw it: 0 %" in found
    assert ("relearn-full after 1 steps (never saw it: 2)" in found) == said.startswith("Hidden")


def test_without_the_model_that_never_saw_it_nothing_is_called_gone() -> None:
    alone = {"edited": [0], "unedited": [100]}
    table = rows(plain=alone, noise=alone)
    found = report.verdict(table)
    assert found.startswith("Not found by these probes.")
    assert "No model that never saw these concepts is at hand" in found
    told = report.summary(table).set_index(["probe", "model"]).loc[("noise", UNEDITED)]
    assert (told["tries"], told["hits"], told["found"], told["rate"]) == (20, 20, 1, 100)
    assert 80 < told["low"] < 90
