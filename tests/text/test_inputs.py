"""The layers' true inputs, right by construction: held against what each family puts in front of them, by hand."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from dits import JOINT, PLAIN, small_dit
from scapre.concepts.lists import sentences_of
from scapre.maths.linalg import nearest
from scapre.model.capture import call_pipeline, read_layers
from scapre.text import inputs
from scapre.text.embeddings import Encoded, pair_contexts, pair_whole, reaching_back, remember_prompts
from scapre.text.inputs import _check_alone, front_of, read_inputs
from scapre.text.statistics import scaled, together
from scapre.text.streams import gather_streams
from toys import statistics, tiny_pipe

SENTENCES = ["cat", "a picture of a red car", ""]
LAST = {"cat": 0, "a picture of a red car": 5, "": 0}  # of content alone, without what stands before it


@cache
def pipe_of(family: str, reader: str = "t5") -> Any:
    return small_dit(family, reader=reader)


@torch.no_grad()
def by_hand(family: str, pipe: Any) -> dict[str, torch.Tensor]:
    """What layers read, from the pipeline's own encoding and the modules its source puts in front of them."""
    net, options = pipe.transformer, {"do_classifier_free_guidance": False, "device": "cpu"}
    if family == "pixart-sigma":
        hidden = pipe.encode_prompt(SENTENCES, clean_caption=False, **options)[0]
        return {"transformer_blocks.0.attn2.to_v": net.caption_projection(hidden)}
    if family == "sana":
        asked = pipe.__call__.__func__.__wrapped__.__defaults__[-1]
        hidden = pipe.encode_prompt(SENTENCES, complex_human_instruction=asked, **options)[0]
        return {"transformer_blocks.0.attn2.to_v": net.caption_norm(net.caption_projection(hidden))}
    if family == "hunyuan-dit":
        first, second = (pipe.encode_prompt(SENTENCES, text_encoder_index=i, **options)[0] for i in range(2))
        return {"blocks.0.attn2.to_v": first, "blocks.0.attn2.to_v#1": net.text_embedder(second)}
    if family == "lumina-next":
        hidden = pipe.encode_prompt(SENTENCES, **options)[0]
        return {f"layers.{i}.attn2.to_v": net.layers[i].norm1_context(hidden) for i in range(2)}
    if family == "qwen-image":
        return {"txt_in": net.txt_norm(pipe.encode_prompt(SENTENCES, device="cpu")[0])}
    if family == "flux":
        hidden, pooled, _ = pipe.encode_prompt(SENTENCES, device="cpu")
        return {"context_embedder": hidden, "time_text_embed.text_embedder.linear_1": pooled[:, None]}
    hidden, _, pooled, _ = pipe.encode_prompt(SENTENCES, None, None, **options)
    parts = {"context_embedder": hidden[:, :12], "context_embedder#1": hidden[:, 12:]}
    return parts | {"time_text_embed.text_embedder.linear_1": pooled[:, None]}


@pytest.mark.parametrize("family", [*PLAIN, *JOINT])
def test_what_lies_in_front_of_the_layers_is_in_what_they_read(family: str) -> None:
    pipe = pipe_of(family)
    wanted, found = by_hand(family, pipe), read_inputs(pipe, SENTENCES)
    assert set(found) == set(wanted)
    for name, read in found.items():
        assert read.live is not None
        for i in range(len(SENTENCES)):
            length = int(read.last[i]) + 1
            assert torch.allclose(read.hidden[i, :length], wanted[name][i, :length], atol=1e-4), name


@pytest.mark.parametrize(("family", "before"), [("pixart-sigma", 0), ("sana", 2), ("hunyuan-dit", 1), ("flux", 0)])
def test_the_last_content_token_is_found(family: str, before: int) -> None:
    """Sana's rows begin with the start token and the end of its instruction, BERT's with [CLS], T5's with content."""
    read = next(iter(read_inputs(pipe_of(family), SENTENCES[:2]).values()))
    assert read.last.tolist() == [LAST[each] + before for each in SENTENCES[:2]]


