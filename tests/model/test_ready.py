"""Pipelines as people have them: compiled, offloaded, under adapters, without a first text encoder."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import accelerate
import pytest
import scapre
import torch
from peft import LoraConfig, inject_adapter_in_model
from scapre.editing.guard import left_open
from scapre.editing.memory import Memory
from scapre.model.projections import exact_device, read_projections, unet_of
from scapre.model.ready import check_ready
from scapre.text.inputs import front_of, read_first
from toys import tiny_pipe, tiny_xl_pipe


@pytest.fixture
def pipe() -> SimpleNamespace:
    return tiny_pipe()


def test_a_compiled_unet_keeps_its_names(pipe: SimpleNamespace) -> None:
    plain = scapre.erase(pipe, ["cat"], progress=False)
    pipe.unet = torch.compile(pipe.unet)
    pipe.unet.mid_block = torch.compile(pipe.unet.mid_block)
    patch = scapre.erase(pipe, ["cat"], progress=False)
    assert patch.edited.keys() == plain.edited.keys()
    plain.apply(pipe)  # each fits the other
    assert torch.equal(read_projections(unet_of(pipe))[min(plain.changed)], plain.changed[min(plain.changed)])
    plain.undo(pipe)
    with patch.applied(pipe):
        assert all(torch.equal(w, patch.edited[n]) for n, w in read_projections(unet_of(pipe)).items())


def test_an_adapter_on_the_text_encoder_is_refused(pipe: SimpleNamespace) -> None:
    inject_adapter_in_model(LoraConfig(r=2, target_modules=["q_proj"]), pipe.text_encoder)
    with pytest.raises(ValueError, match=r"text_encoder carries an adapter.*unload_lora_weights"):
        scapre.erase(pipe, ["cat"], progress=False)


def test_a_fused_adapter_is_unfused_first(pipe: SimpleNamespace) -> None:
    inject_adapter_in_model(LoraConfig(r=2, target_modules=["attn2.to_k"]), pipe.unet)
    for layer in pipe.unet.modules():
        if hasattr(layer, "base_layer"):
            layer.merge()
    with pytest.raises(ValueError, match=r"it is fused: call pipe.unfuse_lora\(\), then"):
        scapre.erase(pipe, ["cat"], progress=False)


@pytest.mark.parametrize("part", ["unet", "text_encoder"])
def test_an_offloaded_pipeline_is_refused_in_our_words(pipe: SimpleNamespace, part: str) -> None:
    accelerate.cpu_offload(getattr(pipe, part), execution_device=torch.device("cpu"))
    with pytest.raises(ValueError, match=f"{part} is offloaded; call pipe.remove_all_hooks"):
        scapre.erase(pipe, ["cat"], progress=False)


def test_a_refiner_is_refused() -> None:
    pipe = tiny_xl_pipe()
    pipe.text_encoder = pipe.tokenizer = None
    with pytest.raises(ValueError, match=r"no first text encoder, as SDXL's refiner; edit the base model"):
        scapre.erase(pipe, ["cat"], progress=False)


def test_behind_a_projection_of_the_unet_its_output_is_what_is_edited(pipe: SimpleNamespace) -> None:
    plain = read_first(pipe, ["cat", "sun"])
    assert front_of(pipe).plain
    project = torch.nn.Linear(32, 32)
    pipe.unet.encoder_hid_proj = project  # as Kolors has it
    pipe.unet.register_to_config(encoder_hid_dim_type="text_proj")
    behind = read_first(pipe, ["cat", "sun"])
    assert torch.allclose(behind.hidden, project(plain.hidden), atol=1e-6)
    assert not front_of(pipe).plain
    patch = scapre.erase(pipe, ["cat"], anchors="sun", retained=["dog"], method="uce", ridge=1e-6, progress=False)
    name, edited = next(iter(patch.edited.items()))
    asked, instead = behind.features.double()
    got, wanted = edited.double() @ asked, patch.original[name].double() @ instead
    assert (got - wanted).norm() < 1e-2 * wanted.norm()


def test_an_image_projection_passes_text_on(pipe: SimpleNamespace) -> None:
    pipe.unet.register_to_config(encoder_hid_dim_type="ip_image_proj")
    assert scapre.erase(pipe, ["cat"], progress=False).changed


def test_a_text_encoder_that_pads_on_the_left_is_refused(pipe: SimpleNamespace) -> None:
    pipe.text_encoder = type("ChatGLMModel", (torch.nn.Module,), {})()
    with pytest.raises(ValueError, match="pads ChatGLMModel's text on the left, which is not built; use SDXL"):
        check_ready(pipe)


def test_apples_device_computes_on_the_processor(pipe: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert exact_device(torch.device("mps")) == torch.device("cpu")
    assert exact_device(torch.device("cuda:1")) == torch.device("cuda:1")
    # "meta" stands in for a device that holds no float64: everything exact must have left it
    seen = []
    for home in ("scapre.model.projections", "scapre.text.embeddings", "scapre.text.gathering"):
        monkeypatch.setattr(f"{home}.exact_device", lambda device: seen.append(device) or torch.device("cpu"))
    patch = scapre.erase(pipe, ["cat"], retained=["dog"], progress=False)
    assert len(seen) > len(patch.edited)
    assert isinstance(scapre.remember(pipe, ["cat"], progress=False), Memory)


def test_a_folder_of_pickles_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "unet").mkdir()
    (tmp_path / "model_index.json").write_text('{"unet": ["diffusers", "UNet2DConditionModel"]}')
    (tmp_path / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"no pickle is read")
    with pytest.raises(ValueError, match=r"\.bin, a pickle, which is not read; write the model anew"):
        scapre.load_pipeline(tmp_path)


def test_the_pooled_path_of_sdxl_is_told_where_the_unet_alone_is_edited() -> None:
    pipe = tiny_xl_pipe()
    pipe.unet.add_embedding = torch.nn.Linear(2, 2)  # what SDXL's UNet has and no other
    alone = scapre.erase(pipe, ["cat"], method="confined", progress=False)
    assert any("pooled" in line for line in left_open(pipe, alone))
    assert left_open(pipe, scapre.erase(pipe, ["cat"], progress=False)) == []
