"""Transformers that draw: their real configurations, and whole pipelines of each kind with random weights, made small.

Small means two layers, tens of channels and a vocabulary of a few words; what stands where is the family's own.
"""

from __future__ import annotations

from typing import Any

import diffusers
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from toys import WORDS, tiny_tokenizer
from transformers import CLIPTextConfig, PreTrainedTokenizerFast

#: family → class and keyword arguments of its transformer; what is not named is the class's default
REAL: dict[str, tuple[str, dict[str, Any]]] = {
    "pixart-sigma": ("PixArtTransformer2DModel", {"caption_channels": 4096}),
    "sana": ("SanaTransformer2DModel", {}),
    "hunyuan-dit": (
        "HunyuanDiT2DModel",
        {
            "in_channels": 4,
            "sample_size": 128,
            "patch_size": 2,
            "activation_fn": "gelu-approximate",
            "hidden_size": 1408,
        }
        | {"num_layers": 40, "mlp_ratio": 4.3637, "text_len": 77, "text_len_t5": 256},
    ),
    "lumina-next": ("LuminaNextDiT2DModel", {"num_layers": 24, "num_kv_heads": 8}),
    "sd3": (
        "SD3Transformer2DModel",
        {"num_layers": 24, "num_attention_heads": 24, "caption_projection_dim": 1536, "pos_embed_max_size": 192},
    ),
    "flux": ("FluxTransformer2DModel", {"guidance_embeds": True}),
    "qwen-image": ("QwenImageTransformer2DModel", {}),
}
PLAIN, JOINT = ("pixart-sigma", "sana", "hunyuan-dit", "lumina-next"), ("sd3", "flux", "qwen-image")
WIDTH = 32  # of every text encoder below
HEADS = {"num_attention_heads": 2, "attention_head_dim": 8}
#: what is small in the random models
SMALL: dict[str, dict[str, Any]] = {
    "pixart-sigma": HEADS | {"cross_attention_dim": 16, "caption_channels": WIDTH, "num_layers": 2, "sample_size": 8},
    "sana": HEADS
    | {"num_cross_attention_heads": 2, "cross_attention_head_dim": 8, "cross_attention_dim": 16}
    | {"in_channels": 4, "out_channels": 4, "caption_channels": WIDTH, "num_layers": 2, "sample_size": 8},
    "hunyuan-dit": HEADS
    | {"hidden_size": 16, "num_layers": 4, "sample_size": 8, "pooled_projection_dim": 16}
    | {"cross_attention_dim": WIDTH, "cross_attention_dim_t5": WIDTH},
    "lumina-next": {"hidden_size": 32, "num_attention_heads": 4, "num_kv_heads": 2, "multiple_of": 8}
    | {"cross_attention_dim": WIDTH, "num_layers": 2, "sample_size": 8},
    "sd3": HEADS
    | {"num_layers": 2, "caption_projection_dim": 16, "joint_attention_dim": WIDTH, "pooled_projection_dim": 32}
    | {"in_channels": 4, "out_channels": 4, "sample_size": 8, "pos_embed_max_size": 16},
    "flux": HEADS
    | {"num_layers": 1, "num_single_layers": 1, "joint_attention_dim": WIDTH, "pooled_projection_dim": 16}
    | {"in_channels": 16, "axes_dims_rope": (2, 2, 4)},
    "qwen-image": HEADS
    | {
        "num_layers": 1,
        "joint_attention_dim": WIDTH,
        "in_channels": 16,
        "out_channels": 4,
        "axes_dims_rope": (2, 2, 4),
    },
}


def real_transformer(family: str, **fewer: int) -> torch.nn.Module:
    """The transformer at its true shapes, without memory for the weights; ``fewer`` layers where they do not matter."""
    kind, arguments = REAL[family]
    with torch.device("meta"):
        return getattr(diffusers, kind)(**arguments | fewer)


def word_tokenizer(before: tuple[str, ...] = (), behind: tuple[str, ...] = ("</s>",)) -> PreTrainedTokenizerFast:
    """One token a word of ``WORDS``, one for all others, with special tokens around as T5, BERT or Gemma put them."""
    chat = ["<|im_start|>", "<|im_end|>"]
    special = ["<pad>", "<unk>", *chat, *before, *behind]
    words = dict.fromkeys(" ".join((*WORDS, "an image photo photograph drawing")).split())
    ids = {token: i for i, token in enumerate([*special, *words])}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    around = [(token, ids[token]) for token in (*before, *behind)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=" ".join([*before, "$A", *behind]), special_tokens=around
    )
    names = {"pad_token": "<pad>", "unk_token": "<unk>"} | ({"eos_token": behind[0]} if behind else {})
    options: dict[str, Any] = {"model_max_length": 300, "padding_side": "right", "additional_special_tokens": chat}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **options, **names)


def t5(size: int) -> transformers.T5EncoderModel:
    config = transformers.T5Config(
        vocab_size=size, d_model=WIDTH, d_kv=8, d_ff=32, num_layers=2, num_heads=2, feed_forward_proj="gated-gelu"
    )
    return transformers.T5EncoderModel(config)