def test_layers_that_read_the_same_are_one_group() -> None:
    assert [len(layers) for layers in front_of(pipe_of("pixart-sigma")).groups.values()] == [4]
    assert [len(layers) for layers in front_of(pipe_of("lumina-next")).groups.values()] == [2, 2]
    assert front_of(tiny_pipe()).plain


@pytest.mark.parametrize("family", ["pixart-sigma", "hunyuan-dit", "lumina-next"])
def test_masked_padding_is_no_context(family: str) -> None:
    pipe = small_dit(family)
    asked: dict[str, Any] = {"anchors": "dog", "retained": ["a picture of a red car"]}
    before = gather_streams(pipe, ["cat"], **asked)
    for part in ("text_encoder", "text_encoder_2"):
        if (encoder := getattr(pipe, part, None)) is not None:
            encoder.get_input_embeddings().weight.data[0] += 9.0  # the padding token's
    after = gather_streams(pipe, ["cat"], **asked)
    for name, old in before.items():
        for moment in ("gram", "cross", "kept_gram"):
            assert torch.allclose(getattr(after[name], moment), getattr(old, moment), atol=1e-4), (name, moment)


def test_a_layer_that_reads_the_picture_too_is_refused() -> None:
    pipe = small_dit("sd3")
    pipe.transformer.transformer_blocks[0].attn.to_add_out.weight.data.mul_(50)  # what the picture adds to the text
    layer = "transformer_blocks.1.attn.add_k_proj"
    found, again = (read_layers(pipe, [layer], lambda s=s: call_pipeline(pipe, ["cat"], seed=s))[0] for s in range(2))
    with pytest.raises(ValueError, match="add_k_proj reads text that the picture or the timestep has already changed"):
        _check_alone(found, again)


def test_a_timestep_is_noticed_as_well() -> None:
    pipe = pipe_of("sd3")
    layer = "transformer_blocks.0.attn.add_k_proj"  # before any attention, behind a norm that reads the timestep
    found, again = (
        read_layers(pipe, [layer], lambda: call_pipeline(pipe, ["cat"]), hurry=factor)[0] for factor in (1.0, 0.5)
    )
    with pytest.raises(ValueError, match="the timestep has already changed"):
        _check_alone(found, again)


def test_encoders_that_read_both_ways_are_told_from_causal_ones() -> None:
    assert len(front_of(pipe_of("pixart-sigma")).both_ways) == 1
    assert front_of(pipe_of("sana")).both_ways == frozenset()
    assert front_of(pipe_of("sd3")).both_ways == {"context_embedder#1"}  # T5, not CLIP


def test_where_every_token_knows_the_name_all_its_tokens_are_contexts() -> None:
    pipe, name = pipe_of("pixart-sigma"), "red car"
    for sentences, before in (("name", 0), ("sentences", 4)):
        streams = gather_streams(pipe, [name], anchors="boat", templates=sentences)
        found, said = next(iter(streams.values())), sentences_of(sentences)[-1].format(name)
        rows = next(iter(read_inputs(pipe, [said]).values())).hidden[0, before:]
        rows = rows * front_of(pipe).scale(next(iter(streams))) * found.share**-0.5
        stands = found.contexts.targets[-1].any(-1)
        assert stands.sum() == 3  # two words and an end
        assert torch.allclose(found.contexts.targets[-1][stands], rows, atol=1e-4)


def test_anchors_chosen_later_are_paired_as_if_named() -> None:
    asked: dict[str, Any] = {"retained": ["boat", "a picture of a tree"], "templates": "sentences"}
    pipe, names = pipe_of("pixart-sigma"), ["red car", "cat"]
    for found in gather_streams(pipe, names, anchors=None, **asked).values():
        chosen = [asked["retained"][i] for i in nearest(found.targets, found.retained).tolist()]
        told = next(iter(gather_streams(pipe, names, anchors=chosen, **asked).values()))
        assert torch.allclose(found.gram, told.gram, atol=1e-4)
        assert torch.allclose(found.cross, told.cross, atol=1e-4)


