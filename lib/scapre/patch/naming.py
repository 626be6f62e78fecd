"""Adapters under the names that other programs look for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from scapre.model.weights import DENOISERS, ENCODERS, WRAPPER, part_of
from scapre.patch.adapters import Adapter

SDXL_WIDTH = 2048  # of text features
#: form → the file in its folder; ``load_lora_weights`` looks for diffusers' own name in a folder
FILES = {"webui": "scapre-webui.safetensors"} | dict.fromkeys(("lora", "dora"), "pytorch_lora_weights.safetensors")


def one_rank(adapters: Mapping[str, Adapter]) -> dict[str, Adapter]:
    """Give all adapters the largest rank, filled up with zeros: loaders that know one scale then scale right."""
    rank = max(each.rank for each in adapters.values())

    def filled(each: Adapter) -> Adapter:
        more = rank - each.rank
        return replace(each, up=pad(each.up, (0, more)), down=pad(each.down, (0, 0, 0, more)))

    return {name: filled(each) for name, each in adapters.items()}


def diffusers_state(adapters: Mapping[str, Adapter]) -> dict[str, Tensor]:
    """Name the factors as ``load_lora_weights`` expects them, which knows two spellings: denoiser and text encoders."""
    state: dict[str, Tensor] = {}
    for name, each in adapters.items():
        part, inner = part_of(name.removesuffix(".weight"))
        if part in DENOISERS:
            names = [f"{part}.{inner}.lora_A.weight", f"{part}.{inner}.lora_B.weight"]
        else:
            stem = f"{part}.{_wrapped(inner)}.lora_linear_layer"
            names = [f"{stem}.down.weight", f"{stem}.up.weight"]
        state |= dict(zip(names, each.layers, strict=True))
        if each.magnitude is not None:
            state[f"{part}.{inner}.lora_magnitude_vector"] = each.magnitude
    return state


def peft_state(adapters: Mapping[str, Adapter]) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Name the factors as ``PeftModel.from_pretrained`` expects them, and write the configuration it reads.

    For transformers whose pipelines load no adapter themselves.
    """
    state: dict[str, Tensor] = {}
    for name, each in adapters.items():
        stem = f"base_model.model.{name.removesuffix('.weight')}"
        state |= dict(zip((f"{stem}.lora_A.weight", f"{stem}.lora_B.weight"), each.layers, strict=True))
        if each.magnitude is not None:
            state[f"{stem}.lora_magnitude_vector"] = each.magnitude
    rank = next(iter(adapters.values())).rank
    config: dict[str, object] = {
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": rank,
        "target_modules": [name.removesuffix(".weight") for name in adapters],
        "use_dora": any(each.magnitude is not None for each in adapters.values()),
        "inference_mode": True,
    }
    return state, config


def kohya_state(adapters: Mapping[str, Adapter]) -> dict[str, Tensor]:
    """Name factors as A1111, Forge and ComfyUI read them: kohya's ``lora_unet_….lora_down.weight``, up and alpha.

    Text encoders are ``lora_te``, those of SDXL ``lora_te1`` and ``lora_te2``. The scale alpha / rank is 1.
    """
    two = any(each.down.shape[1] == SDXL_WIDTH or part_of(name)[0] == ENCODERS[1] for name, each in adapters.items())
    prefixes = dict(zip(ENCODERS[:2], ("lora_te1", "lora_te2") if two else ("lora_te", ""), strict=True))
    state = {}
    for name, each in adapters.items():
        part, inner = part_of(name.removesuffix(".weight"))
        spelt = inner if part == "unet" else _wrapped(inner)
        module = f"{prefixes.get(part, 'lora_unet')}_{spelt.replace('.', '_')}"
        state[f"{module}.lora_down.weight"], state[f"{module}.lora_up.weight"] = each.layers
        state[f"{module}.alpha"] = torch.tensor(float(each.rank))
    return state


def _wrapped(inner: str) -> str:
    """A text encoder's weight by the name it had before transformers 5, which other programs keep."""
    return WRAPPER + inner.removeprefix(WRAPPER)
