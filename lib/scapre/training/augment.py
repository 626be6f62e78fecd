"""Random small changes of images, drawn from an explicit generator."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def jitter(
    images: Tensor,
    generator: torch.Generator,
    *,
    shift: float = 0.1,
    turn: float = 0.0,
    colour: float = 0.0,
    blur: float = 0.0,
    noise: float = 0.0,
) -> Tensor:
    """Shift, scale, turn, recolour, blur and add noise to images.

    Args:
        images: ``(B, 3, H, W)`` in [−1, 1].
        generator: the only source of randomness.
        shift: largest translation and change of scale, a fraction of the edge.
        turn: largest rotation in radians.
        colour: largest change of gain and of offset.
        blur: chance that an image is halved in size and enlarged again.
        noise: largest standard deviation of additive noise.

    Returns:
        ``(B, 3, H, W)`` in [−1, 1]; what moves in from outside is the edge's own colour.
    """
    b = len(images)

    def draw(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator) * 2 - 1

    angle, scale = turn * draw(b), 1 + shift * draw(b)
    theta = torch.stack(
        [
            torch.stack([scale * angle.cos(), -scale * angle.sin(), shift * draw(b)], dim=1),
            torch.stack([scale * angle.sin(), scale * angle.cos(), shift * draw(b)], dim=1),
        ],
        dim=1,
    )
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    out = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    if blur:
        soft = F.interpolate(F.avg_pool2d(out, 2), scale_factor=2.0, mode="bilinear", align_corners=False)
        weight = (torch.rand(b, 1, 1, 1, generator=generator) < blur) * torch.rand(b, 1, 1, 1, generator=generator)
        out = torch.lerp(out, soft, weight)
    if colour:
        out = out * (1 + colour * draw(b, 3, 1, 1)) + colour * draw(b, 3, 1, 1)
    if noise:
        amount = noise * torch.rand(b, 1, 1, 1, generator=generator)
        out = out + amount * torch.randn(out.shape, generator=generator)
    return out.clamp(-1, 1)
