"""Adapters for other programs, read by their own published mapping of names.

A1111 and Forge turn ``lora_unet_down_blocks_i_attentions_j_…`` into the checkpoint's ``input_blocks_(1+3i+j)_1_…``,
``mid_block_attentions_j`` into ``middle_block_1`` and ``up_blocks_i_attentions_j`` into ``output_blocks_(3i+j)_1``;
ComfyUI knows each diffusers module by ``lora_unet_`` and its name with underscores.
"""

from __future__ import annotations

import json
import re
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import pytest
import scapre
import torch
from families import real_unet
from safetensors import safe_open
from safetensors.torch import load_file
from scapre.model.projections import projection_names
from scapre.patch.adapters import Adapter
from scapre.patch.export import export
from scapre.patch.naming import FILES, kohya_state
from scapre.patch.places import PatchError
from toys import tiny_pipe

#: where the checkpoints of a family hold cross-attention, and how deep
CHECKPOINTS = {
    "sd1": {f"input_blocks_{i}": 1 for i in (1, 2, 4, 5, 7, 8)}
    | {"middle_block": 1}
    | {f"output_blocks_{i}": 1 for i in range(3, 12)},
    "sdxl": {f"input_blocks_{i}": depth for i, depth in ((4, 2), (5, 2), (7, 10), (8, 10))}
    | {"middle_block": 10}
    | {f"output_blocks_{i}": 10 if i < 3 else 2 for i in range(6)},
}
CHECKPOINTS["sd2"] = CHECKPOINTS["sd1"]


def compvis(key: str) -> str:
    """The checkpoint's name of a module that A1111 reads from a kohya name."""
    rules = (
        (r"lora_unet_down_blocks_(\d+)_attentions_(\d+)_(.+)", lambda i, j: f"input_blocks_{1 + 3 * i + j}"),
        (r"lora_unet_mid_block_()attentions_(\d+)_(.+)", lambda i, j: "middle_block"),
        (r"lora_unet_up_blocks_(\d+)_attentions_(\d+)_(.+)", lambda i, j: f"output_blocks_{3 * i + j}"),
    )
    for pattern, place in rules:
        if found := re.fullmatch(pattern, key):
            i, j, rest = found.groups()
            return f"{place(int(i or 0), int(j))}_1_{rest}"
    raise AssertionError(f"no program finds {key}")


@pytest.mark.parametrize("family", CHECKPOINTS)
def test_every_name_is_found_in_the_checkpoint(family: str) -> None:
    names = projection_names(real_unet(family))
    state = kohya_state({name: Adapter(torch.zeros(2, 1), torch.zeros(1, 2)) for name in names})
    read = {compvis(key.partition(".")[0]) for key in state}
    held = {
        f"{block}_1_transformer_blocks_{k}_attn2_{kind}"
        for (block, depth), kind in product(CHECKPOINTS[family].items(), ("to_k", "to_v"))
        for k in range(depth)
    }
    assert read == held
    assert {key.partition(".")[2] for key in state} == {"lora_down.weight", "lora_up.weight", "alpha"}


@pytest.mark.parametrize("two", [False, True])
def test_text_encoders_have_the_names_of_their_family(two: bool) -> None:
    each = Adapter(torch.zeros(2, 1), torch.zeros(1, 2))
    names = [f"text_encoder{mark}.encoder.layers.3.mlp.fc2.weight" for mark in (("", "_2") if two else ("",))]
    layer = "text_model_encoder_layers_3_mlp_fc2"
    wanted = {f"lora_te1_{layer}", f"lora_te2_{layer}"} if two else {f"lora_te_{layer}"}
    for name in names:  # transformers before 5 calls them by their wrapper as well
        part, _, inner = name.partition(".")
        assert kohya_state({name: each}).keys() == kohya_state({f"{part}.text_model.{inner}": each}).keys()
    assert {key.partition(".")[0] for key in kohya_state(dict.fromkeys(names, each))} == wanted


