"""Weights of every part of a pipeline, by name."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from scapre.model.weights import part_of, read_weights, write_weights
from scapre.patch.patch import Patch
from toys import tiny_pipe

ENCODER = "text_encoder."


def names_of(pipe) -> tuple[str, str]:
    inside = next(n for n, _ in pipe.text_encoder.named_parameters() if n.endswith("layers.0.mlp.fc2.weight"))
    outside = next(n for n, _ in pipe.unet.named_parameters() if n.endswith("ff.net.2.weight"))
    return ENCODER + inside, outside


def moved(pipe, names) -> Patch:
    old = read_weights(pipe, names)
    return Patch(old, {name: weight + 0.25 for name, weight in old.items()}, {})


def test_weights_of_both_parts_are_read_and_written() -> None:
    pipe = tiny_pipe()
    names = names_of(pipe)
    assert [part_of(name)[0] for name in names] == ["text_encoder", "unet"]
    found = read_weights(pipe, [*names, "no.such.weight", "text_encoder_2.none"])
    assert list(found) == list(names)
    write_weights(pipe, {name: weight * 0 for name, weight in found.items()})
    assert all((weight == 0).all() for weight in read_weights(pipe, names).values())
    assert all((weight != 0).any() for weight in found.values()), "what was read is a copy"


def test_a_patch_of_both_parts_is_applied_and_undone_bit_for_bit() -> None:
    pipe = tiny_pipe()
    names = names_of(pipe)
    patch, before = moved(pipe, names), read_weights(pipe, names)
    with patch.applied(pipe):
        assert all(torch.equal(w, before[n] + 0.25) for n, w in read_weights(pipe, names).items())
    assert all(torch.equal(w, before[n]) for n, w in read_weights(pipe, names).items())


def test_each_part_reads_its_weights_by_plain_load_state_dict(tmp_path) -> None:
    pipe = tiny_pipe()
    names = names_of(pipe)
    patch = moved(pipe, names)
    state = load_file(patch.save(tmp_path / "both.safetensors"))
    assert set(state) == set(names)
    pipe.unet.load_state_dict(state, strict=False)
    inside = {n.removeprefix(ENCODER): w for n, w in state.items() if n.startswith(ENCODER)}
    pipe.text_encoder.load_state_dict(inside, strict=False)
    assert all(torch.equal(w, patch.edited[n]) for n, w in read_weights(pipe, names).items())


def test_nan_in_a_text_encoder_is_refused() -> None:
    pipe = tiny_pipe()
    name, _ = names_of(pipe)
    with torch.no_grad():
        pipe.text_encoder.get_parameter(name.removeprefix(ENCODER))[0, 0] = float("nan")
    with pytest.raises(ValueError, match="NaN or infinity"):
        read_weights(pipe, [name])


def test_a_patch_fits_text_encoders_of_older_and_newer_transformers() -> None:
    pipe = tiny_pipe()
    name, _ = names_of(pipe)
    inner = name.removeprefix(ENCODER)
    other = ENCODER + (inner.removeprefix("text_model.") if inner.startswith("text_model.") else "text_model." + inner)
    assert torch.equal(read_weights(pipe, [other])[other], read_weights(pipe, [name])[name])
    write_weights(pipe, {other: read_weights(pipe, [name])[name] * 0})
    assert not read_weights(pipe, [name])[name].any()


def test_a_part_of_a_patch_is_what_a_foreign_encoder_leaves() -> None:
    pipe = tiny_pipe()
    names = names_of(pipe)
    patch, before = moved(pipe, names), read_weights(pipe, names)
    with patch.part("unet").applied(pipe):
        now = read_weights(pipe, names)
        assert torch.equal(now[names[0]], before[names[0]])
        assert torch.equal(now[names[1]], before[names[1]] + 0.25)
    with pytest.raises(ValueError, match="edits text_encoder, unet, not 'vae'"):
        patch.part("vae")