def bert(size: int) -> transformers.BertModel:
    config = transformers.BertConfig(
        vocab_size=size, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    return transformers.BertModel(config)


def gemma(size: int) -> transformers.GemmaModel:
    config = transformers.GemmaConfig(
        vocab_size=size, hidden_size=WIDTH, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
    )
    config.num_key_value_heads, config.head_dim = 1, 16
    return transformers.GemmaModel(config)


def clip(tokenizer: Any, width: int = 16, project: bool = True) -> Any:
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=12,
        projection_dim=16,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return (transformers.CLIPTextModelWithProjection if project else transformers.CLIPTextModel)(config)


def qwen(size: int) -> Any:
    text = {"vocab_size": size, "hidden_size": WIDTH, "intermediate_size": 32, "num_hidden_layers": 2}
    text |= {"num_attention_heads": 2, "num_key_value_heads": 2}
    text |= {"rope_scaling": {"mrope_section": [2, 3, 3], "rope_type": "default", "type": "default"}}
    eyes = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": WIDTH}
    config = transformers.Qwen2_5_VLConfig(text_config=text, vision_config=eyes)
    return transformers.Qwen2_5_VLForConditionalGeneration(config)


def vae(blocks: int = 2) -> Any:
    return diffusers.AutoencoderKL(
        block_out_channels=(8,) * blocks,
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        latent_channels=4,
        norm_num_groups=4,
    )


def deep_vae() -> Any:
    return diffusers.AutoencoderDC(
        in_channels=3,
        latent_channels=4,
        attention_head_dim=2,
        encoder_block_types=("ResBlock", "EfficientViTBlock"),
        decoder_block_types=("ResBlock", "EfficientViTBlock"),
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        encoder_qkv_multiscales=((), (5,)),
        decoder_qkv_multiscales=((), (5,)),
        encoder_layers_per_block=(1, 1),
        decoder_layers_per_block=(1, 1),
        downsample_block_type="conv",
        upsample_block_type="interpolate",
    )


def small_dit(family: str, seed: int = 0, reader: str = "t5") -> Any:
    """A whole pipeline of the family with random weights; a PixArt may have ``bert`` for its ``reader``."""
    torch.manual_seed(seed)
    kind, arguments = REAL[family]
    transformer = getattr(diffusers, kind)(**arguments | SMALL[family])
    for parameter in transformer.parameters():  # gains and biases of their own, and no gate shut, as after training
        if parameter.ndim < 2 or not parameter.any():
            torch.nn.init.normal_(parameter, std=0.3)
    parts: dict[str, Any] = {"transformer": transformer, "scheduler": diffusers.FlowMatchEulerDiscreteScheduler()}
    words, rough = word_tokenizer(), word_tokenizer(("<bos>",), ())
    if family == "pixart-sigma":
        marked = word_tokenizer(("[CLS]",), ("[SEP]",))
        text = {"tokenizer": words, "text_encoder": t5(len(words))}
        if reader == "bert":
            text = {"tokenizer": marked, "text_encoder": bert(len(marked))}
        parts |= {"vae": vae(), "scheduler": diffusers.DDIMScheduler(), **text}
        pipe = diffusers.PixArtSigmaPipeline(**parts)
    elif family == "sana":
        pipe = diffusers.SanaPipeline(vae=deep_vae(), tokenizer=rough, text_encoder=gemma(len(rough)), **parts)
    elif family == "hunyuan-dit":
        marked = word_tokenizer(("[CLS]",), ("[SEP]",))
        parts |= {"vae": vae(4), "scheduler": diffusers.DDPMScheduler()}  # its pipeline takes eight pixels a latent
        parts |= {"tokenizer": marked, "text_encoder": bert(len(marked))}
        parts |= {"tokenizer_2": words, "text_encoder_2": t5(len(words))}
        parts |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        pipe = diffusers.HunyuanDiTPipeline(**parts)
    elif family == "lumina-next":
        pipe = diffusers.LuminaPipeline(vae=vae(), tokenizer=rough, text_encoder=gemma(len(rough)), **parts)
    elif family == "qwen-image":
        pipe = diffusers.QwenImagePipeline(vae=None, tokenizer=rough, text_encoder=qwen(len(rough)), **parts)
        template = pipe.prompt_template_encode.partition("{}")[0]
        pipe.prompt_template_encode_start_idx = len(rough(template).input_ids)
    else:
        short = tiny_tokenizer()
        parts |= {"vae": vae(), "tokenizer": short}
        if family == "flux":
            parts |= {
                "text_encoder": clip(short, project=False),
                "tokenizer_2": words,
                "text_encoder_2": t5(len(words)),
            }
            pipe = diffusers.FluxPipeline(**parts)
        else:
            parts |= {"text_encoder": clip(short), "tokenizer_2": short, "text_encoder_2": clip(short)}
            pipe = diffusers.StableDiffusion3Pipeline(**parts, tokenizer_3=words, text_encoder_3=t5(len(words)))
    pipe.set_progress_bar_config(disable=True)
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()
    return pipe