def loaded(file: Path, originals: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What ComfyUI makes of the originals: W₀ + alpha / rank · up · down, by underscored name."""
    state, key_of = load_file(file), {f"lora_unet_{n.removesuffix('.weight').replace('.', '_')}": n for n in originals}
    assert {key.partition(".")[0] for key in state} <= set(key_of)
    result = {}
    for key, name in key_of.items():
        up, down = state[f"{key}.lora_up.weight"].double(), state[f"{key}.lora_down.weight"].double()
        result[name] = originals[name].double() + float(state[f"{key}.alpha"]) / len(down) * up @ down
    return result


@pytest.mark.parametrize("tolerance", [0.3, 0.05])
def test_a_file_for_webui_and_comfyui_is_the_patch(tmp_path: Path, tolerance: float) -> None:
    patch = scapre.erase(tiny_pipe(), ["cat", "dog", "sun"], retained=["tree"], method="confined", progress=False)
    table = export(patch, tmp_path / "x", "webui", tolerance=tolerance)
    file = tmp_path / "x" / FILES["webui"]
    for name, weight in loaded(file, patch.original).items():
        old, new = patch.original[name].double(), patch.edited[name].double()
        assert (weight - new).norm() <= 1.001 * tolerance * (new - old).norm()
    ranks = {len(w) for key, w in load_file(file).items() if key.endswith("down.weight")}
    assert ranks == {table["rank"].iloc[0]} == set(table["rank"])
    with safe_open(file, "pt") as stored:
        about = stored.metadata()
    assert about["ss_network_dim"] == about["ss_network_alpha"] == str(ranks.pop())
    assert json.loads(about["provenance"])["targets"] == ["cat", "dog", "sun"]


@pytest.mark.parametrize("form", ["lora", "dora"])
def test_every_adapter_has_one_rank(tmp_path: Path, form: str) -> None:
    patch = scapre.erase(tiny_pipe(), ["cat", "dog", "sun"], retained=["tree"], method="confined", progress=False)
    export(patch, tmp_path / "x", form, tolerance=0.2)
    state = load_file(tmp_path / "x" / FILES[form])
    assert len({len(w) for key, w in state.items() if key.endswith("lora_A.weight")}) == 1


@pytest.mark.parametrize("form", ["patch", "lora", "dora", "webui"])
def test_the_card_says_what_loads_it_and_what_does_not(tmp_path: Path, form: str) -> None:
    patch = scapre.erase(tiny_pipe(), ["cat"], retained=["tree"], method="confined", progress=False)
    export(patch, tmp_path / "x", form)
    card = (tmp_path / "x" / "README.md").read_text()
    assert "**Loaded by**" in card
    assert all(word in card for word in ("ComfyUI", "A1111", "diffusers", "clip_skip"))
    assert ("use form `webui`" in card) == (form != "webui")


def test_a_patch_without_matrices_is_shared_as_a_patch_alone(tmp_path: Path) -> None:
    made = scapre.erase(tiny_pipe(), ["cat"], progress=False)
    empty = scapre.Patch({}, {}, made.provenance)
    again = scapre.Patch.load(empty.save(tmp_path / "x.safetensors"))
    pipe: SimpleNamespace = tiny_pipe()
    again.apply(pipe)
    again.undo(pipe)
    export(again, tmp_path / "patch", "patch")
    for form in ("lora", "dora", "webui"):
        with pytest.raises(PatchError, match="changes nothing"):
            export(again, tmp_path / form, form)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["patch", "x.safetensors", "x.undo.safetensors"]


def test_what_no_adapter_holds_is_refused(tmp_path: Path) -> None:
    made = scapre.erase(tiny_pipe(), ["cat"], progress=False)
    for shape, form in (((2,), "webui"), ((2,), "lora"), ((2, 2, 3, 3), "dora")):
        old = {"conv_in.weight": torch.zeros(shape)}
        patch = scapre.Patch(old, {"conv_in.weight": torch.ones(shape)}, made.provenance)
        with pytest.raises(PatchError, match=f"conv_in.weight is no weight that a {form} holds"):
            export(patch, tmp_path / "x", form)
    assert not list(tmp_path.iterdir())
