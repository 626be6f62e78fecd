"""The denoiser of emoji-sd: v-prediction on latents, text encoder frozen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor
from torch.nn import functional as F

from scapre.training.captions import Vocabulary
from scapre.training.loop import Schedule, train

SCHEDULE = Schedule(steps=7600, lr=6e-4, warmup=100, ema=0.998, save_every=250, weight_decay=0.01)
BATCH, CAPTIONS, STYLED, DROPOUT = 64, 10, 7, 0.1


@dataclass(frozen=True)
class Pool:
    """Everything a step gathers from: ``latents (N, 4, 8, 8)``, ``captions (N, C, T, d)``, ``empty (T, d)``."""

    latents: Tensor
    captions: Tensor
    empty: Tensor


def noise_schedule() -> DDPMScheduler:
    """Stable Diffusion's β schedule, with v as the target."""
    return DDPMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
    )


def diffuse(clean: Tensor, levels: DDPMScheduler, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw a time and a noise for every latent.

    Args:
        clean: latents ``(B, 4, 8, 8)``.

    Returns:
        x_t ``(B, 4, 8, 8)``, times ``(B,)`` and the velocities ``(B, 4, 8, 8)`` that a denoiser should find in x_t.
    """
    noise = torch.randn(clean.shape, generator=generator)
    # Stratified times: the same uniform law with less variance a batch.
    time = (torch.arange(len(clean)) + torch.rand(len(clean), generator=generator)) / len(clean) * 1000
    time = time.long().clamp(max=999)
    return levels.add_noise(clean, noise, time), time, levels.get_velocity(clean, noise, time)


def new_denoiser(width: int = 384) -> UNet2DConditionModel:
    """Build the untrained UNet: cross-attention in every block (7 of them, 10 M parameters)."""
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(96, 192),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=width,
        attention_head_dim=4,
        norm_num_groups=16,
    )


@torch.no_grad()
def build_pool(images: Tensor, vocabulary: Vocabulary, tokenizer: Any, text: Any, vae: Any, seed: int = 0) -> Pool:
    """Encode pictures and ten captions each, once.

    Args:
        images: ``(concepts · styles, 3, H, W)`` in [−1, 1], style fastest.
    """
    words = vocabulary.captions(len(images), CAPTIONS, STYLED, seed)
    features = []
    for start in range(0, len(words) + 1, 512):
        batch = [*words, ""][start : start + 512]
        ids = tokenizer(batch, padding="max_length", truncation=True, return_tensors="pt").input_ids
        features.append(text(ids).last_hidden_state.to(torch.bfloat16))
    encoded = torch.cat(features)
    latents = torch.cat([vae.encode(b).latent_dist.mean for b in images.split(256)])
    captions = encoded[:-1].unflatten(0, (len(images), CAPTIONS))
    return Pool(latents * vae.config.scaling_factor, captions, encoded[-1])


def train_denoiser(pool: Pool, folder: Path, schedule: Schedule = SCHEDULE) -> UNet2DConditionModel:
    """Minimise ‖v̂(x_t, t, caption) − v‖² over pictures, captions, times and noises.

    One caption in ten is replaced by the empty prompt, for classifier-free guidance.
    """
    torch.manual_seed(schedule.seed)
    noise_levels = noise_schedule()
    unet = new_denoiser(pool.captions.shape[-1]).to(memory_format=torch.channels_last)
    # Softmax written out: at 64 positions torch's fused attention spends a third of a step in its CPU backward.
    unet.set_attn_processor(AttnProcessor())

    def step(number: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        chosen = torch.randint(len(pool.latents), (BATCH,), generator=generator)
        text = pool.captions[chosen, torch.randint(CAPTIONS, (BATCH,), generator=generator)]
        empty = torch.rand(BATCH, generator=generator) < DROPOUT
        text = torch.where(empty[:, None, None], pool.empty, text).float()
        clean = pool.latents[chosen]
        noisy, time, velocity = diffuse(clean, noise_levels, generator)
        with torch.autocast("cpu", torch.bfloat16):
            guess = unet(noisy, time, encoder_hidden_states=text).sample
        return F.mse_loss(guess.float(), velocity), {}

    train(unet, step, schedule, folder)
    return unet
