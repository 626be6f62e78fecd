"""Theorems of EMCID's closed form: what its keys answer, how it is spread, what it leaves alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import scapre
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import key_fit_row_by_row, spread_over_blocks
from scapre.methods.closed import emcid
from scapre.methods.closed.emcid import REGULAR, emcid_editor, key_fit
from scapre.methods.registry import METHODS
from scapre.methods.solution import Wish
from scapre.model.fingerprint import fingerprint
from scapre.text.inner import places_of, read_inner
from toys import tiny_pipe, tiny_xl_pipe
from transformers import CLIPTextModel

KEPT, SENTENCES = ("sun", "boat", "tree"), ("{}", "a picture of {}")
WISH = Wish(("cat", "dog"), ("sun", "boat"), KEPT, SENTENCES)
HOW = {"seed": 0, "progress": False, "blocks": 11, "retain_scale": 10.0, "as_released": False}


def deep_pipe(blocks: int = 4) -> SimpleNamespace:
    pipe = tiny_pipe()
    config = pipe.text_encoder.config
    config.num_hidden_layers = blocks
    torch.manual_seed(3)
    pipe.text_encoder = CLIPTextModel(config).eval()
    return pipe


def weight_of(pipe: SimpleNamespace, name: str) -> torch.Tensor:
    return pipe.text_encoder.get_parameter(name.removeprefix("text_encoder.")).detach()


def apart(weight: torch.Tensor, other: torch.Tensor, original: torch.Tensor) -> float:
    """How far two edits lie apart, as a share of the change; keys in float32 leave some thousandths."""
    return float((weight - other).norm() / (weight - original).norm())


def state(pipe: SimpleNamespace) -> str:
    return fingerprint(pipe.text_encoder.state_dict() | {f"u.{n}": w for n, w in pipe.unet.state_dict().items()})


@settings(max_examples=25, deadline=None)
@given(m=st.integers(1, 9), f=st.integers(1, 12), d=st.integers(1, 5), seed=st.integers(0, 99))
def test_keys_are_fitted_as_by_the_normal_equations(m: int, f: int, d: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    keys, wishes, kept = (torch.randn(m, n, generator=g, dtype=torch.float64) for n in (f, d, f))
    moment = kept.T @ kept / m + torch.eye(f, dtype=torch.float64)
    change = key_fit(keys, wishes, moment, 0.7)
    assert torch.allclose(change, key_fit_row_by_row(keys, wishes, moment, 0.7), atol=1e-10)

    def loss(change: torch.Tensor) -> torch.Tensor:
        return (keys @ change.T - wishes).square().sum() + 0.7 * torch.trace(change @ moment @ change.T)

    assert loss(change) <= loss(torch.zeros_like(change))
    assert loss(change) <= loss(change + 1e-2 * torch.randn(d, f, generator=g, dtype=torch.float64))


def test_without_anything_to_keep_independent_keys_answer_as_wished() -> None:
    g = torch.Generator().manual_seed(1)
    keys, wishes = (torch.randn(4, n, generator=g, dtype=torch.float64) for n in (9, 3))
    change = key_fit(keys, wishes, torch.zeros(9, 9, dtype=torch.float64), 1.0)
    assert torch.allclose(keys @ change.T, wishes, atol=100 * REGULAR * float(wishes.norm()))


@pytest.mark.parametrize("as_released", [False, True])
@pytest.mark.parametrize("blocks", [2, 11])
def test_what_is_missing_is_spread_over_the_blocks(blocks: int, as_released: bool) -> None:
    pipe = deep_pipe()
    found = emcid_editor(pipe, WISH, **HOW | {"blocks": blocks, "as_released": as_released})
    slow = spread_over_blocks(pipe.text_encoder, pipe.tokenizer, WISH, min(blocks, 3), 10.0, as_released)
    assert list(found) == places_of(pipe, min(blocks, 3))
    for (name, weight), expected in zip(found.items(), slow, strict=True):
        assert apart(weight, expected, weight_of(pipe, name)) < 0.01
        assert weight.dtype == torch.float32


def test_a_target_leaves_the_last_edited_block_as_its_anchor_does() -> None:
    pipe = deep_pipe()
    last = places_of(pipe, 3)[-1]
    wish = Wish(("cat",), ("lemon",), KEPT, ("{}",))
    edited = emcid_editor(pipe, wish, **HOW | {"retain_scale": 1e-9})
    before = read_inner(pipe, [last], ["lemon", "cat", "a picture of cat"])[last]
    goal, was = before.outputs[0, before.last[0]], before.outputs[1, before.last[1]]
    for name, weight in edited.items():
        weight_of(pipe, name).copy_(weight)
    now = read_inner(pipe, [last], ["cat"])[last]
    assert (now.outputs[0, now.last[0]] - goal).norm() < 1e-3 * (was - goal).norm()


@pytest.mark.parametrize("as_released", [False, True])
def test_the_more_what_is_kept_weighs_the_less_it_moves(as_released: bool) -> None:
    pipe, moved = deep_pipe(), []
    places = places_of(pipe, 3)
    for scale in (0.1, 100.0, 1e8):
        edited = emcid_editor(pipe, WISH, **HOW | {"retain_scale": scale, "as_released": as_released})
        kept = read_inner(pipe, places[:1], KEPT)[places[0]].keys.double()
        change = (edited[places[0]] - weight_of(pipe, places[0])).double()
        moved.append(float((kept @ change.T).norm()))
    assert moved[0] > 2 * moved[1]
    assert moved[1] > 100 * moved[2]


def test_no_targets_leave_every_bit() -> None:
    pipe = deep_pipe()
    edited = emcid_editor(pipe, Wish((), (), KEPT, SENTENCES), **HOW)
    assert list(edited) == places_of(pipe, 3)
    for name, weight in edited.items():
        assert torch.equal(weight, weight_of(pipe, name))


def test_order_of_targets_does_not_matter() -> None:
    pipe = deep_pipe()
    backwards = Wish(WISH.targets[::-1], WISH.anchors[::-1], KEPT[::-1], SENTENCES)
    there, back = (emcid_editor(pipe, wish, **HOW) for wish in (WISH, backwards))
    swapped = emcid_editor(pipe, Wish(WISH.targets, WISH.anchors[::-1], KEPT, SENTENCES), **HOW)
    for name, weight in there.items():
        assert apart(weight, back[name], weight_of(pipe, name)) < 0.01
        assert apart(weight, swapped[name], weight_of(pipe, name)) > 0.1


def test_erase_edits_the_encoder_but_for_its_last_block_and_undoes_bit_for_bit(tmp_path: Path) -> None:
    pipe = deep_pipe()
    before = state(pipe)
    patch = scapre.erase(pipe, ["cat", "dog"], retained=["sun", "boat"], method="emcid-closed", progress=False)
    assert state(pipe) == before
    assert set(patch.changed) == set(places_of(pipe, 3))
    assert patch.provenance["settings"] == METHODS["emcid-closed"].defaults
    assert set(patch.provenance["anchors"]) <= {"sun", "boat"}
    loaded = scapre.Patch.load(patch.save(tmp_path / "edit.safetensors"))
    with loaded.applied(pipe):
        assert state(pipe) != before
    assert state(pipe) == before


def test_both_encoders_are_edited_and_a_blank_has_no_name() -> None:
    pipe = tiny_xl_pipe()
    patch = scapre.erase(pipe, ["cat"], method="emcid-closed", progress=False)
    assert set(patch.changed) == set(places_of(pipe, 1))
    assert patch.provenance["anchors"] == [" "]


def test_an_error_leaves_the_pipeline_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, fits = deep_pipe(), []
    before = state(pipe)

    def fit(*arguments: torch.Tensor) -> torch.Tensor:
        fits.append(arguments)
        if len(fits) == 2:
            raise RuntimeError("stop")
        return key_fit(*arguments)

    monkeypatch.setattr(emcid, "key_fit", fit)
    with pytest.raises(RuntimeError, match="stop"):
        emcid_editor(pipe, WISH, **HOW)
    assert state(pipe) == before
