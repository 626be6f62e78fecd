"""The denoiser of emoji-dit: a PixArt-type transformer on emoji-sd's latents, its text encoder frozen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import PixArtTransformer2DModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor
from torch.nn import functional as F

from scapre.training.captions import Vocabulary
from scapre.training.loop import Schedule, train
from scapre.training.unet import BATCH, DROPOUT, diffuse, noise_schedule

SCHEDULE = Schedule(steps=7500, lr=1e-3, warmup=200, ema=0.998, save_every=250, weight_decay=0.01)
CAPTIONS, STYLED = 16, 11  # sentences of a picture; those that name its style
#: what PixArt's modulation may be told of a picture's size; this one is told nothing
NO_SIZE: dict[str, None] = {"resolution": None, "aspect_ratio": None}


@dataclass(frozen=True)
class Sentences:
    """Encoded sentences of any length, one after the other, without padding.

    Attributes:
        tokens: ``(M, d)`` features of all tokens.
        starts: ``(S + 1,)`` where each sentence begins, and where the last one ends.
    """

    tokens: Tensor
    starts: Tensor

    def padded(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Lay sentences side by side.

        Args:
            chosen: ``(B,)`` numbers of sentences.

        Returns:
            features ``(B, T, d)`` for the longest of them, and the mask ``(B, T)``: 1 where a token stands. Behind it
            stand tokens of other sentences, which whoever honours the mask does not read.
        """
        first, last = self.starts[chosen, None], self.starts[chosen + 1, None]
        place = first + torch.arange(int((last - first).max()))
        return self.tokens[place.clamp(max=len(self.tokens) - 1)].float(), (place < last).float()


@dataclass(frozen=True)
class Pool:
    """Everything a step gathers from: ``latents (N, 4, 8, 8)``, N · CAPTIONS sentences and the empty one at the end."""

    latents: Tensor
    sentences: Sentences


def new_denoiser(width: int = 384) -> PixArtTransformer2DModel:
    """Build the untrained transformer: 16 patches, six blocks of cross-attention, 11 M parameters.

    Args:
        width: of the text encoder.
    """
    return PixArtTransformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=6,
        num_attention_heads=5,
        attention_head_dim=64,
        cross_attention_dim=320,
        caption_channels=width,
        use_additional_conditions=False,
    )


@torch.no_grad()
def encode_sentences(words: list[str], tokenizer: Any, text: Any, batch: int = 256) -> Sentences:
    """Encode sentences once, as the pipeline does: the last hidden state, padding masked."""
    features, lengths = [], []
    for start in range(0, len(words), batch):
        ids = tokenizer(words[start : start + batch], padding=True, return_tensors="pt")
        hidden = text(ids.input_ids, attention_mask=ids.attention_mask)[0]
        features.append(hidden[ids.attention_mask.bool()].to(torch.bfloat16))
        lengths.append(ids.attention_mask.sum(1))
    ends = torch.cat(lengths).cumsum(0)
    return Sentences(torch.cat(features), torch.cat([ends.new_zeros(1), ends]))


@torch.no_grad()
def build_pool(images: Tensor, vocabulary: Vocabulary, tokenizer: Any, text: Any, vae: Any, seed: int = 0) -> Pool:
    """Encode pictures and ``CAPTIONS`` sentences each, once.

    Args:
        images: ``(concepts · styles, 3, H, W)`` in [−1, 1], style fastest.
    """
    words = vocabulary.captions(len(images), CAPTIONS, STYLED, seed)
    latents = torch.cat([vae.encode(b).latent_dist.mean for b in images.split(256)])
    return Pool(latents * vae.config.scaling_factor, encode_sentences([*words, ""], tokenizer, text))


def train_denoiser(pool: Pool, folder: Path, schedule: Schedule = SCHEDULE) -> PixArtTransformer2DModel:
    """Minimise ‖v̂(x_t, t, caption) − v‖² as ``unet.train_denoiser`` does, by the same noise."""
    torch.manual_seed(schedule.seed)
    noise_levels = noise_schedule()
    dit = new_denoiser(pool.sentences.tokens.shape[1])
    dit.set_attn_processor(AttnProcessor())  # as in the UNet: faster backward on a CPU

    def step(number: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        chosen = torch.randint(len(pool.latents), (BATCH,), generator=generator)
        told = chosen * CAPTIONS + torch.randint(CAPTIONS, (BATCH,), generator=generator)
        empty = torch.rand(BATCH, generator=generator) < DROPOUT
        text, mask = pool.sentences.padded(torch.where(empty, len(pool.latents) * CAPTIONS, told))
        noisy, time, velocity = diffuse(pool.latents[chosen], noise_levels, generator)
        with torch.autocast("cpu", torch.bfloat16):
            guess = dit(
                noisy,
                encoder_hidden_states=text,
                encoder_attention_mask=mask,
                timestep=time,
                added_cond_kwargs=NO_SIZE,
            ).sample
        return F.mse_loss(guess.float(), velocity), {}

    train(dit, step, schedule, folder)
    return dit
