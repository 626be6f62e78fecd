"""The families of Stable Diffusion: their real configurations, and the same with random weights, made small.

Small means fewer layers and channels, a vocabulary of a few words and 32-pixel pictures; the width of the
text features, the blocks and the attention are the family's own.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from toys import tiny_tokenizer
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

DOWN = ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",)
UP = ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3
#: keyword arguments of UNet2DConditionModel
UNETS: dict[str, dict[str, Any]] = {
    "sd1": {
        "sample_size": 64,
        "down_block_types": DOWN,
        "up_block_types": UP,
        "block_out_channels": (320, 640, 1280, 1280),
        "cross_attention_dim": 768,
        "attention_head_dim": 8,
    },
    "sd2": {
        "sample_size": 64,
        "down_block_types": DOWN,
        "up_block_types": UP,
        "block_out_channels": (320, 640, 1280, 1280),
        "cross_attention_dim": 1024,
        "attention_head_dim": (5, 10, 20, 20),
        "use_linear_projection": True,
    },
    "sdxl": {
        "sample_size": 128,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "block_out_channels": (320, 640, 1280),
        "transformer_layers_per_block": (1, 2, 10),
        "cross_attention_dim": 2048,
        "attention_head_dim": (5, 10, 20),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}
#: what is small in the random models
SMALL: dict[str, dict[str, Any]] = {
    "sd1": {"block_out_channels": (32, 64, 64, 64), "attention_head_dim": 8},
    "sd2": {"block_out_channels": (32, 64, 64, 64), "attention_head_dim": (2, 4, 4, 4)},
    "sdxl": {
        "block_out_channels": (32, 64, 64),
        "attention_head_dim": (2, 4, 4),
        "transformer_layers_per_block": (1, 1, 2),
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 1280 + 6 * 8,
    },
}
#: text encoders: width, heads, activation, width of the projection (None: none)
ENCODERS: dict[str, list[tuple[int, int, str, int | None]]] = {
    "sd1": [(768, 12, "quick_gelu", None)],
    "sd2": [(1024, 16, "gelu", None)],
    "sdxl": [(768, 12, "quick_gelu", None), (1280, 20, "gelu", 1280)],
}


def real_unet(family: str) -> UNet2DConditionModel:
    """The UNet at its true shapes, without memory for the weights."""
    with torch.device("meta"):
        return UNet2DConditionModel(**UNETS[family])


def _tokenizer(padding: str | None) -> CLIPTokenizer:
    tokenizer = tiny_tokenizer(77)
    if padding:
        tokenizer.pad_token = padding
    return tokenizer


def _encoder(tokenizer: CLIPTokenizer, width: int, heads: int, activation: str, project: int | None) -> Any:
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=heads,
        hidden_act=activation,
        projection_dim=project or 512,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return (CLIPTextModelWithProjection if project else CLIPTextModel)(config).eval()


def small_pipeline(family: str, seed: int = 0, dtype: torch.dtype = torch.float32) -> Any:
    """A whole pipeline of the family with random weights."""
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(**UNETS[family] | {"sample_size": 16, "layers_per_block": 1} | SMALL[family]).eval()
    vae = AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
    ).eval()
    tokenizers = [_tokenizer("!" if i else None) for i in range(len(ENCODERS[family]))]
    encoders = [_encoder(t, *e) for t, e in zip(tokenizers, ENCODERS[family], strict=True)]
    parts: dict[str, Any] = {"vae": vae, "unet": unet, "scheduler": DDIMScheduler()}
    parts |= {"text_encoder": encoders[0], "tokenizer": tokenizers[0]}
    if family == "sdxl":
        parts |= {"text_encoder_2": encoders[1], "tokenizer_2": tokenizers[1]}
        pipe = StableDiffusionXLPipeline(**parts, add_watermarker=False)
    else:
        pipe = StableDiffusionPipeline(
            **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(dtype=dtype)
