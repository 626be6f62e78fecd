"""Edits of transformers: every closed form, what must stay, patches, memories, adapters, and what is refused."""

from __future__ import annotations

import copy
import logging
from functools import cache
from pathlib import Path
from typing import Any

import peft
import pytest
import scapre
import torch
from dits import JOINT, PLAIN, small_dit
from scapre.editing.guard import left_open
from scapre.editing.memory import Memory
from scapre.editing.sequence import solve_next
from scapre.experiments.check import check
from scapre.methods.registry import SOLVERS
from scapre.model.fingerprint import fingerprint
from scapre.model.projections import read_projections
from scapre.model.sampling import sample
from scapre.patch.export import export
from scapre.text.inputs import front_of, read_inputs, streams_of

FAMILIES = (*PLAIN, *JOINT)
LOADS = ("sana", *JOINT)
KEPT = ["sun", "lemon", "tree"]


@cache
def pipe_of(family: str) -> Any:
    return small_dit(family)


@cache
def patch_of(family: str) -> scapre.Patch:
    return scapre.erase(pipe_of(family), ["cat", "boat"], retained=KEPT, templates="name", progress=False)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_edit_goes_in_moves_the_answers_and_comes_out(family: str) -> None:
    pipe, patch = pipe_of(family), patch_of(family)
    before = fingerprint(pipe.transformer.state_dict())
    assert patch.provenance["method"] == "confined"
    assert patch.provenance["denoiser"] == type(pipe.transformer).__name__
    assert all(facts["residual"] < 0.9 for facts in patch.diagnostics.values())
    assert not [name for name in patch.changed if not name.endswith(".weight")]  # biases stay
    with patch.applied(pipe):
        assert fingerprint(pipe.transformer.state_dict()) != before
        changed = [n for n, w in pipe.transformer.named_parameters() if n in patch.changed]
        assert set(changed) == set(patch.changed)
    assert fingerprint(pipe.transformer.state_dict()) == before


@pytest.mark.parametrize("family", ["pixart-sigma", "hunyuan-dit", "lumina-next"])
def test_pictures_of_targets_change(family: str) -> None:
    pipe = pipe_of(family)
    before = sample(pipe, ["cat"], [1], steps=1, progress=False)
    with patch_of(family).applied(pipe):
        after = sample(pipe, ["cat"], [1], steps=1, progress=False)
    assert (before.int() - after.int()).abs().max() > 0
    assert torch.equal(sample(pipe, ["cat"], [1], steps=1, progress=False), before)


@pytest.mark.parametrize("method", [name for name in SOLVERS if name != "staged"])
def test_every_closed_form_edits_keys_and_values(method: str) -> None:
    pipe = pipe_of("pixart-sigma")
    patch = scapre.erase(pipe, ["cat"], anchors="dog", retained=KEPT, method=method, progress=False)
    assert patch.changed
    assert {w.isfinite().all().item() for w in patch.changed.values()} == {True}


def test_a_target_answers_as_its_anchor_in_every_layer_and_stream() -> None:
    """UCE at λ → 0, in a model of two text encoders: each stream's last content token is a target of its own."""
    pipe = pipe_of("hunyuan-dit")
    patch = scapre.erase(pipe, ["cat"], anchors="dog", method="uce", ridge=1e-6, progress=False)
    cat, dog = (read_inputs(pipe, [name]) for name in ("cat", "dog"))
    for layers, streams in streams_of(front_of(pipe).groups, list(cat)).items():
        assert len(streams) == 2
        for stream in streams:
            for name in (f"{layer}.weight" for layer in layers):
                got = patch.edited[name].double() @ cat[stream].features[0].double()
                wanted = patch.original[name].double() @ dog[stream].features[0].double()
                assert (got - wanted).norm() < 1e-2 * wanted.norm(), (name, stream)


def test_a_bias_stays_and_does_not_enter_the_target() -> None:
    pipe = small_dit("pixart-sigma")
    asked: dict[str, Any] = {"anchors": "dog", "retained": KEPT, "method": "uce", "progress": False}
    patch = scapre.erase(pipe, ["cat"], **asked)
    layers = {
        n.removesuffix(".weight"): pipe.transformer.get_submodule(n.removesuffix(".weight")) for n in patch.edited
    }
    for layer in layers.values():
        layer.bias.data.mul_(50).add_(3)
    again = scapre.erase(pipe, ["cat"], **asked)
    assert all(torch.equal(again.edited[name], weight) for name, weight in patch.edited.items())
    # the trap: who takes the layer's whole answer for the target makes W carry the bias as well
    read = next(iter(read_inputs(pipe, ["cat", "dog", *KEPT]).values())).features.double()
    cat, dog, kept = read[:1], read[1:2], read[2:]
    drifts = {True: 0.0, False: 0.0}
    for layer in layers.values():
        old, bias = layer.weight.detach().double(), layer.bias.detach().double()
        system = 0.5 * torch.eye(len(cat[0]), dtype=torch.float64) + cat.T @ cat + kept.T @ kept
        for whole in drifts:
            offset = bias if whole else torch.zeros_like(bias)
            right = 0.5 * old + torch.outer(old @ dog[0] + offset, cat[0])
            right += (old @ kept.T + offset[:, None]) @ kept
            new = torch.linalg.solve(system, right.T).T
            drifts[whole] += float(((new - old) @ kept.T).norm() / (old @ kept.T).norm())
    assert drifts[False] < 0.1 * drifts[True]


