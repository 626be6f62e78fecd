"""Keys and outputs of feed-forwards, as the text encoder itself computes them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from scapre.model.weights import part_of
from scapre.text.embeddings import tokens_of
from scapre.text.inner import key_moments, places_of, read_inner
from toys import tiny_pipe, tiny_xl_pipe

PROMPTS = ["cat", "a picture of a dog", "lemon"]


def by_hand(pipe, place: str) -> tuple[torch.Tensor, torch.Tensor]:
    part, inner = part_of(place)
    encoder, found = getattr(pipe, part), {}
    block = encoder.get_submodule(inner.removesuffix(".mlp.fc2.weight"))
    hook = block.mlp.register_forward_hook(lambda module, x, y: found.update(x=x[0], y=y))
    with torch.no_grad():
        states = encoder(tokens_of(pipe, PROMPTS).input_ids, output_hidden_states=True).hidden_states
        hook.remove()
        keys = block.mlp.activation_fn(block.mlp.fc1(found["x"]))
    return keys, states[int(inner.split("layers.")[1].split(".")[0]) + 1]


def test_keys_and_outputs_are_those_of_the_whole_run() -> None:
    pipe = tiny_pipe()
    for place in places_of(pipe, 1):
        found = read_inner(pipe, [place], PROMPTS)[place]
        keys, outputs = by_hand(pipe, place)
        assert torch.allclose(found.keys, keys, atol=1e-6)
        assert torch.allclose(found.outputs, outputs, atol=1e-6)
        assert found.last.tolist() == [1, 5, 1]


def test_moments_are_sums_over_all_positions_and_means_over_prompts() -> None:
    pipe = tiny_pipe()
    places = places_of(pipe, 2)
    moments = key_moments(pipe, places, PROMPTS)
    for place in places:
        keys = read_inner(pipe, places, PROMPTS)[place].keys.double()
        assert torch.allclose(moments[place], torch.einsum("mtf,mtg->fg", keys, keys) / 3, atol=1e-5)
        assert not key_moments(pipe, places, [])[place].any()


def test_both_encoders_of_sdxl_are_places_block_by_block() -> None:
    pipe = tiny_xl_pipe()
    places = places_of(pipe, 2)
    assert [part_of(place)[0] for place in places] == ["text_encoder", "text_encoder_2"] * 2
    assert ["layers.0" in place for place in places] == [True, True, False, False]
    assert read_inner(pipe, places, PROMPTS)[places[1]].keys.shape[0] == 3


def test_an_encoder_without_such_blocks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Linear has no feed-forwards .* set blocks=0"):
        places_of(SimpleNamespace(text_encoder=torch.nn.Linear(2, 2)), 1)


def test_an_encoder_of_fewer_blocks_gives_all_it_has() -> None:
    assert places_of(tiny_pipe(), 9) == places_of(tiny_pipe(), 2)
    assert places_of(tiny_pipe(), 0) == []
