"""Reading a text encoder block by block while it is edited."""

from __future__ import annotations

import pytest
import torch
from scapre.model.weights import read_weights, write_weights
from scapre.text import inner, walking
from scapre.text.inner import places_of, read_inner
from scapre.text.walking import walk_inner, walk_outputs
from toys import tiny_pipe, tiny_xl_pipe

PROMPTS = ["cat", "a picture of a dog", "lemon"]


@pytest.mark.parametrize("held", [walking.HELD, 0])
@pytest.mark.parametrize("build", [tiny_pipe, tiny_xl_pipe])
def test_walking_reads_every_block_behind_the_edits_before_it(build, held: int, monkeypatch) -> None:
    monkeypatch.setattr(inner, "BATCH", 2)
    monkeypatch.setattr(walking, "HELD", held)
    pipe = build()
    places, g = places_of(pipe, 2), torch.Generator().manual_seed(0)
    before = read_weights(pipe, places)
    for place, found in walk_inner(pipe, places, PROMPTS):
        plain, batches = read_inner(pipe, [place], PROMPTS)[place], list(found)
        for name in ("keys", "outputs", "last"):
            read = torch.cat([getattr(batch, name) for batch in batches])
            assert torch.allclose(read, getattr(plain, name), atol=1e-5)
        write_weights(pipe, {place: before[place] + 0.1 * torch.randn(before[place].shape, generator=g)})


@pytest.mark.parametrize("build", [tiny_pipe, tiny_xl_pipe])
def test_outputs_are_those_of_the_unedited_encoder_whatever_is_written_behind_them(build) -> None:
    pipe = build()
    places = places_of(pipe, 2)
    plain, before = read_inner(pipe, places, PROMPTS), read_weights(pipe, places)
    for place, found in walk_outputs(pipe, places, PROMPTS):
        assert torch.allclose(found.hidden, plain[place].outputs, atol=1e-5)
        assert torch.equal(found.last, plain[place].last)
        write_weights(pipe, {place: 2 * before[place]})


@pytest.mark.parametrize(("held", "times"), [(walking.HELD, 1), (0, 2)])
def test_walking_runs_every_block_once_where_its_keys_are_held(held: int, times: int, monkeypatch) -> None:
    monkeypatch.setattr(walking, "HELD", held)
    pipe = tiny_pipe()
    places, seen = places_of(pipe, 2), []
    for name, module in pipe.text_encoder.named_modules():
        if name.endswith("self_attn"):
            module.register_forward_hook(lambda *_, name=name: seen.append(name))
    assert [place for place, found in walk_inner(pipe, places, PROMPTS) if list(found)] == places
    assert sorted(seen) == sorted(times * list(dict.fromkeys(seen)))
    assert len(seen) == 2 * times