@pytest.mark.parametrize("family", JOINT)
def test_joint_attention_is_said_to_be_experimental_each_time(family: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "scapre"):
        patch = scapre.erase(pipe_of(family), ["cat"], retained=KEPT, method="uce", progress=False)
    assert [line for line in caplog.messages if line.startswith("experimental: ")]
    assert left_open(pipe_of(family), patch)[-1].startswith("experimental: ")
    assert all(name.removesuffix(".weight") in left_open(pipe_of(family), patch)[-1] for name in patch.edited)


@pytest.mark.parametrize(
    ("family", "side"), [("hunyuan-dit", "time_extra_emb.pooler"), ("lumina-next", "time_caption")]
)
def test_a_side_path_is_named(family: str, side: str, tmp_path: Path) -> None:
    assert side in left_open(pipe_of(family), patch_of(family))[0]
    export(patch_of(family), tmp_path / "shared", "patch")
    card = (tmp_path / "shared" / "README.md").read_text()
    assert side in card
    assert "pipe.transformer.load_state_dict(state, strict=False)" in card
    assert "add_embedding" not in card  # SDXL's


def test_check_asks_every_layer_of_every_stream() -> None:
    table = check(pipe_of("hunyuan-dit"), patch_of("hunyuan-dit"), synonyms={}, neighbours=["a red car"]).set_index(
        "name"
    )
    assert table.loc["cat", "residual"] < 0.9
    assert table.loc[KEPT, "drift"].max() < table.loc["cat", "drift"]


@pytest.mark.parametrize("family", ["hunyuan-dit", "pixart-sigma"])
def test_memories_join_as_if_all_at_once(family: str, tmp_path: Path) -> None:
    pipe = pipe_of(family)
    asked: dict[str, Any] = {"method": "confined", "templates": "sentences", "progress": False}
    first = scapre.remember(pipe, ["cat"], retained=["sun"], **asked)
    loaded = Memory.load(first.save(tmp_path / "one.safetensors", pipe), pipe)
    joined = loaded.joined(scapre.remember(pipe, ["a picture of a red car"], retained=["lemon"], **asked))
    both = scapre.remember(pipe, ["cat", "a picture of a red car"], retained=["sun", "lemon"], **asked)
    assert list(joined.streams) == list(both.streams)
    ours, theirs = (scapre.solve(pipe, each, method="confined", progress=False) for each in (joined, both))
    for name, weight in theirs.edited.items():
        assert torch.allclose(ours.edited[name], weight, atol=1e-5), name


@pytest.mark.parametrize("family", FAMILIES)
def test_an_exported_adapter_loads_in_diffusers(family: str, tmp_path: Path) -> None:
    pipe, patch = copy.deepcopy(pipe_of(family)), patch_of(family)
    export(patch, tmp_path / "shared", "lora", tolerance=1e-6)
    if family in LOADS:
        pipe.load_lora_weights(tmp_path / "shared")
        pipe.fuse_lora()
        found = {n.replace(".base_layer", ""): w for n, w in pipe.transformer.named_parameters()}
    else:
        model = peft.PeftModel.from_pretrained(pipe.transformer, tmp_path / "shared")
        found = dict(model.merge_and_unload().named_parameters())
    for name, weight in patch.changed.items():
        assert torch.allclose(found[name], weight, atol=1e-5), name
    card = (tmp_path / "shared" / "README.md").read_text()
    assert ("load_lora_weights" in card) == (family in LOADS)


def test_a_folder_is_loaded_edited_and_saved(tmp_path: Path) -> None:
    pipe_of("pixart-sigma").save_pretrained(tmp_path / "dit")
    pipe = scapre.load_pipeline(tmp_path / "dit")
    patch = scapre.erase(pipe, ["cat", "boat"], retained=KEPT, templates="name", progress=False)
    assert all(torch.equal(patch.edited[n], w) for n, w in patch_of("pixart-sigma").edited.items())
    loaded = scapre.Patch.load(patch.save(tmp_path / "cat.safetensors"))
    loaded.apply(pipe)
    assert all(torch.equal(w, loaded.edited[n]) for n, w in read_projections(pipe.transformer).items())


def test_what_does_not_apply_is_refused_with_the_way_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pipe = pipe_of("pixart-sigma")
    with caplog.at_level(logging.WARNING, "scapre"):
        scapre.remember(pipe, ["cat"], progress=False)
    assert "PixArt is edited by confined, in the transformer alone" in caplog.text
    with pytest.raises(ValueError, match=r"staged edits models that read .* as it is; take confined"):
        scapre.erase(pipe, ["cat"], method="staged", progress=False)
    several = scapre.remember(pipe_of("hunyuan-dit"), ["cat"], method="confined", progress=False)
    with pytest.raises(ValueError, match=r"read several streams of tokens; join the memories"):
        solve_next(pipe_of("hunyuan-dit"), several, [], method="confined")
    for method in ("fia", "esd"):
        with pytest.raises(ValueError, match="no UNet, which this method edits; take one"):
            scapre.erase(pipe, ["cat"], method=method, progress=False)
    with pytest.raises(scapre.PatchError, match="have no names for this in a transformer; use form lora"):
        export(patch_of("pixart-sigma"), tmp_path / "shared", "webui")
    with pytest.raises(scapre.PatchError, match="made for another architecture"):
        patch_of("lumina-next").apply(pipe)


def test_fused_keys_and_values_are_refused() -> None:
    pipe = small_dit("pixart-sigma")
    pipe.transformer.fuse_qkv_projections()
    with pytest.raises(ValueError, match="fused projections"):
        scapre.erase(pipe, ["cat"], progress=False)
