"""The autoencoder of emoji-sd: 32×32 RGB ↔ 8×8×4 latents."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional as F

from scapre.pictures.judges import Trunk
from scapre.training.augment import jitter
from scapre.training.loop import Schedule, train

SCHEDULE = Schedule(steps=2200, lr=2e-3, warmup=50, ema=0.99, save_every=250, weight_decay=0.0)
DECODER = Schedule(steps=1200, lr=5e-4, warmup=50, ema=0.99, save_every=250, weight_decay=0.0)
BATCH = 32


def new_autoencoder() -> AutoencoderKL:
    """Build the untrained autoencoder (f = 4, four latent channels, 1.3 M parameters)."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(32, 64, 96),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=16,
        sample_size=32,
    )


def train_autoencoder(images: Tensor, folder: Path, schedule: Schedule = SCHEDULE) -> AutoencoderKL:
    """Fit the autoencoder to ``images`` ``(N, 3, 32, 32)`` in [−1, 1].

    Loss: L1 + L1 of horizontal and vertical differences (edges carry an emoji's
    identity) + 1e-4 · KL. ``scaling_factor`` becomes 1/std of the latents, as in
    Stable Diffusion.
    """
    torch.manual_seed(schedule.seed)
    vae = new_autoencoder().to(memory_format=torch.channels_last)

    def step(number: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        chosen = torch.randint(len(images), (BATCH,), generator=generator)
        real = jitter(images[chosen], generator, shift=0.06, noise=0.0).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            posterior = vae.encode(real).latent_dist
            noise = torch.randn(posterior.mean.shape, generator=generator)
            drawn = vae.decode(posterior.mean + posterior.std * noise).sample.float()
        flat = (drawn - real).abs().mean()
        edges = sum((drawn.diff(dim=d) - real.diff(dim=d)).abs().mean() for d in (2, 3))
        divergence = posterior.kl().float().mean() / real[0].numel()
        return flat + edges + 1e-4 * divergence, {"l1": flat.item(), "kl": divergence.item()}

    train(vae, step, schedule, folder)
    with torch.no_grad():
        latents = torch.cat([vae.encode(batch).latent_dist.mean for batch in images.split(256)])
    vae.register_to_config(scaling_factor=round(1 / latents.std().item(), 5))
    error = F.l1_loss(vae.decode(latents[:256]).sample, images[:256]).item()
    print(f"autoencoder: L1 {error:.4f}, scaling factor {vae.config.scaling_factor}")
    return vae


def train_decoder(
    vae: AutoencoderKL, images: Tensor, trunk: Trunk, folder: Path, schedule: Schedule = DECODER
) -> AutoencoderKL:
    """Sharpen the decoder while the encoder, and so every latent, stays as it is.

    Latents are blurred by a little noise, because a denoiser never meets them exactly;
    beside the pixels, the activations of ``trunk`` (the contrastive image tower) are
    compared, which puts weight on what tells one emoji from another.

    Args:
        images: ``(N, 3, 32, 32)`` in [−1, 1].
    """
    torch.manual_seed(schedule.seed)
    vae.requires_grad_(False)
    trunk.requires_grad_(False)
    for part in (vae.decoder, vae.post_quant_conv):
        part.requires_grad_(True)
    with torch.no_grad():
        latents = torch.cat([vae.encode(batch).latent_dist.mean for batch in images.split(256)])
    size = latents.std()

    def step(number: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        chosen = torch.randint(len(images), (BATCH,), generator=generator)
        amount = 0.1 * size * torch.rand(BATCH, 1, 1, 1, generator=generator)
        blurred = latents[chosen] + amount * torch.randn(latents[chosen].shape, generator=generator)
        with torch.autocast("cpu", torch.bfloat16):
            drawn = vae.decode(blurred).sample.float()
            seen = [
                (a.float() - b.float()).abs().mean()
                for a, b in zip(*map(trunk.stages, (drawn, images[chosen])), strict=True)
            ]
        flat = (drawn - images[chosen]).abs().mean()
        look = torch.stack(seen).mean()
        return flat + look, {"l1": flat.item(), "look": look.item()}

    train(vae, step, schedule, folder)
    return vae
