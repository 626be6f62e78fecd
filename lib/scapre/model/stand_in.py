"""A pipeline of a real model's shapes with random weights: all an edit reads, and nothing to download."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from scapre.model.shapes import find_encoder, find_shape

WORDS = 2048  # whole words of the stand-in tokenizer, as many as are kept of CLIP's
LETTERS = "abcdefghijklmnopqrstuvwxyz"
END = "</w>"


def stand_in(model: str = "sd1", *, extra: str = "", seed: int = 0) -> Any:
    """Build text encoder, tokenizer and cross-attention projections at a model's shapes.

    Args:
        model: see ``shapes.find_encoder``.
        extra: further words the tokenizer reads as one token each.

    Raises:
        ValueError: unknown model, or one with several text encoders.
    """
    # imported here: it takes seconds
    from transformers import CLIPTextConfig, CLIPTextModel

    width, length, blocks = find_shape(model)
    layers, heads, inner = find_encoder(model)
    torch.manual_seed(seed)
    tokenizer = _tokenizer(length, extra.split())
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    sizes = [d_out for d_out, number in blocks.items() for _ in range(number)]
    text_encoder = CLIPTextModel(config).eval()
    return SimpleNamespace(
        unet=_Projections(width, sizes), text_encoder=text_encoder, tokenizer=tokenizer, device=torch.device("cpu")
    )


def stand_in_names(count: int) -> list[str]:
    """Name concepts of two words of the stand-in tokenizer each, all different."""
    words = _words()
    return [f"{words[i % WORDS]} {words[(i + i // WORDS + 1) % WORDS]}" for i in range(count)]


class _Projections(nn.Module):
    """Of a UNet what an edit reads: projections of the text, and a call that shows them the text as it comes."""

    def __init__(self, width: int, sizes: list[int]) -> None:
        super().__init__()
        self.config = SimpleNamespace(down_block_types=("CrossAttnDownBlock2D",), in_channels=1)
        self.device, self.dtype = torch.device("cpu"), torch.float32
        for place, d_out in enumerate(sizes):
            block = nn.Module()
            block.to_k, block.to_v = (nn.Linear(width, d_out, bias=False) for _ in range(2))
            self.add_module(f"block_{place}_attn2", block)

    def forward(self, latent: Tensor, step: Tensor, encoder_hidden_states: Tensor) -> Tensor:
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                layer(encoder_hidden_states)
        return latent


def _words() -> list[str]:
    syllables = [c + v for c, v in product("bcdfghjklmnprstvwz", "aeiou")]
    return [a + b for a, b in product(syllables, syllables)][:WORDS]


def _tokenizer(length: int, extra: list[str]) -> Any:
    from transformers import CLIPTokenizer

    merges: dict[tuple[str, str], None] = {}
    for word in [*dict.fromkeys(extra), *_words()]:
        start = word[0]
        for letter in [*word[1:-1], word[-1] + END] if word[1:] else []:
            merges[start, letter] = None
            start += letter
    tokens = ["<|startoftext|>", "<|endoftext|>", *LETTERS, *(a + END for a in LETTERS)]
    tokens += dict.fromkeys(a + b for a, b in merges)
    tokenizer = CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=list(merges))
    tokenizer.model_max_length = length
    return tokenizer