def test_features_come_at_the_size_the_settings_are_chosen_for() -> None:
    for family in ("pixart-sigma", "flux"):
        for found in gather_streams(pipe_of(family), ["a cat", "a dog"], anchors="sun").values():
            assert found.targets.norm(dim=1).mean() == pytest.approx(28, rel=1e-4)


def test_tokens_of_a_name_beyond_its_replacements_answer_like_the_first_of_it() -> None:
    rows = torch.arange(1.0, 7.0)[None, :, None]
    target = Encoded(rows, torch.tensor([4]), torch.tensor([6]), both_ways=True, begins=torch.tensor([1]))
    anchor = Encoded(10 * rows, torch.tensor([2]), torch.tensor([4]), both_ways=True, begins=torch.tensor([1]))
    pairs = pair_contexts(target, anchor, torch.tensor([0]), ahead=5)
    both = torch.stack([pairs.targets[0, :, 0], pairs.anchors[0, :, 0]], 1)
    found = both[both[:, 0] != 0].tolist()
    assert found == [[2.0, 20.0], [3.0, 20.0], [4.0, 20.0], [5.0, 30.0], [6.0, 40.0]]
    assert pairs.last.tolist() == [5]


def test_a_list_reaches_back_from_where_its_names_begin() -> None:
    kept = torch.tensor([[0.0, 0.0, 3.0, 4.0], [0.0, 2.0, 3.0, 0.0]])[..., None]
    assert reaching_back(kept, torch.tensor([2, 2]))[..., 0].tolist() == [[3.0, 3.0, 3.0, 4.0], [2.0, 2.0, 3.0, 0.0]]
    assert reaching_back(kept, torch.tensor([0, 0])) is kept  # a causal encoder's


def test_whole_prompts_end_where_the_mask_ends() -> None:
    rows = torch.arange(1.0, 5.0)[None, :, None]
    pairs = pair_whole(
        Encoded(rows, torch.tensor([1]), torch.tensor([3])),
        Encoded(rows, torch.tensor([0]), torch.tensor([1])),
        torch.tensor([0]),
    )
    assert pairs.targets[0, :, 0].tolist() == [1.0, 2.0, 3.0, 0.0]
    assert pairs.anchors[0, :, 0].tolist() == [1.0, 1.0, 1.0, 1.0]


def test_streams_of_one_layer_weigh_the_same() -> None:
    large, small = statistics(seed=1), statistics(seed=2)
    shrunk = scaled(small, 1e-3)
    both = together([large, shrunk])
    assert len(both.targets) == 2 * len(large.targets)
    halves = both.contexts.targets.double().square().sum((1, 2)).chunk(2)
    assert torch.allclose(halves[0].sum(), halves[1].sum())
    assert torch.allclose(both.gram.trace(), large.gram.trace() + shrunk.gram.trace(), rtol=1e-4)
    # pairs stay pairs: the cross moment is that of each stream, scaled as its Gram is
    scale = [half.sum() / each.gram.trace() for half, each in zip(halves, (large, shrunk), strict=True)]
    assert torch.allclose(both.cross, scale[0] * large.cross + scale[1] * shrunk.cross, rtol=1e-4, atol=1e-6)
    assert together([large]) is large


@pytest.mark.parametrize("family", ["pixart-sigma", "hunyuan-dit"])
def test_a_remembered_prompt_is_read_once_and_the_same(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, prompts = small_dit(family), ["cat", "a picture of a red car", "cat", "sun"]
    fresh = read_inputs(pipe, prompts)
    remember_prompts(pipe)
    read_inputs(pipe, prompts[1:])
    known = read_inputs(pipe, prompts)
    monkeypatch.setattr(inputs, "_ask", None)  # nobody is asked any more
    for name, read in read_inputs(pipe, prompts).items():
        for other in (fresh[name], known[name]):
            live = (torch.arange(read.hidden.shape[1]) < read.ends[:, None])[..., None]
            assert torch.allclose(read.hidden * live, other.hidden * live, atol=1e-5)
            assert torch.equal(read.last, other.last)
            assert torch.equal(read.ends, other.ends)
            assert read.both_ways == other.both_ways
