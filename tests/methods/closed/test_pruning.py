"""Theorems of FIA: what it reads, what it marks, what it leaves alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import scapre
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import marked_one_by_one
from safetensors.torch import load_file
from scapre.methods.closed.fia import column_lengths, concept_specific, contrast, feed_forwards, prune, sensitive
from scapre.model.fingerprint import fingerprint
from toys import tiny_pipe
from trained_toys import tiny_pipeline
from transformers import CLIPTextModel, PreTrainedTokenizerFast

FOLDER = Path(__file__).parents[2] / "conformance"
HOW = {"first_steps": 2, "total_steps": 5}
SHARES = {"share": 0.05, "time_share": 0.1, "agreement": 0.6}
PAIRS = [(["a cat", "cat"], ["a", "sun"]), (["a dog", "dog"], ["a", "sun"]), (["a boat", "boat"], ["a", "sun"])]
shapes = settings(max_examples=25, deadline=None)


@pytest.fixture(scope="module")
def released() -> Any:
    """The conformance pipeline, with a scheduler and a VAE that nothing reads."""
    pipe = StableDiffusionPipeline(
        vae=AutoencoderKL(
            block_out_channels=(8, 8),
            norm_num_groups=4,
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
        ),
        unet=UNet2DConditionModel.from_pretrained(FOLDER / "pipeline" / "unet", use_safetensors=True).eval(),
        text_encoder=CLIPTextModel.from_pretrained(FOLDER / "pipeline" / "text_encoder").eval(),
        tokenizer=PreTrainedTokenizerFast.from_pretrained(FOLDER / "pipeline" / "tokenizer"),
        scheduler=DDIMScheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.mark.parametrize("name", json.loads((FOLDER / "pruning.json").read_text()))
@pytest.mark.filterwarnings("ignore")  # diffusers on schedulers without clip_sample
def test_the_released_code_prunes_the_same(released: Any, name: str) -> None:
    case = json.loads((FOLDER / "pruning.json").read_text())[name]
    edited = prune(released, case["pairs"], [case["seed"]] * 4, **case["settings"])
    expected = load_file(FOLDER / f"{name}.safetensors")
    assert set(edited) == set(expected)
    for key, weight in edited.items():
        original = released.unet.get_parameter(key)
        assert torch.equal(weight == 0, expected[key] == 1)
        assert torch.equal(weight[expected[key] == 0], original[expected[key] == 0])
        assert 0 < expected[key].float().mean() < 0.05


@shapes
@given(st.integers(2, 9), st.integers(2, 40), st.integers(1, 4), st.integers(0, 99), st.sampled_from([0.03, 0.2, 0.7]))
def test_marks_are_those_of_the_definition(rows: int, columns: int, steps: int, seed: int, share: float) -> None:
    g = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, columns, generator=g, dtype=torch.float64)
    told = torch.randn(steps, columns, generator=g, dtype=torch.float64).clamp(min=0)
    marks = sensitive(weight, told, 0.3, share)
    assert torch.equal(marks, marked_one_by_one(weight, told, 0.3, share))
    assert marks.sum() <= max(1, int(share * weight.numel()))
    assert marks.sum(1).max() <= max(1, int(share * columns))
    assert not marks[:, told.sum(0) == 0].any()


def test_nothing_is_marked_where_a_concept_is_like_its_surroundings() -> None:
    lengths = torch.rand(4, 3, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert (contrast(lengths, lengths) == 0).all()
    assert not sensitive(torch.ones(5, 10).double(), contrast(lengths, lengths), 0.05, 0.5).any()
    expected = (lengths + 1).mean(0) - lengths.mean(0) - lengths.var(0, correction=0).sqrt()
    assert torch.allclose(contrast(lengths + 1, lengths), expected)


def test_what_concepts_share_is_spared_and_one_concept_shares_with_none() -> None:
    count = torch.tensor([[4, 2, 0]])  # of five
    assert concept_specific(count, 5, 0.6).tolist() == [[False, True, False]]
    assert concept_specific(count, 5, 1.0).tolist() == [[True, True, False]]
    assert concept_specific(torch.tensor([[1, 0]]), 1, 0.6).tolist() == [[True, False]]
    assert concept_specific(torch.tensor([[2, 1]]), 2, 0.6).tolist() == [[False, True]]


def test_reading_draws_no_further_than_asked_and_changes_nothing() -> None:
    pipe, calls = tiny_pipeline(), []
    before = fingerprint(pipe.unet.state_dict())
    hook = pipe.unet.register_forward_pre_hook(lambda *_: calls.append(1))
    lengths = column_lengths(pipe, ["a cat", "a dog", "sun"], [0, 0, 5], **HOW)
    hook.remove()
    assert len(calls) == 2
    assert set(lengths) == set(feed_forwards(pipe.unet))
    for name, layer in feed_forwards(pipe.unet).items():
        assert lengths[name].shape == (3, 2, layer.in_features)
    alone = column_lengths(pipe, ["a dog"], [0], **HOW)  # neither the batch nor neighbours change a prompt's lengths
    assert all(torch.allclose(lengths[name][1], alone[name][0], atol=1e-4) for name in lengths)
    assert not any(torch.allclose(lengths[name][0], alone[name][0], atol=1e-4) for name in lengths)
    assert not any(layer._forward_pre_hooks for layer in feed_forwards(pipe.unet).values())
    assert fingerprint(pipe.unet.state_dict()) == before


def test_lengths_are_of_rows_of_length_one() -> None:
    pipe, seen = tiny_pipeline(), []
    name, layer = next(iter(feed_forwards(pipe.unet).items()))
    hook = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].double()))
    lengths = column_lengths(pipe, ["a cat"], [3], **HOW)[name]
    hook.remove()
    for step in range(2):
        rows = (seen[step] / seen[step].norm(dim=-1, keepdim=True)).flatten(0, 1)  # both halves of the guidance
        assert torch.allclose(lengths[0, step], rows.norm(dim=0), atol=1e-12)


def test_the_share_asked_for_is_zeroed_and_nothing_else_moves() -> None:
    pipe = tiny_pipeline()
    one = prune(pipe, PAIRS[:1], [0, 1], **SHARES, **HOW)
    every = prune(pipe, PAIRS, [0, 1], **SHARES, **HOW)
    backwards = prune(pipe, PAIRS[::-1], [0, 1], **SHARES, **HOW)
    assert set(one) == {f"{name}.weight" for name in feed_forwards(pipe.unet)}
    for name, weight in one.items():
        original = pipe.unet.get_parameter(name)
        zeroed = weight != original
        assert (weight[zeroed] == 0).all()
        assert 0 < zeroed.sum() <= int(SHARES["share"] * weight.numel())
        assert torch.equal(every[name], backwards[name])
        assert (every[name] != original).sum() <= 3 * int(SHARES["share"] * weight.numel())


def test_no_targets_leave_every_bit() -> None:
    pipe = tiny_pipeline()
    assert all(torch.equal(w, pipe.unet.get_parameter(n)) for n, w in prune(pipe, [], [0], **SHARES, **HOW).items())


def test_erase_prunes_and_undoes_bit_for_bit() -> None:
    pipe, options = tiny_pipeline(), {"method": "fia", "progress": False, "share": 0.02, "draws": 2, **HOW}
    before = fingerprint(pipe.unet.state_dict())
    patch = scapre.erase(pipe, ["cat", "dog"], retained=["sun"], **options)
    again = scapre.erase(pipe, ["dog", "cat"], retained=["sun"], **options)
    assert patch.changed.keys() == {f"{name}.weight" for name in feed_forwards(pipe.unet)}
    assert all(weight.equal(again.edited[name]) for name, weight in patch.edited.items())
    with patch.applied(pipe):
        assert fingerprint(pipe.unet.state_dict()) != before
    assert fingerprint(pipe.unet.state_dict()) == before
    other = scapre.erase(pipe, ["cat", "dog"], seed=4, **options)
    assert not all(weight.equal(other.edited[name]) for name, weight in patch.edited.items())


def test_a_pipeline_that_cannot_draw_is_refused() -> None:
    with pytest.raises(ValueError, match="fia looks at a pipeline while it draws; load a whole one"):
        scapre.erase(tiny_pipe(), ["cat"], method="fia", progress=False)
