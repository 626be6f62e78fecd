"""States of a model in which an edit would be lost, silently wrong, or impossible."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import scapre
import torch
from diffusers.models.attention_processor import Attention
from peft import LoraConfig, inject_adapter_in_model
from scapre.model.projections import denoiser_of, read_projections, unet_of
from scapre.model.weights import read_weights
from torch import nn
from toys import tiny_pipe

KEY = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"


@pytest.fixture
def pipe() -> SimpleNamespace:
    return tiny_pipe()


def assert_refused(pipe: SimpleNamespace, patch: scapre.Patch, words: str) -> None:
    for use in (lambda: scapre.erase(pipe, ["cat"], progress=False), lambda: patch.apply(pipe)):
        with pytest.raises(ValueError, match=words):
            use()


def test_fused_projections(pipe: SimpleNamespace) -> None:
    patch = scapre.erase(pipe, ["cat"], progress=False)
    pipe.unet.fuse_qkv_projections()
    block = next(m for n, m in pipe.unet.named_modules() if n.endswith("attn2") and isinstance(m, Attention))
    fused = block.to_kv.weight.clone()
    block.to_k.weight.data.add_(1)  # the trap: the fused copy answers, so this changes nothing
    assert torch.equal(block.to_kv.weight, fused)
    assert_refused(pipe, patch, "unfuse_qkv_projections")
    pipe.unet.unfuse_qkv_projections()
    block.to_k.weight.data.copy_(patch.original[KEY + ".weight"])
    patch.apply(pipe)


def test_an_adapter_on_the_projections(pipe: SimpleNamespace) -> None:
    patch = scapre.erase(pipe, ["cat"], progress=False)
    inject_adapter_in_model(LoraConfig(r=2, target_modules=["attn2.to_k"]), pipe.unet)
    # the trap: plain loading ignores the patch
    assert set(pipe.unet.load_state_dict(patch.edited, strict=False).unexpected_keys) >= {KEY + ".weight"}
    assert_refused(pipe, patch, "unload_lora_weights")


def test_an_adapter_elsewhere_is_no_obstacle(pipe: SimpleNamespace) -> None:
    inject_adapter_in_model(LoraConfig(r=2, target_modules=["attn1.to_q"]), pipe.unet)
    patch = scapre.erase(pipe, ["cat"], progress=False)
    patch.apply(pipe)
    weights = read_weights(pipe, patch.changed)
    assert patch.changed
    assert all(torch.equal(weights[name], edited) for name, edited in patch.changed.items())


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.float8_e4m3fn])
def test_quantised_weights(pipe: SimpleNamespace, dtype: torch.dtype) -> None:
    patch = scapre.erase(pipe, ["cat"], progress=False)
    module = pipe.unet.get_submodule(KEY)
    module.weight = nn.Parameter(module.weight.data.to(dtype), requires_grad=False)
    assert_refused(pipe, patch, f"quantised or packed .*{dtype}")


def test_packed_weights(pipe: SimpleNamespace) -> None:
    patch = scapre.erase(pipe, ["cat"], progress=False)
    module = pipe.unet.get_submodule(KEY)
    packed = module.weight.data.flatten()[:, None]
    del module.weight
    module.register_buffer("packed", packed)
    assert_refused(pipe, patch, "no plain matrix")


def test_offloaded_weights(pipe: SimpleNamespace) -> None:
    patch = scapre.erase(pipe, ["cat"], progress=False)
    pipe.unet.get_submodule(KEY).to("meta")
    assert_refused(pipe, patch, "offloaded")


def test_a_unet_without_cross_attention() -> None:
    with pytest.raises(ValueError, match="no cross-attention"):
        read_projections(nn.Linear(2, 2))


def test_what_is_not_known_is_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match=r"where Linear reads text .* is not known here; use Stable Diffusion 1\.x"):
        denoiser_of(SimpleNamespace(transformer=nn.Linear(2, 2)))
    with pytest.raises(ValueError, match="no UNet and no transformer to edit"):
        denoiser_of(SimpleNamespace())
    with pytest.raises(ValueError, match=r"no UNet, which this method edits; take one"):
        unet_of(SimpleNamespace(transformer=nn.Linear(2, 2)))
