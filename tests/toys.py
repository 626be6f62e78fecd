"""Small random statistics and a tiny pipeline, built in memory."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import torch
from diffusers import UNet2DConditionModel
from scapre.text.embeddings import Contexts
from scapre.text.statistics import ConceptStatistics
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

WORDS = ("cat", "dog", "sun", "boat", "tree", "a picture of a red car", "lemon", "rose")


def statistics(
    m: int = 5, d: int = 12, retained: int = 3, length: int = 4, anchors: int = 1, seed: int = 0, share: int = 1
):
    g = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=g, dtype=torch.float64)

    contexts = draw(m * share, length, d).float()
    anchor_of = torch.arange(m).repeat_interleave(share) % anchors
    instead = draw(anchors, length, d).float()
    kept = draw(retained, length, d).float()
    first = torch.zeros(max(m * share, anchors, retained), dtype=torch.long)
    return ConceptStatistics(
        targets=contexts[::share, 0].double(),
        anchors=instead[anchor_of[::share], 0].double(),
        contexts=Contexts(contexts, instead, anchor_of, first[: m * share], first[:anchors]),
        retained=kept[:, 0].double(),
        kept=kept,
        kept_last=first[:retained],
        blank=draw(length, d),
    )


def turned(s: ConceptStatistics, q: torch.Tensor) -> ConceptStatistics:
    """The same concepts in rotated coordinates of text space (float32 contexts lose 1e-7)."""
    pairs = replace(s.contexts, targets=s.contexts.targets @ q.float(), anchors=s.contexts.anchors @ q.float())
    names = ("targets", "anchors", "retained", "blank")
    return replace(s, contexts=pairs, kept=s.kept @ q.float(), **{name: getattr(s, name) @ q for name in names})


def weight(rows: int = 7, d: int = 12, seed: int = 1) -> torch.Tensor:
    return torch.randn(rows, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def tiny_tokenizer(length: int = 12) -> CLIPTokenizer:
    """One token a word of ``WORDS``, any other letter by letter; not trained, since training breaks ties at random."""
    letters, end = sorted(ByteLevel.alphabet()), "</w>"
    tokens, merges = ["<|startoftext|>", "<|endoftext|>", *letters, *(a + end for a in letters)], []
    for word in dict.fromkeys(" ".join(WORDS).split()):
        start = word[0]
        for letter in [*word[1:-1], word[-1] + end] if word[1:] else []:
            merges.append((start, letter))
            start += letter
    tokens += dict.fromkeys(a + b for a, b in merges)
    vocabulary = {token: i for i, token in enumerate(tokens)}
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=list(dict.fromkeys(merges)))
    tokenizer.model_max_length = length
    return tokenizer


def tiny_pipe(seed: int = 0, dtype: torch.dtype = torch.float32) -> SimpleNamespace:
    torch.manual_seed(seed)
    tokenizer = tiny_tokenizer()
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=12,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    ).eval()
    unet = tiny_unet(32)
    return SimpleNamespace(
        unet=unet.to(dtype), text_encoder=text.to(dtype), tokenizer=tokenizer, device=torch.device("cpu")
    )


def tiny_xl_pipe(seed: int = 0) -> SimpleNamespace:
    """Two text encoders whose last but one layers stand side by side, as in SDXL."""
    first, second = tiny_pipe(seed), tiny_pipe(seed + 1)
    unet = tiny_unet(64)
    return SimpleNamespace(
        unet=unet,
        text_encoder=first.text_encoder,
        text_encoder_2=second.text_encoder,
        tokenizer=first.tokenizer,
        tokenizer_2=second.tokenizer,
        device=torch.device("cpu"),
    )


def tiny_unet(width: int) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        layers_per_block=1,
        block_out_channels=(16, 32),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=width,
        attention_head_dim=2,
        norm_num_groups=8,
    )
